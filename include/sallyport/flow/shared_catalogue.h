// SPDX-License-Identifier: Apache-2.0
// What all sessions on one database share of its catalogue: facts that a side connection of the daemon's own asked for
// and keeps validating. Immutable once published; a newer one replaces it.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/model/address.h"
#include "sallyport/policy/document.h"
#include "sallyport/sql/catalogue.h"

namespace sallyport::flow {

/// Which catalogue, and how the daemon may reach it. All that a side connection rests on stands in here, so an edit of
/// policy makes another one.
struct CatalogueId {
  std::string target;
  std::string host;        ///< the name, or address, that the server's certificate must bear
  model::Endpoint server;  ///< where the sessions' own connections go
  std::string database;
  policy::TlsMode tls_mode = policy::TlsMode::verify_full;
  std::string ca_file;          ///< PEM roots; empty: the system's
  std::string credential_file;  ///< "user:password"
  auto operator<=>(const CatalogueId&) const = default;
};

/// How a session resolves unqualified names: what current_schemas(true) and current_schema() said in it.
struct SearchPath {
  std::string creation_schema;
  std::vector<std::string> schemas;
  auto operator<=>(const SearchPath&) const = default;
};

struct SharedCatalogue {
  std::string server;        ///< tells this start of this server, and the database, from all others
  uint64_t generation = 0;   ///< another one whenever anything that facts rest on may have changed; never 0
  int64_t validated_ns = 0;  ///< monotonic: all of it held at this time or later
  /// By the path that names were resolved with. No temporary objects.
  std::map<SearchPath, std::shared_ptr<const sql::Catalogue>> facts;

  bool valid(const Now& now) const {
    return now.monotonic_ns - validated_ns <= limits::kCatalogueFactMaxAgeMs * kNanosPerMilli;
  }
};

}  // namespace sallyport::flow
