// SPDX-License-Identifier: Apache-2.0
// Which Agent a workload is, which Target a destination.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "compiled.h"
#include "findings.h"
#include "keys.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

template <class T>
const T* find_by_name(const std::vector<T>& sorted, std::string_view name) {
  const auto found =
      std::ranges::lower_bound(sorted, name, {}, [](const T& item) { return std::string_view(item.name); });
  return found != sorted.end() && found->name == name ? &*found : nullptr;
}

bool may_become(const ExecWorkload& workload, std::string_view user, uint32_t uid) {
  if (uid == 0) return true;
  return std::ranges::any_of(workload.users, [&](const std::string& listed) {
    return (!user.empty() && listed == user) || listed == std::to_string(uid);
  });
}

/// How narrowly `host` fits `destination`: nothing, or the length of its prefix; a resolved name fits like a full
/// address.
std::optional<int> fit(const HostPattern& host, const model::Endpoint& destination, const HostAddresses& resolved) {
  if (host.port != destination.port) return {};
  if (host.name.empty())
    return host.prefix.contains(destination.address) ? std::optional<int>(host.prefix.bits) : std::nullopt;
  const auto known = resolved.find(host.name);
  if (known == resolved.end() || std::ranges::find(known->second, destination.address) == known->second.end())
    return {};
  return 128;
}

bool lists(const std::vector<Pattern>& patterns, model::ObjectKind kind, const std::string& name) {
  const model::Effect effect{.statement_class = std::string(kStartupClass), .kind = kind, .object = name};
  const SqlEffect sql(effect);
  return patterns.empty() || std::ranges::any_of(patterns, [&](const Pattern& p) { return p.matches(sql.parts()); });
}

bool is_selected(const TargetSelector& selector, const Target& target, const TargetRules& rules) {
  if (!selector.name.empty()) return target.name == selector.name;
  if (selector.user.empty()) return false;  // nothing was said yet
  return lists(rules.databases, model::ObjectKind::database, selector.database) &&
         lists(rules.users, model::ObjectKind::role, selector.user);
}

}  // namespace

std::string_view to_string(Level level) { return keys::kLevels[static_cast<size_t>(level)]; }
std::string_view to_string(TlsMode mode) { return keys::kTlsModes[static_cast<size_t>(mode)]; }
std::string_view to_string(AgentTls tls) { return keys::kAgentTls[static_cast<size_t>(tls)]; }
std::string_view to_string(AuthMethod method) { return keys::kAuthMethods[static_cast<size_t>(method)]; }

Policy::Policy(std::unique_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
Policy::~Policy() = default;

uint64_t Policy::epoch() const { return compiled_->epoch; }
std::span<const Agent> Policy::agents() const { return compiled_->agents; }
std::span<const Target> Policy::targets() const { return compiled_->targets; }
std::span<const Issuer> Policy::issuers() const { return compiled_->issuers; }
const Issuer* Policy::find_issuer(std::string_view name) const { return find_by_name(compiled_->issuers, name); }
std::span<const MaskKey> Policy::mask_keys() const { return compiled_->keys; }
const Agent* Policy::find_agent(std::string_view name) const { return find_by_name(compiled_->agents, name); }
const Target* Policy::find_target(std::string_view name) const { return find_by_name(compiled_->targets, name); }

Result<const Agent*> Policy::agent_for_exec(std::string_view name, std::string_view user, uint32_t uid) const {
  std::vector<std::string_view> known;
  for (const Agent& agent : compiled_->agents) {
    for (const ExecWorkload& workload : agent.exec) {
      known.push_back(workload.name);
      if (workload.name != name) continue;
      if (may_become(workload, user, uid)) return &agent;
      const std::string caller = user.empty() ? fmt::format("uid {}", uid) : fmt::format("user `{}`", printable(user));
      return fail(
          fmt::format("{} may not become agent `{}`", caller, agent.name),
          fmt::format("the Agent says who may: workload: [{{exec: {{name: {}, users: [{}]}}}}] ({})", workload.name,
                      user.empty() ? std::to_string(uid) : printable(user), workload.where.to_string()));
    }
  }
  return fail(fmt::format("no Agent has the workload exec `{}`", printable(name)),
              known.empty() ? "the policy has no exec workload" : meant(name, known));
}

std::vector<WorkloadMatch> Policy::match_workload(const model::Workload& workload) const {
  return compiled_->workloads.match(workload);
}

std::vector<WorkloadMismatch> Policy::mismatches(const Agent& agent, const model::Workload& workload) const {
  return policy::mismatches(agent, workload);
}

std::vector<std::string> Policy::host_names() const {
  std::set<std::string> names;
  for (const Target& target : compiled_->targets)
    for (const HostPattern& host : target.hosts)
      if (!host.name.empty()) names.insert(host.name);
  return {names.begin(), names.end()};
}

std::string TargetMatch::names() const {
  std::string out = target ? fmt::format("`{}`", target->name) : "";
  for (const Target* other : others) out += fmt::format(" and `{}`", other->name);
  return out;
}

TargetMatch Policy::match_target(const model::Endpoint& destination, const HostAddresses& resolved,
                                 const TargetSelector& selector) const {
  std::vector<std::pair<const Target*, const HostPattern*>> best;
  int best_fit = -1;
  for (const Target& target : compiled_->targets) {
    for (const HostPattern& host : target.hosts) {
      const auto found = fit(host, destination, resolved);
      if (!found || *found < best_fit) continue;
      if (*found > best_fit) best.clear();
      best_fit = *found;
      if (best.empty() || best.back().first != &target)
        best.emplace_back(&target, &host);
      else if (best.back().second->name.empty())
        best.back().second = &host;  // a name says more than an address: a certificate can be for it
    }
  }
  const auto fits = [&](const auto& one) { return is_selected(selector, *one.first, compiled_->rules_of(*one.first)); };
  if (best.size() > 1 && std::ranges::count_if(best, fits) == 1)
    std::erase_if(best, [&](const auto& one) { return !fits(one); });
  if (best.empty()) return {};
  TargetMatch out{best.front().first, best.front().second, {}};
  for (size_t i = 1; i < best.size(); ++i) out.others.push_back(best[i].first);
  return out;
}

}  // namespace sallyport::policy
