// SPDX-License-Identifier: Apache-2.0
// Lineage of statements that are no queries: results of EXPLAIN, EXECUTE and COPY, and definitions that move a column
// from under its name, copy it, or tell something of its values by whether they can be made.
#include <algorithm>
#include <string_view>
#include <utility>

#include "sql/command.h"
#include "sql/copy_out.h"

namespace sallyport::sql {
namespace {

template <class T>
const T* cast(const Node* node) {
  return reinterpret_cast<const T*>(node);
}

void add(std::vector<ColumnOrigin>& to, const std::vector<ColumnOrigin>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void Command::copied(const CopyStmt* copy) {
  if (copy->is_from) return;
  if (copy->relation != nullptr) query_.publish(query_.relation_outputs(copy->relation, copy->attlist, "copy"));
  if (copy->relation != nullptr && copy->attlist == nullptr)  // generated columns only by name (CopyGetAttnums)
    std::erase_if(out_.outputs, [](const Output& output) {
      if (output.from.size() != 1) return false;
      const auto& generated = output.from.front().relation->generated;
      return std::ranges::find(generated, output.name, &std::pair<std::string, std::string>::first) != generated.end();
    });
  if (copy->filename != nullptr) return store_outputs();
  out_.copy_out = read_copy_out(copy, state_.text.substr(out_.offset, out_.length), state_.standard_strings, out_);
}

void Command::store_outputs() {
  for (const Output& output : out_.outputs) add(out_.stored, output.from);
  sort_origins(out_.stored);
  out_.outputs.clear();
  out_.outputs_known = true;
}

// A plan tells what the planner knows of every column that the statement works with (ANALYZE: how many bytes).
void Command::explained(bool analyze) {
  Output plan{.name = "QUERY PLAN"};
  for (const Output& output : out_.outputs) {
    add(plan.from, output.from);
    plan.traced &= output.traced;
  }
  add(plan.from, out_.tested);
  add(plan.from, out_.stored);
  sort_origins(plan.from);
  if (!analyze) out_.stored.clear();
  out_.outputs.clear();
  out_.outputs.push_back(std::move(plan));
  out_.outputs_known = true;
}

void Command::unknown_outputs() {
  out_.outputs.clear();
  out_.outputs.push_back({.traced = false});
  out_.outputs_known = false;
}

void Command::definition_lineage(const Node* node) {
  switch (nodeTag(node)) {
    case T_AlterTableStmt:
      for (const Node* item : pg::Nodes(cast<AlterTableStmt>(node)->cmds))
        if (const auto* command = pg::as<AlterTableCmd>(item)) altered(command, cast<AlterTableStmt>(node)->relation);
      return;
    case T_RenameStmt: {
      const auto* rename = cast<RenameStmt>(node);
      if (rename->renameType == OBJECT_SCHEMA) return moved_schema(pg::view(rename->subname));
      if (rename->relation == nullptr) return;
      bool column = rename->renameType == OBJECT_COLUMN;
      if (column || rename->renameType == OBJECT_TABLE || rename->renameType == OBJECT_FOREIGN_TABLE)
        moved(rename->relation, column ? pg::view(rename->subname) : "*");
      return;
    }
    case T_AlterObjectSchemaStmt:
      if (cast<AlterObjectSchemaStmt>(node)->relation != nullptr)
        moved(cast<AlterObjectSchemaStmt>(node)->relation, "*");
      return;
    case T_CreateTrigStmt:  // its function gets rows
      return moved(cast<CreateTrigStmt>(node)->relation, "*");
    case T_RuleStmt:
      return moved(cast<RuleStmt>(node)->relation, "*");
    case T_IndexStmt:
      return indexed(cast<IndexStmt>(node));
    case T_CreatePolicyStmt: {
      const auto* policy = cast<CreatePolicyStmt>(node);
      Scope scope = query_.scope_of(policy->table, "create");
      query_.test(query_.expression(policy->qual, &scope, "create"));
      query_.test(query_.expression(policy->with_check, &scope, "create"));
      return;
    }
    case T_CreateCastStmt: {  // assignments and arguments will call it unasked
      const ObjectWithArgs* function = cast<CreateCastStmt>(node)->func;
      if (function == nullptr || state_.names.offline()) return;
      QualifiedName name = qualified_name(function->objname);
      if (state_.names.functions(name.schema, name.name).facts.empty()) return;
      return query_.store(query_.function(name.schema, name.name, "cast function"));
    }
    case T_ClusterStmt:  // rows come in another order
      if (cast<ClusterStmt>(node)->relation != nullptr)
        query_.test(query_.relation_outputs(cast<ClusterStmt>(node)->relation, nullptr, "cluster").all());
      return;
    default:
      return;
  }
}

void Command::moved(const RangeVar* relation, std::string_view column) {
  if (relation == nullptr) return;
  FactPtr fact = query_.fact_of(query_.scope_of(relation, "alter").items.front().use);
  out_.stored.push_back({std::move(fact), std::string(column)});
  sort_origins(out_.stored);
}

void Command::moved_schema(std::string_view schema) {
  auto every = std::make_shared<RelationFact>();
  every->schema = schema;
  every->name = std::string(1, '*');
  out_.stored.push_back({std::move(every), std::string(1, '*')});
}

void Command::altered(const AlterTableCmd* command, const RangeVar* relation) {
  Scope scope = query_.scope_of(relation, "alter");
  auto named = [&](const List* names) { query_.test(query_.relation_outputs(relation, names, "alter").all()); };
  switch (command->subtype) {
    case AT_AttachPartition:
    case AT_DetachPartition:
      moved(relation, "*");
      if (const auto* partition = pg::as<PartitionCmd>(command->def)) moved(partition->name, "*");
      return;
    case AT_AddInherit:
    case AT_DropInherit:
      moved(relation, "*");
      return moved(pg::as<RangeVar>(command->def), "*");
    case AT_AlterColumnType:
      if (const auto* column = pg::as<ColumnDef>(command->def))
        query_.store(query_.expression(column->raw_default, &scope, "alter"), scope.items.front().use,
                     pg::view(command->name));
      return;
    case AT_AddColumn:
      if (const auto* column = pg::as<ColumnDef>(command->def)) {
        query_.store(query_.expression(column->raw_default, &scope, "alter"));
        for (const Node* item : pg::Nodes(column->constraints))
          if (const auto* constraint = pg::as<Constraint>(item)) constrained(constraint, relation, scope);
      }
      return;
    case AT_ColumnDefault:
      return query_.store(query_.expression(command->def, &scope, "alter"));
    case AT_AddConstraint:
      if (const auto* constraint = pg::as<Constraint>(command->def)) constrained(constraint, relation, scope);
      return;
    case AT_SetNotNull:
      return query_.test(query_.column_lineage(scope, pg::view(command->name)));
    case AT_DropExpression:  // it keeps its values, and nobody knows what they were made of
      return moved(relation, pg::view(command->name));
    case AT_ClusterOn:
    case AT_ValidateConstraint:  // of columns that are not looked up
      return named(nullptr);
    default:
      return;
  }
}

// Whether it can be made tells something of the values that are there.
void Command::constrained(const Constraint* constraint, const RangeVar* relation, const Scope& scope) {
  Lineage checked = query_.expression(constraint->raw_expr, &scope, "alter");
  constraint->contype == CONSTR_GENERATED ? query_.store(checked) : query_.test(checked);
  query_.test(query_.expression(constraint->where_clause, &scope, "alter"));
  for (const Node* pair : pg::Nodes(constraint->exclusions)) {
    pg::Nodes parts(pair);
    const auto* element = parts.empty() ? nullptr : pg::as<IndexElem>(parts[0]);
    if (element == nullptr) continue;
    if (element->name != nullptr) query_.test(query_.column_lineage(scope, pg::view(element->name)));
    query_.test(query_.expression(element->expr, &scope, "alter"));
  }
  for (const List* names : {constraint->keys, constraint->fk_attrs})
    if (names != nullptr) query_.test(query_.relation_outputs(relation, names, "alter").all());
  if (constraint->pktable != nullptr)
    query_.test(query_.relation_outputs(constraint->pktable, constraint->pk_attrs, "alter").all());
}

void Command::indexed(const IndexStmt* index) {
  if (index->relation == nullptr) return;
  Scope scope = query_.scope_of(index->relation, "create");
  // Whether it can be made; or, of several columns, in which order an index-only scan gives the others.
  bool tells =
      index->unique || pg::Nodes(index->indexParams).size() + pg::Nodes(index->indexIncludingParams).size() > 1;
  for (const Node* node : pg::Nodes(index->indexParams)) {
    const auto* element = pg::as<IndexElem>(node);
    if (element == nullptr) continue;
    if (tells && element->name != nullptr) query_.test(query_.column_lineage(scope, pg::view(element->name)));
    if (element->expr != nullptr) query_.test(query_.expression(element->expr, &scope, "create"));
  }
  query_.test(query_.expression(index->whereClause, &scope, "create"));  // it has a number of rows
}

}  // namespace sallyport::sql
