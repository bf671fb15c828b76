// SPDX-License-Identifier: Apache-2.0
// Which run-time settings change what later statements mean, or how they are lexed.
#pragma once

#include <string>
#include <string_view>

namespace sallyport::sql {

/// Setting names are case-insensitive.
std::string fold_setting(std::string_view name);
/// Names, role, row security, triggers, or the reading of expressions. Takes folded names; "all" moves.
bool setting_moves_meaning(std::string_view folded);
bool setting_moves_lexing(std::string_view folded);

}  // namespace sallyport::sql
