// SPDX-License-Identifier: Apache-2.0
// JSON as RFC 8259 and RFC 7515 section 4 want it for tokens: two readers cannot understand it differently.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sallyport::identity {

/// An object in valid UTF-8, without byte-order mark, without duplicate members at any level, nested no deeper than
/// limits::kTokenJsonDepthMax, nothing behind it. The error is why not: "a member twice: `sub`".
std::expected<nlohmann::json, std::string> parse_strict_object(std::string_view text);

}  // namespace sallyport::identity
