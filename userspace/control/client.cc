// SPDX-License-Identifier: Apache-2.0
#include "sallyport/control/client.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "control/stream.h"
#include "sallyport/base/limits.h"

namespace sallyport::control {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(fmt::format("`{}` is too long for a Unix socket", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  const bool absent = errno == ENOENT || errno == ECONNREFUSED;
  return fail_errno(fmt::format("no daemon at `{}`", path),
                    absent ? "start it with `sudo sallyport daemon`, or name its socket with --socket" : "");
}

std::string string_in(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Error error_in(unsigned status, const json& body) {
  auto error = body.is_object() ? body.find("error") : body.end();
  if (!body.is_object() || error == body.end() || !error->is_object())
    return {fmt::format("the daemon answered {}", status), ""};
  return {string_in(*error, "what"), string_in(*error, "hint")};
}

}  // namespace

Client::Client(std::string socket_path, int64_t timeout_ms)
    : socket_path_(std::move(socket_path)), timeout_ms_(timeout_ms) {}

Result<json> Client::ask(std::string_view method, std::string_view path, std::string body) const {
  auto socket = connect_to(socket_path_);
  if (!socket) return std::unexpected(socket.error());
  DeadlineStream stream(socket->get(), timeout_ms_);
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: sallyport\r\nConnection: close\r\n", method, path);
  if (!body.empty()) request += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  // A daemon that refuses by who we are answers without reading: a failed send is no verdict yet.
  auto sent = stream.write_all(request + "\r\n" + body);

  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(limits::kControlAnswerBytesMax);
  boost::system::error_code error;
  http::read(stream, buffer, parser, error);
  if (error) {
    if (!sent) return fail_within("ask the daemon", sent.error());
    return fail(fmt::format("ask the daemon: {}", error.message()));
  }
  json answer = json::parse(parser.get().body(), nullptr, false);
  if (answer.is_discarded()) return fail("the daemon's answer is not JSON");
  const unsigned status = parser.get().result_int();
  if (status != 200) return std::unexpected(error_in(status, answer));
  return answer;
}

Result<json> Client::get(std::string_view path) const { return ask("GET", path, ""); }

Result<json> Client::post(std::string_view path, const json& body) const {
  return ask("POST", path, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

Result<ExecGrant> Client::exec(const ExecRequest& request) const {
  json body = {{"agent", request.agent}, {"map_identity", request.map_identity}};
  if (!request.token_file.empty()) body["token_file"] = request.token_file;
  const auto answer = post("/v1/exec", body);
  if (!answer) return std::unexpected(answer.error());
  ExecGrant grant;
  grant.agent = string_in(*answer, "agent");
  grant.cgroup_path = string_in(*answer, "cgroup");
  grant.level = string_in(*answer, "level");
  const auto id = answer->find("cgroup_id");
  const auto rings = answer->find("io_uring");
  if (grant.cgroup_path.empty() || id == answer->end() || !id->is_number_unsigned())
    return fail("the daemon's answer lacks the cgroup", "client and daemon must be of one version");
  grant.cgroup_id = id->get<uint64_t>();
  grant.io_uring = rings != answer->end() && rings->is_boolean() && rings->get<bool>();
  return grant;
}

bool Client::reachable() const { return connect_to(socket_path_).has_value(); }

}  // namespace sallyport::control
