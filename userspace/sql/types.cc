// SPDX-License-Identifier: Apache-2.0
// Casts and operators are calls: of a type's input function, a domain's checks, a cast's or an operator's function.
#include <algorithm>
#include <iterator>
#include <string_view>

#include "sql/builtin_names.h"
#include "sql/query.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

QualifiedName qualified_name(const List* list) {
  pg::Nodes parts(list);
  if (parts.empty()) return {};
  QualifiedName name{{}, pg::text_of(parts[parts.size() - 1])};
  if (parts.size() >= 2) name.schema = pg::text_of(parts[parts.size() - 2]);
  return name;
}

void Query::operator_name(const List* list, Lineage& reads) {
  QualifiedName name = qualified_name(list);
  named_operator(name.schema, name.name == "!=" ? "<>" : name.name, reads);
}

void Query::named_operator(std::string_view schema, std::string_view name, Lineage& reads) {
  bool builtin = is_builtin_operator(name);
  if (schema == "pg_catalog" && builtin) return;
  builtin &= schema.empty();
  std::vector<RelationName> functions;
  bool told = state_.names.operators(schema, name, functions);
  for (const RelationName& function : functions) quiet_function(function, reads);
  if (told && (builtin || !functions.empty())) return;
  std::string object = "operator " + join_names(schema, name);
  std::string because = object + " is not known to be harmless";
  if (!told) because.append(": ").append(state_.names.moved());
  unknown_function(std::move(object), std::move(because));
}

// A function that a cast, an operator or a type calls: without an effect of its own if it is harmless.
void Query::quiet_function(const RelationName& name, Lineage& reads) { reach_function(name, true, reads); }

// A trigger's: its call is an effect already.
void Query::fired_function(const RelationName& name, Lineage& reads) {
  if (name.schema == "pg_catalog" &&
      (name.name == "suppress_redundant_updates_trigger" || name.name.starts_with("tsvector_update_trigger")))
    return;
  reach_function(name, false, reads);
}

void Query::reach_function(const RelationName& name, bool calls, Lineage& reads) {
  if (name.schema == "pg_catalog") return builtin_call(name.name, nullptr, reads);
  Reach reach = state_.names.functions(name.schema, name.name);
  std::string object = join_names(name.schema, name.name);
  if (!reach.doubt.empty()) return unknown_function(object, "what " + object + " does is not known");
  for (const FunctionFact* fact : reach.facts) {
    if (fact->routines.empty()) unknown_function(object, "what " + object + " does is not known");
    for (const auto& each : fact->routines) {
      if (calls && !is_harmless(*each)) effects_.add("call", ObjectKind::function, object, Access::execute);
      run(*each, nullptr, reads);
    }
  }
}

void Query::type(const TypeName* type) {
  Lineage ignored;
  this->type(type, ignored);
}

void Query::type(const TypeName* type, Lineage& reads) {
  if (type == nullptr) return;
  exprs(type->typmods, nullptr, reads);
  QualifiedName name = qualified_name(type->names);
  if (name.schema == "information_schema") return;
  if (!type->pct_type) return named_type(name.schema, name.name, reads);
  effects_.unknown(ObjectKind::type, join_names(name.schema, name.name), Access::execute,
                   "the type of column " + join_names(name.schema, name.name) + " is not known");
}

void Query::domain(const List* name) {
  QualifiedName domain = qualified_name(name);
  Lineage ignored;
  if (!state_.names.offline()) named_type(domain.schema, domain.name, ignored);
}

bool Query::untold_type(const TypeName* type) {
  static constexpr std::string_view kSerials[] = {"serial",  "bigserial", "smallserial",
                                                  "serial2", "serial4",   "serial8"};
  if (type == nullptr || state_.names.offline()) return false;
  QualifiedName name = qualified_name(type->names);
  bool unqualified = name.schema.empty() || name.schema == "pg_catalog";
  if (unqualified && is_builtin_type(name.name)) return false;
  if (name.schema.empty() && std::find(std::begin(kSerials), std::end(kSerials), name.name) != std::end(kSerials))
    return false;
  std::string_view doubt;
  const TypeFact* fact = state_.names.type(name.schema, name.name, doubt);
  if (fact == nullptr || !fact->found) return !doubt.empty() || fact != nullptr;
  this->type(type);
  return false;
}

void Query::named_type(std::string_view schema, std::string_view name, Lineage& reads) {
  bool builtin = (schema.empty() || schema == "pg_catalog") && is_builtin_type(name);
  if (builtin && (state_.names.offline() || (!schema.empty() && !state_.names.moved().empty()))) return;
  std::string_view doubt;
  const TypeFact* fact = state_.names.type(schema, name, doubt);
  if (fact != nullptr && fact->found) {
    for (const std::string& check : fact->checks)
      run_expression(check, Scope(), "the check of " + join_names(schema, name));
    for (const RelationName& function : fact->functions) quiet_function(function, reads);
    return;
  }
  if (fact == nullptr && doubt.empty()) return;  // it is being asked for
  std::string object = join_names(schema, name);
  std::string because = "what a value of type " + object + " runs is not known";
  if (!doubt.empty()) because.append(": ").append(doubt);
  effects_.unknown(ObjectKind::type, std::move(object), Access::execute, std::move(because));
}

}  // namespace sallyport::sql
