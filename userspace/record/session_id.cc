// SPDX-License-Identifier: Apache-2.0
#include "sallyport/record/session_id.h"

#include <openssl/rand.h>

#include "sallyport/base/check.h"
#include "sallyport/base/clock.h"

namespace sallyport::record {
namespace {

constexpr std::string_view kLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kIdLetters = 26;
constexpr size_t kTimeBytes = 6;

constexpr auto kDigits = [] {
  std::array<int8_t, 256> digits{};
  digits.fill(-1);
  for (size_t i = 0; i < kLetters.size(); ++i) {
    const char letter = kLetters[i];
    digits[static_cast<uint8_t>(letter)] = static_cast<int8_t>(i);
    if (letter >= 'A') digits[static_cast<uint8_t>(letter - 'A' + 'a')] = static_cast<int8_t>(i);
  }
  return digits;
}();

int digit_of(char letter) { return kDigits[static_cast<uint8_t>(letter)]; }

}  // namespace

model::SessionId make_session_id(int64_t wall_ns, const std::array<uint8_t, 10>& random) {
  std::array<uint8_t, 16> bytes{};
  auto millis = static_cast<uint64_t>(wall_ns / kNanosPerMilli);
  for (size_t i = 0; i < kTimeBytes; ++i) bytes[i] = static_cast<uint8_t>(millis >> (kTimeBytes - 1 - i) * 8);
  for (size_t i = 0; i < random.size(); ++i) bytes[kTimeBytes + i] = random[i];
  return session_id_from_bytes(bytes);
}

model::SessionId make_session_id(int64_t wall_ns) {
  std::array<uint8_t, 10> random{};
  SP_CHECK(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1);
  return make_session_id(wall_ns, random);
}

model::SessionId session_id_from_bytes(const std::array<uint8_t, 16>& bytes) {
  // 130 bits for 128: the first letter holds the first three bits.
  model::SessionId id;
  id.reserve(kIdLetters);
  uint32_t bits = 0;
  int held = 2;
  for (uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (held += 8; held >= 5; held -= 5) id.push_back(kLetters[bits >> (held - 5) & 31]);
  }
  return id;
}

std::optional<std::array<uint8_t, 16>> session_id_bytes(std::string_view id) {
  if (id.size() != kIdLetters || digit_of(id[0]) > 7) return std::nullopt;
  std::array<uint8_t, 16> bytes{};
  uint32_t bits = 0;
  int held = -2;
  size_t at = 0;
  for (char letter : id) {
    int digit = digit_of(letter);
    if (digit < 0) return std::nullopt;
    bits = bits << 5 | static_cast<uint32_t>(digit);
    held += 5;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = static_cast<uint8_t>(bits >> held);
    }
  }
  return bytes;
}

int64_t session_id_wall_ns(std::string_view id) {
  auto bytes = session_id_bytes(id);
  if (!bytes) return 0;
  int64_t millis = 0;
  for (size_t i = 0; i < kTimeBytes; ++i) millis = millis << 8 | (*bytes)[i];
  return millis * kNanosPerMilli;
}

}  // namespace sallyport::record
