// SPDX-License-Identifier: Apache-2.0
#include "sallyport/model/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sallyport::model {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  IpAddress out;
  std::ranges::copy(kMapped, out.bytes.begin());
  out.bytes[12] = a, out.bytes[13] = b, out.bytes[14] = c, out.bytes[15] = d;
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  IpAddress out;
  in_addr four{};
  if (inet_pton(AF_INET, terminated.c_str(), &four) == 1) {
    std::ranges::copy(kMapped, out.bytes.begin());
    std::memcpy(out.bytes.data() + 12, &four, 4);
    return out;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), out.bytes.data()) == 1) return out;
  return fail(fmt::format("`{}` is not an IP address", text));
}

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes[12] == 127;
  return std::all_of(bytes.begin(), bytes.end() - 1, [](uint8_t b) { return b == 0; }) && bytes[15] == 1;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  if (is_v4()) return inet_ntop(AF_INET, bytes.data() + 12, text, sizeof text);
  return inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
}

std::string Endpoint::to_string() const {
  if (address.is_v4()) return fmt::format("{}:{}", address.to_string(), port);
  return fmt::format("[{}]:{}", address.to_string(), port);
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const size_t slash = text.find('/');
  auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return std::unexpected(base.error());
  const unsigned width = base->is_v4() ? 32 : 128;
  unsigned bits = width;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits > width)
      return fail(fmt::format("`{}`: the prefix length must be 0 to {}", text, width));
  }
  Prefix out{*base, static_cast<uint8_t>(128 - width + bits)};
  for (unsigned bit = out.bits; bit < 128; ++bit)
    if (out.base.bytes[bit / 8] & (0x80 >> bit % 8))
      return fail(fmt::format("`{}` has bits set behind its prefix", text));
  return out;
}

bool Prefix::contains(const IpAddress& address) const {
  const size_t whole = bits / 8;
  if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) return false;
  if (bits % 8 == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff << (8 - bits % 8));
  return (base.bytes[whole] & mask) == (address.bytes[whole] & mask);
}

}  // namespace sallyport::model
