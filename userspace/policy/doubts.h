// SPDX-License-Identifier: Apache-2.0
// Warnings about rules that are valid but hardly what their author meant.
#pragma once

#include "match_sql.h"
#include "reader.h"
#include "sallyport/model/decision.h"

namespace sallyport::policy {

/// A SQL name as written in a rule or Target: capitals without quotes (they fold), dots or stars in quotes (they are
/// part of the name). `what` is the key it stands under.
void doubt_sql_name(const Node& item, std::string_view what, std::string_view text, Reader& reader);

/// `functions` beside statement classes that no function is the object of; and an allow or hold that means calls but
/// does not name `unknown`, the class of a call that cannot be seen through.
void doubt_functions(const Node& sql, const SqlRule& rule, model::Outcome outcome, Reader& reader);

}  // namespace sallyport::policy
