// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/holds.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/limits.h"

namespace sallyport::node {

Holds::Holds(Post post) : post_(std::move(post)) {}

Result<HoldId> Holds::add(HeldOperation held) {
  std::lock_guard lock(mutex_);
  if (held_.size() >= limits::kHoldsMax)
    return fail(fmt::format("{} operations are held, no more can be", limits::kHoldsMax));
  size_t of_flow = 0;
  for (const auto& [id, other] : held_) {
    if (other.flow != held.flow) continue;
    if (other.operation == held.operation) return fail("the operation is held already");
    ++of_flow;
  }
  if (of_flow >= limits::kHoldsPerFlowMax)
    return fail(fmt::format("{} operations of one connection are held, no more can be", limits::kHoldsPerFlowMax));
  held.id = next_id_++;
  const HoldId id = held.id;
  held_.emplace(id, std::move(held));
  return id;
}

std::vector<HeldOperation> Holds::list(const std::string& agent) const {
  std::lock_guard lock(mutex_);
  std::vector<HeldOperation> out;
  for (const auto& [id, held] : held_)
    if (agent.empty() || held.agent == agent) out.push_back(held);
  return out;
}

Result<void> Holds::answer(HoldId id, bool approved, std::string by, int64_t now_monotonic_ns) {
  HeldOperation held;
  {
    std::lock_guard lock(mutex_);
    const auto found = held_.find(id);
    // One that expired but was not swept yet: its time is over all the same.
    if (found == held_.end() || found->second.expires_monotonic_ns <= now_monotonic_ns)
      return fail(fmt::format("nothing is held under id {}", id),
                  "it was answered, it expired, or its agent went away");
    held = std::move(found->second);
    held_.erase(found);
  }
  if (!post_(held.flow, {.operation = held.operation, .approved = approved, .by = std::move(by)}))
    return fail("the answer could not be handed to the connection", "it times out as a denial");
  return {};
}

size_t Holds::expire(int64_t now_monotonic_ns) {
  std::vector<HeldOperation> expired;
  {
    std::lock_guard lock(mutex_);
    for (auto each = held_.begin(); each != held_.end();) {
      if (each->second.expires_monotonic_ns > now_monotonic_ns) {
        ++each;
        continue;
      }
      expired.push_back(std::move(each->second));
      each = held_.erase(each);
    }
  }
  for (const HeldOperation& held : expired)
    post_(held.flow, {.operation = held.operation, .approved = false, .by = "nobody in time"});
  return expired.size();
}

void Holds::remove(model::FlowId flow, model::OperationId operation) {
  std::lock_guard lock(mutex_);
  std::erase_if(held_,
                [&](const auto& each) { return each.second.flow == flow && each.second.operation == operation; });
}

void Holds::remove_flow(model::FlowId flow) {
  std::lock_guard lock(mutex_);
  std::erase_if(held_, [flow](const auto& each) { return each.second.flow == flow; });
}

size_t Holds::count() const {
  std::lock_guard lock(mutex_);
  return held_.size();
}

}  // namespace sallyport::node
