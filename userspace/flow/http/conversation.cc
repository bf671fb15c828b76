// SPDX-License-Identifier: Apache-2.0
#include "flow/http/conversation.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/http/http_layer.h"
#include "sallyport/base/limits.h"

namespace sallyport::flow {
namespace {

/// The earlier of two times, of which 0 is none.
int64_t earlier(int64_t a, int64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

}  // namespace

std::unique_ptr<Layer> make_http_layer(OperationLife& life) { return std::make_unique<HttpConversation>(life); }

void HttpConversation::on_event(const Event& event, Turn& turn) {
  if (over_) return;
  if (!started_) start(turn);
  if (const auto* bytes = std::get_if<Bytes>(&event)) {
    on_bytes(*bytes, turn);
  } else if (const auto* eof = std::get_if<Eof>(&event)) {
    if (eof->leg == kAgentLeg)
      on_agent_eof(turn);
    else if (eof->leg == leg_)
      on_upstream_gone("closed the connection", true, turn);
  } else if (const auto* failed = std::get_if<Failed>(&event)) {
    if (failed->leg == kAgentLeg)
      finish("agent: " + failed->reason, turn);
    else if (failed->leg == leg_)
      on_upstream_gone(failed->reason, false, turn);
  } else if (const auto* dialled = std::get_if<Dialled>(&event)) {
    if (dialled->leg == leg_) on_dialled(turn);
  } else if (const auto* secured = std::get_if<Secured>(&event)) {
    on_secured(*secured, turn);
  } else if (const auto* failed = std::get_if<RecordFailed>(&event)) {
    on_record_failed(*failed, turn);
  } else if (const auto* answered = std::get_if<Answered>(&event)) {
    on_answered(*answered, turn);
  } else if (std::holds_alternative<Changed>(event)) {
    on_changed(turn);
  } else if (std::holds_alternative<Tick>(event)) {
    on_tick(turn);
  }
  if (!over_) pump_agent(turn);
}

void HttpConversation::start(Turn& turn) {
  started_ = true;
  idle_deadline_ns_ = turn.now.monotonic_ns + limits::kHttpIdleTimeoutMs * kNanosPerMilli;
  if (const LiveOperation* connect = life_.find(0); connect && connect->decision)
    expires_wall_ns_ = connect->decision->expires_wall_ns;
  wake(turn);
}

void HttpConversation::on_bytes(const Bytes& bytes, Turn& turn) {
  if (bytes.leg == kAgentLeg) {
    const bool first = from_agent_.empty() && exchanges_ == 0 && !exchange_;
    from_agent_.append(bytes.bytes);
    if (first && !agent_secured_) begin_tls(turn);
  } else if (bytes.leg == leg_) {
    from_server_.append(bytes.bytes);
    pump_server(turn);
  }
}

/// It will ask no more; what it has asked whole is still answered.
void HttpConversation::on_agent_eof(Turn& turn) {
  agent_eof_ = true;
  if (exchange_ && exchange_->stage != Exchange::Stage::running) finish("agent closed", turn);
}

void HttpConversation::on_dialled(Turn& turn) {
  const policy::Target& target = *life_.target();
  if (target.tls_mode == policy::TlsMode::disable) return on_upstream_ready(turn);
  upstream_ = Upstream::securing;
  const policy::TargetMatch& match = life_.match();
  Secure secure{.leg = leg_, .role = Secure::Role::client, .ca_file = target.tls_ca_file, .alpn = "http/1.1"};
  secure.server_name =
      match.host && !match.host->name.empty() ? match.host->name : life_.origin().destination.address.to_string();
  if (target.tls_mode == policy::TlsMode::verify_ca) secure.verify = Secure::Verify::ca;
  if (target.tls_mode == policy::TlsMode::verify_full) secure.verify = Secure::Verify::full;
  turn.actions.add(std::move(secure));
}

void HttpConversation::on_secured(const Secured& secured, Turn& turn) {
  if (secured.leg == kAgentLeg)
    agent_secured_ = true;
  else if (secured.leg == leg_)
    on_upstream_ready(turn);
}

void HttpConversation::on_upstream_ready(Turn& turn) {
  upstream_ = Upstream::ready;
  if (unsent_.empty()) return;
  turn.actions.send(leg_) += unsent_;
  std::string().swap(unsent_);
}

void HttpConversation::on_answered(const Answered& answered, Turn& turn) {
  LiveOperation* held = life_.find(answered.operation);
  if (!held || held->stage != Stage::held) return;
  life_.answer(*held, answered.approved, answered.by, turn.now, turn.actions);
  remember_expiry(*held->decision);
  advance(turn);
}

/// Policy, identity or the hour changed: what is open is judged again, what is now denied is cut.
void HttpConversation::on_changed(Turn& turn) {
  life_.refresh();
  LiveOperation* connect = life_.find(0);
  if (connect && (!life_.match().target || (target_chosen_ && !life_.target()))) {
    model::Decision& decision = connect->own_decision();
    decision.outcome = model::Outcome::deny;
    decision.causes = {life_.no_target()};
    return cut(*connect, turn);
  }
  for (LiveOperation* live : life_.no_longer_allowed(turn.now)) {
    // Whoever the connection was judged for may be another than who uses it now: it is judged for that one.
    if (live->id != 0 || !live->caller->shown) return cut(*live, turn);
    live->stage = Stage::opened;
  }
  if (!connection_still_allowed(turn)) return;
  expires_wall_ns_ = 0;
  for (model::OperationId id : {model::OperationId{0}, exchange_ ? exchange_->operation : 0}) {
    LiveOperation* live = life_.find(id);
    if (!live || !live->decision || live->stage == Stage::opened) continue;
    const model::Decision again = life_.decide(*live->operation, turn.now, *live->caller);
    remember_expiry(again);
    if (live->stage == Stage::held && again.outcome == model::Outcome::deny)
      life_.answer(*live, false, "policy denies it now", turn.now, turn.actions);
    else if (live->stage == Stage::released && id != 0)
      life_.set_limits(again.obligations.limits, turn.now, *live->caller);
  }
  wake(turn);
  advance(turn);
}

/// False: the flow is over.
bool HttpConversation::connection_still_allowed(Turn& turn) {
  LiveOperation* connect = life_.find(0);
  const LiveOperation* request = live();
  if (!connect || connect->stage != Stage::opened || !request || request->stage != Stage::released) return true;
  life_.judge_connect(*request->caller, turn.now, turn.actions);
  if (connect->stage == Stage::released) return true;
  cut(*connect, turn);
  return false;
}

void HttpConversation::remember_expiry(const model::Decision& decision) {
  expires_wall_ns_ = earlier(expires_wall_ns_, decision.expires_wall_ns);
}

/// A Tick answers all wishes made before it, so those that are not due yet are made again.
void HttpConversation::on_tick(Turn& turn) {
  const int64_t now = turn.now.monotonic_ns;
  life_.give_back_leases(turn.now, turn.actions);
  if (expires_wall_ns_ != 0 && turn.now.wall_ns >= expires_wall_ns_) on_changed(turn);
  if (!over_) give_up_holds(turn);
  advance(turn);
  if (over_) return;
  if (head_deadline_ns_ != 0 && now >= head_deadline_ns_)
    return answer_and_finish({408, "the request's header took longer than it may", "", "", {}}, "no request in time",
                             turn);
  const bool idle = !exchange_ && head_deadline_ns_ == 0 && upstream_ == Upstream::none;
  if (idle && now >= idle_deadline_ns_) return finish("no request in time", turn);
  wake(turn);
}

void HttpConversation::give_up_holds(Turn& turn) {
  for (model::OperationId id : {model::OperationId{0}, exchange_ ? exchange_->operation : 0}) {
    LiveOperation* held = life_.find(id);
    if (!held || held->stage != Stage::held || turn.now.monotonic_ns < held->hold_deadline_ns) continue;
    life_.answer(*held, false, "nobody answered in time", turn.now, turn.actions);
    return advance(turn);
  }
}

void HttpConversation::wake(Turn& turn) {
  int64_t at = head_deadline_ns_;
  if (exchange_ && exchange_->token_deadline_ns > turn.now.monotonic_ns) at = earlier(at, exchange_->token_deadline_ns);
  if (!exchange_ && upstream_ == Upstream::none) at = earlier(at, idle_deadline_ns_);
  for (model::OperationId id : {model::OperationId{0}, exchange_ ? exchange_->operation : 0})
    if (const LiveOperation* held = life_.find(id); held && held->stage == Stage::held)
      at = earlier(at, held->hold_deadline_ns);
  if (expires_wall_ns_ != 0)
    at = earlier(at, turn.now.monotonic_ns + std::max<int64_t>(1, expires_wall_ns_ - turn.now.wall_ns));
  if (at != 0) turn.actions.add(Wake{at});
}

void HttpConversation::on_record_failed(const RecordFailed& failed, Turn& turn) {
  life_.record_failed(failed.reason);
  if (exchange_ && exchange_->answer_begun) return abort("record failed", turn);
  if (upstream_ != Upstream::none) turn.actions.add(Abort{leg_});
  answer_and_finish({503,
                     "the session record cannot be written, and without one nobody is let through",
                     "",
                     "tell the operator: " + failed.reason,
                     {}},
                    "record failed", turn);
}

/// As without us: a connection that nothing is asked on closes, an answer that ends with it is whole.
void HttpConversation::on_upstream_gone(const std::string& reason, bool clean, Turn& turn) {
  const std::string why = fmt::format("target {}: {}", life_.target() ? life_.target()->name : "", reason);
  if (!exchange_) return finish(why, turn);
  Exchange& x = *exchange_;
  if (x.stage != Exchange::Stage::running) {
    if (leg_ + 1u >= limits::kLegsMax) return finish(why, turn);
    // Whoever waits for a human gets another connection when it is let through.
    turn.actions.add(Abort{leg_++});
    upstream_ = Upstream::none;
    return from_server_.clear();
  }
  if (clean && x.answer_until_close) return on_answer_done(turn);
  if (x.answer_begun) return abort(why + " in the middle of an answer", turn);
  // A kept connection that the target closes as a request comes: clients know to ask again when theirs is closed.
  if (exchanges_ != 0 && from_server_.empty() && x.interim == 0) return abort(why, turn);
  bad_gateway(reason, turn);
}

/// Ends the flow because of one operation: in words if none of the answer has gone out, else by a reset, so that what
/// came is not taken for all.
void HttpConversation::cut(LiveOperation& live, Turn& turn) {
  const Answer words = refusal_answer(live, life_.origin(), challenge());
  const std::string reason = "cut: " + words.message;
  live.result.error = reason;
  if (exchange_ && exchange_->answer_begun) return abort(reason, turn);
  if (upstream_ != Upstream::none) turn.actions.add(Abort{leg_});
  if (!exchange_) return finish(reason, turn);
  answer_and_finish(words, reason, turn);
}

void HttpConversation::finish(std::string reason, Turn& turn) {
  if (over_) return;
  over_ = true;
  // What was never judged is no operation of the record's.
  if (const LiveOperation* request = live(); request && request->stage == Stage::opened) life_.forget(*request);
  life_.close_session(std::move(reason), turn.now, turn.actions);
  turn.actions.add(Finish{});
}

void HttpConversation::abort(std::string reason, Turn& turn) {
  if (over_) return;
  if (upstream_ != Upstream::none) turn.actions.add(Abort{leg_});
  turn.actions.add(Abort{kAgentLeg});
  finish(std::move(reason), turn);
}

}  // namespace sallyport::flow
