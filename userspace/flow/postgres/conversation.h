// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL flow once the server is ready: every message of the agent is judged, forwarded or
// replaced by one that fails, every answer is paired with what it answers, masked, and recorded.
//
// Order is the protocol's only key, so the agent's messages are worked off one by one; the first that
// lacks something (a fact, a human, a quiet line) stops the queue behind it and is tried again later:
//   drain   answers in flight may move what names mean; wait until all have come (Flush asks for them)
//   lookup  a question of ours is on the agent's own upstream connection
//   hold    a human decides
//
// A refused message is replaced by the Execute of a portal that does not exist: the server fails it,
// aborts the transaction, skips to Sync and tells its status itself; only the text of its error is ours.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flow/postgres/catalogue_cache.h"
#include "flow/postgres/connection.h"
#include "flow/postgres/copy_masking.h"
#include "flow/postgres/row_masking.h"
#include "flow/postgres/session_names.h"
#include "sallyport/protocol/postgres/answer_queue.h"

namespace sallyport::flow {

class Conversation {
 public:
  Conversation(PostgresConnection& connection, Turn& turn);

  void on_event(const Event& event, Turn& turn);

 private:
  struct ErrorText {
    std::string sqlstate, message, detail, hint;
  };
  /// What rides along with one message in flight, until its answer is complete.
  struct Ticket {
    enum class Role : uint8_t { agents, refusal, lookup, describe };
    Role role = Role::agents;
    bool closed = false;
    bool defines_portal = false;  ///< a Bind
    bool closes = false;          ///< a Close
    bool moves_meaning = false;
    bool moves_lexing = false;
    model::OperationId operation = 0;  ///< 0: none of its own
    std::string name;                  ///< of the statement or portal it defines, describes or closes
    postgres::Named named = postgres::Named::statement;
    std::shared_ptr<Prepared> prepared;
    std::shared_ptr<Portal> portal;
    std::unique_ptr<const ErrorText> error;  ///< refusal: what the agent is told
  };
  /// An operation that runs.
  struct Running {
    std::shared_ptr<Judged> judged;
    uint64_t meaning = 0;
    size_t statement = 0;  ///< index of the one being answered
    bool tainted = false;  ///< errors and computed columns may carry masked values
    std::shared_ptr<const model::Obligations> obligations;
    std::shared_ptr<const mask::DetectorSet> detectors;
    bool reads_rows = false;                    ///< to mask or to record them
    std::shared_ptr<const ResultShape> shape;   ///< of the rows that come now
    std::shared_ptr<const RowMasking> masking;  ///< for them; null: not known yet
    model::RowsReturned rows;
    uint64_t rows_recorded = 0;
    uint64_t rows_before = 0;  ///< of the operation, when the statement being answered began
    bool copying = false;      ///< COPY out, from its response to its end
    bool copy_binary = false;
    size_t copy_columns = 0;
    std::shared_ptr<CopyMasking> copy;  ///< null: its data pass as they are
  };
  enum class Blocked : uint8_t { no, drain, lookup, hold };
  enum class Verdict : uint8_t { released, refused, wait };
  /// The agent's message at the front of the queue, judged or being judged.
  struct Front {
    model::OperationId operation = 0;
    bool decided = false;
    std::shared_ptr<Judged> judged;
    int fact_rounds = 0;
    bool facts_given_up = false;
    bool copies_given_up = false;    ///< the columns of its COPYs will not be known
    std::optional<ErrorText> error;  ///< of the server, to what was asked about them
  };

  // agent_side.cc
  void pump_agent(Turn& turn);
  bool on_agent_frame(const postgres::Frame& frame, Turn& turn);
  bool on_query(const postgres::Frame& frame, Turn& turn);
  bool on_parse(const postgres::Frame& frame, Turn& turn);
  bool on_bind(const postgres::Frame& frame, Turn& turn);
  bool on_execute(const postgres::Frame& frame, Turn& turn);
  bool on_function_call(const postgres::Frame& frame, Turn& turn);
  bool on_describe(const postgres::Frame& frame, Turn& turn);
  void on_close(const postgres::Frame& frame, Turn& turn);
  static ErrorText too_many_names();
  static size_t names_made_by(const sql::Analysis& analysis);
  bool has_room_for_names(const sql::Analysis& analysis) const;
  void on_copy_in(const postgres::Frame& frame, Turn& turn);
  static bool may_copy_in(const Running* running);
  bool begin_large(const postgres::Large& large, Turn& turn);
  void pass_large_agent(Turn& turn);
  void forward(const postgres::Frame& frame, postgres::InFlight::Kind kind, Ticket&& ticket, Turn& turn);
  bool push(postgres::InFlight::Kind kind, Ticket&& ticket, Turn& turn);
  void refuse(model::OperationId operation, ErrorText error, bool with_sync, Turn& turn);
  void refuse_decided(model::OperationId operation, bool with_sync, Turn& turn);
  std::vector<std::string> record_parameters(const postgres::Bind& bind, const Prepared& prepared) const;
  void wait_for(Blocked what, Turn& turn);
  void throttle(Turn& turn);

  // judgement.cc
  Verdict judge_text(std::string_view text, model::Sql::Source source, Turn& turn);
  Verdict judge_prepared(Prepared& prepared, const Portal& portal, Turn& turn);
  std::shared_ptr<Prepared> unseen(std::string what) const;
  Verdict judge_function(uint32_t oid, Turn& turn);
  Verdict verdict_on(model::OperationId operation);
  /// Null: the message must wait.
  std::shared_ptr<Judged> understand(std::string_view utf8, bool alike, Turn& turn);
  std::shared_ptr<Judged> unreadable(std::string_view text) const;
  std::shared_ptr<const sql::Analysis> analyse(const std::string& text, Turn& turn);
  void read_parameters();
  bool get_facts(LookupRequest request, Turn& turn);
  Verdict decide(model::Sql::Source source, std::string_view text, Turn& turn) {
    return decide(source, text, 0, {}, turn);
  }
  Verdict decide(model::Sql::Source source, std::string_view text, model::OperationId parent,
                 std::vector<std::string> parameters, Turn& turn);
  RecordText record_text(const Judged& judged, std::string_view text, Turn& turn) const;
  bool decision_holds(const Judged& judged, const Turn& turn) const;
  void decide_text(Judged& judged, Turn& turn);
  void forbid_unmaskable(const model::Sql& sql, const sql::Analysis* analysis, model::Decision& decision) const;
  std::optional<std::string> hide(const sql::Literal& literal, std::string_view value) const;
  static bool must_read_rows(const model::Obligations& obligations) {
    return !obligations.columns.empty() || !obligations.detect.empty() || obligations.record_rows_max > 0;
  }
  Running& start_running();
  void read_facts(Turn& turn);
  void start_lookup(LookupRequest request, uint64_t generation, Turn& turn);
  void ask(std::initializer_list<postgres::InFlight::Kind> kinds, std::string messages, Turn& turn);
  std::shared_ptr<const SharedCatalogue> shared_catalogue(Turn& turn);
  bool renew_facts(Turn& turn);
  bool can_ask() const;

  // server_side.cc
  void pump_server(Turn& turn);
  bool on_server_frame(const postgres::Frame& frame, Turn& turn);
  void relay(std::string_view raw, Turn& turn);
  void on_answer(const postgres::Frame& frame, const postgres::Answer& answer, Ticket& ticket, Turn& turn);
  bool count_rows(LiveOperation& live, uint64_t rows, size_t bytes, Turn& turn);
  void on_row(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void record_row(Running& running, std::string_view message);
  void on_row_description(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_complete(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_error(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_notice(const postgres::Frame& frame, Turn& turn);
  void on_notification(const postgres::Frame& frame, Turn& turn);
  bool withholds(const Running* running) const;
  static bool may_raise(const Running* running);
  void relay_report(const postgres::Frame& frame, const postgres::ReportFields& report, const Running* running,
                    Turn& turn);
  void on_function_result(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_ready(const postgres::Frame& frame, Turn& turn);
  void on_lookup_answer(const postgres::Frame& frame, const postgres::Answer& answer, Turn& turn);
  void begin_large_answer(const postgres::Large& large, Turn& turn);
  void apply_name_change(const sql::Statement& statement, const Running& running);
  void settle(Ticket& ticket, bool succeeded, Turn& turn);
  void settle_discarded(Turn& turn);
  void close_tickets(Turn& turn);
  void end_operation(model::OperationId id, bool parsed, Turn& turn);
  Result<std::shared_ptr<const ResultShape>> result_shape(std::string_view body, Judged* judged) const;
  void plan_masking(Running& running);
  Ticket* ticket_of(uint64_t id);
  LiveOperation* live_of(const Ticket& ticket);
  Running* running_of(const Ticket& ticket);

  // copy_out.cc
  std::string_view copy_trouble(const sql::Analysis& analysis, const sql::Statement& statement) const;
  bool describe_copies(Turn& turn);
  void on_description(const postgres::Frame& frame, Turn& turn);
  void end_described(Turn& turn);
  std::shared_ptr<const RowMasking> mask_for_copy(const Running& running) const;
  bool plan_copy(Running& running) const;
  void cut_copy(LiveOperation& live, Turn& turn);
  void on_copy_out(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_copy_data(const postgres::Frame& frame, Ticket& ticket, Turn& turn);
  void on_copy_done(const postgres::Frame& frame, Ticket& ticket, Turn& turn);

  // conversation.cc
  void on_changed(Turn& turn);
  void judge_front_again(Turn& turn);
  void on_tick(Turn& turn);
  void wake_at_expiry(Turn& turn);
  void cut(LiveOperation& live, Turn& turn);
  void violation(std::string why, Turn& turn);
  void continue_if_drained(Turn& turn);

  PostgresConnection& connection_;
  OperationLife& life_;
  postgres::AnswerQueue queue_;
  std::deque<Ticket> tickets_;
  uint64_t first_ticket_ = 1;
  RecycledMap<model::OperationId, Running> running_;
  JudgedTexts judged_;
  std::string encoding_;  ///< client_encoding
  bool utf8_ = true;
  sql::Settings settings_;  ///< what the server said of it
  SessionNames names_;
  CatalogueCache catalogue_;
  std::optional<CatalogueId> catalogue_id_;  ///< none: the Target has no side connection
  model::Obligations in_force_;              ///< masks and limits of this agent on this target, whatever the statement
  std::shared_ptr<const mask::DetectorSet> detectors_;
  uint64_t meaning_ = 1;       ///< epoch of what names mean in this session
  size_t moving_meaning_ = 0;  ///< messages in flight that may change it
  size_t moving_lexing_ = 0;
  bool moved_in_transaction_ = false;
  bool masked_in_transaction_ = false;  ///< a statement that touches masked columns ran in it
  bool transparent_ = false;            ///< policy allows whatever a statement may do, and masks nothing
  Blocked blocked_ = Blocked::no;
  bool unanswered_since_flush_ = false;
  bool batch_open_ = false;  ///< extended messages sent since the last Sync
  std::optional<Front> front_;
  bool copy_in_allowed_ = false;      ///< the statement sent last was let through and may read COPY data
  postgres::PassThrough agent_rest_;  ///< of a large message being passed or dropped
  bool agent_rest_forwarded_ = false;
  postgres::PassThrough server_rest_;
  bool server_rest_relayed_ = false;
  bool lookup_failed_ = false;
  int64_t asked_monotonic_ns_ = 0;    ///< when the question in flight was
  std::optional<size_t> describing_;  ///< the statement of the front's that the question in flight is about
  bool agent_reading_ = true;
  int64_t expires_wall_ns_ = 0;  ///< the connection's decision must be taken again then
  size_t names_coming_ = 0;      ///< by PREPARE and DECLARE in flight
  std::string refused_portal_;
};

}  // namespace sallyport::flow
