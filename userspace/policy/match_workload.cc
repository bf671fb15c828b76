// SPDX-License-Identifier: Apache-2.0
#include "match_workload.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compile.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

using model::Workload;
using model::WorkloadKind;

constexpr std::string_view kLabels = "labels.";

/// What a workload says of a fact.
struct Values {
  std::vector<std::string_view> texts;
  std::string_view unknown = {};  ///< in words why nobody can say
};

Values one(std::string_view text, std::string_view if_empty) {
  if (text.empty()) return {{}, if_empty};
  return {{text}};
}

Values label(const Workload& workload, std::string_view name, std::string_view if_unread) {
  const auto found = workload.labels.find(std::string(name));
  if (found != workload.labels.end()) return {{found->second}};
  return {{}, workload.labels.empty() ? if_unread : std::string_view("there is no such label")};
}

/// `uid` keeps the digits that the answer views.
Values values_of(const Workload& workload, std::string_view fact, std::string& uid) {
  constexpr std::string_view kUnread = "the runtime's own state does not tell it (yet)";
  constexpr std::string_view kNoUser = "it is no user's own";
  const model::CgroupFacts& cgroup = workload.cgroup;
  if (fact == "namespace") return one(workload.pod_namespace, kUnread);
  if (fact == "pod") return one(workload.pod, kUnread);
  if (fact == "uid") return one(cgroup.pod_uid, "");
  if (fact == "qos") return one(cgroup.qos, "");
  if (fact == "serviceAccount") return one(workload.service_account, "only a verified token tells it");
  if (fact == "name") return one(workload.name, kUnread);
  if (fact == "image") return one(workload.image, kUnread);
  if (fact == "id") return one(cgroup.container_id, "");
  if (fact == "unit") return one(cgroup.unit, "");
  if (fact == "slice") return {{cgroup.slices.begin(), cgroup.slices.end()}};
  if (fact.starts_with(kLabels)) return label(workload, fact.substr(kLabels.size()), kUnread);
  if (!cgroup.user) return {{}, kNoUser};
  uid = std::to_string(*cgroup.user);
  Values out{{uid}};
  if (!workload.user_name.empty()) out.texts.push_back(workload.user_name);
  return out;
}

/// Splits like parse_fact_pattern. An image has no leading slash.
std::span<const Part> split(std::string_view fact, std::string_view value, std::string& slashed,
                            std::span<Part> parts) {
  if (fact != "image") {
    parts[0] = {value, Part::Kind::plain};
    return parts.first(1);
  }
  slashed = fmt::format("/{}", value);
  return parts.first(split_path(slashed, parts));
}

bool fits(const std::vector<Pattern>& any_of, std::string_view fact, const Values& values) {
  return std::ranges::any_of(values.texts, [&](std::string_view value) {
    Part parts[limits::kPolicySegmentsMax];
    std::string slashed;
    const auto name = split(fact, value, slashed, parts);
    return !name.empty() && std::ranges::any_of(any_of, [&](const Pattern& p) { return p.matches(name); });
  });
}

/// The longest beginning of the identity that a pattern matches; empty: none. What lies below the identity is the
/// workload's own word.
std::string_view matched_cgroup(const std::vector<Pattern>& any_of, std::string_view identity) {
  Part parts[limits::kPolicySegmentsMax];
  for (size_t count = split_path(identity, parts); count > 0; --count) {
    const auto name = std::span(parts).first(count);
    if (std::ranges::any_of(any_of, [&](const Pattern& p) { return p.matches(name); }))
      return identity.substr(0, static_cast<size_t>(parts[count - 1].text.end() - identity.begin()));
  }
  return {};
}

bool includes_all(const std::vector<Pattern>& wide, const std::vector<Pattern>& narrow) {
  return std::ranges::all_of(narrow, [&](const Pattern& n) {
    return std::ranges::any_of(wide, [&](const Pattern& w) { return w.includes(n); });
  });
}

bool is_literal(const Pattern& pattern) {
  return std::ranges::all_of(pattern.segments, [](const Segment& s) { return s.kind == Segment::Kind::literal; });
}

}  // namespace

std::string WorkloadSelector::to_string() const {
  if (kind == WorkloadKind::other) return fmt::format("cgroup {}", fmt::join(facts.at(0).any_of, ", "));
  std::string out = fmt::format("{} {{", model::to_string(kind));
  for (const WorkloadFact& fact : facts)
    out += fmt::format("{}{}: [{}]", &fact == &facts.front() ? "" : ", ", fact.name, fmt::join(fact.any_of, ", "));
  return out + "}";
}

Result<Pattern> parse_fact_pattern(std::string_view fact, std::string_view text) {
  if (fact == "cgroup") return parse_path_pattern(text);
  if (fact != "image") return parse_text_pattern(text);
  auto out = parse_path_pattern(fmt::format("/{}", text));
  if (!out) return fail(fmt::format("`{}` is no image", printable(text)), "write it as in registry.example.com/bots/*");
  out->text = text;
  return out;
}

WorkloadRule::WorkloadRule(const Agent& agent, const WorkloadSelector& selector)
    : agent_(&agent), selector_(&selector) {
  for (const WorkloadFact& fact : selector.facts) {
    Fact& out = facts_.emplace_back(&fact);
    for (const std::string& text : fact.any_of)
      if (auto pattern = parse_fact_pattern(fact.name, text)) out.any_of.push_back(std::move(*pattern));
  }
}

/// A rootless container is whatever its user says: only a selector that names the user takes it.
bool WorkloadRule::trusts_user() const {
  return std::ranges::any_of(facts_, [](const Fact& fact) { return fact.written->name == "user"; });
}

WorkloadRule::Fit WorkloadRule::fit(const Workload& workload, std::string& cgroup) const {
  if (workload.cgroup.identity.empty()) return Fit::no;
  if (selector_->kind == WorkloadKind::other) {
    cgroup = facts_.empty() ? "" : matched_cgroup(facts_[0].any_of, workload.cgroup.identity);
    return cgroup.empty() ? Fit::no : Fit::yes;
  }
  if (workload.cgroup.kind != selector_->kind) return Fit::no;
  const bool rootless = workload.cgroup.user && selector_->kind != WorkloadKind::systemd;
  if (rootless && !trusts_user()) return Fit::no;
  Fit out = Fit::yes;
  std::string uid;
  for (const Fact& fact : facts_) {
    const Values values = values_of(workload, fact.written->name, uid);
    if (fits(fact.any_of, fact.written->name, values)) continue;
    if (fact.written->source != kFromToken || !values.texts.empty()) return Fit::no;
    out = Fit::needs_token;
  }
  cgroup = workload.cgroup.identity;
  return out;
}

void WorkloadRule::explain(const Workload& workload, std::vector<WorkloadMismatch>& out) const {
  std::string unused;
  if (fit(workload, unused) == Fit::yes) return;
  const model::CgroupFacts& cgroup = workload.cgroup;
  const auto add = [&](std::string fact, std::string wanted, std::string found) {
    out.push_back({selector_, std::move(fact), std::move(wanted), std::move(found)});
  };
  if (cgroup.identity.empty()) return add("cgroup", "a path", "malformed");
  const bool by_path = selector_->kind == WorkloadKind::other;
  if (!by_path && cgroup.kind != selector_->kind)
    return add("kind", std::string(model::to_string(selector_->kind)), model::name_of(workload));
  if (!by_path && selector_->kind != WorkloadKind::systemd && cgroup.user && !trusts_user())
    return add("user", "root's own, or `user` in the selector", fmt::format("a container of uid {}", *cgroup.user));
  std::string uid;
  for (const Fact& fact : facts_) {
    const std::string wanted = fmt::format("{}", fmt::join(fact.written->any_of, " or "));
    if (by_path) return add("cgroup", wanted, cgroup.identity);
    const Values values = values_of(workload, fact.written->name, uid);
    if (fits(fact.any_of, fact.written->name, values)) continue;
    add(fact.written->name, wanted,
        values.texts.empty() ? std::string(values.unknown) : fmt::format("{}", fmt::join(values.texts, ", ")));
  }
}

bool WorkloadRule::includes(const WorkloadRule& narrower) const {
  if (selector_->kind != narrower.selector_->kind) return false;
  // Of cgroups the nearest one counts: only the same path is no narrower.
  if (selector_->kind == WorkloadKind::other) return selector_->facts[0].any_of == narrower.selector_->facts[0].any_of;
  return std::ranges::all_of(facts_, [&](const Fact& wide) {
    return std::ranges::any_of(narrower.facts_, [&](const Fact& narrow) {
      return wide.written->name == narrow.written->name && includes_all(wide.any_of, narrow.any_of);
    });
  });
}

std::pair<std::string_view, std::string_view> WorkloadRule::literal() const {
  constexpr std::string_view kTelling[] = {"cgroup",         "uid",       "id",    "name", "unit", "pod",
                                           "serviceAccount", "namespace", "image", "user"};
  for (std::string_view name : kTelling) {
    for (const Fact& fact : facts_)
      if (fact.written->name == name && fact.written->source != kFromToken && fact.any_of.size() == 1 &&
          is_literal(fact.any_of[0]))
        return {fact.written->name, fact.any_of[0].text};
  }
  return {};
}

std::string WorkloadIndex::key(WorkloadKind kind, std::string_view fact, std::string_view value) {
  return fmt::format("{} {} {}", static_cast<int>(kind), fact, value);
}

WorkloadIndex::WorkloadIndex(const std::vector<Agent>& agents) {
  for (const Agent& agent : agents)
    for (const WorkloadSelector& selector : agent.workloads) rules_.emplace_back(agent, selector);
  for (uint32_t i = 0; i < rules_.size(); ++i) {
    const auto [fact, value] = rules_[i].literal();
    (fact.empty() ? others_ : by_literal_[key(rules_[i].selector().kind, fact, value)]).push_back(i);
  }
}

std::vector<WorkloadMatch> WorkloadIndex::match(const Workload& workload) const {
  std::vector<WorkloadMatch> out;
  const auto look = [&](const std::vector<uint32_t>& rules) {
    std::string cgroup;
    for (uint32_t index : rules) {
      const WorkloadRule& rule = rules_[index];
      const auto fit = rule.fit(workload, cgroup);
      if (fit == WorkloadRule::Fit::no || (!out.empty() && cgroup.size() < out[0].cgroup.size())) continue;
      if (!out.empty() && cgroup.size() > out[0].cgroup.size()) out.clear();  // the nearest ones count
      const bool needs_token = fit == WorkloadRule::Fit::needs_token;
      auto same = std::ranges::find(out, &rule.agent(), &WorkloadMatch::agent);
      if (same == out.end()) {
        out.push_back({&rule.agent(), &rule.selector(), cgroup, needs_token});
      } else if (same->needs_token && !needs_token) {
        *same = {&rule.agent(), &rule.selector(), cgroup, false};
      }
    }
  };
  const auto look_by = [&](WorkloadKind kind, std::string_view fact, std::string_view value) {
    const auto found = by_literal_.find(key(kind, fact, value));
    if (found != by_literal_.end()) look(found->second);
  };
  look(others_);
  const std::string_view identity = workload.cgroup.identity;
  for (size_t end = identity.size(); end != std::string_view::npos && end > 0; end = identity.rfind('/', end - 1))
    look_by(WorkloadKind::other, "cgroup", identity.substr(0, end));
  std::string uid;
  for (std::string_view fact : {"uid", "id", "name", "unit", "pod", "namespace", "image", "user"})
    for (std::string_view value : values_of(workload, fact, uid).texts) look_by(workload.cgroup.kind, fact, value);
  std::ranges::sort(out, {}, [](const WorkloadMatch& match) { return std::string_view(match.agent->name); });
  return out;
}

void WorkloadIndex::for_each_like(const WorkloadRule& rule,
                                  const std::function<void(const WorkloadRule&)>& look) const {
  const auto [fact, value] = rule.literal();
  if (fact.empty()) return;
  for (uint32_t index : by_literal_.at(key(rule.selector().kind, fact, value))) look(rules_[index]);
  for (uint32_t index : others_) look(rules_[index]);
}

std::vector<WorkloadMismatch> mismatches(const Agent& agent, const Workload& workload) {
  std::vector<WorkloadMismatch> out;
  for (const WorkloadSelector& selector : agent.workloads) {
    const size_t before = out.size();
    WorkloadRule(agent, selector).explain(workload, out);
    if (out.size() == before) return {};
  }
  return out;
}

void check_workloads(const std::vector<Agent>& agents, const std::vector<Issuer>& issuers, Findings& findings) {
  const WorkloadIndex index(agents);
  const auto compare = [&](const WorkloadRule& narrow, const WorkloadRule& wide) {
    if (&narrow == &wide || !wide.includes(narrow)) return;
    const bool same = narrow.includes(wide);
    if (same && &wide > &narrow) return;  // told once, at the later one
    if (!same && &narrow.agent() == &wide.agent()) return;
    const bool have_tokens = narrow.agent().token && wide.agent().token;
    if (&narrow.agent() != &wide.agent() && told_apart(narrow.agent(), wide.agent(), issuers)) return;
    const std::string other = fmt::format(
        "the other one stands at {}{}", wide.selector().where.to_string(),
        have_tokens ? "; their tokens do not tell them apart: let `subject`, or one of `claims`, have nothing in common"
                    : "");
    if (same) {
      findings.error(narrow.selector().where, fmt::format("duplicate workload `{}`", narrow.selector().to_string()),
                     other);
      return;
    }
    findings.error(narrow.selector().where,
                   fmt::format("Agent `{}` selects all that Agent `{}` selects here, by `{}`", wide.agent().name,
                               narrow.agent().name, wide.selector().to_string()),
                   have_tokens ? other : other + "; make them differ, or give each a `token` of its own");
  };
  std::vector<const WorkloadRule*> without_literal;
  for (const WorkloadRule& rule : index.rules()) {
    if (rule.literal().first.empty()) without_literal.push_back(&rule);
    index.for_each_like(rule, [&](const WorkloadRule& other) { compare(rule, other); });
  }
  for (const WorkloadRule* narrow : without_literal)
    for (const WorkloadRule* wide : without_literal) compare(*narrow, *wide);
}

}  // namespace sallyport::policy
