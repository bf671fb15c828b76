// SPDX-License-Identifier: Apache-2.0
#include "record/cbor.h"

#include <algorithm>
#include <cstring>

#include "sallyport/base/limits.h"

namespace sallyport::record {
namespace {

enum Major : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTagged, kSimple };
constexpr uint8_t kNull = 0xf6;

size_t sequence_length(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if ((lead & 0xf0) == 0xe0) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/// Surrogates, overlong forms and what lies above U+10FFFF show in the second byte (RFC 3629 4).
bool second_byte_right(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xe0:
      return second >= 0xa0;
    case 0xed:
      return second < 0xa0;
    case 0xf0:
      return second >= 0x90;
    case 0xf4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      if ((word & 0x8080808080808080) == 0) {
        at += 8;
        continue;
      }
    }
    auto lead = static_cast<uint8_t>(text[at]);
    size_t length = sequence_length(lead);
    if (length == 0 || length > text.size() - at) return false;
    for (size_t i = 1; i < length; ++i) {
      if ((static_cast<uint8_t>(text[at + i]) & 0xc0) != 0x80) return false;
    }
    if (length > 1 && !second_byte_right(lead, static_cast<uint8_t>(text[at + 1]))) return false;
    at += length;
  }
  return true;
}

void CborWriter::long_head(uint8_t major, uint64_t value) {
  const int width = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  char bytes[9];
  char* next = bytes;
  *next++ = static_cast<char>(major << 5 | (width == 1 ? 24 : width == 2 ? 25 : width == 4 ? 26 : 27));
  for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) *next++ = static_cast<char>(value >> shift & 0xff);
  out_.append(bytes, next);
}

void CborWriter::integer(int64_t value) {
  if (value >= 0) return head(kUnsigned, static_cast<uint64_t>(value));
  head(kNegative, ~static_cast<uint64_t>(value));  // -1 - n
}

void CborWriter::string(std::string_view value) {
  head(is_utf8(value) ? kText : kBytes, value.size());
  out_.append(value);
}

void CborWriter::bytes(std::string_view value) {
  head(kBytes, value.size());
  out_.append(value);
}

std::string_view CborReader::take(uint64_t count) {
  if (count > rest_.size()) {
    fail();
    return {};
  }
  std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

CborReader::Head CborReader::head() {
  std::string_view first = take(1);
  if (first.empty()) return {};
  Head head;
  head.major = static_cast<uint8_t>(first[0]) >> 5;
  head.info = static_cast<uint8_t>(first[0]) & 31;
  if (head.info < 24) {
    head.value = head.info;
  } else if (head.info <= 27) {
    for (char byte : take(size_t{1} << (head.info - 24))) head.value = head.value << 8 | static_cast<uint8_t>(byte);
  } else {
    fail();
  }
  return head;
}

CborReader::Head CborReader::expect(uint8_t major) {
  Head found = head();
  if (found.major != major) fail();
  return ok_ ? found : Head{};
}

uint64_t CborReader::unsigned_integer() { return expect(kUnsigned).value; }

int64_t CborReader::integer() {
  Head found = head();
  if (found.major > kNegative || found.value > INT64_MAX) fail();
  if (!ok_) return 0;
  auto value = static_cast<int64_t>(found.value);
  return found.major == kUnsigned ? value : -1 - value;
}

bool CborReader::boolean() {
  Head found = expect(kSimple);
  if (ok_ && found.value != 20 && found.value != 21) fail();
  return ok_ && found.value == 21;
}

std::string_view CborReader::string() {
  Head found = head();
  if (found.major != kText && found.major != kBytes) fail();
  return ok_ ? take(found.value) : std::string_view();
}

std::optional<std::string_view> CborReader::string_or_null() {
  if (peek() != kNull) return string();
  take(1);
  return std::nullopt;
}

size_t CborReader::array() {
  Head found = expect(kArray);
  if (found.value > rest_.size()) fail();
  return ok_ ? static_cast<size_t>(found.value) : 0;
}

size_t CborReader::map() {
  Head found = expect(kMap);
  if (found.value > rest_.size() / 2) fail();
  return ok_ ? static_cast<size_t>(found.value) : 0;
}

void CborReader::skip(int depth) {
  if (depth > limits::kRecordNestingMax) return fail();
  Head found = head();
  if (!ok_) return;
  switch (found.major) {
    case kBytes:
    case kText:
      take(found.value);
      return;
    case kArray:
    case kMap:
    case kTagged: {
      uint64_t items = found.major == kTagged ? 1 : found.major == kMap ? found.value * 2 : found.value;
      if (found.value > rest_.size()) return fail();
      for (uint64_t i = 0; i < items && ok_; ++i) skip(depth + 1);
      return;
    }
    default:
      return;
  }
}

}  // namespace sallyport::record
