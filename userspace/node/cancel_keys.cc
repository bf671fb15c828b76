// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/cancel_keys.h"

#include <fmt/core.h>

#include "sallyport/base/limits.h"

namespace sallyport::node {

Result<void> CancelKeys::add(model::FlowId flow, std::string agent, model::Endpoint destination, uint32_t backend_pid,
                             Secret secret) {
  if (secret.empty() || secret.reveal().size() > limits::kCancelKeyBytesMax)
    return fail(
        fmt::format("a cancel key has 1 to {} bytes, not {}", limits::kCancelKeyBytesMax, secret.reveal().size()));
  remove(flow);
  std::lock_guard lock(mutex_);
  if (entries_.size() >= limits::kLiveFlowsMax)
    return fail(fmt::format("{} cancel keys are known, no more are taken", limits::kLiveFlowsMax));
  entries_.insert_or_assign(flow, Entry{std::move(agent), destination, backend_pid, std::move(secret)});
  by_pid_.emplace(backend_pid, flow);
  return {};
}

void CancelKeys::remove(model::FlowId flow) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(flow);
  if (found == entries_.end()) return;
  const auto [first, last] = by_pid_.equal_range(found->second.backend_pid);
  for (auto each = first; each != last; ++each) {
    if (each->second != flow) continue;
    by_pid_.erase(each);
    break;
  }
  entries_.erase(found);
}

std::optional<model::FlowId> CancelKeys::find(std::string_view agent, const model::Endpoint& destination,
                                              uint32_t backend_pid, std::string_view secret) const {
  std::lock_guard lock(mutex_);
  const auto [first, last] = by_pid_.equal_range(backend_pid);
  std::optional<model::FlowId> out;
  for (auto each = first; each != last; ++each) {
    const Entry& entry = entries_.at(each->second);
    // Every candidate is compared: the time taken does not tell which one fits.
    const bool same_secret = entry.secret.equals(secret);
    if (entry.agent == agent && entry.destination == destination && same_secret) out = each->second;
  }
  return out;
}

size_t CancelKeys::count() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace sallyport::node
