// SPDX-License-Identifier: Apache-2.0
// Tokens that agents show inside their own protocols. Workers only look a digest up; threads of this verify what is
// new, for each workload in turn and no faster than its budget, so that bad tokens of one slow nobody else.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/policy_store.h"
#include "daemon/token_check.h"
#include "sallyport/base/secret.h"

namespace sallyport::daemon {

class ShownTokens {
 public:
  /// `policy` and `keys` outlive this, and this all that show() returned. `find`: the workload of a cgroup; `wake`: a
  /// flow whose standing is another one. Both are called from the threads of this, `find` with no lock held.
  ShownTokens(PolicyStore& policy, identity::KeySet& keys,
              std::function<std::optional<TokenHolder>(uint64_t cgroup_id)> find,
              std::function<void(model::FlowId)> wake);
  ~ShownTokens();
  void stop();

  std::shared_ptr<const flow::ShownToken> show(const flow::Origin& origin, std::string_view token);
  /// Keys or policy are others.
  void look_at_all();
  /// The workload's Agents are others, or it has gone.
  void look_at(uint64_t cgroup_id);
  /// Verified ones that are known, held or not.
  size_t size() const;

 private:
  struct Entry;
  class Held;
  using Shared = std::shared_ptr<Entry>;
  struct Queue {
    std::deque<Shared> waiting;
    int64_t checks = 0;    ///< left of the budget
    int64_t since_ms = 0;  ///< when it was filled up last
    int64_t said_ms = 0;   ///< when a mismatch was logged last
    uint64_t unsaid = 0;
  };

  void run();
  Shared take_next(int64_t now_ms, int64_t& rest_ms);
  std::shared_ptr<const flow::Standing> judge(const Entry& entry, const flow::Facts& facts, const TokenHolder& holder);
  static void earn(Queue& queue, int64_t now_ms);
  void sweep(int64_t now_ms);
  void store(const Shared& entry, std::shared_ptr<const flow::Standing> standing, const TokenHolder* holder);
  void say(Queue& queue, const TokenHolder& holder, const flow::Standing& standing);
  bool enqueue(const Shared& entry);
  void drop(const Shared& entry, model::FlowId flow);
  void forget(Entry& entry);
  void look_again(const Shared& entry);
  std::shared_ptr<const flow::Standing> standing_of(const Entry& entry) const;

  PolicyStore& policy_;
  identity::KeySet& keys_;
  const std::function<std::optional<TokenHolder>(uint64_t)> find_;
  const std::function<void(model::FlowId)> wake_flow_;
  mutable std::mutex mutex_;  ///< of everything below, and of each Entry
  std::condition_variable wake_;
  std::unordered_map<std::string, Shared> entries_;  ///< by cgroup id and SHA-256
  std::list<Entry*> idle_;                           ///< proven, and no flow holds them; longest first
  std::deque<Shared> again_;                         ///< proven before, to be looked at again: before all others
  std::unordered_map<uint64_t, Queue> queues_;       ///< by cgroup id: new ones
  std::deque<uint64_t> turns_;                       ///< of queues_ those with something waiting, each once
  int64_t next_sweep_ms_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sallyport::daemon
