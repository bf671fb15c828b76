// SPDX-License-Identifier: Apache-2.0
// Private keys in PEM (RFC 7468, and OpenSSH's and PGP's blocks), also with line ends as JSON writes them.
#pragma once

#include <cstddef>
#include <string_view>

namespace sallyport::mask {

inline constexpr std::string_view kPemBegin = "-----BEGIN";

/// Where the private key block that begins at `at` ends; `at`: none does. A block without its last line ends where
/// its body does.
size_t pem_end(std::string_view text, size_t at);

/// The last place in `text` from which on a block is in the making; text.size(): none is.
size_t pem_hold_from(std::string_view text);

/// Where the rest of a cut block ends in `rest`.
size_t pem_tail_end(std::string_view rest);

}  // namespace sallyport::mask
