// SPDX-License-Identifier: Apache-2.0
// Relations of a schema: tables, what their defaults, keys and triggers run, and what changes them later.
#include "sql/schema_build.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "sallyport/sql/analysis.h"
#include "sql/builtin_names.h"
#include "sql/scan.h"

extern "C" bool raw_expression_tree_walker(Node* node, bool (*walker)(Node*, void*), void* context);

namespace sallyport::sql {
namespace {

constexpr uint8_t kWrites = RelationFact::on_insert | RelationFact::on_update | RelationFact::on_upkeep;
// Bits of CreateTrigStmt::events (catalog/pg_trigger.h).
constexpr int kTriggerInsert = 1 << 2, kTriggerDelete = 1 << 3, kTriggerUpdate = 1 << 4, kTriggerTruncate = 1 << 5;

using pg::cast;

void note_call(const FuncCall* call, ExpressionCalls& calls) {
  calls.any = true;
  pg::Nodes parts(call->funcname);
  if (parts.empty()) return;
  const std::string_view name = pg::text_of(parts[parts.size() - 1]);
  const std::string_view schema = parts.size() > 1 ? pg::text_of(parts[parts.size() - 2]) : std::string_view();
  const bool builtin =
      (schema.empty() || schema == "pg_catalog") && (is_builtin_pure_function(name) || name == "nextval");
  if (!builtin) calls.foreign = true;
  if (name != "nextval" || pg::Nodes(call->args).empty()) return;
  const Node* argument = pg::Nodes(call->args)[0];
  while (const auto* cast = pg::as<TypeCast>(argument)) argument = cast->arg;
  if (const auto* constant = pg::as<A_Const>(argument); constant != nullptr && !constant->isnull)
    calls.sequences.emplace_back(pg::text_of(&constant->val.node));
}

bool walk_calls(Node* node, void* context) {
  if (node == nullptr) return false;
  if (nodeTag(node) == T_FuncCall) note_call(cast<FuncCall>(node), *static_cast<ExpressionCalls*>(context));
  return raw_expression_tree_walker(node, walk_calls, context);
}

bool is_serial(const TypeName* type) {
  pg::Nodes names(type == nullptr ? nullptr : type->names);
  if (names.empty()) return false;
  const std::string_view name = pg::text_of(names[names.size() - 1]);
  return name == "serial" || name == "bigserial" || name == "smallserial" || name == "serial2" || name == "serial4" ||
         name == "serial8";
}

std::string dotted(const RelationName& name) { return name.schema + "." + name.name; }

/// An action that writes rows of the table that holds the key.
bool cascades(char action) {
  return action == FKCONSTR_ACTION_CASCADE || action == FKCONSTR_ACTION_SETNULL || action == FKCONSTR_ACTION_SETDEFAULT;
}

}  // namespace

ExpressionCalls calls_in(const Node* expression) {
  ExpressionCalls calls;
  walk_calls(const_cast<Node*>(expression), &calls);
  return calls;
}

void SchemaBuilder::apply(const Node* node, std::string_view text) {
  text_ = text;
  if (!relation_statement(node) && !code_statement(node) && !type_statement(node)) change_statement(node);
}

RelationName SchemaBuilder::name_of(const RangeVar* range) const {
  const std::string_view schema = pg::view(range->schemaname);
  return {schema.empty() ? schema_ : std::string(schema), std::string(pg::view(range->relname))};
}

RelationName SchemaBuilder::name_of(const List* names) const {
  pg::Nodes parts(names);
  if (parts.empty()) return {};
  const std::string_view schema = parts.size() > 1 ? pg::text_of(parts[parts.size() - 2]) : std::string_view();
  return {schema.empty() ? schema_ : std::string(schema), std::string(pg::text_of(parts[parts.size() - 1]))};
}

bool SchemaBuilder::relation_statement(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateStmt:
      create_table(cast<CreateStmt>(node), cast<CreateStmt>(node)->partspec == nullptr ? 'r' : 'p');
      return true;
    case T_CreateForeignTableStmt:
      create_table(&cast<CreateForeignTableStmt>(node)->base, 'f');
      return true;
    case T_ViewStmt:
      make(cast<ViewStmt>(node)->view, 'v').definition = text_;
      return true;
    case T_CreateTableAsStmt: {
      const auto* create = cast<CreateTableAsStmt>(node);
      make(create->into->rel, create->objtype == OBJECT_MATVIEW ? 'm' : 'r').definition = text_;
      return true;
    }
    case T_CreateSeqStmt:
      create_sequence(name_of(cast<CreateSeqStmt>(node)->sequence));
      return true;
    case T_IndexStmt:
      create_index(cast<IndexStmt>(node));
      return true;
    case T_CreateSchemaStmt: {
      const auto* create = cast<CreateSchemaStmt>(node);
      const std::string outside = std::exchange(schema_, std::string(pg::view(create->schemaname)));
      for (const Node* element : pg::Nodes(create->schemaElts)) apply(element, text_);
      schema_ = outside;
      return true;
    }
    default:
      return false;
  }
}

SchemaBuilder::Relation& SchemaBuilder::make(const RangeVar* range, char kind) {
  const RelationName name = name_of(range);
  Relation& relation = state_.relations[name];
  relation.own.found = true;
  relation.own.oid = static_cast<uint32_t>(16'384 + state_.relations.size());
  relation.own.schema = name.schema;
  relation.own.name = name.name;
  relation.own.kind = kind;
  return relation;
}

void SchemaBuilder::create_table(const CreateStmt* create, char kind) {
  if (create->relation->relpersistence == 't') return;  // gone with its session
  const RelationName table = name_of(create->relation);
  make(create->relation, kind);
  for (const Node* parent : pg::Nodes(create->inhRelations)) inherit(table, pg::as<RangeVar>(parent));
  for (const Node* element : pg::Nodes(create->tableElts)) {
    if (const auto* column = pg::as<ColumnDef>(element)) add_column(table, column);
    if (const auto* constraint = pg::as<Constraint>(element)) add_constraint(table, {}, constraint);
    const auto* like = pg::as<TableLikeClause>(element);
    if (like == nullptr) continue;
    const auto model = state_.relations.find(name_of(like->relation));
    if (model == state_.relations.end()) continue;
    auto& columns = state_.relations[table].own.columns;
    columns.insert(columns.end(), model->second.own.columns.begin(), model->second.own.columns.end());
    if (like->options != 0) hide(table, model->second.own.hidden & kWrites);
  }
  if (create->ofTypename == nullptr) return;
  if (const auto type = state_.relations.find(type_of(create->ofTypename)); type != state_.relations.end())
    state_.relations[table].own.columns = type->second.own.columns;
}

void SchemaBuilder::create_index(const IndexStmt* create) {
  const RelationName table = name_of(create->relation);
  bool runs = runs_functions(create->whereClause);
  for (const Node* part : pg::Nodes(create->indexParams))
    if (const auto* element = pg::as<IndexElem>(part)) runs |= runs_functions(element->expr);
  if (runs) hide(table, kWrites);
  if (create->idxname == nullptr) return;
  Relation& index = state_.relations[{table.schema, create->idxname}];
  index.own = {.found = true, .schema = table.schema, .name = create->idxname, .kind = 'i'};
}

void SchemaBuilder::create_sequence(const RelationName& name) {
  state_.relations[name].own = {.found = true,
                                .oid = static_cast<uint32_t>(16'384 + state_.relations.size()),
                                .schema = name.schema,
                                .name = name.name,
                                .kind = 'S',
                                .columns = {"last_value", "log_cnt", "is_called"}};
}

void SchemaBuilder::add_column(const RelationName& table, const ColumnDef* column) {
  const std::string_view name = pg::view(column->colname);
  auto& columns = state_.relations[table].own.columns;
  if (std::ranges::find(columns, name) == columns.end()) columns.emplace_back(name);  // else merged with the parent's
  if (is_serial(column->typeName)) add_identity(table, name, nullptr);
  if (column->raw_default != nullptr) add_default(table, column->raw_default);
  if (const RelationName type = type_of(column->typeName); type.schema != "pg_catalog") {
    state_.relations[table].made_of.push_back(type);
    if (const auto found = state_.types.find(type); found != state_.types.end() && found->second.runs_functions)
      hide(table, kWrites | RelationFact::in_types);
  }
  for (const Node* constraint : pg::Nodes(column->constraints))
    add_constraint(table, name, pg::as<Constraint>(constraint));
}

void SchemaBuilder::add_constraint(const RelationName& table, std::string_view column, const Constraint* constraint) {
  if (constraint == nullptr) return;
  switch (constraint->contype) {
    case CONSTR_DEFAULT:
    case CONSTR_GENERATED:
    case CONSTR_CHECK:
      return add_default(table, constraint->raw_expr);
    case CONSTR_IDENTITY:
      return add_identity(table, column, constraint->options);
    case CONSTR_FOREIGN: {
      const RelationName referenced = name_of(constraint->pktable);
      if (const auto found = state_.relations.find(table); found != state_.relations.end()) {
        std::vector<std::string>& references = found->second.own.references;
        references.push_back(referenced.schema + "." + referenced.name);
        std::ranges::sort(references);
        references.erase(std::unique(references.begin(), references.end()), references.end());
      }
      hide(referenced, RelationFact::on_cascade);
      if (cascades(constraint->fk_upd_action)) hide(referenced, RelationFact::on_update);
      if (cascades(constraint->fk_del_action)) hide(referenced, RelationFact::on_delete);
      return;
    }
    case CONSTR_EXCLUSION:
      if (runs_functions(constraint->where_clause)) hide(table, kWrites);
      for (const Node* pair : pg::Nodes(constraint->exclusions))
        for (const Node* part : pg::Nodes(pair))
          if (const auto* element = pg::as<IndexElem>(part); element != nullptr && runs_functions(element->expr))
            hide(table, kWrites);
      return;
    default:
      return;
  }
}

/// An expression that runs when a row is written: a default, a check, a generated column.
void SchemaBuilder::add_default(const RelationName& table, const Node* expression) {
  const ExpressionCalls calls = calls_in(expression);
  if (calls.foreign) hide(table, kWrites);
  for (const std::string& text : calls.sequences) {
    const std::vector<std::string> parts = split_names(text);
    if (parts.empty()) continue;
    const RelationName sequence{parts.size() > 1 ? parts[parts.size() - 2] : schema_, parts.back()};
    auto& sequences = state_.relations[table].own.sequences;
    if (std::ranges::find(sequences, dotted(sequence)) == sequences.end()) sequences.push_back(dotted(sequence));
  }
}

/// A serial or identity column: its sequence comes with it.
void SchemaBuilder::add_identity(const RelationName& table, std::string_view column, const List* options) {
  RelationName sequence{table.schema, table.name + "_" + std::string(column) + "_seq"};
  for (const Node* node : pg::Nodes(options)) {
    const auto* option = pg::as<DefElem>(node);
    if (option != nullptr && pg::view(option->defname) == "sequence_name")
      sequence = name_of(pg::as<List>(option->arg));
  }
  create_sequence(sequence);
  state_.relations[table].own.sequences.push_back(dotted(sequence));
}

void SchemaBuilder::inherit(const RelationName& child, const RangeVar* parent) {
  if (parent == nullptr) return;
  const RelationName name = name_of(parent);
  Relation& relation = state_.relations[child];
  relation.parents.push_back(name);
  const auto from = state_.relations.find(name);
  if (from == state_.relations.end()) return;
  for (const std::string& column : from->second.own.columns)
    if (std::ranges::find(relation.own.columns, column) == relation.own.columns.end())
      relation.own.columns.push_back(column);
  hide(child, from->second.own.hidden & kWrites);  // checks and defaults come along
  for (const std::string& sequence : from->second.own.sequences) relation.own.sequences.push_back(sequence);
}

void SchemaBuilder::alter_table(const AlterTableStmt* alter) {
  const RelationName table = name_of(alter->relation);
  if (!state_.relations.contains(table)) return;
  for (const Node* node : pg::Nodes(alter->cmds)) {
    const auto* command = pg::as<AlterTableCmd>(node);
    if (command == nullptr) continue;
    switch (command->subtype) {
      case AT_AddConstraint:
        add_constraint(table, {}, pg::as<Constraint>(command->def));
        break;
      case AT_EnableRowSecurity:
      case AT_DisableRowSecurity:
        state_.relations[table].row_security = command->subtype == AT_EnableRowSecurity;
        break;
      case AT_AttachPartition:
        if (const auto* partition = pg::as<PartitionCmd>(command->def))
          state_.relations[name_of(partition->name)].parents.push_back(table);
        break;
      case AT_DetachPartition:
        if (const auto* partition = pg::as<PartitionCmd>(command->def))
          std::erase(state_.relations[name_of(partition->name)].parents, table);
        break;
      case AT_AddInherit:
        inherit(table, pg::as<RangeVar>(command->def));
        break;
      case AT_DropInherit:
        if (const auto* parent = pg::as<RangeVar>(command->def))
          std::erase(state_.relations[table].parents, name_of(parent));
        break;
      default:
        alter_column(table, command);
    }
  }
}

void SchemaBuilder::alter_column(const RelationName& table, const AlterTableCmd* command) {
  switch (command->subtype) {
    case AT_AddColumn:
      if (const auto* column = pg::as<ColumnDef>(command->def)) add_column(table, column);
      return;
    case AT_DropColumn:
      std::ranges::replace(state_.relations[table].own.columns, std::string(pg::view(command->name)), std::string());
      return;
    case AT_ColumnDefault:
      return add_default(table, command->def);
    case AT_AddIdentity:
      return add_constraint(table, pg::view(command->name), pg::as<Constraint>(command->def));
    default:
      return;
  }
}

void SchemaBuilder::hide(const RelationName& table, uint8_t bits) {
  if (const auto found = state_.relations.find(table); found != state_.relations.end())
    found->second.own.hidden |= bits;
}

bool SchemaBuilder::runs_functions(const Node* expression) const { return calls_in(expression).foreign; }

/// What is neither a relation nor code, and what changes those.
void SchemaBuilder::change_statement(const Node* node) {
  switch (nodeTag(node)) {
    case T_AlterTableStmt:
      return alter_table(cast<AlterTableStmt>(node));
    case T_RenameStmt:
      return rename(cast<RenameStmt>(node));
    case T_AlterObjectSchemaStmt:
      return move_to_schema(cast<AlterObjectSchemaStmt>(node));
    case T_DropStmt:
      return drop(cast<DropStmt>(node));
    case T_VariableSetStmt:
      return search_path(cast<VariableSetStmt>(node));
    case T_CreatePolicyStmt:
      if (const auto found = state_.relations.find(name_of(cast<CreatePolicyStmt>(node)->table));
          found != state_.relations.end())
        found->second.policies = true;
      return;
    case T_RuleStmt: {
      const auto* rule = cast<RuleStmt>(node);
      const RelationName table = name_of(rule->relation);
      if (pg::view(rule->rulename) == "_RETURN") return;  // what makes a view
      hide(table, rule->event == CMD_SELECT   ? RelationFact::on_select
                  : rule->event == CMD_INSERT ? RelationFact::on_insert
                  : rule->event == CMD_UPDATE ? RelationFact::on_update
                                              : RelationFact::on_delete);
      return;
    }
    case T_CreateEventTrigStmt:
      state_.event_triggers = true;
      return;
    case T_CreateTrigStmt: {
      const auto* trigger = cast<CreateTrigStmt>(node);
      uint8_t bits = 0;
      if (trigger->events & kTriggerInsert) bits |= RelationFact::on_insert;
      if (trigger->events & kTriggerUpdate) bits |= RelationFact::on_update;
      if (trigger->events & kTriggerDelete) bits |= RelationFact::on_delete;
      if (trigger->events & kTriggerTruncate) bits |= RelationFact::on_truncate;
      return hide(name_of(trigger->relation), bits);
    }
    default:
      return;
  }
}

void SchemaBuilder::rename(const RenameStmt* rename) {
  if (rename->relation == nullptr) return;
  const auto found = state_.relations.find(name_of(rename->relation));
  if (found == state_.relations.end()) return;
  if (rename->renameType == OBJECT_COLUMN) {
    std::ranges::replace(found->second.own.columns, std::string(pg::view(rename->subname)),
                         std::string(pg::view(rename->newname)));
    return;
  }
  auto moved = state_.relations.extract(found);
  moved.mapped().own.name = moved.key().name = pg::view(rename->newname);
  state_.relations.insert(std::move(moved));
}

void SchemaBuilder::move_to_schema(const AlterObjectSchemaStmt* move) {
  if (move->relation == nullptr) return;
  const auto found = state_.relations.find(name_of(move->relation));
  if (found == state_.relations.end()) return;
  auto moved = state_.relations.extract(found);
  moved.mapped().own.schema = moved.key().schema = pg::view(move->newschema);
  state_.relations.insert(std::move(moved));
}

void SchemaBuilder::drop(const DropStmt* drop) {
  for (const Node* object : pg::Nodes(drop->objects)) {
    switch (drop->removeType) {
      case OBJECT_TABLE:
      case OBJECT_VIEW:
      case OBJECT_MATVIEW:
      case OBJECT_SEQUENCE:
      case OBJECT_FOREIGN_TABLE:
      case OBJECT_INDEX:
        state_.relations.erase(name_of(pg::as<List>(object)));
        break;
      case OBJECT_TYPE:
      case OBJECT_DOMAIN:
        if (const auto* type = pg::as<TypeName>(object)) state_.types.erase(type_of(type));
        break;
      default:
        break;  // a function that stays known is looked into in vain
    }
  }
}

/// Where unqualified names are made from here on.
void SchemaBuilder::search_path(const VariableSetStmt* set) {
  if (pg::view(set->name) != "search_path" || set->kind != VAR_SET_VALUE || pg::Nodes(set->args).empty()) return;
  const auto* first = pg::as<A_Const>(pg::Nodes(set->args)[0]);
  if (first == nullptr || first->isnull) return;
  const std::string_view name = pg::text_of(&first->val.node);
  if (!name.empty() && name != "$user" && name != "pg_catalog") schema_ = name;
}

}  // namespace sallyport::sql
