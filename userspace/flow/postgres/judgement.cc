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
  const policy::Target* target = life_.target();
  if (!target) return;
  const policy::Judgement judged = policy.judge(agent, target->name, {}, turn.now.wall_ns);
  in_force_ = judged.obligations ? *judged.obligations : model::Obligations{};
  life_.set_limits(in_force_.limits, turn.now);
  transparent_ = in_force_.columns.empty() && in_force_.detect.empty() &&
                 policy.passes_everything(agent, target->name, turn.now.wall_ns);
  expires_wall_ns_ = judged.expires_wall_ns;
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
  const auto encoding = connection_.parameters.find("client_encoding");
  if (encoding == connection_.parameters.end() || is_utf8_encoding(encoding->second)) {
    front_->judged = is_valid_utf8(text) ? understand(text, turn) : unreadable(text);
  } else {
    const auto utf8 = to_utf8(text, encoding->second);
    front_->judged = utf8 ? understand(*utf8, turn) : unreadable(text);
  }
  if (!front_->judged) return Verdict::wait;
  return decide(source, 0, {}, turn);
}

Conversation::Verdict Conversation::judge_prepared(Prepared& prepared, const Portal& portal, Turn& turn) {
  if (!front_) front_ = Front();
  if (front_->decided) return verdict_on(front_->operation);
  if (!transparent_) {
    // What runs is what the names mean now, not what they meant when it was parsed.
    if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), Verdict::wait;
    if (catalogue_.expire(turn.now)) names_.meaning = ++meaning_;
    if (prepared.meaning != meaning_ && prepared.judged->readable) {
      auto judged = understand(prepared.judged->text(), turn);
      if (!judged) return Verdict::wait;
      prepared.judged = std::move(judged);
      prepared.meaning = meaning_;
    }
  }
  front_->judged = prepared.judged;
  return decide(model::Sql::Source::execute, prepared.operation, portal.parameters, turn);
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
  return decide(model::Sql::Source::function_call, 0, {}, turn);
}

Conversation::Verdict Conversation::verdict_on(model::OperationId operation) {
  return life_.find(operation)->stage == Stage::released ? Verdict::released : Verdict::refused;
}

bool Conversation::standard_conforming_strings() const {
  const auto found = connection_.parameters.find("standard_conforming_strings");
  return found == connection_.parameters.end() || found->second == "on";
}

std::shared_ptr<Judged> Conversation::unreadable(std::string_view text) const {
  auto analysis = unknown_analysis("text is not in the client_encoding", text.size());
  auto operation = life_.make_operation(model::Sql{.effects = all_effects(*analysis)});
  return std::make_shared<Judged>(
      Judged{.operation = std::move(operation), .analysis = std::move(analysis), .readable = false});
}

/// Null: something is waited for.
std::shared_ptr<Judged> Conversation::understand(std::string_view utf8, Turn& turn) {
  if (!transparent_) {
    if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), nullptr;
    if (catalogue_.expire(turn.now)) names_.meaning = ++meaning_;
  }
  const bool conforming = standard_conforming_strings();
  if (auto known = judged_.find(utf8); known && known->meaning == meaning_ &&
                                       known->transaction_moved == moved_in_transaction_ &&
                                       known->standard_conforming_strings == conforming)
    return known;
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
  sql::Settings settings{.standard_conforming_strings = standard_conforming_strings(),
                         .creation_schema = catalogue_.creation_schema(),
                         .transaction_moved = moved_in_transaction_};
  if (auto found = connection_.parameters.find("server_version"); found != connection_.parameters.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), settings.server_major);
  if (transparent_) {
    static const sql::Catalogue kAssumed{.assume_plain = true};
    return std::make_shared<sql::Analysis>(
        std::get<sql::Analysis>(sql::analyse(text, settings, kAssumed, sql::NoSessionNames())));
  }
  if (moving_meaning_ != 0 && !queue_.empty()) return wait_for(Blocked::drain, turn), nullptr;
  if (catalogue_.expire(turn.now)) names_.meaning = ++meaning_;
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
      auto again = understand(prepared->judged->text(), turn);
      if (!again) return prepared->meaning = 0, nullptr;
      prepared->judged = std::move(again);
    }
  }
}

/// Asks on the agent's connection when that is possible. False: wait. True: go on, with or without facts.
bool Conversation::get_facts(LookupRequest request, Turn& turn) {
  if (connection_.replication || (queue_.empty() && connection_.status == postgres::TransactionStatus::failed) ||
      queue_.phase() == postgres::Phase::copy_in || queue_.phase() == postgres::Phase::copy_both) {
    front_->facts_given_up = true;
    return true;
  }
  if (!queue_.empty()) {
    --front_->fact_rounds;
    wait_for(Blocked::drain, turn);
    return false;
  }
  start_lookup(std::move(request), turn);
  return false;
}

void Conversation::start_lookup(LookupRequest request, Turn& turn) {
  using Kind = postgres::InFlight::Kind;
  const bool in_batch = batch_open_;
  std::string messages;
  CatalogueCache::encode(request, messages);
  for (Kind kind : {Kind::parse, Kind::bind, Kind::execute, Kind::close, Kind::close})
    push(kind, {.role = Ticket::Role::lookup}, turn);
  if (in_batch) {
    postgres::append_flush(messages);
  } else {
    push(Kind::sync, {.role = Ticket::Role::lookup}, turn);
    postgres::append_sync(messages);
  }
  batch_open_ = in_batch;
  unanswered_since_flush_ = false;
  lookup_failed_ = false;
  catalogue_.begin(std::move(request));
  blocked_ = Blocked::lookup;
  turn.actions.send(connection_.upstream) += messages;
}

Conversation::Verdict Conversation::decide(model::Sql::Source source, model::OperationId parent,
                                           std::vector<std::string> parameters, Turn& turn) {
  Judged& judged = *front_->judged;
  LiveOperation& live = life_.open(judged.operation, parent, turn.now);
  live.statements = statements_to_count(source, *judged.analysis);
  decide_text(judged, turn);
  const bool told = judged.recorded_as != 0 && turn.now.monotonic_ns - judged.recorded_monotonic_ns <
                                                   limits::kRecordSameAsMaxAgeMs * kNanosPerMilli;
  RecordText text;
  if (!told) text = record_text(judged.text(), *judged.analysis);
  text.parameters = std::move(parameters);
  text.same_as = told ? judged.recorded_as : 0;
  life_.judge(live, judged.decision, std::move(text), turn.now, turn.actions);
  if (!told && live.decision == judged.decision) {
    judged.recorded_as = live.id;
    judged.recorded_monotonic_ns = turn.now.monotonic_ns;
  }
  front_->operation = live.id;
  front_->decided = true;
  if (live.stage != Stage::held) return verdict_on(live.id);
  wait_for(Blocked::hold, turn);
  return Verdict::wait;
}

/// Leaves as it is a decision that still holds.
void Conversation::decide_text(Judged& judged, Turn& turn) {
  const uint64_t epoch = life_.facts().epoch;
  if (judged.decision && judged.facts_epoch == epoch && life_.record_trouble().empty() &&
      (judged.decision->expires_wall_ns == 0 || turn.now.wall_ns < judged.decision->expires_wall_ns))
    return;
  model::Decision decision = life_.decide(*judged.operation, turn.now);
  forbid_unmaskable(judged.sql(), judged.analysis.get(), decision);
  judged.tainted = sql::touches_masked(decision.obligations, judged.analysis->statements);
  judged.decision = std::make_shared<model::Decision>(std::move(decision));
  judged.facts_epoch = epoch;
  judged.recorded_as = 0;
  judged.masking.reset();
}

/// Ways out for which there is no mask yet: they are refused when a masked column is in reach.
void Conversation::forbid_unmaskable(const model::Sql& sql, const sql::Analysis* analysis,
                                     model::Decision& decision) const {
  if (decision.outcome == model::Outcome::deny) return;
  const bool binary_copy = analysis && std::ranges::any_of(analysis->statements, [](const sql::Statement& s) {
                             return s.copy == sql::Statement::Copy::out && s.copy_binary;
                           });
  if (binary_copy && !decision.obligations.detect.empty()) {
    decision.outcome = model::Outcome::deny;
    decision.causes = {{.rule = fmt::format("mask {}", decision.obligations.detect.front().mask),
                        .text = "COPY in binary format cannot be searched for what must be masked"}};
    decision.hint = "use COPY in text or csv format, or SELECT";
    return;
  }
  if (decision.obligations.columns.empty()) return;
  auto deny = [&](std::string rule, std::string text, std::string hint) {
    decision.outcome = model::Outcome::deny;
    decision.causes = {{.rule = std::move(rule), .text = std::move(text)}};
    decision.hint = std::move(hint);
  };
  if (sql.source == model::Sql::Source::function_call)
    return deny(fmt::format("mask {}", decision.obligations.columns.front().mask),
                "a function called by OID returns what no mask can follow", "call it in a SELECT");
  if (!analysis) return;
  for (const sql::Statement& statement : analysis->statements)
    if (auto refused = sql::refused_by_masks(decision.obligations, statement))
      return deny(std::move(refused->rule), std::move(refused->text), std::move(refused->hint));
}

RecordText Conversation::record_text(const std::string& text, const sql::Analysis& analysis) const {
  return {.statement =
              sql::redact(text, analysis.statements,
                          [&](const sql::Literal& literal, std::string_view value) { return hide(literal, value); }),
          .shape = analysis.shape};
}

/// What stands in the record for a literal or parameter; nothing: it may be seen.
std::optional<std::string> Conversation::hide(const sql::Literal& literal, std::string_view value) const {
  for (const std::string& column : literal.columns)
    for (const model::ColumnMask& mask : in_force_.columns)
      if (column == fmt::format("{}.{}", mask.relation, mask.column)) return "'<masked>'";
  if (detectors_ && !detectors_->empty()) return detectors_->mask_text(value, *life_.facts().masker);
  return std::nullopt;
}

/// The operation at the front was released.
Conversation::Running& Conversation::start_running() {
  const model::OperationId id = front_->operation;
  const std::shared_ptr<const model::Decision>& decision = life_.find(id)->decision;
  Running& running = running_.emplace(id);
  running.judged = front_->judged;
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
  running.rows.id = id;
  return running;
}

}  // namespace sallyport::flow
