// SPDX-License-Identifier: Apache-2.0
// Which masks a decision brings to bear on an operation, in words: for explain and for policy tests.
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

std::vector<ShownMask> masks_shown(const model::Decision& decision, const model::Operation& operation);

}  // namespace sallyport::policy
