// SPDX-License-Identifier: Apache-2.0
// A whole HTTP flow of a workload of two agents: the input is what the agent and the server send, how bytes are cut and
// delivered, when policy or tokens change and legs end. Oracles: those of Driver (each request that goes up stands
// behind a record that allows it; nothing comes after Finish); whatever the server gets reads as requests for paths
// that policy allows, without the token's field; and what goes out is bounded by what came in.
#include <gtest/gtest.h>

#include "sallyport/policy/http.h"
#include "tests/flow/harness.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzzing {
namespace {

using namespace sallyport::flow;
using namespace sallyport::flow::test;

constexpr std::string_view kPolicy = R"(
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bot}
spec: {workload: [{exec: bot}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: twin}
spec: {workload: [{exec: twin}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: web}
spec: {protocol: http, hosts: ['10.0.0.5:5432'], token: {from: authorization}}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: e-bot}
spec: {agent: bot, target: web, allow: [{http: {paths: [/bot]}}], limits: [{count: statements, max: 9, per: 1h}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: e-twin}
spec: {agent: twin, target: web, allow: [{http: {methods: [GET], paths: [/twin]}}], hold: [{http: {methods: [PUT], paths: [/twin]}}]}
)";

constexpr std::string_view kRequests[] = {
    "GET /bot HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-bot\r\n\r\n",
    "GET /twin HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-twin\r\n\r\n",
    "PUT /twin HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-twin\r\nContent-Length: 0\r\n\r\n",
    "GET /secret HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-bot\r\n\r\n",
    "POST /bot HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-bot\r\nContent-Length: 40\r\n\r\n",
    "POST /bot HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-bot\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /twin HTTP/1.1\r\nHost: 10.0.0.5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nGET /\r\n",
    "0\r\n\r\n",
};
constexpr std::string_view kAnswers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                         "2\r\nok\r\n",
                                         "0\r\n\r\n",
                                         "HTTP/1.1 204 No Content\r\n\r\n",
                                         "HTTP/1.1 100 Continue\r\n\r\n",
                                         "HTTP/1.0 200 OK\r\n\r\nok"};

class Script {
 public:
  explicit Script(std::string_view input) : input_(input) {}
  bool done() const { return input_.empty(); }
  size_t below(size_t bound) {
    if (input_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(input_.front());
    input_.remove_prefix(1);
    return byte % bound;
  }
  std::string_view bytes() {
    const std::string_view taken = input_.substr(0, below(256));
    input_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view input_;
};

class Run {
 public:
  explicit Run(Script& script) : script_(script), world_(std::string(kPolicy)), driver_(make_driver()) {}

  void run() {
    while (!script_.done() && !driver_.finished) {
      step();
      if (driver_.dial_wanted()) driver_.event(Dialled{driver_.upstream, listed()});
    }
    check();
  }

 private:
  Driver make_driver() {
    tell(Standing::Is::proven);
    auto unknown = std::make_shared<Standing>();
    unknown->is = Standing::Is::refused;
    unknown->why = "it presents no token";
    world_.caller = unknown;
    return Driver(world_, listed(), "");
  }

  void tell(Standing::Is is) {
    for (const char* agent : {"bot", "twin"}) {
      auto standing = std::make_shared<Standing>();
      standing->is = is;
      standing->agent = is == Standing::Is::proven ? agent : "";
      standing->token = {.issuer = "corp", .subject = agent};
      standing->why = "why";
      world_.shown[std::string("jwt-") + agent] = standing;
    }
  }

  void step() {
    switch (script_.below(10)) {
      case 0:
        return give(kAgentLeg, script_.bytes());
      case 1:
      case 2:
      case 3:
        return give_cut(kAgentLeg, kRequests[script_.below(std::size(kRequests))]);
      case 4:
        return give(driver_.upstream, script_.bytes());
      case 5:
      case 6:
        return give_cut(driver_.upstream, kAnswers[script_.below(std::size(kAnswers))]);
      case 7:
        return driver_.tick(static_cast<int64_t>(script_.below(256)) * 100);
      default:
        return happen();
    }
  }

  void give_cut(Leg leg, std::string_view bytes) {
    const size_t cut = script_.below(bytes.size() + 1);
    give(leg, bytes.substr(0, cut));
    give(leg, bytes.substr(cut));
  }

  void give(Leg leg, std::string_view bytes) {
    const std::vector<char> copy(bytes.begin(), bytes.end());
    came_in_ += copy.size();
    if (!copy.empty() && !driver_.finished) driver_.event(Bytes{leg, {copy.data(), copy.size()}});
  }

  void happen() {
    const auto leg = static_cast<Leg>(script_.below(2) == 0 ? kAgentLeg : driver_.upstream);
    switch (script_.below(6)) {
      case 0:
        return driver_.event(Eof{leg});
      case 1:
        return driver_.event(Failed{leg, "reset"});
      case 2:
        tell(static_cast<Standing::Is>(script_.below(3)));
        return driver_.event(Changed{});
      case 3:
        return driver_.event(Changed{});
      case 4:
        return driver_.event(RecordFailed{"disk full"});
      default:
        return driver_.event(Answered{static_cast<model::OperationId>(script_.below(8)), script_.below(2) == 1, "a"});
    }
  }

  void check() const {
    std::string_view rest = driver_.all_to_server;
    while (true) {
      auto next = http::next_request(rest);
      must(!std::holds_alternative<http::Violation>(next), "the server gets requests only");
      const auto* head = std::get_if<http::RequestHead>(&next);
      if (!head) break;
      const auto path = policy::normalise_path(head->target);
      must(path && (path->path == "/bot" || path->path == "/twin"), "the server is asked for allowed paths only");
      must(path->path == "/bot" || head->method != "POST", "and by allowed methods");
      must(!http::has_field(head->fields, "authorization"), "no token goes up");
      rest.remove_prefix(head->raw.size());
      http::BodyReader body(head->body);
      while (true) {
        auto piece = body.next(rest);
        must(!std::holds_alternative<http::Violation>(piece), "the server gets whole bodies");
        const auto* part = std::get_if<http::BodyReader::Piece>(&piece);
        if (!part) return;
        rest.remove_prefix(part->consumed);
        if (part->last) break;
      }
      // The next connection's requests stand behind a request that was cut: nothing more can be said of them.
      if (driver_.upstream != kUpstreamLeg) return;
    }
    const size_t went_out = driver_.all_to_agent.size() + driver_.all_to_server.size();
    must(went_out <= 64 * came_in_ + (256 << 10), "more goes out than what came in can have caused");
  }

  Script& script_;
  World world_;
  Driver driver_;
  size_t came_in_ = 0;
};

}  // namespace
}  // namespace sallyport::fuzzing

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  GTEST_FLAG_SET(break_on_failure, true);  // what Driver checks is an oracle here
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sallyport::fuzzing::Script script(sallyport::fuzzing::view(data, size));
  sallyport::fuzzing::Run(script).run();
  return 0;
}
