// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "mask/check_digits.h"
#include "mask/id_rules.h"
#include "mask/id_scores.h"

namespace sallyport::mask {
namespace {

/// A letter as its place in the alphabet, in two digits: B1 -> 021.
std::string letters_as_digits(std::string_view value) {
  std::string digits;
  for (char c : value) {
    if (is_ascii_letter(c)) {
      int place = c - 'A' + 1;
      digits.push_back(static_cast<char>('0' + place / 10));
      digits.push_back(static_cast<char>('0' + place % 10));
    } else {
      digits.push_back(c);
    }
  }
  return digits;
}

constexpr std::string_view kSerialLetters = "CFGHJKLMNPRTVWXYZ";  // ICAO 9303 as Germany prints it: no vowels

/// ICAO 9303-3 4.9: weights 7, 3, 1; letters from 10; the check digit is the last.
bool icao_check(std::string_view value) {
  static constexpr int kWeights[] = {7, 3, 1};
  int sum = 0;
  for (size_t i = 0; i + 1 < value.size(); ++i) {
    sum += kWeights[i % 3] * (is_ascii_digit(value[i]) ? value[i] - '0' : value[i] - 'A' + 10);
  }
  return is_ascii_digit(value.back()) && sum % 10 == value.back() - '0';
}

bool is_serial(std::string_view value) {
  auto printed = [](char c) { return is_ascii_digit(c) || kSerialLetters.find(c) != std::string_view::npos; };
  return kSerialLetters.find(value[0]) != std::string_view::npos && std::ranges::all_of(value, printed) &&
         std::ranges::any_of(value, is_ascii_digit);
}

}  // namespace

// BZSt: ISO 7064; not begun with 0; of the first ten digits none stands more than three times.
float score_de_tax_id(std::string_view value, bool) {
  if (value[0] == '0') return 0;
  for (char digit = '0'; digit <= '9'; ++digit) {
    if (std::ranges::count(value.substr(0, 10), digit) > 3) return 0;
  }
  return mod_11_10(value) ? kProven : 0;
}

// Tax offices' numbers: thirteen digits of the federal scheme, or as a Land writes them, with slashes.
float score_de_tax_number(std::string_view value, bool solid) {
  if (!solid) return value.size() == 11 ? kShaped : kWeak;
  int land = number_at(value, 0, 2);
  bool keyed = land >= 1 && land <= 16;
  bool federal = value[4] == '0' && (land == 10 || land == 11 || (land >= 21 && land <= 32) || land == 40 ||
                                     land == 41 || (land >= 51 && land <= 59) || (land >= 91 && land <= 92));
  return keyed || federal ? kShaped : 0;
}

float score_de_vat_id(std::string_view value, bool) {
  if (!value.starts_with("DE") || value[2] == '0') return 0;
  return mod_11_10(value.substr(2)) ? kProven : kUnproven;
}

// PAuswG: a serial of nine, its last a check digit; the cards before 2010 T and eight digits. A tenth is the check
// digit of the machine-readable line.
float score_de_id_card(std::string_view value, bool) {
  if (!is_serial(value)) return 0;
  if (value.size() == 10) return value[0] == 'T' && all_digits(value.substr(1)) && icao_check(value) ? kProven : 0;
  if (icao_check(value)) return kProven;
  return value[0] == 'T' && all_digits(value.substr(1)) ? kShaped : 0;
}

float score_de_passport(std::string_view value, bool) { return is_serial(value) && icao_check(value) ? kProven : 0; }

// DSRV, VKVV 2: area, birthday (day + 50 where a number ran out), initial, serial, check digit.
float score_de_social_security(std::string_view value, bool) {
  static constexpr std::array<uint8_t, 40> kAreas = {2,  3,  4,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
                                                     19, 20, 21, 23, 24, 25, 26, 28, 29, 38, 39, 40, 42, 43,
                                                     44, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58};
  int area = number_at(value, 0, 2);
  bool given = std::ranges::find(kAreas, area) != kAreas.end() || (area >= 59 && area <= 89) || area == 27 ||
               area == 34 || area == 37;
  int day = number_at(value, 2, 2);
  if (!given || !is_short_date(number_at(value, 6, 2), number_at(value, 4, 2), day > 50 ? day - 50 : day)) return 0;
  std::string digits = letters_as_digits(value);
  return cross_sum(digits, {2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1}) % 10 == value[11] - '0' ? kProven : 0;
}

// GKV, section 290 SGB V: a letter, eight digits, a check digit.
float score_de_health_insurance(std::string_view value, bool) {
  std::string digits = letters_as_digits(value);
  return cross_sum(digits, {1, 2, 1, 2, 1, 2, 1, 2, 1, 2}) % 10 == value[9] - '0' ? kProven : 0;
}

// KBV: six digits, a check digit, two for the specialty.
float score_de_lanr(std::string_view value, bool) {
  int check = (10 - weighted_sum(value, {4, 9, 4, 9, 4, 9}) % 10) % 10;
  return check == value[6] - '0' && value.substr(7) != "00" && number_at(value, 0, 6) != 0 ? kProven : 0;
}

float score_de_handelsregister(std::string_view value, bool) {
  return (value.starts_with("HRA") || value.starts_with("HRB")) && value[3] != '0' ? kShaped : 0;
}

}  // namespace sallyport::mask
