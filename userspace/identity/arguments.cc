// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/arguments.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sallyport/base/limits.h"

namespace sallyport::identity {
namespace {

constexpr std::string_view kSecret = "<secret>";

bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool names_secret(std::string_view name) {
  constexpr std::string_view kNames[] = {"passw",   "pwd",         "secret",     "token",  "apikey",
                                         "api-key", "api_key",     "auth",       "cookie", "credential",
                                         "bearer",  "private-key", "private_key"};
  const std::string folded = lower(name);
  return std::ranges::any_of(kNames, [&](std::string_view each) { return folded.find(each) != std::string::npos; });
}

/// scheme://user:PASSWORD@host
void mask_url_passwords(std::string& text) {
  for (size_t at = 0; (at = text.find("://", at)) != std::string::npos;) {
    at += 3;
    const size_t end = std::min(text.find_first_of("/?# \t\n\"'", at), text.size());
    const size_t host = text.rfind('@', end);
    if (host == std::string::npos || host < at || host >= end) continue;
    const size_t colon = text.find(':', at);
    if (colon < host) text.replace(colon + 1, host - colon - 1, kSecret);
  }
}

/// NAME=VALUE and NAME: VALUE anywhere, where NAME is a secret's; the value ends at a space, `&` or quote, that of a
/// header with the argument.
void mask_assignments(std::string& text) {
  for (size_t at = 0; (at = text.find_first_of("=:", at)) != std::string::npos; ++at) {
    size_t begin = at;
    while (begin > 0 && is_word(static_cast<unsigned char>(text[begin - 1]))) --begin;
    if (begin == at || !names_secret(std::string_view(text).substr(begin, at - begin))) continue;
    if (text[at] == ':' && text.compare(at, 3, "://") == 0) continue;
    size_t value = at + 1;
    while (value < text.size() && text[value] == ' ') ++value;
    const bool quoted = value < text.size() && (text[value] == '\'' || text[value] == '"');
    size_t end =
        text[at] == ':' ? text.size() : text.find_first_of(quoted ? text.substr(value, 1) : " &;,\n", value + quoted);
    end = std::min(end, text.size());
    if (end <= value) continue;
    text.replace(value, end - value, kSecret);
    at = value + kSecret.size() - 1;
  }
}

/// Long words that no human made up: more than 4 bits a byte of letters, digits and base64's signs.
bool is_random(std::string_view word) {
  constexpr size_t kBytesMin = 24;
  constexpr double kBitsMin = 4.0;
  if (word.size() < kBytesMin) return false;
  std::array<size_t, 256> counts{};
  size_t digits = 0;
  for (unsigned char c : word) ++counts[c], digits += c >= '0' && c <= '9';
  double bits = 0;
  for (size_t count : counts)
    if (count != 0) bits -= static_cast<double>(count) * std::log2(static_cast<double>(count) / word.size());
  return digits > 2 && bits / static_cast<double>(word.size()) > kBitsMin;
}

void mask_random_words(std::string& text) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() &&
           (is_word(static_cast<unsigned char>(text[end])) || text[end] == '+' || text[end] == '.'))
      ++end;
    if (is_random(std::string_view(text).substr(at, end - at))) {
      text.replace(at, end - at, kSecret);
      end = at + kSecret.size();
    }
    at = end + 1;
  }
}

/// Numbers as people and cards have them: seven digits or more, hyphens between.
void mask_numbers(std::string& text) {
  constexpr size_t kDigitsMin = 7;
  for (size_t at = 0; at < text.size();) {
    size_t end = at, digits = 0;
    while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) {
      if (text[end] >= '0' && text[end] <= '9') ++digits;
      ++end;
    }
    const size_t hyphens = static_cast<size_t>(std::count(text.begin() + at, text.begin() + end, '-'));
    if (digits >= kDigitsMin && digits + hyphens == end - at) {
      text.replace(at, end - at, "<number>");
      end = at + 8;
    }
    at = end + 1;
  }
}

/// `--token`, `-token`: the next argument is its value.
bool announces_secret(std::string_view argument) {
  return argument.size() > 2 && argument[0] == '-' && argument.find_first_of("=:") == std::string_view::npos &&
         names_secret(argument);
}

}  // namespace

std::vector<std::string> masked_arguments(std::string_view cmdline) {
  std::vector<std::string> out;
  size_t bytes = 0;
  bool announced = false;
  while (!cmdline.empty()) {
    const size_t end = std::min(cmdline.find('\0'), cmdline.size());
    std::string argument(cmdline.substr(0, end));
    cmdline.remove_prefix(std::min(end + 1, cmdline.size()));
    if (bytes >= limits::kProcessArgumentsBytesMax) {
      out.emplace_back("…");
      break;
    }
    const bool secret = announced && !argument.starts_with('-');
    announced = announces_secret(argument);
    if (secret) {
      argument = kSecret;
    } else if (argument.find_first_of(" \t\n") != std::string::npos) {
      argument = "<text of " + std::to_string(argument.size()) + " bytes>";
    } else {
      mask_url_passwords(argument);
      mask_assignments(argument);
      if (argument.find('/') == std::string::npos || out.size() > 0) mask_random_words(argument);
      mask_numbers(argument);
    }
    if (bytes + argument.size() > limits::kProcessArgumentsBytesMax)
      argument.resize(limits::kProcessArgumentsBytesMax - bytes);
    bytes += argument.size() + 1;
    out.push_back(std::move(argument));
  }
  return out;
}

}  // namespace sallyport::identity
