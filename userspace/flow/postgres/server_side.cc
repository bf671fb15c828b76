// SPDX-License-Identifier: Apache-2.0
// The server's answers: paired with what they answer, swallowed when they are ours, masked, counted.
#include <fmt/core.h>

#include "flow/postgres/client_encoding.h"
#include "flow/postgres/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::flow {

using namespace postgres;

void Conversation::pump_server(Turn& turn) {
  const FrameReader reader(Side::server);
  while (!connection_.over) {
    const std::string_view input = connection_.from_server.readable();
    if (!server_rest_.done()) {
      if (input.empty()) break;
      const std::string_view piece = server_rest_.take(input);
      if (server_rest_relayed_) relay(piece, turn);
      connection_.from_server.consume(piece.size());
      continue;
    }
    auto next = reader.next(input);
    if (std::holds_alternative<NeedMore>(next)) break;
    if (auto* broken = std::get_if<postgres::Violation>(&next)) return violation("target: " + broken->why, turn);
    if (auto* large = std::get_if<Large>(&next)) {
      begin_large_answer(*large, turn);
      continue;
    }
    const Frame frame = std::get<Frame>(next);
    const size_t size = frame.raw.size();
    if (!on_server_frame(frame, turn)) return;
    connection_.from_server.consume(size);
  }
  connection_.from_server.release_if_empty();
}

/// False: the flow is over.
bool Conversation::on_server_frame(const Frame& frame, Turn& turn) {
  const Answer answer = queue_.on_backend(frame.type);
  switch (answer.belongs) {
    case Answer::Belongs::violation:
      violation(fmt::format("target: {} that nobody asked for", type_name(Side::server, frame.type)), turn);
      return false;
    case Answer::Belongs::nobody:
      if (frame.type == backend::kParameterStatus) {
        auto status = parse_parameter_status(frame.body);
        if (!status) return violation("target: " + status.error().what, turn), false;
        connection_.parameters[std::string(status->name)] = std::string(status->value);
        read_parameters();
      }
      if (frame.type == backend::kNoticeResponse)
        on_notice(frame, turn);
      else if (frame.type == backend::kNotificationResponse && detectors_ && !detectors_->empty())
        on_notification(frame, turn);
      else
        relay(frame.raw, turn);
      return true;
    case Answer::Belongs::connection:
      relay(frame.raw, turn);
      return true;
    case Answer::Belongs::entry:
      break;
  }
  Ticket* ticket = ticket_of(answer.entry.id);
  if (!ticket) return violation("target: an answer to nothing in flight", turn), false;
  if (ticket->role == Ticket::Role::lookup) {
    if (answer.finished) ticket->closed = true;
    on_lookup_answer(frame, answer, turn);
  } else {
    on_answer(frame, answer, *ticket, turn);
    if (connection_.over) return false;
    if (answer.finished) {
      settle(*ticket, frame.type != backend::kErrorResponse, turn);
      ticket->closed = true;
    }
  }
  if (queue_.has_discarded()) settle_discarded(turn);
  close_tickets(turn);
  return true;
}

/// What the server skipped has no answer, and what it was to define or run is over.
void Conversation::settle_discarded(Turn& turn) {
  InFlight discarded;
  while (queue_.take_discarded(discarded))
    if (Ticket* skipped = ticket_of(discarded.id); skipped && !skipped->closed) {
      settle(*skipped, false, turn);
      skipped->closed = true;
    }
}

void Conversation::relay(std::string_view raw, Turn& turn) {
  turn.actions.send(kAgentLeg) += raw;
  life_.bytes_to_agent() += raw.size();
}

void Conversation::on_answer(const Frame& frame, const Answer& answer, Ticket& ticket, Turn& turn) {
  switch (frame.type) {
    case backend::kDataRow:
      return on_row(frame, ticket, turn);
    case backend::kRowDescription:
      return on_row_description(frame, ticket, turn);
    case backend::kNoData:
      if (ticket.portal) ticket.portal->described = true;
      break;
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
    case backend::kPortalSuspended:
      return on_complete(frame, ticket, turn);
    case backend::kErrorResponse:
      return on_error(frame, ticket, turn);
    case backend::kReadyForQuery:
      return on_ready(frame, turn);
    case backend::kCopyOutResponse:
      return on_copy_out(frame, ticket, turn);
    case backend::kCopyData:
      return on_copy_data(frame, ticket, turn);
    case backend::kCopyDone:
      return on_copy_done(frame, ticket, turn);
    case backend::kFunctionCallResponse:
      return on_function_result(frame, ticket, turn);
    default:
      break;
  }
  if (!answer.entry.swallow) relay(frame.raw, turn);
}

/// What a RowDescription says, kept with the text: it says the same each time.
Result<std::shared_ptr<const ResultShape>> Conversation::result_shape(std::string_view body, Judged* judged) const {
  if (judged && judged->shape && judged->shape->message == body) return judged->shape;
  auto description = parse_row_description(body);
  if (!description) return std::unexpected(description.error());
  auto shape = std::make_shared<ResultShape>();
  shape->message = body;
  for (Field field : *description) {
    shape->columns.emplace_back(field.name);
    field.name = {};  // borrowed from the message
    shape->fields.push_back(field);
  }
  if (judged) {
    judged->shape = shape;
    judged->masking.reset();
  }
  return shape;
}

void Conversation::on_row_description(const Frame& frame, Ticket& ticket, Turn& turn) {
  Running* running = running_of(ticket);
  const bool of_portal = ticket.portal && ticket.operation == 0;  // Describe, the agent's or ours
  if (of_portal || (running && running->reads_rows)) {
    const Prepared* prepared = of_portal ? ticket.portal->prepared.get() : nullptr;
    auto shape =
        result_shape(frame.body, of_portal ? prepared ? prepared->judged.get() : nullptr : running->judged.get());
    if (!shape) return violation("target: " + shape.error().what, turn);
    if (of_portal) {
      ticket.portal->shape = std::move(*shape);
      ticket.portal->described = true;
    } else {
      running->shape = std::move(*shape);
      plan_masking(*running);
    }
  }
  if (ticket.role != Ticket::Role::describe) relay(frame.raw, turn);
}

/// `running.shape` is set. What the same text made of the same shape is used again.
void Conversation::plan_masking(Running& running) {
  Judged& judged = *running.judged;
  const bool alike =
      running.shape == judged.shape && judged.decision && running.obligations.get() == &judged.decision->obligations;
  const std::vector<sql::Statement>& statements = judged.analysis->statements;
  // Of several statements each has a lineage of its own.
  const bool again = alike && statements.size() == 1;
  if (again && judged.masking) {
    running.masking = judged.masking;
    return;
  }
  static const sql::Statement kNobodyKnows = [] {
    sql::Statement unknown{.outputs_known = false};
    unknown.outputs.push_back({.traced = false});
    return unknown;
  }();
  const bool known = running.statement < statements.size() && judged.analysis->parsed;
  running.masking = std::make_shared<RowMasking>(*running.obligations, running.shape->fields,
                                                 known ? statements[running.statement] : kNobodyKnows,
                                                 life_.facts().masker, running.detectors);
  if (again) judged.masking = running.masking;
}

/// False: they are too many for a limit, and the flow is over.
bool Conversation::count_rows(LiveOperation& live, uint64_t rows, size_t bytes, Turn& turn) {
  if (!life_.spend(live, rows, bytes, turn.now, turn.actions)) return cut(live, turn), false;
  live.result.rows += rows;
  return true;
}

void Conversation::on_row(const Frame& frame, Ticket& ticket, Turn& turn) {
  LiveOperation* live = live_of(ticket);
  Running* running = running_of(ticket);
  if (live && !count_rows(*live, 1, frame.raw.size(), turn)) return;
  if (!running || !running->reads_rows) {
    if (live) live->result.bytes_to_agent += frame.raw.size();
    return relay(frame.raw, turn);
  }
  if (!running->masking) {
    if (!ticket.portal || !ticket.portal->described) {
      live->own_decision().causes = {
          {.rule = "mask", .text = "the columns of these rows are not known, so none can be masked"}};
      return cut(*live, turn);
    }
    static const auto kNoData = std::make_shared<const ResultShape>();
    running->shape = ticket.portal->shape ? ticket.portal->shape : kNoData;
    plan_masking(*running);
  }
  auto row = parse_data_row(frame.body);
  if (!row) return violation("target: " + row.error().what, turn);
  std::string& out = turn.actions.send(kAgentLeg);
  const size_t start = out.size();
  const bool as_described = row->values.size() == running->shape->fields.size();
  if (running->masking->touches() || !as_described)
    live->result.masked_values += running->masking->apply(*row, out);
  else
    out += frame.raw;
  const std::string_view sent = std::string_view(out).substr(start);
  live->result.bytes_to_agent += sent.size();
  life_.bytes_to_agent() += sent.size();
  if (running->rows_recorded < running->obligations->record_rows_max) record_row(*running, sent);
}

/// Keeps a row as the agent got it.
void Conversation::record_row(Running& running, std::string_view message) {
  auto row = parse_data_row(message.substr(kFrameHeaderBytes));
  if (!row) return;
  const std::vector<Field>& fields = running.shape->fields;
  running.rows.columns = running.shape->columns;
  std::vector<std::optional<std::string>> values;
  for (const Value value : row->values) {
    const bool text = values.size() < fields.size() && fields[values.size()].format == kTextFormat;
    values.push_back(recorded_value(value, text));
  }
  running.rows.rows.push_back(std::move(values));
  ++running.rows_recorded;
}

/// Nothing says what type the value has. Without a NUL byte it is read as text, in either format; inside anything else
/// a text of another length would break it, so all of it goes.
void Conversation::on_function_result(const Frame& frame, Ticket& ticket, Turn& turn) {
  Running* running = running_of(ticket);
  LiveOperation* live = live_of(ticket);
  if (live) {
    if (!count_rows(*live, 1, frame.raw.size(), turn)) return;
    live->result.bytes_to_agent += frame.raw.size();
    live->result.tag = "function call";
  }
  if (!running || !running->detectors) return relay(frame.raw, turn);
  auto response = parse_function_call_response(frame.body);
  if (!response) return violation("target: " + response.error().what, turn);
  if (!response->value || running->detectors->scan(*response->value).empty()) return relay(frame.raw, turn);
  std::optional<std::string> masked;
  if (response->value->find('\0') == std::string_view::npos)
    masked = running->detectors->mask_text(*response->value, *life_.facts().masker);
  if (live) ++live->result.masked_values;
  append_function_call_response(turn.actions.send(kAgentLeg), masked);
}

void Conversation::on_complete(const Frame& frame, Ticket& ticket, Turn& turn) {
  LiveOperation* live = live_of(ticket);
  Running* running = running_of(ticket);
  if (frame.type == backend::kCommandComplete) {
    auto complete = parse_command_complete(frame.body);
    if (!complete) return violation("target: " + complete.error().what, turn);
    if (live) {
      live->result.tag = printable(complete->tag, 64);
      // Rows that came were counted; of what was written only the tag tells.
      if (running && live->result.rows == running->rows_before)
        live->result.rows += rows_of_tag(complete->tag).value_or(0);
      if (running) running->rows_before = live->result.rows;
    }
    if (running) {
      const std::vector<sql::Statement>& statements = running->judged->analysis->statements;
      if (running->statement < statements.size()) apply_name_change(statements[running->statement], *running);
      ++running->statement;
      running->shape.reset();
      running->masking.reset();
      running->copy.reset();
      running->copying = false;
    }
  } else if (live) {
    live->result.tag = frame.type == backend::kPortalSuspended ? "suspended" : "empty";
  }
  relay(frame.raw, turn);
}

/// SQL's own PREPARE, DECLARE and the like took effect: remember what the names stand for now.
void Conversation::apply_name_change(const sql::Statement& statement, const Running& running) {
  if (!statement.name_change) return;
  const sql::NameChange& change = *statement.name_change;
  auto remembered = [&] {
    auto prepared = std::make_shared<Prepared>();
    prepared->judged = std::make_shared<Judged>(Judged{
        .operation = life_.make_operation(model::Sql{
            .text = running.judged->text().substr(statement.offset, statement.length), .effects = statement.effects}),
        .analysis = std::make_shared<sql::Analysis>(sql::Analysis{.statements = {statement}, .parsed = true})});
    prepared->meaning = running.meaning;
    prepared->operation = running.rows.id;
    return prepared;
  };
  switch (change.kind) {
    case sql::NameChange::prepare:
      names_.statements.defined(change.name, remembered());
      break;
    case sql::NameChange::deallocate:
      names_.statements.dropped(change.name);
      break;
    case sql::NameChange::deallocate_all:
      names_.statements.all_dropped();
      if (statement.statement_class == "discard") names_.portals.all_dropped();
      break;
    case sql::NameChange::declare_cursor: {
      auto portal = std::make_shared<Portal>();
      portal->prepared = remembered();
      portal->declared = true;
      names_.portals.defined(change.name, portal);
      break;
    }
    case sql::NameChange::close_cursor:
      names_.portals.dropped(change.name);
      break;
    case sql::NameChange::close_all_cursors:
      names_.portals.all_dropped();
      break;
  }
}

/// May code of functions have made an error of it?
bool Conversation::may_raise(const Running* running) {
  if (!running) return true;
  for (const sql::Statement& statement : running->judged->analysis->statements)
    for (const model::Effect& effect : statement.effects)
      if (effect.statement_class == model::kUnknownClass || effect.kind == model::ObjectKind::function) return true;
  return false;
}

void Conversation::on_error(const Frame& frame, Ticket& ticket, Turn& turn) {
  LiveOperation* live = live_of(ticket);
  if (ticket.role == Ticket::Role::refusal) {
    if (live) {
      live->result.sqlstate = ticket.error->sqlstate;
      live->result.error = ticket.error->message;
    }
    append_error_response(turn.actions.send(kAgentLeg), {.sqlstate = ticket.error->sqlstate,
                                                         .message = ticket.error->message,
                                                         .detail = ticket.error->detail,
                                                         .hint = ticket.error->hint});
    return;
  }
  auto report = parse_report(frame.body);
  if (!report) return violation("target: " + report.error().what, turn);
  const Running* running = running_of(ticket);
  const bool withheld = withholds(running);
  if (live) {
    live->result.sqlstate = printable(told_sqlstate(report->sqlstate(), withheld && may_raise(running)), 5);
    const std::string message =
        withheld ? "text withheld" : printable(report->message(), limits::kRecordParameterBytesMax);
    live->result.error = hide({}, message).value_or(message);
  }
  relay_report(frame, *report, running, turn);
}

void Conversation::on_notice(const Frame& frame, Turn& turn) {
  const InFlight* current = queue_.current();
  Ticket* ticket = current ? ticket_of(current->id) : nullptr;
  auto report = parse_report(frame.body);
  if (!report) return violation("target: " + report.error().what, turn);
  relay_report(frame, *report, ticket ? running_of(*ticket) : nullptr, turn);
}

/// The payload is another session's text.
void Conversation::on_notification(const Frame& frame, Turn& turn) {
  auto notification = parse_notification_response(frame.body);
  if (!notification) return violation("target: " + notification.error().what, turn);
  const auto masked = detectors_->mask_text(notification->payload, *life_.facts().masker);
  if (!masked) return relay(frame.raw, turn);
  notification->payload = *masked;
  append_notification_response(turn.actions.send(kAgentLeg), *notification);
}

/// May a report of `running` hold what is masked? One that belongs to no statement may come of any: an error while
/// describing on our own account is the agent's error all the same.
bool Conversation::withholds(const Running* running) const {
  return running ? running->tainted : !in_force_.columns.empty();
}

void Conversation::relay_report(const Frame& frame, const ReportFields& report, const Running* running, Turn& turn) {
  const auto& detectors = running ? running->detectors : detectors_;
  if (withholds(running))
    append_withheld_report(turn.actions.send(kAgentLeg), frame.type, report, may_raise(running));
  else if (detectors && !detectors->empty())
    append_searched_report(turn.actions.send(kAgentLeg), frame.type, report, *detectors, *life_.facts().masker);
  else
    relay(frame.raw, turn);
}

void Conversation::on_ready(const Frame& frame, Turn& turn) {
  auto ready = parse_ready_for_query(frame.body);
  if (!ready) return violation("target: " + ready.error().what, turn);
  connection_.status = ready->status;
  relay(frame.raw, turn);
}

void Conversation::on_lookup_answer(const Frame& frame, const Answer& answer, Turn& turn) {
  if (describing_ && frame.type != backend::kReadyForQuery) {
    on_description(frame, turn);
    if (connection_.over) return;
  } else if (frame.type == backend::kDataRow) {
    auto row = parse_data_row(frame.body);
    if (!row || !catalogue_.add_row(*row)) lookup_failed_ = true;
  } else if (frame.type == backend::kErrorResponse) {
    lookup_failed_ = true;
    if (auto report = parse_report(frame.body))
      spdlog::warn("flow {}: look-up on the agent's connection failed: {}", life_.origin().id,
                   printable(report->message()));
  } else if (frame.type == backend::kReadyForQuery) {
    if (auto ready = parse_ready_for_query(frame.body)) connection_.status = ready->status;
  }
  const bool last = batch_open_ ? answer.finished && answer.entry.kind == InFlight::Kind::close && queue_.empty()
                                : answer.finished && answer.entry.kind == InFlight::Kind::sync;
  const bool broken_batch = batch_open_ && frame.type == backend::kErrorResponse;
  if (!last && !broken_batch) return;
  blocked_ = Blocked::no;
  if (std::exchange(describing_, std::nullopt)) return broken_batch ? end_described(turn) : void();
  const bool renewal = catalogue_.asked().empty();
  const bool holds = !lookup_failed_ && catalogue_.finish(asked_monotonic_ns_, turn.now);
  if (lookup_failed_) catalogue_.fail();
  if (!holds && renewal) names_.meaning = ++meaning_;
  if (!lookup_failed_ && !renewal && catalogue_id_)
    life_.services().want_shared(*catalogue_id_, catalogue_.path(), catalogue_.asked().facts);
  if (!broken_batch) return;
  // The server now skips to the agent's Sync, as it would after an error of the agent's own.
  append_error_response(turn.actions.send(kAgentLeg),
                        {.sqlstate = "42501", .message = "the names in this statement could not be looked up"});
}

/// A row or COPY chunk too large to hold passes in pieces, unless it would have to be read.
void Conversation::begin_large_answer(const Large& large, Turn& turn) {
  const char type = large.header.type;
  const Answer answer = queue_.on_backend(type);
  Ticket* ticket = answer.belongs == Answer::Belongs::entry ? ticket_of(answer.entry.id) : nullptr;
  if (!ticket || (type != backend::kDataRow && type != backend::kCopyData && type != backend::kFunctionCallResponse))
    return violation(fmt::format("target: a {} of {} bytes", type_name(Side::server, type), large.header.frame_bytes()),
                     turn);
  Running* running = running_of(*ticket);
  LiveOperation* live = live_of(*ticket);
  const bool read =
      running && (type == backend::kCopyData ? running->copy != nullptr
                                             : !running->obligations->columns.empty() || running->detectors);
  if (read && live) {
    live->own_decision().causes = {
        {.rule = "limit",
         .text = fmt::format("a value of {} bytes is more than can be masked", large.header.frame_bytes())}};
    return cut(*live, turn);
  }
  if (live) {
    if (!count_rows(*live, 1, large.header.frame_bytes(), turn)) return;
    live->result.bytes_to_agent += large.header.frame_bytes();
  }
  server_rest_ = PassThrough(large.header.frame_bytes());
  server_rest_relayed_ = true;
  if (answer.finished) {
    settle(*ticket, true, turn);
    ticket->closed = true;
    close_tickets(turn);
  }
}

/// A message's answer is complete, or there will be none.
void Conversation::settle(Ticket& ticket, bool succeeded, Turn& turn) {
  if (ticket.moves_meaning) {
    if (moving_meaning_ > 0) --moving_meaning_;
    names_.meaning = ++meaning_;
    catalogue_.invalidate(turn.now);
  }
  if (ticket.moves_lexing && moving_lexing_ > 0) --moving_lexing_;
  ticket.moves_meaning = ticket.moves_lexing = false;
  if (ticket.prepared) {
    if (succeeded)
      names_.statements.defined(ticket.name, ticket.prepared);
    else
      names_.statements.not_defined(ticket.name, ticket.prepared);
  } else if (ticket.portal && ticket.operation == 0) {
    if (!ticket.portal->described) ticket.portal->describe_in_flight = false;
    if (ticket.defines_portal) {
      if (succeeded)
        names_.portals.defined(ticket.name, ticket.portal);
      else
        names_.portals.not_defined(ticket.name, ticket.portal);
    }
  } else if (ticket.closes && succeeded) {
    if (ticket.named == Named::statement)
      names_.statements.dropped(ticket.name);
    else
      names_.portals.dropped(ticket.name);
  }
  if (ticket.operation != 0) end_operation(ticket.operation, /*parsed=*/ticket.prepared && succeeded, turn);
}

/// `parsed`: it was a Parse and succeeded. It ran nothing, so its decision says all.
void Conversation::end_operation(model::OperationId id, bool parsed, Turn& turn) {
  if (Running* running = running_.find(id)) {
    if (!running->rows.rows.empty()) life_.append(std::move(running->rows), turn.now, turn.actions);
    names_coming_ -= names_made_by(*running->judged->analysis);
    running_.erase(id);
  }
  LiveOperation* live = life_.find(id);
  if (!live) return;
  if (parsed)
    life_.forget(*live);
  else
    life_.end(*live, turn.now, turn.actions);
}

/// Forgets tickets at the front that are done; at rest, what ended with the transaction.
void Conversation::close_tickets(Turn& turn) {
  while (!tickets_.empty() && tickets_.front().closed) {
    tickets_.pop_front();
    ++first_ticket_;
  }
  // With a batch open the status is the last Sync's: an implicit transaction may be under way.
  if (!queue_.empty() || batch_open_ || connection_.status != TransactionStatus::idle) return;
  names_.portals.drop_if([](const Portal& portal) { return !portal.declared; });
  masked_in_transaction_ = false;
  if (moved_in_transaction_ && moving_meaning_ == 0) {
    moved_in_transaction_ = false;
    names_.meaning = ++meaning_;
    catalogue_.invalidate(turn.now);
  }
}

Conversation::Ticket* Conversation::ticket_of(uint64_t id) {
  if (id < first_ticket_ || id - first_ticket_ >= tickets_.size()) return nullptr;
  return &tickets_[id - first_ticket_];
}

LiveOperation* Conversation::live_of(const Ticket& ticket) {
  return ticket.operation == 0 ? nullptr : life_.find(ticket.operation);
}

Conversation::Running* Conversation::running_of(const Ticket& ticket) {
  return ticket.operation == 0 ? nullptr : running_.find(ticket.operation);
}

}  // namespace sallyport::flow
