// SPDX-License-Identifier: Apache-2.0
// Payment cards (ISO/IEC 7812): 13 to 19 digits whose last is Luhn's and whose first name an issuer
// that exists. Written solid, or in groups with one kind of separator; with dots only in the groups that are printed.
#include <algorithm>
#include <array>
#include <span>

#include "mask/check_digits.h"
#include "mask/detector.h"

namespace sallyport::mask {
namespace {

constexpr size_t kCardDigitsMin = 13;
constexpr size_t kCardDigitsMax = 19;
constexpr size_t kGroupsMax = 19;

bool is_digit(char c) { return is_ascii_digit(c); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_separator(char c) { return c == ' ' || c == '-' || c == '.'; }

struct IssuerRange {
  int from, to;  // the first six digits
  uint8_t digits_min, digits_max;
};

// Networks' published ranges.
constexpr IssuerRange kIssuers[] = {
    {400000, 499999, 13, 19},  // Visa
    {510000, 559999, 16, 16},  // Mastercard
    {222100, 272099, 16, 16},  // Mastercard
    {220000, 220499, 16, 19},  // Mir
    {340000, 349999, 15, 15},  // American Express
    {370000, 379999, 15, 15},  // American Express
    {300000, 305999, 14, 19},  // Diners
    {309500, 309599, 14, 19},  // Diners
    {360000, 369999, 14, 19},  // Diners
    {380000, 399999, 14, 19},  // Diners
    {352800, 358999, 16, 19},  // JCB
    {601100, 601199, 16, 19},  // Discover
    {622000, 629999, 16, 19},  // UnionPay, Discover
    {640000, 659999, 16, 19},  // Discover, RuPay, Elo
    {810000, 829999, 16, 19},  // UnionPay, RuPay
    {500000, 509999, 13, 19},  // Maestro, Elo, RuPay
    {560000, 589999, 13, 19},  // Maestro
    {600000, 639999, 13, 19},  // Maestro, Hipercard, InterPayment
    {660000, 699999, 13, 19},  // Maestro
    {100000, 199999, 15, 15},  // UATP
};

bool plausible(std::string_view digits) {
  if (digits.size() < kCardDigitsMin || digits.size() > kCardDigitsMax) return false;
  int first = 0;
  for (char digit : digits.substr(0, 6)) first = first * 10 + digit - '0';
  bool issued = std::ranges::any_of(kIssuers, [&](const IssuerRange& range) {
    return first >= range.from && first <= range.to && digits.size() >= range.digits_min &&
           digits.size() <= range.digits_max;
  });
  return issued && luhn(digits);
}

/// How cards are printed; other groupings count only when they stand alone.
bool printed_grouping(std::span<const size_t> groups) {
  static constexpr std::array<size_t, 5> kPrinted[] = {
      {4, 4, 4, 4, 0}, {4, 4, 4, 4, 3}, {4, 6, 5, 0, 0}, {4, 6, 4, 0, 0}, {4, 5, 6, 0, 0}, {4, 4, 4, 1, 0},
      {4, 4, 4, 3, 0}, {4, 4, 5, 0, 0}, {4, 4, 4, 4, 2}, {4, 4, 4, 4, 1}, {6, 13, 0, 0, 0}};
  return std::ranges::any_of(kPrinted, [&](const auto& printed) {
    size_t count = static_cast<size_t>(std::ranges::count_if(printed, [](size_t n) { return n > 0; }));
    return std::ranges::equal(groups, std::span(printed).first(count));
  });
}

class PaymentCardDetector final : public Detector {
 public:
  explicit PaymentCardDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return traits & kTraitCardDigits; }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    size_t at = start;
    while (at > 0 && at < text.size() && is_digit(text[at - 1]) && is_digit(text[at])) ++at;
    while (at < text.size()) {
      if (!is_digit(text[at])) {
        ++at;
        continue;
      }
      if (!starts_number(text, at)) {
        while (at < text.size() && is_digit(text[at])) ++at;
        continue;
      }
      size_t end = card_end(text, at);
      if (end > at) out.push_back({at, end, at, end - at, 1, rule_});
      size_t next = end;
      while (end == at && next < text.size() && is_digit(text[next])) ++next;
      at = next;
    }
  }

  size_t hold_from(std::string_view text) const override {
    // The longest card: every digit a group of its own.
    size_t least = text.size() - std::min(text.size(), 2 * kCardDigitsMax + kLeadBytes);
    size_t begin = text.size();
    while (begin > least && (is_digit(text[begin - 1]) || is_separator(text[begin - 1]))) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view) const override { return 0; }

 private:
  /// Not within a word, and not the decimals of a number.
  static bool starts_number(std::string_view text, size_t at) {
    if (at == 0) return true;
    char before = text[at - 1];
    if (is_letter(before)) return before == 'B' && at >= 2 && text[at - 2] == '%';  // a magnetic stripe's first track
    return before != '.' || at < 2 || !is_digit(text[at - 2]);
  }

  /// Where the longest card that begins at `at` ends; `at`: none does.
  static size_t card_end(std::string_view text, size_t at) {
    std::array<char, kCardDigitsMax> digits{};
    std::array<size_t, kGroupsMax> groups{};
    size_t digit_count = 0;
    size_t group_count = 0;
    char separator = 0;
    size_t best = at;
    bool alone = at < 2 || !is_digit(text[at - 2]) || !is_separator(text[at - 1]);
    for (size_t i = at;;) {
      size_t begin = i;
      while (i < text.size() && is_digit(text[i]) && digit_count < digits.size()) digits[digit_count++] = text[i++];
      if (i == begin || (i < text.size() && is_digit(text[i]))) break;  // more digits than a card has
      groups[group_count++] = i - begin;
      bool ends = i == text.size() || !is_letter(text[i]);
      bool more = i + 1 < text.size() && is_separator(text[i]) && is_digit(text[i + 1]);
      std::span<const size_t> shape(groups.data(), group_count);
      auto shaped = [&] { return group_count == 1 || (alone && !more && separator != '.') || printed_grouping(shape); };
      if (ends && plausible({digits.data(), digit_count}) && shaped()) best = i;
      if (!more || group_count == kGroupsMax || (separator != 0 && text[i] != separator)) break;
      separator = text[i++];
    }
    return best;
  }

  uint32_t rule_;
};

}  // namespace

std::unique_ptr<Detector> make_payment_card_detector(const Wanted& wanted) {
  return std::make_unique<PaymentCardDetector>(wanted.rule);
}

}  // namespace sallyport::mask
