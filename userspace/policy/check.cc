// SPDX-License-Identifier: Apache-2.0
// What can only be seen with all documents at hand.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "compile.h"
#include "keys.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

using ByName = std::map<std::string_view, const Place*>;

/// Adds a name that must be unique; `what`: "Agent `x`".
void add_unique(ByName& seen, std::string_view name, const Place& where, std::string_view what, Findings& findings) {
  if (name.empty()) return;
  const auto [other, fresh] = seen.emplace(name, &where);
  if (!fresh)
    findings.error(where, fmt::format("duplicate {} `{}`", what, name),
                   fmt::format("the other one stands at {}", other->second->to_string()));
}

void check_reference(const ByName& known, const Reference& reference, std::string_view kind, Findings& findings) {
  if (reference.name.empty() || known.contains(reference.name)) return;
  std::vector<std::string_view> words;
  for (const auto& [name, where] : known) words.push_back(name);
  findings.error(reference.where, fmt::format("no {} is named `{}`", kind, reference.name),
                 words.empty() ? fmt::format("there is no {} at all", kind) : meant(reference.name, words));
}

/// Whether every name that `narrow` lists stands in `wide` as well; an empty list is all names.
bool within(const std::vector<std::string>& narrow, const std::vector<std::string>& wide) {
  return wide.empty() || (!narrow.empty() && std::ranges::all_of(narrow, [&](const std::string& name) {
           return std::ranges::find(wide, name) != wide.end();
         }));
}

bool within(const Target& narrow, const Target& wide) {
  return narrow.protocol == wide.protocol && within(narrow.databases, wide.databases) &&
         within(narrow.users, wide.users);
}

/// A second Target with the same host: told apart by database and user, or not at all.
void check_same_host(const Target& first, const HostPattern& first_host, const Target& second,
                     const HostPattern& second_host, Findings& findings) {
  const std::string both =
      fmt::format("`{}` is listed twice: in Target `{}` and Target `{}`", second_host.text, first.name, second.name);
  const std::string place = fmt::format("the other one stands at {}", first_host.where.to_string());
  if (&first == &second) return findings.error(second_host.where, both, place);
  if (first.protocol == "http" && second.protocol == "http") return findings.error(second_host.where, both, place);
  if (first.protocol != second.protocol || (within(first, second) && within(second, first)))
    return findings.error(second_host.where, both, place + "; give them `databases` or `users` that differ");
  if (first.token_from != second.token_from || first.token_header != second.token_header)
    return findings.error(second_host.where, both + ", which differ in `token`",
                          place + "; nobody could say where an agent shows its token");
  for (const auto& [narrow, wide] : {std::pair(&first, &second), std::pair(&second, &first)})
    if (within(*narrow, *wide))
      findings.warning(second_host.where,
                       fmt::format("Target `{}` is never chosen at `{}`: what it lists fits Target `{}` as well",
                                   narrow->name, second_host.text, wide->name),
                       fmt::format("give `{}` `databases` or `users` without those of `{}`", wide->name, narrow->name));
}

/// Two agents must not be told by the same workload, nor two targets be one.
void check_ambiguity(const Documents& documents, Findings& findings) {
  ByName exec;
  for (const Agent& agent : documents.agents)
    for (const ExecWorkload& w : agent.exec) add_unique(exec, w.name, w.where, "workload exec", findings);
  check_workloads(documents.agents, documents.issuers, findings);
  using Listed = std::vector<std::pair<const Target*, const HostPattern*>>;
  std::map<std::tuple<std::string_view, model::Prefix, uint16_t>, Listed> hosts;
  for (const ParsedTarget& parsed : documents.targets) {
    for (const HostPattern& host : parsed.target.hosts) {
      Listed& same = hosts[{host.name, host.prefix, host.port}];
      for (const auto& [target, place] : same) check_same_host(*target, *place, parsed.target, host, findings);
      same.emplace_back(&parsed.target, &host);
    }
  }
}

void check_hash_keys(const Mask& mask, const ByName& keys, Findings& findings) {
  size_t use = 0;
  const auto check = [&](const model::MaskSpec& spec) {
    if (spec.strategy == model::MaskStrategy::hash && !spec.key.empty() && use < mask.key_uses.size())
      check_reference(keys, {spec.key, mask.key_uses[use++]}, "mask key", findings);
  };
  for (const model::ColumnMask& column : mask.columns) check(column.with);
  for (const model::DetectMask& detect : mask.detect) check(detect.with);
}

/// What `detect` names is a type of ours or a Detector; its patterns must work.
void check_detectors(const Documents& documents, const LoadOptions& options, Findings& findings) {
  std::vector<std::string_view> types(keys::kDetectors.begin(), keys::kDetectors.end());
  for (const Detector& detector : documents.detectors) {
    if (std::ranges::find(keys::kDetectors, detector.name) != keys::kDetectors.end())
      findings.error(detector.where, fmt::format("`{}` is a type of Sallyport's own", detector.name),
                     "take another name");
    types.push_back(detector.name);
    for (size_t i = 0; i < detector.patterns.size() && options.check_pattern; ++i)
      if (auto good = options.check_pattern(detector.patterns[i]); !good)
        findings.error(detector.places[i], good.error().what, good.error().hint);
  }
  for (const Mask& mask : documents.masks)
    for (size_t i = 0; i < mask.detect.size(); ++i)
      if (std::ranges::find(types, mask.detect[i].type) == types.end())
        findings.error(mask.type_uses[i], fmt::format("type cannot be `{}`", printable(mask.detect[i].type)),
                       meant(mask.detect[i].type, types));
}

void check_past(const Entitlement& entitlement, int64_t wall_ns, Findings& findings) {
  if (wall_ns == 0) return;
  const bool defined = entitlement.until_ns != kAlways && entitlement.expires_ns != kAlways;
  if (!defined || entitlement.end_ns() > wall_ns) return;
  const NamedRule& cause = entitlement.expires_ns <= wall_ns ? entitlement.lapsed : entitlement.late;
  findings.warning(entitlement.where, fmt::format("Entitlement `{}` grants nothing: {}", entitlement.name, cause.text),
                   "its denies and masks stay in force");
}

/// `exe` is a path in the workload's own mount namespace: what a container has there is its image's word.
void check_processes(const Entitlement& entitlement, const Agent* agent, Findings& findings) {
  const auto in_container = [](const WorkloadSelector& selector) {
    using Kind = model::WorkloadKind;
    return selector.kind != Kind::systemd && selector.kind != Kind::other;
  };
  const bool contained = agent && std::ranges::any_of(agent->workloads, in_container);
  bool grants = false, to_all = false;
  for (const auto& rule : entitlement.rules) {
    grants |= rule->outcome != model::Outcome::deny;
    to_all |= rule->outcome != model::Outcome::deny && !rule->process;
    if (!contained || !rule->process || rule->process->exe.empty() || !rule->process->sha256.empty()) continue;
    findings.warning(rule->place,
                     fmt::format("`{}`: what lies at {} in a container is the container's own word", rule->name,
                                 rule->process->exe[0].text),
                     "name the file's `sha256` too");
  }
  if (grants && !to_all && !entitlement.reveal.empty())
    findings.warning(entitlement.reveal[0].where,
                     fmt::format("`reveal` of Entitlement `{}` counts for every process of the agent, and its rules "
                                 "are for some",
                                 entitlement.name));
}

using ScopeRules = std::map<std::pair<std::string_view, std::string_view>, std::vector<const Entitlement*>>;

void check_unreachable(const std::vector<const Entitlement*>& scope, Findings& findings) {
  std::vector<const Rule*> grants, denies;
  for (const Entitlement* entitlement : scope)
    for (const auto& rule : entitlement->rules)
      (rule->outcome == model::Outcome::deny ? denies : grants).push_back(rule.get());
  for (const Rule* grant : grants) {
    const auto shadow = std::ranges::find_if(denies, [&](const Rule* deny) {
      if (deny->process) return false;
      if (deny->http || grant->http) return deny->http && grant->http && shadows(*deny->http, *grant->http);
      return shadows(deny->sql, grant->sql);
    });
    if (shadow == denies.end()) continue;
    findings.error(grant->place,
                   fmt::format("unreachable: `{}` denies everything that `{}` matches", (*shadow)->name, grant->name),
                   fmt::format("remove one of them; the deny stands at {}", (*shadow)->where));
  }
}

/// What an Entitlement says must be of its Target's protocol: a rule of another one would never speak.
void check_protocol(const Entitlement& entitlement, const Target& target, Findings& findings) {
  for (const auto& rule : entitlement.rules)
    if (rule->protocol() != target.protocol)
      findings.error(rule->place,
                     fmt::format("a rule about {}, but Target `{}` is of protocol {}", rule->http ? "http" : "sql",
                                 target.name, target.protocol),
                     target.protocol == "http" ? "write - http: {methods: [GET], paths: [/v1/**]}"
                                               : "write - sql: {statements: [select]}");
  if (target.protocol != "http") return;
  for (const Reference& mask : entitlement.masks)
    findings.error(mask.where, "masks: nothing reads bodies of protocol http yet, so values would pass unmasked",
                   "leave it out and allow only paths whose answers may be seen");
  for (const model::Limit& limit : entitlement.limits)
    if (limit.count == model::Limit::Count::rows)
      findings.error(entitlement.where, fmt::format("{}: HTTP has no rows to count", limit.rule),
                     "count bytes, or statements: each request is one");
}

}  // namespace

void check_together(const Documents& documents, const LoadOptions& options, Findings& findings) {
  ByName agents, targets, masks, keys, entitlements, detectors, issuers;
  for (const Agent& agent : documents.agents) add_unique(agents, agent.name, agent.where, "Agent", findings);
  for (const ParsedTarget& t : documents.targets)
    add_unique(targets, t.target.name, t.target.where, "Target", findings);
  for (const Mask& mask : documents.masks) add_unique(masks, mask.name, mask.where, "Mask", findings);
  for (const MaskKey& key : documents.keys) add_unique(keys, key.name, key.where, "mask key", findings);
  for (const auto& e : documents.entitlements) add_unique(entitlements, e->name, e->where, "Entitlement", findings);
  check_ambiguity(documents, findings);
  for (const Detector& detector : documents.detectors)
    add_unique(detectors, detector.name, detector.where, "Detector", findings);
  check_detectors(documents, options, findings);
  for (const Mask& mask : documents.masks) check_hash_keys(mask, keys, findings);
  for (const Issuer& issuer : documents.issuers) add_unique(issuers, issuer.name, issuer.where, "Issuer", findings);
  for (const Agent& agent : documents.agents)
    if (agent.token) check_reference(issuers, {agent.token->issuer, agent.token->issuer_where}, "Issuer", findings);
  std::map<std::string_view, const Target*> target_by_name;
  for (const ParsedTarget& parsed : documents.targets) {
    target_by_name.emplace(parsed.target.name, &parsed.target);
    for (const Reference& mask : parsed.masks) check_reference(masks, mask, "Mask", findings);
  }
  ScopeRules scopes;
  for (const auto& entitlement : documents.entitlements) {
    check_reference(agents, entitlement->agent, "Agent", findings);
    check_reference(targets, entitlement->target, "Target", findings);
    for (const Reference& mask : entitlement->masks) check_reference(masks, mask, "Mask", findings);
    for (const Reference& reveal : entitlement->reveal) {
      check_reference(masks, reveal, "Mask", findings);
      const auto target = target_by_name.find(entitlement->target.name);
      if (target == target_by_name.end() || !masks.contains(reveal.name)) continue;
      if (std::ranges::find(target->second->masks, reveal.name) == target->second->masks.end())
        findings.warning(
            reveal.where,
            fmt::format("reveal `{}` lifts nothing: Target `{}` has no such mask", reveal.name, target->first),
            "a mask that an Entitlement adds is not lifted by another one");
    }
    if (const auto target = target_by_name.find(entitlement->target.name); target != target_by_name.end())
      check_protocol(*entitlement, *target->second, findings);
    check_past(*entitlement, options.wall_ns, findings);
    const auto agent = std::ranges::find(documents.agents, entitlement->agent.name, &Agent::name);
    check_processes(*entitlement, agent == documents.agents.end() ? nullptr : &*agent, findings);
    auto& scope = scopes[{entitlement->agent.name, entitlement->target.name}];
    scope.push_back(entitlement.get());
    if (scope.size() == limits::kPolicyScopeEntitlementsMax + 1)
      findings.error(
          entitlement->where,
          fmt::format("more than {} Entitlements for one agent on one target", limits::kPolicyScopeEntitlementsMax),
          "join their rules");
  }
  for (const auto& [key, scope] : scopes) check_unreachable(scope, findings);
}

}  // namespace sallyport::policy
