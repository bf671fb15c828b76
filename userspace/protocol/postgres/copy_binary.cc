// SPDX-License-Identifier: Apache-2.0
// COPY's binary format: a head; for each row int16 how many fields, for each field int32 its length (-1: NULL) and its
// bytes; at the end int16 -1.
#include <algorithm>

#include "protocol/postgres/copy_formats.h"
#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"

namespace sallyport::postgres {
namespace {

uint32_t number_at(std::string_view bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

constexpr uint32_t kNull = 0xffffffff;

}  // namespace

bool is_copy_binary_head(std::string_view bytes) {
  static constexpr std::string_view kHead("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", kCopyBinaryHeadBytes);
  return bytes == kHead;
}

bool find_copy_binary_end(std::string_view bytes, size_t& at, int& fields_left) {
  if (fields_left < 0) {
    if (bytes.size() < 2) return false;
    at = 2;
    if (number_at(bytes, 0, 2) == 0xffff) return true;
    fields_left = static_cast<int>(number_at(bytes, 0, 2));
  }
  for (; fields_left > 0; --fields_left) {
    if (bytes.size() < at + 4) return false;
    const uint32_t length = number_at(bytes, at, 4);
    const uint64_t end = at + 4 + (length == kNull ? 0 : uint64_t{length});
    if (end > bytes.size()) return false;
    at = static_cast<size_t>(end);
  }
  return true;
}

Result<> split_copy_binary(std::string_view row, std::vector<CopyField>& fields) {
  size_t at = 2;
  while (at + 4 <= row.size()) {
    const uint32_t length = number_at(row, at, 4);
    const size_t size = 4 + (length == kNull ? 0 : size_t{length});
    if (size > row.size() - at) break;
    fields.push_back({.raw = row.substr(at, size), .null = length == kNull});
    at += size;
  }
  if (at != row.size()) return fail("COPY data: a row in binary format that does not fit its length");
  return {};
}

void append_copy_binary(const Value& value, std::string& out) {
  ByteWriter writer(out);
  writer.u32(value ? static_cast<uint32_t>(value->size()) : kNull);
  if (value) out += *value;
}

}  // namespace sallyport::postgres
