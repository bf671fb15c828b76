// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "mask/check_digits.h"
#include "mask/id_rules.h"
#include "mask/id_scores.h"

namespace sallyport::mask {
namespace {

bool one_of(std::string_view letters, char c) { return letters.find(c) != std::string_view::npos; }

/// Removes the country before a VAT number; false: another one stands there.
bool take_country(std::string_view& value, std::string_view country) {
  bool is_it = value.starts_with(country);
  value.remove_prefix(country.size());
  return is_it;
}

constexpr std::string_view kSpanishLetters = "TRWAGMYFPDXBNJZSQVHLCKE";

}  // namespace

// NHS Data Dictionary: modulo 11, weights 10 to 2.
float score_uk_nhs(std::string_view value, bool) {
  int check = 11 - weighted_sum(value, {10, 9, 8, 7, 6, 5, 4, 3, 2}) % 11;
  return !all_same(value) && check != 10 && check % 11 == value[9] - '0' ? kProven : 0;
}

// HMRC NIM39110: letters that are not used, prefixes that are not given out, suffix A to D.
float score_uk_nino(std::string_view value, bool) {
  if (one_of("DFIQUV", value[0]) || one_of("DFIOQUV", value[1]) || !one_of("ABCD", value[8])) return 0;
  for (std::string_view prefix : {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}) {
    if (value.starts_with(prefix)) return 0;
  }
  return kShaped;
}

// DVLA: five of the surname filled up with 9, decade, month (+50 for women), day, year, initials, check, two letters.
float score_uk_driving_licence(std::string_view value, bool) {
  size_t letters = 0;
  while (letters < 5 && is_ascii_letter(value[letters])) ++letters;
  if (letters == 0 || value.substr(letters, 5 - letters).find_first_not_of('9') != std::string_view::npos) return 0;
  if (!all_digits(value.substr(5, 6))) return 0;
  int month = number_at(value, 6, 2);
  if (month > 50) month -= 50;
  int day = number_at(value, 8, 2);
  if (month < 1 || month > 12 || day < 1 || day > 31) return 0;
  bool initials = is_ascii_letter(value[11]) && (is_ascii_letter(value[12]) || value[12] == '9');
  return initials && is_ascii_letter(value[14]) && is_ascii_letter(value[15]) ? kShaped : 0;
}

// DVLA: since 2001 two letters for the area, half-year (02-29 March, 51-79 September), three letters; before that a
// year's letter at either end.
float score_uk_vehicle(std::string_view value, bool) {
  bool serial_good = !one_of("IQ", value[value.size() - 1]) && !one_of("IQ", value[value.size() - 2]) &&
                     !one_of("IQ", value[value.size() - 3]);
  if (value.size() == 7 && is_ascii_letter(value[1]) && is_ascii_digit(value[2]) && is_ascii_letter(value[6]) &&
      is_ascii_letter(value[4])) {
    int age = number_at(value, 2, 2);
    bool given = (age >= 2 && age <= 29) || (age >= 51 && age <= 79);
    return given && !one_of("IQZ", value[0]) && !one_of("IQ", value[1]) && serial_good ? kShaped : 0;
  }
  if (is_ascii_digit(value[1])) return one_of("IOQUZ", value[0]) || !serial_good ? 0 : kWeak;  // A123 BCD
  return one_of("IOQUZ", value.back()) ? 0 : kWeak;                                            // ABC 123D
}

// People: eight digits and a letter, with or without the VAT prefix.
float score_es_nif(std::string_view value, bool) {
  if (value.size() == 11 && !take_country(value, "ES")) return 0;
  std::string_view digits = value.substr(0, value.size() - 1);
  if (all_same(digits) && digits.front() == '0') return 0;
  return kSpanishLetters[static_cast<size_t>(number_at(digits, 0, digits.size()) % 23)] == value.back() ? kProven : 0;
}

// Orden EHA/451/2008: kind of company, seven digits, a check digit or letter; K, L and M are people's.
float score_es_cif(std::string_view value, bool) {
  if (value.size() == 11 && !take_country(value, "ES")) return 0;
  std::string_view digits = value.substr(1, 7);
  if (one_of("KLM", value[0]))
    return kSpanishLetters[static_cast<size_t>(number_at(digits, 0, 7) % 23)] == value[8] ? kProven : 0;
  if (!one_of("ABCDEFGHJNPQRSUVW", value[0]) || all_same(digits)) return 0;
  int check = (10 - cross_sum(digits, {2, 1, 2, 1, 2, 1, 2}) % 10) % 10;
  bool letter = "JABCDEFGHI"[check] == value[8] && !one_of("ABEH", value[0]);
  bool digit = value[8] - '0' == check && !one_of("NPQRSW", value[0]);
  return letter || digit ? kProven : 0;
}

float score_es_nie(std::string_view value, bool) {
  if (!one_of("XYZ", value[0])) return 0;
  int number = (value[0] - 'X') * 10'000'000 + number_at(value, 1, 7);
  return kSpanishLetters[static_cast<size_t>(number % 23)] == value[8] ? kProven : 0;
}

// DM 23 December 1976: consonants, year, month letter, day (+40 for women), town, check letter. Digits may have become
// letters where two people would have the same (omocodia).
float score_it_fiscal_code(std::string_view value, bool) {
  static constexpr std::string_view kOmocodia = "LMNPQRSTUV";
  static constexpr int kOdd[] = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
  auto digit_at = [&](size_t at) -> int {
    if (is_ascii_digit(value[at])) return value[at] - '0';
    size_t place = kOmocodia.find(value[at]);
    return place == std::string_view::npos ? -1 : static_cast<int>(place);
  };
  if (!std::ranges::all_of(value.substr(0, 6), is_ascii_letter) || !one_of("ABCDEHLMPRST", value[8]) ||
      !is_ascii_letter(value[11]) || !is_ascii_letter(value[15]))
    return 0;
  for (size_t at : {6, 7, 9, 10, 12, 13, 14}) {
    if (digit_at(at) < 0) return 0;
  }
  int day = digit_at(9) * 10 + digit_at(10);
  bool born = (day >= 1 && day <= 31) || (day >= 41 && day <= 71);
  int sum = 0;
  for (size_t i = 0; i < 15; ++i) {
    int place = is_ascii_digit(value[i]) ? value[i] - '0' : value[i] - 'A';
    sum += i % 2 == 0 ? kOdd[place] : place;
  }
  bool checked = sum % 26 == value[15] - 'A';
  return checked && born ? kProven : kWeak;
}

// DPR 633/1972: seven digits, the office (001 to 100, 120, 121, 888, 999), Luhn.
float score_it_vat_code(std::string_view value, bool) {
  if (value.size() == 13 && !take_country(value, "IT")) return 0;
  int office = number_at(value, 7, 3);
  bool given = (office >= 1 && office <= 100) || office == 120 || office == 121 || office == 888 || office == 999;
  return given && number_at(value, 0, 7) != 0 && luhn(value) ? kProven : 0;
}

// DVV: day, month, year, a sign for the century ('+' for 18xx counts as '-'), three digits, one of 31 check characters.
float score_fi_identity_code(std::string_view value, bool) {
  static constexpr std::string_view kChecks = "0123456789ABCDEFHJKLMNPRSTUVWXY";
  bool lettered = is_ascii_letter(value[6]);  // a century's letter; the signs are not in the value
  if (lettered && !one_of("ABCDEFUVWXY", value[6])) return 0;
  int year = number_at(value, 4, 2) + (lettered && one_of("ABCDEF", value[6]) ? 2000 : 1900);
  size_t serial_at = lettered ? 7 : 6;
  int serial = number_at(value, serial_at, 3);
  if (!is_date(year, number_at(value, 2, 2), number_at(value, 0, 2)) || serial < 2) return 0;
  int number = number_at(value, 0, 6) * 1000 + serial;
  return kChecks[static_cast<size_t>(number % 31)] == value.back() ? kProven : 0;
}

// Tax Office: weights, modulo 11; PL before it as a VAT number.
float score_pl_nip(std::string_view value, bool) {
  if (value.size() == 12 && !take_country(value, "PL")) return 0;
  if (all_same(value) || value.starts_with("000")) return 0;
  return weighted_sum(value, {6, 5, 7, 2, 3, 4, 5, 6, 7}) % 11 == value[9] - '0' ? kProven : 0;
}

// Ministry of Digital Affairs: birthday with the century in the month, weights 1 3 7 9.
float score_pl_pesel(std::string_view value, bool) {
  static constexpr int kCenturies[] = {1900, 2000, 2100, 2200, 1800};
  int month = number_at(value, 2, 2);
  int year = kCenturies[month / 20] + number_at(value, 0, 2);
  if (!is_date(year, month % 20, number_at(value, 4, 2))) return 0;
  int check = (10 - weighted_sum(value, {1, 3, 7, 9, 1, 3, 7, 9, 1, 3}) % 10) % 10;
  return check == value[10] - '0' ? kProven : 0;
}

// Skatteverket SKV 704: birthday (day + 60 for coordination numbers), serial, Luhn over the last ten digits.
float score_se_personnummer(std::string_view value, bool) {
  std::string_view ten = value.substr(value.size() - 10);
  int day = number_at(ten, 4, 2);
  if (day > 60) day -= 60;
  int century = value.size() == 12 ? number_at(value, 0, 2) : 20;
  if (century < 18 || century > 20) return 0;
  int year = century * 100 + number_at(ten, 0, 2);
  if (!is_date(year, number_at(ten, 2, 2), day)) return 0;
  return luhn(ten) ? kProven : 0;
}

// Skatteverket SKV 709: ten digits, the third at least 2 so that no birthday looks like it, Luhn.
float score_se_organisationsnummer(std::string_view value, bool) {
  bool group = one_of("12356789", value[0]);
  return group && value[2] >= '2' && !all_same(value) && luhn(value) ? kProven : 0;
}

// NVİ: two check digits, the first from odd and even places, the second from the sum.
float score_tr_national_id(std::string_view value, bool) {
  if (value[0] == '0') return 0;
  int odd = weighted_sum(value, {1, 0, 1, 0, 1, 0, 1, 0, 1});
  int even = weighted_sum(value, {0, 1, 0, 1, 0, 1, 0, 1});
  int tenth = ((odd * 7 - even) % 10 + 10) % 10;
  int last = (odd + even + value[9] - '0') % 10;
  return tenth == value[9] - '0' && last == value[10] - '0' ? kProven : 0;
}

// KTK: province 01 to 81, one to three letters, two to five digits; longer letters, fewer digits.
float score_tr_license_plate(std::string_view value, bool) {
  int province = number_at(value, 0, 2);
  return province >= 1 && province <= 81 ? kShaped : 0;
}

// Six octets; not of all ones or all zeros, which name nobody.
float score_mac_address(std::string_view value, bool) {
  if (!std::ranges::all_of(value, is_hex) || (all_same(value) && one_of("0F", value[0]))) return 0;
  return kProven;
}

}  // namespace sallyport::mask
