// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/limit_counters.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/limits.h"

namespace sallyport::node {

/// Slices older than the window are dropped. The oldest that counts may reach back one step more.
void LimitCounters::Counter::advance(int64_t now_ns) {
  const int64_t current = now_ns / step_ns();
  if (current <= step) return;
  const int64_t passed = std::min<int64_t>(current - step, static_cast<int64_t>(slices.size()));
  for (int64_t i = 1; i <= passed; ++i) {
    uint64_t& slice = slices[static_cast<size_t>(step + i) % slices.size()];
    used -= slice;
    slice = 0;
  }
  // More than a whole window has passed: every slice was emptied above, whatever its place.
  step = current;
}

void LimitCounters::drop_unused(int64_t now_ns) {
  for (auto each = counters_.begin(); each != counters_.end();) {
    each->second.advance(now_ns);
    each = each->second.used == 0 ? counters_.erase(each) : std::next(each);
  }
}

Result<uint64_t> LimitCounters::lease(const LimitKey& key, const LimitSpec& spec, uint64_t want, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  auto found = counters_.find(key);
  if (found == counters_.end()) {
    if (counters_.size() >= limits::kLimitCountersMax) drop_unused(now_ns);
    if (counters_.size() >= limits::kLimitCountersMax)
      return fail(fmt::format("{} limits are being counted, no more can be", limits::kLimitCountersMax));
    found = counters_.emplace(key, Counter{.spec = spec}).first;
    found->second.step = now_ns / found->second.step_ns();
  }
  Counter& counter = found->second;
  if (counter.spec.window_ns != spec.window_ns) {
    // Another window divides time otherwise: what was used is counted as used just now.
    const uint64_t used = counter.used;
    counter = Counter{.spec = spec, .used = used};
    counter.step = now_ns / counter.step_ns();
    counter.slices[static_cast<size_t>(counter.step) % counter.slices.size()] = used;
  }
  counter.spec.max = spec.max;
  counter.advance(now_ns);
  const uint64_t left = spec.max > counter.used ? spec.max - counter.used : 0;
  const uint64_t granted = std::min(want, left);
  counter.used += granted;
  counter.slices[static_cast<size_t>(counter.step) % counter.slices.size()] += granted;
  return granted;
}

void LimitCounters::give_back(const LimitKey& key, uint64_t unspent, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  const auto found = counters_.find(key);
  if (found == counters_.end()) return;
  Counter& counter = found->second;
  counter.advance(now_ns);
  // From the newest slice backwards: never more than was leased there.
  const auto count = static_cast<int64_t>(counter.slices.size());
  for (int64_t i = 0; i < count && unspent > 0 && counter.step >= i; ++i) {
    uint64_t& slice = counter.slices[static_cast<size_t>(counter.step - i) % counter.slices.size()];
    const uint64_t returned = std::min(slice, unspent);
    slice -= returned;
    counter.used -= returned;
    unspent -= returned;
  }
}

uint64_t LimitCounters::used(const LimitKey& key, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  const auto found = counters_.find(key);
  if (found == counters_.end()) return 0;
  found->second.advance(now_ns);
  return found->second.used;
}

int64_t LimitCounters::frees_at_monotonic_ns(const LimitKey& key, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  const auto found = counters_.find(key);
  if (found == counters_.end()) return 0;
  Counter& counter = found->second;
  counter.advance(now_ns);
  if (counter.used == 0) return 0;
  const auto count = static_cast<int64_t>(counter.slices.size());
  for (int64_t step = std::max<int64_t>(counter.step - count + 1, 0); step <= counter.step; ++step)
    if (counter.slices[static_cast<size_t>(step) % counter.slices.size()] > 0)
      return (step + count) * counter.step_ns();
  return 0;
}

}  // namespace sallyport::node
