// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace sallyport::mask {

/// Is the whole text one address?
bool is_email(std::string_view text);

}  // namespace sallyport::mask
