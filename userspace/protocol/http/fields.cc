// SPDX-License-Identifier: Apache-2.0
// What fields mean to whoever relays a message.
#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/log.h"
#include "sallyport/protocol/http/message.h"

namespace sallyport::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Each element of a comma-separated list; false from `each` ends it.
template <class Each>
bool for_each_token(std::string_view list, Each each) {
  while (true) {
    const size_t comma = list.find(',');
    if (const std::string_view token = trimmed(list.substr(0, comma)); !token.empty() && !each(token)) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

template <size_t N>
bool any_of_names(const std::string_view (&names)[N], std::string_view name) {
  return std::ranges::any_of(names, [&](std::string_view each) { return same_name(each, name); });
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> find_only(std::span<const Field> fields, std::string_view name) {
  std::optional<std::string_view> out;
  for (const Field& field : fields) {
    if (!same_name(field.name, name)) continue;
    if (out) return std::nullopt;
    out = field.value;
  }
  return out;
}

bool has_field(std::span<const Field> fields, std::string_view name) {
  return std::ranges::any_of(fields, [&](const Field& field) { return same_name(field.name, name); });
}

bool lists_token(std::span<const Field> fields, std::string_view name, std::string_view token) {
  return std::ranges::any_of(fields, [&](const Field& field) {
    return same_name(field.name, name) &&
           !for_each_token(field.value, [&](std::string_view each) { return !same_name(each, token); });
  });
}

Result<Connection> read_connection(std::span<const Field> fields) {
  static constexpr std::string_view kForAll[] = {"host",          "content-length",   "transfer-encoding",
                                                 "content-type",  "content-encoding", "content-range",
                                                 "authorization", "cookie",           "expect",
                                                 "date",          "cache-control",    "range"};
  Connection out;
  Result<> good;
  for (const Field& field : fields) {
    if (!same_name(field.name, "connection") && !same_name(field.name, "proxy-connection")) continue;
    for_each_token(field.value, [&](std::string_view token) {
      if (same_name(token, "close")) {
        out.close = true;
      } else if (same_name(token, "keep-alive")) {
        out.keep_alive = true;
      } else if (any_of_names(kForAll, token)) {
        good = fail(fmt::format("Connection names {}, which is for all recipients", printable(token)));
      } else {
        out.nominated.push_back(token);
      }
      return good.has_value();
    });
  }
  if (!good) return std::unexpected(good.error());
  return out;
}

bool persists(const Connection& connection, int minor) {
  return !connection.close && (minor >= 1 || connection.keep_alive);
}

bool is_hop_by_hop(std::string_view name, const Connection& connection) {
  static constexpr std::string_view kAlways[] = {"connection", "keep-alive", "proxy-connection",
                                                 "te",         "upgrade",    "transfer-encoding"};
  return any_of_names(kAlways, name) ||
         std::ranges::any_of(connection.nominated, [&](std::string_view each) { return same_name(each, name); });
}

}  // namespace sallyport::http
