// SPDX-License-Identifier: Apache-2.0
// One value between the wire and a plain form, for every TypeClass, in both formats. Binary layouts:
// the typsend/typreceive functions of PostgreSQL 15, src/backend/utils/adt.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mask/pg_types.h"

namespace sallyport::mask {

/// What stands for a value of each class:
///   bool    boolean
///   int64   int2, int4, int8, oid · money: hundredths · date: days since 1970-01-01 · time:
///           microseconds · timestamp, timestamptz: microseconds since 1970 (UTC) · interval: days
///   double  float4, float8
///   string  numeric: decimal digits · uuid, macaddr, macaddr8, bytea: raw bytes · inet, cidr: the
///           binary wire form · everything else: the text
using Scalar = std::variant<bool, int64_t, double, std::string>;

/// nullopt: malformed, infinite, or a form that is not read (timetz and interval are only written;
/// dates are read in ISO style).
std::optional<Scalar> decode(TypeClass type, bool binary, std::string_view value);

/// nullopt: the scalar does not fit the type. Text goes out as a server with ISO DateStyle and hex
/// bytea_output would write it.
std::optional<std::string> encode(TypeClass type, const Scalar& scalar, bool binary);

// Beside it, by family.
std::optional<std::string> numeric_text_from_binary(std::string_view value);
std::optional<std::string> numeric_binary_from_text(std::string_view text);
bool is_numeric_text(std::string_view text);
std::optional<int64_t> parse_date(std::string_view text);
std::optional<int64_t> parse_time(std::string_view text);
std::optional<int64_t> parse_timestamp(std::string_view text, bool with_zone);
std::string format_date(int64_t days);
std::string format_time_of_day(int64_t micros);
std::optional<std::string> parse_inet(std::string_view text, bool cidr);
std::optional<std::string> format_inet(std::string_view wire, bool cidr);

inline constexpr int64_t kMicrosPerDay = 86'400'000'000;
/// PostgreSQL counts from 2000-01-01.
inline constexpr int64_t kPgEpochDays = 10'957;

}  // namespace sallyport::mask
