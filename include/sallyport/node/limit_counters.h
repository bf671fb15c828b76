// SPDX-License-Identifier: Apache-2.0
// How much of a policy limit is used ("10,000 rows per 1h over agent"), node-wide. Workers lease
// slices, spend them without a lock, and give back what is left. Thread-safe.
//
// A window slides in kSlices steps: what was leased counts for the whole window and at most one step
// longer, so a limit is never exceeded.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "sallyport/base/result.h"

namespace sallyport::node {

/// Names one counter: limits of different entitlements, or of one over different agents, are apart.
struct LimitKey {
  std::string agent;
  std::string entitlement;
  std::string count;  ///< "rows", "statements"
  auto operator<=>(const LimitKey&) const = default;
};

struct LimitSpec {
  uint64_t max = 0;
  int64_t window_ns = 0;  ///< > 0
  auto operator<=>(const LimitSpec&) const = default;
};

class LimitCounters {
 public:
  /// Takes up to `want`; gives what was granted, 0 when nothing is left. Fails when
  /// limits::kLimitCountersMax counters are in use: deny.
  Result<uint64_t> lease(const LimitKey& key, const LimitSpec& spec, uint64_t want, int64_t now_monotonic_ns);
  /// Returns the unspent part of a lease. What was leased in a window that is over is gone anyway.
  void give_back(const LimitKey& key, uint64_t unspent, int64_t now_monotonic_ns);
  /// Leased and not yet expired.
  uint64_t used(const LimitKey& key, int64_t now_monotonic_ns);
  /// When something becomes free again; 0: nothing is used.
  int64_t frees_at_monotonic_ns(const LimitKey& key, int64_t now_monotonic_ns);

 private:
  static constexpr int kSlices = 60;
  struct Counter {
    LimitSpec spec;
    int64_t step = 0;  ///< the number of the newest slice
    uint64_t used = 0;
    std::array<uint64_t, kSlices + 1> slices{};
    int64_t step_ns() const { return spec.window_ns / kSlices > 0 ? spec.window_ns / kSlices : 1; }
    void advance(int64_t now_ns);
  };
  void drop_unused(int64_t now_ns);

  std::mutex mutex_;
  std::map<LimitKey, Counter> counters_;
};

}  // namespace sallyport::node
