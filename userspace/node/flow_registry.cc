// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/flow_registry.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/limits.h"

namespace sallyport::node {

Result<void> FlowRegistry::add(LiveFlow flow) {
  std::lock_guard lock(mutex_);
  if (flows_.size() >= limits::kLiveFlowsMax)
    return fail(fmt::format("{} flows are live, no more are taken", limits::kLiveFlowsMax));
  const std::string agent = flow.principal.agent;
  const model::FlowId id = flow.flow;
  if (id == 0 || !flows_.try_emplace(id, std::move(flow)).second) return fail(fmt::format("flow id {} is in use", id));
  ++per_agent_[agent];
  return {};
}

void FlowRegistry::describe(model::FlowId flow, model::SessionId session, std::string target, std::string protocol) {
  std::lock_guard lock(mutex_);
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return;
  found->second.session = std::move(session);
  found->second.target = std::move(target);
  found->second.protocol = std::move(protocol);
}

void FlowRegistry::remove(model::FlowId flow) {
  std::lock_guard lock(mutex_);
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return;
  const auto counted = per_agent_.find(found->second.principal.agent);
  if (--counted->second == 0) per_agent_.erase(counted);
  flows_.erase(found);
}

size_t FlowRegistry::count() const {
  std::lock_guard lock(mutex_);
  return flows_.size();
}

std::optional<LiveFlow> FlowRegistry::find(model::FlowId flow) const {
  std::lock_guard lock(mutex_);
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return std::nullopt;
  return found->second;
}

std::optional<unsigned> FlowRegistry::worker_of(model::FlowId flow) const {
  std::lock_guard lock(mutex_);
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return std::nullopt;
  return found->second.worker;
}

std::vector<LiveFlow> FlowRegistry::list(const std::string& agent) const {
  std::vector<LiveFlow> out;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, flow] : flows_)
      if (agent.empty() || flow.principal.agent == agent) out.push_back(flow);
  }
  std::ranges::sort(out, {}, [](const LiveFlow& flow) { return std::pair(flow.opened_wall_ns, flow.flow); });
  return out;
}

size_t FlowRegistry::count_of(const std::string& agent) const {
  std::lock_guard lock(mutex_);
  const auto found = per_agent_.find(agent);
  return found == per_agent_.end() ? 0 : found->second;
}

}  // namespace sallyport::node
