// SPDX-License-Identifier: Apache-2.0
// A StartupMessage as an operation: the database, the user, replication, and every setting in it are
// effects of class `startup` (replication: `replication`), to be judged like any statement's.
#pragma once

#include "sallyport/model/operation.h"
#include "sallyport/protocol/postgres/startup.h"

namespace sallyport::flow {

/// PostgreSQL's reading of a replication parameter ("true", "on", "yes", "1", "database").
bool asks_for_replication(const postgres::StartupMessage& startup);

model::Sql startup_operation(const postgres::StartupMessage& startup);

/// "user=app database=shop application_name=psql": for the record; values are printable.
std::string describe_startup(const postgres::StartupMessage& startup);

}  // namespace sallyport::flow
