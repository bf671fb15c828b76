// SPDX-License-Identifier: Apache-2.0
// What functions run: their code becomes part of the statement that calls them. Code in SQL and PL/pgSQL is looked
// into, each function once a statement; what is written in C is trusted as far as a superuser declared it immutable.
#include <algorithm>
#include <string_view>
#include <utility>

#include "sallyport/base/limits.h"
#include "sql/builtin_names.h"
#include "sql/inside.h"
#include "sql/plpgsql.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

// Libraries of PostgreSQL's own extensions, and pgvector's, whose functions compute and do nothing else.
constexpr std::string_view kHarmlessLibraries[] = {
    "btree_gin", "btree_gist", "citext",  "cube",     "dict_int", "dict_xsyn", "fuzzystrmatch", "hstore", "isn",
    "_int",      "ltree",      "pg_trgm", "pgcrypto", "seg",      "unaccent",  "uuid-ossp",     "vector",
};

std::string_view library_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  return path.substr(0, path.find(".so"));
}

// Of a function in the server's own C: pure ones, and input and output of plain types.
bool is_harmless_symbol(std::string_view name) {
  if (is_builtin_pure_function(name)) return true;
  auto begins = [&](std::string_view word) { return name.starts_with(word); };
  auto ends = [&](std::string_view word) { return name.ends_with(word); };
  bool made_of_others = begins("domain") || begins("record") || begins("array") || begins("range") ||
                        begins("multirange") || begins("any");
  return is_builtin_impure_function(name) && !made_of_others &&
         (ends("in") || ends("out") || ends("recv") || ends("send"));
}

// Makes no JSON, which may call a user's cast.
bool only_computes(const RelationName& function) {
  return function.schema == "pg_catalog" && is_builtin_pure_function(function.name) &&
         function.name.find("json") == std::string::npos;
}

}  // namespace

bool is_harmless(const Routine& routine) {
  if (routine.security_definer || !routine.settings.empty() || !routine.types.empty()) return false;
  if (routine.kind == 'a') return std::all_of(routine.parts.begin(), routine.parts.end(), only_computes);
  bool native = routine.language == "c" || routine.language == "internal";
  if (!native || !routine.defaults.empty()) return false;
  if (routine.source.find("populate_record") != std::string::npos) return false;  // it runs the checks of domains
  if (routine.volatility == 'i') return true;
  if (routine.language == "internal") return is_harmless_symbol(routine.source);
  std::string_view library = library_name(routine.library);
  return std::find(std::begin(kHarmlessLibraries), std::end(kHarmlessLibraries), library) !=
         std::end(kHarmlessLibraries);
}

// Names that code may use for its parameters and variables.
Scope Query::code_scope(std::string_view name, const std::vector<std::string>& variables) {
  Scope scope;
  auto scalars = std::make_shared<Outputs>();
  auto fields = std::make_shared<Outputs>();
  fields->known = false;
  for (const std::string& variable : variables) {
    if (variable.empty()) continue;
    scalars->columns.push_back({variable, {}});
    Item row;
    row.name = variable;
    row.outputs = fields;
    row.qualified_only = true;
    scope.items.push_back(std::move(row));
  }
  Item item;
  item.name = name;
  item.outputs = std::move(scalars);
  scope.items.push_back(std::move(item));
  return scope;
}

bool Query::run_plpgsql(Inside& inside, std::string_view source, std::string_view name,
                        std::vector<std::string> variables, std::string_view& why) {
  state_.routine_bytes += source.size();
  if (state_.routine_bytes > limits::kSqlRoutineBytesMax) return why = "it is longer than the limit", false;
  PlpgsqlCode code = cut_plpgsql(source, state_.standard_strings);
  why = code.why;
  if (!code.understood) return false;
  variables.insert(variables.end(), code.variables.begin(), code.variables.end());
  for (std::string_view known :
       {"found", "sqlstate", "sqlerrm", "new", "old", "tg_name", "tg_when", "tg_level", "tg_op", "tg_relid",
        "tg_relname", "tg_table_name", "tg_table_schema", "tg_nargs", "tg_argv", "tg_event", "tg_tag"})
    variables.emplace_back(known);
  Scope scope = code_scope(name, variables);
  bool all = run_pieces(inside, code.pieces, scope, why);
  // In a loop what comes first runs again, behind what a later piece has moved.
  if (inside.moved()) all &= run_pieces(inside, code.pieces, scope, why);
  return all;
}

bool Query::run_pieces(Inside& inside, const std::vector<PlpgsqlPiece>& pieces, const Scope& scope,
                       std::string_view& why) {
  bool all = true;
  for (const PlpgsqlPiece& piece : pieces) {
    if (state_.too_complex) break;
    std::string_view problem;
    bool told = false;
    switch (piece.kind) {
      case PlpgsqlPiece::statement:
        told = inside.run(piece.text, scope, problem);
        break;
      case PlpgsqlPiece::expression:
        told = inside.run("SELECT " + piece.text, scope, problem);
        break;
      case PlpgsqlPiece::type:
        told = inside.run("SELECT NULL::" + piece.text, scope, problem);
        break;
      case PlpgsqlPiece::dynamic:
        told = inside.run_dynamic(piece.text, scope, problem);
        break;
    }
    if (!told) why = problem, all = false;
  }
  return all;
}

void Query::code_block(std::string_view language, std::string_view code) {
  std::vector<ColumnRead> reads;
  Inside inside(*this, nullptr, reads);
  std::string_view why = "its language is not looked into";
  bool told = language == "plpgsql" && run_plpgsql(inside, code, {}, {}, why);
  state_.given.push_back(std::move(reads));
  Lineage lineage;
  add_reads(state_.given.back(), lineage);
  store(lineage);  // variables are not followed
  if (told) return;
  effects_.unknown(ObjectKind::other, "do block", Access::execute,
                   "what the code of a DO block does is not known: " + std::string(why));
  effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
  state_.names.move("code run earlier in the text may have changed it");
}

// An expression as the catalogue prints it: its names are those of the session's search path.
void Query::run_expression(const std::string& text, const Scope& scope, const std::string& who, bool stored,
                           std::string_view through) {
  std::vector<ColumnRead> reads;
  std::string_view why;
  bool told = false;
  {
    Inside inside(*this, nullptr, reads, Inside::session_names, through);
    told = inside.run("SELECT " + text, scope, why);
  }
  if (!told) unknown_function("", "what " + who + " does is not known: " + std::string(why));
  if (!stored || reads.empty()) return;
  state_.given.push_back(std::move(reads));
  Lineage lineage;
  add_reads(state_.given.back(), lineage);
  store(lineage);
}

// SQL that a function was given as text.
void Query::run_given(const std::string& who, const std::string& text, Lineage& lineage) {
  std::vector<ColumnRead> reads;
  std::string_view why;
  bool told = false;
  {
    Inside inside(*this, nullptr, reads);
    told = inside.run(text, Scope(), why);
  }
  if (!told) unknown_function(who, "what " + who + " runs is not known: " + std::string(why));
  state_.given.push_back(std::move(reads));
  add_reads(state_.given.back(), lineage);
}

// The columns live as long as `from`.
void Query::add_reads(const std::vector<ColumnRead>& from, Lineage& lineage) {
  for (const ColumnRead& read : from) {
    uses_.push_back({read.fact, "select", true, true});
    lineage.columns.push_back({static_cast<int>(uses_.size()) - 1, read.column});
  }
}

void Query::run(const Routine& routine, const FuncCall* call, Lineage& lineage) {
  // Casts of what it is given. What these run has arguments of their very types.
  if (routine.kind != 'a' && !std::exchange(in_parts_, true)) {
    for (const RelationName& part : routine.parts) quiet_function(part, lineage);
    in_parts_ = false;
  }
  if (is_harmless(routine)) return;
  if (routine.kind == 'a') {
    ++state_.doings;
    for (const RelationName& part : routine.parts) quiet_function(part, lineage);
    for (const RelationName& type : routine.types) named_type(type.schema, type.name, lineage);
  } else if (routine.language == "sql" || routine.language == "plpgsql") {
    look_into(routine, lineage);
  } else {
    ++state_.doings;
    if (library_call(routine, call, lineage)) return;
    std::string object = join_names(routine.schema, routine.name);
    std::string because = "function " + object + " is written in " + routine.language + ", which is not looked into";
    unknown_function(std::move(object), std::move(because));
  }
}

// The code of a function in SQL or PL/pgSQL, once a statement for each way to it.
void Query::look_into(const Routine& routine, Lineage& lineage) {
  auto [entry, fresh] = state_.looked_into.try_emplace({&routine, state_.way});
  std::vector<ColumnRead>& known = entry->second;
  if (fresh) {
    std::vector<ColumnRead> reads;
    std::string_view why;
    size_t doings = state_.doings;
    if (!run_routine(routine, reads, why)) {
      std::string object = join_names(routine.schema, routine.name);
      std::string because = "what function " + object + " does is not known: " + std::string(why);
      unknown_function(std::move(object), std::move(because));
    }
    known = std::move(reads);
    if (state_.doings != doings || routine.language != "sql") state_.doers.insert(&routine);
  }
  if (state_.doers.contains(&routine)) ++state_.doings;
  Lineage reads;
  add_reads(known, reads);
  if (routine.language != "sql") store(reads);  // variables are not followed
  lineage.append(reads);
}

bool Query::run_routine(const Routine& routine, std::vector<ColumnRead>& reads, std::string_view& why) {
  if (state_.inside >= limits::kSqlRoutineDepthMax) return why = "functions call each other too deep", false;
  if (routine.source.empty()) return why = "its code is not known or too long", false;
  if (!routine.defaults.empty()) {
    // The catalogue prints them, and whoever calls runs them.
    Inside defaults(*this, nullptr, reads, Inside::session_names);
    if (!defaults.run("SELECT " + routine.defaults, Scope(), why)) return false;
  }
  Inside inside(*this, &routine, reads, routine.definition ? Inside::session_names : Inside::own_names);
  Lineage ignored;
  for (const RelationName& type : routine.types) named_type(type.schema, type.name, ignored);
  if (routine.language == "plpgsql") return run_plpgsql(inside, routine.source, routine.name, routine.parameters, why);
  Scope scope = code_scope(routine.name, routine.parameters);
  if (routine.definition) return inside.run_definition(routine.source, scope, why);
  return inside.run(routine.source, scope, why);
}

}  // namespace sallyport::sql
