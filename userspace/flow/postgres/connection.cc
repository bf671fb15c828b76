// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/connection.h"

namespace sallyport::flow {

void end_normally(PostgresConnection& connection, std::string reason, Turn& turn) {
  if (connection.over) return;
  connection.over = true;
  connection.life.close_session(std::move(reason), turn.now, turn.actions);
  turn.actions.add(Finish{});
}

void end_with_error(PostgresConnection& connection, const postgres::Report& report, std::string reason, Turn& turn) {
  if (connection.over) return;
  postgres::append_error_response(turn.actions.send(kAgentLeg), report);
  end_normally(connection, std::move(reason), turn);
}

void end_silently(PostgresConnection& connection, std::string reason, Turn& turn) {
  if (connection.over) return;
  turn.actions.add(Abort{kAgentLeg});
  end_normally(connection, std::move(reason), turn);
}

}  // namespace sallyport::flow
