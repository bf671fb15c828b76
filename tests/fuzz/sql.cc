// SPDX-License-Identifier: Apache-2.0
// analyse() on any text, without a catalogue and with a small one whose facts arrive as they are asked for; behind a
// byte 1 the text goes on with the code of the catalogue's functions, and the whole is read as a schema too.
// Oracles: an answer comes within a few rounds of look-ups and the same each time; statements and literals lie in the
// text, in order; what was not understood is `unknown`; no password literal is left by redact().
#include <map>
#include <optional>

#include "sallyport/base/limits.h"
#include "sallyport/sql/analysis.h"
#include "sallyport/sql/schema_text.h"
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

/// A view of the input's code, or a table with it in a trigger, a policy and a default, whose keys cascade to itself.
std::shared_ptr<const sql::BehindFact> behind_of(const sql::RelationName& name, std::string_view code) {
  auto behind = std::make_shared<sql::BehindFact>();
  const std::string text(code);
  behind->definition = text;
  behind->invoker_rights = name.name.size() % 2 == 0;
  behind->runs = {{15, "policy", {}, text}, {2, "trigger", {"public", "f"}, text}, {6, "default", {}, text}};
  behind->cascades = {{12, name, true}};
  return behind;
}

/// Functions of the input's code, in a language and with settings that the name chooses.
sql::FunctionFact function_of(const sql::RelationName& name, std::string_view code) {
  const size_t kind = name.name.size() % 4;
  if (kind == 0) return {};
  auto routine = std::make_shared<sql::Routine>();
  routine->schema = name.schema.empty() ? "public" : name.schema;
  routine->name = name.name;
  routine->language = kind == 1 ? "plpgsql" : "sql";
  routine->source = code;
  routine->definition = kind == 3;
  routine->security_definer = name.schema.size() % 2 == 1;
  routine->parameters = {"a", ""};
  if (routine->security_definer) routine->settings = {"search_path=app, pg_temp"};
  return {true, {routine}};
}

/// A domain whose check is the input's code, an enum, or nothing.
sql::TypeFact type_of(const sql::RelationName& name, std::string_view code) {
  sql::TypeFact type{.found = name.name.size() % 3 != 0, .builtin = name.name.size() % 2 == 0};
  if (name.name.size() % 3 == 1) type.checks = {std::string(code)};
  if (name.name.size() % 5 == 1) type.functions = {{"public", "f"}};
  return type;
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

void answer(const sql::Missing& missing, std::string_view code, sql::Catalogue& catalogue) {
  must(!missing.empty(), "Missing lacks nothing");
  for (const sql::RelationName& name : missing.relations)
    must(catalogue.relations.emplace(name, fact_of(name)).second, "a relation was asked for twice");
  for (const sql::RelationName& name : missing.behind)
    must(catalogue.behind.emplace(name, behind_of(name, code)).second, "a relation was looked behind twice");
  for (const sql::RelationName& name : missing.functions)
    must(catalogue.functions.emplace(name, function_of(name, code)).second, "a function was asked for twice");
  for (const sql::RelationName& name : missing.types)
    must(catalogue.types.emplace(name, type_of(name, code)).second, "a type was asked for twice");
  for (const sql::RelationName& name : missing.operators)
    must(catalogue.operators.emplace(name, sql::OperatorFact{{{"public", "f"}}}).second, "an operator asked for twice");
}

/// Nothing: the look-ups go on for longer than anybody answers them.
std::optional<sql::Analysis> analysed(std::string_view text, std::string_view code, const sql::Settings& settings,
                                      sql::Catalogue& catalogue) {
  static const Prepared names;
  for (int round = 0; round <= sallyport::limits::kFactRoundsMax; ++round) {
    auto result = sql::analyse(text, settings, catalogue, names);
    if (auto* analysis = std::get_if<sql::Analysis>(&result)) return std::move(*analysis);
    must(!catalogue.assume_plain, "facts were asked for that nobody has");
    answer(std::get<sql::Missing>(result), code, catalogue);
  }
  return std::nullopt;
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

void check(std::string_view text, std::string_view code, const sql::Settings& settings, sql::Catalogue catalogue) {
  const auto first = analysed(text, code, settings, catalogue);
  if (!first) return;
  const sql::Analysis& analysis = *first;
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
  const auto again = analysed(text, code, settings, catalogue);
  must(again && again->parsed == analysis.parsed && again->shape == analysis.shape &&
           again->statements.size() == analysis.statements.size(),
       "the same text was understood otherwise the second time");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  sql::Settings settings;
  settings.standard_conforming_strings = !choices.flip();
  settings.creation_schema = choices.flip() ? "public" : "";
  settings.transaction_moved = choices.flip();
  const size_t cut = std::min(choices.rest().find('\1'), choices.rest().size());
  const std::vector<char> bytes(choices.rest().begin(), choices.rest().begin() + static_cast<ptrdiff_t>(cut));
  const std::string_view text(bytes.data(), bytes.size());
  const std::string code(choices.rest().substr(std::min(cut + 1, choices.rest().size())));
  sql::Catalogue plain;
  plain.assume_plain = true;
  check(text, code, settings, plain);
  check(text, code, settings, {});
  if (const auto schema = sql::SchemaText::read(choices.rest())) {
    sql::Catalogue catalogue;
    schema->answer({.relations = {{"", "t"}, {"public", "v"}}, .functions = {{"", "f"}}, .types = {{"", "d"}}},
                   catalogue);
    must(catalogue.relations.size() == 2 && catalogue.types.size() == 1, "a schema left a name without an answer");
  }
  return 0;
}
