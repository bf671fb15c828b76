// SPDX-License-Identifier: Apache-2.0
// Calls: what is not known to be harmless is an unknown effect and may move everything (any function can call
// set_config).
#include <string_view>

#include "sql/builtin_names.h"
#include "sql/query.h"
#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

void Query::call(const FuncCall* call, const Scope* scope, Lineage& group) {
  exprs(call->args, scope, group);
  exprs(call->agg_order, scope, group);
  expr(call->agg_filter, scope, group);
  if (call->over != nullptr) window(call->over, scope, group);
  QualifiedName name = qualified_name(call->funcname);
  secret_arguments(call, name.name);
  if (name.schema == "information_schema" && name.name.starts_with("_pg_")) return;
  if (name.schema == "pg_catalog") return builtin_call(name.name, call, group);
  bool builtin = name.schema.empty() && (is_builtin_pure_function(name.name) || is_builtin_impure_function(name.name));
  if (builtin && !state_.names.may_be_shadowed(name.name)) return builtin_call(name.name, call, group);
  if (builtin && state_.names.moved().empty()) builtin_call(name.name, call, group);
  group.append(function(name.schema, name.name, "function", call));
}

void Query::builtin_call(std::string_view name, const FuncCall* call, Lineage& reads) {
  // A user's cast to JSON is called by what makes JSON.
  if (name.find("json") != std::string_view::npos)
    for (std::string_view type : {"json", "jsonb"}) named_type("pg_catalog", type);
  if (is_builtin_pure_function(name) || special_call(name, call, reads)) return;
  unknown_function("pg_catalog." + std::string(name),
                   "function pg_catalog." + std::string(name) + " is not known to be harmless");
}

// A call by name of what is not (only) built in.
Lineage Query::function(std::string_view schema, std::string_view name, std::string_view verb, const FuncCall* call) {
  Lineage reads;
  Reach reach = state_.names.functions(schema, name);
  std::string object = join_names(schema, name);
  std::string why = std::string(verb) + " " + object;
  if (!reach.doubt.empty()) {
    unknown_function(object, why + " is not known to be harmless: " + std::string(reach.doubt));
  } else if (reach.facts.empty()) {
    unknown_function(object, why + " is not known to be harmless: there is none of this name");
  }
  for (const FunctionFact* fact : reach.facts) {
    if (fact->routines.empty()) unknown_function(object, why + " is not known to be harmless");
    for (const auto& each : fact->routines) {
      effects_.add("call", ObjectKind::function, join_names(each->schema, each->name), Access::execute);
      run(*each, call, reads);
    }
  }
  return reads;
}

void Query::unknown_function(std::string object, std::string because) {
  effects_.unknown(ObjectKind::function, std::move(object), Access::execute, std::move(because));
  effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
  state_.names.move("a call earlier in the text may have changed it");
}

void Query::setting(std::string_view name, std::string_view statement_class, std::string_view value) {
  std::string setting = fold_setting(name);
  bool role = setting == "role" || setting == "session_authorization";
  std::string object = role && !value.empty() ? std::string(value) : setting;
  effects_.add(statement_class, role ? ObjectKind::role : ObjectKind::setting, std::move(object), Access::write);
  Statement& statement = effects_.statement();
  if (setting_moves_meaning(setting)) {
    statement.moves_meaning = true;
    state_.names.move("a setting was changed earlier in the text");
  }
  if (setting_moves_lexing(setting)) statement.moves_lexing = true;
}

// (x).name: a field of a row value, or name(x).
void Query::field_or_function(std::string_view name) {
  Lineage ignored;
  bool shadowed = state_.names.may_be_shadowed(name);
  if (is_builtin_impure_function(name) && !shadowed) {
    builtin_call(name, nullptr, ignored);
  } else if (shadowed) {
    function({}, name, "field or function");
  }
}

// Constants that are keys, passwords or connection strings whatever they stand beside.
void Query::secret_arguments(const FuncCall* call, std::string_view name) {
  bool secret = name == "crypt" || name == "hmac" || name.starts_with("pgp_") || name == "encrypt" ||
                name == "decrypt" || name.starts_with("dblink");
  if (!secret) return;
  for (const Node* argument : pg::Nodes(call->args)) {
    Lineage found;
    while (const auto* cast = pg::as<TypeCast>(argument)) argument = cast->arg;
    if (const auto* constant = pg::as<A_Const>(argument)) literal(constant->location, false, found);
    for (uint32_t index : found.literals) state_.literals[index].password = true;
  }
}

}  // namespace sallyport::sql
