// SPDX-License-Identifier: Apache-2.0
// How much of a policy limit is used ("10,000 rows per 1h over agent"), node-wide. Flows lease slices, spend them
// without a lock, and give back what is left, at the latest after lease_time_ns(). Thread-safe.
//
// A window slides in kSlices steps: what was leased counts for the whole window and at most one step longer. A lease
// lives no longer than a step, so what is spent in any window goes over the limit by no more than was leased in one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "sallyport/base/result.h"
#include "sallyport/flow/services.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"

namespace sallyport::node {

/// Names one counter. Not by its rule: an edited policy counts on where the old one was.
struct LimitKey {
  model::FlowId flow = 0;  ///< 0: all flows of the agent on the target together
  std::string agent;
  std::string target;
  model::Limit::Count count = model::Limit::Count::rows;
  int64_t window_ns = 0;  ///< > 0
  auto operator<=>(const LimitKey&) const = default;

  static LimitKey of(const model::Limit& limit, const flow::Origin& origin, std::string_view target);
};

class LimitCounters {
 public:
  /// Takes `need`, and more to be spent later while there is plenty; nothing if less is left. Fails when
  /// limits::kLimitCountersMax counters are in use: deny.
  Result<flow::Lease> lease(const LimitKey& key, uint64_t max, uint64_t need, int64_t now_monotonic_ns);
  /// Returns the unspent part of a lease. What was leased in a window that is over is gone anyway.
  void give_back(const LimitKey& key, uint64_t unspent, int64_t now_monotonic_ns);
  /// The counters of a flow that is over.
  void forget(model::FlowId flow);
  /// Leased and not yet expired.
  uint64_t used(const LimitKey& key, int64_t now_monotonic_ns);
  size_t size();

 private:
  static constexpr int kSlices = 60;
  struct Counter {
    int64_t step_ns = 1;
    int64_t step = 0;  ///< the number of the newest slice
    uint64_t used = 0;
    std::array<uint64_t, kSlices + 1> slices{};
    uint64_t& slice(int64_t number) { return slices[static_cast<size_t>(number) % slices.size()]; }
    void advance(int64_t now_ns);
    int64_t frees_at();
  };
  void drop_unused(int64_t now_ns);

  std::mutex mutex_;
  std::map<LimitKey, Counter> counters_;
};

}  // namespace sallyport::node
