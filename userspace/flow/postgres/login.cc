// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/login.h"

#include <fmt/core.h>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {

using Kind = postgres::Authentication::Kind;

void Login::on_event(const Event& event, Turn& turn) {
  if (deadline_ns_ == 0) {
    deadline_ns_ = turn.now.monotonic_ns + limits::kHandshakeTimeoutMs * kNanosPerMilli;
    turn.actions.add(Wake{deadline_ns_});
  }
  OperationLife& life = connection_.life;
  if (const auto* bytes = std::get_if<Bytes>(&event)) {
    if (bytes->leg == kAgentLeg) {
      connection_.from_agent.append(bytes->bytes);
      if (connection_.from_agent.size() > limits::kPgAuthMessageBytesMax)
        return violation("more bytes than a login has use for", turn);
      if (state_ == State::startup)
        read_startup(turn);
      else if (state_ == State::showing_token)
        read_token(turn);
      else if (state_ == State::proving_agent)
        read_proof(turn);
      else if (state_ == State::authenticating)
        read_passed_password(turn);
    } else if (bytes->leg == connection_.upstream) {
      connection_.from_server.append(bytes->bytes);
      if (state_ == State::ssl_asked)
        read_ssl_answer(turn);
      else
        read_server(turn);
    }
  } else if (const auto* secured = std::get_if<Secured>(&event)) {
    if (secured->leg == kAgentLeg) {
      agent_secured_ = true;
      agent_digest_ = secured->end_point_digest;
      state_ = State::startup;
      read_startup(turn);
    } else {
      channel_ = {.secured = true, .proven = secured->proven, .end_point_digest = secured->end_point_digest};
      on_server_secured(turn);
    }
  } else if (std::holds_alternative<Dialled>(event)) {
    on_dialled(turn);
  } else if (const auto* eof = std::get_if<Eof>(&event)) {
    if (eof->leg == kAgentLeg)
      end_normally(connection_, "agent closed before it was logged in", turn);
    else if (eof->leg == connection_.upstream)
      server_went("target closed before the login was over", turn);
  } else if (const auto* failed = std::get_if<Failed>(&event)) {
    if (failed->leg == kAgentLeg)
      end_normally(connection_, "agent: " + failed->reason, turn);
    else if (failed->leg == connection_.upstream)
      server_went(failed->reason, turn);
  } else if (const auto* failed = std::get_if<RecordFailed>(&event)) {
    life.record_failed(failed->reason);
    if (startup_) refuse_if_denied(nullptr, turn);
  } else if (const auto* answered = std::get_if<Answered>(&event)) {
    if (LiveOperation* live = life.find(answered->operation); live && state_ == State::held) {
      life.answer(*live, answered->approved, answered->by, turn.now, turn.actions);
      // The time a human took is not the login's.
      deadline_ns_ = turn.now.monotonic_ns + limits::kHandshakeTimeoutMs * kNanosPerMilli;
      turn.actions.add(Wake{deadline_ns_});
      after_judgement(turn);
    }
  } else if (std::holds_alternative<Changed>(event)) {
    on_changed(turn);
  } else if (std::holds_alternative<Tick>(event)) {
    on_tick(turn);
  }
}

/// A Tick answers all wishes made before it, so those that are not due yet are made again.
void Login::on_tick(Turn& turn) {
  if (state_ == State::held) {
    OperationLife& life = connection_.life;
    for (model::OperationId id : {model::OperationId{0}, startup_operation_}) {
      LiveOperation* live = life.find(id);
      if (!live || live->hold_deadline_ns == 0) continue;
      if (live->hold_deadline_ns <= turn.now.monotonic_ns)
        life.answer(*live, false, "nobody answered in time", turn.now, turn.actions);
      else
        turn.actions.add(Wake{live->hold_deadline_ns});
    }
    return after_judgement(turn);
  }
  if (state_ == State::cancelling) return;
  if (state_ == State::showing_token && !connection_.life.awaits_token()) {
    after_token(turn);
    if (connection_.over) return;
  }
  if (turn.now.monotonic_ns < deadline_ns_) return turn.actions.add(Wake{deadline_ns_});
  if (startup_)
    refuse("08006", "the login took longer than it may", "", turn);
  else
    end_silently(connection_, "no StartupMessage in time", turn);
}

/// Judges again what is open. A denial waits for the StartupMessage to be told, if there is none yet.
void Login::on_changed(Turn& turn) {
  OperationLife& life = connection_.life;
  if (!life.refresh()) return;
  for (LiveOperation* live : life.no_longer_allowed(turn.now)) live->stage = Stage::refused;
  LiveOperation* connect = life.find(0);
  if (connect && (!life.match().target || (startup_ && !life.target()))) refuse_for_want_of_target(*connect);
  if (state_ == State::showing_token && connect && connect->stage == Stage::opened && !life.awaits_token())
    return after_token(turn);
  if (!cancel_raw_.empty() && connect && connect->stage == Stage::refused)
    return end_normally(connection_, "cancel request refused by policy", turn);
  if (startup_ && !refuse_if_denied(connect, turn)) refuse_if_denied(life.find(startup_operation_), turn);
}

void Login::prove_agent(Turn& turn) {
  const policy::Target& target = *connection_.life.target();
  auto text = connection_.life.services().verifier(target.verifier_file, connection_.user);
  if (!text) {
    spdlog::error("target {}: {}", target.name, text.error().what);
    return refuse("28000", fmt::format("target {} has no usable verifier file", target.name),
                  "tell the operator: the daemon's log says more", turn);
  }
  // A role without a verifier goes through the same motions, so that nobody learns which roles exist.
  auto verifier = text->empty() ? Result<postgres::ScramVerifier>(postgres::mock_verifier(
                                      connection_.user, connection_.life.services().node_secret()))
                                : postgres::parse_verifier(text->reveal());
  if (!verifier) {
    spdlog::error("target {}: verifier of {}: {}", target.name, printable(connection_.user), verifier.error().what);
    return refuse("28000", fmt::format("target {} has no usable verifier", target.name), "", turn);
  }
  verifier_ = std::move(*verifier);
  postgres::ChannelBinding binding;
  if (agent_secured_) binding = {postgres::ChannelBinding::Use::bound, agent_digest_};
  agent_scram_.emplace(*verifier_, binding, connection_.life.services().random_bytes(postgres::kScramNonceBytes));
  std::string& out = turn.actions.send(kAgentLeg);
  if (agent_secured_)
    postgres::append_authentication_sasl(out, {postgres::kScramSha256Plus, postgres::kScramSha256});
  else
    postgres::append_authentication_sasl(out, {postgres::kScramSha256});
  state_ = State::proving_agent;
  read_proof(turn);
}

void Login::read_proof(Turn& turn) {
  const postgres::FrameReader reader(postgres::Side::agent);
  while (state_ == State::proving_agent && !connection_.over) {
    auto next = reader.next(connection_.from_agent.readable());
    if (std::holds_alternative<postgres::NeedMore>(next)) return;
    auto* frame = std::get_if<postgres::Frame>(&next);
    if (!frame || frame->type != postgres::frontend::kPassword)
      return violation("another message where a SASL response was due", turn);
    Result<std::string> answer = fail("malformed SASL message");
    if (!proof_begun_) {
      if (auto initial = postgres::parse_sasl_initial_response(frame->body); initial && initial->response)
        answer = agent_scram_->on_client_first(initial->mechanism, *initial->response);
    } else {
      answer = agent_scram_->on_client_final(frame->body);
    }
    connection_.from_agent.consume(frame->raw.size());
    if (!answer) {
      spdlog::info("flow {}: SCRAM with the agent failed: {}", connection_.life.origin().id, answer.error().what);
      return refuse("28P01", fmt::format("password authentication failed for user \"{}\"", printable(connection_.user)),
                    "", turn);
    }
    if (!std::exchange(proof_begun_, true)) {
      postgres::append_authentication_sasl_continue(turn.actions.send(kAgentLeg), *answer);
    } else {
      postgres::append_authentication_sasl_final(turn.actions.send(kAgentLeg), *answer);
      dial(turn);
    }
  }
}

void Login::dial(Turn& turn) {
  state_ = State::dialling;
  turn.actions.add(Dial{connection_.upstream, connection_.life.origin().destination});
}

void Login::on_dialled(Turn& turn) {
  const policy::TlsMode mode = connection_.life.target()->tls_mode;
  const bool clear_first = mode == policy::TlsMode::disable || (mode == policy::TlsMode::allow && !must_use_tls_);
  if (clear_first) return send_startup(turn);
  state_ = State::ssl_asked;
  postgres::append_ssl_request(turn.actions.send(connection_.upstream));
}

void Login::read_ssl_answer(Turn& turn) {
  const std::string_view answer = connection_.from_server.readable();
  if (answer.empty()) return;
  if (answer.size() > 1 && answer.front() != 'E')
    return violation("target sent bytes in clear behind its TLS answer", turn);
  const char verdict = answer.front();
  const policy::Target& target = *connection_.life.target();
  if (verdict == 'S') {
    connection_.from_server.clear();
    state_ = State::securing_server;
    Secure secure{.leg = connection_.upstream, .role = Secure::Role::client, .ca_file = target.tls_ca_file};
    const policy::TargetMatch& match = connection_.life.match();
    secure.server_name = match.host && !match.host->name.empty()
                             ? match.host->name
                             : connection_.life.origin().destination.address.to_string();
    if (target.tls_mode == policy::TlsMode::verify_ca) secure.verify = Secure::Verify::ca;
    if (target.tls_mode == policy::TlsMode::verify_full) secure.verify = Secure::Verify::full;
    turn.actions.add(std::move(secure));
  } else if (verdict == 'N' && target.tls_mode == policy::TlsMode::prefer) {
    connection_.from_server.clear();
    send_startup(turn);
  } else {
    refuse("08001",
           fmt::format("target {} refuses TLS, which its tls.mode {} requires", target.name,
                       policy::to_string(target.tls_mode)),
           "turn on ssl at the server, or change tls.mode", turn);
  }
}

void Login::on_server_secured(Turn& turn) { send_startup(turn); }

Result<> Login::prepare_credential() {
  const policy::Target& target = *connection_.life.target();
  if (agent_scram_) {
    own_login_.emplace(connection_.user, *verifier_, agent_scram_->client_key(), target.auth_min, channel_);
    return {};
  }
  if (target.credential_file.empty()) return {};
  auto credential = connection_.life.services().credential(target.credential_file);
  if (!credential) return std::unexpected(credential.error());
  if (!credential->user.empty())
    for (auto& [name, value] : startup_->parameters)
      if (name == "user") value = credential->user;
  own_login_.emplace(std::string(startup_->find("user").value_or("")), credential->password, target.auth_min, channel_);
  return {};
}

void Login::send_startup(Turn& turn) {
  if (!cancel_raw_.empty()) {
    state_ = State::cancelling;
    turn.actions.send(connection_.upstream) += cancel_raw_;
    return;
  }
  if (auto prepared = prepare_credential(); !prepared) {
    spdlog::error("target {}: {}", connection_.life.target()->name, prepared.error().what);
    return refuse("28000", fmt::format("target {} has no usable credential", connection_.life.target()->name),
                  "tell the operator: the daemon's log says more", turn);
  }
  state_ = State::authenticating;
  std::string& out = turn.actions.send(connection_.upstream);
  // The database defaults to the user on the server: keep the agent's when the user is replaced.
  if (own_login_ && !agent_scram_ && startup_->find("user") != connection_.user) {
    if (!startup_->find("database")) startup_->parameters.emplace_back("database", connection_.database);
    postgres::append_startup_message(out, startup_->version(), startup_->parameters);
  } else {
    out += startup_raw_;
  }
}

void Login::read_server(Turn& turn) {
  if (state_ == State::cancelling) return connection_.from_server.clear();
  const postgres::FrameReader reader(postgres::Side::server);
  while (state_ == State::authenticating || state_ == State::settling) {
    if (connection_.over) return;
    auto next = reader.next(connection_.from_server.readable());
    if (std::holds_alternative<postgres::NeedMore>(next)) return;
    const auto* frame = std::get_if<postgres::Frame>(&next);
    if (!frame) return violation("target: malformed message during login", turn);
    const size_t size = frame->raw.size();
    if (!on_server_frame(*frame, turn)) return;
    connection_.from_server.consume(size);
  }
}

bool Login::on_server_frame(const postgres::Frame& frame, Turn& turn) {
  using namespace postgres;
  switch (frame.type) {
    case backend::kAuthentication:
      if (state_ != State::authenticating) break;
      on_authentication(frame, turn);
      return !connection_.over;
    case backend::kErrorResponse:
      if (state_ == State::authenticating && retry_with_tls(turn)) return false;
      turn.actions.send(kAgentLeg) += frame.raw;
      end_normally(connection_, "target refused the login", turn);
      return false;
    case backend::kNegotiateProtocolVersion:
      if (state_ != State::authenticating) break;
      [[fallthrough]];
    case backend::kNoticeResponse:
      turn.actions.send(kAgentLeg) += frame.raw;
      return true;
    case backend::kParameterStatus:
      if (auto status = parse_parameter_status(frame.body))
        connection_.parameters[std::string(status->name)] = std::string(status->value);
      else
        break;
      turn.actions.send(kAgentLeg) += frame.raw;
      return true;
    case backend::kBackendKeyData:
      if (auto data = parse_backend_key_data(frame.body); data && state_ == State::settling)
        connection_.life.services().add_cancel_key(connection_.life.origin(), data->pid, data->key);
      else
        break;
      turn.actions.send(kAgentLeg) += frame.raw;
      return true;
    case backend::kReadyForQuery:
      if (auto ready = parse_ready_for_query(frame.body); ready && state_ == State::settling) {
        connection_.status = ready->status;
        state_ = State::ready;
        if (LiveOperation* live = connection_.life.find(startup_operation_)) live->result.tag = "logged in";
        turn.actions.send(kAgentLeg) += frame.raw;
        return true;
      }
      break;
    default:
      break;
  }
  violation("target: a message out of place during login", turn);
  return false;
}

void Login::on_authentication(const postgres::Frame& frame, Turn& turn) {
  auto request = postgres::parse_authentication(frame.body);
  if (!request) return violation("target: " + request.error().what, turn);
  if (!own_login_) return pass_authentication(*request, frame, turn);
  auto answer = own_login_->on_request(*request, connection_.life.services().random_bytes(postgres::kScramNonceBytes));
  if (!answer)
    return refuse("28000", fmt::format("target {}: {}", connection_.life.target()->name, answer.error().what),
                  answer.error().hint, turn);
  if (!answer->empty()) turn.actions.send(connection_.upstream) += *answer;
  wipe(*answer);
  if (!own_login_->done()) return;
  turn.actions.send(kAgentLeg) += frame.raw;
  state_ = State::settling;
}

void Login::pass_authentication(const postgres::Authentication& request, const postgres::Frame& frame, Turn& turn) {
  const policy::Target& target = *connection_.life.target();
  if (request.kind != Kind::ok) passed_method_ = method_of(request.kind);
  if (passed_method_ < target.auth_min) {
    return refuse(
        "28000",
        fmt::format("target {} asks for a method below auth.min {}", target.name, policy::to_string(target.auth_min)),
        "raise the server to scram-sha-256, or lower auth.min of the Target", turn);
  }
  if (request.kind == Kind::ok) state_ = State::settling;
  password_expected_ = request.kind != Kind::ok && request.kind != Kind::sasl_final;
  // In clear nothing can be bound, and libpq takes the offer for an attack; without it it sends "n", which
  // the server accepts.
  if (request.kind == Kind::sasl && !agent_secured_ && request.sasl_mechanisms.contains(postgres::kScramSha256))
    postgres::append_authentication_sasl(turn.actions.send(kAgentLeg), {postgres::kScramSha256});
  else
    turn.actions.send(kAgentLeg) += frame.raw;
  read_passed_password(turn);
}

void Login::read_passed_password(Turn& turn) {
  const postgres::FrameReader reader(postgres::Side::agent);
  while (password_expected_ && !connection_.over) {
    auto next = reader.next(connection_.from_agent.readable());
    if (std::holds_alternative<postgres::NeedMore>(next)) return;
    const auto* frame = std::get_if<postgres::Frame>(&next);
    if (frame && frame->type == postgres::frontend::kTerminate)
      return end_normally(connection_, "agent left during login", turn);
    if (!frame || frame->type != postgres::frontend::kPassword)
      return violation("another message where an authentication response was due", turn);
    auto initial = postgres::parse_sasl_initial_response(frame->body);
    if (agent_secured_ && channel_.secured && initial && initial->mechanism == postgres::kScramSha256Plus) {
      // The client binds to our certificate, the server to its own: neither can be told otherwise.
      return refuse("28000",
                    fmt::format("target {}: with TLS on both legs SCRAM with channel binding cannot pass through",
                                connection_.life.target()->name),
                    "give the Target a credential (file or verifier), set its tls.agent to off, or connect with "
                    "channel_binding=disable",
                    turn);
    }
    password_expected_ = false;
    turn.actions.send(connection_.upstream) += frame->raw;
    connection_.from_agent.consume(frame->raw.size());
  }
}

bool Login::retry_with_tls(Turn& turn) {
  if (connection_.life.target()->tls_mode != policy::TlsMode::allow || must_use_tls_ || channel_.secured) return false;
  must_use_tls_ = true;
  turn.actions.add(Abort{connection_.upstream});
  ++connection_.upstream;
  connection_.from_server.clear();
  own_login_.reset();
  dial(turn);
  return true;
}

void Login::server_went(std::string reason, Turn& turn) {
  if (state_ == State::cancelling) return end_normally(connection_, "cancel request passed on", turn);
  const OperationLife& life = connection_.life;
  refuse("08001",
         fmt::format("target {} at {}: {}", life.target() ? life.target()->name : "",
                     life.origin().destination.to_string(), reason),
         "", turn);
}

void Login::refuse(std::string sqlstate, std::string message, std::string hint, Turn& turn) {
  const std::string reason = message;
  end_with_error(connection_, {.severity = "FATAL", .sqlstate = sqlstate, .message = message, .hint = hint}, reason,
                 turn);
}

void Login::violation(std::string why, Turn& turn) {
  const std::string reason = "protocol violation: " + why;
  if (state_ == State::startup && !startup_)
    end_silently(connection_, reason, turn);
  else
    end_with_error(connection_, {.severity = "FATAL", .sqlstate = "08P01", .message = reason}, reason, turn);
}

}  // namespace sallyport::flow
