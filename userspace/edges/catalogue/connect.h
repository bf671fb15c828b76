// SPDX-License-Identifier: Apache-2.0
// How a side connection logs in. A credential goes only to a server proven to be the Target (DESIGN.md 8): always over
// TLS, and either the certificate proves it (verify-full), or the server must do SCRAM bound to the certificate, by
// which it proves to know the role's verifier; libpq's channel_binding=require refuses every other method unanswered.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "sallyport/node/catalogues.h"
#include "sallyport/node/credentials.h"

namespace sallyport::edges {

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using QueryResult = std::unique_ptr<PGresult, ClearResult>;

/// Begins; PQconnectPoll() goes on. Nothing of it waits.
Result<Connection> begin_connect(const flow::CatalogueId& id, const node::Credential& credential);

/// What libpq says, as one line, with a remedy where the reason is known.
Error connection_error(PGconn* connection, const flow::CatalogueId& id);

}  // namespace sallyport::edges
