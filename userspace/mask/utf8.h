// SPDX-License-Identifier: Apache-2.0
// Counting by UTF-8 code point. Bytes that are not UTF-8 count as they lie: a continuation byte
// belongs to what stands before it.
#pragma once

#include <cstddef>
#include <string_view>

namespace sallyport::mask {

inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

inline size_t code_points(std::string_view text) {
  size_t count = 0;
  for (char byte : text) count += !is_continuation(byte);
  return count;
}

/// The last `count` code points.
inline std::string_view last_code_points(std::string_view text, size_t count) {
  size_t at = text.size();
  while (count > 0 && at > 0) {
    --at;
    if (!is_continuation(text[at])) --count;
  }
  return text.substr(at);
}

inline std::string_view first_code_point(std::string_view text) {
  size_t end = text.empty() ? 0 : 1;
  while (end < text.size() && is_continuation(text[end])) ++end;
  return text.substr(0, end);
}

}  // namespace sallyport::mask
