// SPDX-License-Identifier: Apache-2.0
// Prepared statements and portals of one session, as the server has them. SQL (PREPARE, DECLARE) and
// protocol (Parse, Bind) share one namespace each. A name is defined when the server said so; until
// then it is pending, and whoever uses it from a later batch must wait: the definition may fail and
// leave an older one in place.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flow/postgres/judged.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// A statement that was judged once and can run many times.
struct Prepared {
  std::shared_ptr<Judged> judged;
  uint64_t meaning = 0;              ///< the session's meaning epoch then; 0: must be judged again
  model::OperationId operation = 0;  ///< the Parse in the record
};

/// A statement bound to parameters, maybe running.
struct Portal {
  std::shared_ptr<Prepared> prepared;
  std::vector<std::string> parameters;  ///< as they may be recorded
  bool declared = false;                ///< by DECLARE: WITH HOLD may outlive the transaction
  bool described = false;               ///< the server said what it returns; null `shape`: no rows
  bool describe_in_flight = false;
  std::shared_ptr<const ResultShape> shape;
};

/// One of the two namespaces.
template <class T>
class Names {
 public:
  /// What a use of a name may rely on.
  struct Found {
    std::shared_ptr<T> value;
    bool wait = false;  ///< defined in an earlier batch that is not answered yet
  };

  void pending(const std::string& name, std::shared_ptr<T> value, uint64_t batch) {
    Entry& entry = entries_[name];
    entry.pending = std::move(value);
    entry.batch = batch;
  }
  void defined(const std::string& name, const std::shared_ptr<T>& value) {
    Entry& entry = entries_[name];
    entry.current = value;
    if (entry.pending == value) entry.pending.reset();
  }
  /// The definition failed or was skipped; what was there before stays.
  void not_defined(const std::string& name, const std::shared_ptr<T>& value) {
    auto found = entries_.find(name);
    if (found == entries_.end()) return;
    if (found->second.pending == value) found->second.pending.reset();
    if (!found->second.pending && !found->second.current) entries_.erase(found);
  }
  /// A definition that is still in flight was sent behind what dropped the name: it stays.
  void dropped(std::string_view name) {
    auto found = entries_.find(name);
    if (found == entries_.end()) return;
    found->second.current.reset();
    if (!found->second.pending) entries_.erase(found);
  }
  /// Nothing may be pending.
  template <class Gone>
  void drop_if(Gone gone) {
    for (auto at = entries_.begin(); at != entries_.end();) {
      Entry& entry = at->second;
      if (!entry.current || !gone(*entry.current)) {
        ++at;
      } else if (at->first.empty()) {
        entry.current.reset();  // the unnamed one comes again and again: its place stays
        ++at;
      } else {
        at = entries_.erase(at);
      }
    }
  }
  void all_dropped() { entries_.clear(); }

  Found find(std::string_view name, uint64_t batch) const {
    auto found = entries_.find(name);
    if (found == entries_.end()) return {};
    const Entry& entry = found->second;
    if (!entry.pending) return {entry.current};
    return {entry.pending, entry.batch != batch};
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::shared_ptr<T> current;
    std::shared_ptr<T> pending;
    uint64_t batch = 0;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

/// Both namespaces, as sql::analyse() asks for them.
class SessionNames final : public sql::SessionNames {
 public:
  Names<Prepared> statements;
  Names<Portal> portals;
  uint64_t batch = 0;    ///< counts Sync, Query and FunctionCall sent
  uint64_t meaning = 1;  ///< the session's epoch: a statement prepared in an older one must be analysed again
  /// Asked for and analysed in an older epoch: analyse these first, then ask again.
  mutable std::vector<std::shared_ptr<Prepared>> stale;
  /// Set by every question: an analysis that asked holds for this moment only.
  mutable bool asked = false;

  const sql::Statement* prepared(std::string_view name) const override {
    asked = true;
    auto found = statements.find(name, batch).value;
    if (found && found->meaning != meaning) stale.push_back(found);
    return only_statement(found.get());
  }
  const sql::Statement* cursor(std::string_view name) const override {
    asked = true;
    auto found = portals.find(name, batch).value;
    return found ? only_statement(found->prepared.get()) : nullptr;
  }

 private:
  static const sql::Statement* only_statement(const Prepared* prepared) {
    if (!prepared || !prepared->judged || prepared->judged->analysis->statements.size() != 1) return nullptr;
    return &prepared->judged->analysis->statements.front();
  }
};

}  // namespace sallyport::flow
