// SPDX-License-Identifier: Apache-2.0
// International bank account numbers (ISO 13616, SWIFT's registry of lengths): solid or in groups with one kind of
// separator, all of one case.
#include "mask/iban.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "mask/check_digits.h"

namespace sallyport::mask {
namespace {

constexpr size_t kIbanMax = 34;
constexpr std::string_view kSeparators = " -.";
constexpr size_t kSeparatorsMax = 10;
constexpr size_t kOddLettersMax = 8;

struct Country {
  char code[3];
  uint8_t length;
};

// Sorted by code.
constexpr Country kCountries[] = {
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22}, {"BH", 22},
    {"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22}, {"DJ", 27},
    {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FK", 18}, {"FO", 18}, {"FR", 27},
    {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28},
    {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26}, {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28},
    {"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22},
    {"MK", 19}, {"MN", 20}, {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23},
    {"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
    {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25}, {"SV", 28},
    {"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20}, {"YE", 30}};

/// 0: no country of the registry.
size_t length_of(std::string_view code) {
  auto found =
      std::ranges::lower_bound(kCountries, code, {}, [](const Country& one) { return std::string_view(one.code); });
  return found != std::end(kCountries) && code == found->code ? found->length : 0;
}

}  // namespace

size_t iban_end(std::string_view text, size_t at) {
  std::array<char, 2> code = {ascii_upper(text[at]), ascii_upper(text[at + 1])};
  size_t length = length_of({code.data(), 2});
  if (length == 0) return at;
  std::array<char, kIbanMax> value{};
  size_t size = 0;
  size_t end = at;
  char separator = 0;
  size_t fours = 0;  // separators behind four
  size_t others = 0;
  size_t upper = 0;
  size_t lower = 0;
  for (; size < length && end < text.size(); ++end) {
    char c = text[end];
    if (is_ascii_alnum(c)) {
      upper += c >= 'A' && c <= 'Z';
      lower += c >= 'a' && c <= 'z';
      value[size++] = ascii_upper(c);
      continue;
    }
    bool separates = kSeparators.find(c) != std::string_view::npos && (separator == 0 || separator == c);
    if (!separates || !is_ascii_alnum(text[end - 1]) || fours + others == kSeparatorsMax) return at;
    separator = c;
    ++(size % 4 == 0 ? fours : others);
  }
  if (size < length || (upper > 0 && lower > 0)) return at;
  if (end < text.size() && (is_ascii_alnum(text[end]) || text[end] == '_')) return at;
  // In other groups than fours words with a number among them look like one.
  bool printed = fours + others == 0 || (others == 0 && fours == (length - 1) / 4);
  if (!printed && (lower > 0 || upper > kOddLettersMax)) return at;
  std::rotate(value.begin(), value.begin() + 4, value.begin() + static_cast<std::ptrdiff_t>(length));
  return mod_97({value.data(), length}) == 1 ? end : at;
}

}  // namespace sallyport::mask
