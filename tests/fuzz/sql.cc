// SPDX-License-Identifier: Apache-2.0
// analyse() on any text, without a catalogue and with a small one whose facts arrive as they are asked for.
// Oracles: an answer comes within a few rounds of look-ups and the same each time; statements and literals lie in the
// text, in order; what was not understood is `unknown`; no password literal is left by redact().
#include <map>

#include "sallyport/base/limits.h"
#include "sallyport/sql/analysis.h"
#include "tests/fuzz/fuzz.h"

namespace sql = sallyport::sql;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

/// What the small server knows under a name: a table with a trigger, a view, a partition, or nothing.
std::shared_ptr<const sql::RelationFact> fact_of(const sql::RelationName& name) {
  auto fact = std::make_shared<sql::RelationFact>();
  const size_t kind = (name.schema.size() * 7 + name.name.size()) % 5;
  fact->found = kind != 0;
  fact->schema = name.schema.empty() ? "public" : name.schema;
  fact->name = name.name;
  fact->oid = static_cast<uint32_t>(16384 + name.name.size());
  fact->columns = {"a", "", "b"};
  fact->kind = "rrvpS"[kind];
  if (kind == 1) fact->hidden = sql::RelationFact::on_insert | sql::RelationFact::on_delete;
  if (kind == 3) fact->family = fact->descendants = {"public.child"};
  fact->temporary = name.schema == "pg_temp";
  return fact;
}

/// A statement prepared and a cursor declared earlier, for EXECUTE and FETCH to find.
class Prepared final : public sql::SessionNames {
 public:
  const sql::Statement* prepared(std::string_view name) const override { return name == "p" ? &statement_ : nullptr; }
  const sql::Statement* cursor(std::string_view name) const override { return name == "c" ? &statement_ : nullptr; }

 private:
  sql::Statement statement_ = [] {
    sql::Catalogue plain;
    plain.assume_plain = true;
    auto result = sql::analyse("select a, upper(b) from t", {}, plain, sql::NoSessionNames());
    return std::get<sql::Analysis>(result).statements.front();
  }();
};

sql::Analysis analysed(std::string_view text, const sql::Settings& settings, sql::Catalogue& catalogue) {
  static const Prepared names;
  for (int round = 0; round <= sallyport::limits::kFactRoundsMax; ++round) {
    auto result = sql::analyse(text, settings, catalogue, names);
    if (auto* analysis = std::get_if<sql::Analysis>(&result)) return std::move(*analysis);
    const auto& missing = std::get<sql::Missing>(result);
    must(!catalogue.assume_plain, "facts were asked for that nobody has");
    must(!missing.relations.empty() || !missing.functions.empty(), "Missing lacks nothing");
    for (const sql::RelationName& name : missing.relations)
      must(catalogue.relations.emplace(name, fact_of(name)).second, "a relation was asked for twice");
    for (const sql::RelationName& name : missing.functions)
      must(catalogue.functions.emplace(name, sql::FunctionFact{name.name.size() % 4 == 0}).second,
           "a function was asked for twice");
  }
  sallyport::fuzzing::found("the look-ups never end");
}

void check_places(std::string_view text, const sql::Analysis& analysis) {
  size_t from = 0;
  for (const sql::Statement& statement : analysis.statements) {
    must(statement.offset >= from || statement.length == 0, "statements overlap");
    from = size_t{statement.offset} + statement.length;
    must(from <= text.size(), "a statement ends behind the text");
    size_t literal_from = statement.offset;
    for (const sql::Literal& literal : statement.literals) {
      must(literal.offset >= literal_from, "literals overlap");
      literal_from = size_t{literal.offset} + literal.length;
      must(literal_from <= text.size(), "a literal ends behind the text");
    }
    must(statement.effects.size() <= sallyport::limits::kSqlEffectsMax, "more effects than the limit");
  }
}

void check(std::string_view text, const sql::Settings& settings, sql::Catalogue catalogue) {
  const sql::Analysis analysis = analysed(text, settings, catalogue);
  check_places(text, analysis);
  if (!analysis.parsed) {
    must(analysis.statements.size() == 1 && analysis.statements[0].statement_class == "unknown" &&
             !analysis.statements[0].effects.empty(),
         "what was not understood is not one unknown statement");
    must(analysis.statements[0].moves_meaning && analysis.statements[0].moves_lexing, "unknown text moves nothing");
  }
  const std::string redacted = sql::redact(text, analysis.statements, [](const sql::Literal&, std::string_view) {
    return std::optional<std::string>("''");
  });
  size_t passwords = 0, replaced = 0;
  for (const sql::Statement& statement : analysis.statements)
    for (const sql::Literal& literal : statement.literals) passwords += literal.password && literal.parameter == 0;
  for (size_t at = 0; (at = redacted.find("'<secret>'", at)) != std::string::npos; ++at) ++replaced;
  must(replaced >= passwords, "redact left a password");
  const sql::Analysis again = analysed(text, settings, catalogue);
  must(again.parsed == analysis.parsed && again.shape == analysis.shape &&
           again.statements.size() == analysis.statements.size(),
       "the same text was understood otherwise the second time");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  sql::Settings settings;
  settings.standard_conforming_strings = !choices.flip();
  settings.creation_schema = choices.flip() ? "public" : "";
  settings.transaction_moved = choices.flip();
  const std::vector<char> text(choices.rest().begin(), choices.rest().end());
  sql::Catalogue plain;
  plain.assume_plain = true;
  check({text.data(), text.size()}, settings, plain);
  check({text.data(), text.size()}, settings, {});
  return 0;
}
