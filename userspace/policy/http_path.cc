// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "sallyport/base/log.h"
#include "sallyport/policy/http.h"

namespace sallyport::policy {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

/// RFC 3986 has no place for these; of the others it has none for, clients send { } | ^ ` in practice, and servers
/// agree on what they mean.
bool belongs_nowhere(unsigned char c) {
  return is_control(c) || c >= 0x80 || c == ' ' || c == '"' || c == '<' || c == '>' || c == '\\' || c == '#';
}

std::unexpected<Error> bad(std::string why, std::string hint) { return fail("the path " + why, std::move(hint)); }

Result<std::string> decode(std::string_view path) {
  std::string out;
  for (size_t at = 0; at < path.size(); ++at) {
    if (path[at] != '%') {
      out += path[at];
      continue;
    }
    const int high = at + 2 < path.size() ? hex_value(path[at + 1]) : -1;
    const int low = high < 0 ? -1 : hex_value(path[at + 2]);
    if (low < 0) return bad("has a `%` without two hex digits", "write a percent sign as %25");
    const auto byte = static_cast<unsigned char>(high << 4 | low);
    if (byte == '/' || byte == '\\')
      return bad(fmt::format("has an encoded slash, `{}`", path.substr(at, 3)),
                 "servers do not agree on whether it parts segments: write it plain");
    if (is_control(byte))
      return bad(fmt::format("has an encoded control character, `{}`", path.substr(at, 3)), "leave it out");
    out += static_cast<char>(byte);
    at += 2;
  }
  return out;
}

}  // namespace

Result<HttpPath> normalise_path(std::string_view target) {
  if (target == "*") return HttpPath{"*", ""};
  if (!target.starts_with('/')) return bad("does not begin with `/`", "write it as in /v1/invoices");
  if (std::ranges::any_of(target, [](char c) { return belongs_nowhere(static_cast<unsigned char>(c)); }))
    return bad("or query has a character that belongs in no URI", "percent-encode it");
  const size_t question = target.find('?');
  HttpPath out;
  if (question != std::string_view::npos) out.query = target.substr(question + 1);
  auto path = decode(target.substr(0, question));
  if (!path) return std::unexpected(path.error());
  for (size_t at = 0; at != std::string::npos; at = path->find('/', at + 1)) {
    const std::string_view segment = std::string_view(*path).substr(at + 1, path->find('/', at + 1) - at - 1);
    if (segment == "." || segment == "..")
      return bad("has a segment `.` or `..`", "write the path that is meant, without them");
  }
  out.path = std::move(*path);
  return out;
}

Result<HttpHost> parse_http_host(std::string_view authority) {
  const auto wrong = [&] { return fail(fmt::format("`{}` is not a host", printable(authority)), "write name:port"); };
  HttpHost out;
  const bool bracketed = authority.starts_with('[');
  const size_t colon = bracketed ? authority.find("]:") : authority.find(':');
  std::string_view name = authority.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + (bracketed ? 2 : 1));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) return wrong();
  } else if (bracketed && !name.ends_with(']')) {
    return wrong();
  }
  if (bracketed) {
    name.remove_prefix(1);
    if (name.ends_with(']')) name.remove_suffix(1);
    if (auto address = model::IpAddress::parse(name); !address || name.find(':') == std::string_view::npos)
      return wrong();
  }
  const auto good = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || (bracketed && c == ':');
  };
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253 || !std::ranges::all_of(name, good)) return wrong();
  for (char c : name) out.name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool leads_to(const Policy& policy, const HostAddresses& resolved, const Target& target, const HttpHost& host,
              uint16_t default_port) {
  const uint16_t port = host.port == 0 ? default_port : host.port;
  if (auto address = model::IpAddress::parse(host.name)) {
    const TargetMatch match = policy.match_target({*address, port}, resolved);
    return match.target == &target && match.others.empty();
  }
  return std::ranges::any_of(target.hosts,
                             [&](const HostPattern& each) { return each.name == host.name && each.port == port; });
}

}  // namespace sallyport::policy
