// SPDX-License-Identifier: Apache-2.0
// The judgement. Deny first, then cover, then hold; docs/policy.md has the sentences that this implements.
#include <fmt/core.h>

#include <algorithm>

#include "baseline_sql.h"
#include "compiled.h"
#include "hint.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/policy/explain.h"

namespace sallyport::policy {
namespace {

using model::Cause;
using model::Decision;
using model::Effect;
using model::ObjectKind;
using model::Outcome;

const NamedRule kNothing{"baseline.nothing", "touches no object", ""};

/// Causes without repeats, as many as there is room for.
class Causes {
 public:
  explicit Causes(Judgement& out) : out_(out) {}
  void add(const NamedRule* rule) {
    for (size_t i = 0; i < count_; ++i)
      if (out_.causes[i] == rule) return;
    if (count_ < Judgement::kCausesMax) out_.causes[count_++] = rule;
  }
  void restart() {
    std::ranges::fill(out_.causes, nullptr);
    count_ = 0;
  }
  bool empty() const { return count_ == 0; }

 private:
  Judgement& out_;
  size_t count_ = 0;
};

/// The Target's own list for a startup effect; nullptr: it has none for this kind of object.
const NamedRule* startup_rule(const TargetRules& rules, const Effect& effect, const std::vector<Pattern>*& patterns) {
  if (effect.statement_class != kStartupClass) return nullptr;
  if (effect.kind == ObjectKind::database) return patterns = &rules.databases, &rules.database_rule;
  if (effect.kind == ObjectKind::role) return patterns = &rules.users, &rules.user_rule;
  return nullptr;
}

class Judge {
 public:
  Judge(const TargetRules& target, const Phase& phase) : target_(target), phase_(phase) {}

  /// The first rule that refuses the effect; nullptr: none does.
  const NamedRule* denied_by(const SqlEffect& sql) const {
    for (const Rule* rule : phase_.deny)
      if (touches(rule->sql, sql)) return rule;
    const std::vector<Pattern>* patterns = nullptr;
    const NamedRule* list = startup_rule(target_, sql.effect(), patterns);
    if (list && !patterns->empty() &&
        std::ranges::none_of(*patterns, [&](const Pattern& p) { return p.matches(sql.parts()); }))
      return list;
    return nullptr;
  }

  const NamedRule* held_by(const SqlEffect& sql) const {
    for (const Rule* rule : phase_.hold)
      if (touches(rule->sql, sql)) return rule;
    return nullptr;
  }

  /// Adds the rules that together cover all of the effect; false: something is left over.
  bool cover(const SqlEffect& sql, Causes& causes) const {
    // The relation it is reached by stands beside it and must be covered itself.
    if (!sql.effect().through.empty() && !sql.opaque()) return true;
    bool by_columns = false;
    for (const Rule* rule : phase_.cover) {
      const Cover cover = covers(rule->sql, sql);
      if (cover == Cover::all) return causes.add(rule), true;
      by_columns |= cover == Cover::columns;
    }
    const std::vector<Pattern>* patterns = nullptr;
    if (const NamedRule* list = startup_rule(target_, sql.effect(), patterns)) return causes.add(list), true;
    if (phase_.baseline)
      if (const NamedRule* rule = baseline_covers(sql)) return causes.add(rule), true;
    return by_columns && cover_columns(sql, causes);
  }

 private:
  bool cover_columns(const SqlEffect& sql, Causes& causes) const {
    return std::ranges::all_of(sql.effect().columns, [&](const std::string& column) {
      for (const Rule* rule : phase_.cover)
        if (covers(rule->sql, sql) == Cover::columns && covers_column(rule->sql, sql, column))
          return causes.add(rule), true;
      return false;
    });
  }

  const TargetRules& target_;
  const Phase& phase_;
};

/// Why a scope that grants nothing now grants nothing: what each Entitlement says about its time.
void add_lapsed(const Scope& scope, int64_t wall_ns, Causes& causes) {
  for (const Entitlement* entitlement : scope.entitlements) {
    const bool would_grant =
        std::ranges::any_of(entitlement->rules, [](const auto& rule) { return rule->outcome != Outcome::deny; });
    if (!would_grant || entitlement->grants_at(wall_ns)) continue;
    if (wall_ns < entitlement->from_ns) {
      causes.add(&entitlement->early);
    } else {
      causes.add(wall_ns >= entitlement->expires_ns ? &entitlement->lapsed : &entitlement->late);
    }
  }
}

Judgement judge_effects(const Compiled& policy, const Scope& scope, const Phase& phase, std::span<const Effect> effects,
                        int64_t wall_ns) {
  const Judge judge(policy.rules_of(*scope.target), phase);
  Judgement out;
  Causes causes(out);
  out.expires_wall_ns = phase.until_ns == kForever ? 0 : phase.until_ns;
  if (!phase.grants) {
    add_lapsed(scope, wall_ns, causes);
    return out;
  }
  // One pass, and the strongest word wins: refused by a rule, then left over, then held, then covered.
  enum class Stage { covered, held, left_over, refused } stage = Stage::covered;
  const auto raise = [&](Stage to, size_t effect) {
    if (to <= stage) return to == stage;
    stage = to;
    out.effect = effect;
    causes.restart();
    return true;
  };
  for (size_t i = 0; i < effects.size(); ++i) {
    const SqlEffect sql(effects[i]);
    if (const NamedRule* rule = judge.denied_by(sql)) {
      if (raise(Stage::refused, i)) causes.add(rule);
      continue;
    }
    Judgement covering;
    Causes covering_causes(covering);
    if (!judge.cover(sql, covering_causes)) {
      raise(Stage::left_over, i);
      continue;
    }
    if (const NamedRule* rule = judge.held_by(sql)) {
      if (raise(Stage::held, i)) causes.add(rule);
    } else if (stage == Stage::covered) {
      for (const NamedRule* cause : covering.causes)
        if (cause) causes.add(cause);
    }
  }
  if (stage == Stage::covered && causes.empty()) causes.add(&kNothing);
  if (stage >= Stage::left_over) return out;
  out.outcome = stage == Stage::held ? Outcome::hold : Outcome::allow;
  out.obligations = phase.obligations.get();
  return out;
}

Cause to_cause(const NamedRule& rule) { return {rule.name, rule.text, rule.where}; }

/// " (nobody can rule out that …)": a rule for some processes that speaks against one which nobody can tell.
std::string doubt_of(const NamedRule& named, const Phase& phase, const model::Process& process) {
  for (const auto* rules : {&phase.deny, &phase.hold})
    for (const Rule* rule : *rules)
      if (rule == &named && rule->process)
        if (const std::string why = why_not(*rule->process, process); !why.empty())
          return fmt::format(" (it may be such a process: {})", why);
  return {};
}

/// Adds every rule of one sort that speaks against the operation, with the effect it speaks of.
template <class Find>
void add_causes(const Phase& phase, const model::Process& process, std::span<const Effect> effects,
                std::string_view verb, Find find, Decision& out) {
  for (const Effect& effect : effects) {
    if (out.causes.size() >= limits::kPolicyCausesMax) return;
    const NamedRule* rule = find(SqlEffect(effect));
    if (!rule) continue;
    const bool named = std::ranges::any_of(out.causes, [&](const Cause& cause) { return cause.rule == rule->name; });
    if (!named)
      out.causes.push_back(
          {rule->name, fmt::format("`{}` {} {}{}", rule->text, verb, describe(effect), doubt_of(*rule, phase, process)),
           rule->where});
  }
}

/// Rules that would cover what `would_cover` says, if they were for this process; the first one found.
template <class WouldCover>
const Rule* add_set_aside(const Phase& phase, const model::Process& process, WouldCover would_cover, Decision& out) {
  const Rule* first = nullptr;
  for (const Rule* rule : phase.set_aside) {
    if (!would_cover(*rule) || out.causes.size() >= limits::kPolicyCausesMax) continue;
    if (!first) first = rule;
    if (std::ranges::find(out.causes, rule->name, &Cause::rule) != out.causes.end()) continue;
    out.causes.push_back({rule->name,
                          fmt::format("`{}` is for another process: {}", rule->text, why_not(*rule->process, process)),
                          rule->where});
  }
  return first;
}

/// The hint where rules are for other processes: `allow` as it would be for this one.
template <class AllowFor>
std::string hint_for_process(const Rule& rule, const model::Process& process, AllowFor allow_for,
                             const Entitlement& into) {
  const std::string words = process_hint(*rule.process, process);
  if (!words.empty()) return hint_rule(allow_for(words), into);
  return "# no rule can name this process: connect again, or run the executable that the rule names";
}

const Entitlement& entitlement_to_extend(const Scope& scope, int64_t wall_ns) {
  for (const Entitlement* entitlement : scope.entitlements)
    if (entitlement->grants_at(wall_ns)) return *entitlement;
  return *scope.entitlements.front();
}

std::string hint_for_refusal(const Scope& scope, const Judge& judge, std::span<const Effect> effects,
                             const Decision& decision) {
  for (const Effect& effect : effects) {
    const SqlEffect sql(effect);
    const NamedRule* rule = judge.denied_by(sql);
    if (!rule) continue;
    const bool target_list =
        effect.statement_class == kStartupClass && rule->name.starts_with(scope.target->name + ".");
    if (!target_list || sql.parts().empty()) break;
    return fmt::format("{}: [{}]  # one more in Target {}", effect.kind == ObjectKind::database ? "databases" : "users",
                       quote_identifier(sql.parts()[0].text), scope.target->name);
  }
  const Cause& cause = decision.causes.front();
  return fmt::format("# no allow lifts a deny: narrow or remove {} ({})", cause.rule, cause.where);
}

/// "Entitlement e", "Entitlement a and 3 others": whose rules were looked through.
std::string entitlements_in_words(const Scope& scope, const Entitlement& first) {
  const size_t others = scope.entitlements.size() - 1;
  if (others == 0) return fmt::format("Entitlement {}", first.name);
  return fmt::format("Entitlement {} and {} other{}", first.name, others, others == 1 ? "" : "s");
}

/// Names each effect that no rule covers, and proposes the rule that would.
void explain_left_over(const Scope& scope, const Judge& judge, const Phase& phase, const model::Process& process,
                       std::span<const Effect> effects, const Entitlement& into, Decision& out) {
  const std::string whose = entitlements_in_words(scope, into);
  Effects left_over;
  const Rule* set_aside = nullptr;
  if (effects.empty())
    set_aside = add_set_aside(
        phase, process, [](const Rule&) { return true; }, out);
  for (const Effect& effect : effects) {
    Judgement scratch;
    Causes causes(scratch);
    if (left_over.size() >= limits::kPolicyHintRulesMax) break;
    if (phase.grants && judge.cover(SqlEffect(effect), causes)) continue;
    left_over.push_back(&effect);
    const SqlEffect sql(effect);
    const auto would_cover = [&](const Rule& rule) { return covers(rule.sql, sql) != Cover::none; };
    if (const Rule* rule = add_set_aside(phase, process, would_cover, out)) {
      if (!set_aside) set_aside = rule;
      continue;
    }
    out.causes.push_back(
        {"no rule", fmt::format("no rule of {} allows {}", whose, describe(effect)), into.where.to_string()});
  }
  if (out.causes.empty())
    out.causes.push_back({"no rule", fmt::format("no rule of {} grants anything", whose), into.where.to_string()});
  const auto allow_for = [&](std::string_view words) {
    return left_over.empty() ? first_allow(scope.target->protocol, words) : smallest_allow(left_over, words);
  };
  out.hint = set_aside ? hint_for_process(*set_aside, process, allow_for, into) : hint_rule(allow_for(""), into);
}

/// The words of a deny inside a scope: which rules, or the want of one.
void explain_deny(const Scope& scope, const Judge& judge, const Phase& phase, const model::Process& process,
                  std::span<const Effect> effects, int64_t wall_ns, const Judgement& judgement, Decision& out) {
  if (!phase.grants && phase.set_aside.empty() && judgement.causes[0]) {
    for (const NamedRule* rule : judgement.causes)
      if (rule) out.causes.push_back(to_cause(*rule));
    out.hint = fmt::format("# {}: {} ({})", out.causes[0].rule, out.causes[0].text, out.causes[0].where);
    return;
  }
  add_causes(
      phase, process, effects, "refuses", [&](const SqlEffect& sql) { return judge.denied_by(sql); }, out);
  if (!out.causes.empty()) {
    out.hint = hint_for_refusal(scope, judge, effects, out);
    return;
  }
  explain_left_over(scope, judge, phase, process, effects, entitlement_to_extend(scope, wall_ns), out);
}

Decision deny(std::string rule, std::string text, std::string hint, uint64_t epoch) {
  Decision out;
  out.causes.push_back({std::move(rule), std::move(text), ""});
  out.hint = std::move(hint);
  out.policy_epoch = epoch;
  return out;
}

Decision decide_in_scope(const Compiled& policy, const Scope& scope, const Phase& phase, const model::Process& process,
                         std::span<const Effect> effects, int64_t wall_ns) {
  const Judge judge(policy.rules_of(*scope.target), phase);
  const Judgement judgement = judge_effects(policy, scope, phase, effects, wall_ns);
  Decision out;
  out.outcome = judgement.outcome;
  out.expires_wall_ns = judgement.expires_wall_ns;
  out.policy_epoch = policy.epoch;
  if (judgement.obligations) out.obligations = *judgement.obligations;
  if (judgement.outcome == Outcome::deny) {
    explain_deny(scope, judge, phase, process, effects, wall_ns, judgement, out);
  } else if (judgement.outcome == Outcome::hold) {
    add_causes(
        phase, process, effects, "holds", [&](const SqlEffect& sql) { return judge.held_by(sql); }, out);
  } else {
    for (const NamedRule* rule : judgement.causes)
      if (rule) out.causes.push_back(to_cause(*rule));
  }
  return out;
}

/// The connection itself: allowed if anything at all is granted now.
Decision decide_connect(const Compiled& policy, const Scope& scope, const Phase& phase, const model::Process& process,
                        int64_t wall_ns) {
  if (!phase.grants) return decide_in_scope(policy, scope, phase, process, {}, wall_ns);
  Decision out;
  out.outcome = Outcome::allow;
  out.policy_epoch = policy.epoch;
  out.expires_wall_ns = phase.until_ns == kForever ? 0 : phase.until_ns;
  out.obligations = *phase.obligations;
  for (const Rule* rule : phase.cover) {
    if (out.causes.size() >= Judgement::kCausesMax) break;
    out.causes.push_back(to_cause(*rule));
  }
  return out;
}

/// A request is one effect: refused by a rule, or left over, or held, or covered.
Decision decide_http(const Compiled& policy, const Scope& scope, const Phase& phase, const model::Process& process,
                     const model::Http& http, int64_t wall_ns) {
  if (!phase.grants) return decide_in_scope(policy, scope, phase, process, {}, wall_ns);
  const HttpCall call(http);
  Decision out;
  out.policy_epoch = policy.epoch;
  out.expires_wall_ns = phase.until_ns == kForever ? 0 : phase.until_ns;
  const auto add_touching = [&](const std::vector<const Rule*>& rules, std::string_view verb) {
    for (const Rule* rule : rules)
      if (rule->http && touches(*rule->http, call) && out.causes.size() < limits::kPolicyCausesMax)
        out.causes.push_back(
            {rule->name, fmt::format("`{}` {} {}{}", rule->text, verb, describe(http), doubt_of(*rule, phase, process)),
             rule->where});
    return !out.causes.empty();
  };
  if (add_touching(phase.deny, "refuses")) {
    out.hint =
        fmt::format("# no allow lifts a deny: narrow or remove {} ({})", out.causes[0].rule, out.causes[0].where);
    return out;
  }
  const auto covering =
      std::ranges::find_if(phase.cover, [&](const Rule* rule) { return rule->http && covers(*rule->http, call); });
  if (covering == phase.cover.end()) {
    const Entitlement& into = entitlement_to_extend(scope, wall_ns);
    const auto would_cover = [&](const Rule& rule) { return rule.http && covers(*rule.http, call); };
    if (const Rule* rule = add_set_aside(phase, process, would_cover, out)) {
      out.hint = hint_for_process(
          *rule, process, [&](auto words) { return smallest_allow(http, words); }, into);
      return out;
    }
    const std::string_view why = call.plain() ? "" : ", and servers read such a path in different ways";
    out.causes.push_back(
        {"no rule", fmt::format("no rule of {} allows {}{}", entitlements_in_words(scope, into), describe(http), why),
         into.where.to_string()});
    out.hint = hint_rule(smallest_allow(http), into);
    return out;
  }
  out.obligations = *phase.obligations;
  out.outcome = add_touching(phase.hold, "holds") ? Outcome::hold : Outcome::allow;
  if (out.outcome == Outcome::allow) out.causes.push_back(to_cause(**covering));
  return out;
}

Decision deny_unlisted(const Compiled& policy, const model::Principal& principal, const model::Operation& operation) {
  const auto* connect = std::get_if<model::Connect>(&operation.body);
  if (!connect)
    return deny("no target", "the destination is no Target", "# list the destination as a Target", policy.epoch);
  return deny("no target", fmt::format("{} is no Target", connect->destination.to_string()),
              hint_target(principal.agent, connect->destination), policy.epoch);
}

}  // namespace

Judgement Policy::judge(std::string_view agent, std::string_view target, std::span<const Effect> effects,
                        int64_t wall_ns, const model::Process& process) const {
  const Scope* scope = compiled_->find_scope(agent, target);
  Phase own;
  return scope ? judge_effects(*compiled_, *scope, scope->at(wall_ns, process, own), effects, wall_ns) : Judgement{};
}

bool Policy::asks_for_digest(std::string_view agent) const {
  return std::ranges::any_of(compiled_->scopes,
                             [&](const auto& scope) { return scope->by_digest && scope->agent->name == agent; });
}

bool Policy::passes_everything(std::string_view agent, std::string_view target, int64_t wall_ns,
                               const model::Process& process) const {
  const Scope* scope = compiled_->find_scope(agent, target);
  if (!scope) return false;
  Phase own;
  const Phase& phase = scope->at(wall_ns, process, own);
  if (!phase.grants || !phase.hold.empty() || !phase.deny.empty()) return false;
  auto allows_all = [&](auto names) {
    return std::ranges::any_of(phase.cover, [&](const Rule* rule) {
      return rule->outcome == Outcome::allow && !rule->http && rule->sql.present == 0 && rule->sql.access == 0b111 &&
             names(rule->sql);
    });
  };
  return allows_all([](const SqlRule& rule) { return rule.any_statement; }) &&
         allows_all([](const SqlRule& rule) { return rule.names(model::kUnknownClass); });
}

Decision Policy::decide(const model::Principal& principal, const model::Operation& operation, int64_t wall_ns) const {
  const uint64_t epoch = compiled_->epoch;
  if (principal.agent.empty())
    return deny("no agent", "nobody's workload", "# an Agent must list the workload it runs as", epoch);
  if (!find_agent(principal.agent))
    return deny("no agent", fmt::format("no Agent is named `{}`", printable(principal.agent)),
                "# the policy has changed: write the Agent again, or stop the workload", epoch);
  if (operation.target.empty()) return deny_unlisted(*compiled_, principal, operation);
  if (!find_target(operation.target))
    return deny("no target", fmt::format("no Target is named `{}`", printable(operation.target)),
                "# the policy has changed: connect again", epoch);
  const auto* sql = std::get_if<model::Sql>(&operation.body);
  const auto* http = std::get_if<model::Http>(&operation.body);
  const Scope* scope = compiled_->find_scope(principal.agent, operation.target);
  if (!scope) {
    Effects effects;
    if (sql)
      for (const Effect& effect : sql->effects)
        if (effects.size() < limits::kPolicyHintRulesMax) effects.push_back(&effect);
    const std::string allow = http              ? smallest_allow(*http)
                              : effects.empty() ? first_allow(find_target(operation.target)->protocol)
                                                : smallest_allow(effects);
    return deny("no entitlement", fmt::format("no Entitlement joins {} and {}", principal.agent, operation.target),
                hint_entitlement(principal.agent, operation.target, allow), epoch);
  }
  Phase own;
  const model::Process& process = principal.process;
  const Phase& phase = scope->at(wall_ns, process, own);
  if (sql) return decide_in_scope(*compiled_, *scope, phase, process, sql->effects, wall_ns);
  if (http) return decide_http(*compiled_, *scope, phase, process, *http, wall_ns);
  if (std::holds_alternative<model::Connect>(operation.body))
    return decide_connect(*compiled_, *scope, phase, process, wall_ns);
  return deny("no rule", "nothing decodes this protocol, so no rule can speak of it", "", epoch);
}

}  // namespace sallyport::policy
