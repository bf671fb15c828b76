// SPDX-License-Identifier: Apache-2.0
// What lies behind a relation that a statement names: a view's query, triggers, rules, row-security policies, defaults
// and checks, rows that foreign keys take along, comparison and casts in code. And event triggers.
#include <string_view>
#include <utility>

#include "sql/inside.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

bool is_trigger(const BehindFact::Runs& runs) { return runs.what.starts_with("trigger "); }
bool is_rule(const BehindFact::Runs& runs) { return runs.function.name.empty() && runs.what.starts_with("rule "); }

// What PostgreSQL does with the rights of a table's owner: maintenance of it.
std::string_view owner_of(const FactPtr& fact, uint8_t commands, std::string& object) {
  object = object_name(*fact);
  return commands == RelationFact::on_upkeep ? std::string_view(object) : std::string_view();
}

}  // namespace

// Which of `commands` do more than is told here.
uint8_t Query::behind(const FactPtr& fact, uint8_t commands, Access access) {
  bool stored_elsewhere = fact->kind == 'v' || fact->kind == 'm' || fact->kind == 'f';
  if (!stored_elsewhere && (fact->hidden & commands) == 0) return 0;
  std::string_view doubt;
  std::shared_ptr<const BehindFact> known = state_.names.behind(fact, doubt);
  if (known == nullptr && doubt.empty()) return 0;  // it is being asked for
  if (known == nullptr) {
    if (stored_elsewhere) view(fact, {}, commands, access);
    return fact->hidden;
  }
  if (!state_.looked_behind.emplace(fact.get(), commands, std::string(class_) + state_.way).second) return 0;
  Deeper deeper(state_, 8);
  if (!deeper) return 0;
  if (stored_elsewhere) view(fact, *known, commands, access);
  for (const BehindFact::Runs& each : known->runs)
    if ((each.commands & commands) != 0) runs(fact, each, commands);
  for (const BehindFact::Cascade& each : known->cascades)
    if ((each.commands & commands) != 0) cascade(fact, each, commands);
  return known->hidden;
}

void Query::runs(const FactPtr& fact, const BehindFact::Runs& runs, uint8_t commands) {
  std::string object;
  std::string_view through = owner_of(fact, commands, object);
  std::string who = runs.what + " of " + object;
  if (is_rule(runs)) return rule(fact, runs, who);
  std::vector<std::string> names = fact->columns;
  names.insert(names.end(), {"new", "old"});
  Scope scope = code_scope(fact->name, names);
  bool stored = runs.what.starts_with("default");
  if (runs.function.name.empty()) return run_expression(runs.code, scope, who, stored, through);
  if (!is_trigger(runs)) return unasked(fact, runs.function);
  Lineage ignored;
  // Nobody needs a right to a trigger's function to set it off.
  int effect = effects_.add("call", ObjectKind::function, join_names(runs.function.schema, runs.function.name),
                            Access::execute, object);
  effects_.because(effect, who);
  fired_function(runs.function, ignored);
  if (runs.code.empty()) return;
  std::vector<ColumnRead> reads;
  Inside inside(*this, nullptr, reads, Inside::session_names);
  std::string_view why;
  if (!inside.run_trigger(runs.code, scope, why))
    unknown_function("", "what " + who + " does is not known: " + std::string(why));
}

// A comparison or a cast that the server calls by itself. Where it does more than compute, nobody knows with which
// values.
void Query::unasked(const FactPtr& fact, const RelationName& function) {
  Lineage reads;
  size_t doings = state_.doings;
  quiet_function(function, reads);
  if (state_.doings != doings) reads.columns.push_back({use({fact, {}}, class_, true, true), "*"});
  store(reads);
}

// A rewrite rule: its actions are done with the rights of the table's owner. What the command itself does counts too,
// INSTEAD or not.
void Query::rule(const FactPtr& fact, const BehindFact::Runs& runs, const std::string& who) {
  std::vector<ColumnRead> reads;
  Inside inside(*this, nullptr, reads, Inside::session_names, object_name(*fact));
  std::string_view why;
  if (!inside.run_rule(runs.code, fact, why))
    unknown_function("", "what " + who + " does is not known: " + std::string(why));
}

// Definitions fire event triggers, which run as whoever makes them.
void Query::event_triggers() {
  static const FactPtr kEventTriggers = [] {
    auto made = std::make_shared<RelationFact>();
    made->schema = "pg_catalog";
    made->name = "pg_event_trigger";
    return made;
  }();
  std::string_view doubt;
  std::shared_ptr<const BehindFact> known = state_.names.behind(kEventTriggers, doubt);
  if (state_.event_triggers_changed || (known != nullptr && known->hidden != 0))
    effects_.unknown(ObjectKind::other, "event triggers", Access::execute, "what event triggers do is not known");
  if (known == nullptr || !state_.looked_behind.emplace(kEventTriggers.get(), uint8_t{0xff}, state_.way).second) return;
  for (const BehindFact::Runs& each : known->runs) {
    Lineage ignored;
    int effect = effects_.add("call", ObjectKind::function, join_names(each.function.schema, each.function.name),
                              Access::execute, each.what);
    effects_.because(effect, each.what);
    fired_function(each.function, ignored);
  }
}

void Query::view(const FactPtr& fact, const BehindFact& behind, uint8_t commands, Access access) {
  std::string object = object_name(*fact);
  std::string_view why = "its query is not known";
  if (fact->kind == 'f') {
    if (foreign(behind, access)) return;
    why = "what is behind it is not known";
  } else if (!behind.definition.empty()) {
    bool instead = false;  // a trigger does what the command says
    for (const BehindFact::Runs& each : behind.runs) instead |= is_trigger(each) && (each.commands & commands) != 0;
    std::vector<ColumnRead> reads;
    Inside inside(*this, nullptr, reads, Inside::session_names);
    bool write = access == Access::write && fact->kind == 'v' && !instead;
    if (inside.run_view(behind.definition, behind.invoker_rights ? "" : object, commands, write, why)) return;
  }
  std::string_view word = fact->kind == 'v' ? "view" : fact->kind == 'm' ? "materialized view" : "foreign table";
  effects_.unknown(ObjectKind::relation, object, access,
                   std::string(word) + " " + object + ": what it reads is not known: " + std::string(why));
}

// What a foreign table stands for, as far as its wrapper is one of PostgreSQL's own.
bool Query::foreign(const BehindFact& behind, Access access) {
  if (behind.wrapper == "file_fdw_handler") {
    bool program = !behind.program.empty();
    if (!program && behind.file.empty()) return false;
    effects_.add(class_, program ? ObjectKind::program : ObjectKind::file, program ? behind.program : behind.file,
                 program ? Access::execute : access);
    return true;
  }
  if (behind.wrapper != "postgres_fdw_handler" || behind.server.empty()) return false;
  effects_.add(class_, ObjectKind::other, "server " + behind.server, access);
  return true;
}

void Query::cascade(const FactPtr& fact, const BehindFact::Cascade& cascade, uint8_t commands) {
  Resolved resolved = state_.names.relation(cascade.relation.schema, cascade.relation.name);
  bool empties = cascade.commands == RelationFact::on_cascade;  // TRUNCATE … CASCADE
  std::string_view word = empties ? "truncate" : cascade.removes ? "delete" : "update";
  int effect = effects_.add(word, ObjectKind::relation, object_name(*resolved.fact), Access::write);
  effects_.because(effect, "foreign key to " + object_name(*fact));
  effects_.used(resolved.fact);
  if (!cascade.removes) effects_.all_columns(effect);
  std::string_view outer_class = std::exchange(class_, word);
  uint8_t further = cascade.removes ? RelationFact::on_delete : RelationFact::on_update;
  hidden(resolved.fact, empties ? commands : further, Access::write);
  class_ = outer_class;
}

}  // namespace sallyport::sql
