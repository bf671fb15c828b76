// SPDX-License-Identifier: Apache-2.0
#include "record/terminal.h"

#include <fmt/core.h>

#include <algorithm>

#include "record/cbor.h"
#include "sallyport/base/clock.h"

namespace sallyport::record {
namespace {

size_t length_at(std::string_view text) {
  auto lead = static_cast<uint8_t>(text[0]);
  size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return length <= text.size() && is_utf8(text.substr(0, length)) ? length : 0;
}

uint32_t code_point(std::string_view bytes) {
  auto lead = static_cast<uint8_t>(bytes[0]);
  uint32_t value = bytes.size() == 1 ? lead : lead & (0x7fu >> bytes.size());
  for (char byte : bytes.substr(1)) value = value << 6 | (static_cast<uint8_t>(byte) & 0x3f);
  return value;
}

/// C0, DEL, C1, and the bidirectional controls of UAX 9.
bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::string one_line(std::string_view text, size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= bytes_max) return out + "…";
    size_t length = length_at(text);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    uint32_t c = code_point(text.substr(0, length));
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(c)) {
      out += c < 0x80 ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string indented(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    out.append(indent).append(one_line(text.substr(0, end))).push_back('\n');
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string valid_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    size_t length = length_at(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char byte) { return (static_cast<uint8_t>(byte) & 0xc0) != 0x80; }));
}

std::string format_duration(int64_t ns) {
  if (ns < 1'000'000) return fmt::format("{} us", ns / 1'000);
  if (ns < kNanosPerSecond) return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
  int64_t seconds = ns / kNanosPerSecond;
  if (seconds < 60) return fmt::format("{:.1f} s", static_cast<double>(ns) / 1e9);
  if (seconds < 3'600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3'600, seconds / 60 % 60);
}

std::string format_bytes(uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1'000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows, std::string_view gap, size_t width_max) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], std::min(columns_of(row[i]), width_max));
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      size_t width = columns_of(row[i]);
      out += row[i];
      if (i + 1 == row.size()) break;
      if (width < widths[i]) out.append(widths[i] - width, ' ');
      out += gap;
    }
    out += '\n';
  }
  return out;
}

}  // namespace sallyport::record
