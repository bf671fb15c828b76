// SPDX-License-Identifier: Apache-2.0
// The rows of analysis_test.cc: tables_query.cc, tables_command.cc, tables_catalogue.cc.
#pragma once

#include <memory>
#include <vector>

#include "sallyport/sql/catalogue.h"

namespace sallyport::sql {

struct Row {
  const char* sql;
  const char* effects;  ///< of each statement, " | " between them
};

const std::vector<Row>& query_rows();    ///< offline: SELECT and DML
const std::vector<Row>& command_rows();  ///< offline: everything else
const std::vector<Row>& catalogue_rows();
/// What the server of catalogue_rows() answers for a name.
std::shared_ptr<const RelationFact> server_relation(const RelationName& name);

// tables_routine.cc
const std::vector<Row>& routine_rows();  ///< with the catalogue: what functions, types and operators run
std::shared_ptr<const BehindFact> server_behind(const RelationName& name);
FunctionFact server_function(const RelationName& name);
TypeFact server_type(const RelationName& name);
OperatorFact server_operator(const RelationName& name);

}  // namespace sallyport::sql
