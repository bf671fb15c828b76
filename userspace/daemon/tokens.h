// SPDX-License-Identifier: Apache-2.0
// Whether each enrolled workload has proven by a token to be its agent. Tokens are read where the workload has them,
// again and again, so that a renewed one counts before the old one ends; flows only look at the last finding.
#pragma once

#include <condition_variable>
#include <functional>
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
#include "daemon/shown_tokens.h"
#include "daemon/token_check.h"
#include "sallyport/edges/jwks.h"

namespace sallyport::daemon {

class Tokens {
 public:
  /// `policy` outlives this. `changed`: the standing of a workload is another one; `wake`: that of a token which a flow
  /// has shown. Called from threads of this, and `changed` from whoever calls watch() and forget().
  Tokens(PolicyStore& policy, std::string cgroup_root, std::function<void(uint64_t cgroup_id)> changed,
         std::function<void(model::FlowId)> wake);
  ~Tokens();
  /// Ends all threads: standings stay as they are, and `changed` is not called any more.
  void stop();

  /// Before flows of the workload can be asked about.
  void watch(TokenHolder holder);
  void forget(uint64_t cgroup_id, const std::string& cgroup_path);
  /// Issuers and Agents may be others. Before flows hear of it.
  void policy_changed();

  /// Never null; of a workload nobody watches: lost.
  std::shared_ptr<const flow::Standing> standing(uint64_t cgroup_id) const;
  /// The standing of one of the agents that the workload may be; null: it may not.
  std::shared_ptr<const flow::Standing> standing(uint64_t cgroup_id, const std::string& agent) const;
  ShownTokens& shown() { return shown_; }
  std::optional<TokenHolder> holder(uint64_t cgroup_id) const;
  std::vector<edges::IssuerStatus> issuers() const { return keys_.status(); }

 private:
  /// What a workload has proven as regards one of the agents that it may be.
  struct Proof {
    std::string agent;
    std::shared_ptr<const flow::Standing> standing;
    Secret good;                                      ///< the token that proved it last
    uint64_t good_epoch = 0;                          ///< of the facts it was judged by
    std::shared_ptr<const identity::Jwks> good_keys;  ///< and the keys
  };
  struct Entry {
    TokenHolder holder;
    std::vector<Proof> proofs;                       ///< one for each of the holder's agents
    std::shared_ptr<const flow::Standing> standing;  ///< of them all
    int64_t since_ms = 0;                            ///< when it was first looked for, under this policy
    int64_t next_ms = 0;
    bool urgent = false;  ///< not proven, or not for much longer
  };

  static std::shared_ptr<const flow::Standing> combine(const Entry& entry);
  bool has_token_file(const TokenHolder& holder) const;
  void run();
  void look_at_all();
  bool begin(Entry& entry, const policy::Policy& policy, bool keep_proofs);
  void look(const Entry& entry, const flow::Facts& facts, Proof& proof, int64_t now_ms);
  std::shared_ptr<const flow::Standing> judge(const Entry& entry, const flow::Facts& facts, const policy::Agent& agent,
                                              int64_t now_ms, Proof& proof);
  void store(uint64_t cgroup_id, uint64_t epoch, std::vector<Proof> proofs);
  identity::Checked<Secret> read(const TokenHolder& holder, const policy::Agent& agent);
  identity::Checked<model::Token> check(const Secret& text, const Entry& entry, const policy::Policy& policy,
                                        const policy::Agent& agent, const policy::Issuer& issuer, int64_t wall_ns);
  void schedule(uint64_t cgroup_id, Entry& entry, int64_t at_ms);
  int64_t pace(Entry& entry);

  PolicyStore& policy_;
  const std::string cgroup_root_;
  const std::function<void(uint64_t)> changed_;
  edges::WorkloadFiles files_;
  mutable std::shared_mutex mutex_;  ///< of entries_, schedule_, stop_
  std::condition_variable_any wake_;
  std::unordered_map<uint64_t, Entry> entries_;      ///< by cgroup id
  std::set<std::pair<int64_t, uint64_t>> schedule_;  ///< when, which
  size_t urgent_ = 0;                                ///< of entries_
  bool stop_ = false;
  std::vector<std::thread> threads_;
  edges::JwksCache keys_;  ///< its threads call look_at_all(), which tells shown_
  ShownTokens shown_;
};

}  // namespace sallyport::daemon
