// SPDX-License-Identifier: Apache-2.0
// What this flow knows of its server's catalogue, and the look-up that fills it. A fact holds until
// the session itself may have moved it (invalidate) or until it is limits::kCatalogueFactMaxAgeMs
// old: that is the window in which DDL of others is not seen. Facts come from the session's own look-up,
// or from what a side connection keeps for all, where that can say what a name means in this session.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "sallyport/base/clock.h"
#include "sallyport/flow/shared_catalogue.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// What one look-up asks for.
struct LookupRequest {
  sql::Missing facts;
  std::set<uint32_t> function_oids;

  bool empty() const { return facts.empty() && function_oids.empty(); }
};

/// Of facts held for one flow, as the server sends them. An agent may make many functions, with much code each.
inline constexpr size_t kCatalogueBytesMax = 8 << 20;

class CatalogueCache {
 public:
  const sql::Catalogue& view() const { return catalogue_; }
  const std::string& creation_schema() const { return session_.path.creation_schema; }
  /// "schema.name"; nullptr: not looked up. An empty name: no such function.
  const std::string* function_name(uint32_t oid) const;

  /// Some of it is older than facts may be: expire() is due.
  bool too_old(const Now& now) const;
  /// What is too old can be renewed: all of it was asked for on this connection, and no transaction may have ended
  /// since that could have changed it. begin() an empty request, answered like any other.
  bool can_renew() const { return own_ && !snapshot_.empty(); }
  /// Drops what is too old to be relied on, unless it came from `shared` (may be null) and still holds there; true
  /// if there was something.
  bool expire(const SharedCatalogue* shared, const Now& now);
  /// The session may have moved its names: everything may mean something else from now on.
  void invalidate(const Now& now);

  /// Whether `shared` can say what names mean in this session: it is valid, was validated after all that the session
  /// did itself, and nothing moved since the session's search path was asked; the session is on that very server and
  /// has no temporary objects. What is open in a transaction is the caller's to see.
  bool may_share(const SharedCatalogue& shared, const Now& now) const;
  /// Takes what `shared` has of `request`, and leaves in it what is still to be asked. Only if may_share().
  void take(const SharedCatalogue& shared, LookupRequest& request);

  /// A look-up: one statement, its parameters in text format, and their types.
  struct Question {
    std::string text;
    std::vector<std::string> parameters;
    std::vector<uint32_t> types;
  };
  /// By the search path of the session that asks; or by `path`, on whichever connection.
  static Question question(const LookupRequest& request, const SearchPath* path = nullptr);
  /// The messages of one look-up, ready to send: Parse, Bind, Execute, Close, and no Sync. Names that
  /// are already asked for elsewhere are the caller's to avoid. The statement and portal are gone when
  /// it is done, so nothing of it shows in pg_prepared_statements.
  static void encode(const LookupRequest& request, std::string& out);
  /// Parse, Describe and Close of a query, which never runs.
  static void encode_description(std::string_view query, std::string& out);
  /// Starts collecting the rows of an answer to `request`. `generation` of the SharedCatalogue that was valid when it
  /// was asked; 0: none was.
  void begin(LookupRequest request, uint64_t generation = 0);
  /// One DataRow. False: not what was asked for; the whole answer is then thrown away.
  bool add_row(const postgres::DataRow& row);
  bool add_row(std::string_view text);
  /// The answer is complete: what was asked for and did not come does not exist. An empty request asked whether what is
  /// held still holds, at `asked_monotonic_ns`; false: it does not, and nothing is held any more.
  bool finish(int64_t asked_monotonic_ns, const Now& now);
  /// The answer failed: facts stay unknown. What was asked for is kept as "not to be had" until the
  /// next invalidate() or expire(), so that nobody asks again in a loop.
  void fail();
  bool failed_for(const sql::Missing& missing) const;

  /// What was looked up last, and by which path.
  const LookupRequest& asked() const { return request_; }
  const SearchPath& path() const { return session_.path; }

 private:
  /// What the session said of itself with its last look-up.
  struct SessionState {
    bool known = false;
    SearchPath path;
    std::string server;
    bool temporary = true;    ///< it has, or had, temporary objects
    std::string snapshot;     ///< of the server, when it said so; empty: tells nothing
    uint64_t generation = 0;  ///< of what is shared, when it said so
  };

  void drop_facts();
  bool renew(int64_t asked_monotonic_ns);

  sql::Catalogue catalogue_;
  std::map<uint32_t, std::string> function_names_;
  int64_t oldest_monotonic_ns_ = 0;  ///< of the facts held; all are dropped together
  bool empty_ = true;
  bool own_ = false;      ///< some of the facts came from the session's own look-up
  std::string snapshot_;  ///< of the first of them; empty: unknown, or some did not come from here
  SessionState session_;
  int64_t moved_ns_ = 0;  ///< when the session last may have moved names

  LookupRequest request_;
  size_t bytes_ = 0;  ///< of the facts held and of those coming
  sql::Catalogue incoming_;
  std::set<sql::RelationName> too_many_;  ///< functions with more routines than come
  std::map<uint32_t, std::string> incoming_functions_;
  SessionState incoming_session_;
  LookupRequest unavailable_;
};

}  // namespace sallyport::flow
