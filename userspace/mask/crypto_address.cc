// SPDX-License-Identifier: Apache-2.0
// Addresses and keys on chains, by their check sums: Base58Check (Bitcoin and its kin, Tron, Ripple; private and
// extended keys), bech32 (Bitcoin, Lightning, Cardano, Cosmos, Nostr), hexadecimal with or without ERC-55's case
// (Ethereum and its kin).
#include <algorithm>

#include "mask/base58.h"
#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

constexpr size_t kAddressMin = 25;
constexpr size_t kAddressMax = 120;
constexpr size_t kHexDigits = 40;

bool is_part(char c) { return is_ascii_alnum(c) || c == '_'; }

float score_hex(std::string_view digits) {
  if (digits.size() != kHexDigits || !std::ranges::all_of(digits, is_hex) || all_same(digits)) return 0;
  bool lower = std::ranges::any_of(digits, [](char c) { return c >= 'a' && c <= 'f'; });
  bool upper = std::ranges::any_of(digits, [](char c) { return c >= 'A' && c <= 'F'; });
  if (lower && upper) return is_eip55(digits) ? kProven : kWeak;
  return kShaped;
}

float score_of(std::string_view word) {
  if (word.starts_with("0x")) return score_hex(word.substr(2));
  if (word.size() <= 35 && word[0] == 'r' && is_base58check(word, true)) return kProven;
  static constexpr std::string_view kFirst = "123LMmn9ADKTtXxc5QyzUuV";
  bool base58 = kFirst.find(word[0]) != std::string_view::npos && is_base58check(word, false);
  return base58 || is_bech32(word) ? kProven : 0;
}

class CryptoAddressDetector final : public Detector {
 public:
  explicit CryptoAddressDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return (traits & kTraitLong) && (traits & kTraitDigit); }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    size_t at = start;
    if (at > 0 && at < text.size() && is_part(text[at - 1])) {
      while (at < text.size() && is_part(text[at])) ++at;
    }
    while (at + kAddressMin <= text.size()) {
      // From its last byte backwards: where one is no part, no address begins before it.
      size_t last = at + kAddressMin;
      while (last > at && is_part(text[last - 1])) --last;
      if (last > at) {
        at = last;
        continue;
      }
      size_t end = at + kAddressMin;
      while (end < text.size() && is_part(text[end])) ++end;
      float score = end - at <= kAddressMax ? score_of(text.substr(at, end - at)) : 0;
      if (score > 0) {
        if (score < 1 && has_context(text, at, "wallet|address|ether|eth|contract|account")) score += kContext;
        out.push_back({at, end, at, end - at, std::min(score, 1.0F), rule_});
      }
      at = end;
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t least = text.size() - std::min(text.size(), kAddressMax + 1);
    size_t begin = text.size();
    while (begin > least && is_part(text[begin - 1])) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view) const override { return 0; }

 private:
  uint32_t rule_;
};

}  // namespace

std::unique_ptr<Detector> make_crypto_address_detector(const Wanted& wanted) {
  return std::make_unique<CryptoAddressDetector>(wanted.rule);
}

}  // namespace sallyport::mask
