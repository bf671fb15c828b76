// SPDX-License-Identifier: Apache-2.0
// CREATE of relations and code, and the parts that definitions are made of. What a definition's
// expressions call and read counts as done by it: it will be done later with nobody looking.
#include <string>
#include <string_view>

#include "sql/command.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

template <class T>
const T* cast(const Node* node) {
  return reinterpret_cast<const T*>(node);
}

std::string dotted_name(const List* list) {
  std::string text;
  for (const Node* part : pg::Nodes(list)) {
    if (!text.empty()) text.push_back('.');
    text.append(pg::text_of(part));
  }
  return text;
}

}  // namespace

bool Command::define_command(const Node* node) {
  return define_relation(node) || define_code(node) || define_global(node);
}

bool Command::define_relation(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateStmt:
      create_table(cast<CreateStmt>(node));
      break;
    case T_CreateForeignTableStmt: {
      const auto* create = cast<CreateForeignTableStmt>(node);
      create_table(&create->base);
      object("create", ObjectKind::other, "server " + std::string(pg::view(create->servername)));
      secret_options(create->options, false);
      break;
    }
    case T_ViewStmt:
      create_view(cast<ViewStmt>(node));
      break;
    case T_IndexStmt:
      create_index(cast<IndexStmt>(node));
      break;
    case T_CreateSeqStmt: {
      const auto* create = cast<CreateSeqStmt>(node);
      query_.create_relation(create->sequence, 'S', create->if_not_exists, {});
      break;
    }
    case T_CompositeTypeStmt: {
      const auto* create = cast<CompositeTypeStmt>(node);
      const RangeVar* name = create->typevar;
      object("create", ObjectKind::type, join_names(pg::view(name->schemaname), pg::view(name->relname)));
      moves_names();
      break;
    }
    case T_CreateStatsStmt:
      object("create", ObjectKind::other, "statistics " + dotted_name(cast<CreateStatsStmt>(node)->defnames));
      for (const Node* item : pg::Nodes(cast<CreateStatsStmt>(node)->relations)) {
        const auto* range = pg::as<RangeVar>(item);
        if (range == nullptr) continue;
        relation("create", range);
        Scope scope = query_.scope_of(range, "create");
        definitions(cast<CreateStatsStmt>(node)->exprs, &scope);
      }
      break;
    case T_CreateSchemaStmt:
      create_schema(cast<CreateSchemaStmt>(node));
      break;
    default:
      return false;
  }
  out_.statement_class = "create";
  out_.moves_meaning = true;
  return true;
}

bool Command::define_code(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateFunctionStmt:
      create_function(cast<CreateFunctionStmt>(node));
      break;
    case T_CreateTrigStmt:
      create_trigger(cast<CreateTrigStmt>(node));
      break;
    case T_RuleStmt:
      create_rule(cast<RuleStmt>(node));
      break;
    case T_CreateEventTrigStmt: {
      const auto* create = cast<CreateEventTrigStmt>(node);
      object("create", ObjectKind::other, "event trigger " + std::string(pg::view(create->trigname)));
      object("create", ObjectKind::function, dotted_name(create->funcname), Access::execute);
      break;
    }
    case T_CreatePolicyStmt: {
      const auto* create = cast<CreatePolicyStmt>(node);
      relation("create", create->table);
      object("create", ObjectKind::other, "policy " + std::string(pg::view(create->policy_name)));
      Scope scope = query_.scope_of(create->table, "create");
      query_.expression(create->qual, &scope, "create");
      query_.expression(create->with_check, &scope, "create");
      state_.names.doubt(pg::view(create->table->relname));
      break;
    }
    default:
      return define_type(node);
  }
  out_.statement_class = "create";
  moves_names();
  return true;
}

// Types, operators and what else holds code by name.
bool Command::define_type(const Node* node) {
  switch (nodeTag(node)) {
    case T_DefineStmt: {
      const auto* define = cast<DefineStmt>(node);
      ObjectRef ref = describe_object(define->kind, reinterpret_cast<const Node*>(define->defnames));
      object("create", ref.kind, std::move(ref.object));
      break;
    }
    case T_CreateDomainStmt:
      object("create", ObjectKind::type, dotted_name(cast<CreateDomainStmt>(node)->domainname));
      definitions(cast<CreateDomainStmt>(node)->constraints, nullptr);
      break;
    case T_CreateEnumStmt:
      object("create", ObjectKind::type, dotted_name(cast<CreateEnumStmt>(node)->typeName));
      break;
    case T_CreateRangeStmt:
      object("create", ObjectKind::type, dotted_name(cast<CreateRangeStmt>(node)->typeName));
      break;
    case T_CreateCastStmt: {
      const auto* create = cast<CreateCastStmt>(node);
      object("create", ObjectKind::other,
             "cast " + dotted_name(create->sourcetype->names) + " to " + dotted_name(create->targettype->names));
      break;
    }
    case T_CreateTransformStmt:
      object("create", ObjectKind::other,
             "transform for " + dotted_name(cast<CreateTransformStmt>(node)->type_name->names));
      break;
    case T_CreateConversionStmt:
      object("create", ObjectKind::other,
             "conversion " + dotted_name(cast<CreateConversionStmt>(node)->conversion_name));
      break;
    case T_CreateOpClassStmt:
      object("create", ObjectKind::other, "operator class " + dotted_name(cast<CreateOpClassStmt>(node)->opclassname));
      break;
    case T_CreateOpFamilyStmt:
      object("create", ObjectKind::other,
             "operator family " + dotted_name(cast<CreateOpFamilyStmt>(node)->opfamilyname));
      break;
    case T_CreatePLangStmt:
      object("create", ObjectKind::other, "language " + std::string(pg::view(cast<CreatePLangStmt>(node)->plname)));
      break;
    case T_CreateAmStmt:
      object("create", ObjectKind::other, "access method " + std::string(pg::view(cast<CreateAmStmt>(node)->amname)));
      break;
    default:
      return false;
  }
  out_.statement_class = "create";
  moves_names();
  return true;
}

void Command::create_table(const CreateStmt* create) {
  std::vector<std::string> columns;
  bool listed = create->inhRelations == nullptr && create->ofTypename == nullptr;
  uint8_t hidden = query_.untold_type(create->ofTypename) ? 0xff : 0;
  for (const Node* node : pg::Nodes(create->tableElts)) {
    if (const auto* column = pg::as<ColumnDef>(node)) {
      columns.emplace_back(pg::view(column->colname));
      if (query_.untold_type(column->typeName)) hidden = 0xff;
    }
    if (const auto* like = pg::as<TableLikeClause>(node)) {
      relation("create", like->relation, Access::read);
      hidden |= query_.copied_code(like->relation, false);
      listed = false;
    }
  }
  if (!listed) columns.clear();
  char kind = nodeTag(create) == T_CreateForeignTableStmt ? 'f' : create->partspec != nullptr ? 'p' : 'r';
  for (const Node* node : pg::Nodes(create->inhRelations))
    if (const auto* parent = pg::as<RangeVar>(node)) {
      relation(create->partbound != nullptr ? "alter" : "create", parent);
      hidden |= query_.copied_code(parent, create->partbound != nullptr);
      state_.names.doubt(pg::view(parent->relname));
    }
  query_.create_relation(create->relation, kind, create->if_not_exists, std::move(columns), hidden);
  definitions(create->tableElts, nullptr);
  definitions(create->constraints, nullptr);
  if (create->partspec != nullptr) definitions(create->partspec->partParams, nullptr);
}

void Command::create_view(const ViewStmt* view) {
  query(view->query);
  out_.computed_output = false;
  out_.outputs.clear();
  query_.create_relation(view->view, 'v', false, {});
}

void Command::create_schema(const CreateSchemaStmt* create) {
  std::string name(pg::view(create->schemaname));
  if (name.empty()) name = role_name(create->authrole);
  object("create", ObjectKind::schema, name);
  moves_names();
  state_.names.enter_schema(name);
  for (const Node* element : pg::Nodes(create->schemaElts)) command(element);
  state_.names.leave_schema();
}

void Command::create_index(const IndexStmt* index) {
  relation("create", index->relation);
  if (index->relation == nullptr) return;
  Scope scope = query_.scope_of(index->relation, "create");
  definitions(index->indexParams, &scope);
  definitions(index->indexIncludingParams, &scope);
  query_.expression(index->whereClause, &scope, "create");
}

void Command::create_function(const CreateFunctionStmt* create) {
  pg::Nodes parts(create->funcname);
  std::string name = dotted_name(create->funcname);
  if (parts.size() == 1) {
    std::string_view schema = state_.names.creation_schema();
    name = join_names(schema, name);
    if (schema.empty())
      effects_.unknown(ObjectKind::function, name, Access::write,
                       "the schema in which " + name + " is made is not known");
  }
  object("create", ObjectKind::function, name);
  for (const Node* node : pg::Nodes(create->parameters))
    if (const auto* parameter = pg::as<FunctionParameter>(node))
      query_.expression(parameter->defexpr, nullptr, "create");
}

void Command::create_trigger(const CreateTrigStmt* create) {
  relation("create", create->relation);
  object("create", ObjectKind::other, "trigger " + std::string(pg::view(create->trigname)));
  object("create", ObjectKind::function, dotted_name(create->funcname), Access::execute);
  if (create->whenClause != nullptr) {
    Scope scope;
    query_.add_item(scope, create->relation, "create", "old", true);
    query_.add_item(scope, create->relation, "create", "new", true);
    query_.expression(create->whenClause, &scope, "create");
  }
  if (create->relation != nullptr) state_.names.doubt(pg::view(create->relation->relname));
}

void Command::create_rule(const RuleStmt* rule) {
  relation("create", rule->relation);
  object("create", ObjectKind::other, "rule " + std::string(pg::view(rule->rulename)));
  Scope scope;
  query_.add_item(scope, rule->relation, "create", "old", true);
  query_.add_item(scope, rule->relation, "create", "new", true);
  for (Item& item : scope.items) item.qualified_only = true;
  query_.expression(rule->whereClause, &scope, "create");
  for (const Node* action : pg::Nodes(rule->actions)) query_.store(query_.statement(action, &scope, nullptr).all());
  state_.names.doubt(pg::view(rule->relation->relname));
}

void Command::definitions(const List* list, const Scope* scope) {
  for (const Node* node : pg::Nodes(list)) definition(node, scope);
}

void Command::definition(const Node* node, const Scope* scope) {
  if (node == nullptr) return;
  Deeper deeper(state_, 1);
  if (!deeper) return;
  switch (nodeTag(node)) {
    case T_ColumnDef: {
      const auto* column = cast<ColumnDef>(node);
      query_.expression(column->raw_default, scope, "create");
      secret_options(column->fdwoptions, false);
      return definitions(column->constraints, scope);
    }
    case T_Constraint:
      return constraint(cast<Constraint>(node), scope);
    case T_IndexElem: {
      const auto* element = cast<IndexElem>(node);
      return static_cast<void>(query_.expression(element->expr, scope, "create"));
    }
    case T_PartitionElem:
      return static_cast<void>(query_.expression(cast<PartitionElem>(node)->expr, scope, "create"));
    case T_StatsElem:
      return static_cast<void>(query_.expression(cast<StatsElem>(node)->expr, scope, "create"));
    case T_TableLikeClause:
      return;
    case T_List:
      return definitions(cast<List>(node), scope);
    default:
      effects_.unknown(ObjectKind::unknown, "", Access::execute,
                       "a definition of a kind that is not known (node " + std::to_string(nodeTag(node)) + ")");
  }
}

// A check reads its own table's columns only: calls count, reads do not. A key reads what it refers to.
void Command::constraint(const Constraint* constraint, const Scope* scope) {
  query_.expression(constraint->raw_expr, scope, "create");
  query_.expression(constraint->where_clause, scope, "create");
  for (const Node* pair : pg::Nodes(constraint->exclusions)) {
    pg::Nodes parts(pair);
    if (!parts.empty()) definition(parts[0], scope);
  }
  if (constraint->pktable == nullptr) return;
  int effect = query_.relation_effect(constraint->pktable, "create", Access::read);
  for (const Node* name : pg::Nodes(constraint->pk_attrs)) effects_.column(effect, pg::text_of(name));
}

// Option values that are passwords: all of them, or those whose name says so.
void Command::secret_options(const List* options, bool all) {
  if (state_.inside > 0) return;
  for (const Node* node : pg::Nodes(options)) {
    const auto* option = pg::as<DefElem>(node);
    if (option == nullptr || option->location < 0) continue;
    std::string_view name = pg::view(option->defname);
    if (!all && name.find("pass") == std::string_view::npos && name.find("secret") == std::string_view::npos) continue;
    for (size_t i = 0; i < state_.tokens.size(); ++i) {
      if (state_.tokens[i].offset < static_cast<uint32_t>(option->location)) continue;
      state_.literals[i].password = state_.tokens[i].string;
      break;
    }
  }
}

}  // namespace sallyport::sql
