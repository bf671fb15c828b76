// SPDX-License-Identifier: Apache-2.0
// Functions, types, operators and casts of a schema.
#include <algorithm>
#include <string>
#include <string_view>

#include "sallyport/sql/analysis.h"
#include "sql/builtin_names.h"
#include "sql/schema_build.h"
#include "sql/schema_split.h"

namespace sallyport::sql {
namespace {

using pg::cast;

/// "search_path=app, pg_temp", as pg_proc.proconfig has it.
std::string setting_text(const VariableSetStmt* set) {
  std::string text = std::string(pg::view(set->name)) + "=";
  const char* between = "";
  for (const Node* node : pg::Nodes(set->args)) {
    const auto* value = pg::as<A_Const>(node);
    if (value == nullptr || value->isnull) continue;
    text.append(between).append(pg::text_of(&value->val.node));
    between = ", ";
  }
  return text;
}

}  // namespace

bool SchemaBuilder::code_statement(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateFunctionStmt:
      create_function(cast<CreateFunctionStmt>(node));
      return true;
    case T_DefineStmt:
      define(cast<DefineStmt>(node));
      return true;
    case T_CreateCastStmt:
      create_cast(cast<CreateCastStmt>(node));
      return true;
    default:
      return false;
  }
}

void SchemaBuilder::create_function(const CreateFunctionStmt* create) {
  const RelationName name = name_of(create->funcname);
  auto routine = std::make_shared<Routine>();
  routine->schema = name.schema;
  routine->name = name.name;
  routine->kind = create->is_procedure ? 'p' : 'f';
  routine->language = "sql";
  for (const Node* node : pg::Nodes(create->options))
    if (const auto* option = pg::as<DefElem>(node)) function_option(option, *routine);
  if (create->sql_body != nullptr) {
    routine->source = text_;
    routine->definition = true;
  }
  if (create->returnType != nullptr) {
    const RelationName type = type_of(create->returnType);
    if (type.schema != "pg_catalog") routine->types.push_back(type);
  }
  parameters(create->parameters, *routine);
  state_.functions[name].push_back(std::move(routine));
}

void SchemaBuilder::function_option(const DefElem* option, Routine& routine) {
  const std::string_view what = pg::view(option->defname);
  if (what == "language") {
    routine.language = pg::text_of(option->arg);
  } else if (what == "volatility") {
    const std::string_view word = pg::text_of(option->arg);
    routine.volatility = word == "immutable" ? 'i' : word == "stable" ? 's' : 'v';
  } else if (what == "security") {
    // What is not plainly SECURITY INVOKER counts as the other.
    const auto* value = pg::as<Boolean>(option->arg);
    routine.security_definer = value == nullptr || value->boolval;
  } else if (what == "window") {
    routine.kind = 'w';
  } else if (what == "set") {
    if (const auto* set = pg::as<VariableSetStmt>(option->arg)) routine.settings.push_back(setting_text(set));
  } else if (what == "as") {
    pg::Nodes texts(option->arg);
    if (texts.size() == 2) routine.library = pg::text_of(texts[0]);
    if (!texts.empty()) routine.source = pg::text_of(texts[texts.size() - 1]);
  }
}

void SchemaBuilder::parameters(const List* list, Routine& routine) {
  for (const Node* node : pg::Nodes(list)) {
    const auto* parameter = pg::as<FunctionParameter>(node);
    if (parameter == nullptr) continue;
    routine.parameters.emplace_back(pg::view(parameter->name));
    const RelationName type = type_of(parameter->argType);
    if (type.schema != "pg_catalog") routine.types.push_back(type);
    // A default that calls something has no text of its own here: the whole function is then not known.
    if (!calls_in(parameter->defexpr).any) continue;
    routine.source.clear();
    routine.definition = false;
  }
}

void SchemaBuilder::define(const DefineStmt* define) {
  const RelationName name = name_of(define->defnames);
  if (define->kind == OBJECT_AGGREGATE) {
    auto routine = std::make_shared<Routine>();
    routine->schema = name.schema;
    routine->name = name.name;
    routine->kind = 'a';
    routine->language = "internal";
    routine->parts = functions_in(define->definition,
                                  {"sfunc", "sfunc1", "finalfunc", "combinefunc", "serialfunc", "deserialfunc",
                                   "msfunc", "minvfunc", "mfinalfunc"},
                                  true);
    add_sort_operator(define->definition, *routine);
    state_.functions[name].push_back(std::move(routine));
  } else if (define->kind == OBJECT_OPERATOR) {
    const auto functions = functions_in(define->definition, {"function", "procedure"}, true);
    auto& known = state_.operators[name].functions;
    known.insert(known.end(), functions.begin(), functions.end());
  } else if (define->kind == OBJECT_TYPE) {
    state_.types[name].own = {.found = true,
                              .functions = functions_in(define->definition, {"input", "output", "receive", "send",
                                                                             "typmod_in", "typmod_out"})};
  }
}

std::vector<RelationName> SchemaBuilder::functions_in(const List* definition,
                                                      std::initializer_list<std::string_view> keys,
                                                      bool builtin_too) const {
  std::vector<RelationName> found;
  for (const Node* node : pg::Nodes(definition)) {
    const auto* part = pg::as<DefElem>(node);
    if (part == nullptr || std::ranges::find(keys, pg::view(part->defname)) == keys.end()) continue;
    const auto* value = pg::as<TypeName>(part->arg);  // how the grammar reads a name here
    pg::Nodes names(value == nullptr ? nullptr : value->names);
    if (names.empty()) continue;
    const std::string_view name = pg::text_of(names[names.size() - 1]);
    const bool builtin = names.size() == 1 ? is_builtin_pure_function(name) || is_builtin_impure_function(name)
                                           : pg::text_of(names[names.size() - 2]) == "pg_catalog";
    if (!builtin) found.push_back(name_of(value->names));
    if (builtin && builtin_too) found.push_back({"pg_catalog", std::string(name)});
  }
  return found;
}

/// What the operator of an aggregate's SORTOP runs: it was made before.
void SchemaBuilder::add_sort_operator(const List* definition, Routine& aggregate) const {
  for (const Node* node : pg::Nodes(definition)) {
    const auto* part = pg::as<DefElem>(node);
    if (part == nullptr || pg::view(part->defname) != "sortop") continue;
    const auto* names = pg::as<List>(part->arg);
    if (names == nullptr) continue;
    const auto known = state_.operators.find(name_of(names));
    if (known == state_.operators.end()) continue;
    const auto& functions = known->second.functions;
    aggregate.parts.insert(aggregate.parts.end(), functions.begin(), functions.end());
  }
}

void SchemaBuilder::create_cast(const CreateCastStmt* create) {
  if (create->func == nullptr) return;
  pg::Nodes names(create->func->objname);
  if (names.size() > 1 && pg::text_of(names[names.size() - 2]) == "pg_catalog") return;
  state_.types[type_of(create->targettype)].own.functions.push_back(name_of(create->func->objname));
}

bool SchemaBuilder::type_statement(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateEnumStmt:
      state_.types[name_of(cast<CreateEnumStmt>(node)->typeName)].own.found = true;
      return true;
    case T_CreateRangeStmt: {
      const auto* create = cast<CreateRangeStmt>(node);
      auto& type = state_.types[name_of(create->typeName)];
      type.own = {.found = true, .functions = functions_in(create->params, {"canonical", "subtype_diff"})};
      for (const Node* each : pg::Nodes(create->params)) {
        const auto* part = pg::as<DefElem>(each);
        if (part == nullptr || pg::view(part->defname) != "subtype") continue;
        const RelationName base = type_of(pg::as<TypeName>(part->arg));
        if (base.schema != "pg_catalog") type.made_of.push_back(base);
      }
      return true;
    }
    case T_CreateDomainStmt:
      create_domain(cast<CreateDomainStmt>(node));
      return true;
    case T_CompositeTypeStmt: {
      const auto* create = cast<CompositeTypeStmt>(node);
      const RelationName name = name_of(create->typevar);
      make(create->typevar, 'c');
      for (const Node* each : pg::Nodes(create->coldeflist))
        if (const auto* column = pg::as<ColumnDef>(each)) add_column(name, column);
      return true;
    }
    default:
      return false;
  }
}

void SchemaBuilder::create_domain(const CreateDomainStmt* create) {
  auto& type = state_.types[name_of(create->domainname)];
  type.own.found = type.named_in_routines = true;
  if (const RelationName base = type_of(create->typeName); base.schema != "pg_catalog") type.made_of.push_back(base);
  for (const Node* node : pg::Nodes(create->constraints)) {
    const auto* constraint = pg::as<Constraint>(node);
    if (constraint == nullptr || constraint->contype != CONSTR_CHECK) continue;
    const size_t from = constraint->location < 0 ? text_.size() : static_cast<size_t>(constraint->location);
    type.own.checks.emplace_back(bracketed(text_, std::min(from, text_.size())));
    type.runs_functions |= calls_in(constraint->raw_expr).foreign;
  }
}

/// Built-in types are those of pg_catalog.
RelationName SchemaBuilder::type_of(const TypeName* type) const {
  pg::Nodes names(type == nullptr ? nullptr : type->names);
  if (names.empty()) return {"pg_catalog", ""};
  const std::string_view name = pg::text_of(names[names.size() - 1]);
  if (names.size() == 1 && (is_builtin_type(name) || name == "serial" || name == "bigserial" || name == "smallserial"))
    return {"pg_catalog", std::string(name)};
  return name_of(type->names);
}

}  // namespace sallyport::sql
