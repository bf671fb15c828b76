// SPDX-License-Identifier: Apache-2.0
// The part of CBOR (RFC 8949) that payloads are written in: unsigned and negative integers, byte and
// text strings, arrays, maps, false, true, null; definite lengths only. Reading skips whatever else
// a later version may add.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::record {

class CborWriter {
 public:
  explicit CborWriter(std::string& out) : out_(out) {}

  void integer(int64_t value);
  void unsigned_integer(uint64_t value) { head(0, value); }
  /// A text string if it is UTF-8, else a byte string: readers take either.
  void string(std::string_view value);
  void bytes(std::string_view value);
  void boolean(bool value) { out_.push_back(value ? '\xf5' : '\xf4'); }
  void null() { out_.push_back('\xf6'); }
  void array(size_t count) { head(4, count); }
  void map(size_t count) { head(5, count); }

 private:
  void head(uint8_t major, uint64_t value) {
    if (value < 24)
      out_.push_back(static_cast<char>(major << 5 | value));
    else
      long_head(major, value);
  }
  void long_head(uint8_t major, uint64_t value);
  std::string& out_;
};

/// Reads items in the order in which they stand. A failure is for good, as ByteReader's.
class CborReader {
 public:
  explicit CborReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  uint64_t unsigned_integer();
  int64_t integer();
  bool boolean();
  /// A text or byte string, borrowed from the input.
  std::string_view string();
  /// nullopt for null.
  std::optional<std::string_view> string_or_null();
  /// Number of items, never more than there are bytes left.
  size_t array();
  size_t map();
  /// Steps over one item of any kind; fails when nested deeper than limits::kRecordNestingMax.
  void skip(int depth = 0);

 private:
  struct Head {
    uint8_t major = 0xff;
    uint8_t info = 0;
    uint64_t value = 0;
  };
  Head head();
  Head expect(uint8_t major);
  std::string_view take(uint64_t count);
  uint8_t peek() const { return rest_.empty() ? 0xff : static_cast<uint8_t>(rest_[0]); }

  std::string_view rest_;
  bool ok_ = true;
};

bool is_utf8(std::string_view text);

}  // namespace sallyport::record
