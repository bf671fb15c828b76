// SPDX-License-Identifier: Apache-2.0
// What functions run: their code becomes part of the statement that calls them. Code in SQL and PL/pgSQL is looked
// into, each function once a statement; what is written in C is trusted as far as a superuser declared it immutable.
#include <algorithm>
#include <string_view>
#include <utility>

#include "sallyport/base/limits.h"
#include "sql/builtin_names.h"
#include "sql/command.h"
#include "sql/plpgsql.h"
#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

// Libraries of PostgreSQL's own extensions whose functions compute and do nothing else.
constexpr std::string_view kHarmlessLibraries[] = {
    "btree_gin", "btree_gist", "citext",  "cube",     "dict_int", "dict_xsyn", "fuzzystrmatch", "hstore", "isn",
    "_int",      "ltree",      "pg_trgm", "pgcrypto", "seg",      "unaccent",  "uuid-ossp",     "vector",
};

constexpr size_t kReadsMax = 20'000;  // columns that functions of one statement read

std::string_view library_name(std::string_view path) {
  path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  return path.substr(0, path.find(".so"));
}

bool harmless(const Routine& routine) {
  if (routine.security_definer || !routine.settings.empty() || !routine.types.empty()) return false;
  if (routine.kind == 'a') return routine.parts.empty();
  bool native = routine.language == "c" || routine.language == "internal";
  if (!native || !routine.defaults.empty()) return false;
  std::string_view library = library_name(routine.library);
  bool known = routine.language == "c" && std::find(std::begin(kHarmlessLibraries), std::end(kHarmlessLibraries),
                                                    library) != std::end(kHarmlessLibraries);
  return known || routine.volatility == 'i';
}

// The schemas of a search_path as the server goes through them: temporary relations and pg_catalog come first
// unless they are listed.
std::vector<std::string> schemas_of(std::string_view value) {
  std::vector<std::string> schemas;
  while (!value.empty()) {
    size_t quote = value.find_first_not_of(" ,");
    if (quote == std::string_view::npos) break;
    value.remove_prefix(quote);
    size_t end = value[0] == '"' ? value.find('"', 1) : value.find(',');
    std::string name(
        value.substr(value[0] == '"' ? 1 : 0, end == std::string_view::npos ? end : end - (value[0] == '"')));
    value.remove_prefix(std::min(value.size(), end == std::string_view::npos ? end : end + 1));
    while (!name.empty() && name.back() == ' ') name.pop_back();
    if (!name.empty()) schemas.push_back(std::move(name));
  }
  auto lists = [&](std::string_view name) { return std::find(schemas.begin(), schemas.end(), name) != schemas.end(); };
  if (!lists("pg_catalog")) schemas.insert(schemas.begin(), "pg_catalog");
  if (!lists("pg_temp")) schemas.insert(schemas.begin(), "pg_temp");
  return schemas;
}

}  // namespace

// Code that runs inside the statement: how its names are looked up, and by way of what it comes.
class Query::Inside {
 public:
  Inside(Query& query, const Routine* routine, std::vector<ColumnRead>& reads)
      : query_(query), state_(query.state_), reads_(reads), outer_way_(state_.way) {
    ++state_.inside;
    planned_ = query.effects_.planned() && (routine == nullptr || routine->volatility == 'v');
    outer_path_ = state_.names.exchange_path({});
    SearchPath path = outer_path_;
    if (routine != nullptr) enter(*routine, path);
    state_.names.exchange_path(std::move(path));
    if (query.effects_.planned() && !planned_) state_.way.append("!");
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() {
    --state_.inside;
    state_.way = std::move(outer_way_);
    state_.names.exchange_path(std::move(outer_path_));
  }

  bool moved() const { return moved_; }

  /// Statements in text. False: not looked into, `why` (static) says for what reason.
  bool run(const std::string& text, const Scope& scope, std::string_view& why) {
    return parse(text, why, [&](const Node* node) { run(node, scope); });
  }
  /// The body within CREATE FUNCTION … BEGIN ATOMIC … END or RETURN ….
  bool run_definition(const std::string& text, const Scope& scope, std::string_view& why) {
    return parse(text, why, [&](const Node* node) {
      if (nodeTag(node) != T_CreateFunctionStmt) return;
      const Node* body = reinterpret_cast<const CreateFunctionStmt*>(node)->sql_body;
      if (body != nullptr && nodeTag(body) == T_ReturnStmt)
        return run_value(reinterpret_cast<const ReturnStmt*>(body)->returnval, scope);
      for (const Node* list : pg::Nodes(body))
        for (const Node* each : pg::Nodes(list)) run(each, scope);
    });
  }
  /// What EXECUTE does with a constant text; else it is not known.
  bool run_dynamic(const std::string& expression, const Scope& scope, std::string_view& why) {
    std::string text;
    bool constant = false;
    bool parsed = parse("SELECT " + expression, why, [&](const Node* node) {
      run(node, scope);
      const auto* select = pg::as<SelectStmt>(node);
      if (select == nullptr || pg::Nodes(select->targetList).size() != 1) return;
      const auto* target = pg::as<ResTarget>(pg::Nodes(select->targetList)[0]);
      constant = target != nullptr && fold_text(target->val, text, 0);
    });
    if (!parsed) return false;
    if (constant) return run(text, Scope(), why);
    return why = "it runs text that is computed", false;
  }

 private:
  void enter(const Routine& routine, SearchPath& path) {
    std::string name = join_names(routine.schema, routine.name);
    if (routine.security_definer) {
      through_ = name;
      path.owner = routine.owner;
    }
    for (const std::string& text : routine.settings) {
      size_t equals = std::min(text.find('='), text.size());
      std::string setting = fold_setting(text.substr(0, equals));
      if (setting != "search_path") {
        query_.effects_.add("set", ObjectKind::setting, std::move(setting), Access::write);
        continue;
      }
      path = {true, schemas_of(std::string_view(text).substr(std::min(equals + 1, text.size()))), ""};
      if (std::find(path.schemas.begin(), path.schemas.end(), "$user") != path.schemas.end())
        query_.effects_.unknown(ObjectKind::function, name, Access::execute,
                                "function " + name + " searches the schema of whoever calls it");
    }
    if (routine.security_definer || path.fixed) state_.way.append(name).push_back(' ');
  }

  template <class Each>
  bool parse(const std::string& text, std::string_view& why, Each each) {
    state_.routine_bytes += text.size();
    if (state_.routine_bytes > limits::kSqlRoutineBytesMax) return why = "it is longer than the limit", false;
    if (!is_utf8(text) || text.find('\0') != std::string::npos) return why = "it is not valid UTF-8", false;
    Scan scanned = scan(text, state_.standard_strings);
    if (!scanned.refused.empty()) return why = scanned.refused, false;
    pg::ParseTree tree(text.c_str(), state_.standard_strings);
    if (!tree.ok()) return why = "it does not parse", false;
    for (const Node* node : tree.statements())
      if (const auto* raw = pg::as<RawStmt>(node)) each(raw->stmt);
    return true;
  }

  void run(const Node* node, const Scope& scope) {
    static const NoSessionNames kNoNames;
    Statement inner;
    LocalNames local;
    const std::vector<Statement> earlier;
    Command command(state_, kNoNames, local, earlier, inner, &scope);
    if (!command.run_inside(node, planned_)) state_.too_complex = true;
    state_.names.settle();  // what it moved, has moved
    moved_ |= inner.moves_meaning;
    adopt(inner);
  }

  void run_value(const Node* node, const Scope& scope) {
    Statement inner;
    Effects effects(inner);
    effects.exchange_planned(planned_);
    Query query(state_, effects);
    query.expression(node, &scope, "select");
    query.finish_lineage();
    effects.finish();
    if (effects.overflowed()) state_.too_complex = true;
    adopt(inner);
  }

  void adopt(Statement& inner) {
    if (inner.transaction_control) inner.moves_meaning = true;
    inner.computed_output = false;
    for (const model::Effect& effect : inner.effects) {
      if (effect.kind != ObjectKind::relation || effect.access != Access::read) continue;
      for (const FactPtr& fact : inner.relations) {
        if (object_name(*fact) != effect.object) continue;
        if (effect.all_columns) reads_.push_back({fact, "*"});
        for (const std::string& column : effect.columns) reads_.push_back({fact, column});
      }
    }
    if (reads_.size() > kReadsMax) state_.too_complex = true;
    query_.effects_.adopt(inner, through_);
    if (query_.effects_.overflowed()) state_.too_complex = true;
  }

  Query& query_;
  TextState& state_;
  std::vector<ColumnRead>& reads_;
  std::string outer_way_;
  SearchPath outer_path_;
  std::string through_;
  bool planned_ = false;
  bool moved_ = false;
};

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
  Lineage read;
  add_reads(reads, read);
  store(read);
  finish_lineage();  // `reads` is gone then
  if (told) return;
  effects_.unknown(ObjectKind::other, "do block", Access::execute,
                   "what the code of a DO block does is not known: " + std::string(why));
  effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
  state_.names.move("code run earlier in the text may have changed it");
}

void Query::run_expression(const std::string& text) {
  std::vector<ColumnRead> reads;
  Inside inside(*this, nullptr, reads);
  std::string_view why;
  if (!inside.run("SELECT " + text, Scope(), why))
    unknown_function("", "what an expression of the catalogue does is not known: " + std::string(why));
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

void Query::routine(const Routine& routine, bool quiet, Lineage& lineage, const FuncCall* call) {
  std::string object = join_names(routine.schema, routine.name);
  bool is_harmless = harmless(routine);
  if (!quiet || !is_harmless) effects_.add("call", ObjectKind::function, object, Access::execute);
  if (is_harmless) return;
  ++state_.doings;
  if (routine.kind == 'a') {
    for (const RelationName& part : routine.parts) quiet_function(part, lineage);
    for (const RelationName& type : routine.types) named_type(type.schema, type.name);
  } else if (routine.language == "sql" || routine.language == "plpgsql") {
    look_into(routine, lineage);
  } else if (!library_call(routine, call, lineage)) {
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
    if (!run_routine(routine, reads, why)) {
      std::string object = join_names(routine.schema, routine.name);
      std::string because = "what function " + object + " does is not known: " + std::string(why);
      unknown_function(std::move(object), std::move(because));
    }
    known = std::move(reads);
  }
  Lineage reads;
  add_reads(known, reads);
  if (routine.language != "sql") store(reads);  // variables are not followed
  lineage.append(reads);
}

bool Query::run_routine(const Routine& routine, std::vector<ColumnRead>& reads, std::string_view& why) {
  if (state_.inside >= limits::kSqlRoutineDepthMax) return why = "functions call each other too deep", false;
  if (routine.source.empty()) return why = "its code is not known or too long", false;
  Inside inside(*this, &routine, reads);
  for (const RelationName& type : routine.types) named_type(type.schema, type.name);
  if (!routine.defaults.empty() && !inside.run("SELECT " + routine.defaults, Scope(), why)) return false;
  if (routine.language == "plpgsql") return run_plpgsql(inside, routine.source, routine.name, routine.parameters, why);
  Scope scope = code_scope(routine.name, routine.parameters);
  if (routine.definition) return inside.run_definition(routine.source, scope, why);
  return inside.run(routine.source, scope, why);
}

}  // namespace sallyport::sql
