// SPDX-License-Identifier: Apache-2.0
#include "mask/key_values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "mask/check_digits.h"

namespace sallyport::mask {
namespace {

constexpr size_t kWordBytesMin = 3;
constexpr size_t kWordShare = 6;        // words make up at least a sixth of names that have marks
constexpr size_t kNumberBytesMin = 15;  // shorter numbers are ids, amounts and times

/// "cmp2-qat-1208358310": parts that are each a short name or a number.
bool is_numbered_name(std::string_view value) {
  size_t parts = 0;
  while (!value.empty()) {
    std::string_view part = value.substr(0, value.find_first_of("-_."));
    value.remove_prefix(std::min(part.size() + 1, value.size()));
    size_t letters = 0;
    while (letters < part.size() && part[letters] >= 'a' && part[letters] <= 'z') ++letters;
    std::string_view digits = part.substr(letters);
    bool named = letters > 0 && letters <= 6 && digits.size() <= 2;
    if (part.empty() || !all_digits(digits) || (letters > 0 && !named)) return false;
    ++parts;
  }
  return parts > 1;
}

/// Hexadecimal digits of both cases: no program prints them, people make them up.
bool is_motley_hex(std::string_view value) {
  bool lower = false;
  bool upper = false;
  for (char c : value) {
    if (!is_ascii_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return false;
    lower |= c >= 'a';
    upper |= c >= 'A' && c < 'a';
  }
  return lower && upper;
}

/// 8-4-4-4-12 hexadecimal digits.
bool is_uuid(std::string_view value) {
  if (value.size() != 36) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    bool mark = i == 8 || i == 13 || i == 18 || i == 23;
    if (mark ? value[i] != '-' : !is_ascii_alnum(value[i])) return false;
  }
  return true;
}

/// Bytes of the parts between marks that are letters alone. A random value has such parts too, but they are small.
size_t word_bytes(std::string_view value) {
  size_t sum = 0;
  size_t parts = 0;
  while (!value.empty()) {
    std::string_view part = value.substr(0, value.find_first_of("._-/"));
    value.remove_prefix(std::min(part.size() + 1, value.size()));
    if (part.size() >= kWordBytesMin && std::ranges::all_of(part, is_ascii_letter)) sum += part.size();
    ++parts;
  }
  return parts > 1 ? sum : 0;
}

/// Bytes of the words of "GetInt64ValueOf": runs of one case, with the capital before them.
size_t camel_bytes(std::string_view value) {
  auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  size_t sum = 0;
  bool capitals = false;
  for (size_t at = 0; at < value.size();) {
    size_t end = at;
    while (end < value.size() && upper(value[end])) ++end;
    capitals |= end > at;
    size_t begin = end > at ? end - 1 : at;  // the last capital is the word's
    while (end < value.size() && lower(value[end])) ++end;
    if (end - begin > kWordBytesMin) sum += end - begin;
    at = std::max(end, at + 1);
  }
  return capitals ? sum : 0;
}

}  // namespace

float entropy_of(std::string_view text) {
  std::array<uint32_t, 256> counts{};
  for (char c : text) ++counts[static_cast<uint8_t>(c)];
  float bits = 0;
  for (uint32_t count : counts) {
    if (count == 0) continue;
    float share = static_cast<float>(count) / static_cast<float>(text.size());
    bits -= share * std::log2(share);
  }
  return bits;
}

bool is_placeholder(std::string_view secret) {
  for (std::string_view word : {"${", "{{", "%{", "$(", "EXAMPLE", "xxxx", "XXXX", "****", "####", "abcdefgh",
                                "ABCDEFGH", "[REDACTED", "..."}) {
    if (secret.find(word) != std::string_view::npos) return true;
  }
  static constexpr std::string_view kWords[] = {"password",   "passwd",  "pass",    "pwd",   "secret",   "token",
                                                "apikey",     "api_key", "api-key", "key",   "username", "changeme",
                                                "[password]", "[token]", "<token>", "$pass", "null",     "undefined"};
  std::string low(secret);
  std::ranges::transform(low, low.begin(), ascii_lower);
  return std::ranges::find(kWords, low) != std::end(kWords);
}

bool is_mixed(std::string_view value) {
  bool digit = std::ranges::any_of(value, is_ascii_digit);
  bool letter = std::ranges::any_of(value, is_ascii_letter);
  return digit && (letter || value.size() >= kNumberBytesMin) && value.find("://") == std::string_view::npos &&
         value.find("...") == std::string_view::npos;
}

bool is_wordy(std::string_view value) {
  if (is_numbered_name(value) || is_motley_hex(value)) return true;
  auto digits = static_cast<size_t>(std::ranges::count_if(value, is_ascii_digit));
  if (digits * 4 >= value.size()) return false;
  return word_bytes(value) * kWordShare >= value.size() || camel_bytes(value) * 5 >= value.size() * 4;
}

size_t parameter_end(std::string_view value) {
  for (size_t at = value.find('&'); at != std::string_view::npos; at = value.find('&', at + 1)) {
    size_t name = at + 1;
    while (name < value.size() && (is_ascii_alnum(value[name]) || value[name] == '_')) ++name;
    if (name > at + 1 && name < value.size() && value[name] == '=') return at;
  }
  return value.size();
}

bool is_call(std::string_view value, std::string_view rest) {
  auto in_path = [](char c) { return is_ascii_alnum(c) || c == '_' || c == '.' || c == ':'; };
  return rest.starts_with('(') && std::ranges::all_of(value, in_path);
}

bool names_something_else(std::string_view name, std::string_view value) {
  std::string low(name);
  std::ranges::transform(low, low.begin(), ascii_lower);
  for (std::string_view word : {"public", "primarykey", "primary_key", "foreignkey", "foreign_key", "accessib",
                                "accessor", "keyframe", "keying", "pubkey"}) {
    if (low.find(word) != std::string::npos) return true;
  }
  for (std::string_view word :
       {"name", "size", "length", "file", "path", "url", "uri", "hash", "type", "count", "version", "alias", "pressed",
        "pair", "source", "optionid", "credentialid", "credentialsid", "keystr"}) {
    if (low.ends_with(word)) return true;
  }
  return low.ends_with("id") && is_uuid(value);
}

}  // namespace sallyport::mask
