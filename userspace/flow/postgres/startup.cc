// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>

#include "flow/postgres/login.h"
#include "flow/postgres/startup_operation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {
namespace {

constexpr char kTlsHandshakeRecord = 0x16;  // RFC 8446 section 5.1

}  // namespace

void Login::read_startup(Turn& turn) {
  while (state_ == State::startup && !connection_.over && !connection_.from_agent.empty()) {
    const std::string_view input = connection_.from_agent.readable();
    if (input.front() == kTlsHandshakeRecord && !agent_secured_ && !ssl_answered_) return start_direct_tls(turn);
    const postgres::StartupResult result = postgres::next_startup(input);
    if (std::holds_alternative<postgres::NeedMore>(result)) return;
    if (auto* broken = std::get_if<postgres::Violation>(&result)) return violation(broken->why, turn);
    if (auto* request = std::get_if<postgres::SslRequest>(&result)) {
      on_ssl_request(*request, turn);
    } else if (auto* request = std::get_if<postgres::GssEncRequest>(&result)) {
      if (gss_answered_ || request->raw.size() != input.size())
        return violation("bytes sent in clear behind GSSENCRequest", turn);
      gss_answered_ = true;
      connection_.from_agent.consume(request->raw.size());
      turn.actions.send(kAgentLeg).push_back('N');
    } else if (auto* request = std::get_if<postgres::CancelRequest>(&result)) {
      on_cancel_request(*request, turn);
    } else {
      startup_ = std::get<postgres::StartupMessage>(result);
      startup_raw_ = std::string(startup_->raw);
      connection_.from_agent.consume(startup_raw_.size());
      startup_->raw = startup_raw_;
      on_startup(*startup_, turn);
    }
  }
}

void Login::on_ssl_request(const postgres::SslRequest& request, Turn& turn) {
  // What came in clear before the handshake would be taken for encrypted after it (CVE-2021-23214).
  if (ssl_answered_ || agent_secured_ || request.raw.size() != connection_.from_agent.size())
    return violation("bytes sent in clear behind SSLRequest", turn);
  ssl_answered_ = true;
  connection_.from_agent.consume(request.raw.size());
  if (takes_no_tls()) {
    turn.actions.send(kAgentLeg).push_back('N');
    return;
  }
  turn.actions.send(kAgentLeg).push_back('S');
  secure_agent("", "", turn);
}

/// Of several Targets each may; the one that is chosen is asked again.
bool Login::takes_no_tls() const {
  const policy::TargetMatch& match = connection_.life.match();
  const auto is_off = [](const policy::Target* target) { return target->agent_tls == policy::AgentTls::off; };
  return match.target && is_off(match.target) && std::ranges::all_of(match.others, is_off);
}

void Login::refuse_for_want_of_target(LiveOperation& connect) {
  if (connect.stage == Stage::refused) return;
  connect.stage = Stage::refused;
  model::Decision& decision = connect.own_decision();
  decision.outcome = model::Outcome::deny;
  decision.causes = {connection_.life.no_target()};
}

void Login::start_direct_tls(Turn& turn) {
  if (takes_no_tls()) return end_silently(connection_, "refused: direct TLS, but the target's tls.agent is off", turn);
  std::string unread(connection_.from_agent.readable());
  connection_.from_agent.clear();
  secure_agent("postgresql", std::move(unread), turn);
}

void Login::secure_agent(std::string alpn, std::string unread, Turn& turn) {
  state_ = State::securing_agent;
  const policy::TargetMatch& match = connection_.life.match();
  const std::string host = match.host && !match.host->name.empty()
                               ? match.host->name
                               : connection_.life.origin().destination.address.to_string();
  turn.actions.add(Secure{.leg = kAgentLeg,
                          .role = Secure::Role::server,
                          .server_name = host,
                          .alpn = std::move(alpn),
                          .unread = std::move(unread)});
}

void Login::on_cancel_request(const postgres::CancelRequest& request, Turn& turn) {
  cancel_raw_ = std::string(request.raw);
  OperationLife& life = connection_.life;
  const LiveOperation* connect = life.find(0);
  const auto owner = life.services().owner_of_cancel_key(life.origin(), request.pid, request.key);
  if (owner) life.choose_target({.name = owner->target}, turn.now, turn.actions);
  if (owner && connect && life.awaits_token()) {
    // There is no place for a token in a CancelRequest. Its secret is one that only the owner was told.
    life.act_as(owner->agent);
    life.judge_connect(life.own(), turn.now, turn.actions);
  }
  const bool known = connect && connect->stage == Stage::released && owner && life.target();
  connection_.from_agent.clear();
  // The server never answers a CancelRequest, so a refusal is silent as well (PG protocol: Canceling
  // Requests in Progress).
  if (!known) return end_normally(connection_, "cancel request for no connection of this agent", turn);
  model::Sql sql{.source = model::Sql::Source::startup, .text = "cancel request"};
  LiveOperation& live = life.open(std::move(sql), 0, turn.now);
  model::Decision allowed{.outcome = model::Outcome::allow,
                          .causes = {{.rule = "baseline.cancel", .text = "cancels a connection of its own"}}};
  life.judge(live, std::move(allowed), {.statement = "cancel request"}, turn.now, turn.actions);
  dial(turn);
}

void Login::on_startup(const postgres::StartupMessage& startup, Turn& turn) {
  connection_.user = std::string(startup.find("user").value_or(""));
  connection_.database = std::string(startup.find("database").value_or(""));
  if (connection_.database.empty()) connection_.database = connection_.user;
  connection_.replication = asks_for_replication(startup);
  OperationLife& life = connection_.life;
  life.choose_target({.database = connection_.database, .user = connection_.user}, turn.now, turn.actions);
  if (refuse_if_denied(life.find(0), turn)) return;
  if (connection_.user.empty()) return refuse("28000", "no PostgreSQL user name specified in startup packet", "", turn);
  if (life.target()) {
    if (life.awaits_token()) return ask_token(turn);
    if (life.find(0)->stage == Stage::opened) life.judge_connect(life.own(), turn.now, turn.actions);
  }
  judge_startup(turn);
}

/// A token is sent as it is: over TLS if the agent asked for it, else within its own network namespace.
void Login::ask_token(Turn& turn) {
  if (refuse_wrong_tls(turn)) return;
  postgres::append_authentication_cleartext(turn.actions.send(kAgentLeg));
  state_ = State::showing_token;
  read_token(turn);
}

void Login::read_token(Turn& turn) {
  OperationLife& life = connection_.life;
  if (!life.awaits_token()) return;  // shown already, and being verified
  auto next = postgres::FrameReader(postgres::Side::agent).next(connection_.from_agent.readable());
  if (std::holds_alternative<postgres::NeedMore>(next)) return;
  const auto* frame = std::get_if<postgres::Frame>(&next);
  if (frame && frame->type == postgres::frontend::kTerminate)
    return end_normally(connection_, "agent left without showing a token", turn);
  if (!frame || frame->type != postgres::frontend::kPassword)
    return violation("another message where a password was due", turn);
  std::string_view token = frame->body;
  if (!token.empty() && token.back() == '\0') token.remove_suffix(1);
  life.show_own_token(token);
  connection_.from_agent.consume(frame->raw.size());
  token_deadline_ns_ = turn.now.monotonic_ns + limits::kTokenWaitMs * kNanosPerMilli;
  turn.actions.add(Wake{token_deadline_ns_});
  after_token(turn);
}

/// Whose token it is may be known by now; too late is not proven.
void Login::after_token(Turn& turn) {
  OperationLife& life = connection_.life;
  const bool pending = life.own().standing->is == Standing::Is::pending;
  if (pending && turn.now.monotonic_ns < token_deadline_ns_) return;
  life.judge_connect(life.own(), turn.now, turn.actions);
  if (refuse_if_denied(life.find(0), turn)) return;
  state_ = State::startup;
  judge_startup(turn);
}

/// Operation zero is judged.
void Login::judge_startup(Turn& turn) {
  OperationLife& life = connection_.life;
  const postgres::StartupMessage& startup = *startup_;
  if (refuse_if_denied(life.find(0), turn)) return;
  LiveOperation& live = life.open(startup_operation(startup), 0, turn.now);
  startup_operation_ = live.id;
  model::Decision decision = life.target() ? life.decide(*live.operation, turn.now) : model::Decision{};
  if (!life.target()) decision.causes = {life.no_target()};
  life.judge(live, std::move(decision), {.statement = describe_startup(startup)}, turn.now, turn.actions);
  if (refuse_if_denied(&live, turn)) return;
  if (refuse_wrong_tls(turn)) return;
  after_judgement(turn);
}

bool Login::refuse_wrong_tls(Turn& turn) {
  const policy::Target& target = *connection_.life.target();
  if (target.agent_tls == policy::AgentTls::require && !agent_secured_)
    refuse("28000", fmt::format("target {} requires TLS from its agents", target.name), "connect with sslmode=require",
           turn);
  else if (target.agent_tls == policy::AgentTls::off && agent_secured_)
    refuse("28000", fmt::format("target {} takes no TLS from its agents", target.name), "connect with sslmode=disable",
           turn);
  return connection_.over;
}

void Login::after_judgement(Turn& turn) {
  OperationLife& life = connection_.life;
  LiveOperation* startup = life.find(startup_operation_);
  if (refuse_if_denied(life.find(0), turn) || refuse_if_denied(startup, turn)) return;
  if (life.find(0)->stage == Stage::held || startup->stage == Stage::held) {
    state_ = State::held;
    return;
  }
  if (!life.target()->verifier_file.empty()) return prove_agent(turn);
  dial(turn);
}

bool Login::refuse_if_denied(const LiveOperation* live, Turn& turn) {
  if (live && live->stage != Stage::refused && connection_.life.record_trouble().empty()) return false;
  if (!connection_.life.record_trouble().empty()) {
    refuse("58030", "the session record cannot be written, and without one nobody is let through",
           "tell the operator: " + connection_.life.record_trouble(), turn);
    return true;
  }
  const Refusal refusal = render_refusal(*live, connection_.life.origin());
  end_with_error(connection_,
                 {.severity = "FATAL",
                  .sqlstate = state_ == State::showing_token ? "28P01" : "42501",
                  .message = refusal.message,
                  .detail = refusal.detail,
                  .hint = refusal.hint},
                 "refused by policy", turn);
  return true;
}

}  // namespace sallyport::flow
