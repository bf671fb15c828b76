// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/limit_counters.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

/// Of what is left, to one flow at a time: many can lease before the last finds none, and small limits are exact.
constexpr uint64_t kShare = 64;

}  // namespace

LimitKey LimitKey::of(const model::Limit& limit, const flow::Origin& origin, std::string_view target) {
  return {.flow = limit.over == model::Limit::Over::flow ? origin.id : 0,
          .agent = origin.principal.agent,
          .target = std::string(target),
          .count = limit.count,
          .window_ns = limit.per_ns};
}

/// Slices older than the window are dropped. The oldest that counts may reach back one step more.
void LimitCounters::Counter::advance(int64_t now_ns) {
  const int64_t current = now_ns / step_ns;
  if (current <= step) return;
  const int64_t passed = std::min<int64_t>(current - step, static_cast<int64_t>(slices.size()));
  for (int64_t i = 1; i <= passed; ++i) used -= std::exchange(slice(step + i), 0);
  // More than a whole window has passed: every slice was emptied above, whatever its place.
  step = current;
}

/// When something becomes free again; 0: nothing is used.
int64_t LimitCounters::Counter::frees_at() {
  const auto count = static_cast<int64_t>(slices.size());
  for (int64_t number = std::max<int64_t>(step - count + 1, 0); number <= step; ++number)
    if (slice(number) > 0) return (number + count) * step_ns;
  return 0;
}

void LimitCounters::drop_unused(int64_t now_ns) {
  for (auto each = counters_.begin(); each != counters_.end();) {
    each->second.advance(now_ns);
    each = each->second.used == 0 ? counters_.erase(each) : std::next(each);
  }
}

Result<flow::Lease> LimitCounters::lease(const LimitKey& key, uint64_t max, uint64_t need, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  auto found = counters_.find(key);
  if (found == counters_.end()) {
    if (counters_.size() >= limits::kLimitCountersMax) drop_unused(now_ns);
    if (counters_.size() >= limits::kLimitCountersMax)
      return fail(fmt::format("{} limits are being counted, no more can be", limits::kLimitCountersMax));
    found = counters_.emplace(key, Counter{.step_ns = std::max<int64_t>(key.window_ns / kSlices, 1)}).first;
    found->second.step = now_ns / found->second.step_ns;
  }
  Counter& counter = found->second;
  counter.advance(now_ns);
  const uint64_t left = max > counter.used ? max - counter.used : 0;
  if (left < need) return flow::Lease{.used = counter.used, .frees_at_monotonic_ns = counter.frees_at()};
  const uint64_t granted = std::max(need, left / kShare);
  counter.used += granted;
  counter.slice(counter.step) += granted;
  return flow::Lease{.granted = granted, .used = counter.used};
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
    uint64_t& slice = counter.slice(counter.step - i);
    const uint64_t returned = std::min(slice, unspent);
    slice -= returned;
    counter.used -= returned;
    unspent -= returned;
  }
}

void LimitCounters::forget(model::FlowId flow) {
  if (flow == 0) return;
  std::lock_guard lock(mutex_);
  const auto first = counters_.lower_bound(LimitKey{.flow = flow, .window_ns = INT64_MIN});
  const auto last = std::find_if(first, counters_.end(), [&](const auto& each) { return each.first.flow != flow; });
  counters_.erase(first, last);
}

uint64_t LimitCounters::used(const LimitKey& key, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  const auto found = counters_.find(key);
  if (found == counters_.end()) return 0;
  found->second.advance(now_ns);
  return found->second.used;
}

size_t LimitCounters::size() {
  std::lock_guard lock(mutex_);
  return counters_.size();
}

}  // namespace sallyport::node
