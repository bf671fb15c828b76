// SPDX-License-Identifier: Apache-2.0
#include "mask/check_digits.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sallyport::mask {

int number_at(std::string_view value, size_t at, size_t count) {
  int number = 0;
  for (char c : value.substr(at, count)) number = number * 10 + (c - '0');
  return number;
}

bool all_digits(std::string_view value) { return std::ranges::all_of(value, is_ascii_digit); }

bool all_same(std::string_view value) {
  return !value.empty() && value.find_first_not_of(value.front()) == std::string_view::npos;
}

bool luhn(std::string_view digits, int start) {
  int sum = start;
  bool twice = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, twice = !twice) {
    int value = *digit - '0';
    if (twice) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 == 0;
}

int weighted_sum(std::string_view digits, std::initializer_list<int> weights) {
  int sum = 0;
  size_t at = 0;
  for (int weight : weights) sum += weight * (digits[at++] - '0');
  return sum;
}

int cross_sum(std::string_view digits, std::initializer_list<int> weights) {
  int sum = 0;
  size_t at = 0;
  for (int weight : weights) {
    int product = weight * (digits[at++] - '0');
    sum += product / 10 + product % 10;
  }
  return sum;
}

bool verhoeff(std::string_view digits) {
  static constexpr uint8_t kMultiply[10][10] = {
      {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
      {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
      {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
      {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}};
  static constexpr uint8_t kPermute[8][10] = {
      {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2},
      {8, 9, 1, 6, 0, 4, 3, 5, 2, 7}, {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
      {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};
  uint8_t check = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    auto digit = static_cast<size_t>(digits[digits.size() - 1 - i] - '0');
    check = kMultiply[check][kPermute[i % 8][digit]];
  }
  return check == 0;
}

bool mod_11_10(std::string_view digits) {
  int product = 10;
  for (char digit : digits.substr(0, digits.size() - 1)) {
    int sum = (digit - '0' + product) % 10;
    product = (sum == 0 ? 10 : sum) * 2 % 11;
  }
  return (11 - product) % 10 == digits.back() - '0';
}

int mod_97(std::string_view value) {
  int rest = 0;
  for (char c : value) {
    rest = is_ascii_digit(c) ? (rest * 10 + (c - '0')) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
  }
  return rest;
}

bool is_date(int year, int month, int day) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace sallyport::mask
