// SPDX-License-Identifier: Apache-2.0
// The check-digit schemes that identifiers share. Values are compact: letters in upper case, digits, nothing else.
#pragma once

#include <initializer_list>
#include <string_view>

namespace sallyport::mask {

inline bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_ascii_alnum(char c) { return is_ascii_digit(c) || is_ascii_letter(c); }
inline bool is_hex(char c) { return is_ascii_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
inline char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c; }
inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// The digits at [at, at + count) as a number. They must be digits.
int number_at(std::string_view value, size_t at, size_t count);
bool all_digits(std::string_view value);
/// One character over and over.
bool all_same(std::string_view value);

/// ISO/IEC 7812-1 annex B. `start`: a sum to begin with, for prefixes that are not written (80840 of NPI).
bool luhn(std::string_view digits, int start = 0);
/// Digits times weights, summed. As many digits as weights are read.
int weighted_sum(std::string_view digits, std::initializer_list<int> weights);
/// The same with the decimal digits of each product summed.
int cross_sum(std::string_view digits, std::initializer_list<int> weights);
/// Verhoeff's dihedral check digit, the last.
bool verhoeff(std::string_view digits);
/// ISO/IEC 7064 MOD 11,10: the check digit is the last.
bool mod_11_10(std::string_view digits);
/// ISO/IEC 7064 MOD 97-10 with letters as 10 to 35: the remainder.
int mod_97(std::string_view value);

/// Day and month exist; `year` tells the 29th of February.
bool is_date(int year, int month, int day);
/// The two digits of a year may be any century's: a 29th of February needs one in which it exists.
inline bool is_short_date(int year, int month, int day) { return is_date(year + 2000, month, day); }

}  // namespace sallyport::mask
