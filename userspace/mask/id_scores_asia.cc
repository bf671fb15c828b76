// SPDX-License-Identifier: Apache-2.0
// Asia, Australia, Africa.
#include <algorithm>
#include <array>
#include <cstdint>

#include "mask/check_digits.h"
#include "mask/id_rules.h"
#include "mask/id_scores.h"

namespace sallyport::mask {
namespace {

bool one_of(std::string_view letters, char c) { return letters.find(c) != std::string_view::npos; }

/// Two letters each, sorted or not.
bool is_state(std::string_view states, std::string_view code) {
  for (size_t at = 0; at + 2 <= states.size(); at += 2) {
    if (states.substr(at, 2) == code) return true;
  }
  return false;
}

/// Birthday, a digit for sex, century and nationality, six more. The check digit was given up in October 2020.
float score_korean(std::string_view value, std::string_view sexes, int check_from) {
  char sex = value[6];
  if (!one_of(sexes, sex)) return 0;
  int century = one_of("90", sex) ? 1800 : one_of("1256", sex) ? 1900 : 2000;
  if (!is_date(century + number_at(value, 0, 2), number_at(value, 2, 2), number_at(value, 4, 2))) return 0;
  int sum = weighted_sum(value, {2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5});
  return (check_from - sum % 11) % 10 == value[12] - '0' ? kProven : kShaped;
}

bool is_gstin_state(int state) { return state >= 1 && state <= 37; }

}  // namespace

// UIDAI: Verhoeff; not begun with 0 or 1; no palindrome.
float score_in_aadhaar(std::string_view value, bool) {
  if (value[0] < '2' || std::equal(value.begin(), value.begin() + 6, value.rbegin())) return 0;
  return verhoeff(value) ? kProven : 0;
}

// Income Tax Department: the fourth letter is the kind of holder.
float score_in_pan(std::string_view value, bool) {
  if (value.substr(5, 4) == "0000") return 0;
  return one_of("ABCEFGHJKLPT", value[3]) ? kShaped : kFaint;
}

// GSTN: state, PAN, which registration, Z, check character (not proven by many who write it).
float score_in_gstin(std::string_view value, bool) {
  bool pan = std::ranges::all_of(value.substr(2, 5), is_ascii_letter) && all_digits(value.substr(7, 4)) &&
             is_ascii_letter(value[11]);
  if (!pan || !is_gstin_state(number_at(value, 0, 2)) || value[12] == '0' || value[13] != 'Z') return 0;
  int sum = 0;
  for (size_t i = 0; i < 14; ++i) {
    int place = (is_ascii_digit(value[i]) ? value[i] - '0' : value[i] - 'A' + 10) * (i % 2 == 0 ? 1 : 2);
    sum += place / 36 + place % 36;
  }
  int check = (36 - sum % 36) % 36;
  char expected = static_cast<char>(check < 10 ? '0' + check : 'A' + check - 10);
  return expected == value[14] ? kProven : kShaped;
}

// Election Commission: three letters, seven digits.
float score_in_voter(std::string_view value, bool) {
  return one_of("ABCDGHJKMNPRSY", value[1]) && !all_same(value.substr(3)) ? kShaped : kFaint;
}

// MoRTH: state, district, series, number.
float score_in_vehicle(std::string_view value, bool) {
  static constexpr std::string_view kStates =
      "ANAPARASBRCGCHDDDLDNGAGJHPHRJHJKKAKLLALDMHMLMNMPMZNLODPBPYRJSKTNTRTSUKUPWB";
  return is_state(kStates, value.substr(0, 2)) && value.substr(value.size() - 4) != "0000" ? kShaped : 0;
}

float score_kr_rrn(std::string_view value, bool) { return score_korean(value, "1234", 11); }
float score_kr_frn(std::string_view value, bool) { return score_korean(value, "5678", 13); }

// National Tax Service: modulo 10 with one product split.
float score_kr_brn(std::string_view value, bool) {
  int sum = weighted_sum(value, {1, 3, 7, 1, 3, 7, 1, 3, 5}) + (value[8] - '0') * 5 / 10;
  return !all_same(value) && (10 - sum % 10) % 10 == value[9] - '0' ? kProven : 0;
}

// National Police Agency: region 11 to 26 or 28, year, serial, check. Solid it may be a time (YYYYMMDDhhmm).
float score_kr_driver_license(std::string_view value, bool solid) {
  int region = number_at(value, 0, 2);
  if (region < 11 || region > 28 || region == 27) return 0;
  int year = number_at(value, 0, 4);
  bool time = year >= 1900 && year < 2100 && is_date(year, number_at(value, 4, 2), number_at(value, 6, 2)) &&
              number_at(value, 8, 2) < 24 && number_at(value, 10, 2) < 60;
  return solid && time ? kWeak : kShaped;
}

// ICA: weights 2 7 6 5 4 3 2 and a letter for each series.
float score_sg_nric(std::string_view value, bool) {
  static constexpr std::string_view kSeries = "STFGM";
  static constexpr std::string_view kLetters[] = {"JZIHGFEDCBA", "JZIHGFEDCBA", "XWUTRQPNMLK", "XWUTRQPNMLK",
                                                  "XWUTRQPNJLK"};
  static constexpr int kOffsets[] = {0, 4, 0, 4, 3};
  size_t series = kSeries.find(value[0]);
  if (series == std::string_view::npos) return kFaint;
  int sum = weighted_sum(value.substr(1), {2, 7, 6, 5, 4, 3, 2}) + kOffsets[series];
  return kLetters[series][static_cast<size_t>(sum % 11)] == value[8] ? kProven : kShaped;
}

// ACRA: businesses, local companies, and the rest, each with a check letter.
float score_sg_uen(std::string_view value, bool) {
  if (value.size() == 9) {
    int sum = weighted_sum(value, {10, 4, 9, 3, 8, 2, 7, 1});
    return "XMKECAWLJDB"[sum % 11] == value[8] ? kProven : 0;
  }
  if (is_ascii_digit(value[0])) {
    int year = number_at(value, 0, 4);
    int sum = weighted_sum(value, {10, 8, 6, 4, 9, 7, 5, 3, 1});
    return year >= 1900 && year < 2100 && "ZKCMDNERGWH"[sum % 11] == value[9] ? kProven : 0;
  }
  static constexpr std::string_view kLetters = "ABCDEFGHJKLMNPQRSTUVWX0123456789";
  static constexpr int kWeights[] = {4, 3, 5, 3, 10, 2, 2, 5, 7};
  int sum = 0;
  for (size_t i = 0; i < 9; ++i) {
    size_t place = kLetters.find(value[i]);
    if (place == std::string_view::npos) return 0;
    sum += kWeights[i] * static_cast<int>(place);
  }
  return one_of("RST", value[0]) && kLetters[static_cast<size_t>((sum + 6) % 11)] == value[9] ? kProven : 0;
}

// DOPA: kind of person, province, modulo 11.
float score_th_tnin(std::string_view value, bool) {
  static constexpr std::array<uint8_t, 77> kProvinces = {
      10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 30, 31, 32, 33, 34, 35, 36, 37,
      38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64,
      65, 66, 67, 70, 71, 72, 73, 74, 75, 76, 77, 80, 81, 82, 83, 84, 85, 86, 90, 91, 92, 93, 94, 95, 96};
  if (value[0] < '1' || value[0] > '8') return 0;
  if (std::ranges::find(kProvinces, number_at(value, 1, 2)) == kProvinces.end()) return 0;
  int sum = weighted_sum(value, {13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2});
  return (11 - sum % 11) % 10 == value[12] - '0' ? kProven : 0;
}

// ABR: one off the first digit, weights, modulo 89.
float score_au_abn(std::string_view value, bool) {
  int sum = weighted_sum(value, {10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19}) - 10;
  return value[0] != '0' && sum % 89 == 0 ? kProven : 0;
}

// ASIC: weights 8 to 1, modulo 10.
float score_au_acn(std::string_view value, bool) {
  int check = (10 - weighted_sum(value, {8, 7, 6, 5, 4, 3, 2, 1}) % 10) % 10;
  return !all_same(value) && check == value[8] - '0' ? kProven : 0;
}

// ATO: weights, modulo 11.
float score_au_tfn(std::string_view value, bool) {
  return !all_same(value) && weighted_sum(value, {1, 4, 3, 7, 5, 8, 6, 9, 10}) % 11 == 0 ? kProven : 0;
}

// Services Australia: begun with 2 to 6, the ninth a check digit, the tenth the card's issue.
float score_au_medicare(std::string_view value, bool) {
  bool begun = value[0] >= '2' && value[0] <= '6' && value[9] != '0';
  return begun && weighted_sum(value, {1, 3, 7, 9, 1, 3, 7, 9}) % 10 == value[8] - '0' ? kProven : 0;
}

// Department of Home Affairs: birthday, serial, citizenship, 8 or 9, Luhn.
float score_za_id(std::string_view value, bool) {
  if (!is_short_date(number_at(value, 0, 2), number_at(value, 2, 2), number_at(value, 4, 2))) return 0;
  return value[10] <= '2' && value[11] >= '8' && luhn(value) ? kProven : 0;
}

float score_ng_nin(std::string_view value, bool) { return !all_same(value) && verhoeff(value) ? kProven : 0; }
float score_ng_vehicle(std::string_view value, bool) { return value.substr(3, 3) != "000" ? kShaped : 0; }

}  // namespace sallyport::mask
