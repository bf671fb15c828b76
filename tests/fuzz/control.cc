// SPDX-License-Identifier: Apache-2.0
// What a peer of the control socket may send: whole requests off a socket, and routes by method, target and body.
// Oracles: every answer is JSON with a status that HTTP knows; a handler is asked only what the peer's roles allow; an
// error says what and has no control characters.
#include <sys/socket.h>

#include <boost/beast/http/status.hpp>
#include <nlohmann/json.hpp>

#include "control/request.h"
#include "sallyport/base/unique_fd.h"
#include "tests/fuzz/fuzz.h"

namespace control = sallyport::control;
using nlohmann::json;
using sallyport::Result;
using sallyport::UniqueFd;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

/// Answers, and keeps what role it takes to ask what was asked.
class Handler final : public control::Handler {
 public:
  std::optional<control::Role> needed;

  bool governed(const control::Peer&) override { return false; }
  Result<control::ExecGrant> place(const control::Peer&, const control::ExecRequest& request) override {
    if (request.agent.empty()) return sallyport::fail("no such agent");
    return control::ExecGrant{request.agent, "/sallyport.slice/a", 1, "guarded", true};
  }
  json status() override { return seen(control::Role::viewer); }
  json agents() override { return seen(control::Role::viewer); }
  Result<nlohmann::json> agent(const std::string& name) override { return nlohmann::json{{"name", name}}; }
  json flows() override { return seen(control::Role::viewer); }
  json policy() override { return seen(control::Role::viewer); }
  Result<json> reload_policy() override { return seen(control::Role::operate); }
  json doctor() override { return seen(control::Role::viewer); }
  Result<json> sessions(const control::SessionQuery& query) override {
    must(query.limit <= 10'000, "a page beyond the limit");
    return seen(control::Role::viewer);
  }
  Result<json> session(const std::string& id, uint64_t, uint32_t limit) override {
    must(limit <= 10'000, "a page beyond the limit");
    if (id == "none") return sallyport::fail("no session");
    return seen(control::Role::viewer);
  }

 private:
  json seen(control::Role role) {
    needed = role;
    return json::object();
  }
};

void check_route(const control::HttpRequest& request, uid_t uid) {
  static const control::Roles roles{{control::Role::viewer, {1}, {}}, {control::Role::operate, {2}, {}}};
  Handler handler;
  control::Peer peer;
  peer.uid = uid;
  peer.user = "u";
  const control::HttpAnswer answer = control::route(request, peer, roles, handler);
  must(!handler.needed || control::holds(roles, peer, *handler.needed), "asked beyond the peer's role");
  must(boost::beast::http::int_to_status(answer.status) != boost::beast::http::status::unknown, "no status of HTTP");
  const json body = json::parse(answer.body, nullptr, false);
  must(!body.is_discarded(), "an answer that is no JSON");
  if (answer.status < 400) return;
  const auto what = body["error"]["what"].get<std::string>();
  must(!what.empty(), "an error without words");
  for (const char c : what) must(static_cast<unsigned char>(c) >= 0x20, "a control character in an error");
}

Result<control::HttpRequest> over_a_socket(std::string_view bytes) {
  int pair[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0, "no socket pair");
  const UniqueFd ours(pair[0]), peers(pair[1]);
  must(::send(peers.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()), "not sent");
  ::shutdown(peers.get(), SHUT_WR);
  unsigned status = 400;
  auto request = control::read_request(ours.get(), status);
  must(request || (status >= 400 && status < 500), "a bad request is the peer's fault");
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  const uid_t uid = static_cast<uid_t>(choices.choose(4));
  if (choices.flip()) {
    if (const auto request = over_a_socket(choices.rest())) check_route(*request, uid);
    return 0;
  }
  const std::string_view rest = choices.rest();
  const size_t line = rest.find('\n');
  const std::string target(rest.substr(0, line));
  const std::string body(line == std::string_view::npos ? "" : rest.substr(line + 1));
  check_route({choices.flip() ? "POST" : "GET", target, body}, uid);
  return 0;
}
