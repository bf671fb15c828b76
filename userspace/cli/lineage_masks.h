// SPDX-License-Identifier: Apache-2.0
// Column masks of a statement by its lineage, for `policy explain` and `policy test`.
#pragma once

#include <vector>

#include "sallyport/model/decision.h"
#include "sallyport/policy/explain.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::cli {

/// The masks on what comes out, in the order of the result columns, each once. A statement that masks refuse though
/// rules allow it makes `decision` a denial, as it would be for an agent.
std::vector<policy::ShownMask> masks_by_lineage(const sql::Analysis& analysis, model::Decision& decision);

}  // namespace sallyport::cli
