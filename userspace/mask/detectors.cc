// SPDX-License-Identifier: Apache-2.0
// The list of detectors, and the pass that tells which may find anything.
#include "mask/detectors.h"

#include <algorithm>

#include "mask/byte_vector.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

// Those that are not rows of id_rules().
constexpr DetectorKind kKinds[] = {
    {"api-key", make_api_key_detector},
    {"crypto-address", make_crypto_address_detector},
    {"email", make_email_detector, TextKind::email},
    {"iban", nullptr},  // found by the detector of id_rules(), on the same way
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

constexpr int kCardDigits = 13;
constexpr int kNumberDigits = 7;
constexpr size_t kCountedVectors = 255;  // a byte's worth of counting

int sum_of(ByteVector counts) {
  int sum = 0;
  for (size_t i = 0; i < kVectorBytes; ++i) sum += counts[i];
  return sum;
}

/// What was seen of each kind, a byte a place.
struct Seen {
  ByteVector at{}, assign{}, colon{}, dot{}, letter{}, digits{};
  bool is_long = false;

  void add(ByteVector bytes) {
    ByteVector colons = equal_to(bytes, ':');
    at |= equal_to(bytes, '@');
    colon |= colons;
    assign |= equal_to(bytes, '=') | equal_to(bytes, '>') | colons;
    dot |= equal_to(bytes, '.');
    letter |= letters_of(bytes);
    digits -= digits_of(bytes);  // 0xff is one less
    VectorHalves printed = halves(ByteVector(bytes > uint8_t{' '}));
    is_long = is_long || printed.low == ~uint64_t{0} || printed.high == ~uint64_t{0};
  }

  uint32_t traits(int digit_count) const {
    auto when = [](bool seen, uint32_t trait) { return seen ? trait : 0U; };
    return when(any(at), kTraitAt) | when(any(assign), kTraitAssign) | when(any(colon), kTraitColon) |
           when(any(dot), kTraitDot) | when(any(letter), kTraitLetter) | when(is_long, kTraitLong) |
           when(digit_count > 0, kTraitDigit) | when(digit_count >= kNumberDigits, kTraitDigits) |
           when(digit_count >= kCardDigits, kTraitCardDigits);
  }
};

}  // namespace

std::span<const DetectorKind> detector_kinds() {
  static const std::vector<DetectorKind> kAll = all_kinds();
  return kAll;
}

uint32_t text_traits(std::string_view text) {
  Seen seen;
  int digits = 0;
  size_t vectors = 0;
  for (size_t at = 0; at < text.size(); at += kVectorBytes) {
    seen.add(load_bytes(text, at));
    if (++vectors % kCountedVectors != 0) continue;
    digits = std::min(kCardDigits, digits + sum_of(seen.digits));
    seen.digits = ByteVector{};
  }
  // Counting matters only where there are digits.
  if (any(seen.digits)) digits += sum_of(seen.digits);
  return seen.traits(digits);
}

}  // namespace sallyport::mask
