// SPDX-License-Identifier: Apache-2.0
#include "flow/http/request.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/log.h"

namespace sallyport::flow {
namespace {

using http::Field;

/// Field values under which frameworks answer another request than the request line's.
constexpr std::string_view kMethodOverrides[] = {"x-http-method-override", "x-http-method", "x-method-override"};
constexpr std::string_view kPathOverrides[] = {"x-original-url", "x-rewrite-url", "x-original-uri"};

Answer bad_request(std::string message, std::string hint) { return {400, std::move(message), "", std::move(hint), {}}; }

/// Why it is nothing that Sallyport relays at all.
std::optional<Answer> not_spoken(const http::RequestHead& head) {
  if (head.method == "CONNECT")
    return Answer{501,
                  "CONNECT is not relayed: what goes through a tunnel cannot be judged",
                  "",
                  "connect to the host itself: Sallyport is in the way already",
                  {}};
  // Clients that only offer HTTP/2 go on in HTTP/1.1 when nobody takes the offer (RFC 9110 section 7.8).
  for (const Field& field : head.fields)
    if (http::same_name(field.name, "upgrade") && !http::same_name(field.value, "h2c"))
      return Answer{501,
                    fmt::format("Upgrade to {} is not relayed: it cannot be judged", printable(field.value, 64)),
                    "",
                    "use plain HTTP/1.1",
                    {}};
  return std::nullopt;
}

/// Fields that change what the request is to some servers.
std::optional<Answer> overrides(const http::RequestHead& head) {
  for (const Field& field : head.fields) {
    const auto is = [&](std::string_view name) { return http::same_name(field.name, name); };
    if (std::ranges::any_of(kMethodOverrides, is) && field.value != head.method)
      return bad_request(fmt::format("{} says another method than the request line", printable(field.name)),
                         "send the method that is meant");
    if (std::ranges::any_of(kPathOverrides, is))
      return bad_request(fmt::format("{} says another path than the request line", printable(field.name)),
                         "send the path that is meant");
  }
  return std::nullopt;
}

/// Authority and origin form of a target in absolute form (RFC 9112 section 3.2.2); `target` stays what it is in
/// another form.
Result<std::string_view> split_absolute(std::string_view& target, bool secured) {
  if (target.starts_with('/') || target == "*") return std::string_view();
  const std::string_view scheme = secured ? "https://" : "http://";
  if (target.size() <= scheme.size() || !http::same_name(target.substr(0, scheme.size()), scheme))
    return fail("the request target is no path", "send the path and query, as in GET /v1/invoices HTTP/1.1");
  const std::string_view rest = target.substr(scheme.size());
  const size_t path = std::min(rest.find_first_of("/?#"), rest.size());
  if (path < rest.size() && rest[path] != '/') return fail("the request target has no path", "begin it with `/`");
  target = path < rest.size() ? rest.substr(path) : "/";
  return rest.substr(0, path);
}

}  // namespace

std::variant<Answer, Asked> read_request(const http::RequestHead& head, bool secured) {
  if (auto answer = not_spoken(head)) return std::move(*answer);
  if (auto answer = overrides(head)) return std::move(*answer);
  auto connection = http::read_connection(head.fields);
  if (!connection) return bad_request(connection.error().what, "leave it out");
  const auto host_field = http::find_only(head.fields, "host");
  if (!host_field) return bad_request("not exactly one Host field", "send one");
  std::string_view target = head.target;
  const auto authority = split_absolute(target, secured);
  if (!authority) return bad_request(authority.error().what, authority.error().hint);
  if (!authority->empty() && !http::same_name(*authority, *host_field))
    return bad_request("the request target and Host name different hosts", "send the same in both");
  if (target == "*" && head.method != "OPTIONS") return bad_request("`*` is for OPTIONS only", "send a path");
  auto host = policy::parse_http_host(*host_field);
  if (!host) return bad_request("Host: " + host.error().what, host.error().hint);
  auto path = policy::normalise_path(target);
  if (!path) return bad_request(path.error().what, path.error().hint);
  Asked out{.http = {.method = std::string(head.method),
                     .host = host->port == 0 ? host->name : fmt::format("{}:{}", host->name, host->port),
                     .path = std::move(path->path),
                     .query = std::move(path->query)},
            .host = std::move(*host),
            .target = std::string(target),
            .connection = std::move(*connection)};
  return out;
}

std::string record_text(const model::Http& http) {
  std::string out = fmt::format("{} {}{}", printable(http.method, 64), http.host, printable(http.path, 4096));
  char before = '?';
  for (std::string_view rest = http.query; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const size_t equals = pair.find('=');
    out += before;
    if (equals != std::string_view::npos) out += printable(pair.substr(0, equals), 64) + "=";
    if (equals != pair.size() - 1) out += "…";
    before = '&';
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
  }
  return out;
}

std::string record_text(const http::RequestHead& head) {
  // Of an absolute form what stands before the host may be a password.
  const std::string_view target = head.target.substr(0, head.target.find_first_of("?#"));
  const size_t at = target.rfind('@');
  return fmt::format("{} {}", printable(head.method, 64),
                     printable(at == std::string_view::npos ? target : target.substr(at + 1), 1024));
}

}  // namespace sallyport::flow
