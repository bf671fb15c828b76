// SPDX-License-Identifier: Apache-2.0
// The target's answers: framed again, counted, otherwise as they came.
#include <fmt/core.h>

#include "flow/http/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {
namespace {

void append_fields(std::string& out, const http::ResponseHead& head, const http::Connection& connection) {
  out += fmt::format("HTTP/1.{} {} {}\r\n", head.minor, head.status, head.reason);
  for (const http::Field& field : head.fields)
    if (!http::is_hop_by_hop(field.name, connection))
      out.append(field.name).append(": ").append(field.value).append("\r\n");
}

}  // namespace

void HttpConversation::pump_server(Turn& turn) {
  while (!over_ && !from_server_.empty()) {
    const std::string_view input = from_server_.readable();
    if (!exchange_ || exchange_->stage != Exchange::Stage::running || exchange_->answer_done)
      return abort("protocol violation: target: bytes that no request asked for", turn);
    Exchange& x = *exchange_;
    if (!x.answer_body) {
      auto next = http::next_response(input, x.form.to_head);
      if (std::holds_alternative<http::NeedMore>(next)) break;
      if (auto* wrong = std::get_if<http::Violation>(&next)) return bad_gateway("its answer has " + wrong->why, turn);
      const auto& head = std::get<http::ResponseHead>(next);
      from_server_.consume(head.raw.size());  // views stay valid until more is appended
      on_answer_head(head, turn);
    } else {
      auto next = x.answer_body->next(input);
      if (std::holds_alternative<http::NeedMore>(next)) break;
      if (auto* wrong = std::get_if<http::Violation>(&next))
        return abort("protocol violation: target: " + wrong->why, turn);
      const auto& piece = std::get<http::BodyReader::Piece>(next);
      from_server_.consume(piece.consumed);
      on_answer_piece(piece, turn);
    }
  }
  if (!over_) from_server_.release_if_empty();
}

void HttpConversation::on_answer_head(const http::ResponseHead& head, Turn& turn) {
  Exchange& x = *exchange_;
  auto connection = http::read_connection(head.fields);
  if (!connection) return bad_gateway(connection.error().what, turn);
  std::string out;
  append_fields(out, head, *connection);
  if (head.interim()) {
    if (head.status == 101) return bad_gateway("it switched protocols, which nobody asked for", turn);
    if (++x.interim > limits::kHttpInterimMax) return bad_gateway("it answers with nothing but 1xx", turn);
    // HTTP/1.0 knows none (RFC 9110 section 15.2).
    if (!x.form.http10) to_agent(out + "\r\n", turn);
    return;
  }
  x.answer_begun = true;
  x.answer_body.emplace(head.body);
  x.answer_until_close = head.body.kind == http::Framing::Kind::until_close;
  const bool chunked = head.body.kind == http::Framing::Kind::chunked;
  // HTTP/1.0 knows no chunks: the end of the connection ends the body.
  x.answer_chunked = chunked && !x.form.http10;
  const bool stays = http::persists(*connection, head.minor) && !x.answer_until_close && chunked == x.answer_chunked;
  x.close_after = !x.agent_persists || !stays;
  if (x.answer_chunked) out += "Transfer-Encoding: chunked\r\n";
  if (x.close_after)
    out += "Connection: close\r\n";
  else if (x.form.http10 || head.minor == 0)
    out += "Connection: keep-alive\r\n";
  if (LiveOperation* request = live())
    request->result.tag = fmt::format("{} {}", head.status, printable(head.reason, 64));
  if (to_agent(out + "\r\n", turn) && head.body.kind == http::Framing::Kind::none) on_answer_done(turn);
}

void HttpConversation::on_answer_piece(const http::BodyReader::Piece& piece, Turn& turn) {
  Exchange& x = *exchange_;
  bool goes_on = true;
  if (x.answer_chunked) {
    std::string framed;
    http::append_chunk(framed, piece.data);
    if (piece.last) http::append_last_chunk(framed, piece.trailers);
    goes_on = to_agent(framed, turn);
  } else {
    goes_on = to_agent(piece.data, turn);
  }
  if (goes_on && piece.last) on_answer_done(turn);
}

/// The request may still be on its way; the exchange is over when both are.
void HttpConversation::on_answer_done(Turn& turn) {
  Exchange& x = *exchange_;
  x.answer_done = true;
  if (x.request_done || x.close_after) end_exchange(turn);
}

/// False: a limit is used up, and the flow is over.
bool HttpConversation::to_agent(std::string_view bytes, Turn& turn) {
  LiveOperation* request = live();
  if (request && !life_.spend(*request, 0, bytes.size(), turn.now, turn.actions)) return cut(*request, turn), false;
  turn.actions.send(kAgentLeg) += bytes;
  life_.bytes_to_agent() += bytes.size();
  if (request) request->result.bytes_to_agent += bytes.size();
  return true;
}

void HttpConversation::bad_gateway(std::string why, Turn& turn) {
  const std::string message = fmt::format("target {} at {}: {}", life_.target() ? life_.target()->name : "",
                                          life_.origin().destination.to_string(), why);
  if (LiveOperation* request = live()) {
    request->result.error = message;
    request->result.tag = "502";
  }
  turn.actions.add(Abort{leg_});
  answer_and_finish({502, message, "", "", {}}, message, turn);
}

}  // namespace sallyport::flow
