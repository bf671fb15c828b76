// SPDX-License-Identifier: Apache-2.0
// What names mean within one text: the catalogue, changed by the statements gone through so far.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sallyport/sql/analysis.h"
#include "sql/effects.h"

namespace sallyport::sql {

/// What a name stands for. `doubt` (static text) is set if that cannot be told.
struct Resolved {
  FactPtr fact;  ///< never null
  std::string_view doubt;
};

/// What a call may reach; `doubt` (static text) is set if that cannot be told. With neither, the fact is being
/// asked for and nothing that is said now will stand.
struct Reach {
  std::vector<const FunctionFact*> facts;
  std::string_view doubt;
};

/// How names without a schema are resolved while the code of a function is looked into.
struct SearchPath {
  bool fixed = false;                ///< the function has a search_path of its own: `schemas`
  std::vector<std::string> schemas;  ///< in order, with what is searched without being listed
  std::string owner;                 ///< of a security-definer function: "$user" is this schema
};

class Names {
 public:
  Names(const Settings& settings, const Catalogue& catalogue) : settings_(settings), catalogue_(catalogue) {}

  Resolved relation(std::string_view schema, std::string_view name);
  /// What lies behind a relation. Null with `doubt` empty: being asked for.
  std::shared_ptr<const BehindFact> behind(const FactPtr& fact, std::string_view& doubt);
  /// The functions outside pg_catalog that a call may reach.
  Reach functions(std::string_view schema, std::string_view name);
  /// May a call of this unqualified name reach a function outside pg_catalog?
  bool may_be_shadowed(std::string_view name);
  /// Null with `doubt` empty: being asked for.
  const TypeFact* type(std::string_view schema, std::string_view name, std::string_view& doubt);
  /// Functions behind operators of that name outside pg_catalog; false: cannot be told.
  bool operators(std::string_view schema, std::string_view name, std::vector<RelationName>& functions);
  /// Names mean what they mean within a function until set back.
  SearchPath exchange_path(SearchPath path) { return std::exchange(path_, std::move(path)); }
  /// Schema in which an unqualified object is created; empty: not known.
  std::string_view creation_schema() const;
  /// A relation that a CREATE of this text makes. `kind` is pg_class.relkind.
  FactPtr create(std::string_view schema, std::string_view name, char kind, std::vector<std::string> columns,
                 uint8_t hidden = 0);
  /// It is one that create() made.
  bool made(const FactPtr& fact) const {
    auto found = made_.find({fact->schema, fact->name});
    return found != made_.end() && found->second == fact;
  }
  /// From the next statement on nothing is known of relations of this bare name: renamed, dropped, given
  /// a trigger.
  void doubt(std::string_view name) { pending_doubts_.emplace_back(name); }
  /// A rollback: what the text made may be gone.
  void roll_back();
  /// From the next statement on unqualified names may mean something else; `why` is static text. A
  /// statement's own names are looked up before it runs.
  void move(std::string_view why) {
    if (pending_move_.empty()) pending_move_ = why;
  }
  /// A statement has ended: what it moved, has moved.
  void settle();
  /// The elements of CREATE SCHEMA are made in that schema, and it is searched first.
  void enter_schema(std::string_view schema);
  void leave_schema() { inside_schema_.clear(); }
  /// Has the text itself made or moved names? Then code that was looked up before may not mean what it meant.
  bool changed() const { return !moved_.empty() || !made_bare_.empty() || !doubtful_.empty(); }
  std::string_view exchange_pending(std::string_view why) { return std::exchange(pending_move_, why); }
  std::string_view moved() const { return moved_; }
  bool moving() const { return !pending_move_.empty(); }
  const Missing& missing() const { return missing_; }
  bool transaction_moved() const { return settings_.transaction_moved; }
  bool offline() const { return catalogue_.assume_plain; }

 private:
  FactPtr assumed(const RelationName& name);
  Resolved plain_relation(const RelationName& key);
  Resolved relation_in_path(std::string_view name);
  template <class Map>
  const typename Map::mapped_type* fact(const Map& facts, std::set<RelationName>& asked, std::string_view schema,
                                        std::string_view name);

  const Settings& settings_;
  const Catalogue& catalogue_;
  std::map<RelationName, FactPtr> made_;          // by this text, with their schema
  std::map<std::string, std::string> made_bare_;  // bare name -> schema it was made in
  std::map<RelationName, FactPtr> assumed_;
  std::set<std::string, std::less<>> doubtful_;  // bare names
  std::string_view moved_;
  std::string_view pending_move_;
  std::vector<std::string> pending_doubts_;
  std::string inside_schema_;
  SearchPath path_;
  Missing missing_;
};

}  // namespace sallyport::sql
