// SPDX-License-Identifier: Apache-2.0
// Internet addresses as values. IPv4 is held v4-mapped (::ffff:a.b.c.d), so one type serves both.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"

namespace sallyport::model {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  static IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
  /// "10.0.0.1", "fd00::1"; no brackets, no zone.
  static Result<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  bool is_loopback() const;
  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;  ///< host byte order

  /// "10.0.0.1:5432", "[fd00::1]:5432"
  std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

/// An address prefix; for IPv4 `bits` counts from the mapped form: a /24 is 96 + 24.
struct Prefix {
  IpAddress base;
  uint8_t bits = 128;

  /// "10.2.0.0/16", "fd00::/8" or a bare address.
  static Result<Prefix> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
  auto operator<=>(const Prefix&) const = default;
};

}  // namespace sallyport::model
