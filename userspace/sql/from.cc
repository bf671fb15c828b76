// SPDX-License-Identifier: Apache-2.0
// FROM items become Items of a Scope (parse_clause.c of PostgreSQL).
#include <memory>
#include <string_view>
#include <utility>

#include "sql/query.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

void Query::from(const List* list, Scope& scope, Ctes* ctes) {
  for (const Node* node : pg::Nodes(list)) from_item(node, scope, ctes);
}

void Query::from_item(const Node* node, Scope& scope, Ctes* ctes) {
  if (node == nullptr) return;
  Deeper deeper(state_, 1);
  if (!deeper) return;
  switch (nodeTag(node)) {
    case T_RangeVar:
      return from_relation(reinterpret_cast<const RangeVar*>(node), scope, ctes);
    case T_RangeSubselect:
      return from_subselect(reinterpret_cast<const RangeSubselect*>(node), scope, ctes);
    case T_RangeFunction:
      return from_function(reinterpret_cast<const RangeFunction*>(node), scope);
    case T_RangeTableFunc:
      return from_table_function(reinterpret_cast<const RangeTableFunc*>(node), scope);
    case T_RangeTableSample:
      return from_sample(reinterpret_cast<const RangeTableSample*>(node), scope, ctes);
    case T_JoinExpr:
      return from_join(reinterpret_cast<const JoinExpr*>(node), scope, ctes);
    default:
      effects_.unknown(ObjectKind::unknown, "", Access::read, "a FROM item of a kind that is not known");
  }
}

void Query::from_relation(const RangeVar* relation, Scope& scope, Ctes* ctes) {
  if (relation->schemaname == nullptr && ctes != nullptr) {
    if (Ctes::Found found = ctes->find(pg::view(relation->relname)); found.level != nullptr) {
      if (found.level->entries[found.index].outputs == nullptr) make_cte(*found.level, found.index);
      const Ctes::Entry* entry = &found.level->entries[found.index];
      if (relation->alias != nullptr) return derived(scope, relation->alias, entry->outputs);
      Item item;
      item.name = entry->name;
      item.outputs = entry->outputs;
      scope.items.push_back(std::move(item));
      return;
    }
  }
  size_t index = scope.items.size();
  add_item(scope, relation, class_, {}, false);
  int use = scope.items[index].use;
  read_effect(use);
  FactPtr fact = uses_[use].fact;  // a copy: what is behind it may be used too
  hidden(fact, RelationFact::on_select, Access::read);
}

void Query::add_item(Scope& scope, const RangeVar* relation, std::string_view statement_class, std::string_view alias,
                     bool silent) {
  Resolved resolved = state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname));
  Item item;
  item.use = use(resolved, statement_class, !relation->inh, silent);
  item.name = pg::view(relation->relname);
  item.schema = uses_[item.use].fact->schema;
  const List* names = nullptr;
  if (relation->alias != nullptr) {
    item.name = pg::view(relation->alias->aliasname);
    item.schema = {};
    names = relation->alias->colnames;
  }
  if (!alias.empty()) {
    item.name = alias;
    item.schema = {};
  }
  item.outputs = view_outputs(item.use);
  if (names != nullptr) {
    Outputs outputs;
    bool was_silent = std::exchange(uses_[item.use].silent, true);  // naming columns reads none
    star(item, outputs);
    uses_[item.use].silent = was_silent;
    item.outputs = renamed(outputs, names);
  }
  scope.items.push_back(std::move(item));
}

std::shared_ptr<const Outputs> Query::renamed(const Outputs& outputs, const List* names) {
  auto result = std::make_shared<Outputs>(outputs);
  if (!outputs.known && !pg::Nodes(names).empty()) {
    // Names go by position, which nobody knows: each may be any.
    result->rest = outputs.all();
    result->columns.clear();
  }
  size_t index = 0;
  for (const Node* name : pg::Nodes(names)) {
    if (index < result->columns.size()) {
      result->columns[index].name = pg::text_of(name);
    } else {
      // More names than columns that are known: each may be any of the rest.
      result->columns.push_back({pg::text_of(name), result->rest});
    }
    ++index;
  }
  return result;
}

void Query::derived(Scope& scope, const Alias* alias, std::shared_ptr<const Outputs> outputs) {
  Item item;
  item.outputs = std::move(outputs);
  if (alias != nullptr) {
    item.name = pg::view(alias->aliasname);
    if (alias->colnames != nullptr) item.outputs = renamed(*item.outputs, alias->colnames);
  }
  scope.items.push_back(std::move(item));
}

void Query::from_subselect(const RangeSubselect* range, Scope& scope, Ctes* ctes) {
  Outputs outputs = statement(range->subquery, range->lateral ? &scope : scope.parent, ctes);
  derived(scope, range->alias, std::make_shared<Outputs>(std::move(outputs)));
}

// Functions in FROM see the items to their left (implicitly LATERAL).
void Query::from_function(const RangeFunction* range, Scope& scope) {
  auto outputs = std::make_shared<Outputs>();
  outputs->known = false;
  auto define = [&](const List* definitions) {
    for (const Node* node : pg::Nodes(definitions)) {
      const auto* column = pg::as<ColumnDef>(node);
      if (column == nullptr) continue;
      type(column->typeName);
      outputs->columns.push_back({pg::view(column->colname), outputs->rest});
    }
  };
  for (const Node* pair : pg::Nodes(range->functions)) {
    pg::Nodes parts(pair);
    if (parts.empty()) continue;
    outputs->rest.append(group(parts[0], &scope));
    if (parts.size() > 1) define(pg::as<List>(parts[1]));
  }
  define(range->coldeflist);
  std::string_view name = range->alias != nullptr ? pg::view(range->alias->aliasname) : std::string_view();
  pg::Nodes first(pg::Nodes(range->functions).empty() ? nullptr : pg::Nodes(range->functions)[0]);
  if (name.empty() && !first.empty()) name = output_name(first[0], 0);
  // A scalar function's column bears the item's name: FROM generate_series(1, 3) AS n.
  if (outputs->columns.empty() && !name.empty()) outputs->columns.push_back({name, outputs->rest});
  Item item;
  item.name = name;
  item.outputs = outputs;
  if (range->alias != nullptr && range->alias->colnames != nullptr)
    item.outputs = renamed(*outputs, range->alias->colnames);
  scope.items.push_back(std::move(item));
}

void Query::from_table_function(const RangeTableFunc* range, Scope& scope) {
  auto outputs = std::make_shared<Outputs>();
  Lineage& rest = outputs->rest;
  rest.append(group(range->docexpr, &scope));
  rest.append(group(range->rowexpr, &scope));
  test(rest);  // how many rows
  for (const Node* node : pg::Nodes(range->namespaces)) group(node, &scope);
  for (const Node* node : pg::Nodes(range->columns)) {
    const auto* column = pg::as<RangeTableFuncCol>(node);
    if (column == nullptr) continue;
    type(column->typeName);
    OutputColumn& output = outputs->columns.emplace_back();
    output.name = pg::view(column->colname);
    output.lineage.append(rest);
    output.lineage.append(group(column->colexpr, &scope));
    output.lineage.append(group(column->coldefexpr, &scope));
  }
  derived(scope, range->alias, std::move(outputs));
}

void Query::from_sample(const RangeTableSample* sample, Scope& scope, Ctes* ctes) {
  from_item(sample->relation, scope, ctes);
  Lineage decides;
  exprs(sample->args, &scope, decides);
  expr(sample->repeatable, &scope, decides);
  test(decides);
  pg::Nodes method(sample->method);
  if (method.empty()) return;
  std::string_view name = pg::text_of(method[method.size() - 1]);
  std::string_view schema = method.size() > 1 ? pg::text_of(method[method.size() - 2]) : std::string_view();
  bool builtin = (schema.empty() || schema == "pg_catalog") && (name == "bernoulli" || name == "system");
  if (!builtin) function(schema, name, "sampling method");
}

void Query::from_join(const JoinExpr* join, Scope& scope, Ctes* ctes) {
  size_t begin = scope.items.size();
  from_item(join->larg, scope, ctes);
  size_t middle = scope.items.size();
  from_item(join->rarg, scope, ctes);
  join_columns(join, scope, begin, middle);
  if (join->quals != nullptr) {
    size_t visible_from = std::exchange(scope.visible_from, begin);
    predicate(join->quals, &scope);
    scope.visible_from = visible_from;
  }
  if (join->alias != nullptr) join_alias(join, scope, begin);
}

// NATURAL and USING read the columns they compare, on both sides.
void Query::join_columns(const JoinExpr* join, Scope& scope, size_t begin, size_t middle) {
  Lineage lineage;
  auto compare = [&](std::string_view name) {
    for (size_t i = begin; i < scope.items.size(); ++i)
      if (!scope.items[i].hidden && has(scope.items[i], name) != Has::no) touch(scope.items[i], name, lineage);
  };
  for (const Node* name : pg::Nodes(join->usingClause)) compare(pg::text_of(name));
  if (join->join_using_alias != nullptr) {
    auto outputs = std::make_shared<Outputs>();
    for (const Node* name : pg::Nodes(join->usingClause)) outputs->columns.push_back({pg::text_of(name), lineage});
    Item item;
    item.name = pg::view(join->join_using_alias->aliasname);
    item.outputs = std::move(outputs);
    item.qualified_only = true;
    scope.items.push_back(std::move(item));
  }
  scope.merged |= join->isNatural || join->usingClause != nullptr;
  if (scope.merged) named_operator({}, "=", lineage);
  if (!join->isNatural) return test(lineage);
  Outputs left;
  for (size_t i = begin; i < middle; ++i) {
    if (scope.items[i].hidden) continue;
    Item item = scope.items[i];
    if (item.outputs != nullptr) {
      left.append(*item.outputs);
    } else {
      const std::vector<std::string>& columns = uses_[item.use].fact->columns;
      for (const std::string& column : columns)
        if (!column.empty()) left.columns.push_back({column, {}});
      left.known &= !columns.empty();
    }
  }
  bool known = left.known;
  for (size_t i = middle; i < scope.items.size(); ++i) {
    const Item& item = scope.items[i];
    known &= item.outputs != nullptr ? item.outputs->known : !uses_[item.use].fact->columns.empty();
  }
  if (!known) {
    for (size_t i = begin; i < scope.items.size(); ++i) whole_row(scope.items[i], lineage);
    return test(lineage);
  }
  for (const OutputColumn& column : left.columns)
    for (size_t i = middle; i < scope.items.size(); ++i)
      if (has(scope.items[i], column.name) == Has::yes) {
        compare(column.name);
        break;
      }
  test(lineage);
}

// (a JOIN b) AS j hides a and b; j has the columns of both.
void Query::join_alias(const JoinExpr* join, Scope& scope, size_t begin) {
  auto outputs = std::make_shared<Outputs>();
  for (size_t i = begin; i < scope.items.size(); ++i) {
    Item& item = scope.items[i];
    if (item.hidden) continue;
    item.hidden = true;
    if (item.qualified_only) continue;
    if (item.use >= 0 && item.outputs == nullptr) {
      bool was_silent = std::exchange(uses_[item.use].silent, true);
      star(item, *outputs);
      uses_[item.use].silent = was_silent;
    } else {
      outputs->append(*item.outputs);
    }
  }
  outputs->known &= !scope.merged;
  derived(scope, join->alias, std::move(outputs));
}

}  // namespace sallyport::sql
