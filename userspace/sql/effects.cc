// SPDX-License-Identifier: Apache-2.0
#include "sql/effects.h"

#include <algorithm>

#include "sallyport/base/limits.h"

namespace sallyport::sql {
namespace {

constexpr size_t kScanMax = 12;            // up to here a linear search is quicker than a table
constexpr size_t kColumnsMax = 1'600 * 4;  // PostgreSQL's MaxHeapAttributeNumber, with room for repeats

std::string key_of(std::string_view statement_class, model::ObjectKind kind, std::string_view object,
                   model::Access access, std::string_view through) {
  std::string key(statement_class);
  key.push_back(static_cast<char>(kind));
  key.push_back(static_cast<char>(access));
  return key.append(object).append(1, '\0').append(through);
}

void tidy(std::vector<std::string>& columns) {
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
}

}  // namespace

std::string join_names(std::string_view schema, std::string_view name) {
  std::string joined;
  joined.reserve(schema.size() + name.size() + 1);
  if (!schema.empty()) joined.append(schema).push_back('.');
  return joined.append(name);
}

std::string object_name(const RelationFact& fact) { return join_names(fact.schema, fact.name); }

int Effects::find(std::string_view statement_class, model::ObjectKind kind, std::string_view object,
                  model::Access access, std::string_view through) {
  std::vector<model::Effect>& effects = out_.effects;
  if (effects.size() <= kScanMax) {
    for (size_t i = 0; i < effects.size(); ++i) {
      const model::Effect& effect = effects[i];
      if (effect.kind == kind && effect.access == access && effect.object == object &&
          effect.statement_class == statement_class && effect.through == through)
        return static_cast<int>(i);
    }
    return -1;
  }
  if (index_.empty()) {
    for (size_t i = 0; i < effects.size(); ++i) {
      const model::Effect& effect = effects[i];
      index_.emplace(key_of(effect.statement_class, effect.kind, effect.object, effect.access, effect.through), i);
    }
  }
  auto found = index_.find(key_of(statement_class, kind, object, access, through));
  return found == index_.end() ? -1 : found->second;
}

int Effects::add(std::string_view statement_class, model::ObjectKind kind, std::string object, model::Access access,
                 std::string_view through) {
  if (planned_ && access == model::Access::write) access = model::Access::read;
  int index = find(statement_class, kind, object, access, through);
  if (index >= 0) return index;
  std::vector<model::Effect>& effects = out_.effects;
  if (effects.size() >= limits::kSqlEffectsMax) {
    overflowed_ = true;
    return 0;
  }
  index = static_cast<int>(effects.size());
  if (!index_.empty()) index_.emplace(key_of(statement_class, kind, object, access, through), index);
  model::Effect& effect = effects.emplace_back();
  effect.statement_class = statement_class;
  effect.kind = kind;
  effect.object = std::move(object);
  effect.access = access;
  effect.through = through;
  return index;
}

int Effects::relation(std::string_view statement_class, const FactPtr& fact, model::Access access, bool only) {
  used(fact);
  size_t before = out_.effects.size();
  int index = add(statement_class, model::ObjectKind::relation, object_name(*fact), access, base_);
  if (!only && !fact->descendants.empty() && out_.effects.size() > before) inherited_.emplace_back(index, fact);
  return index;
}

int Effects::unknown(model::ObjectKind kind, std::string object, model::Access access, std::string because) {
  int index = add(model::kUnknownClass, kind, std::move(object), access);
  if (!overflowed_ && out_.effects[index].because.empty()) out_.effects[index].because = std::move(because);
  return index;
}

void Effects::column(int index, std::string_view name) {
  std::vector<std::string>& columns = out_.effects[index].columns;
  if (!columns.empty() && columns.back() == name) return;
  columns.emplace_back(name);
  if (columns.size() <= kColumnsMax) return;
  tidy(columns);
  if (columns.size() > kColumnsMax / 2) overflowed_ = true;
}

void Effects::used(const FactPtr& fact) {
  std::vector<FactPtr>& relations = out_.relations;
  if (relations.size() <= kScanMax) {
    for (const FactPtr& known : relations)
      if (known == fact) return;
  } else {
    if (used_.empty())
      for (const FactPtr& known : relations) used_.emplace(known->name, 0);
    bool same_name = !used_.emplace(fact->name, 0).second;
    if (same_name && std::find(relations.begin(), relations.end(), fact) != relations.end()) return;
  }
  relations.push_back(fact);
}

void Effects::adopt(const Statement& inner, std::string_view through) {
  for (const model::Effect& effect : inner.effects) {
    bool told = effect.through.empty() && effect.statement_class != model::kUnknownClass;
    int index = add(effect.statement_class, effect.kind, effect.object, effect.access,
                    told ? through : std::string_view(effect.through));
    if (overflowed_) return;
    for (const std::string& name : effect.columns) column(index, name);
    out_.effects[index].all_columns |= effect.all_columns;
    because(index, effect.because);
  }
  for (const FactPtr& fact : inner.relations) used(fact);
  out_.moves_meaning |= inner.moves_meaning;
  out_.moves_lexing |= inner.moves_lexing;
  out_.computed_output |= inner.computed_output;
}

void Effects::finish() {
  for (auto& [index, fact] : inherited_) {
    const model::Effect parent = out_.effects[index];
    for (const std::string& name : fact->descendants) {
      size_t before = out_.effects.size();
      int child = add(parent.statement_class, parent.kind, name, parent.access, parent.object);
      if (overflowed_) return;
      model::Effect& effect = out_.effects[child];
      effect.columns.insert(effect.columns.end(), parent.columns.begin(), parent.columns.end());
      effect.all_columns |= parent.all_columns;
      if (out_.effects.size() == before) continue;
      effect.because = "partition or child of " + parent.object;
    }
  }
  for (model::Effect& effect : out_.effects)
    if (effect.columns.size() > 1) tidy(effect.columns);
}

}  // namespace sallyport::sql
