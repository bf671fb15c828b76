// SPDX-License-Identifier: Apache-2.0
#include "control/routes.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::control {
namespace {

using nlohmann::json;
using Query = std::map<std::string, std::string, std::less<>>;

struct Call {
  const Peer& peer;
  Handler& handler;
  const std::string& body;
  std::string_view rest;  ///< of the path, behind a prefix route
  Query query;
};

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

HttpAnswer ok(const json& value) { return {200, dump(value)}; }

HttpAnswer answer(const Result<json>& result, unsigned status_of_error = 400) {
  return result ? ok(*result) : error_answer(status_of_error, result.error());
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hex_digit(text[i + 1]) : -1;
    const int low = escape ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    query.emplace(percent_decoded(pair.substr(0, equals)),
                  equals == std::string_view::npos ? "" : percent_decoded(pair.substr(equals + 1)));
  }
  return query;
}

/// The number under `name`, `otherwise` when it is absent; nothing when it is no number.
std::optional<uint64_t> number(const Query& query, std::string_view name, uint64_t otherwise) {
  auto found = query.find(name);
  if (found == query.end()) return otherwise;
  const std::string& text = found->second;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string text_of(const Query& query, std::string_view name) {
  auto found = query.find(name);
  return found == query.end() ? "" : found->second;
}

HttpAnswer exec(Call& call) {
  const json body = json::parse(call.body, nullptr, false);
  if (!body.is_object() || !body.contains("agent") || !body["agent"].is_string())
    return error_answer(400, {"the body is no JSON object with an `agent`", "send {\"agent\": \"NAME\"}"});
  ExecRequest request{body["agent"].get<std::string>()};
  for (const auto& [key, value] : body.items()) {
    if (key == "agent") continue;
    if (key == "token_file" && value.is_string() && value.get_ref<const std::string&>().starts_with('/')) {
      request.token_file = value.get<std::string>();
      continue;
    }
    if (key != "map_identity" || !value.is_boolean())
      return error_answer(400, {fmt::format("`{}` is not understood", printable(key)), ""});
    request.map_identity = value.get<bool>();
  }
  const auto grant = call.handler.place(call.peer, request);
  if (!grant) return error_answer(403, grant.error());
  return ok({{"agent", grant->agent},
             {"cgroup", grant->cgroup_path},
             {"cgroup_id", grant->cgroup_id},
             {"level", grant->level},
             {"io_uring", grant->io_uring}});
}

HttpAnswer sessions(Call& call) {
  const auto limit = number(call.query, "limit", 100);
  if (!limit) return error_answer(400, {"`limit` is not a number", ""});
  return answer(call.handler.sessions({text_of(call.query, "agent"), text_of(call.query, "target"),
                                       static_cast<uint32_t>(std::min<uint64_t>(*limit, limits::kControlPageMax))}));
}

HttpAnswer session(Call& call) {
  const auto from = number(call.query, "from", 0);
  const auto limit = number(call.query, "limit", 1'000);
  if (!from || !limit) return error_answer(400, {"`from` or `limit` is not a number", ""});
  return answer(call.handler.session(percent_decoded(call.rest), *from,
                                     static_cast<uint32_t>(std::min<uint64_t>(*limit, limits::kControlPageMax))),
                404);
}

struct Route {
  std::string_view method;
  std::string_view path;     ///< ending in '/': a prefix
  std::optional<Role> role;  ///< nothing: open to any peer that is not governed
  HttpAnswer (*run)(Call&);
};

const Route kRoutes[] = {
    {"POST", "/v1/exec", std::nullopt, exec},
    {"GET", "/v1/status", Role::viewer, [](Call& c) { return ok(c.handler.status()); }},
    {"GET", "/v1/agents", Role::viewer, [](Call& c) { return ok(c.handler.agents()); }},
    {"GET", "/v1/agents/", Role::viewer, [](Call& c) { return answer(c.handler.agent(percent_decoded(c.rest)), 404); }},
    {"GET", "/v1/flows", Role::viewer, [](Call& c) { return ok(c.handler.flows()); }},
    {"GET", "/v1/policy", Role::viewer, [](Call& c) { return ok(c.handler.policy()); }},
    {"POST", "/v1/policy/reload", Role::operate, [](Call& c) { return answer(c.handler.reload_policy()); }},
    {"GET", "/v1/doctor", Role::viewer, [](Call& c) { return ok(c.handler.doctor()); }},
    {"GET", "/v1/sessions", Role::viewer, sessions},
    {"GET", "/v1/sessions/", Role::viewer, session},
};

bool matches(const Route& route, std::string_view path) {
  return route.path.ends_with('/') ? path.starts_with(route.path) && path.size() > route.path.size()
                                   : path == route.path;
}

}  // namespace

HttpAnswer error_answer(unsigned status, const Error& error) {
  return {status, dump({{"error", {{"what", error.what}, {"hint", error.hint}}}})};
}

HttpAnswer route(const HttpRequest& request, const Peer& peer, const Roles& roles, Handler& handler) {
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  bool path_known = false;
  for (const Route& each : kRoutes) {
    if (!matches(each, path)) continue;
    path_known = true;
    if (each.method != request.method) continue;
    if (each.role && !holds(roles, peer, *each.role))
      return error_answer(403, {fmt::format("`{}` does not hold the role `{}`", peer.user, to_string(*each.role)),
                                "ask as root, or have the role given in the daemon's configuration"});
    Call call{peer, handler, request.body, path.substr(std::min(path.size(), each.path.size())),
              parse_query(path.size() < target.size() ? target.substr(path.size() + 1) : "")};
    return each.run(call);
  }
  if (path_known) return error_answer(405, {fmt::format("`{}` does not take this method", printable(path)), ""});
  return error_answer(404,
                      {fmt::format("there is no `{}`", printable(path)), "docs/control-api.md lists what there is"});
}

}  // namespace sallyport::control
