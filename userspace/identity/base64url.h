// SPDX-License-Identifier: Apache-2.0
// base64url without padding (RFC 4648 section 5), the canonical form only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::identity {

/// Nothing: a character of another alphabet, padding, white space, a length that cannot be, or unused bits that are
/// not zero. So no two texts give the same bytes.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace sallyport::identity
