// SPDX-License-Identifier: Apache-2.0
// The list of detectors, and the pass that tells which may find anything.
#include "mask/detectors.h"

#include <algorithm>
#include <cstring>

#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

// Those that are not rows of id_rules().
constexpr DetectorKind kKinds[] = {
    {"api-key", make_api_key_detector},
    {"crypto-address", make_crypto_address_detector},
    {"email", make_email_detector, TextKind::email},
    {"iban", make_iban_detector},
    {"ip-address", make_ip_address_detector},
    {"jwt", make_jwt_detector},
    {"payment-card", make_payment_card_detector, TextKind::payment_card},
    {"phone", make_phone_detector},
    {"private-key", make_private_key_detector},
    {"url", make_url_detector},
};

std::vector<DetectorKind> all_kinds() {
  std::vector<DetectorKind> kinds(std::begin(kKinds), std::end(kKinds));
  for (const IdRule& rule : id_rules()) {
    if (kinds.back().type != rule.type) kinds.push_back({rule.type, nullptr});
  }
  std::ranges::sort(kinds, {}, &DetectorKind::type);
  return kinds;
}

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighs = 0x8080808080808080;

constexpr uint64_t repeat(char c) { return kOnes * static_cast<uint8_t>(c); }

/// Non-zero when one of eight bytes is zero. Exact about whether, not about which.
constexpr uint64_t has_zero(uint64_t word) { return (word - kOnes) & ~word & kHighs; }

/// High bits of those bytes below 0x80 that lie in [low, high].
constexpr uint64_t in_range(uint64_t word, uint8_t low, uint8_t high) {
  uint64_t plain = word & ~kHighs;
  uint64_t at_least = plain + kOnes * (0x80u - low);
  uint64_t above = plain + kOnes * (0x7fu - high);
  return at_least & ~above & ~word & kHighs;
}

constexpr int kCardDigits = 13;
constexpr int kNumberDigits = 7;

/// How many high bits are set.
constexpr int count(uint64_t highs) { return static_cast<int>((highs >> 7) * kOnes >> 56); }

/// Adds a word's traits; gives its digits.
int add_traits(uint64_t word, uint32_t& traits) {
  uint64_t digits = in_range(word, '0', '9');
  if (has_zero(word ^ repeat('@'))) traits |= kTraitAt;
  uint64_t colons = has_zero(word ^ repeat(':'));
  if (has_zero(word ^ repeat('=')) | colons | has_zero(word ^ repeat('>'))) traits |= kTraitAssign;
  if (colons) traits |= kTraitColon;
  if (has_zero(word ^ repeat('.'))) traits |= kTraitDot;
  if (in_range(word | repeat(' '), 'a', 'z')) traits |= kTraitLetter;
  if (!in_range(word, 0, 0x20)) traits |= kTraitLong;
  return count(digits);
}

}  // namespace

std::span<const DetectorKind> detector_kinds() {
  static const std::vector<DetectorKind> kAll = all_kinds();
  return kAll;
}

uint32_t text_traits(std::string_view text) {
  uint32_t traits = 0;
  int64_t digits = 0;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    digits += add_traits(word, traits);
  }
  if (at < text.size()) {  // filled up with spaces, which have no trait
    uint64_t word = repeat(' ');
    std::memcpy(&word, text.data() + at, text.size() - at);
    digits += add_traits(word, traits);
  }
  if (digits > 0) traits |= kTraitDigit;
  if (digits >= kNumberDigits) traits |= kTraitDigits;
  if (digits >= kCardDigits) traits |= kTraitCardDigits;
  return traits;
}

}  // namespace sallyport::mask
