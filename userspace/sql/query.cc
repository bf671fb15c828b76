// SPDX-License-Identifier: Apache-2.0
// SELECT, VALUES, set operations and WITH (analyze.c, parse_cte.c, parse_clause.c of PostgreSQL).
#include "sql/query.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

constexpr int kQueryDepthCost = 8;  // a query's level takes that much more stack than an expression's
constexpr int kSetOperationDepthCost = 2;

}  // namespace

// VALUES columns are column1, column2 …; the names live as long as the process.
std::string_view values_column_name(size_t index) {
  constexpr size_t kNamed = 64;
  static const std::array<std::string, kNamed> names = [] {
    std::array<std::string, kNamed> made;
    for (size_t i = 0; i < kNamed; ++i) made[i] = "column" + std::to_string(i + 1);
    return made;
  }();
  return index < kNamed ? std::string_view(names[index]) : std::string_view("?column?");
}

Outputs Query::statement(const Node* node, const Scope* outer, Ctes* ctes) {
  if (node == nullptr) return {};
  bool select_node = nodeTag(node) == T_SelectStmt;
  const auto* as_select = reinterpret_cast<const SelectStmt*>(node);
  bool set_operation = select_node && as_select->op != SETOP_NONE;
  Deeper deeper(state_, set_operation ? kSetOperationDepthCost : kQueryDepthCost);
  if (!deeper) return {};
  std::string_view outer_class = class_;
  Outputs outputs;
  switch (nodeTag(node)) {
    case T_SelectStmt:
      class_ = "select";
      outputs = select(as_select, outer, ctes);
      break;
    case T_InsertStmt:
      class_ = "insert";
      outputs = insert(reinterpret_cast<const InsertStmt*>(node), outer, ctes);
      break;
    case T_UpdateStmt:
      class_ = "update";
      outputs = update(reinterpret_cast<const UpdateStmt*>(node), outer, ctes);
      break;
    case T_DeleteStmt:
      class_ = "delete";
      outputs = remove(reinterpret_cast<const DeleteStmt*>(node), outer, ctes);
      break;
    case T_MergeStmt:
      class_ = "merge";
      outputs = merge(reinterpret_cast<const MergeStmt*>(node), outer, ctes);
      break;
    default:
      effects_.unknown(ObjectKind::unknown, "", Access::execute,
                       "a statement of a kind that is not known in this place");
      outputs.known = false;
  }
  class_ = outer_class;
  return outputs;
}

Outputs Query::select(const SelectStmt* select, const Scope* outer, Ctes* ctes) {
  Ctes own;
  own.parent = ctes;
  if (select->withClause != nullptr) {
    bool top = std::exchange(top_, false);
    with(select->withClause, outer, own);
    top_ = top;
    ctes = &own;
  }
  if (select->op == SETOP_NONE)
    return select->valuesLists != nullptr ? values(select, outer, ctes) : leaf(select, outer, ctes);

  bool top = top_;
  Outputs outputs = statement(reinterpret_cast<const Node*>(select->larg), outer, ctes);
  top_ = top;
  Outputs right = statement(reinterpret_cast<const Node*>(select->rarg), outer, ctes);
  top_ = top;
  if (select->op != SETOP_UNION || !select->all) {  // rows are compared with each other
    test(outputs.all());
    test(right.all());
  }
  merge(outputs, right);
  if (top_) effects_.statement().computed_output = true;
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  derived(scope, nullptr, std::make_shared<Outputs>(outputs));
  for (const Node* node : pg::Nodes(select->sortClause)) clause(node, scope, outputs, true);
  predicate(select->limitOffset, &scope);
  predicate(select->limitCount, &scope);
  return outputs;
}

// The rows of another query below those of `outputs`: by position, as far as positions are known.
void Query::merge(Outputs& outputs, const Outputs& below) {
  bool known = outputs.known && below.known;
  Lineage any;
  if (!known) any = below.all();
  for (size_t i = 0; i < outputs.columns.size(); ++i) {
    OutputColumn& column = outputs.columns[i];
    column.plain = false;
    column.lineage.append(known ? below.rest : any);
    if (known && i < below.columns.size()) column.lineage.append(below.columns[i].lineage);
  }
  outputs.rest.append(known ? below.rest : any);
  outputs.known = known;
}

Outputs Query::values(const SelectStmt* select, const Scope* outer, Ctes* ctes) {
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  Outputs outputs;
  if (std::exchange(top_, false)) effects_.statement().computed_output = true;
  for (const Node* row : pg::Nodes(select->valuesLists)) {
    size_t index = 0;
    for (const Node* value : pg::Nodes(row)) {
      if (index == outputs.columns.size()) outputs.columns.push_back({values_column_name(index), {}});
      outputs.columns[index++].lineage.append(group(value, &scope));
    }
  }
  for (const Node* node : pg::Nodes(select->sortClause)) clause(node, scope, outputs, true);
  predicate(select->limitOffset, &scope);
  predicate(select->limitCount, &scope);
  return outputs;
}

Outputs Query::leaf(const SelectStmt* select, const Scope* outer, Ctes* ctes) {
  bool top = std::exchange(top_, false);
  Scope scope;
  scope.parent = outer;
  scope.ctes = ctes;
  from(select->fromClause, scope, ctes);
  Outputs outputs = targets(select->targetList, scope, top);
  predicate(select->whereClause, &scope);
  // Plain DISTINCT is a list of nothing.
  if (select->distinctClause != nullptr && pg::Nodes(select->distinctClause)[0] == nullptr) test(outputs.all());
  clauses(select->distinctClause, scope, outputs, true);
  clauses(select->groupClause, scope, outputs, false);
  predicate(select->havingClause, &scope);
  for (const Node* node : pg::Nodes(select->windowClause)) test(group(node, &scope));
  clauses(select->sortClause, scope, outputs, true);
  predicate(select->limitOffset, &scope);
  predicate(select->limitCount, &scope);
  if (select->intoClause == nullptr) return outputs;
  into(select->intoClause);
  store(outputs.all());
  return outputs;
}

// SELECT … INTO makes a table, wherever the grammar lets it stand.
void Query::into(const IntoClause* clause) {
  if (clause->rel == nullptr) return;
  create_relation(clause->rel, 'r', false, {}, copied_types());
  event_triggers();
}

void Query::create_relation(const RangeVar* relation, char kind, bool if_not_exists, std::vector<std::string> columns,
                            uint8_t hidden) {
  std::string_view name = pg::view(relation->relname);
  bool temporary = relation->relpersistence == 't' || pg::view(relation->schemaname) == "pg_temp";
  std::string_view schema = state_.names.creation_schema();
  if (relation->schemaname != nullptr) schema = pg::view(relation->schemaname);
  if (temporary) schema = "pg_temp";
  std::string object = join_names(schema, name);
  effects_.add("create", ObjectKind::relation, object, Access::write);
  if (schema.empty())
    effects_.unknown(ObjectKind::relation, object, Access::write,
                     "the schema in which " + object + " is made is not known");
  effects_.statement().moves_meaning = true;
  if (state_.explaining) return;
  if (state_.inside > 0 && !state_.names.offline()) {
    // The branch may not be taken, or be rolled back: what the name means without it may be what it means.
    Resolved before = state_.names.relation(pg::view(relation->schemaname), name);
    if (state_.names.made(before.fact) && before.fact->schema == schema) return;
    if (before.fact->found || !before.doubt.empty()) return state_.names.doubt(name);
  }
  if (if_not_exists && !state_.names.offline()) {
    // It may be there already, as something else.
    Resolved before = state_.names.relation(schema, name);
    if (before.fact->found || !before.doubt.empty()) return;
  }
  state_.names.create(schema, name, kind, std::move(columns), hidden);
}

void Query::with(const WithClause* clause, const Scope* outer, Ctes& ctes) {
  pg::Nodes list(clause->ctes);
  ctes.entries.reserve(list.size());
  ctes.outer = outer;
  ctes.recursive = clause->recursive;
  for (const Node* node : list) {
    const auto* cte = pg::as<CommonTableExpr>(node);
    if (cte == nullptr) continue;
    Ctes::Entry entry;
    entry.name = pg::view(cte->ctename);
    entry.body = cte;
    // WITH RECURSIVE: every name is seen everywhere in the list; else only by what comes after it.
    entry.visible = clause->recursive;
    ctes.entries.push_back(std::move(entry));
  }
  for (size_t index = 0; index < ctes.entries.size(); ++index)
    if (ctes.entries[index].outputs == nullptr) make_cte(ctes, index);
}

void Query::make_cte(Ctes& ctes, size_t index) {
  const auto* cte = static_cast<const CommonTableExpr*>(ctes.entries[index].body);
  // What a reference sees that the server would not allow here.
  auto unknown = std::make_shared<Outputs>();
  unknown->known = false;
  unknown->rest.untraced = true;
  ctes.entries[index].outputs = std::move(unknown);
  bool top = std::exchange(top_, false);
  Outputs outputs =
      ctes.recursive ? recursive_cte(cte, ctes.outer, ctes, index) : statement(cte->ctequery, ctes.outer, &ctes);
  top_ = top;
  auto made = std::make_shared<Outputs>(*renamed(outputs, cte->aliascolnames));
  search_and_cycle(cte, *made);
  ctes.entries[index].outputs = std::move(made);
  ctes.entries[index].visible = true;
}

Outputs Query::recursive_cte(const CommonTableExpr* cte, const Scope* outer, Ctes& ctes, size_t index) {
  const auto* body = pg::as<SelectStmt>(cte->ctequery);
  bool plain = body != nullptr && body->op == SETOP_UNION && body->sortClause == nullptr &&
               body->limitCount == nullptr && body->limitOffset == nullptr;
  if (!plain) return statement(cte->ctequery, outer, &ctes);
  Deeper deeper(state_, kSetOperationDepthCost);
  if (!deeper) return {};
  if (body->withClause == nullptr) return recursive_union(body, cte, outer, &ctes, ctes.entries[index]);
  Ctes own;
  own.parent = &ctes;
  with(body->withClause, outer, own);
  return recursive_union(body, cte, outer, &own, ctes.entries[index]);
}

// The first arm of the UNION names the columns that the second arm sees. What the second arm makes of them is
// marked, since it comes back into them.
Outputs Query::recursive_union(const SelectStmt* body, const CommonTableExpr* cte, const Scope* outer, Ctes* inner,
                               Ctes::Entry& entry) {
  Outputs outputs = statement(reinterpret_cast<const Node*>(body->larg), outer, inner);
  static const FactPtr kNothing = std::make_shared<RelationFact>();
  int mark = static_cast<int>(uses_.size());
  uses_.push_back({kNothing, "select", true, true, true});
  auto seen = std::make_shared<Outputs>(*renamed(outputs, cte->aliascolnames));
  for (size_t i = 0; i < seen->columns.size(); ++i) {
    seen->columns[i].lineage.columns.push_back({mark, values_column_name(i)});
    seen->columns[i].plain = false;
  }
  seen->rest.columns.push_back({mark, "*"});
  entry.outputs = std::move(seen);
  Outputs right = statement(reinterpret_cast<const Node*>(body->rarg), outer, inner);
  merge(outputs, right);
  close_recursion(mark, outputs);
  if (!body->all) test(outputs.all());
  return outputs;
}

Outputs Query::targets(const List* list, const Scope& scope, bool top) {
  Outputs outputs;
  for (const Node* node : pg::Nodes(list)) {
    const auto* target = pg::as<ResTarget>(node);
    if (target == nullptr) continue;
    if (star_target(target, scope, outputs)) continue;
    OutputColumn& column = outputs.columns.emplace_back();
    plain_touch_ = false;
    column.lineage = group(target->val, &scope);
    column.lineage.compact();
    column.name = target->name != nullptr ? pg::view(target->name) : output_name(target->val, 0);
    // A view's column is an origin beside what it is made of.
    auto is_origin = [&](const Origin& origin) { return !uses_[origin.use].own; };
    bool single =
        pg::as<ColumnRef>(target->val) != nullptr && std::ranges::count_if(column.lineage.columns, is_origin) == 1;
    column.plain = single && plain_touch_;
    if (top && !single) effects_.statement().computed_output = true;
  }
  return outputs;
}

// `*`, `t.*` and `(t).*`.
bool Query::star_target(const ResTarget* target, const Scope& scope, Outputs& outputs) {
  if (const auto* row = pg::as<A_Indirection>(target->val)) {
    pg::Nodes parts(row->indirection);
    if (parts.empty() || pg::as<A_Star>(parts[parts.size() - 1]) == nullptr) return false;
    outputs.rest.append(group(target->val, &scope));
    outputs.known = false;
    return true;
  }
  const auto* ref = pg::as<ColumnRef>(target->val);
  if (ref == nullptr) return false;
  pg::Nodes fields(ref->fields);
  if (fields.empty() || pg::as<A_Star>(fields[fields.size() - 1]) == nullptr) return false;
  if (fields.size() == 1) {
    for (const Item& item : scope.items)
      if (!item.hidden && !item.qualified_only) star(item, outputs);
    outputs.known &= !scope.merged;
    return true;
  }
  std::string_view schema = fields.size() >= 3 ? pg::text_of(fields[fields.size() - 3]) : std::string_view();
  const Item* item = find_item(schema, pg::text_of(fields[fields.size() - 2]), &scope);
  if (item != nullptr) {
    star(*item, outputs);
  } else {
    everything(&scope, outputs.rest);
    outputs.known = false;
  }
  return true;
}

void Query::clauses(const List* list, const Scope& scope, const Outputs& outputs, bool output_first) {
  for (const Node* node : pg::Nodes(list)) clause(node, scope, outputs, output_first);
}

// A bare name in ORDER BY and DISTINCT ON is a result column first, in GROUP BY an input column first.
void Query::clause(const Node* node, const Scope& scope, const Outputs& outputs, bool output_first) {
  if (node == nullptr) return;
  Deeper deeper(state_, 1);
  if (!deeper) return;
  if (const auto* set = pg::as<GroupingSet>(node)) return clauses(set->content, scope, outputs, output_first);
  if (const auto* row = pg::as<RowExpr>(node); row != nullptr && row->row_format == COERCE_IMPLICIT_CAST)
    return clauses(row->args, scope, outputs, output_first);
  if (const auto* sort = pg::as<SortBy>(node)) {
    Lineage ignored;
    if (sort->useOp != nullptr) operator_name(sort->useOp, ignored);
    node = sort->node;
  }
  if (const auto* ref = pg::as<ColumnRef>(node)) {
    pg::Nodes fields(ref->fields);
    if (fields.size() == 1) {
      std::string_view name = pg::text_of(fields[0]);
      spend(outputs.columns.size());
      bool is_output = false;
      for (const OutputColumn& column : outputs.columns) is_output |= column.name == name;
      bool input = false;
      for (const Item& item : scope.items) input |= !item.hidden && !item.qualified_only && has(item, name) != Has::no;
      for (const OutputColumn& column : outputs.columns)
        if (column.name == name) test(column.lineage);
      if (is_output && (output_first || !input)) return;
    }
  }
  test(group(node, &scope));
  const auto* constant = pg::as<A_Const>(node);
  if (constant == nullptr || constant->isnull || constant->val.node.type != T_Integer) return;
  auto position = static_cast<size_t>(constant->val.ival.ival);
  if (!outputs.known) test(outputs.all());
  if (outputs.known && position >= 1 && position <= outputs.columns.size()) test(outputs.columns[position - 1].lineage);
}

// FigureColname of PostgreSQL, as far as another query can refer to it.
std::string_view Query::output_name(const Node* node, int depth) {
  constexpr int kDepthMax = 16;
  if (node == nullptr || depth > kDepthMax) return "?column?";
  switch (nodeTag(node)) {
    case T_ColumnRef: {
      pg::Nodes fields(reinterpret_cast<const ColumnRef*>(node)->fields);
      return fields.empty() ? "?column?" : pg::text_of(fields[fields.size() - 1]);
    }
    case T_FuncCall: {
      pg::Nodes parts(reinterpret_cast<const FuncCall*>(node)->funcname);
      return parts.empty() ? "?column?" : pg::text_of(parts[parts.size() - 1]);
    }
    case T_A_Indirection: {
      const auto* row = reinterpret_cast<const A_Indirection*>(node);
      std::string_view name;
      for (const Node* part : pg::Nodes(row->indirection))
        if (pg::as<String>(part) != nullptr) name = pg::text_of(part);
      return name.empty() ? output_name(row->arg, depth + 1) : name;
    }
    case T_A_Expr:
      return reinterpret_cast<const A_Expr*>(node)->kind == AEXPR_NULLIF ? "nullif" : "?column?";
    case T_TypeCast: {
      const auto* cast = reinterpret_cast<const TypeCast*>(node);
      std::string_view name = output_name(cast->arg, depth + 1);
      pg::Nodes type(cast->typeName == nullptr ? nullptr : cast->typeName->names);
      return name != "?column?" || type.empty() ? name : pg::text_of(type[type.size() - 1]);
    }
    case T_CollateClause:
      return output_name(reinterpret_cast<const CollateClause*>(node)->arg, depth + 1);
    case T_CaseExpr: {
      std::string_view name =
          output_name(reinterpret_cast<const Node*>(reinterpret_cast<const CaseExpr*>(node)->defresult), depth + 1);
      return name == "?column?" ? "case" : name;
    }
    case T_CoalesceExpr:
      return "coalesce";
    case T_MinMaxExpr:
      return reinterpret_cast<const MinMaxExpr*>(node)->op == IS_GREATEST ? "greatest" : "least";
    case T_A_ArrayExpr:
      return "array";
    case T_RowExpr:
      return "row";
    case T_GroupingFunc:
      return "grouping";
    case T_SubLink: {
      const auto* link = reinterpret_cast<const SubLink*>(node);
      if (link->subLinkType == EXISTS_SUBLINK) return "exists";
      if (link->subLinkType == ARRAY_SUBLINK) return "array";
      const auto* select = pg::as<SelectStmt>(link->subselect);
      if (link->subLinkType != EXPR_SUBLINK || select == nullptr || pg::Nodes(select->targetList).empty())
        return "?column?";
      const auto* target = pg::as<ResTarget>(pg::Nodes(select->targetList)[0]);
      if (target == nullptr) return "?column?";
      return target->name != nullptr ? pg::view(target->name) : output_name(target->val, depth + 1);
    }
    default:
      return "?column?";
  }
}

}  // namespace sallyport::sql
