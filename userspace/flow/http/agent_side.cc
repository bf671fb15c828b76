// SPDX-License-Identifier: Apache-2.0
// Requests: read, judged, sent on or answered by us.
#include <fmt/core.h>

#include <algorithm>

#include "flow/http/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {
namespace {

constexpr char kTlsHandshakeRecord = 0x16;  // RFC 8446 section 5.1

model::Decision denial(std::string text, std::string hint) {
  return {.causes = {{.rule = "http", .text = std::move(text)}}, .hint = std::move(hint)};
}

/// The field in which agents show tokens to Sallyport, and which never goes upstream; empty: there is none.
std::string_view token_field_of(const policy::Target& target) {
  if (target.token_from == policy::TokenFrom::authorization) return "authorization";
  return target.token_from == policy::TokenFrom::header ? std::string_view(target.token_header) : "";
}

/// The token that a request shows; empty: none.
Result<std::string_view> read_token(const http::RequestHead& head, const policy::Target& target) {
  const std::string_view name = token_field_of(target);
  if (name.empty() || !http::has_field(head.fields, name)) return std::string_view();
  const auto value = http::find_only(head.fields, name);
  if (!value) return fail(fmt::format("several {} fields", name), "show one token");
  if (target.token_from == policy::TokenFrom::header) return *value;
  constexpr std::string_view kScheme = "Bearer ";
  const bool bearer = value->size() > kScheme.size() && http::same_name(value->substr(0, kScheme.size()), kScheme);
  return bearer ? value->substr(kScheme.size()) : std::string_view();
}

}  // namespace

std::string HttpConversation::challenge() const {
  const policy::Target* target = life_.target();
  const std::string_view field = target ? token_field_of(*target) : "";
  if (field.empty()) return {};
  if (target->token_from == policy::TokenFrom::authorization) return "Bearer realm=\"sallyport\"";
  return fmt::format("SallyportToken realm=\"sallyport\", header=\"{}\"", field);
}

void HttpConversation::begin_tls(Turn& turn) {
  if (from_agent_.readable().front() != kTlsHandshakeRecord) return;
  const policy::TargetMatch& match = life_.match();
  if (!match.target || match.target->agent_tls == policy::AgentTls::off)
    return abort("refused: TLS, but the target's tls.agent is off", turn);
  std::string unread(from_agent_.readable());
  from_agent_.clear();
  const std::string host =
      match.host && !match.host->name.empty() ? match.host->name : life_.origin().destination.address.to_string();
  // No ALPN: clients that offer HTTP/2 as well then speak HTTP/1.1 (RFC 9113 section 3.2).
  turn.actions.add(
      Secure{.leg = kAgentLeg, .role = Secure::Role::server, .server_name = host, .unread = std::move(unread)});
}

void HttpConversation::pump_agent(Turn& turn) {
  while (!over_) {
    if (!exchange_) {
      if (!begin(turn)) break;
      continue;
    }
    const Exchange::Stage stage = exchange_->stage;
    if (stage == Exchange::Stage::waiting) break;
    if (!(stage == Exchange::Stage::running ? pump_request_body(turn) : skip_request_body(turn))) break;
  }
  if (!over_) throttle(turn);
}

/// While something is waited for, no more is read than fits.
void HttpConversation::throttle(Turn& turn) {
  const bool read = from_agent_.size() < limits::kLegQueueBytesMax;
  if (read != agent_reading_) turn.actions.add(Read{kAgentLeg, read});
  agent_reading_ = read;
  from_agent_.release_if_empty();
}

/// The next request, if its head is there. False: it is not, or the flow is over.
bool HttpConversation::begin(Turn& turn) {
  auto next = http::next_request(from_agent_.readable());
  if (auto* wrong = std::get_if<http::Violation>(&next)) {
    answer_and_finish({wrong->status, "the request cannot be read: " + wrong->why, "", "", {}},
                      "protocol violation: " + wrong->why, turn);
    return false;
  }
  if (std::holds_alternative<http::NeedMore>(next)) {
    if (agent_eof_) {
      finish("agent closed", turn);
    } else if (head_deadline_ns_ == 0 && !from_agent_.empty()) {
      head_deadline_ns_ = turn.now.monotonic_ns + limits::kHttpHeadTimeoutMs * kNanosPerMilli;
      turn.actions.add(Wake{head_deadline_ns_});
    }
    return false;
  }
  head_deadline_ns_ = 0;
  open_exchange(std::get<http::RequestHead>(next), turn);
  return !over_;
}

void HttpConversation::open_exchange(const http::RequestHead& head, Turn& turn) {
  from_agent_.consume(head.raw.size());  // views stay valid until more is appended
  Exchange& x = exchange_.emplace();
  x.form = {.json = wants_json(head), .to_head = head.method == "HEAD", .close = false, .http10 = head.minor == 0};
  x.request_body = http::BodyReader(head.body);
  x.request_chunked = head.body.kind == http::Framing::Kind::chunked;
  x.request_done = head.body.kind == http::Framing::Kind::none;
  x.body_too_large_to_skip = head.body.length > limits::kHttpSkippedBytesMax;
  x.expects_continue = head.minor >= 1 && http::lists_token(head.fields, "expect", "100-continue");
  if (const LiveOperation* connect = life_.find(0); connect && connect->stage == Stage::refused)
    return answer_and_finish(refusal_answer(*connect, life_.origin(), challenge()), "refused by policy", turn);
  auto read = read_request(head, agent_secured_);
  if (auto* wrong = std::get_if<Answer>(&read)) return refuse_unjudged(*wrong, record_text(head), turn);
  x.asked = std::get<Asked>(std::move(read));
  x.agent_persists = http::persists(x.asked.connection, head.minor);
  if (!choose_target(x.asked, turn))
    return refuse_unjudged({421,
                            fmt::format("{} is not listed by the target of this connection", x.asked.http.host),
                            "",
                            "connect to that host itself, or list it in the Target's hosts",
                            {}},
                           record_text(x.asked.http), turn);
  const policy::Target& target = *life_.target();
  if (target.agent_tls == policy::AgentTls::require && !agent_secured_)
    return refuse_unjudged(
        {403, fmt::format("target {} requires TLS from its agents", target.name), "", "use https", {}},
        record_text(x.asked.http), turn);
  const std::string_view token_field = token_field_of(target);
  x.head = fmt::format("{} {} HTTP/1.{}\r\n", head.method, x.asked.target, head.minor);
  for (const http::Field& field : head.fields)
    if (!http::is_hop_by_hop(field.name, x.asked.connection) && !http::same_name(field.name, token_field))
      x.head.append(field.name).append(": ").append(field.value).append("\r\n");
  if (x.request_chunked) x.head += "Transfer-Encoding: chunked\r\n";
  if (!x.agent_persists)
    x.head += "Connection: close\r\n";
  else if (head.minor == 0)
    x.head += "Connection: keep-alive\r\n";
  x.head += "\r\n";
  const auto token = read_token(head, target);
  if (!token)
    return refuse_unjudged({400, token.error().what, "", token.error().hint, {}}, record_text(x.asked.http), turn);
  Caller* caller = token->empty() || !life_.awaits_token() ? nullptr : &life_.show_token(*token, turn.now);
  x.operation = life_.open(x.asked.http, 0, turn.now, caller).id;
  advance(turn);
}

/// The Target that Host leads to. It stays the flow's: another one's requests belong on another connection.
bool HttpConversation::choose_target(const Asked& asked, Turn& turn) {
  const Facts& facts = life_.facts();
  const uint16_t port = life_.origin().destination.port;
  const auto leads = [&](const policy::Target* target) {
    return target && policy::leads_to(*facts.policy, facts.hosts, *target, asked.host, port);
  };
  if (!life_.target()) {
    const policy::TargetMatch& match = life_.match();
    const policy::Target* chosen = leads(match.target) ? match.target : nullptr;
    for (const policy::Target* other : match.others)
      if (!chosen && leads(other)) chosen = other;
    if (!chosen) return false;
    life_.choose_target({.name = chosen->name}, turn.now, turn.actions);
  }
  target_chosen_ = life_.target() != nullptr;
  return leads(life_.target());
}

/// Goes on with a request that waits: for its token's verification, for the connection's judgement or its own, or for a
/// human.
void HttpConversation::advance(Turn& turn) {
  if (over_ || !exchange_ || exchange_->stage != Exchange::Stage::waiting) return;
  LiveOperation& request = *life_.find(exchange_->operation);
  if (request.stage == Stage::opened) {
    if (token_pending(request, turn) || !connection_allowed(request, turn)) return;
    judge(request, turn);
  }
  if (request.stage == Stage::held) return wake(turn);
  if (request.stage == Stage::refused) return answer(refusal_answer(request, life_.origin(), challenge()), turn);
  // While a human took his time, the proof that the connection was judged for may have ended.
  if (connection_allowed(request, turn)) release(turn);
}

/// Whether its token is still being verified. One that takes too long is refused as not proven.
bool HttpConversation::token_pending(const LiveOperation& request, Turn& turn) {
  if (!request.caller->shown || request.caller->standing->is != Standing::Is::pending) return false;
  int64_t& deadline_ns = exchange_->token_deadline_ns;
  if (deadline_ns == 0) deadline_ns = turn.now.monotonic_ns + limits::kTokenWaitMs * kNanosPerMilli;
  if (turn.now.monotonic_ns >= deadline_ns) return false;
  wake(turn);
  return true;
}

/// The connection's own judgement; where tokens are shown in-band it is made for the first who has proven one.
bool HttpConversation::connection_allowed(const LiveOperation& request, Turn& turn) {
  LiveOperation& connect = *life_.find(0);
  if (connect.stage == Stage::opened) {
    if (request.caller->standing->is != Standing::Is::proven) return true;  // the request is refused, and says why
    life_.judge_connect(*request.caller, turn.now, turn.actions);
    remember_expiry(*connect.decision);
  }
  if (connect.stage == Stage::refused)
    answer_and_finish(refusal_answer(connect, life_.origin(), challenge()), "refused by policy", turn);
  else if (connect.stage == Stage::held)
    wake(turn);
  return !over_ && connect.stage == Stage::released;
}

void HttpConversation::judge(LiveOperation& request, Turn& turn) {
  const model::Http& http = exchange_->asked.http;
  request.statements = 1;
  model::Decision decision = life_.decide(*request.operation, turn.now, *request.caller);
  if (decision.outcome != model::Outcome::deny)
    life_.set_limits(decision.obligations.limits, turn.now, *request.caller);
  if (decision.expires_wall_ns != 0) {
    remember_expiry(decision);
    wake(turn);
  }
  life_.judge(request, std::move(decision),
              {.statement = record_text(http), .shape = fmt::format("{} {}", http.method, printable(http.path, 1024))},
              turn.now, turn.actions);
}

void HttpConversation::release(Turn& turn) {
  Exchange& x = *exchange_;
  x.stage = Exchange::Stage::running;
  if (upstream_ == Upstream::none) {
    upstream_ = Upstream::dialling;
    turn.actions.add(Dial{leg_, life_.origin().destination});
  }
  to_target(x.head, turn);
  std::string().swap(x.head);
}

void HttpConversation::to_target(std::string_view bytes, Turn& turn) {
  (upstream_ == Upstream::ready ? turn.actions.send(leg_) : unsent_) += bytes;
  life_.bytes_to_target() += bytes.size();
  if (LiveOperation* request = live()) request->result.bytes_to_target += bytes.size();
}

/// True: the exchange is over, and another one may begin.
bool HttpConversation::pump_request_body(Turn& turn) {
  Exchange& x = *exchange_;
  while (!x.request_done) {
    if (upstream_ != Upstream::ready) return false;
    auto next = x.request_body.next(from_agent_.readable());
    if (std::holds_alternative<http::NeedMore>(next)) {
      if (agent_eof_) finish("agent closed in the middle of a request", turn);
      return false;
    }
    if (auto* wrong = std::get_if<http::Violation>(&next)) {
      const std::string reason = "protocol violation: " + wrong->why;
      if (x.answer_begun) return abort(reason, turn), false;
      turn.actions.add(Abort{leg_});
      answer_and_finish({wrong->status, "the request cannot be read: " + wrong->why, "", "", {}}, reason, turn);
      return false;
    }
    auto& piece = std::get<http::BodyReader::Piece>(next);
    std::string framed;
    if (x.request_chunked) {
      std::erase_if(piece.trailers, [&](const http::Field& field) {
        return life_.target() && http::same_name(field.name, token_field_of(*life_.target()));
      });
      http::append_chunk(framed, piece.data);
      if (piece.last) http::append_last_chunk(framed, piece.trailers);
    }
    to_target(x.request_chunked ? framed : piece.data, turn);
    from_agent_.consume(piece.consumed);
    x.request_done = piece.last;
  }
  if (!x.answer_done) return false;
  end_exchange(turn);
  return !over_;
}

/// What is left of a refused request's body, up to a bound.
bool HttpConversation::skip_request_body(Turn& turn) {
  Exchange& x = *exchange_;
  while (!x.request_done) {
    auto next = x.request_body.next(from_agent_.readable());
    const auto* piece = std::get_if<http::BodyReader::Piece>(&next);
    if (!piece) {
      if (agent_eof_ || std::holds_alternative<http::Violation>(next)) finish("agent closed", turn);
      return false;
    }
    from_agent_.consume(piece->consumed);
    x.skipped += piece->consumed;
    x.request_done = piece->last;
    if (x.skipped > limits::kHttpSkippedBytesMax) return finish("a refused request's body is too large", turn), false;
  }
  end_exchange(turn);
  return !over_;
}

/// Refuses what policy was not asked about, and puts it on record all the same.
void HttpConversation::refuse_unjudged(const Answer& words, std::string text, Turn& turn) {
  Exchange& x = *exchange_;
  LiveOperation& request = life_.open(x.asked.http, 0, turn.now);
  x.operation = request.id;
  life_.judge(request, denial(words.message, words.hint), {.statement = std::move(text)}, turn.now, turn.actions);
  answer(words, turn);
}

/// Answers in the target's stead. The connection stays if what is left of the request can be read and dropped.
void HttpConversation::answer(const Answer& words, Turn& turn) {
  Exchange& x = *exchange_;
  x.stage = Exchange::Stage::refused;
  // Whoever waits for 100 Continue may send the body all the same, or not: only a close ends the doubt.
  const bool unsure = x.expects_continue && !x.request_done;
  x.form.close = !x.agent_persists || unsure || x.body_too_large_to_skip;
  x.close_after = x.form.close;
  const std::string message = render_answer(words, x.form);
  turn.actions.send(kAgentLeg) += message;
  life_.bytes_to_agent() += message.size();
  if (LiveOperation* request = live()) {
    request->result.bytes_to_agent += message.size();
    request->result.tag = std::to_string(words.status);
  }
  x.answer_done = true;
  if (x.form.close) end_exchange(turn);
}

void HttpConversation::answer_and_finish(const Answer& words, std::string reason, Turn& turn) {
  AnswerForm form = exchange_ ? exchange_->form : AnswerForm{};
  form.close = true;
  const std::string message = render_answer(words, form);
  turn.actions.send(kAgentLeg) += message;
  life_.bytes_to_agent() += message.size();
  finish(std::move(reason), turn);
}

void HttpConversation::end_exchange(Turn& turn) {
  if (LiveOperation* request = live()) life_.end(*request, turn.now, turn.actions);
  const bool close = exchange_->close_after;
  exchange_.reset();
  ++exchanges_;
  if (close) return finish("closed behind an answer", turn);
  if (upstream_ != Upstream::none) return;
  idle_deadline_ns_ = turn.now.monotonic_ns + limits::kHttpIdleTimeoutMs * kNanosPerMilli;
  wake(turn);
}

}  // namespace sallyport::flow
