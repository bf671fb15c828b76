// SPDX-License-Identifier: Apache-2.0
// Which masks and limits a decision brings to bear on an operation, in words: for explain and for policy tests.
#pragma once

#include <string>
#include <vector>

#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"

namespace sallyport::policy {

struct ShownMask {
  std::string column;  ///< "public.customers.email"; "*" for a detector
  std::string strategy;
  std::string because;
};

/// "10000 rows per 1h over agent then hold"
std::string limit_shown(const model::Limit& limit);

std::vector<ShownMask> masks_shown(const model::Decision& decision, const model::Operation& operation);

}  // namespace sallyport::policy
