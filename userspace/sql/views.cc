// SPDX-License-Identifier: Apache-2.0
// What the columns of a view are made of, by its definition. Only lineage: what reading the view does is an effect on
// the view itself.
#include <algorithm>
#include <string>
#include <utility>

#include "sallyport/base/limits.h"
#include "sql/query.h"

namespace sallyport::sql {

// The definition is walked by a Query of its own, whose effects nobody sees; what it would say about names and calls
// is taken back.
bool Query::walk_view(const std::string& definition, ViewLineage& view) {
  state_.routine_bytes += definition.size();
  if (state_.routine_bytes > limits::kSqlRoutineBytesMax || !is_utf8(definition)) return false;
  if (definition.find('\0') != std::string::npos || !scan(definition, state_.standard_strings).refused.empty())
    return false;
  pg::ParseTree tree(definition.c_str(), state_.standard_strings);
  if (!tree.ok() || tree.statements().size() != 1) return false;
  const auto* raw = pg::as<RawStmt>(tree.statements()[0]);
  const Node* node = raw == nullptr ? nullptr : raw->stmt;
  // A schema's text has the whole statement.
  if (node != nullptr && nodeTag(node) == T_ViewStmt) node = reinterpret_cast<const ViewStmt*>(node)->query;
  if (const auto* create = pg::as<CreateTableAsStmt>(node)) node = create->query;
  if (pg::as<SelectStmt>(node) == nullptr) return false;
  Statement unseen;
  Effects effects(unseen);
  Query query(state_, effects);
  Outputs outputs = query.statement(node, nullptr, nullptr);
  bool told = std::none_of(unseen.effects.begin(), unseen.effects.end(), [](const model::Effect& effect) {
    return effect.statement_class == model::kUnknownClass && effect.kind != model::ObjectKind::relation;
  });
  for (const OutputColumn& column : outputs.columns) {
    ViewColumn& made = view.columns.emplace_back();
    for (ColumnOrigin& origin : query.origins(column.lineage))
      made.from.push_back({std::move(origin.relation), std::move(origin.column)});
    made.plain = column.plain && made.from.size() == 1;
    made.traced = !column.lineage.untraced && (told || made.plain);
  }
  return outputs.known && !effects.overflowed();
}

const ViewLineage& Query::look_into_view(const FactPtr& fact) {
  auto [entry, fresh] = state_.views.try_emplace(fact.get());
  ViewLineage& view = entry->second;
  if (!fresh || state_.names.changed() || state_.inside >= limits::kSqlRoutineDepthMax) return view;
  std::string_view doubt;
  std::shared_ptr<const BehindFact> behind = state_.names.behind(fact, doubt);
  if (behind == nullptr || behind->definition.empty()) return view;
  ++state_.inside;
  size_t doings = state_.doings;
  std::string way = std::exchange(state_.way, state_.way + "view ");
  SearchPath path = state_.names.exchange_path({});
  std::string_view move = state_.names.exchange_pending({});
  view.known = walk_view(behind->definition, view) && view.columns.size() == fact->columns.size();
  state_.names.exchange_pending(move);
  state_.names.exchange_path(std::move(path));
  state_.way = std::move(way);
  state_.doings = doings;
  --state_.inside;
  return view;
}

std::shared_ptr<const Outputs> Query::view_outputs(int use) {
  FactPtr fact = uses_[use].fact;
  bool system = fact->schema == "pg_catalog" || fact->schema == "information_schema";
  if ((fact->kind != 'v' && fact->kind != 'm') || system || fact->columns.empty()) return nullptr;
  const ViewLineage& view = look_into_view(fact);
  if (!view.known) return nullptr;
  uses_[use].own = true;  // what the view is made of stands for it
  auto outputs = std::make_shared<Outputs>();
  for (size_t i = 0; i < view.columns.size(); ++i) {
    OutputColumn& column = outputs->columns.emplace_back();
    column.name = fact->columns[i];
    add_reads(view.columns[i].from, column.lineage);
    column.lineage.untraced = !view.columns[i].traced;
    column.lineage.columns.push_back({use, column.name});
    column.plain = view.columns[i].plain;
  }
  return outputs;
}

}  // namespace sallyport::sql
