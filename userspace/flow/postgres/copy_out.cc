// SPDX-License-Identifier: Apache-2.0
// COPY … TO STDOUT. Its data come without a description, so before it runs the server is asked, on the agent's own
// connection, what a query with the same columns would give.
#include <fmt/core.h>

#include <algorithm>

#include "flow/postgres/client_encoding.h"
#include "flow/postgres/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/sql/masks.h"

namespace sallyport::flow {

using namespace postgres;
using Kind = InFlight::Kind;

namespace {

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// As pg_char_to_encoding compares names.
std::string bare_name(std::string_view encoding) {
  std::string out;
  for (const char c : encoding) {
    if (c >= 'A' && c <= 'Z')
      out.push_back(static_cast<char>(c - 'A' + 'a'));
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      out.push_back(c);
  }
  return out == "unicode" ? "utf8" : out;
}

}  // namespace

/// Why the data of this COPY cannot be masked, beside what its options say. Empty: they can.
std::string_view Conversation::copy_trouble(const sql::Analysis& analysis, const sql::Statement& statement) const {
  const auto before = [&](const sql::Statement& other) {
    return other.moves_meaning && other.offset < statement.offset;
  };
  if (std::ranges::any_of(analysis.statements, before) ||
      std::ranges::any_of(statement.relations,
                          [](const auto& relation) { return relation->found && relation->oid == 0; }))
    return "its columns are not known before the statements ahead of it ran; send it by itself";
  const sql::CopyOut& copy = *statement.copy_out;
  const auto found = connection_.parameters.find("client_encoding");
  const std::string_view encoding = found == connection_.parameters.end() ? std::string_view("UTF8") : found->second;
  if (!copy.encoding.empty() && bare_name(copy.encoding) != bare_name(encoding))
    return "its encoding is not that of the connection";
  if (copy.layout.format != CopyLayout::Format::binary && embeds_ascii(encoding))
    return "it cannot be read in this client_encoding; SET client_encoding TO 'UTF8'";
  if (!utf8_ && !(is_ascii(copy.layout.null) && is_ascii(copy.query)))
    return "it has names or a NULL text that are not ASCII; SET client_encoding TO 'UTF8'";
  return {};
}

/// For the message at the front, which was released. True: what its COPYs give is known, or will not be; the front's
/// `error` then says what the server has against it. False: wait.
bool Conversation::describe_copies(Turn& turn) {
  Judged& judged = *front_->judged;
  const std::vector<sql::Statement>& statements = judged.analysis->statements;
  if (std::ranges::none_of(statements, [](const auto& statement) { return statement.copy_out != nullptr; }))
    return true;
  if (front_->copies_given_up || connection_.replication) return true;
  const model::Obligations& obligations = life_.find(front_->operation)->decision->obligations;
  judged.copies.resize(statements.size());
  for (size_t i = 0; i < statements.size(); ++i) {
    if (!statements[i].copy_out || judged.copies[i]) continue;
    const bool must = sql::copy_needs_mask(obligations, statements[i]);
    if (!must && (obligations.record_rows_max == 0 || !copy_trouble(*judged.analysis, statements[i]).empty() ||
                  !statements[i].copy_out->obscure.empty()))
      continue;
    if (!queue_.empty()) return wait_for(Blocked::drain, turn), false;
    if (connection_.status == TransactionStatus::failed) return true;  // it will fail
    describing_ = i;
    std::string messages;
    CatalogueCache::encode_description(statements[i].copy_out->query, messages);
    ask({Kind::parse, Kind::describe_statement, Kind::close}, std::move(messages), turn);
    return false;
  }
  return true;
}

void Conversation::on_description(const Frame& frame, Turn& turn) {
  Front& front = *front_;
  if (frame.type == backend::kRowDescription) {
    auto shape = result_shape(frame.body, nullptr);
    if (!shape) return violation("target: " + shape.error().what, turn);
    front.judged->copies[*describing_] = std::move(*shape);
  } else if (frame.type == backend::kNoData) {
    front.copies_given_up = true;  // an UPDATE without RETURNING, say: the server will tell
  } else if (frame.type == backend::kErrorResponse) {
    front.copies_given_up = true;
    auto report = parse_report(frame.body);
    if (!report) return violation("target: " + report.error().what, turn);
    front.error = ErrorText{.sqlstate = std::string(report->sqlstate()),
                            .message = std::string(report->message()),
                            .detail = std::string(report->find('D')),
                            .hint = std::string(report->find('H'))};
  }
}

/// What was asked in the middle of a batch failed: the server skips to the agent's Sync, as it would after an error of
/// the agent's own, and the message at the front is skipped with it.
void Conversation::end_described(Turn& turn) {
  const ErrorText& error = *front_->error;
  append_error_response(
      turn.actions.send(kAgentLeg),
      {.sqlstate = error.sqlstate, .message = error.message, .detail = error.detail, .hint = error.hint});
  LiveOperation& live = *life_.find(front_->operation);
  live.result.sqlstate = error.sqlstate;
  live.result.error = printable(error.message, limits::kRecordParameterBytesMax);
  life_.end(live, turn.now, turn.actions);
}

/// What is done with the rows of a COPY; null: it is not known what they are.
std::shared_ptr<const RowMasking> Conversation::mask_for_copy(const Running& running) const {
  const Judged& judged = *running.judged;
  if (running.statement >= judged.copies.size() || !judged.copies[running.statement]) return nullptr;
  const sql::Statement& statement = judged.analysis->statements[running.statement];
  std::vector<Field> fields = judged.copies[running.statement]->fields;
  const bool binary = statement.copy_out->layout.format == CopyLayout::Format::binary;
  for (Field& field : fields) field.format = binary ? kBinaryFormat : kTextFormat;
  return std::make_shared<RowMasking>(*running.obligations, fields, statement, life_.facts().masker, running.detectors);
}

/// False: the rows would have to be masked, and nobody knows how.
bool Conversation::plan_copy(Running& running) const {
  const sql::Analysis& analysis = *running.judged->analysis;
  const sql::Statement* statement = analysis.parsed && running.statement < analysis.statements.size()
                                        ? &analysis.statements[running.statement]
                                        : nullptr;
  const model::Obligations& obligations = *running.obligations;
  const bool must = statement && statement->copy_out ? sql::copy_needs_mask(obligations, *statement)
                                                     : !obligations.columns.empty() || !obligations.detect.empty();
  if (!must && (obligations.record_rows_max == 0 || !statement || !statement->copy_out))
    return running.copy.reset(), true;
  auto masking = mask_for_copy(running);
  const auto& shape = masking ? running.judged->copies[running.statement] : nullptr;
  const bool fits = masking && statement->copy_out->obscure.empty() && shape->fields.size() == running.copy_columns &&
                    (statement->copy_out->layout.format == CopyLayout::Format::binary) == running.copy_binary;
  if (!fits) return running.copy.reset(), !must;
  if (!running.copy && !masking->touches() && obligations.record_rows_max == 0) return true;
  running.rows.columns = shape->columns;
  if (running.copy)
    running.copy->use(std::move(masking));
  else
    running.copy = std::make_shared<CopyMasking>(*statement->copy_out, shape->columns, std::move(masking));
  return true;
}

void Conversation::cut_copy(LiveOperation& live, Turn& turn) {
  live.own_decision().causes = {
      {.rule = "mask", .text = "the columns of this COPY are not known, so none can be masked"}};
  cut(live, turn);
}

void Conversation::on_copy_out(const Frame& frame, Ticket& ticket, Turn& turn) {
  Running* running = running_of(ticket);
  auto copy = parse_copy_response(frame.body);
  if (!copy) return violation("target: " + copy.error().what, turn);
  if (running) {
    running->copying = true;
    running->copy_binary = copy->binary;
    running->copy_columns = copy->column_formats.size();
    running->copy.reset();
    if (!plan_copy(*running)) return cut_copy(*live_of(ticket), turn);
  }
  relay(frame.raw, turn);
}

void Conversation::on_copy_data(const Frame& frame, Ticket& ticket, Turn& turn) {
  Running* running = running_of(ticket);
  LiveOperation* live = live_of(ticket);
  if (!running || !running->copy) {
    if (live) {
      if (!count_rows(*live, 1, frame.raw.size(), turn)) return;
      live->result.bytes_to_agent += frame.raw.size();
    }
    return relay(frame.raw, turn);
  }
  std::string& out = turn.actions.send(kAgentLeg);
  const size_t start = out.size();
  const uint64_t record_max = running->obligations->record_rows_max;
  auto passed = running->copy->apply(frame.body, out, record_max - std::min(record_max, running->rows_recorded),
                                     running->rows.rows);
  running->rows_recorded = std::max<uint64_t>(running->rows_recorded, running->rows.rows.size());
  const size_t sent = out.size() - start;
  if (!passed) {
    out.resize(start);
    live->own_decision().causes = {{.rule = "mask", .text = passed.error().what}};
    return cut(*live, turn);
  }
  if (!life_.spend(*live, passed->rows, frame.raw.size(), turn.now, turn.actions)) {
    out.resize(start);
    return cut(*live, turn);
  }
  live->result.rows += passed->rows;
  live->result.masked_values += passed->masked;
  live->result.bytes_to_agent += sent;
  life_.bytes_to_agent() += sent;
}

void Conversation::on_copy_done(const Frame& frame, Ticket& ticket, Turn& turn) {
  if (const Running* running = running_of(ticket); running && running->copy)
    if (auto finished = running->copy->finish(); !finished) return violation("target: " + finished.error().what, turn);
  relay(frame.raw, turn);
}

}  // namespace sallyport::flow
