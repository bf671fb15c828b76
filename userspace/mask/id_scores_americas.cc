// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "mask/check_digits.h"
#include "mask/id_rules.h"
#include "mask/id_scores.h"

namespace sallyport::mask {

// SSA: no area 000, 666 or 9xx, no group 00, no serial 0000. Two were printed in advertisements and never given out.
float score_us_ssn(std::string_view value, bool solid) {
  int area = number_at(value, 0, 3);
  if (area == 0 || area == 666 || area >= 900 || value.substr(3, 2) == "00" || value.substr(5) == "0000") return 0;
  if (all_same(value) || value == "123456789" || value == "078051120" || value == "219099999") return 0;
  return solid ? kFaint : kShaped;
}

// IRS: 9xx, fourth and fifth digit 50-65, 70-88, 90-92, 94-99.
float score_us_itin(std::string_view value, bool solid) {
  int group = number_at(value, 3, 2);
  bool given = (group >= 50 && group <= 65) || (group >= 70 && group <= 88) || (group >= 90 && group != 93);
  if (value[0] != '9' || !given || value.substr(5) == "0000") return 0;
  return solid ? kWeak : kShaped;
}

// 45 CFR 162.406: Luhn over 80840 and the ten digits, which begin with 1 or 2. 24: what 80840 adds to the sum.
float score_us_npi(std::string_view value, bool) {
  if ((value[0] != '1' && value[0] != '2') || all_same(value.substr(0, 9))) return 0;
  return luhn(value, 24) ? kProven : 0;
}

// ABA: Federal Reserve districts 00-12, thrifts 21-32, electronic 61-72, traveller's cheques 80.
float score_us_aba_routing(std::string_view value, bool) {
  int district = number_at(value, 0, 2);
  bool given =
      district <= 12 || (district >= 21 && district <= 32) || (district >= 61 && district <= 72) || district == 80;
  if (!given || number_at(value, 0, 4) == 0 || all_same(value)) return 0;
  return weighted_sum(value, {3, 7, 1, 3, 7, 1, 3, 7, 1}) % 10 == 0 ? kProven : 0;
}

// 21 CFR 1301.11: kind of registrant, initial or 9, six digits, a check digit.
float score_us_dea(std::string_view value, bool) {
  if (std::string_view("ABCDEFGHJKLMPRSTUX").find(value[0]) == std::string_view::npos) return 0;
  if (!is_ascii_letter(value[1]) && value[1] != '9') return 0;
  int sum = weighted_sum(value.substr(2), {1, 2, 1, 2, 1, 2});
  return !all_same(value.substr(2)) && sum % 10 == value[8] - '0' ? kProven : 0;
}

// CMS: C A AN N A AN N A A N N; letters without S, L, O, I, B, Z.
float score_us_mbi(std::string_view value, bool solid) {
  static constexpr std::string_view kForm = "CA*9A*9AA99";
  for (size_t i = 0; i < kForm.size(); ++i) {
    char c = value[i];
    bool letter = is_ascii_letter(c) && std::string_view("SLOIBZ").find(c) == std::string_view::npos;
    bool fits = kForm[i] == 'A' ? letter : kForm[i] == '*' ? letter || is_ascii_digit(c) : is_ascii_digit(c);
    if (!fits || (kForm[i] == 'C' && c == '0')) return 0;
  }
  return solid ? kWeak : kShaped;
}

// Service Canada: Luhn; no number begins with 0 or 8.
float score_ca_sin(std::string_view value, bool solid) {
  if (value[0] == '0' || value[0] == '8' || all_same(value) || !luhn(value)) return 0;
  return solid ? kWeak : kProven;
}

// Receita Federal: two check digits, modulo 11, weights rising from the right.
float score_br_cpf(std::string_view value, bool) {
  if (all_same(value)) return 0;
  int first = weighted_sum(value, {10, 9, 8, 7, 6, 5, 4, 3, 2}) * 10 % 11 % 10;
  int second = weighted_sum(value, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2}) * 10 % 11 % 10;
  return first == value[9] - '0' && second == value[10] - '0' ? kProven : 0;
}

// The same for companies. From July 2026 letters too (IN RFB 2229/2024): a character counts as its ASCII code less 48.
float score_br_cnpj(std::string_view value, bool) {
  if (all_same(value) || !is_ascii_digit(value[12]) || !is_ascii_digit(value[13])) return 0;
  auto letters = static_cast<size_t>(std::ranges::count_if(value, is_ascii_letter));
  if (letters > 11) return 0;
  int first = weighted_sum(value, {5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2}) % 11;
  int second = weighted_sum(value, {6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2}) % 11;
  auto digit = [](int rest) { return rest < 2 ? 0 : 11 - rest; };
  return digit(first) == value[12] - '0' && digit(second) == value[13] - '0' ? kProven : 0;
}

}  // namespace sallyport::mask
