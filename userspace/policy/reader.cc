// SPDX-License-Identifier: Apache-2.0
#include "reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

/// Exactly `width` digits at the front, taken; nothing: not that.
std::optional<int> take_digits(std::string_view& rest, size_t width) {
  if (rest.size() < width) return {};
  int value = 0;
  for (char c : rest.substr(0, width)) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + (c - '0');
  }
  rest.remove_prefix(width);
  return value;
}

bool take(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

/// "Z" or "+01:00": seconds east of UTC. Must be all that is left.
std::optional<int> take_zone(std::string_view rest) {
  if (rest == "Z" || rest == "z") return 0;
  const bool west = rest.starts_with('-');
  if (!take(rest, '-') && !take(rest, '+')) return {};
  const auto hours = take_digits(rest, 2);
  if (!hours || *hours > 14 || !take(rest, ':')) return {};
  const auto minutes = take_digits(rest, 2);
  if (!minutes || *minutes > 59 || !rest.empty()) return {};
  return (west ? -1 : 1) * (*hours * 3600 + *minutes * 60);
}

}  // namespace

bool valid_name(std::string_view name) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, good);
}

std::optional<int64_t> parse_time(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return {};
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return {};
  const auto day = take_digits(text, 2);
  if (!day || *year < 1970 || *year > 2200) return {};
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return {};
  int64_t seconds = std::chrono::sys_days(date).time_since_epoch().count() * 86'400LL;
  if (!text.empty()) {
    if (!take(text, 'T')) return {};
    const auto hour = take_digits(text, 2);
    if (!hour || *hour > 23 || !take(text, ':')) return {};
    const auto minute = take_digits(text, 2);
    if (!minute || *minute > 59 || !take(text, ':')) return {};
    const auto second = take_digits(text, 2);
    if (!second || *second > 59) return {};
    const auto zone = take_zone(text);
    if (!zone) return {};
    seconds += *hour * 3600 + *minute * 60 + *second - *zone;
  }
  return seconds * kNanosPerSecond;
}

bool Reader::is_map(const Node& node, std::string_view what, Words keys) {
  if (node.kind != Node::Kind::map) {
    wrong(node, fmt::format("{} is {}, not a map", what, node.in_words()),
          fmt::format("its keys: {}", fmt::join(keys, ", ")));
    return false;
  }
  for (const Entry& entry : node.entries)
    if (std::ranges::find(keys, entry.key.text) == keys.end())
      wrong(entry.key, fmt::format("unknown key `{}` in {}", printable(entry.key.text), what),
            meant(entry.key.text, keys));
  return true;
}

const Node* Reader::get(const Node& map, std::string_view key, std::string_view what, bool needed) {
  const Node* value = map.find(key);
  if (!value && needed) wrong(map, fmt::format("{} lacks `{}`", what, key));
  return value;
}

std::span<const Node> Reader::list(const Node& node, std::string_view what) {
  if (node.kind != Node::Kind::list) {
    wrong(node, fmt::format("{} is {}, not a list", what, node.in_words()),
          node.kind == Node::Kind::scalar && !node.is_null() ? fmt::format("write [{}]", printable(node.text)) : "");
    return {};
  }
  if (node.items.empty()) wrong(node, fmt::format("{} is an empty list", what), "leave the key out, or fill it");
  return node.items;
}

std::string Reader::text(const Node& node, std::string_view what) {
  if (node.kind != Node::Kind::scalar || node.is_null() || node.text.empty()) {
    wrong(node,
          fmt::format("{} is {}, not a text", what, node.text.empty() && node.quoted ? "empty" : node.in_words()));
    return {};
  }
  return node.text;
}

std::vector<std::string> Reader::texts(const Node& node, std::string_view what) {
  std::vector<std::string> out;
  for (const Node& item : list(node, what)) out.push_back(text(item, what));
  return out;
}

std::optional<size_t> Reader::word(const Node& node, std::string_view what, Words words) {
  if (node.kind != Node::Kind::scalar) {
    wrong(node, fmt::format("{} is {}, not a word", what, node.in_words()),
          fmt::format("known: {}", fmt::join(words, ", ")));
    return {};
  }
  const auto found = std::ranges::find(words, node.text);
  if (found != words.end()) return found - words.begin();
  wrong(node, fmt::format("{} cannot be {}", what, node.in_words()), meant(node.text, words));
  return {};
}

std::optional<uint64_t> Reader::number(const Node& node, std::string_view what, uint64_t max) {
  uint64_t value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  const bool good = node.kind == Node::Kind::scalar && !node.quoted && error == std::errc() && stop == end;
  if (good && value <= max) return value;
  wrong(node, fmt::format("{} is {}, not a whole number from 0 to {}", what, node.in_words(), max));
  return {};
}

std::optional<double> Reader::fraction(const Node& node, std::string_view what, double max) {
  double value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value, std::chars_format::fixed);
  const bool good = node.kind == Node::Kind::scalar && !node.quoted && error == std::errc() && stop == end;
  if (good && value >= 0 && value <= max) return value;
  wrong(node, fmt::format("{} is {}, not a number from 0 to {}", what, node.in_words(), max));
  return {};
}

std::string Reader::name(const Node& node, std::string_view what) {
  std::string value = text(node, what);
  if (value.empty() || valid_name(value)) return value;
  wrong(node, fmt::format("{} cannot be `{}`", what, printable(value)),
        "names are lower-case letters, digits and inner hyphens, at most 63");
  return {};
}

std::string Reader::absolute_path(const Node& node, std::string_view what) {
  std::string value = text(node, what);
  if (value.empty() || value.starts_with('/')) return value;
  wrong(node, fmt::format("{} is `{}`, not an absolute path", what, printable(value)), "begin it with `/`");
  return {};
}

std::optional<int64_t> Reader::time(const Node& node, std::string_view what) {
  if (node.kind == Node::Kind::scalar)
    if (const auto value = parse_time(node.text)) return value;
  wrong(node, fmt::format("{} is {}, not a time", what, node.in_words()),
        "write 2026-11-01 (its first moment, UTC) or 2026-11-01T09:30:00Z");
  return {};
}

std::optional<int64_t> Reader::duration(const Node& node, std::string_view what) {
  static constexpr std::pair<char, int64_t> kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3'600}, {'d', 86'400}};
  constexpr int64_t kDaysMax = 366;
  int64_t value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (node.kind == Node::Kind::scalar && error == std::errc() && stop + 1 == end && value > 0 &&
      value <= kDaysMax * 86'400)
    for (const auto& [unit, seconds] : kUnits)
      if (*stop == unit && value * seconds <= kDaysMax * 86'400) return value * seconds * kNanosPerSecond;
  wrong(node, fmt::format("{} is {}, not a length of time", what, node.in_words()), "write 30s, 15m, 1h or 7d");
  return {};
}

}  // namespace sallyport::policy
