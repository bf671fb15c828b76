// SPDX-License-Identifier: Apache-2.0
#include "flow/operation/life.h"

#include <fmt/core.h>

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

}  // namespace

void OperationLife::open_session(const Now& now, Actions& actions) {
  facts_ = services_.facts();
  standing_ = services_.standing(origin_);
  session_ = services_.make_session_id(now);
  find_target();
  record_opened(now, actions);
}

void OperationLife::record_opened(const Now& now, Actions& actions) {
  const std::string protocol = match_.target ? match_.target->protocol : "opaque";
  services_.describe(origin_.id, session_, target_name_, protocol);
  append(model::SessionOpened{.flow = origin_.id,
                              .principal = origin_.principal,
                              .source = origin_.source,
                              .destination = origin_.destination,
                              .target = target_name_,
                              .protocol = protocol,
                              .node = services_.node_name()},
         now, actions);
}

void OperationLife::find_target() {
  match_ = facts_->policy->match_target(origin_.destination, facts_->hosts, selector_);
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
  record_opened(now, actions);
}

model::Cause OperationLife::no_target() const {
  if (!match_.others.empty())
    return {.rule = "ambiguous target",
            .text = fmt::format("{} is listed by the targets {}, and nothing said here fits just one of them",
                                origin_.destination.to_string(), match_.names())};
  if (moved_) return {.rule = "no target", .text = "the destination is another target's now: connect again"};
  return {.rule = "no target", .text = "no target in policy lists this destination any more"};
}

void OperationLife::close_session(std::string reason, const Now& now, Actions& actions) {
  if (closed_ || session_.empty()) return;
  closed_ = true;
  limits_.give_back_all(now);
  while (!live_.empty()) {
    LiveOperation& open = live_.begin()->second;
    if (open.stage == Stage::released && open.result.error.empty()) open.result.error = reason;
    end(open, now, actions);
  }
  append(model::SessionClosed{std::move(reason), bytes_to_agent_, bytes_to_target_}, now, actions);
}

LiveOperation& OperationLife::open(std::shared_ptr<const model::Operation> operation, model::OperationId parent,
                                   const Now& now) {
  const model::OperationId id = next_id_++;
  LiveOperation& live = live_.emplace(id);
  live.id = live.result.id = id;
  live.parent = parent;
  live.operation = std::move(operation);
  live.opened_monotonic_ns = now.monotonic_ns;
  return live;
}

model::Decision OperationLife::decide(const model::Operation& operation, const Now& now) const {
  if (!record_trouble_.empty())
    return {.causes = {
                {.rule = "record", .text = fmt::format("the session record cannot be written: {}", record_trouble_)}}};
  if (auto refused = refuse_caller(now)) return std::move(*refused);
  model::Decision out = decide_by_policy(operation, now);
  out.expires_wall_ns = no_later_than_standing(out.expires_wall_ns);
  return out;
}

/// Who has not proven to be the agent may nothing, whatever policy allows the agent.
std::optional<model::Decision> OperationLife::refuse_caller(const Now& now) const {
  const bool ended = standing_->until_wall_ns != 0 && now.wall_ns >= standing_->until_wall_ns;
  if (standing_->is == Standing::Is::proven && !ended) return std::nullopt;
  model::Decision out;
  out.causes.push_back(
      {.rule = std::string(kTokenMismatch),
       .text = ended ? fmt::format("its token expired at {}", format_time(standing_->until_wall_ns)) : standing_->why});
  out.hint = ended ? "whoever renews the token has not done so" : standing_->hint;
  return out;
}

model::Decision OperationLife::decide_by_policy(const model::Operation& operation, const Now& now) const {
  if (match_.others.empty() || !std::holds_alternative<model::Connect>(operation.body))
    return facts_->policy->decide(origin_.principal, operation, now.wall_ns);
  // Which Target it is will be said inside: the connection is allowed if it may be for one of them.
  model::Operation on_one = operation;
  on_one.target = match_.target->name;
  model::Decision decision = facts_->policy->decide(origin_.principal, on_one, now.wall_ns);
  for (const policy::Target* other : match_.others) {
    if (decision.outcome != model::Outcome::deny) break;
    on_one.target = other->name;
    model::Decision next = facts_->policy->decide(origin_.principal, on_one, now.wall_ns);
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
  const model::Decision again = decide(*live.operation, now);
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
  if (live.statements == 0 || limits_.empty()) return;
  auto used_up = limits_.admit(live.statements, live.holds_lifted, now, actions);
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
  const auto before = std::exchange(standing_, services_.standing(origin_));
  if (latest->epoch == facts_->epoch) return before != standing_;
  facts_ = std::move(latest);
  find_target();
  return true;
}

std::vector<LiveOperation*> OperationLife::no_longer_allowed(const Now& now) {
  std::vector<LiveOperation*> out;
  for (auto& [id, live] : live_) {
    if (live.stage != Stage::released) continue;
    model::Decision again = decide(*live.operation, now);
    if (again.outcome == model::Outcome::allow) continue;
    live.decision = std::make_shared<model::Decision>(std::move(again));
    out.push_back(&live);
  }
  return out;
}

LiveOperation* OperationLife::find(model::OperationId id) { return live_.find(id); }

}  // namespace sallyport::flow
