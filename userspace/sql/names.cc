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
  pending_move_ = {};
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
  if (schema.empty() && !path_.fixed) {
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
  if (schema.empty() && path_.fixed) return relation_in_path(name);
  Resolved resolved = plain_relation(key);
  if (schema.empty() && !path_.owner.empty() && plain_relation({path_.owner, key.name}).fact->found)
    return {resolved.fact, "it may be in the schema of the function's owner"};
  return resolved;
}

Resolved Names::plain_relation(const RelationName& key) {
  if (catalogue_.assume_plain) return {assumed(key), {}};
  auto found = catalogue_.relations.find(key);
  if (found == catalogue_.relations.end() || found->second == nullptr) {
    missing_.relations.insert(key);
    return {assumed(key), {}};
  }
  if (found->second->found) return {found->second, {}};
  // No such relation: what a DROP … IF EXISTS or a failing statement would have meant.
  if (key.schema.empty()) return {assumed({std::string(creation_schema()), key.name}), {}};
  return {assumed(key), {}};
}

// The first of the schemas that has it; all are asked for at once.
Resolved Names::relation_in_path(std::string_view name) {
  FactPtr first;
  for (const std::string& schema : path_.schemas) {
    RelationName key{schema, std::string(name)};
    auto made = made_.find(key);
    Resolved resolved = made != made_.end() ? Resolved{made->second, {}} : plain_relation(key);
    if (first == nullptr && resolved.fact->found) first = resolved.fact;
  }
  if (first != nullptr) return {first, {}};
  return {assumed({path_.schemas.empty() ? "" : path_.schemas.back(), std::string(name)}), {}};
}

template <class Map>
const typename Map::mapped_type* Names::fact(const Map& facts, std::set<RelationName>& asked, std::string_view schema,
                                             std::string_view name) {
  RelationName key{std::string(schema), std::string(name)};
  auto found = facts.find(key);
  if (found != facts.end()) return &found->second;
  asked.insert(std::move(key));
  return nullptr;
}

std::shared_ptr<const BehindFact> Names::behind(const FactPtr& fact, std::string_view& doubt) {
  if (made(fact)) doubt = "it is made by the text";
  if (catalogue_.assume_plain) doubt = "there is no server to ask";
  if (!doubt.empty()) return nullptr;
  auto* known = this->fact(catalogue_.behind, missing_.behind, fact->schema, fact->name);
  return known == nullptr ? nullptr : *known;
}

Reach Names::functions(std::string_view schema, std::string_view name) {
  Reach reach;
  auto reach_in = [&](std::string_view in) {
    const FunctionFact* known = fact(catalogue_.functions, missing_.functions, in, name);
    if (known != nullptr && known->shadowed) reach.facts.push_back(known);
  };
  if (!moved_.empty()) {
    reach.doubt = moved_;
  } else if (catalogue_.assume_plain) {
    reach.doubt = "there is no server to ask";
  } else if (schema.empty() && path_.fixed) {
    for (const std::string& each : path_.schemas)
      if (each != "pg_catalog" && each != "pg_temp") reach_in(each);
  } else {
    reach_in(schema);
    if (schema.empty() && !path_.owner.empty()) reach_in(path_.owner);
  }
  return reach;
}

bool Names::may_be_shadowed(std::string_view name) {
  if (moved_.empty() && catalogue_.assume_plain) return false;
  Reach reach = functions({}, name);
  return !reach.doubt.empty() || !reach.facts.empty();
}

const TypeFact* Names::type(std::string_view schema, std::string_view name, std::string_view& doubt) {
  if (!moved_.empty() || catalogue_.assume_plain) {
    doubt = moved_.empty() ? "there is no server to ask" : moved_;
    return nullptr;
  }
  if (!schema.empty() || !path_.fixed) return fact(catalogue_.types, missing_.types, schema, name);
  const TypeFact* first = nullptr;
  for (const std::string& each : path_.schemas) {
    const TypeFact* found = fact(catalogue_.types, missing_.types, each, name);
    if (first == nullptr || !first->found) first = found;
  }
  return first;
}

bool Names::operators(std::string_view schema, std::string_view name, std::vector<RelationName>& functions) {
  if (!moved_.empty()) return false;
  if (catalogue_.assume_plain) return true;
  auto add = [&](std::string_view in) {
    const OperatorFact* found = fact(catalogue_.operators, missing_.operators, in, name);
    if (found != nullptr) functions.insert(functions.end(), found->functions.begin(), found->functions.end());
  };
  if (schema.empty() && path_.fixed) {
    for (const std::string& each : path_.schemas)
      if (each != "pg_catalog" && each != "pg_temp") add(each);
  } else {
    add(schema);
    if (schema.empty() && !path_.owner.empty()) add(path_.owner);
  }
  return true;
}

std::string_view Names::creation_schema() const {
  if (!inside_schema_.empty()) return inside_schema_;
  if (catalogue_.assume_plain) return "public";
  return moved_.empty() ? std::string_view(settings_.creation_schema) : std::string_view();
}

FactPtr Names::create(std::string_view schema, std::string_view name, char kind, std::vector<std::string> columns,
                      uint8_t hidden) {
  auto fact = std::make_shared<RelationFact>();
  fact->found = true;
  fact->schema = schema;
  fact->name = name;
  fact->kind = kind;
  fact->temporary = schema == "pg_temp";
  fact->columns = std::move(columns);
  fact->hidden = hidden;
  doubtful_.erase(fact->name);
  made_[{fact->schema, fact->name}] = fact;
  made_bare_[fact->name] = fact->schema;
  return fact;
}

}  // namespace sallyport::sql
