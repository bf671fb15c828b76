// SPDX-License-Identifier: Apache-2.0
// The effects of one statement while they are found: each (class, kind, object, access) once, columns
// gathered. finish() gives them their final form.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sallyport/sql/analysis.h"

namespace sallyport::sql {

using FactPtr = std::shared_ptr<const RelationFact>;

/// "schema.name", or the bare name where no schema is known.
std::string object_name(const RelationFact& fact);
std::string join_names(std::string_view schema, std::string_view name);

class Effects {
 public:
  explicit Effects(Statement& out) : out_(out) {}

  /// The index of the effect with these; made if new. `through`: by way of what it comes.
  int add(std::string_view statement_class, model::ObjectKind kind, std::string object, model::Access access,
          std::string_view through = {});
  /// As add() for a relation; its descendants are named too unless `only` (FROM ONLY).
  int relation(std::string_view statement_class, const FactPtr& fact, model::Access access, bool only);
  int unknown(model::ObjectKind kind, std::string object, model::Access access, std::string because);
  /// A column of effect `index`; `name` is copied.
  void column(int index, std::string_view name);
  /// Says by way of what the effect comes; the first reason stays.
  void because(int index, std::string why) {
    if (out_.effects[index].because.empty()) out_.effects[index].because = std::move(why);
  }
  void all_columns(int index) { out_.effects[index].all_columns = true; }
  void used(const FactPtr& fact);
  /// What `inner` does is done by this statement too; `through`: by way of what, if that is enough to be allowed.
  void adopt(const Statement& inner, std::string_view through = {});
  /// From here on what is found is planned, not run: nothing is written.
  /// From here on relations are reached by way of this view.
  void set_base(std::string base) { base_ = std::move(base); }
  bool planned() const { return planned_; }
  bool exchange_planned(bool planned) { return std::exchange(planned_, planned); }
  /// More effects or columns than an honest statement has: the caller gives up on the text.
  bool overflowed() const { return overflowed_; }
  /// Sorts columns, names descendants. Indices are invalid afterwards.
  void finish();

  Statement& statement() { return out_; }

 private:
  int find(std::string_view statement_class, model::ObjectKind kind, std::string_view object, model::Access access,
           std::string_view through);

  Statement& out_;
  std::unordered_map<std::string, int> index_;  // only filled beyond a few effects
  std::unordered_map<std::string_view, size_t> used_;
  std::vector<std::pair<int, FactPtr>> inherited_;  // effects whose descendants finish() names
  bool overflowed_ = false;
  bool planned_ = false;
  std::string base_;
};

}  // namespace sallyport::sql
