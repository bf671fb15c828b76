// SPDX-License-Identifier: Apache-2.0
// What the data of a COPY … TO STDOUT look like, from its options, and a query with the same columns.
#pragma once

#include <memory>
#include <string_view>

#include "sallyport/sql/analysis.h"
#include "sql/pg.h"

namespace sallyport::sql {

/// `text`: of this statement alone. `statement.outputs` are those of the COPY.
std::shared_ptr<const CopyOut> read_copy_out(const CopyStmt* copy, std::string_view text, bool standard_strings,
                                             const Statement& statement);

}  // namespace sallyport::sql
