// SPDX-License-Identifier: Apache-2.0
// What this flow knows of its server's catalogue, and the look-up that fills it. A fact holds until
// the session itself may have moved it (invalidate) or until it is limits::kCatalogueFactMaxAgeMs
// old: that is the window in which DDL of others is not seen.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "sallyport/base/clock.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// What one look-up asks for.
struct LookupRequest {
  sql::Missing facts;
  std::set<uint32_t> function_oids;
};

/// Of facts held for one flow, as the server sends them. An agent may make many functions, with much code each.
inline constexpr size_t kCatalogueBytesMax = 8 << 20;

class CatalogueCache {
 public:
  const sql::Catalogue& view() const { return catalogue_; }
  const std::string& creation_schema() const { return creation_schema_; }
  /// "schema.name"; nullptr: not looked up. An empty name: no such function.
  const std::string* function_name(uint32_t oid) const;

  /// Drops what is too old to be relied on; true if there was something.
  bool expire(const Now& now);
  /// Everything may mean something else from now on.
  void invalidate();

  /// The messages of one look-up, ready to send: Parse, Bind, Execute, Close, and no Sync. Names that
  /// are already asked for elsewhere are the caller's to avoid. The statement and portal are gone when
  /// it is done, so nothing of it shows in pg_prepared_statements.
  static void encode(const LookupRequest& request, std::string& out);
  /// Starts collecting the rows of an answer to `request`.
  void begin(LookupRequest request);
  /// One DataRow. False: not what was asked for; the whole answer is then thrown away.
  bool add_row(const postgres::DataRow& row);
  /// The answer is complete: what was asked for and did not come does not exist.
  void finish(const Now& now);
  /// The answer failed: facts stay unknown. What was asked for is kept as "not to be had" until the
  /// next invalidate() or expire(), so that nobody asks again in a loop.
  void fail();
  bool failed_for(const sql::Missing& missing) const;

 private:
  sql::Catalogue catalogue_;
  std::map<uint32_t, std::string> function_names_;
  std::string creation_schema_;
  int64_t oldest_monotonic_ns_ = 0;  ///< of the facts held; all are dropped together
  bool empty_ = true;

  LookupRequest request_;
  size_t bytes_ = 0;  ///< of the facts held and of those coming
  sql::Catalogue incoming_;
  std::set<sql::RelationName> too_many_;  ///< functions with more routines than come
  std::map<uint32_t, std::string> incoming_functions_;
  std::string incoming_schema_;
  LookupRequest unavailable_;
};

}  // namespace sallyport::flow
