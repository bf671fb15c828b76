// SPDX-License-Identifier: Apache-2.0
// Which message may come from whom, when: the protocol's state machine as two tables, one per direction. A table
// sees types, not bodies; what follows from a body, the flow does (AuthenticationOk: move to `settling`). Which
// statement an answer belongs to is AnswerQueue's business: its phase() is the row to ask these tables for.
//
//   startup ──StartupMessage──► authentication ──AuthenticationOk──► settling ──ReadyForQuery──► ready
//   ready ──any request──► in_query ──last ReadyForQuery──► ready
//   in_query ──CopyIn/Out/BothResponse──► copy_in | copy_out | copy_both ──CommandComplete──► in_query
//   in_query | copy_* ──ErrorResponse to an extended message──► skip_to_sync ──Sync──► in_query
//   any ──Terminate──► closed
//
// Source: PostgreSQL documentation, "Message Flow"; server: SocketBackend, PostgresMain, CopyGetData.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sallyport/protocol/postgres/frame.h"

namespace sallyport::postgres {

enum class Phase : uint8_t {
  startup,         ///< no StartupMessage yet: packets of startup.h only, no typed message from the agent
  authentication,  ///< until AuthenticationOk
  settling,        ///< until the first ReadyForQuery: parameters and cancel key
  ready,           ///< nothing in flight
  in_query,        ///< something in flight; the agent may send on, for the protocol is pipelined
  copy_in,         ///< the server reads COPY data: the agent may send nothing but that, its end, and Sync or Flush
                   ///< (which the server ignores)
  copy_out,        ///< the server sends COPY data
  copy_both,       ///< replication stream
  skip_to_sync,    ///< an extended message failed and no Sync is in flight: the server ignores all but Sync
  closed,          ///< after Terminate
};
inline constexpr std::array kPhases = {Phase::startup,      Phase::authentication, Phase::settling, Phase::ready,
                                       Phase::in_query,     Phase::copy_in,        Phase::copy_out, Phase::copy_both,
                                       Phase::skip_to_sync, Phase::closed};

/// "in_query"
std::string_view to_string(Phase phase);

/// The phase after the agent's message of this type; nothing: a violation.
std::optional<Phase> after_agent(Phase phase, char type);
/// The phase after the server's message of this type; nothing: a violation. ErrorResponse answers as for a simple
/// query (in_query); only AnswerQueue knows that an extended message failed.
std::optional<Phase> after_server(Phase phase, char type);

inline bool legal_from_agent(Phase phase, char type) { return after_agent(phase, type).has_value(); }
inline bool legal_from_server(Phase phase, char type) { return after_server(phase, type).has_value(); }

}  // namespace sallyport::postgres
