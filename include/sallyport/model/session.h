// SPDX-License-Identifier: Apache-2.0
// What is recorded about the life of a flow. The record module frames these; nothing else does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"
#include "sallyport/model/principal.h"

namespace sallyport::model {

/// Sortable and unique: 26 characters of Crockford base32 (ULID).
using SessionId = std::string;

struct SessionOpened {
  FlowId flow = 0;
  Principal principal;
  Endpoint source;       ///< the agent's side
  Endpoint destination;  ///< where it wanted to go
  std::string target;    ///< empty: nothing listed
  std::string protocol;  ///< "postgres", "http", "opaque"
  std::string node;      ///< host name
};

/// Written, and accepted, before the first byte of the operation is released.
struct OperationDecided {
  OperationId id = 0;
  OperationId parent = 0;
  std::string kind;                     ///< model::kind_of: "connect", "sql", "http"
  std::string statement;                ///< text with secrets, detected and masked literals replaced
  std::string shape;                    ///< text with every literal replaced: groups repeats
  std::vector<std::string> parameters;  ///< Bind values, masked likewise
  std::vector<Effect> effects;
  Outcome outcome = Outcome::deny;
  std::vector<Cause> causes;
  std::vector<std::string> masks;  ///< "public.customers.email partial"
  /// Decided as that operation of the same session was: what is empty here, `parameters` apart, is as in its
  /// entry. 0: all of it stands here.
  OperationId same_as = 0;
  // Whose it is, where one connection carries several agents' operations; empty: the session's own.
  std::string agent;
  std::string issuer;  ///< of the token that said so
  std::string subject;
};

/// Rows as the agent got them, after masking.
struct RowsReturned {
  OperationId id = 0;
  std::vector<std::string> columns;                           ///< names; may be empty
  std::vector<std::vector<std::optional<std::string>>> rows;  ///< printable text
};

struct OperationEnded {
  OperationId id = 0;
  int64_t duration_ns = 0;
  uint64_t rows = 0;
  uint64_t bytes_to_agent = 0;
  uint64_t bytes_to_target = 0;
  uint64_t masked_values = 0;
  std::string tag;       ///< "SELECT 3"
  std::string sqlstate;  ///< empty: no error
  std::string error;     ///< masked where values may stand in it
};

struct SessionClosed {
  std::string reason;  ///< "agent closed", "target closed", "cut: policy changed" …
  uint64_t bytes_to_agent = 0;
  uint64_t bytes_to_target = 0;
};

using RecordBody = std::variant<SessionOpened, OperationDecided, RowsReturned, OperationEnded, SessionClosed>;

struct RecordEntry {
  SessionId session;
  uint64_t sequence = 0;  ///< counts within the session, from 0
  int64_t wall_ns = 0;
  RecordBody body;
};

}  // namespace sallyport::model
