// SPDX-License-Identifier: Apache-2.0
#include "flow/operation/life.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sallyport/base/limits.h"

namespace sallyport::flow {
namespace {

std::vector<std::string> describe_masks(const model::Obligations& obligations) {
  std::vector<std::string> out;
  for (const model::ColumnMask& column : obligations.columns)
    out.push_back(fmt::format("{}.{} {}", column.relation, column.column, model::to_string(column.with.strategy)));
  for (const model::DetectMask& detect : obligations.detect)
    out.push_back(fmt::format("detect {} {}", detect.type, model::to_string(detect.with.strategy)));
  return out;
}

policy::TokenFrom token_from(const policy::TargetMatch& match) {
  if (!match.target) return policy::TokenFrom::file;
  for (const policy::Target* other : match.others)
    if (match.target->token_from == policy::TokenFrom::file) return other->token_from;
  return match.target->token_from;
}

std::shared_ptr<const Standing> make_standing(Standing::Is is, std::string agent, std::string why,
                                              std::string hint = {}) {
  return std::make_shared<Standing>(
      Standing{.is = is, .agent = std::move(agent), .why = std::move(why), .hint = std::move(hint)});
}

std::shared_ptr<const Standing> nothing_shown(policy::TokenFrom from) {
  const std::string where = from == policy::TokenFrom::password ? "as its password" : "in its request";
  return make_standing(Standing::Is::refused, "", fmt::format("it shows no token {}", where),
                       "the Target's `token` says where an agent shows it");
}

/// What stands for a token without being one.
class FixedStanding final : public ShownToken {
 public:
  explicit FixedStanding(std::shared_ptr<const Standing> standing) : standing_(std::move(standing)) {}
  std::shared_ptr<const Standing> standing() const override { return standing_; }
  bool is(std::string_view) const override { return false; }

 private:
  const std::shared_ptr<const Standing> standing_;
};

}  // namespace

bool OperationLife::must_wait() const {
  if (services_.standing(own_.origin)->is != Standing::Is::pending) return false;
  const auto facts = services_.facts();
  return flow::token_from(facts->policy->match_target(own_.origin.destination, facts->hosts)) ==
         policy::TokenFrom::file;
}

void OperationLife::open_session(const Now& now, Actions& actions) {
  facts_ = services_.facts();
  session_ = services_.make_session_id(now);
  find_target();
  read_standing(own_);
  record_opened(own_.origin.principal, now, actions);
}

policy::TokenFrom OperationLife::token_from() const { return flow::token_from(match_); }

/// True when it is another one.
bool OperationLife::read_standing(Caller& caller) {
  const auto before = caller.standing;
  if (caller.shown) {
    caller.standing = caller.shown->standing();
  } else {
    caller.standing = services_.standing(caller.origin);
    const bool asked = caller.standing->is == Standing::Is::proven ? !caller.standing->token.issuer.empty()
                                                                   : caller.standing->is != Standing::Is::lost;
    awaits_token_ = asked && token_from() != policy::TokenFrom::file;
    if (awaits_token_) caller.standing = nothing_shown(token_from());
  }
  if (caller.standing->is == Standing::Is::proven) identify(caller);
  return before != caller.standing;
}

/// An agent, once known, never becomes another one: the flow is refused then.
void OperationLife::identify(Caller& caller) {
  model::Principal& principal = caller.origin.principal;
  const bool known = !principal.agent.empty() || caller.standing->agent.empty();
  if (known && principal.token == caller.standing->token) return;
  if (!known) principal.agent = caller.standing->agent;
  if (principal.agent == caller.standing->agent || caller.standing->agent.empty())
    principal.token = caller.standing->token;
  if (&caller == &own_) services_.identified(caller.origin);
}

void OperationLife::show_own_token(std::string_view token) {
  own_.shown = services_.show_token(own_.origin, token);
  awaits_token_ = false;
  read_standing(own_);
}

Caller& OperationLife::show_token(std::string_view token, const Now& now) {
  const auto known = std::ranges::find_if(callers_, [&](const auto& each) { return each->shown->is(token); });
  if (known != callers_.end()) {
    std::rotate(known, known + 1, callers_.end());
    return *callers_.back();
  }
  if (callers_.size() >= limits::kShownTokensPerFlowMax) {
    const auto idle = std::ranges::find_if(callers_, [&](const auto& each) {
      return std::none_of(live_.begin(), live_.end(), [&](auto& live) { return live.second.caller == each.get(); });
    });
    if (idle == callers_.end()) {
      if (!one_too_many_) one_too_many_ = std::make_unique<Caller>(own_.origin, services_);
      one_too_many_->shown = std::make_shared<FixedStanding>(
          make_standing(Standing::Is::refused, "", "too many callers are at work on one connection"));
      read_standing(*one_too_many_);
      return *one_too_many_;
    }
    (*idle)->limits.give_back_all(now);
    callers_.erase(idle);
  }
  Caller& caller = *callers_.emplace_back(std::make_unique<Caller>(own_.origin, services_));
  caller.shown = services_.show_token(caller.origin, token);
  read_standing(caller);
  return caller;
}

void OperationLife::act_as(const std::string& agent) {
  own_.shown = std::make_shared<FixedStanding>(make_standing(Standing::Is::proven, agent, ""));
  awaits_token_ = false;
  read_standing(own_);
}

void OperationLife::judge_connect(Caller& caller, const Now& now, Actions& actions) {
  LiveOperation* connect = find(0);
  if (!connect) return;
  connect->caller = &caller;
  services_.identified(caller.origin);
  record_opened(caller.origin.principal, now, actions);
  judge(*connect, decide(*connect->operation, now, caller),
        {.statement = "connect " + own_.origin.destination.to_string()}, now, actions);
}

void OperationLife::record_opened(const model::Principal& principal, const Now& now, Actions& actions) {
  const std::string protocol = match_.target ? match_.target->protocol : "opaque";
  services_.describe(own_.origin.id, session_, target_name_, protocol);
  append(model::SessionOpened{.flow = own_.origin.id,
                              .principal = principal,
                              .source = own_.origin.source,
                              .destination = own_.origin.destination,
                              .target = target_name_,
                              .protocol = protocol,
                              .node = services_.node_name()},
         now, actions);
}

void OperationLife::find_target() {
  match_ = facts_->policy->match_target(own_.origin.destination, facts_->hosts, selector_);
  if (target_name_.empty())
    target_name_ = target() ? target()->name : "";
  else if (target() && target()->name != target_name_)
    moved_ = true;
}

void OperationLife::choose_target(policy::TargetSelector selector, const Now& now, Actions& actions) {
  selector_ = std::move(selector);
  if (match_.others.empty()) return;
  find_target();
  if (!target()) return;
  if (LiveOperation* connect = find(0)) connect->operation = make_operation(connect->operation->body);
  read_standing(own_);
  record_opened(own_.origin.principal, now, actions);
}

model::Cause OperationLife::no_target() const {
  if (!match_.others.empty())
    return {.rule = "ambiguous target",
            .text = fmt::format("{} is listed by the targets {}, and nothing said here fits just one of them",
                                own_.origin.destination.to_string(), match_.names())};
  if (moved_) return {.rule = "no target", .text = "the destination is another target's now: connect again"};
  return {.rule = "no target", .text = "no target in policy lists this destination any more"};
}

void OperationLife::close_session(std::string reason, const Now& now, Actions& actions) {
  if (closed_ || session_.empty()) return;
  closed_ = true;
  own_.limits.give_back_all(now);
  for (const auto& caller : callers_) caller->limits.give_back_all(now);
  // Nobody has said who is calling: the record tells that this is why nothing came of it.
  if (LiveOperation* connect = find(0); connect && !connect->decision) judge_connect(own_, now, actions);
  while (!live_.empty()) {
    LiveOperation& open = live_.begin()->second;
    if (open.stage == Stage::released && open.result.error.empty()) open.result.error = reason;
    end(open, now, actions);
  }
  append(model::SessionClosed{std::move(reason), bytes_to_agent_, bytes_to_target_}, now, actions);
}

void OperationLife::give_back_leases(const Now& now, Actions& actions) {
  own_.limits.give_back_old(now, actions);
  for (const auto& caller : callers_) caller->limits.give_back_old(now, actions);
}

LiveOperation& OperationLife::open(std::shared_ptr<const model::Operation> operation, model::OperationId parent,
                                   const Now& now, Caller* caller) {
  const model::OperationId id = next_id_++;
  LiveOperation& live = live_.emplace(id);
  live.id = live.result.id = id;
  live.parent = parent;
  live.caller = caller ? caller : &own_;
  live.operation = std::move(operation);
  live.opened_monotonic_ns = now.monotonic_ns;
  return live;
}

model::Decision OperationLife::decide(const model::Operation& operation, const Now& now, const Caller& caller) const {
  if (!record_trouble_.empty())
    return {.causes = {
                {.rule = "record", .text = fmt::format("the session record cannot be written: {}", record_trouble_)}}};
  if (auto refused = refuse_caller(caller, now)) return std::move(*refused);
  model::Decision out = decide_by_policy(operation, now, caller);
  out.expires_wall_ns = no_later_than_standing(out.expires_wall_ns, caller);
  return out;
}

/// Who has not proven to be the agent may nothing, whatever policy allows the agent.
std::optional<model::Decision> OperationLife::refuse_caller(const Caller& caller, const Now& now) {
  using Is = Standing::Is;
  const Standing& standing = *caller.standing;
  const std::string& agent = caller.origin.principal.agent;
  const auto refuse = [](std::string_view rule, std::string text, std::string hint) {
    model::Decision out;
    out.causes.push_back({.rule = std::string(rule), .text = std::move(text)});
    out.hint = std::move(hint);
    return out;
  };
  if (standing.is != Is::proven)
    return refuse(standing.is == Is::lost ? kWorkloadLost : kTokenMismatch, standing.why, standing.hint);
  if (!standing.agent.empty() && standing.agent != agent) {
    if (standing.token.issuer.empty())
      return refuse(kWorkloadLost, fmt::format("its workload is agent {}'s now", standing.agent), "connect again");
    return refuse(kTokenMismatch, fmt::format("its token proves it to be agent {} now", standing.agent),
                  "connect again");
  }
  if (standing.until_wall_ns != 0 && now.wall_ns >= standing.until_wall_ns)
    return refuse(kTokenMismatch, fmt::format("its token expired at {}", format_time(standing.until_wall_ns)),
                  "whoever renews the token has not done so");
  return std::nullopt;
}

model::Decision OperationLife::decide_by_policy(const model::Operation& operation, const Now& now,
                                                const Caller& caller) const {
  const model::Principal& principal = caller.origin.principal;
  if (match_.others.empty() || !std::holds_alternative<model::Connect>(operation.body))
    return facts_->policy->decide(principal, operation, now.wall_ns);
  // Which Target it is will be said inside: the connection is allowed if it may be for one of them.
  model::Operation on_one = operation;
  on_one.target = match_.target->name;
  model::Decision decision = facts_->policy->decide(principal, on_one, now.wall_ns);
  for (const policy::Target* other : match_.others) {
    if (decision.outcome != model::Outcome::deny) break;
    on_one.target = other->name;
    model::Decision next = facts_->policy->decide(principal, on_one, now.wall_ns);
    next.causes.insert(next.causes.begin(), decision.causes.begin(), decision.causes.end());
    decision = std::move(next);
  }
  return decision;
}

void OperationLife::judge(LiveOperation& live, std::shared_ptr<const model::Decision> decision, RecordText text,
                          const Now& now, Actions& actions) {
  live.decision = decision;
  if (decision->outcome == model::Outcome::allow) admit(live, now, actions);
  record_decision(live, /*changed=*/live.decision != decision, std::move(text), now, actions);
  const model::Decision& judged = *live.decision;
  switch (judged.outcome) {
    case model::Outcome::allow:
      live.stage = Stage::released;
      break;
    case model::Outcome::deny:
      live.stage = Stage::refused;
      break;
    case model::Outcome::hold:
      live.stage = Stage::held;
      live.hold_deadline_ns = now.monotonic_ns + limits::kHoldTimeoutMs * kNanosPerMilli;
      actions.add(Ask{live.id, judged});
      actions.add(Wake{live.hold_deadline_ns});
      break;
  }
}

/// `changed`: the decision is not that of the entry which `text` names.
void OperationLife::record_decision(const LiveOperation& live, bool changed, RecordText text, const Now& now,
                                    Actions& actions) {
  if (!record_trouble_.empty()) return;
  auto& entry = actions.record<model::OperationDecided>(session_, sequence_++, now.wall_ns);
  entry.id = live.id;
  entry.parent = live.parent;
  entry.kind = model::kind_of(*live.operation);
  entry.statement = std::move(text.statement);
  entry.shape = std::move(text.shape);
  entry.parameters = std::move(text.parameters);
  entry.outcome = live.decision->outcome;
  entry.same_as = text.same_as;
  if (live.caller != &own_ && live.caller->standing->is == Standing::Is::proven) {
    entry.agent = live.caller->origin.principal.agent;
    entry.issuer = live.caller->standing->token.issuer;
    entry.subject = live.caller->standing->token.subject;
  }
  if (text.same_as == 0)
    if (const auto* sql = std::get_if<model::Sql>(&live.operation->body)) entry.effects = sql->effects;
  if (text.same_as != 0 && !changed) return;
  entry.causes = live.decision->causes;
  entry.masks = describe_masks(live.decision->obligations);
}

void OperationLife::answer(LiveOperation& live, bool approved, const std::string& by, const Now& now,
                           Actions& actions) {
  if (live.stage != Stage::held) return;
  refresh();
  live.hold_deadline_ns = 0;
  // What was true when it was held may not be any more: an approval never outlives its rule.
  const model::Decision again = decide(*live.operation, now, *live.caller);
  const bool allowed = approved && again.outcome != model::Outcome::deny;
  // Masks and limits of today, not of when it was asked.
  model::Decision& decision = live.own_decision();
  if (again.outcome == model::Outcome::deny)
    decision = again;
  else
    decision.obligations = again.obligations;
  decision.outcome = allowed ? model::Outcome::allow : model::Outcome::deny;
  decision.causes.push_back(
      {.rule = "hold", .text = approved ? fmt::format("approved by {}", by) : fmt::format("held, and {}", by)});
  live.holds_lifted = approved;
  if (allowed) admit(live, now, actions);
  live.stage = live.decision->outcome == model::Outcome::allow ? Stage::released : Stage::refused;
  append(model::OperationDecided{.id = live.id,
                                 .parent = live.parent,
                                 .kind = std::string(model::kind_of(*live.operation)),
                                 .outcome = live.decision->outcome,
                                 .causes = live.decision->causes,
                                 .same_as = live.id},
         now, actions);
}

void OperationLife::admit(LiveOperation& live, const Now& now, Actions& actions) {
  LimitLeases& limits = live.caller->limits;
  if (live.statements == 0 || limits.empty()) return;
  auto used_up = limits.admit(live.statements, live.holds_lifted, now, actions);
  if (!used_up) return;
  const model::Outcome then = used_up->limit->then;
  refuse_by_limit(live, std::move(*used_up));
  live.own_decision().outcome = then;
}

void OperationLife::refuse_by_limit(LiveOperation& live, LimitLeases::UsedUp used_up) {
  model::Decision& decision = live.own_decision();
  decision.outcome = model::Outcome::deny;
  decision.causes = {std::move(used_up.cause)};
  decision.hint = std::move(used_up.hint);
}

void OperationLife::end(LiveOperation& live, const Now& now, Actions& actions) {
  live.result.duration_ns = now.monotonic_ns - live.opened_monotonic_ns;
  const model::OperationId id = live.id;
  append(std::move(live.result), now, actions);
  live_.erase(id);
}

bool OperationLife::refresh() {
  std::shared_ptr<const Facts> latest = services_.facts();
  bool moved = latest->epoch != facts_->epoch;
  if (moved) {
    facts_ = std::move(latest);
    find_target();
  }
  moved |= read_standing(own_);
  for (const auto& caller : callers_) moved |= read_standing(*caller);
  return moved;
}

std::vector<LiveOperation*> OperationLife::no_longer_allowed(const Now& now) {
  std::vector<LiveOperation*> out;
  for (auto& [id, live] : live_) {
    if (live.stage != Stage::released) continue;
    model::Decision again = decide(*live.operation, now, *live.caller);
    if (again.outcome == model::Outcome::allow) continue;
    live.decision = std::make_shared<model::Decision>(std::move(again));
    out.push_back(&live);
  }
  return out;
}

LiveOperation* OperationLife::find(model::OperationId id) { return live_.find(id); }

}  // namespace sallyport::flow
