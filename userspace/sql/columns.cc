// SPDX-License-Identifier: Apache-2.0
// Which column of which relation a column reference reads (parse_relation.c, parse_expr.c of PostgreSQL).
// A reference that cannot be placed reads everything in reach.
#include <algorithm>
#include <string_view>

#include "sql/builtin_names.h"
#include "sql/query.h"

namespace sallyport::sql {
namespace {

constexpr size_t kWorkMax = 4'000'000;     // some 20 ms
constexpr size_t kOutputsMax = 1'664 * 2;  // PostgreSQL's MaxTupleAttributeNumber, with room

bool is_system_column(std::string_view name) {
  return name == "ctid" || name == "xmin" || name == "xmax" || name == "cmin" || name == "cmax" || name == "tableoid";
}

}  // namespace

int Query::use(const Resolved& resolved, std::string_view statement_class, bool only, bool silent) {
  Use use;
  use.fact = resolved.fact;
  use.statement_class = statement_class;
  use.only = only;
  use.silent = silent;
  use.doubtful = !resolved.doubt.empty();
  if (use.doubtful) {
    use.read_effect =
        effects_.unknown(model::ObjectKind::relation, object_name(*use.fact), model::Access::read,
                         "what " + object_name(*use.fact) + " names is not known: " + std::string(resolved.doubt));
    effects_.all_columns(use.read_effect);
    effects_.used(use.fact);
  }
  uses_.push_back(std::move(use));
  return static_cast<int>(uses_.size()) - 1;
}

int Query::read_effect(int index) {
  Use& use = uses_[index];
  if (use.silent) return -1;
  if (use.read_effect < 0)
    use.read_effect = effects_.relation(use.statement_class, use.fact, model::Access::read, use.only);
  return use.read_effect;
}

void Query::spend(size_t work) const {
  state_.work += work;
  if (state_.work > kWorkMax) state_.too_complex = true;
}

Query::Has Query::has(const Item& item, std::string_view column) const {
  if (item.outputs != nullptr) {
    spend(item.outputs->columns.size() + 1);
    for (const OutputColumn& output : item.outputs->columns)
      if (output.name == column) return Has::yes;
    return item.outputs->known ? Has::no : Has::maybe;
  }
  const std::vector<std::string>& columns = uses_[item.use].fact->columns;
  spend(columns.size() + 1);
  if (columns.empty()) return Has::maybe;
  if (std::find(columns.begin(), columns.end(), column) != columns.end()) return Has::yes;
  return is_system_column(column) ? Has::yes : Has::no;
}

void Query::touch_origins(const Lineage& from, Lineage& lineage) {
  spend(from.columns.size() + from.literals.size());
  if (state_.too_complex) return;
  for (const Origin& origin : from.columns) {
    int effect = read_effect(origin.use);
    if (effect >= 0 && origin.column == "*") effects_.all_columns(effect);
    if (effect >= 0 && origin.column != "*") effects_.column(effect, origin.column);
  }
  lineage.append(from);
}

void Query::touch(const Item& item, std::string_view column, Lineage& lineage) {
  if (item.outputs == nullptr) {
    int effect = read_effect(item.use);
    if (effect >= 0) effects_.column(effect, column);
    lineage.columns.push_back({item.use, column});
    plain_touch_ = true;
    return;
  }
  plain_touch_ = false;
  for (const OutputColumn& output : item.outputs->columns)
    if (output.name == column) {
      touch_origins(output.lineage, lineage);
      plain_touch_ = output.plain;
      return;
    }
  touch_origins(item.outputs->rest, lineage);
}

void Query::star(const Item& item, Outputs& outputs) {
  if (outputs.columns.size() > kOutputsMax) state_.too_complex = true;
  if (state_.too_complex) return;
  if (item.outputs != nullptr) {
    Lineage ignored;
    touch_origins(item.outputs->all(), ignored);
    return outputs.append(*item.outputs);
  }
  int effect = read_effect(item.use);
  const std::vector<std::string>& columns = uses_[item.use].fact->columns;
  spend(columns.size() + 1);
  if (columns.empty()) {
    if (effect >= 0) effects_.all_columns(effect);
    outputs.known = false;
    outputs.rest.columns.push_back({item.use, "*"});
    return;
  }
  for (const std::string& column : columns) {
    if (column.empty()) continue;
    if (effect >= 0) effects_.column(effect, column);
    outputs.columns.push_back({column, Lineage{{{item.use, column}}, {}}, true});
  }
}

void Query::whole_row(const Item& item, Lineage& lineage) {
  Outputs outputs;
  star(item, outputs);
  lineage.append(outputs.all());
  plain_touch_ = false;
}

void Query::everything(const Scope* scope, Lineage& lineage) {
  for (; scope != nullptr; scope = scope->parent)
    for (const Item& item : scope->items)
      if (!item.hidden) whole_row(item, lineage);
}

const Item* Query::find_item(std::string_view schema, std::string_view name, const Scope* scope) const {
  for (; scope != nullptr; scope = scope->parent)
    for (size_t i = scope->visible_from; i < scope->items.size(); ++i) {
      const Item& item = scope->items[i];
      if (!item.hidden && item.name == name && (schema.empty() || item.schema == schema)) return &item;
    }
  return nullptr;
}

bool Query::has_known_column(std::string_view name, const Scope* scope) const {
  for (; scope != nullptr; scope = scope->parent)
    for (size_t i = scope->visible_from; i < scope->items.size(); ++i) {
      const Item& item = scope->items[i];
      if (!item.hidden && !item.qualified_only && has(item, name) == Has::yes) return true;
    }
  return false;
}

void Query::column_ref(const ColumnRef* ref, const Scope* scope, Lineage& lineage) {
  pg::Nodes fields(ref->fields);
  size_t count = fields.size();
  if (count == 0 || count > 4) return everything(scope, lineage);
  bool star = pg::as<A_Star>(fields[count - 1]) != nullptr;
  if (star && count == 1) return everything(scope, lineage);
  std::string_view last = star ? std::string_view("*") : pg::text_of(fields[count - 1]);
  if (count == 1) return unqualified(last, scope, lineage);
  // database.schema.relation.column: the server refuses any database but its own.
  std::string_view schema = count >= 3 ? pg::text_of(fields[count - 3]) : std::string_view();
  qualified(schema, pg::text_of(fields[count - 2]), last, scope, lineage);
}

void Query::unqualified(std::string_view name, const Scope* scope, Lineage& lineage) {
  const Item* row = find_item({}, name, scope);
  bool guessed = false;
  for (const Scope* level = scope; level != nullptr; level = level->parent) {
    bool found = false;
    bool relation_guessed = false;
    for (size_t i = level->visible_from; i < level->items.size(); ++i) {
      const Item& item = level->items[i];
      if (item.hidden || item.qualified_only || has(item, name) != Has::yes) continue;
      touch(item, name, lineage);
      found = true;
    }
    if (found) return;
    for (size_t i = level->visible_from; i < level->items.size() && row == nullptr; ++i) {
      const Item& item = level->items[i];
      if (item.hidden || item.qualified_only || has(item, name) != Has::maybe) continue;
      touch(item, name, lineage);
      guessed = true;
      relation_guessed |= item.use >= 0;
    }
    if (relation_guessed) return;
  }
  if (row != nullptr) return whole_row(*row, lineage);
  if (!guessed) everything(scope, lineage);
}

void Query::qualified(std::string_view schema, std::string_view name, std::string_view column, const Scope* scope,
                      Lineage& lineage) {
  const Item* item = find_item(schema, name, scope);
  if (item == nullptr) return everything(scope, lineage);
  if (column == "*") return whole_row(*item, lineage);
  if (has(*item, column) != Has::no) return touch(*item, column, lineage);
  // t.name is also a call name(t) where t has no such column.
  Lineage row;
  whole_row(*item, row);
  lineage.append(row);
  field_or_function(column, row, lineage);
}

}  // namespace sallyport::sql
