// SPDX-License-Identifier: Apache-2.0
#include "daemon/flow_services.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <openssl/rand.h>
#include <unistd.h>

#include "sallyport/base/check.h"
#include "sallyport/base/log.h"
#include "sallyport/record/session_id.h"

namespace sallyport::daemon {
namespace {

constexpr size_t kDetectorSetsMax = 64;

std::string strong_random(size_t count) {
  std::string out(count, '\0');
  SP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) == 1);
  return out;
}

}  // namespace

FlowServices::FlowServices(PolicyStore& policy, Tokens& tokens, node::FlowRegistry& registry,
                           node::CancelKeys& cancel_keys, node::LimitCounters& limits, node::Catalogues& catalogues,
                           edges::Processes& processes, std::string node_name)
    : policy_(policy),
      tokens_(tokens),
      registry_(registry),
      cancel_keys_(cancel_keys),
      limits_(limits),
      catalogues_(catalogues),
      processes_(processes),
      credentials_(geteuid()),
      node_name_(std::move(node_name)),
      node_secret_(strong_random(32)) {}

std::string FlowServices::random_bytes(size_t count) { return strong_random(count); }

model::SessionId FlowServices::make_session_id(const Now& now) { return record::make_session_id(now.wall_ns); }

Result<flow::Credential> FlowServices::credential(const std::string& file) {
  auto found = credentials_.find(file);
  if (!found) return std::unexpected(found.error());
  return flow::Credential{std::move(found->user), std::move(found->password)};
}

Result<Secret> FlowServices::verifier(const std::string& file, const std::string& role) {
  auto found = credentials_.find_verifier(file, role);
  if (!found) return std::unexpected(found.error());
  return found->value_or(Secret());
}

Result<std::shared_ptr<const mask::DetectorSet>> FlowServices::detectors(const std::vector<model::DetectMask>& rules) {
  std::string key;
  for (const model::DetectMask& rule : rules) {
    key += fmt::format("{}|{}|{}|{}|{}|{}|{}\n", rule.type, static_cast<int>(rule.with.strategy), rule.with.fixed,
                       rule.with.keep_last, rule.with.key, rule.min_score, fmt::join(rule.regions, ","));
    for (const model::DetectPattern& pattern : rule.patterns)
      key += fmt::format("{}|{}|{}|{}|{}|{}\n", fmt::join(pattern.keywords, " "), pattern.pattern, pattern.ignore_case,
                         pattern.entropy_min, pattern.score, fmt::join(pattern.context, "|"));
  }
  std::lock_guard lock(mutex_);
  if (auto found = detectors_.find(key); found != detectors_.end()) return found->second;
  auto compiled = mask::DetectorSet::compile(rules);
  if (!compiled) return compiled;
  if (detectors_.size() >= kDetectorSetsMax) detectors_.clear();
  return detectors_[key] = *compiled;
}

Result<flow::Lease> FlowServices::lease(const flow::Origin& origin, std::string_view target, const model::Limit& limit,
                                        uint64_t need, const Now& now) {
  return limits_.lease(node::LimitKey::of(limit, origin, target), limit.max, need, now.monotonic_ns);
}

void FlowServices::give_back(const flow::Origin& origin, std::string_view target, const model::Limit& limit,
                             uint64_t unspent, const Now& now) {
  limits_.give_back(node::LimitKey::of(limit, origin, target), unspent, now.monotonic_ns);
}

void FlowServices::add_cancel_key(const flow::Origin& origin, uint32_t pid, std::string_view key) {
  auto added = cancel_keys_.add(origin.id, origin.principal.agent, origin.destination, pid, Secret(std::string(key)));
  if (!added) spdlog::warn("flow {}: its queries cannot be cancelled: {}", origin.id, added.error().what);
}

std::optional<flow::CancelOwner> FlowServices::owner_of_cancel_key(const flow::Origin& canceller, uint32_t pid,
                                                                   std::string_view key) {
  std::vector<std::string> agents{canceller.principal.agent};
  if (agents[0].empty())
    if (const auto holder = tokens_.holder(canceller.principal.cgroup_id)) agents = holder->agents;
  for (const std::string& agent : agents) {
    const auto flow = cancel_keys_.find(agent, canceller.destination, pid, key);
    if (const auto live = flow ? registry_.find(*flow) : std::nullopt) return flow::CancelOwner{live->target, agent};
  }
  return std::nullopt;
}

void FlowServices::identified(const flow::Origin& origin) {
  registry_.identify(origin.id, origin.principal.agent, origin.principal.token, read_clocks().wall_ns);
}

void FlowServices::describe(model::FlowId flow, const model::SessionId& session, std::string_view target,
                            std::string_view protocol) {
  registry_.describe(flow, session, std::string(target), std::string(protocol));
}

}  // namespace sallyport::daemon
