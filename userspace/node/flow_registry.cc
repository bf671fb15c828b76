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
  const int64_t opened_wall_ns = flow.opened_wall_ns;
  if (id == 0 || !flows_.try_emplace(id, std::move(flow)).second) return fail(fmt::format("flow id {} is in use", id));
  count(agent, opened_wall_ns);
  return {};
}

void FlowRegistry::count(const std::string& agent, int64_t wall_ns) {
  ++per_agent_[agent];
  last_seen_[agent] = wall_ns;
}

void FlowRegistry::uncount(const std::string& agent) {
  const auto counted = per_agent_.find(agent);
  if (--counted->second == 0) per_agent_.erase(counted);
}

void FlowRegistry::identify(model::FlowId flow, const std::string& agent, const model::TokenIdentity& token,
                            int64_t wall_ns) {
  std::lock_guard lock(mutex_);
  const auto found = flows_.find(flow);
  if (found == flows_.end()) return;
  model::Principal& principal = found->second.principal;
  principal.token = token;
  if (principal.agent == agent) return;
  uncount(principal.agent);
  principal.agent = agent;
  count(agent, wall_ns);
}

int64_t FlowRegistry::last_seen(const std::string& agent) const {
  std::lock_guard lock(mutex_);
  const auto found = last_seen_.find(agent);
  return found == last_seen_.end() ? 0 : found->second;
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
  uncount(found->second.principal.agent);
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

std::vector<std::pair<model::FlowId, unsigned>> FlowRegistry::of_cgroup(uint64_t cgroup_id) const {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<model::FlowId, unsigned>> out;
  for (const auto& [id, flow] : flows_)
    if (flow.principal.cgroup_id == cgroup_id) out.emplace_back(id, flow.worker);
  return out;
}

size_t FlowRegistry::count_of(const std::string& agent) const {
  std::lock_guard lock(mutex_);
  const auto found = per_agent_.find(agent);
  return found == per_agent_.end() ? 0 : found->second;
}

}  // namespace sallyport::node
