// SPDX-License-Identifier: Apache-2.0
// How long the last calls of something took, for `status` and benchmarks.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace sallyport::daemon {

/// Thread-safe; add() never waits.
class RecentTimes {
 public:
  static constexpr size_t kKept = 4'096;

  void add(int64_t ns) {
    const uint64_t index = count_.fetch_add(1, std::memory_order_relaxed);
    times_ns_[index % kKept].store(static_cast<uint32_t>(std::clamp<int64_t>(ns, 0, UINT32_MAX)),
                                   std::memory_order_relaxed);
  }
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  /// The kept ones, shortest first.
  std::vector<uint32_t> sorted_ns() const {
    std::vector<uint32_t> out(std::min<uint64_t>(count(), kKept));
    for (size_t i = 0; i < out.size(); ++i) out[i] = times_ns_[i].load(std::memory_order_relaxed);
    std::ranges::sort(out);
    return out;
  }

 private:
  std::atomic<uint64_t> count_ = 0;
  std::array<std::atomic<uint32_t>, kKept> times_ns_{};
};

}  // namespace sallyport::daemon
