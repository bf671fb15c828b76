// SPDX-License-Identifier: Apache-2.0
// Calls: what is not known to be harmless is an unknown effect and may move everything (any function can call
// set_config).
#include <string_view>

#include "sql/builtin_names.h"
#include "sql/query.h"
#include "sql/settings.h"

namespace sallyport::sql {
namespace {

using model::Access;
using model::ObjectKind;

// The constant text of 'x' or 'x'::type; empty view with null data if it is none.
std::string_view constant_text(const Node* node) {
  while (const auto* cast = pg::as<TypeCast>(node)) node = cast->arg;
  const auto* constant = pg::as<A_Const>(node);
  if (constant == nullptr || constant->isnull) return {};
  return pg::text_of(&constant->val.node);
}

bool is_constant(const Node* node) {
  while (const auto* cast = pg::as<TypeCast>(node)) node = cast->arg;
  return pg::as<A_Const>(node) != nullptr;
}

}  // namespace

void Query::call(const FuncCall* call, const Scope* scope, Lineage& group) {
  Lineage arguments;
  exprs(call->args, scope, arguments);
  call_lineage(call, scope, group);
  size_t doings = state_.doings;
  resolve_call(call, group);
  if (state_.doings != doings) store(arguments);
  if (returns_set(qualified_name(call->funcname).name)) test(arguments);  // how many rows
  group.append(arguments);
}

void Query::resolve_call(const FuncCall* call, Lineage& group) {
  QualifiedName name = qualified_name(call->funcname);
  if (does_something(name.name)) ++state_.doings;
  secret_arguments(call, name.name);
  if (name.schema == "information_schema" && name.name.starts_with("_pg_")) return;
  if (name.schema == "pg_catalog") return builtin_call(name.name, call);
  bool builtin = name.schema.empty() && (is_builtin_pure_function(name.name) || is_builtin_impure_function(name.name));
  if (builtin && !state_.names.may_be_shadowed(name.name)) return builtin_call(name.name, call);
  if (builtin && state_.names.moved().empty()) builtin_call(name.name, call);
  group.append(function(name.schema, name.name, "function"));
}

void Query::builtin_call(std::string_view name, const FuncCall* call) {
  if (is_builtin_pure_function(name) || special_call(name, call)) return;
  unknown_function("pg_catalog." + std::string(name),
                   "function pg_catalog." + std::string(name) + " is not known to be harmless");
}

// A call by name of what is not (only) built in.
Lineage Query::function(std::string_view schema, std::string_view name, std::string_view verb) {
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
    for (const auto& each : fact->routines) routine(*each, false, reads);
  }
  return reads;
}

void Query::unknown_function(std::string object, std::string because) {
  effects_.unknown(ObjectKind::function, std::move(object), Access::execute, std::move(because));
  effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
  state_.names.move("a call earlier in the text may have changed it");
  ++state_.doings;
}

// Functions of pg_catalog whose effect has a name of its own.
bool Query::special_call(std::string_view name, const FuncCall* call) {
  pg::Nodes arguments(call->args);
  if (arguments.empty()) return false;
  if (name == "nextval" || name == "setval" || name == "currval") {
    sequence_call(name, arguments[0], name == "currval" ? Access::read : Access::write);
    return true;
  }
  if (name == "set_config" && arguments.size() == 3) {
    set_config_call(call);
    return true;
  }
  if (name == "pg_notify" && is_constant(arguments[0])) {
    effects_.add("notify", ObjectKind::channel, std::string(constant_text(arguments[0])), Access::write);
    return true;
  }
  return false;
}

void Query::sequence_call(std::string_view name, const Node* argument, Access access) {
  std::vector<std::string> names = split_names(constant_text(argument));
  bool oid = !names.empty() && names[0].find_first_not_of("0123456789") == std::string::npos;
  if (names.empty() || names.size() > 3 || oid) {
    effects_.unknown(ObjectKind::relation, "", access,
                     "the sequence that " + std::string(name) + " is for is computed");
    return;
  }
  std::string_view schema = names.size() > 1 ? std::string_view(names[names.size() - 2]) : std::string_view();
  relation_effect(schema, names.back(), class_, access, true);
}

void Query::set_config_call(const FuncCall* call) {
  pg::Nodes arguments(call->args);
  std::string_view name = constant_text(arguments[0]);
  if (name.empty()) {
    effects_.unknown(ObjectKind::setting, "", Access::write, "the setting that set_config changes is computed");
    effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
    state_.names.move("a call earlier in the text may have changed it");
    return;
  }
  setting(name, "set", constant_text(arguments[1]));
  if (!is_constant(arguments[1]))
    effects_.unknown(ObjectKind::setting, fold_setting(name), Access::write,
                     "the value that set_config gives " + fold_setting(name) + " is computed");
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
  bool shadowed = state_.names.may_be_shadowed(name);
  if (is_builtin_impure_function(name) && !shadowed) {
    unknown_function("pg_catalog." + std::string(name),
                     "field or function pg_catalog." + std::string(name) + " is not known to be harmless");
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
