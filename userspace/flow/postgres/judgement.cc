// SPDX-License-Identifier: Apache-2.0
// From a message's text to its decision: encoding, look-ups, analysis, policy, and what masking forbids.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "flow/postgres/client_encoding.h"
#include "flow/postgres/conversation.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/sql/masks.h"

namespace sallyport::flow {
namespace {

std::shared_ptr<const sql::Analysis> unknown_analysis(std::string because, size_t length) {
  auto out = std::make_shared<sql::Analysis>();
  sql::Statement statement{.statement_class = std::string(model::kUnknownClass),
                           .length = static_cast<uint32_t>(length),
                           .moves_meaning = true,
                           .moves_lexing = true};
  statement.effects.push_back({.statement_class = std::string(model::kUnknownClass),
                               .kind = model::ObjectKind::unknown,
                               .access = model::Access::execute,
                               .all_columns = true,
                               .because = because});
  out->statements.push_back(std::move(statement));
  out->parse_error = std::move(because);
  return out;
}

/// The catalogue behind this connection, if its Target has a side connection.
std::optional<CatalogueId> catalogue_id_of(const PostgresConnection& connection) {
  const policy::Target& target = *connection.life.target();
  if (target.catalogue_credential_file.empty() || connection.replication) return std::nullopt;
  const model::Endpoint& server = connection.life.origin().destination;
  const policy::HostPattern* host = connection.life.match().host;
  return CatalogueId{.target = target.name,
                     .host = host && !host->name.empty() ? host->name : server.address.to_string(),
                     .server = server,
                     .database = connection.database,
                     .tls_mode = target.tls_mode,
                     .ca_file = target.tls_ca_file,
                     .credential_file = target.catalogue_credential_file};
}

std::vector<model::Effect> all_effects(const sql::Analysis& analysis) {
  std::vector<model::Effect> out;
  for (const sql::Statement& statement : analysis.statements)
    for (const model::Effect& effect : statement.effects)
      if (std::ranges::find(out, effect) == out.end()) out.push_back(effect);
  return out;
}

/// COMMIT, and SET CONSTRAINTS, which is of the same class.
bool ends_transaction(const sql::Analysis& analysis) {
  return std::ranges::any_of(analysis.statements, [](const sql::Statement& s) {
    return s.statement_class == "transaction" || s.statement_class == "two_phase";
  });
}

/// `column` is "schema.relation.column".
bool is_column(std::string_view column, const model::ColumnMask& mask) {
  return column.size() == mask.relation.size() + 1 + mask.column.size() && column.starts_with(mask.relation) &&
         column[mask.relation.size()] == '.' && column.ends_with(mask.column);
}

/// What limits count: statements that run. The end of a transaction must always be possible.
uint64_t statements_to_count(model::Sql::Source source, const sql::Analysis& analysis) {
  if (source == model::Sql::Source::parse) return 0;
  return static_cast<uint64_t>(std::ranges::count(analysis.statements, false, &sql::Statement::transaction_control));
}

}  // namespace

/// Takes what the current policy says whatever the statement: masks, detectors, whether anything is asked at all.
void Conversation::read_facts(Turn& turn) {
  const policy::Policy& policy = *life_.facts().policy;
  const std::string& agent = life_.origin().principal.agent;
  const model::Process& process = life_.origin().principal.process;
  const policy::Target* target = life_.target();
  if (!target) return;
  const policy::Judgement judged = policy.judge(agent, target->name, {}, turn.now.wall_ns, process);
  catalogue_id_ = catalogue_id_of(connection_);
  in_force_ = judged.obligations ? *judged.obligations : model::Obligations{};
  life_.set_limits(in_force_.limits, turn.now);
  transparent_ = in_force_.columns.empty() && in_force_.detect.empty() &&
                 policy.passes_everything(agent, target->name, turn.now.wall_ns, process);
  expires_wall_ns_ = life_.no_later_than_standing(judged.expires_wall_ns);
  wake_at_expiry(turn);
  detectors_.reset();
  if (in_force_.detect.empty()) return;
  auto detectors = life_.services().detectors(in_force_.detect);
  if (!detectors) {
    spdlog::error("target {}: {}", target->name, detectors.error().what);
    end_with_error(connection_, {.severity = "FATAL", .sqlstate = "42501", .message = detectors.error().what},
                   "detectors cannot be had", turn);
    return;
  }
  detectors_ = std::move(*detectors);
}

Conversation::Verdict Conversation::judge_text(std::string_view text, model::Sql::Source source, Turn& turn) {
  if (!front_) front_ = Front();
  if (front_->decided) return verdict_on(front_->operation);
  if (moving_lexing_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), Verdict::wait;
  const bool alike = source == model::Sql::Source::query;  // a prepared statement's own text is asked for later
  std::optional<std::string> converted;
  if (!utf8_ && (converted = to_utf8(text, connection_.parameters.find("client_encoding")->second))) text = *converted;
  const bool readable = utf8_ ? is_valid_utf8(text) : converted.has_value();
  front_->judged = readable ? understand(text, alike, turn) : unreadable(text);
  if (!front_->judged) return Verdict::wait;
  return decide(source, readable ? text : std::string_view(), turn);
}

Conversation::Verdict Conversation::judge_prepared(Prepared& prepared, const Portal& portal, Turn& turn) {
  if (!front_) front_ = Front();
  if (front_->decided) return verdict_on(front_->operation);
  if (!transparent_) {
    // What runs is what the names mean now, not what they meant when it was parsed.
    if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), Verdict::wait;
    if (!renew_facts(turn)) return Verdict::wait;
    if (prepared.meaning != meaning_ && prepared.judged->readable) {
      auto judged = understand(prepared.judged->text(), false, turn);
      if (!judged) return Verdict::wait;
      prepared.judged = std::move(judged);
      prepared.meaning = meaning_;
    }
  }
  front_->judged = prepared.judged;
  return decide(model::Sql::Source::execute, prepared.judged->text(), prepared.operation, portal.parameters, turn);
}

/// What stands for a statement or portal that was made where nobody saw it: unknown for ever.
std::shared_ptr<Prepared> Conversation::unseen(std::string what) const {
  model::Sql sql{.text = printable(what)};
  auto analysis = unknown_analysis(sql.text + " was not seen being made", sql.text.size());
  sql.effects = all_effects(*analysis);
  auto out = std::make_shared<Prepared>();
  out->judged = std::make_shared<Judged>(
      Judged{.operation = life_.make_operation(std::move(sql)), .analysis = std::move(analysis), .readable = false});
  return out;
}

size_t Conversation::names_made_by(const sql::Analysis& analysis) {
  return static_cast<size_t>(std::ranges::count_if(analysis.statements, [](const sql::Statement& statement) {
    return statement.name_change && (statement.name_change->kind == sql::NameChange::prepare ||
                                     statement.name_change->kind == sql::NameChange::declare_cursor);
  }));
}

Conversation::Verdict Conversation::judge_function(uint32_t oid, Turn& turn) {
  if (!front_) front_ = Front();
  if (front_->decided) return verdict_on(front_->operation);
  const std::string* name = nullptr;
  if (!transparent_ && !(name = catalogue_.function_name(oid)) && !front_->facts_given_up &&
      front_->fact_rounds++ < limits::kFactRoundsMax) {
    if (!get_facts({.function_oids = {oid}}, turn)) return Verdict::wait;
    name = catalogue_.function_name(oid);
  }
  auto analysis = std::make_shared<sql::Analysis>();
  sql::Statement statement{.statement_class = "function_call", .moves_meaning = true, .moves_lexing = true};
  model::Effect effect{.statement_class = "function_call",
                       .kind = model::ObjectKind::function,
                       .object = name ? *name : fmt::format("function with OID {}", oid),
                       .access = model::Access::execute};
  const bool pure = name && name->starts_with("pg_catalog.") && sql::is_builtin_pure_function(name->substr(11));
  if (pure) {
    statement.moves_meaning = statement.moves_lexing = false;
  } else if (!name || name->empty() || !name->starts_with("pg_catalog.lo_")) {
    effect.statement_class = std::string(model::kUnknownClass);
    effect.because = "what a function does when it is called by OID is not known";
  }
  const std::string text = fmt::format("function call {}", effect.object);
  statement.effects.push_back(std::move(effect));
  analysis->statements.push_back(std::move(statement));
  analysis->shape = text;
  front_->judged = std::make_shared<Judged>(
      Judged{.operation = life_.make_operation(model::Sql{
                 .source = model::Sql::Source::function_call, .text = text, .effects = all_effects(*analysis)}),
             .analysis = analysis});
  return decide(model::Sql::Source::function_call, text, turn);
}

Conversation::Verdict Conversation::verdict_on(model::OperationId operation) {
  return life_.find(operation)->stage == Stage::released ? Verdict::released : Verdict::refused;
}

/// At the start and after every ParameterStatus.
void Conversation::read_parameters() {
  const auto value = [&](std::string_view name) -> const std::string* {
    const auto found = connection_.parameters.find(name);
    return found == connection_.parameters.end() ? nullptr : &found->second;
  };
  const std::string* encoding = value("client_encoding");
  if (encoding && *encoding != encoding_) {
    encoding_ = *encoding;
    names_.meaning = ++meaning_;  // whether the data of a COPY can be read
  }
  utf8_ = !encoding || is_utf8_encoding(*encoding);
  const std::string* conforming = value("standard_conforming_strings");
  settings_.standard_conforming_strings = !conforming || *conforming == "on";
  if (const std::string* version = value("server_version"))
    std::from_chars(version->data(), version->data() + version->size(), settings_.server_major);
}

std::shared_ptr<Judged> Conversation::unreadable(std::string_view text) const {
  auto analysis = unknown_analysis("text is not in the client_encoding", text.size());
  auto operation = life_.make_operation(model::Sql{.effects = all_effects(*analysis)});
  return std::make_shared<Judged>(
      Judged{.operation = std::move(operation), .analysis = std::move(analysis), .readable = false});
}

/// Null: something is waited for. With `alike`, what is known of a text that does the same will do.
std::shared_ptr<Judged> Conversation::understand(std::string_view utf8, bool alike, Turn& turn) {
  if (!transparent_) {
    if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), nullptr;
    if (!renew_facts(turn)) return nullptr;
  }
  const bool conforming = settings_.standard_conforming_strings;
  if (auto known = judged_.find(utf8, alike); known && known->meaning == meaning_ &&
                                              known->transaction_moved == moved_in_transaction_ &&
                                              known->standard_conforming_strings == conforming) {
    // What a human is to see, or a refusal to speak of, is the text itself.
    if (known->text() == utf8 || (decision_holds(*known, turn) && known->decision->outcome == model::Outcome::allow))
      return known;
  }
  model::Sql sql{.text = std::string(utf8)};
  names_.asked = false;
  auto analysis = analyse(sql.text, turn);
  if (!analysis) return nullptr;
  sql.effects = all_effects(*analysis);
  auto judged = std::make_shared<Judged>(Judged{.operation = life_.make_operation(std::move(sql)),
                                                .analysis = std::move(analysis),
                                                .meaning = meaning_,
                                                .transaction_moved = moved_in_transaction_,
                                                .standard_conforming_strings = conforming});
  if (judged->analysis->parsed && !names_.asked) judged_.keep(judged);
  return judged;
}

/// Null: something is waited for. Names of prepared statements from an older epoch are made current on the way.
std::shared_ptr<const sql::Analysis> Conversation::analyse(const std::string& text, Turn& turn) {
  sql::Settings settings = settings_;
  settings.creation_schema = catalogue_.creation_schema();
  settings.transaction_moved = moved_in_transaction_;
  if (transparent_) {
    static const sql::Catalogue kAssumed{.assume_plain = true};
    return std::make_shared<sql::Analysis>(
        std::get<sql::Analysis>(sql::analyse(text, settings, kAssumed, sql::NoSessionNames())));
  }
  if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), nullptr;
  if (!renew_facts(turn)) return nullptr;
  while (true) {
    names_.stale.clear();
    settings.creation_schema = catalogue_.creation_schema();
    auto result = sql::analyse(text, settings, catalogue_.view(), names_);
    if (auto* missing = std::get_if<sql::Missing>(&result)) {
      if (front_->facts_given_up || front_->fact_rounds >= limits::kFactRoundsMax || catalogue_.failed_for(*missing))
        return unknown_analysis("the names in it could not be looked up", text.size());
      ++front_->fact_rounds;
      if (!get_facts({.facts = *missing}, turn)) return nullptr;
      continue;
    }
    if (names_.stale.empty()) return std::make_shared<sql::Analysis>(std::get<sql::Analysis>(std::move(result)));
    for (const std::shared_ptr<Prepared>& prepared : std::exchange(names_.stale, {})) {
      prepared->meaning = meaning_;  // first, so that a statement that executes itself ends here
      if (!prepared->judged->readable) continue;
      auto again = understand(prepared->judged->text(), false, turn);
      if (!again) return prepared->meaning = 0, nullptr;
      prepared->judged = std::move(again);
    }
  }
}

/// What the side connection holds; null without one.
std::shared_ptr<const SharedCatalogue> Conversation::shared_catalogue(Turn& turn) {
  return catalogue_id_ ? life_.services().shared_catalogue(*catalogue_id_, turn.now) : nullptr;
}

/// Facts that are too old are over, or hold again. False: the server is asked which; wait.
bool Conversation::renew_facts(Turn& turn) {
  if (!catalogue_.too_old(turn.now)) return true;
  const auto shared = shared_catalogue(turn);
  const bool share = shared && catalogue_.may_share(*shared, turn.now);
  if (!share && catalogue_.can_renew() && can_ask() && front_->fact_rounds < limits::kFactRoundsMax) {
    if (!queue_.empty()) return wait_for(Blocked::drain, turn), false;
    ++front_->fact_rounds;
    start_lookup({}, shared && shared->valid(turn.now) ? shared->generation : 0, turn);
    return false;
  }
  if (catalogue_.expire(shared.get(), turn.now)) names_.meaning = ++meaning_;
  return true;
}

/// Is the agent's connection in a state in which it could be asked, now or once all that is in flight is answered?
bool Conversation::can_ask() const {
  return !connection_.replication && !(queue_.empty() && connection_.status == postgres::TransactionStatus::failed) &&
         queue_.phase() != postgres::Phase::copy_in && queue_.phase() != postgres::Phase::copy_both;
}

/// From what is shared, as far as nothing that this session did is in the way (the one place that decides it). The
/// rest is asked on the agent's own connection when that is possible. False: wait. True: go on, with or without facts.
bool Conversation::get_facts(LookupRequest request, Turn& turn) {
  const auto shared = shared_catalogue(turn);
  if (shared && !moved_in_transaction_ && moving_meaning_ == 0 && catalogue_.may_share(*shared, turn.now)) {
    catalogue_.take(*shared, request);
    if (request.empty()) return true;
  }
  if (!can_ask()) {
    front_->facts_given_up = true;
    return true;
  }
  if (!queue_.empty()) {
    --front_->fact_rounds;
    wait_for(Blocked::drain, turn);
    return false;
  }
  start_lookup(std::move(request), shared && shared->valid(turn.now) ? shared->generation : 0, turn);
  return false;
}

void Conversation::start_lookup(LookupRequest request, uint64_t generation, Turn& turn) {
  using Kind = postgres::InFlight::Kind;
  std::string messages;
  CatalogueCache::encode(request, messages);
  catalogue_.begin(std::move(request), generation);
  ask({Kind::parse, Kind::bind, Kind::execute, Kind::close, Kind::close}, std::move(messages), turn);
}

/// A question of ours on the agent's own connection.
void Conversation::ask(std::initializer_list<postgres::InFlight::Kind> kinds, std::string messages, Turn& turn) {
  using Kind = postgres::InFlight::Kind;
  const bool in_batch = batch_open_;
  for (Kind kind : kinds) push(kind, {.role = Ticket::Role::lookup}, turn);
  if (in_batch) {
    postgres::append_flush(messages);
  } else {
    push(Kind::sync, {.role = Ticket::Role::lookup}, turn);
    postgres::append_sync(messages);
  }
  batch_open_ = in_batch;
  unanswered_since_flush_ = false;
  lookup_failed_ = false;
  asked_monotonic_ns_ = turn.now.monotonic_ns;
  blocked_ = Blocked::lookup;
  turn.actions.send(connection_.upstream) += messages;
}

Conversation::Verdict Conversation::decide(model::Sql::Source source, std::string_view text, model::OperationId parent,
                                           std::vector<std::string> parameters, Turn& turn) {
  Judged& judged = *front_->judged;
  LiveOperation& live = life_.open(judged.operation, parent, turn.now);
  live.statements = statements_to_count(source, *judged.analysis);
  decide_text(judged, turn);
  RecordText record = record_text(judged, text, turn);
  const bool in_full = record.same_as == 0;
  record.parameters = std::move(parameters);
  life_.judge(live, judged.decision, std::move(record), turn.now, turn.actions);
  if (in_full && live.decision == judged.decision) {
    judged.recorded_as = live.id;
    judged.recorded_monotonic_ns = turn.now.monotonic_ns;
    judged.recorded_text = text == judged.text();
  }
  front_->operation = live.id;
  front_->decided = true;
  if (live.stage != Stage::held) return verdict_on(live.id);
  wait_for(Blocked::hold, turn);
  return Verdict::wait;
}

/// Does what was decided once still hold?
bool Conversation::decision_holds(const Judged& judged, const Turn& turn) const {
  return judged.decision && judged.facts_epoch == life_.facts().epoch && life_.record_trouble().empty() &&
         (judged.decision->expires_wall_ns == 0 || turn.now.wall_ns < judged.decision->expires_wall_ns);
}

void Conversation::decide_text(Judged& judged, Turn& turn) {
  if (decision_holds(judged, turn)) return;
  model::Decision decision = life_.decide(*judged.operation, turn.now);
  forbid_unmaskable(judged.sql(), judged.analysis.get(), decision);
  judged.tainted = sql::touches_masked(decision.obligations, judged.analysis->statements);
  judged.decision = std::make_shared<model::Decision>(std::move(decision));
  judged.facts_epoch = life_.facts().epoch;
  judged.recorded_as = 0;
  judged.masking.reset();
}

/// Ways out for which there is no mask yet: they are refused when a masked column is in reach.
void Conversation::forbid_unmaskable(const model::Sql& sql, const sql::Analysis* analysis,
                                     model::Decision& decision) const {
  if (decision.outcome == model::Outcome::deny) return;
  auto deny = [&](std::string rule, std::string text, std::string hint) {
    decision.outcome = model::Outcome::deny;
    decision.causes = {{.rule = std::move(rule), .text = std::move(text)}};
    decision.hint = std::move(hint);
  };
  if (sql.source == model::Sql::Source::function_call && !decision.obligations.columns.empty())
    return deny(fmt::format("mask {}", decision.obligations.columns.front().mask),
                "a function called by OID returns what no mask can follow", "call it in a SELECT");
  if (!analysis) return;
  for (const sql::Statement& statement : analysis->statements) {
    auto refused = sql::refused_by_masks(decision.obligations, statement);
    const std::string_view trouble = statement.copy_out ? copy_trouble(*analysis, statement) : std::string_view();
    if (!refused && !trouble.empty()) refused = sql::refused_copy(decision.obligations, statement, trouble);
    if (refused) return deny(std::move(refused->rule), std::move(refused->text), std::move(refused->hint));
  }
}

/// In full, or as much as an earlier entry of the same does not say.
RecordText Conversation::record_text(const Judged& judged, std::string_view text, Turn& turn) const {
  const auto replace = [&](const sql::Literal& literal, std::string_view value) { return hide(literal, value); };
  const bool told = judged.recorded_as != 0 && turn.now.monotonic_ns - judged.recorded_monotonic_ns <
                                                   limits::kRecordSameAsMaxAgeMs * kNanosPerMilli;
  RecordText out;
  if (told) out.same_as = judged.recorded_as;
  if (judged.readable && text != judged.text())
    out.statement = redact_alike(text, judged_.numbers(), judged, replace);
  else if (!told || !judged.recorded_text)
    out.statement = sql::redact(text, judged.analysis->statements, replace);
  if (!told) out.shape = judged.analysis->shape;
  return out;
}

/// What stands in the record for a literal or parameter; nothing: it may be seen.
std::optional<std::string> Conversation::hide(const sql::Literal& literal, std::string_view value) const {
  for (const std::string& column : literal.columns)
    for (const model::ColumnMask& mask : in_force_.columns)
      if (is_column(column, mask)) return "'<masked>'";
  if (detectors_ && !detectors_->empty()) return detectors_->mask_text(value, *life_.facts().masker);
  return std::nullopt;
}

/// The operation at the front was released.
Conversation::Running& Conversation::start_running() {
  const model::OperationId id = front_->operation;
  const std::shared_ptr<const model::Decision>& decision = life_.find(id)->decision;
  Running& running = running_.emplace(id);
  running.judged = std::move(front_->judged);
  running.obligations = {decision, &decision->obligations};
  const bool touches = decision == running.judged->decision
                           ? running.judged->tainted
                           : sql::touches_masked(decision->obligations, running.judged->analysis->statements);
  // What a transaction did may fail at its end: deferred constraints and triggers.
  masked_in_transaction_ |= touches;
  running.tainted = touches || (masked_in_transaction_ && ends_transaction(*running.judged->analysis));
  if (!decision->obligations.detect.empty()) running.detectors = detectors_;
  running.reads_rows = must_read_rows(decision->obligations);
  running.meaning = meaning_;
  names_coming_ += names_made_by(*running.judged->analysis);
  running.rows.id = id;
  return running;
}

}  // namespace sallyport::flow
