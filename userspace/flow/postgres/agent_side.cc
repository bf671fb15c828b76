// SPDX-License-Identifier: Apache-2.0
// The agent's messages: one by one, judged, then forwarded as they are, or replaced by one that fails.
#include <fmt/core.h>

#include <algorithm>

#include "flow/postgres/client_encoding.h"
#include "flow/postgres/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {

using namespace postgres;
using Kind = InFlight::Kind;

void Conversation::pump_agent(Turn& turn) {
  const FrameReader reader(Side::agent);
  while (!connection_.over && blocked_ == Blocked::no) {
    if (!agent_rest_.done()) {
      if (connection_.from_agent.empty()) break;
      pass_large_agent(turn);
      continue;
    }
    auto next = reader.next(connection_.from_agent.readable());
    if (std::holds_alternative<NeedMore>(next)) break;
    if (auto* broken = std::get_if<postgres::Violation>(&next)) return violation("agent: " + broken->why, turn);
    if (auto* large = std::get_if<Large>(&next)) {
      if (!begin_large(*large, turn)) break;
      continue;
    }
    const Frame frame = std::get<Frame>(next);
    const size_t size = frame.raw.size();
    if (!on_agent_frame(frame, turn)) break;
    front_.reset();
    if (connection_.over) return;
    connection_.from_agent.consume(size);
  }
  throttle(turn);
}

/// While something is waited for, no more is read than fits.
void Conversation::throttle(Turn& turn) {
  const bool read = blocked_ == Blocked::no || connection_.from_agent.size() < limits::kLegQueueBytesMax;
  if (read != agent_reading_ && !connection_.over) turn.actions.add(Read{kAgentLeg, read});
  agent_reading_ = read;
  connection_.from_agent.release_if_empty();
}

/// False: the message stays at the front and is tried again. True: it is dealt with.
bool Conversation::on_agent_frame(const Frame& frame, Turn& turn) {
  if (queue_.size() + 8 > queue_.in_flight_max()) {
    wait_for(Blocked::drain, turn);
    return false;
  }
  // After an error the server reads on to Sync and ignores the rest; so nothing of it is judged either.
  const bool ignored = queue_.phase() == Phase::skip_to_sync;
  if (ignored && frame.type != frontend::kSync && frame.type != frontend::kTerminate) return true;
  switch (frame.type) {
    case frontend::kQuery:
      return on_query(frame, turn);
    case frontend::kParse:
      return on_parse(frame, turn);
    case frontend::kBind:
      return on_bind(frame, turn);
    case frontend::kExecute:
      return on_execute(frame, turn);
    case frontend::kFunctionCall:
      return on_function_call(frame, turn);
    case frontend::kDescribe:
      return on_describe(frame, turn);
    case frontend::kClose:
      on_close(frame, turn);
      return true;
    case frontend::kFlush:
      turn.actions.send(connection_.upstream) += frame.raw;
      unanswered_since_flush_ = false;
      return true;
    case frontend::kSync:
      // It may end an implicit transaction, and with that undo what moved in it.
      if (push(Kind::sync, {.moves_meaning = moved_in_transaction_}, turn))
        turn.actions.send(connection_.upstream) += frame.raw;
      batch_open_ = false;
      unanswered_since_flush_ = false;
      ++names_.batch;
      return true;
    case frontend::kCopyData:
    case frontend::kCopyDone:
    case frontend::kCopyFail:
      on_copy_in(frame, turn);
      return true;
    case frontend::kTerminate:
      turn.actions.send(connection_.upstream) += frame.raw;
      end_normally(connection_, "agent closed", turn);
      return true;
    default:
      violation(fmt::format("agent: {} out of place", type_name(Side::agent, frame.type)), turn);
      return true;
  }
}

Conversation::ErrorText Conversation::too_many_names() {
  return {.sqlstate = "53400",
          .message = fmt::format("more than {} prepared statements or portals on this connection", limits::kPgNamesMax),
          .hint = "close those that are no longer used: DEALLOCATE, CLOSE"};
}

/// Is there room for what PREPARE and DECLARE in it define? They share their names with Parse and Bind.
bool Conversation::has_room_for_names(const sql::Analysis& analysis) const {
  const size_t more = names_made_by(analysis);
  return more == 0 ||
         std::max(names_.statements.size(), names_.portals.size()) + names_coming_ + more <= limits::kPgNamesMax;
}

/// COPY's data belong to the statement sent last. What was refused, or is no COPY, gets none: the server would
/// ignore them too (PG protocol: COPY Operations), so nobody misses them.
void Conversation::on_copy_in(const Frame& frame, Turn& turn) {
  if (!copy_in_allowed_) return;
  if (frame.type != frontend::kCopyData && !push(Kind::copy_end, {}, turn)) return;
  turn.actions.send(connection_.upstream) += frame.raw;
  life_.bytes_to_target() += frame.raw.size();
}

bool Conversation::on_query(const Frame& frame, Turn& turn) {
  auto query = parse_query(frame.body);
  if (!query) return violation("agent: " + query.error().what, turn), true;
  const Verdict verdict = judge_text(query->sql, model::Sql::Source::query, turn);
  if (verdict == Verdict::wait) return false;
  if (verdict == Verdict::refused) return refuse_decided(front_->operation, /*with_sync=*/true, turn), true;
  if (!has_room_for_names(*front_->judged->analysis))
    return refuse(front_->operation, too_many_names(), true, turn), true;
  if (!describe_copies(turn)) return false;
  if (front_->error) return refuse(front_->operation, std::move(*front_->error), true, turn), true;
  Ticket ticket{.operation = front_->operation};
  start_running();
  forward(frame, Kind::query, std::move(ticket), turn);
  batch_open_ = false;
  unanswered_since_flush_ = false;
  ++names_.batch;
  return true;
}

bool Conversation::on_parse(const Frame& frame, Turn& turn) {
  auto parse = parse_parse(frame.body);
  if (!parse) return violation("agent: " + parse.error().what, turn), true;
  if (names_.statements.size() >= limits::kPgNamesMax) return refuse(0, too_many_names(), false, turn), true;
  const Verdict verdict = judge_text(parse->sql, model::Sql::Source::parse, turn);
  if (verdict == Verdict::wait) return false;
  if (verdict == Verdict::refused) return refuse_decided(front_->operation, /*with_sync=*/false, turn), true;
  auto prepared = std::make_shared<Prepared>();
  prepared->judged = front_->judged;
  prepared->meaning = meaning_;
  prepared->operation = front_->operation;
  Ticket ticket{.operation = front_->operation, .name = std::string(parse->statement), .prepared = prepared};
  names_.statements.pending(ticket.name, prepared, names_.batch);
  start_running();
  forward(frame, Kind::parse, std::move(ticket), turn);
  return true;
}

bool Conversation::on_bind(const Frame& frame, Turn& turn) {
  auto bind = parse_bind(frame.body);
  if (!bind) return violation("agent: " + bind.error().what, turn), true;
  const auto found = names_.statements.find(bind->statement, names_.batch);
  if (found.wait && !queue_.empty()) return wait_for(Blocked::drain, turn), false;
  if (names_.portals.size() >= limits::kPgNamesMax) return refuse(0, too_many_names(), false, turn), true;
  std::shared_ptr<Prepared> prepared = found.value;
  if (!prepared && transparent_) prepared = unseen(fmt::format("prepared statement {}", bind->statement));
  if (!prepared) {
    refuse(0,
           {.sqlstate = "26000",
            .message = fmt::format("prepared statement \"{}\" does not exist", printable(bind->statement, 63))},
           false, turn);
    return true;
  }
  auto portal = std::make_shared<Portal>();
  portal->prepared = prepared;
  portal->parameters = record_parameters(*bind, *prepared);
  Ticket ticket{.defines_portal = true, .name = std::string(bind->portal), .portal = portal};
  names_.portals.pending(ticket.name, portal, names_.batch);
  forward(frame, Kind::bind, std::move(ticket), turn);
  return true;
}

bool Conversation::on_execute(const Frame& frame, Turn& turn) {
  auto execute = parse_execute(frame.body);
  if (!execute) return violation("agent: " + execute.error().what, turn), true;
  const auto found = names_.portals.find(execute->portal, names_.batch);
  if (found.wait && !queue_.empty()) return wait_for(Blocked::drain, turn), false;
  std::shared_ptr<Portal> portal = found.value;
  if (!portal && transparent_) {  // a cursor of a function, say
    portal = std::make_shared<Portal>();
    portal->prepared = unseen(fmt::format("portal {}", execute->portal));
  }
  if (!portal || !portal->prepared) {
    refuse(
        0,
        {.sqlstate = "34000", .message = fmt::format("portal \"{}\" does not exist", printable(execute->portal, 63))},
        false, turn);
    return true;
  }
  const Verdict verdict = judge_prepared(*portal->prepared, *portal, turn);
  if (verdict == Verdict::wait) return false;
  if (verdict == Verdict::refused) return refuse_decided(front_->operation, /*with_sync=*/false, turn), true;
  if (!has_room_for_names(*portal->prepared->judged->analysis))
    return refuse(front_->operation, too_many_names(), false, turn), true;
  if (!describe_copies(turn)) return false;
  if (front_->error) return refuse(front_->operation, std::move(*front_->error), false, turn), true;
  const Running& running = start_running();
  if (running.reads_rows && !portal->described && !portal->describe_in_flight) {
    portal->describe_in_flight = true;
    if (push(Kind::describe_portal, {.role = Ticket::Role::describe, .portal = portal}, turn))
      append_describe(turn.actions.send(connection_.upstream), Named::portal, execute->portal);
  }
  forward(frame, Kind::execute, {.operation = front_->operation, .portal = portal}, turn);
  return true;
}

bool Conversation::on_function_call(const Frame& frame, Turn& turn) {
  auto call = parse_function_call(frame.body);
  if (!call) return violation("agent: " + call.error().what, turn), true;
  const Verdict verdict = judge_function(call->function_oid, turn);
  if (verdict == Verdict::wait) return false;
  if (verdict == Verdict::refused) return refuse_decided(front_->operation, /*with_sync=*/true, turn), true;
  start_running();
  forward(frame, Kind::function_call, {.operation = front_->operation}, turn);
  batch_open_ = false;
  ++names_.batch;
  return true;
}

bool Conversation::on_describe(const Frame& frame, Turn& turn) {
  auto describe = parse_describe(frame.body);
  if (!describe) return violation("agent: " + describe.error().what, turn), true;
  Ticket ticket{.named = describe->kind};
  if (describe->kind == Named::portal) {
    const auto found = names_.portals.find(describe->name, names_.batch);
    if (found.wait && !queue_.empty()) return wait_for(Blocked::drain, turn), false;
    ticket.portal = found.value;
    if (ticket.portal) ticket.portal->describe_in_flight = true;
  }
  forward(frame, describe->kind == Named::portal ? Kind::describe_portal : Kind::describe_statement, std::move(ticket),
          turn);
  return true;
}

void Conversation::on_close(const Frame& frame, Turn& turn) {
  auto close = parse_close(frame.body);
  if (!close) return violation("agent: " + close.error().what, turn);
  forward(frame, Kind::close, {.closes = true, .name = std::string(close->name), .named = close->kind}, turn);
}

/// Messages too large to be held: rows of COPY and parameters stream, statements are refused unread.
bool Conversation::begin_large(const Large& large, Turn& turn) {
  const std::string_view input = connection_.from_agent.readable();
  agent_rest_forwarded_ = queue_.phase() != Phase::skip_to_sync;
  if (large.header.type == frontend::kBind && agent_rest_forwarded_) {
    const auto names = parse_bind_names(input.substr(std::min(kFrameHeaderBytes, input.size())));
    if (!names) return false;
    const auto found = names_.statements.find(names->statement, names_.batch);
    if (found.wait && !queue_.empty()) return wait_for(Blocked::drain, turn), false;
    auto portal = std::make_shared<Portal>();
    portal->prepared = found.value;
    portal->parameters = {fmt::format("<{} bytes of parameters>", large.header.body_bytes())};
    names_.portals.pending(std::string(names->portal), portal, names_.batch);
    if (!push(Kind::bind, {.defines_portal = true, .name = std::string(names->portal), .portal = portal}, turn))
      agent_rest_forwarded_ = false;
  } else if (large.header.type == frontend::kCopyData) {
    agent_rest_forwarded_ = copy_in_allowed_;
  } else if (agent_rest_forwarded_) {
    const bool with_sync = large.header.type == frontend::kQuery || large.header.type == frontend::kFunctionCall;
    agent_rest_forwarded_ = false;
    refuse(0,
           {.sqlstate = "54000",
            .message = fmt::format("a {} of {} bytes is longer than the {} MiB that can be judged",
                                   type_name(Side::agent, large.header.type), large.header.frame_bytes(),
                                   limits::kPgBufferedMessageBytesMax >> 20),
            .hint = "send bulk data by COPY or as parameters, and scripts statement by statement"},
           with_sync, turn);
  }
  agent_rest_ = PassThrough(large.header.frame_bytes());
  return true;
}

void Conversation::pass_large_agent(Turn& turn) {
  const std::string_view piece = agent_rest_.take(connection_.from_agent.readable());
  if (agent_rest_forwarded_) {
    turn.actions.send(connection_.upstream) += piece;
    life_.bytes_to_target() += piece.size();
  }
  connection_.from_agent.consume(piece.size());
}

/// May what runs read COPY data? A text that was not understood may, and so may what passes unjudged.
bool Conversation::may_copy_in(const Running* running) {
  if (!running || !running->judged->analysis->parsed) return true;
  return std::ranges::any_of(running->judged->analysis->statements, [](const sql::Statement& statement) {
    return statement.copy == sql::Statement::Copy::in;
  });
}

/// Counts the message as in flight and sends it on as it came.
void Conversation::forward(const Frame& frame, Kind kind, Ticket&& ticket, Turn& turn) {
  if (const Running* running = running_of(ticket)) {
    for (const sql::Statement& statement : running->judged->analysis->statements) {
      const bool ends_moves = moved_in_transaction_ && statement.transaction_control;
      // A Parse runs nothing; its Execute will.
      if (kind == Kind::parse) break;
      ticket.moves_meaning |= statement.moves_meaning || ends_moves;
      ticket.moves_lexing |= statement.moves_lexing || ends_moves;
    }
    if (LiveOperation* live = life_.find(ticket.operation)) live->result.bytes_to_target += frame.raw.size();
  }
  const bool moves = ticket.moves_meaning;
  if (kind == Kind::query || kind == Kind::execute) copy_in_allowed_ = may_copy_in(running_of(ticket));
  if (kind == Kind::function_call) copy_in_allowed_ = false;
  if (push(kind, std::move(ticket), turn)) {
    moved_in_transaction_ |= moves;
    turn.actions.send(connection_.upstream) += frame.raw;
    life_.bytes_to_target() += frame.raw.size();
  }
}

bool Conversation::push(Kind kind, Ticket&& ticket, Turn& turn) {
  const bool swallow = ticket.role == Ticket::Role::lookup || ticket.role == Ticket::Role::describe;
  if (queue_.empty() && !in_transaction()) transaction_began_ns_ = turn.now.monotonic_ns;
  const uint64_t id = first_ticket_ + tickets_.size();
  const Pushed pushed = queue_.push(kind, id, swallow);
  if (pushed == Pushed::full) violation("more messages in flight than are allowed", turn);
  if (pushed == Pushed::violation) violation("agent: a message amid COPY data", turn);
  if (pushed != Pushed::queued) {
    settle_discarded(turn);
    // Nothing of it will be answered: whatever it was to define or run is over.
    settle(ticket, false, turn);
    return false;
  }
  moving_meaning_ += ticket.moves_meaning;
  moving_lexing_ += ticket.moves_lexing;
  if (kind != Kind::sync && kind != Kind::query && kind != Kind::function_call && kind != Kind::copy_end) {
    batch_open_ = true;
    unanswered_since_flush_ = true;
  }
  ticket.closed = kind == Kind::copy_end;  // nothing answers it by itself: it only must not hold up the others
  tickets_.push_back(std::move(ticket));
  if (queue_.has_discarded()) settle_discarded(turn);
  return true;
}

void Conversation::refuse_decided(model::OperationId operation, bool with_sync, Turn& turn) {
  const LiveOperation& live = *life_.find(operation);
  ErrorText error;
  if (connection_.status == TransactionStatus::failed && queue_.empty()) {
    error.sqlstate = "25P02";
    error.message = "current transaction is aborted, commands ignored until end of transaction block";
  } else {
    Refusal refusal = render_refusal(live, life_.origin());
    error = {"42501", std::move(refusal.message), std::move(refusal.detail), std::move(refusal.hint)};
  }
  refuse(operation, std::move(error), with_sync, turn);
}

/// The server fails the Execute below as it would fail a bad statement; on_error() puts our words in.
void Conversation::refuse(model::OperationId operation, ErrorText error, bool with_sync, Turn& turn) {
  if (connection_.replication) {
    // A walsender knows no extended protocol, so nothing can stand in for the refused command.
    end_with_error(connection_,
                   {.severity = "FATAL",
                    .sqlstate = error.sqlstate,
                    .message = error.message,
                    .detail = error.detail,
                    .hint = error.hint},
                   "refused on a replication connection", turn);
    return;
  }
  copy_in_allowed_ = false;
  Ticket ticket{.role = Ticket::Role::refusal,
                .operation = operation,
                .error = std::make_unique<const ErrorText>(std::move(error))};
  if (push(Kind::execute, std::move(ticket), turn))
    append_execute(turn.actions.send(connection_.upstream), refused_portal_, 0);
  if (!with_sync) return;
  if (push(Kind::sync, {.moves_meaning = moved_in_transaction_}, turn))
    append_sync(turn.actions.send(connection_.upstream));
  batch_open_ = false;
  unanswered_since_flush_ = false;
  ++names_.batch;
}

std::vector<std::string> Conversation::record_parameters(const Bind& bind, const Prepared& prepared) const {
  std::vector<std::string> out;
  const std::vector<sql::Statement>& statements = prepared.judged->analysis->statements;
  if (statements.empty()) return out;
  const std::vector<sql::Literal>& literals = statements.front().literals;
  int number = 0;
  for (const Value value : bind.parameters) {
    ++number;
    if (!value) {
      out.emplace_back("NULL");
      continue;
    }
    std::optional<std::string> hidden;
    for (const sql::Literal& literal : literals)
      if (literal.parameter == number && !hidden) hidden = literal.password ? "<secret>" : hide(literal, *value);
    if (!hidden) hidden = hide({}, *value);
    const bool text = bind.parameter_formats.of(static_cast<size_t>(number - 1)) == kTextFormat;
    if (hidden)
      out.push_back(std::move(*hidden));
    else if (text && is_valid_utf8(*value))
      out.emplace_back(value->substr(0, limits::kRecordParameterBytesMax));
    else
      out.push_back(fmt::format("<{} bytes>", value->size()));
  }
  return out;
}

void Conversation::wait_for(Blocked what, Turn& turn) {
  blocked_ = what;
  if (what == Blocked::drain && unanswered_since_flush_) {
    append_flush(turn.actions.send(connection_.upstream));
    unanswered_since_flush_ = false;
  }
}

}  // namespace sallyport::flow
