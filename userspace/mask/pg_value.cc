// SPDX-License-Identifier: Apache-2.0
#include "mask/pg_value.h"

#include <fmt/core.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sallyport/base/bytes.h"

namespace sallyport::mask {
namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> unhex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

/// Hex digits in groups, any of `separators` between them.
std::optional<std::string> grouped_hex(std::string_view text, std::string_view separators, size_t bytes) {
  std::string digits;
  for (char letter : text) {
    if (separators.find(letter) == std::string_view::npos) digits.push_back(letter);
  }
  if (digits.size() != bytes * 2) return std::nullopt;
  return unhex(digits);
}

/// Width in bytes of the integer that the binary format of a type is; 0: it is none.
size_t integer_width(TypeClass type) {
  switch (type) {
    case TypeClass::int2:
      return 2;
    case TypeClass::int4:
    case TypeClass::oid:
    case TypeClass::date:
      return 4;
    case TypeClass::int8:
    case TypeClass::money:
    case TypeClass::time:
    case TypeClass::timestamp:
    case TypeClass::timestamptz:
      return 8;
    default:
      return 0;
  }
}

bool fits(TypeClass type, int64_t value) {
  if (type == TypeClass::oid) return value >= 0 && value <= std::numeric_limits<uint32_t>::max();
  switch (integer_width(type)) {
    case 2:
      return value >= std::numeric_limits<int16_t>::min() && value <= std::numeric_limits<int16_t>::max();
    case 4:
      return value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max();
    default:
      return true;
  }
}

/// From the wire's epoch (2000-01-01) to ours; nullopt for infinities.
std::optional<int64_t> from_wire_epoch(TypeClass type, int64_t value) {
  if (type == TypeClass::date) {
    if (value == std::numeric_limits<int32_t>::max() || value == std::numeric_limits<int32_t>::min()) return {};
    return value + kPgEpochDays;
  }
  if (type == TypeClass::timestamp || type == TypeClass::timestamptz) {
    if (value > std::numeric_limits<int64_t>::max() - kPgEpochDays * kMicrosPerDay) return {};
    if (value == std::numeric_limits<int64_t>::min()) return {};
    return value + kPgEpochDays * kMicrosPerDay;
  }
  return value;
}

int64_t to_wire_epoch(TypeClass type, int64_t value) {
  if (type == TypeClass::date) return value - kPgEpochDays;
  if (type == TypeClass::timestamp || type == TypeClass::timestamptz) return value - kPgEpochDays * kMicrosPerDay;
  return value;
}

std::optional<Scalar> decode_integer_binary(TypeClass type, std::string_view value) {
  ByteReader reader(value);
  int64_t number = 0;
  switch (integer_width(type)) {
    case 2:
      number = reader.i16();
      break;
    case 4:
      number = type == TypeClass::oid ? static_cast<int64_t>(reader.u32()) : reader.i32();
      break;
    default:
      number = static_cast<int64_t>(reader.u64());
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return from_wire_epoch(type, number);
}

std::optional<Scalar> decode_binary(TypeClass type, std::string_view value) {
  if (integer_width(type) != 0) return decode_integer_binary(type, value);
  switch (type) {
    case TypeClass::boolean:
      if (value.size() != 1) return std::nullopt;
      return Scalar(value[0] != 0);
    case TypeClass::float4: {
      if (value.size() != 4) return std::nullopt;
      return Scalar(static_cast<double>(std::bit_cast<float>(ByteReader(value).u32())));
    }
    case TypeClass::float8:
      if (value.size() != 8) return std::nullopt;
      return Scalar(std::bit_cast<double>(ByteReader(value).u64()));
    case TypeClass::numeric:
      return numeric_text_from_binary(value);
    case TypeClass::uuid:
      if (value.size() != 16) return std::nullopt;
      return Scalar(std::string(value));
    case TypeClass::jsonb:  // jsonb_send: a version byte, then the text
      if (value.empty() || value[0] != 1) return std::nullopt;
      return Scalar(std::string(value.substr(1)));
    case TypeClass::inet:
    case TypeClass::cidr:
      if (!format_inet(value, type == TypeClass::cidr)) return std::nullopt;
      return Scalar(std::string(value));
    case TypeClass::macaddr:
    case TypeClass::macaddr8:
      if (value.size() != (type == TypeClass::macaddr ? 6 : 8)) return std::nullopt;
      return Scalar(std::string(value));
    case TypeClass::interval:
    case TypeClass::timetz:
      return std::nullopt;
    default:
      return Scalar(std::string(value));
  }
}

std::optional<Scalar> decode_integer_text(TypeClass type, std::string_view value) {
  std::optional<int64_t> number;
  switch (type) {
    case TypeClass::date:
      number = parse_date(value);
      break;
    case TypeClass::time:
      number = parse_time(value);
      break;
    case TypeClass::timestamp:
    case TypeClass::timestamptz:
      number = parse_timestamp(value, type == TypeClass::timestamptz);
      break;
    case TypeClass::money:  // its text depends on lc_monetary
      return std::nullopt;
    default:
      number = parse_number<int64_t>(value);
  }
  if (!number || !fits(type, *number)) return std::nullopt;
  return *number;
}

std::optional<Scalar> decode_text(TypeClass type, std::string_view value) {
  if (integer_width(type) != 0) return decode_integer_text(type, value);
  switch (type) {
    case TypeClass::boolean:
      if (value == "t" || value == "true") return Scalar(true);
      if (value == "f" || value == "false") return Scalar(false);
      return std::nullopt;
    case TypeClass::float4: {
      auto number = parse_number<float>(value);  // parsed as float: the shortest text comes back
      return number ? std::optional<Scalar>(static_cast<double>(*number)) : std::nullopt;
    }
    case TypeClass::float8:
      return parse_number<double>(value);
    case TypeClass::numeric:
      if (!is_numeric_text(value)) return std::nullopt;
      return Scalar(std::string(value));
    case TypeClass::uuid:
      return grouped_hex(value, "-", 16);
    case TypeClass::macaddr:
      return grouped_hex(value, ":-.", 6);
    case TypeClass::macaddr8:
      return grouped_hex(value, ":-.", 8);
    case TypeClass::bytea:
      if (!value.starts_with("\\x")) return std::nullopt;
      return unhex(value.substr(2));
    case TypeClass::inet:
    case TypeClass::cidr:
      return parse_inet(value, type == TypeClass::cidr);
    case TypeClass::interval:
    case TypeClass::timetz:
      return std::nullopt;
    case TypeClass::char1:
      if (value.size() > 1) return std::nullopt;
      return Scalar(std::string(value));
    default:
      return Scalar(std::string(value));
  }
}

std::string integer_binary(TypeClass type, int64_t value) {
  std::string out;
  ByteWriter writer(out);
  switch (integer_width(type)) {
    case 2:
      writer.u16(static_cast<uint16_t>(value));
      break;
    case 4:
      writer.u32(static_cast<uint32_t>(value));
      break;
    default:
      writer.u64(static_cast<uint64_t>(value));
  }
  return out;
}

std::optional<std::string> encode_integer(TypeClass type, int64_t value, bool binary) {
  if (type == TypeClass::interval) {
    if (!binary) return value == 0 ? "00:00:00" : std::to_string(value) + (value == 1 ? " day" : " days");
    std::string out(16, '\0');  // microseconds, days, months
    ByteWriter(out).patch_u32(8, static_cast<uint32_t>(value));
    return out;
  }
  if (type == TypeClass::timetz) {
    if (!binary) return format_time_of_day(value) + "+00";
    return integer_binary(TypeClass::time, value) + std::string(4, '\0');
  }
  if (binary) {
    int64_t wire = to_wire_epoch(type, value);
    if (!fits(type, wire)) return std::nullopt;
    return integer_binary(type, wire);
  }
  int64_t days = value >= 0 ? value / kMicrosPerDay : -((-value + kMicrosPerDay - 1) / kMicrosPerDay);
  switch (type) {
    case TypeClass::money: {
      return fmt::format("${}.{:02}", value / 100, value % 100);
    }
    case TypeClass::date:
      return format_date(value);
    case TypeClass::time:
      return format_time_of_day(value);
    case TypeClass::timestamp:
      return fmt::format("{} {}", format_date(days), format_time_of_day(value - days * kMicrosPerDay));
    case TypeClass::timestamptz:
      return fmt::format("{} {}+00", format_date(days), format_time_of_day(value - days * kMicrosPerDay));
    default:
      return std::to_string(value);
  }
}

std::optional<std::string> encode_double(TypeClass type, double value, bool binary) {
  std::string out;
  bool single = type == TypeClass::float4;
  if (binary) {
    if (single) {
      ByteWriter(out).u32(std::bit_cast<uint32_t>(static_cast<float>(value)));
    } else {
      ByteWriter(out).u64(std::bit_cast<uint64_t>(value));
    }
    return out;
  }
  char digits[32];
  auto end = single ? std::to_chars(digits, digits + sizeof digits, static_cast<float>(value)).ptr
                    : std::to_chars(digits, digits + sizeof digits, value).ptr;
  return std::string(digits, end);
}

std::string grouped(std::string_view digits, std::initializer_list<size_t> groups, char separator) {
  std::string out;
  for (size_t group : groups) {
    if (!out.empty()) out.push_back(separator);
    out.append(digits.substr(0, group));
    digits.remove_prefix(group);
  }
  return out;
}

std::optional<std::string> encode_string(TypeClass type, const std::string& value, bool binary) {
  switch (type) {
    case TypeClass::numeric:
      return binary ? numeric_binary_from_text(value) : std::optional(value);
    case TypeClass::jsonb:
    case TypeClass::json:
      if (!nlohmann::json::accept(value)) return std::nullopt;
      return binary && type == TypeClass::jsonb ? std::string(1, '\x01').append(value) : value;
    case TypeClass::char1:
      return value.size() <= 1 ? std::optional(value) : std::nullopt;
    case TypeClass::inet:
    case TypeClass::cidr:
      return binary ? std::optional(value) : format_inet(value, type == TypeClass::cidr);
    default:
      break;
  }
  if (binary) return value;
  switch (type) {
    case TypeClass::uuid:
      return grouped(hex(value), {8, 4, 4, 4, 12}, '-');
    case TypeClass::macaddr:
      return grouped(hex(value), {2, 2, 2, 2, 2, 2}, ':');
    case TypeClass::macaddr8:
      return grouped(hex(value), {2, 2, 2, 2, 2, 2, 2, 2}, ':');
    case TypeClass::bytea:
      return fmt::format("\\x{}", hex(value));
    default:
      return value;
  }
}

}  // namespace

std::optional<Scalar> decode(TypeClass type, bool binary, std::string_view value) {
  return binary ? decode_binary(type, value) : decode_text(type, value);
}

std::optional<std::string> encode(TypeClass type, const Scalar& scalar, bool binary) {
  if (const bool* truth = std::get_if<bool>(&scalar)) {
    if (binary) return std::string(1, *truth ? '\1' : '\0');
    return *truth ? "t" : "f";
  }
  if (const int64_t* number = std::get_if<int64_t>(&scalar)) return encode_integer(type, *number, binary);
  if (const double* number = std::get_if<double>(&scalar)) return encode_double(type, *number, binary);
  return encode_string(type, std::get<std::string>(scalar), binary);
}

}  // namespace sallyport::mask
