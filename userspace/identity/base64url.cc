// SPDX-License-Identifier: Apache-2.0
#include "base64url.h"

#include <array>
#include <cstdint>

namespace sallyport::identity {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr int8_t kNone = -1;

constexpr std::array<int8_t, 256> make_values() {
  std::array<int8_t, 256> out{};
  out.fill(kNone);
  for (size_t i = 0; i < kAlphabet.size(); ++i) out[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return out;
}
constexpr std::array<int8_t, 256> kValues = make_values();

}  // namespace

std::optional<std::string> decode_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return {};
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    const int8_t value = kValues[static_cast<uint8_t>(c)];
    if (value == kNone) return {};
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xff));
  }
  if (bits & ((1u << held) - 1)) return {};
  return out;
}

}  // namespace sallyport::identity
