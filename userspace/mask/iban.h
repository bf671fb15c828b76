// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace sallyport::mask {

/// Where the IBAN that begins at `at` ends, which may be anywhere in the text; `at`: none does. `at + 2` lies in the
/// text.
size_t iban_end(std::string_view text, size_t at);

}  // namespace sallyport::mask
