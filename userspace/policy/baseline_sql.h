// SPDX-License-Identifier: Apache-2.0
// What a stock PostgreSQL client needs to work at all, as data: allowed wherever the agent has a granting rule in
// force on the target, unless an Entitlement says `baseline: none`. Listed in docs/policy.md; a test compares.
#pragma once

#include <span>
#include <string_view>

#include "match_sql.h"
#include "sallyport/model/effect.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {

/// One row as it is written down; lists are comma-separated patterns.
struct BaselineRow {
  std::string_view name;  ///< "baseline.catalogue"
  std::string_view statements;
  std::string_view access;  ///< empty: any
  SqlKey key;
  std::string_view objects;  ///< empty: any object, or none, of any kind
  std::string_view except;
  std::string_view why;  ///< for people
};

std::span<const BaselineRow> baseline_rows();

/// The row that covers the effect; nullptr: none.
const NamedRule* baseline_covers(const SqlEffect& effect);

}  // namespace sallyport::policy
