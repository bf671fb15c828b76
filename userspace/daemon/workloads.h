// SPDX-License-Identifier: Apache-2.0
// Which cgroup is which agent: scopes made by `exec`, and cgroups that policy names. Each is enrolled
// with a listener in its network namespace; one listener serves all workloads of a namespace.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/policy_store.h"
#include "daemon/tokens.h"
#include "sallyport/control/api.h"
#include "sallyport/kernel/kernel.h"
#include "sallyport/launch/scopes.h"

namespace sallyport::daemon {

struct Workload {
  std::string agent;
  std::string recognised_as;  ///< "exec:billing-bot", "cgroup:/bots.slice"
  std::string cgroup_path;    ///< from the cgroup2 root
  uint64_t cgroup_id = 0;
  int listener = 0;  ///< token of the listener it is diverted to
  bool by_exec = false;
  std::string token_file;                     ///< of `exec --token-file`, or empty
  std::optional<edges::FileUser> token_user;  ///< who named it
};

/// A listener that is to be served by every worker; the descriptors are duplicates to keep.
using ServeListener = std::function<void(int token, UniqueFd fd)>;

class Workloads {
 public:
  /// `kernel`, `policy`, `tokens` outlive this. `level` is what self_test() found.
  Workloads(kernel::Kernel& kernel, PolicyStore& policy, Tokens& tokens, kernel::Level level, ServeListener serve);

  /// Listens in the daemon's own network namespace, takes over the scopes of a daemon before us, and
  /// enrols what policy names.
  Result<> start();

  /// `exec`: checks policy, makes and enrols a scope, moves the peer in.
  Result<control::ExecGrant> place(const control::Peer& peer, const control::ExecRequest& request);

  /// Once a second: cgroups that policy names and that are there now, scopes that are empty.
  void sweep();

  std::optional<Workload> find(uint64_t cgroup_id) const;
  std::vector<Workload> list() const;
  /// The network namespace a listener stands in; -1: the daemon's own. Lives as long as this.
  int netns_of(int listener) const;
  /// Is a process of this cgroup (path from the cgroup2 root) an agent's, or may it become one's?
  bool governs(const std::string& cgroup_path) const;
  kernel::Level level() const { return level_; }

 private:
  struct Namespace {
    int token = 0;
    UniqueFd netns;  ///< empty: the daemon's own
    kernel::Listener listener;
  };

  Result<Namespace*> namespace_of(int pid);
  Result<> serve(Namespace& place);
  Result<Workload> enrol(Workload workload, const Namespace& place);
  Result<> check_level(const policy::Agent& agent) const;
  void enrol_named_cgroups();
  std::string absolute(const std::string& cgroup_path) const;

  kernel::Kernel& kernel_;
  PolicyStore& policy_;
  Tokens& tokens_;
  const kernel::Level level_;
  const ServeListener serve_;
  std::optional<launch::Scopes> scopes_;
  mutable std::mutex mutex_;                     ///< of the maps
  std::mutex placing_;                           ///< one at a time makes scopes
  std::map<uint64_t, Namespace> namespaces_;     ///< by inode of the network namespace
  std::map<uint64_t, Workload> workloads_;       ///< by cgroup id
  std::map<std::string, std::string> troubles_;  ///< cgroup path -> what was logged about it
  int next_token_ = 1;
};

}  // namespace sallyport::daemon
