// SPDX-License-Identifier: Apache-2.0
#include "sql/names.h"

#include "sql/builtin_names.h"

namespace sallyport::sql {

FactPtr Names::assumed(const RelationName& name) {
  if (catalogue_.assume_plain && name.schema.empty())
    return assumed({is_system_relation(name.name) ? "pg_catalog" : "public", name.name});
  FactPtr& fact = assumed_[name];
  if (fact != nullptr) return fact;
  auto made = std::make_shared<RelationFact>();
  made->found = catalogue_.assume_plain;
  made->schema = name.schema;
  made->name = name.name;
  made->temporary = made->schema == "pg_temp";
  return fact = std::move(made);
}

void Names::settle() {
  if (moved_.empty()) moved_ = pending_move_;
  for (std::string& name : pending_doubts_) {
    made_bare_.erase(name);
    doubtful_.insert(std::move(name));
  }
  pending_doubts_.clear();
}

void Names::enter_schema(std::string_view schema) {
  inside_schema_ = schema;
  settle();
}

void Names::roll_back() {
  for (const auto& [name, schema] : made_bare_) doubtful_.insert(name);
  made_.clear();
  made_bare_.clear();
  move("a rollback earlier in the text may have changed it");
}

Resolved Names::relation(std::string_view schema, std::string_view name) {
  if (!doubtful_.empty() && doubtful_.contains(name))
    return {assumed({std::string(schema), std::string(name)}), "it was changed earlier in the text"};
  RelationName key{std::string(schema), std::string(name)};
  if (schema.empty()) {
    auto made = made_bare_.find(key.name);
    if (made != made_bare_.end() && made->second == "pg_temp") return {made_.at({"pg_temp", key.name}), moved_};
    if (!moved_.empty()) return {assumed(key), moved_};
    if (made != made_bare_.end()) {
      if (made->second == creation_schema()) return {made_.at({made->second, key.name}), {}};
      return {assumed(key), "a relation of this name was created earlier in the text"};
    }
  } else if (auto made = made_.find(key); made != made_.end()) {
    return {made->second, {}};
  }
  if (catalogue_.assume_plain) return {assumed(key), {}};
  auto found = catalogue_.relations.find(key);
  if (found != catalogue_.relations.end() && found->second != nullptr) {
    if (found->second->found) return {found->second, {}};
    // No such relation: what a DROP … IF EXISTS or a failing statement would have meant.
    if (schema.empty()) key.schema = creation_schema();
    return {assumed(key), {}};
  }
  FactPtr placeholder = assumed(key);
  missing_.relations.insert(std::move(key));
  return {placeholder, {}};
}

bool Names::may_be_shadowed(std::string_view name) {
  if (!moved_.empty()) return true;
  if (catalogue_.assume_plain) return false;
  RelationName key{{}, std::string(name)};
  auto found = catalogue_.functions.find(key);
  if (found != catalogue_.functions.end()) return found->second.shadowed;
  missing_.functions.insert(std::move(key));
  return false;
}

std::string_view Names::creation_schema() const {
  if (!inside_schema_.empty()) return inside_schema_;
  if (catalogue_.assume_plain) return "public";
  return moved_.empty() ? std::string_view(settings_.creation_schema) : std::string_view();
}

FactPtr Names::create(std::string_view schema, std::string_view name, char kind, std::vector<std::string> columns) {
  auto fact = std::make_shared<RelationFact>();
  fact->found = true;
  fact->schema = schema;
  fact->name = name;
  fact->kind = kind;
  fact->temporary = schema == "pg_temp";
  fact->columns = std::move(columns);
  doubtful_.erase(fact->name);
  made_[{fact->schema, fact->name}] = fact;
  made_bare_[fact->name] = fact->schema;
  return fact;
}

}  // namespace sallyport::sql
