// SPDX-License-Identifier: Apache-2.0
// What side connections know of databases' catalogues, shared by all sessions there: immutable snapshots, one a
// catalogue. Flows read them and say which names they lack; whoever keeps the connections (edges/catalogue) brings
// facts and says until when they hold. Thread-safe; asks nobody anything itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/flow/shared_catalogue.h"

namespace sallyport::node {

/// One catalogue as `status` shows it.
struct CatalogueStatus {
  flow::CatalogueId id;
  int64_t validated_ns = 0;  ///< monotonic; 0: never
  size_t names = 0;          ///< facts kept
  Error trouble;             ///< why the side connection cannot be used; empty: nothing is wrong
};

/// What one validation brought.
struct CatalogueReading {
  std::string server;                                ///< as in flow::SharedCatalogue
  std::string fingerprint;                           ///< the same only if nothing changed that facts rest on
  int64_t asked_ns = 0;                              ///< monotonic, before the server was asked
  std::map<flow::SearchPath, sql::Catalogue> facts;  ///< new ones, true under this fingerprint
  size_t bytes = 0;                                  ///< what the answers that gave them took
};

class Catalogues {
 public:
  using Wanted = std::map<flow::SearchPath, sql::Missing>;

  /// For flows: what is known, null if nothing is. Whoever looks keeps the side connection alive; the first look asks
  /// for one, unless there are limits::kCataloguesMax.
  std::shared_ptr<const flow::SharedCatalogue> look(const flow::CatalogueId& id, int64_t now_ns);
  /// For flows: names to be asked at the next occasion. Beyond limits::kCatalogueWantedMax they are let go: who still
  /// needs them wants them again.
  void want(const flow::CatalogueId& id, const flow::SearchPath& path, const sql::Missing& names);

  /// For the keeper of the connections. `wake` is called, without locks held and from any thread, when a catalogue is
  /// looked for that holds no longer, or a name is wanted. Set it before the first flow, or to nothing.
  void set_wake(std::function<void()> wake);
  /// All that anybody looked for, and when last (monotonic).
  std::vector<std::pair<flow::CatalogueId, int64_t>> list() const;
  Wanted take_wanted(const flow::CatalogueId& id);
  /// Another server or fingerprint than last time makes a new generation: every fact from before is dropped.
  void validated(const flow::CatalogueId& id, CatalogueReading reading);
  /// Facts hold until their time is over; then sessions ask for themselves. `trouble` goes with the next validated().
  void failed(const flow::CatalogueId& id, Error trouble);
  void forget(const flow::CatalogueId& id);

  std::vector<CatalogueStatus> status() const;

 private:
  struct Entry {
    std::shared_ptr<const flow::SharedCatalogue> shared;
    std::string fingerprint;
    size_t bytes = 0;  ///< as in the readings that gave its facts
    Wanted wanted;
    int64_t used_ns = 0;
    Error trouble;
  };

  mutable std::mutex mutex_;
  std::map<flow::CatalogueId, Entry> entries_;
  uint64_t generation_ = 0;  ///< the last one given out, whichever catalogue it went to
  std::function<void()> wake_;
};

}  // namespace sallyport::node
