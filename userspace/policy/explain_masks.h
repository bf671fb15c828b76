// SPDX-License-Identifier: Apache-2.0
// Which masks and limits a decision brings to bear on an operation, in words: for explain and for policy tests.
#pragma once

#include <string>
#include <vector>

#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"
#include "sallyport/policy/explain.h"

namespace sallyport::policy {

/// "10000 rows per 1h over agent then hold"
std::string limit_shown(const model::Limit& limit);

/// `columns`: the column masks, where lineage tells which; null: those on columns that the operation reads.
std::vector<ShownMask> masks_shown(const model::Decision& decision, const model::Operation& operation,
                                   const std::vector<ShownMask>* columns = nullptr);

}  // namespace sallyport::policy
