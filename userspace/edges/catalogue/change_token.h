// SPDX-License-Identifier: Apache-2.0
// How a side connection knows that nothing changed that facts rest on, without reading it all again.
//   1. A definition is changed by a transaction with an id, and is seen when that transaction ends. So as long as the
//      snapshot (every id that has ended) is the same as last time, so is the catalogue. That costs nothing, and is all
//      that happens while nobody writes. On a standby the snapshot does not list what runs, and says nothing.
//   2. When it moved, the catalogues are fingerprinted: the sum of a keyed hash of every row's xmin. A row that is
//      added or changed bears the id of its transaction, which no row seen before can bear; one that is gone lowers
//      the count. Temporary objects are left out: no fact that is shared tells of them.
// A reload of the server's configuration can change the search path of sessions: its time is part of both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::edges {

/// One row: snapshot, "t" on a standby, time of the last reload, the server's identity.
std::string snapshot_sql();

/// One row and column. `key` is the hash's: no one who can write to the catalogue knows it.
std::string fingerprint_sql(uint64_t key);

/// The catalogues that the fingerprint covers, as "pg_class".
std::vector<std::string> fingerprinted_catalogues();

}  // namespace sallyport::edges
