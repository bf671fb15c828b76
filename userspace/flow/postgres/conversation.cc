// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/conversation.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/sql/masks.h"

namespace sallyport::flow {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

Conversation::Conversation(PostgresConnection& connection, Turn& turn)
    : connection_(connection), life_(connection.life) {
  // Unguessable, so that the agent cannot make a portal of that name and have it executed.
  refused_portal_ = "refused by sallyport " + hex(life_.services().random_bytes(16));
  life_.refresh();
  read_parameters();
  read_facts(turn);
  pump_server(turn);
  pump_agent(turn);
}

void Conversation::on_event(const Event& event, Turn& turn) {
  if (connection_.over) return;
  if (const auto* bytes = std::get_if<Bytes>(&event)) {
    if (bytes->leg == kAgentLeg) {
      connection_.from_agent.append(bytes->bytes);
    } else if (bytes->leg == connection_.upstream) {
      connection_.from_server.append(bytes->bytes);
      pump_server(turn);
      continue_if_drained(turn);
    }
    pump_agent(turn);
  } else if (const auto* eof = std::get_if<Eof>(&event)) {
    if (eof->leg == kAgentLeg)
      end_normally(connection_, "agent closed", turn);
    else if (eof->leg == connection_.upstream)
      end_normally(connection_, "target closed", turn);
  } else if (const auto* failed = std::get_if<Failed>(&event)) {
    if (failed->leg == kAgentLeg)
      end_normally(connection_, "agent: " + failed->reason, turn);
    else if (failed->leg == connection_.upstream)
      end_normally(connection_, "target: " + failed->reason, turn);
  } else if (const auto* failed = std::get_if<RecordFailed>(&event)) {
    life_.record_failed(failed->reason);
    if (!server_rest_.done()) return end_silently(connection_, "record failed", turn);
    end_with_error(connection_,
                   {.severity = "FATAL",
                    .sqlstate = "58030",
                    .message = "the session record cannot be written, and without one nobody is let through",
                    .hint = "tell the operator: " + failed->reason},
                   "record failed", turn);
  } else if (const auto* answered = std::get_if<Answered>(&event)) {
    if (blocked_ != Blocked::hold || !front_ || front_->operation != answered->operation) return;
    life_.answer(*life_.find(answered->operation), answered->approved, answered->by, turn.now, turn.actions);
    blocked_ = Blocked::no;
    pump_agent(turn);
  } else if (std::holds_alternative<Changed>(event)) {
    on_changed(turn);
  } else if (std::holds_alternative<Tick>(event)) {
    on_tick(turn);
  }
}

void Conversation::continue_if_drained(Turn&) {
  if (blocked_ == Blocked::drain && queue_.empty()) blocked_ = Blocked::no;
}

/// A Tick answers all wishes made before it, so those that are not due yet are made again.
void Conversation::on_tick(Turn& turn) {
  life_.give_back_leases(turn.now, turn.actions);
  if (expires_wall_ns_ != 0 && turn.now.wall_ns >= expires_wall_ns_)
    on_changed(turn);
  else
    wake_at_expiry(turn);
  if (blocked_ != Blocked::hold || !front_ || connection_.over) return;
  LiveOperation& held = *life_.find(front_->operation);
  if (turn.now.monotonic_ns < held.hold_deadline_ns) return turn.actions.add(Wake{held.hold_deadline_ns});
  life_.answer(held, false, "nobody answered in time", turn.now, turn.actions);
  blocked_ = Blocked::no;
  pump_agent(turn);
}

void Conversation::wake_at_expiry(Turn& turn) {
  if (expires_wall_ns_ == 0) return;
  turn.actions.add(Wake{turn.now.monotonic_ns + std::max<int64_t>(0, expires_wall_ns_ - turn.now.wall_ns)});
}

/// Policy, identity or the hour changed: what is open is judged again, what is now denied is cut.
void Conversation::on_changed(Turn& turn) {
  life_.refresh();
  if (!life_.target()) {
    if (LiveOperation* connect = life_.find(0)) {
      connect->own_decision().causes = {life_.no_target()};
      cut(*connect, turn);
    }
    return;
  }
  for (LiveOperation* live : life_.no_longer_allowed(turn.now)) return cut(*live, turn);
  read_facts(turn);
  if (connection_.over) return;
  names_.meaning = ++meaning_;  // statements prepared under the old policy are judged by the new one
  for (auto& [id, running] : running_) {
    running.obligations = std::make_shared<model::Obligations>(in_force_);
    running.detectors = in_force_.detect.empty() ? nullptr : detectors_;
    running.tainted |= sql::touches_masked(in_force_, running.judged->analysis->statements);
    running.reads_rows = must_read_rows(in_force_);
    if (running.masking) plan_masking(running);
  }
  for (auto& [id, running] : running_) {
    LiveOperation* live = life_.find(id);
    if (!live) continue;
    model::Decision& decision = live->own_decision();
    decision.obligations = in_force_;
    decision.outcome = model::Outcome::allow;
    forbid_unmaskable(running.judged->sql(), running.judged->analysis.get(), decision);
    if (decision.outcome == model::Outcome::deny) return cut(*live, turn);
    if (running.copying && !plan_copy(running)) return cut_copy(*live, turn);
  }
  judge_front_again(turn);
}

/// What waits for a human and may not run any more need not wait; what was let through and waits for facts has the
/// new obligations.
void Conversation::judge_front_again(Turn& turn) {
  LiveOperation* live = front_ && front_->decided ? life_.find(front_->operation) : nullptr;
  if (!live) return;
  if (blocked_ != Blocked::hold) {
    if (live->stage != Stage::released || !front_->judged) return;
    model::Decision& decision = live->own_decision();
    decision.obligations = in_force_;
    forbid_unmaskable(front_->judged->sql(), front_->judged->analysis.get(), decision);
    if (decision.outcome == model::Outcome::deny) cut(*live, turn);
    return;
  }
  if (life_.decide(*live->operation, turn.now).outcome != model::Outcome::deny) return;
  life_.answer(*live, false, "policy denies it now", turn.now, turn.actions);
  blocked_ = Blocked::no;
  pump_agent(turn);
}

/// Ends the flow because of one operation, in the protocol's words, in the middle of a result too.
void Conversation::cut(LiveOperation& live, Turn& turn) {
  const Refusal refusal = render_refusal(live, life_.origin());
  live.result.sqlstate = "42501";
  live.result.error = "cut: " + refusal.message;
  const std::string reason = live.result.error;
  turn.actions.add(Abort{connection_.upstream});
  if (!server_rest_.done()) return end_silently(connection_, reason, turn);
  end_with_error(connection_,
                 {.severity = "FATAL",
                  .sqlstate = "42501",
                  .message = refusal.message,
                  .detail = refusal.detail,
                  .hint = refusal.hint},
                 reason, turn);
}

void Conversation::violation(std::string why, Turn& turn) {
  const std::string reason = "protocol violation: " + why;
  if (!connection_.over) turn.actions.add(Abort{connection_.upstream});
  if (!server_rest_.done()) return end_silently(connection_, reason, turn);
  end_with_error(connection_, {.severity = "FATAL", .sqlstate = "08P01", .message = reason}, reason, turn);
}

}  // namespace sallyport::flow
