// SPDX-License-Identifier: Apache-2.0
// INSERT, UPDATE, DELETE, MERGE: what they write, and what their expressions read.
#include <string_view>
#include <utility>

#include "sql/query.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

std::string_view command_of(uint8_t command) {
  switch (command) {
    case RelationFact::on_select:
      return "select";
    case RelationFact::on_insert:
      return "insert";
    case RelationFact::on_update:
      return "update";
    case RelationFact::on_delete:
      return "delete";
    case RelationFact::on_upkeep:
      return "upkeep";
    default:
      return "truncate";
  }
}

}  // namespace

// What lies behind a relation: sequences that defaults advance, and what cannot be told from here.
void Query::hidden(const FactPtr& fact, uint8_t commands, Access access) {
  if (fact->schema == "pg_catalog" || fact->schema == "information_schema") return;
  std::string object = object_name(*fact);
  if ((commands & RelationFact::on_insert) != 0 && access == Access::write)
    for (const std::string& sequence : fact->sequences) {
      int effect = effects_.add(class_, ObjectKind::relation, sequence, Access::write, object);
      effects_.because(effect, "default of " + object);
    }
  if ((commands & (RelationFact::on_insert | RelationFact::on_update)) != 0 && access == Access::write)
    for (const std::string& reference : fact->references) {
      int effect = effects_.add("select", ObjectKind::relation, reference, Access::read, object);
      effects_.because(effect, "foreign key of " + object);
    }
  uint8_t untold = behind(fact, commands, access);
  for (uint8_t command :
       {RelationFact::on_select, RelationFact::on_insert, RelationFact::on_update, RelationFact::on_delete,
        RelationFact::on_truncate, RelationFact::on_upkeep, RelationFact::on_cascade}) {
    if ((untold & commands & command) == 0) continue;
    std::string because = "relation " + object + ": what its rules or triggers do on " +
                          std::string(command_of(command)) + " is not known";
    effects_.unknown(ObjectKind::relation, object, access, std::move(because));
  }
}

int Query::relation_effect(std::string_view schema, std::string_view name, std::string_view statement_class,
                           Access access, bool only) {
  Resolved resolved = state_.names.relation(schema, name);
  std::string object = object_name(*resolved.fact);
  if (resolved.doubt.empty()) return effects_.relation(statement_class, resolved.fact, access, only);
  effects_.used(resolved.fact);
  return effects_.unknown(ObjectKind::relation, object, access,
                          "what " + object + " names is not known: " + std::string(resolved.doubt));
}

int Query::relation_effect(const RangeVar* relation, std::string_view statement_class, Access access) {
  if (relation == nullptr) return 0;
  return relation_effect(pg::view(relation->schemaname), pg::view(relation->relname), statement_class, access,
                         !relation->inh);
}

void Query::write_target(const RangeVar* relation, std::string_view statement_class, uint8_t commands) {
  if (relation == nullptr) return;
  relation_effect(relation, statement_class, Access::write);
  hidden(state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname)).fact, commands,
         Access::write);
}

void Query::upkeep(const RangeVar* relation, bool own) {
  if (relation == nullptr) return;
  FactPtr fact = state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname)).fact;
  hidden(fact, RelationFact::on_upkeep | (own ? RelationFact::in_types : 0), Access::write);
}

uint8_t Query::copied_code(const RangeVar* model, bool triggers) {
  if (model == nullptr) return 0;
  FactPtr fact = state_.names.relation(pg::view(model->schemaname), pg::view(model->relname)).fact;
  uint8_t commands = RelationFact::on_upkeep | RelationFact::in_types;
  if (triggers) commands |= RelationFact::on_insert | RelationFact::on_update | RelationFact::on_delete;
  if (state_.names.made(fact)) return fact->hidden;
  return behind(fact, commands, Access::write) != 0 ? 0xff : 0;
}

// A table made of a query has columns of the types of those that the query reads.
uint8_t Query::copied_types() {
  std::vector<FactPtr> relations = effects_.statement().relations;
  uint8_t untold = 0;
  for (const FactPtr& fact : relations) {
    if ((fact->hidden & RelationFact::in_types) == 0) continue;
    if (state_.names.made(fact) || behind(fact, RelationFact::in_types, Access::write) != 0) untold = 0xff;
  }
  return untold;
}

int Query::copy_target(const RangeVar* relation, Access access) {
  int effect = relation_effect(relation, "copy", access);
  class_ = "copy";
  hidden(state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname)).fact,
         access == Access::write ? RelationFact::on_insert : RelationFact::on_select, access);
  return effect;
}

void Query::every_column(const RangeVar* relation, int effect) {
  FactPtr fact = state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname)).fact;
  if (fact->columns.empty()) effects_.all_columns(effect);
  for (const std::string& column : fact->columns)
    if (!column.empty()) effects_.column(effect, column);
}

Scope Query::scope_of(const RangeVar* relation, std::string_view statement_class) {
  Scope scope;
  if (relation != nullptr) add_item(scope, relation, statement_class, {}, false);
  return scope;
}

// The relation written: first item of `scope`. Gives its use; `effect` is the write.
int Query::target(const RangeVar* relation, std::string_view statement_class, Scope& scope, int& effect,
                  uint8_t commands) {
  add_item(scope, relation, statement_class, {}, false);
  int use = scope.items.back().use;
  const Use& written = uses_[use];
  if (written.doubtful) {
    std::string object = object_name(*written.fact);
    effect = effects_.unknown(ObjectKind::relation, object, Access::write, "what " + object + " names is not known");
  } else {
    effect = effects_.relation(statement_class, written.fact, Access::write, written.only);
  }
  FactPtr fact = written.fact;
  hidden(fact, commands, Access::write);
  return use;
}

Outputs Query::insert(const InsertStmt* insert, const Scope* outer, Ctes* ctes) {
  top_ = false;
  Ctes own;
  own.parent = ctes;
  if (insert->withClause != nullptr) {
    with(insert->withClause, outer, own);
    ctes = &own;
  }
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  int effect = 0;
  bool updates = insert->onConflictClause != nullptr && insert->onConflictClause->action == ONCONFLICT_UPDATE;
  uint8_t commands = RelationFact::on_insert | (updates ? RelationFact::on_update : 0);
  int use = target(insert->relation, "insert", scope, effect, commands);
  Outputs source;
  if (insert->selectStmt != nullptr) source = statement(insert->selectStmt, outer, ctes);
  insert_columns(insert, use, effect, insert->selectStmt != nullptr ? &source : nullptr, scope);
  if (insert->onConflictClause != nullptr) on_conflict(insert->onConflictClause, scope, use, effect);
  return targets(insert->returningList, scope, false);
}

void Query::insert_columns(const InsertStmt* insert, int use, int effect, const Outputs* source, const Scope& scope) {
  auto assign = [&](size_t index, std::string_view column) {
    effects_.column(effect, column);
    if (source == nullptr) return;
    if (index < source->columns.size()) {
      link_literals(source->columns[index].lineage.literals, use, column);
      store(source->columns[index].lineage, use, column);
    }
    if (!source->known) store(source->all());
    link_literals(source->rest.literals, use, column);
    store(source->rest);
  };
  size_t index = 0;
  for (const Node* node : pg::Nodes(insert->cols)) {
    const auto* column = pg::as<ResTarget>(node);
    if (column == nullptr) continue;
    for (const Node* part : pg::Nodes(column->indirection))
      if (pg::as<String>(part) == nullptr && pg::as<A_Star>(part) == nullptr) group(part, &scope);
    assign(index++, pg::view(column->name));
  }
  if (insert->cols != nullptr || source == nullptr) return;
  // Without a list the first columns are filled, as many as the source gives.
  const std::vector<std::string>& columns = uses_[use].fact->columns;
  if (columns.empty()) {
    effects_.all_columns(effect);
    for (const OutputColumn& column : source->columns) link_literals(column.lineage.literals, use, "*");
    return store(source->all());
  }
  for (const std::string& column : columns) {
    if (column.empty()) continue;
    if (source->known && index >= source->columns.size()) break;
    assign(index++, column);
  }
}

void Query::on_conflict(const OnConflictClause* clause, Scope& scope, int use, int effect) {
  if (clause->infer != nullptr) {
    Lineage compared;  // what the row that comes finds in those that are there
    for (const Node* node : pg::Nodes(clause->infer->indexElems)) {
      const auto* element = pg::as<IndexElem>(node);
      if (element == nullptr) continue;
      if (element->name != nullptr) unqualified(pg::view(element->name), &scope, compared);
      if (element->expr != nullptr) compared.append(group(element->expr, &scope));
    }
    test(compared);
    predicate(clause->infer->whereClause, &scope);
  }
  if (clause->action != ONCONFLICT_UPDATE) return;
  // EXCLUDED is the row that was to be inserted: its columns are lineage, not reads.
  Item excluded;
  excluded.name = "excluded";
  uses_.push_back(uses_[use]);
  uses_.back().silent = uses_.back().own = true;
  excluded.use = static_cast<int>(uses_.size()) - 1;
  excluded.qualified_only = true;
  scope.items.push_back(excluded);
  assignments(clause->targetList, scope, use, effect);
  predicate(clause->whereClause, &scope);
  scope.items.pop_back();
}

void Query::assignments(const List* targets, const Scope& scope, int use, int effect) {
  Lineage row;
  for (const Node* node : pg::Nodes(targets)) {
    const auto* target = pg::as<ResTarget>(node);
    if (target == nullptr) continue;
    std::string_view column = pg::view(target->name);
    effects_.column(effect, column);
    for (const Node* part : pg::Nodes(target->indirection))
      if (pg::as<String>(part) == nullptr && pg::as<A_Star>(part) == nullptr) group(part, &scope);
    if (const auto* multi = pg::as<MultiAssignRef>(target->val)) {
      // SET (a, b) = source: each column has a node of its own with the same source.
      if (multi->colno == 1) row = group(multi->source, &scope);
      link_literals(row.literals, use, column);
      store(row, use, column);
      continue;
    }
    Lineage value = group(target->val, &scope);
    link_literals(value.literals, use, column);
    store(value, use, column);
  }
}

Outputs Query::update(const UpdateStmt* update, const Scope* outer, Ctes* ctes) {
  top_ = false;
  Ctes own;
  own.parent = ctes;
  if (update->withClause != nullptr) {
    with(update->withClause, outer, own);
    ctes = &own;
  }
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  int effect = 0;
  int use = target(update->relation, "update", scope, effect, RelationFact::on_update);
  from(update->fromClause, scope, ctes);
  assignments(update->targetList, scope, use, effect);
  predicate(update->whereClause, &scope);
  return targets(update->returningList, scope, false);
}

Outputs Query::remove(const DeleteStmt* remove, const Scope* outer, Ctes* ctes) {
  top_ = false;
  Ctes own;
  own.parent = ctes;
  if (remove->withClause != nullptr) {
    with(remove->withClause, outer, own);
    ctes = &own;
  }
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  int effect = 0;
  target(remove->relation, "delete", scope, effect, RelationFact::on_delete);
  from(remove->usingClause, scope, ctes);
  predicate(remove->whereClause, &scope);
  return targets(remove->returningList, scope, false);
}

Outputs Query::merge(const MergeStmt* merge, const Scope* outer, Ctes* ctes) {
  top_ = false;
  Ctes own;
  own.parent = ctes;
  if (merge->withClause != nullptr) {
    with(merge->withClause, outer, own);
    ctes = &own;
  }
  uint8_t commands = 0;
  for (const Node* node : pg::Nodes(merge->mergeWhenClauses)) {
    const auto* when = pg::as<MergeWhenClause>(node);
    if (when == nullptr) continue;
    if (when->commandType == CMD_INSERT) commands |= RelationFact::on_insert;
    if (when->commandType == CMD_UPDATE) commands |= RelationFact::on_update;
    if (when->commandType == CMD_DELETE) commands |= RelationFact::on_delete;
  }
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  int effect = 0;
  int use = target(merge->relation, "merge", scope, effect, commands);
  from_item(merge->sourceRelation, scope, ctes);
  predicate(merge->joinCondition, &scope);
  for (const Node* node : pg::Nodes(merge->mergeWhenClauses))
    if (const auto* when = pg::as<MergeWhenClause>(node)) merge_when(when, scope, use, effect);
  return {};
}

void Query::merge_when(const MergeWhenClause* when, const Scope& scope, int use, int effect) {
  predicate(when->condition, &scope);
  if (when->commandType == CMD_UPDATE) return assignments(when->targetList, scope, use, effect);
  if (when->commandType != CMD_INSERT) return;
  pg::Nodes values(when->values);
  pg::Nodes columns(when->targetList);
  if (columns.empty() && !values.empty()) effects_.all_columns(effect);
  for (size_t i = 0; i < values.size(); ++i) {
    Lineage value = group(values[i], &scope);
    const auto* column = i < columns.size() ? pg::as<ResTarget>(columns[i]) : nullptr;
    if (column == nullptr) {
      store(value);
      continue;
    }
    store(value, use, pg::view(column->name));
    effects_.column(effect, pg::view(column->name));
    link_literals(value.literals, use, pg::view(column->name));
  }
}

}  // namespace sallyport::sql
