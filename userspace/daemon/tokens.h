// SPDX-License-Identifier: Apache-2.0
// Whether each enrolled workload has proven by a token to be its agent. Tokens are read where the workload has them,
// again and again, so that a renewed one counts before the old one ends; flows only look at the last finding.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/policy_store.h"
#include "sallyport/edges/jwks.h"
#include "sallyport/edges/workload_file.h"
#include "sallyport/flow/services.h"
#include "sallyport/identity/token.h"
#include "sallyport/model/principal.h"

namespace sallyport::daemon {

/// A workload whose agent may have to prove itself.
struct TokenHolder {
  uint64_t cgroup_id = 0;
  std::string agent;
  std::string recognised_as;
  std::string cgroup_path;  ///< from the cgroup2 root
  bool by_exec = false;
  model::Workload facts;
  std::string file;                     ///< of `exec --token-file`; empty: where the Agent's `token` says
  std::optional<edges::FileUser> user;  ///< who named `file`
};

class Tokens {
 public:
  /// `policy` outlives this. `changed`: the standing of a workload is another one; called from threads of this.
  Tokens(PolicyStore& policy, std::string cgroup_root, std::function<void(uint64_t cgroup_id)> changed);
  ~Tokens();
  /// Ends all threads: standings stay as they are, and `changed` is not called any more.
  void stop();

  /// Before flows of the workload can be asked about.
  void watch(TokenHolder holder);
  void forget(uint64_t cgroup_id, const std::string& cgroup_path);
  /// Issuers and Agents may be others. Before flows hear of it.
  void policy_changed();

  /// Never null; of a workload nobody watches: refused.
  std::shared_ptr<const flow::Standing> standing(uint64_t cgroup_id) const;
  std::vector<edges::IssuerStatus> issuers() const { return keys_.status(); }

 private:
  struct Entry {
    TokenHolder holder;
    std::shared_ptr<const flow::Standing> standing;
    Secret good;                                      ///< the token that proved it last
    uint64_t good_epoch = 0;                          ///< of the facts it was judged by
    std::shared_ptr<const identity::Jwks> good_keys;  ///< and the keys
    int64_t since_ms = 0;                             ///< when it was first looked for, under this policy
    int64_t next_ms = 0;
  };
  /// What one look found.
  struct Found {
    std::shared_ptr<const flow::Standing> standing;
    Secret good;
    uint64_t epoch = 0;
    std::shared_ptr<const identity::Jwks> keys;
  };

  void run();
  void look_at_all();
  Found look(const Entry& entry, int64_t now_ms);
  std::shared_ptr<const flow::Standing> judge(const Entry& entry, const flow::Facts& facts, const policy::Agent& agent,
                                              int64_t now_ms, Secret& good);
  void store(uint64_t cgroup_id, const Entry& before, Found found);
  identity::Checked<Secret> read(const Entry& entry, const policy::AgentToken& asked);
  identity::Checked<model::Token> check(const Secret& text, const Entry& entry, const policy::Policy& policy,
                                        const policy::Agent& agent, const policy::Issuer& issuer, int64_t wall_ns);
  void schedule(uint64_t cgroup_id, Entry& entry, int64_t at_ms);

  PolicyStore& policy_;
  const std::string cgroup_root_;
  const std::function<void(uint64_t)> changed_;
  edges::WorkloadFiles files_;
  mutable std::shared_mutex mutex_;  ///< of entries_, schedule_, stop_
  std::condition_variable_any wake_;
  std::unordered_map<uint64_t, Entry> entries_;      ///< by cgroup id
  std::set<std::pair<int64_t, uint64_t>> schedule_;  ///< when, which; not those that are being looked at
  bool stop_ = false;
  std::vector<std::thread> threads_;
  edges::JwksCache keys_;  ///< its threads call look_at_all(): made last, gone first
};

}  // namespace sallyport::daemon
