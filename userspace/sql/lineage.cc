// SPDX-License-Identifier: Apache-2.0
// Where values go: from the walk's own Lineage to Statement's outputs, stored and tested.
#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "sql/builtin_names.h"
#include "sql/query.h"

namespace sallyport::sql {

Outputs Query::relation_outputs(const RangeVar* relation, const List* columns, std::string_view statement_class) {
  Scope scope;
  add_item(scope, relation, statement_class, {}, true);
  Outputs all;
  star(scope.items.back(), all);
  if (columns == nullptr) return all;
  Outputs chosen;
  for (const Node* name : pg::Nodes(columns)) {
    OutputColumn& column = chosen.columns.emplace_back();
    column.name = pg::text_of(name);
    touch(scope.items.back(), column.name, column.lineage);
    column.plain = true;
  }
  return chosen;
}

Lineage Query::column_lineage(const Scope& scope, std::string_view name) const {
  Lineage lineage;
  const Item& item = scope.items.front();
  if (item.outputs == nullptr) {
    lineage.columns.push_back({item.use, name});
    return lineage;
  }
  for (const OutputColumn& column : item.outputs->columns)
    if (column.name == name) return column.lineage;
  return item.outputs->all();
}

std::vector<ColumnOrigin> Query::origins(const Lineage& lineage) const {
  std::vector<ColumnOrigin> out;
  out.reserve(lineage.columns.size());
  for (const Origin& origin : lineage.columns) {
    const Use& use = uses_[origin.use];
    if (!use.own) out.push_back({use.fact, std::string(origin.column)});
  }
  sort_origins(out);
  return out;
}

void sort_origins(std::vector<ColumnOrigin>& origins) {
  if (origins.size() < 2) return;
  auto key = [](const ColumnOrigin& origin) {
    return std::tie(origin.relation->schema, origin.relation->name, origin.column);
  };
  std::sort(origins.begin(), origins.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  auto same = [&](const auto& a, const auto& b) { return key(a) == key(b); };
  origins.erase(std::unique(origins.begin(), origins.end(), same), origins.end());
}

void Query::publish(const Outputs& outputs) {
  Statement& statement = effects_.statement();
  statement.outputs.clear();
  statement.outputs_known = outputs.known;
  if (!outputs.known) {
    Lineage all = outputs.all();
    statement.outputs.push_back({"", origins(all), !all.untraced, false});
    return;
  }
  statement.outputs.reserve(outputs.columns.size());
  for (const OutputColumn& column : outputs.columns) {
    std::vector<ColumnOrigin> from = origins(column.lineage);
    bool plain = column.plain && from.size() == 1;
    statement.outputs.push_back({std::string(column.name), std::move(from), !column.lineage.untraced, plain});
  }
}

void Query::store(const Lineage& lineage, int use, std::string_view column) {
  stored_.untraced |= lineage.untraced;
  for (const Origin& origin : lineage.columns) {
    bool stays = origin.column == column && uses_[origin.use].fact == uses_[use].fact;
    if (!stays) stored_.columns.push_back(origin);
  }
  if (stored_.columns.size() > stored_.compact_at) stored_.compact();
}

void Query::finish_lineage() {
  auto give = [&](const Lineage& lineage, std::vector<ColumnOrigin>& to) {
    if (lineage.columns.empty()) return;
    std::vector<ColumnOrigin> found = origins(lineage);
    if (to.empty()) {
      to = std::move(found);
      return;
    }
    to.insert(to.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    sort_origins(to);
  };
  give(tested_, effects_.statement().tested);
  give(stored_, effects_.statement().stored);
  tested_ = stored_ = {};
}

// What an aggregate or window function takes beside its arguments.
void Query::call_lineage(const FuncCall* call, const Scope* scope, Lineage& group) {
  Lineage order;
  exprs(call->agg_order, scope, order);
  if (!call->agg_within_group) test(order);  // WITHIN GROUP (ORDER BY x): x is the argument
  Lineage decides;
  expr(call->agg_filter, scope, decides);
  if (call->over != nullptr) window(call->over, scope, decides);
  test(decides);
  group.append(order);
  group.append(decides);
}

// In a recursion each column's lineage holds marks of the columns that come back into it. Puts what these are made
// of in their place, here and in what was tested and stored.
void Query::close_recursion(int mark, Outputs& outputs) {
  size_t count = outputs.columns.size();
  auto marks_of = [&](const Lineage& lineage) {
    std::vector<size_t> marks;
    for (const Origin& origin : lineage.columns) {
      if (origin.use != mark) continue;
      for (size_t i = 0; i < count; ++i)
        if (origin.column == "*" || origin.column == values_column_name(i)) marks.push_back(i);
      if (origin.column == "*") marks.push_back(count);
    }
    return marks;
  };
  auto without_marks = [&](Lineage lineage) {
    std::erase_if(lineage.columns, [&](const Origin& origin) { return origin.use == mark; });
    return lineage;
  };
  std::vector<Lineage> base(count + 1);
  std::vector<std::vector<size_t>> next(count + 1);
  for (size_t i = 0; i <= count; ++i) {
    const Lineage& lineage = i < count ? outputs.columns[i].lineage : outputs.rest;
    base[i] = without_marks(lineage);
    base[i].compact();
    next[i] = marks_of(lineage);
    spend(lineage.columns.size() * (count + 1));
  }
  auto closed = [&](std::vector<size_t> todo, Lineage all) {
    std::vector<bool> seen(count + 1);
    while (!todo.empty() && !state_.too_complex) {
      size_t at = todo.back();
      todo.pop_back();
      if (seen[at]) continue;
      seen[at] = true;
      all.append(base[at]);
      todo.insert(todo.end(), next[at].begin(), next[at].end());
      spend(base[at].columns.size() + next[at].size() + 1);
    }
    all.compact();
    return all;
  };
  for (size_t i = 0; i <= count; ++i) (i < count ? outputs.columns[i].lineage : outputs.rest) = closed({i}, {});
  for (Lineage* lineage : {&tested_, &stored_}) {
    std::vector<size_t> marks = marks_of(*lineage);
    if (!marks.empty()) *lineage = closed(std::move(marks), without_marks(*lineage));
  }
}

// SEARCH … SET o and CYCLE … SET c USING p add columns made of those they name.
void Query::search_and_cycle(const CommonTableExpr* cte, Outputs& outputs) {
  Lineage all;
  if (cte->search_clause != nullptr || cte->cycle_clause != nullptr) all = outputs.all();
  auto add = [&](const char* name, const Lineage& lineage) {
    OutputColumn& column = outputs.columns.emplace_back();
    column.name = pg::view(name);
    column.lineage = lineage;
  };
  if (cte->search_clause != nullptr) add(cte->search_clause->search_seq_column, all);
  if (cte->cycle_clause == nullptr) return;
  test(all);
  all.append(group(cte->cycle_clause->cycle_mark_value, nullptr));
  all.append(group(cte->cycle_clause->cycle_mark_default, nullptr));
  add(cte->cycle_clause->cycle_mark_column, all);
  add(cte->cycle_clause->cycle_path_column, all);
}

}  // namespace sallyport::sql
