// SPDX-License-Identifier: Apache-2.0
// Bounded reading and writing of network byte order. Bytes travel as std::string_view / std::string:
// every view is borrowed and says at its source until when it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport {

/// Reads fixed-width big-endian integers and C strings from a borrowed range. A read past the end
/// fails the reader for good: every later read gives 0 or empty, and ok() is false. So a caller
/// reads a whole structure and checks once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  uint8_t u8() { return static_cast<uint8_t>(integer(1)); }
  uint16_t u16() { return static_cast<uint16_t>(integer(2)); }
  uint32_t u32() { return static_cast<uint32_t>(integer(4)); }
  uint64_t u64() { return integer(8); }
  int16_t i16() { return static_cast<int16_t>(u16()); }
  int32_t i32() { return static_cast<int32_t>(u32()); }

  /// Exactly `count` bytes, borrowed from the input.
  std::string_view take(size_t count) {
    if (count > rest_.size()) return failed();
    std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  /// Bytes up to a NUL, which is consumed and not returned. No NUL in what is left: failure.
  std::string_view c_string() {
    size_t end = rest_.find('\0');
    if (end == std::string_view::npos) return failed();
    std::string_view taken = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return taken;
  }

 private:
  uint64_t integer(size_t width) {
    uint64_t value = 0;
    for (char byte : take(width)) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }
  std::string_view failed() {
    ok_ = false;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

/// Appends big-endian integers and strings to a string it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(uint16_t value) { integer(value, 2); }
  void u32(uint32_t value) { integer(value, 4); }
  void u64(uint64_t value) { integer(value, 8); }
  void bytes(std::string_view value) { out_.append(value); }
  void c_string(std::string_view value) {
    out_.append(value);
    out_.push_back('\0');
  }
  size_t position() const { return out_.size(); }
  /// Overwrites four bytes written before: a length that is known only now.
  void patch_u32(size_t at, uint32_t value) {
    for (int i = 3; i >= 0; --i, value >>= 8) out_[at + i] = static_cast<char>(value & 0xff);
  }

 private:
  void integer(uint64_t value, int width) {
    for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) out_.push_back(static_cast<char>(value >> shift & 0xff));
  }

  std::string& out_;
};

}  // namespace sallyport
