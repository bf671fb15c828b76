// SPDX-License-Identifier: Apache-2.0
// What the two halves of a PostgreSQL flow share: Login until the server is ready, Conversation after.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flow/operation/layer.h"
#include "sallyport/base/stream_buffer.h"
#include "sallyport/protocol/postgres/encoder.h"

namespace sallyport::flow {

struct PostgresConnection {
  OperationLife& life;
  StreamBuffer from_agent;
  StreamBuffer from_server;
  Leg upstream = kUpstreamLeg;
  std::string user;  ///< as the agent asked
  std::string database;
  bool replication = false;
  std::map<std::string, std::string, std::less<>> parameters;  ///< latest ParameterStatus of each
  postgres::TransactionStatus status = postgres::TransactionStatus::idle;
  bool over = false;  ///< Finish was asked for; nothing more may be sent
};

/// Ends the flow with an ErrorResponse of severity FATAL to the agent.
void end_with_error(PostgresConnection& connection, const postgres::Report& report, std::string reason, Turn& turn);
/// Ends the flow without a word: the agent's stream is in the middle of a message, or is no PostgreSQL.
void end_silently(PostgresConnection& connection, std::string reason, Turn& turn);
/// Ends it the way a closing peer does: queues go out, then FIN.
void end_normally(PostgresConnection& connection, std::string reason, Turn& turn);

}  // namespace sallyport::flow
