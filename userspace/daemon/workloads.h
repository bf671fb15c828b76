// SPDX-License-Identifier: Apache-2.0
// The cgroups that are enrolled: scopes made by `exec`, and those that the recogniser finds to be an Agent's. Each has
// a listener in its network namespace; one listener serves all workloads of a namespace.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/policy_store.h"
#include "daemon/tokens.h"
#include "sallyport/control/api.h"
#include "sallyport/kernel/kernel.h"
#include "sallyport/launch/scopes.h"

namespace sallyport::daemon {

struct Workload {
  /// Whom policy lets it be: of several a token tells which. Empty: it was somebody's, or nobody could tell.
  std::vector<std::string> agents;
  std::string recognised_as;  ///< "exec:billing-bot", "docker:web", "cgroup:/bots.slice"
  std::string cgroup_path;    ///< from the cgroup2 root
  std::string refusal;        ///< why its connections are refused before anything else; empty: they are not
  uint64_t cgroup_id = 0;
  uint64_t birth_ns = 0;  ///< of the enrolment
  int listener = 0;       ///< token of the listener it is diverted to
  bool by_exec = false;
  model::Workload facts;
  std::string token_file;                     ///< of `exec --token-file`, or empty
  std::optional<edges::FileUser> token_user;  ///< who named it
};

/// A listener that is to be served by every worker; the descriptors are duplicates to keep.
using ServeListener = std::function<void(int token, UniqueFd fd)>;
using DropListener = std::function<void(int token)>;

/// Thread-safe.
class Workloads {
 public:
  /// `kernel`, `policy`, `tokens` outlive this. `level` is what self_test() found.
  Workloads(kernel::Kernel& kernel, PolicyStore& policy, Tokens& tokens, kernel::Level level, ServeListener serve,
            DropListener drop);

  /// Listens in the daemon's own network namespace and takes over the scopes of a daemon before us.
  Result<> start();

  /// `exec`: checks policy, makes and enrols a scope, moves the peer in.
  Result<control::ExecGrant> place(const control::Peer& peer, const control::ExecRequest& request);

  /// Enrols a cgroup with a listener where its processes are (none yet: in our own network namespace), or brings what
  /// is known of it up to date. A level that is not reached becomes its `refusal`.
  Result<> enrol(Workload workload);
  /// Looks again where its processes are: true if they had moved to another network namespace.
  Result<bool> settle(const std::string& cgroup_path);
  /// The cgroup has gone.
  void forget(const std::string& cgroup_path);

  /// Once a second: scopes that are empty, namespaces that nobody uses.
  void sweep();

  /// The workload of a flow; nothing when it is another enrolment's.
  std::optional<Workload> find(uint64_t cgroup_id, uint64_t birth_ns) const;
  std::optional<Workload> find(const std::string& cgroup_path) const;
  std::vector<Workload> list() const;
  size_t size() const;
  /// The network namespace a listener stands in; -1: the daemon's own. Stays open for a while after its last workload.
  int netns_of(int listener) const;
  /// Is a process of this cgroup (path from the cgroup2 root) an agent's?
  bool holds(const std::string& cgroup_path) const;
  kernel::Level level() const { return level_; }
  std::string absolute(const std::string& cgroup_path) const;

 private:
  struct Namespace {
    int token = 0;
    UniqueFd netns;  ///< empty: the daemon's own
    kernel::Listener listener;
    size_t users = 0;
  };
  struct Retired {
    UniqueFd netns;
    int token = 0;
    int64_t since_ns = 0;
  };

  Result<uint64_t> namespace_of(int pid);
  Result<> serve(Namespace& place);
  Result<> enrol_in(Workload workload, uint64_t netns_inode);
  std::string level_refusal(const policy::Agent& agent) const;
  void apply_policy(Workload& workload, kernel::EnrolOptions& options) const;
  int pid_elsewhere(const std::string& cgroup_path) const;
  void release(int listener);

  kernel::Kernel& kernel_;
  PolicyStore& policy_;
  Tokens& tokens_;
  const kernel::Level level_;
  const ServeListener serve_;
  const DropListener drop_;
  std::optional<launch::Scopes> scopes_;
  mutable std::mutex mutex_;                           ///< of the maps
  std::mutex placing_;                                 ///< one at a time makes scopes
  std::mutex enrolling_;                               ///< one at a time changes namespaces
  std::map<uint64_t, Namespace> namespaces_;           ///< by inode of the network namespace
  std::vector<Retired> retired_;                       ///< flows may still dial there
  std::unordered_map<uint64_t, Workload> workloads_;   ///< by cgroup id
  std::unordered_map<std::string, uint64_t> by_path_;  ///< cgroup path -> id
  int next_token_ = 1;
};

}  // namespace sallyport::daemon
