// SPDX-License-Identifier: Apache-2.0
#include "sallyport/sql/schema_text.h"

#include <algorithm>
#include <set>

#include "sallyport/base/limits.h"
#include "sql/builtin_names.h"
#include "sql/scan.h"
#include "sql/schema_build.h"
#include "sql/schema_split.h"

namespace sallyport::sql {
namespace {

using State = SchemaText::State;

constexpr size_t kNotUnderstoodMax = 100;

/// Why one statement was left out; empty: it was not.
std::string apply(std::string_view statement, SchemaBuilder& builder) {
  if (statement.size() > limits::kSqlTextBytesMax) return "the statement is longer than the limit";
  const Scan scanned = scan(statement, true);
  if (!scanned.refused.empty()) return std::string(scanned.refused);
  const std::string text(statement);
  const pg::ParseTree tree(text.c_str(), true);
  if (!tree.ok()) return std::string(tree.error());
  for (const Node* node : tree.statements())
    if (const auto* raw = pg::as<RawStmt>(node)) builder.apply(raw->stmt, text);
  return {};
}

bool is_system_schema(std::string_view schema) { return schema == "pg_catalog" || schema == "information_schema"; }

/// Every relation above `name`, each once.
std::set<RelationName> ancestors(const State& state, const RelationName& name) {
  std::set<RelationName> seen;
  std::vector<RelationName> todo{name};
  while (!todo.empty()) {
    const auto found = state.relations.find(todo.back());
    todo.pop_back();
    if (found == state.relations.end()) continue;
    for (const RelationName& parent : found->second.parents)
      if (seen.insert(parent).second) todo.push_back(parent);
  }
  seen.erase(name);
  return seen;
}

uint8_t hidden_of(const State::Relation& relation) {
  constexpr uint8_t kRows =
      RelationFact::on_select | RelationFact::on_insert | RelationFact::on_update | RelationFact::on_delete;
  return relation.own.hidden | (relation.row_security && relation.policies ? kRows : 0);
}

std::shared_ptr<const RelationFact> relation_fact(const State& state, const RelationName& asked) {
  auto fact = std::make_shared<RelationFact>();
  const bool system = is_system_relation(asked.name) && (asked.schema.empty() || is_system_schema(asked.schema));
  if (system) {
    fact->found = true;
    fact->schema = asked.schema.empty() ? "pg_catalog" : asked.schema;
    fact->name = asked.name;
    return fact;
  }
  const RelationName name{asked.schema.empty() ? "public" : asked.schema, asked.name};
  const auto found = state.relations.find(name);
  if (found == state.relations.end()) return fact;
  *fact = found->second.own;
  fact->hidden = hidden_of(found->second);
  for (const RelationName& each : ancestors(state, name)) fact->family.push_back(each.schema + "." + each.name);
  for (const auto& [other, relation] : state.relations) {
    if (!ancestors(state, other).contains(name)) continue;
    fact->descendants.push_back(other.schema + "." + other.name);
    fact->hidden |= hidden_of(relation);
  }
  fact->family.insert(fact->family.end(), fact->descendants.begin(), fact->descendants.end());
  return fact;
}

/// What a relation hides stays hidden: triggers, policies, defaults and checks are not told apart here.
std::shared_ptr<const BehindFact> behind_fact(const State& state, const RelationName& asked) {
  auto fact = std::make_shared<BehindFact>();
  fact->hidden = relation_fact(state, asked)->hidden;
  if (asked == RelationName{"pg_catalog", "pg_event_trigger"} && state.event_triggers) fact->hidden = 0xff;
  const auto found = state.relations.find(asked);
  if (found != state.relations.end()) fact->definition = found->second.definition;
  return fact;
}

FunctionFact function_fact(const State& state, const RelationName& asked) {
  FunctionFact fact;
  const auto found = state.functions.find({asked.schema.empty() ? "public" : asked.schema, asked.name});
  if (found == state.functions.end()) return fact;
  fact.shadowed = true;
  for (const std::shared_ptr<Routine>& each : found->second) {
    auto routine = std::make_shared<Routine>(*each);
    // As a server tells it: enums, ranges and base types run nothing of their own.
    std::erase_if(routine->types, [&](const RelationName& type) {
      const auto known = state.types.find(type);
      return known != state.types.end() && !known->second.named_in_routines;
    });
    fact.routines.push_back(std::move(routine));
  }
  return fact;
}

/// Adds what a value of the type runs. False: something that it is made of is not known.
bool add_type(const State& state, const RelationName& name, TypeFact& fact, std::set<RelationName>& seen) {
  if (!seen.insert(name).second) return true;
  const auto relation = state.relations.find(name);
  const auto type = state.types.find(name);
  const bool known = type != state.types.end() && type->second.own.found;
  if (!known && relation == state.relations.end() && name.schema != "pg_catalog") return false;
  bool all = true;
  const auto add_parts = [&](const std::vector<RelationName>& parts) {
    for (const RelationName& part : parts) all &= add_type(state, part, fact, seen);
  };
  if (type != state.types.end()) {
    const TypeFact& own = type->second.own;
    fact.checks.insert(fact.checks.end(), own.checks.begin(), own.checks.end());
    fact.functions.insert(fact.functions.end(), own.functions.begin(), own.functions.end());
    add_parts(type->second.made_of);
  }
  if (relation != state.relations.end()) add_parts(relation->second.made_of);
  return all;
}

TypeFact type_fact(const State& state, const RelationName& asked) {
  TypeFact fact;
  std::set<RelationName> seen;
  const bool builtin = is_builtin_type(asked.name) && (asked.schema.empty() || asked.schema == "pg_catalog");
  fact.builtin = builtin;
  const std::string schema = builtin ? "pg_catalog" : asked.schema.empty() ? "public" : asked.schema;
  fact.found = (builtin || schema != "pg_catalog") && add_type(state, {schema, asked.name}, fact, seen);
  return fact;
}

OperatorFact operator_fact(const State& state, const RelationName& asked) {
  const auto found = state.operators.find({asked.schema.empty() ? "public" : asked.schema, asked.name});
  return found == state.operators.end() ? OperatorFact{} : found->second;
}

}  // namespace

Result<SchemaText> SchemaText::read(std::string_view text) {
  if (text.size() > kSchemaTextBytesMax) return fail("the schema is longer than 64 MiB", "leave the data out");
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos) return fail("the schema is not UTF-8 text");
  auto state = std::make_shared<State>();
  SchemaBuilder builder(*state);
  StatementSplitter splitter(text);
  std::string_view statement;
  size_t line = 0, left_out = 0;
  while (splitter.next(statement, line)) {
    const std::string why = apply(statement, builder);
    if (why.empty()) continue;
    if (++left_out <= kNotUnderstoodMax) state->not_understood.push_back("line " + std::to_string(line) + ": " + why);
  }
  if (left_out > kNotUnderstoodMax)
    state->not_understood.push_back(std::to_string(left_out - kNotUnderstoodMax) + " more");
  if (state->relations.empty() && state->functions.empty() && state->types.empty())
    return fail("the schema makes nothing" + (left_out > 0 ? ": " + state->not_understood.front() : std::string()),
                "give CREATE statements, or what `pg_dump --schema-only` prints");
  return SchemaText(std::move(state));
}

void SchemaText::answer(const Missing& missing, Catalogue& catalogue) const {
  for (const RelationName& name : missing.relations) catalogue.relations[name] = relation_fact(*state_, name);
  for (const RelationName& name : missing.behind) catalogue.behind[name] = behind_fact(*state_, name);
  for (const RelationName& name : missing.functions) catalogue.functions[name] = function_fact(*state_, name);
  for (const RelationName& name : missing.types) catalogue.types[name] = type_fact(*state_, name);
  for (const RelationName& name : missing.operators) catalogue.operators[name] = operator_fact(*state_, name);
}

const std::vector<std::string>& SchemaText::not_understood() const { return state_->not_understood; }

std::vector<RelationName> SchemaText::relations() const {
  std::vector<RelationName> names;
  for (const auto& [name, relation] : state_->relations) names.push_back(name);
  return names;
}

}  // namespace sallyport::sql
