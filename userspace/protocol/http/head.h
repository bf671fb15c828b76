// SPDX-License-Identifier: Apache-2.0
// Shared by heads and trailers, which are the same lines.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/protocol/http/message.h"

namespace sallyport::http {

/// Where a block of lines ends that an empty line ends, or why it cannot be one.
struct Block {
  size_t end = 0;  ///< behind the empty line; 0: need more, unless `why`
  int status = 400;
  const char* why = nullptr;
};
/// `first_is_field`: it begins with a field, not with a start line.
Block find_block(std::string_view input, size_t bytes_max, bool first_is_field);

/// The fields of a trailer section that find_block() found; refuses those that would change how the message is read.
std::variant<Violation, std::vector<Field>> parse_trailers(std::string_view block);

}  // namespace sallyport::http
