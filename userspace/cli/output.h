// SPDX-License-Identifier: Apache-2.0
// Tables for people, JSON for programs, errors on standard error.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::cli {

/// "sallyport: what", and the hint on a line of its own.
void print_error(const Error& error);
void print(std::string_view text);
void print_json(const nlohmann::json& value);

/// Rows under a head line, columns aligned; the last column is not padded.
void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

/// A member as text: strings as they are (escaped for a terminal), others as JSON, absent ones "-".
std::string text_of(const nlohmann::json& object, const char* key);

}  // namespace sallyport::cli
