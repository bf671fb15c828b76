// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 flow, one exchange at a time: a request is judged before a byte of it goes upstream, its answer relayed,
// then the next one is read. What an agent pipelines waits in its buffer.
//
//   waiting ──► running ──► over        waiting: for the connection's or the request's own judgement (a human)
//      └──────► refused ──► over        refused: answered by us; the rest of its body is read and dropped
//
// The upstream connection is made for the first request that is let through, and serves all that follow; when the
// target closes it, the agent's is closed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "flow/http/answer.h"
#include "flow/http/request.h"
#include "flow/operation/layer.h"
#include "sallyport/base/stream_buffer.h"
#include "sallyport/protocol/http/body.h"

namespace sallyport::flow {

/// A request and its answer.
struct HttpExchange {
  enum class Stage : uint8_t { waiting, running, refused };
  Stage stage = Stage::waiting;
  // Of the request.
  Asked asked;
  AnswerForm form;
  bool agent_persists = true;
  bool expects_continue = false;
  std::string head;  ///< as it goes upstream; empty once it has gone
  model::OperationId operation = 0;
  int64_t token_deadline_ns = 0;  ///< monotonic; its token is being verified no longer than this; 0: none is
  http::BodyReader request_body{{}};
  bool request_chunked = false;
  bool request_done = false;
  bool body_too_large_to_skip = false;
  uint64_t skipped = 0;  ///< refused: bytes of its body that were dropped
  // Of the answer.
  int interim = 0;
  bool answer_begun = false;  ///< part of it went to the agent
  std::optional<http::BodyReader> answer_body;
  bool answer_chunked = false;
  bool answer_until_close = false;
  bool answer_done = false;
  bool close_after = false;
};

class HttpConversation final : public Layer {
 public:
  explicit HttpConversation(OperationLife& life) : life_(life) {}
  void on_event(const Event& event, Turn& turn) override;

 private:
  using Exchange = HttpExchange;
  enum class Upstream : uint8_t { none, dialling, securing, ready };

  // conversation.cc
  void start(Turn& turn);
  void on_bytes(const Bytes& bytes, Turn& turn);
  void on_agent_eof(Turn& turn);
  void on_secured(const Secured& secured, Turn& turn);
  void on_dialled(Turn& turn);
  void on_upstream_ready(Turn& turn);
  void on_answered(const Answered& answered, Turn& turn);
  void on_changed(Turn& turn);
  void on_tick(Turn& turn);
  void on_record_failed(const RecordFailed& failed, Turn& turn);
  void on_upstream_gone(const std::string& reason, bool clean, Turn& turn);
  void wake(Turn& turn);
  bool connection_still_allowed(Turn& turn);
  void remember_expiry(const model::Decision& decision);
  void give_up_holds(Turn& turn);
  void cut(LiveOperation& live, Turn& turn);
  void finish(std::string reason, Turn& turn);
  void abort(std::string reason, Turn& turn);

  // agent_side.cc
  void begin_tls(Turn& turn);
  void pump_agent(Turn& turn);
  bool begin(Turn& turn);
  void open_exchange(const http::RequestHead& head, Turn& turn);
  bool choose_target(const Asked& asked, Turn& turn);
  void advance(Turn& turn);
  bool token_pending(const LiveOperation& request, Turn& turn);
  bool connection_allowed(const LiveOperation& request, Turn& turn);
  void judge(LiveOperation& request, Turn& turn);
  void release(Turn& turn);
  bool pump_request_body(Turn& turn);
  bool skip_request_body(Turn& turn);
  void refuse_unjudged(const Answer& answer, std::string text, Turn& turn);
  void answer(const Answer& answer, Turn& turn);
  void answer_and_finish(const Answer& answer, std::string reason, Turn& turn);
  void to_target(std::string_view bytes, Turn& turn);
  void end_exchange(Turn& turn);
  void throttle(Turn& turn);
  /// WWW-Authenticate where a token was to be shown in-band; empty: it was not.
  std::string challenge() const;

  // server_side.cc
  void pump_server(Turn& turn);
  void on_answer_head(const http::ResponseHead& head, Turn& turn);
  void on_answer_piece(const http::BodyReader::Piece& piece, Turn& turn);
  void on_answer_done(Turn& turn);
  void bad_gateway(std::string why, Turn& turn);
  bool to_agent(std::string_view bytes, Turn& turn);

  LiveOperation* live() { return exchange_ && exchange_->operation ? life_.find(exchange_->operation) : nullptr; }

  OperationLife& life_;
  StreamBuffer from_agent_;
  StreamBuffer from_server_;
  std::optional<Exchange> exchange_;
  Upstream upstream_ = Upstream::none;
  Leg leg_ = kUpstreamLeg;
  std::string unsent_;  ///< the head that waits for the upstream connection
  uint64_t exchanges_ = 0;
  int64_t head_deadline_ns_ = 0;  ///< monotonic; 0: no head is being read
  int64_t idle_deadline_ns_ = 0;  ///< likewise: nobody else would close a connection that nothing is asked on
  int64_t expires_wall_ns_ = 0;   ///< the earliest end of what was decided; 0: none
  bool agent_secured_ = false;
  bool agent_eof_ = false;
  bool agent_reading_ = true;
  bool started_ = false;
  bool target_chosen_ = false;
  bool over_ = false;
};

}  // namespace sallyport::flow
