// SPDX-License-Identifier: Apache-2.0
// HTTP flows as transcripts: what the agent sent, what went to the server, what came back, and what is on record.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/harness.h"

namespace sallyport::flow::test {
namespace {

std::string document(std::string_view kind, std::string_view name, std::string_view spec) {
  return fmt::format("---\napiVersion: sallyport.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec: {{{}}}\n", kind,
                     name, spec);
}

/// Agent bot on Target web at 10.0.0.5:5432, which is api.internal too, under these rules.
std::string web(std::string_view rules, std::string_view target_rest = "") {
  return document("Agent", "bot", "workload: [{exec: bot}]") +
         document("Target", "web",
                  fmt::format("protocol: http, hosts: ['api.internal:5432', '10.0.0.5:5432']{}", target_rest)) +
         document("Entitlement", "e", fmt::format("agent: bot, target: web, {}", rules));
}

constexpr std::string_view kReads = "allow: [{http: {methods: [GET], paths: [/v1/**]}}]";
constexpr std::string_view kAll = "allow: [{http: {}}]";

std::string get(std::string_view path, std::string_view fields = "") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: api.internal\r\n{}\r\n", path, fields);
}
std::string ok(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

/// A flow whose server is dialled when it is wanted.
struct Web : World {
  explicit Web(std::string_view rules = kReads, std::string_view target_rest = "")
      : World(web(rules, target_rest)), driver(*this) {}
  /// Sends it, answers the dial, and gives what went to the server.
  std::string ask(std::string_view bytes) {
    driver.from_agent(bytes);
    dial();
    return driver.take_server();
  }
  void dial() {
    if (driver.dial_wanted()) driver.event(Dialled{driver.upstream, listed()});
  }
  std::string reply(std::string_view bytes) {
    driver.from_server(bytes);
    return driver.take_agent();
  }
  std::string last_outcome() {
    const auto& decided = driver.decided().back();
    return fmt::format("{} {}", model::to_string(decided.outcome), decided.statement);
  }
  Driver driver;
};

std::string status_of(std::string_view answer) { return std::string(answer.substr(0, answer.find("\r\n"))); }

// ---------------------------------------------------------------- relaying

TEST(HttpFlow, ARequestGoesUpAndItsAnswerComesBack) {
  Web web;
  EXPECT_EQ(web.ask(get("/v1/a?b=c", "X: y\r\nAuthorization: Bearer own\r\n")),
            "GET /v1/a?b=c HTTP/1.1\r\nHost: api.internal\r\nX: y\r\nAuthorization: Bearer own\r\n\r\n");
  EXPECT_EQ(web.last_outcome(), "allow GET api.internal/v1/a?b=…");
  EXPECT_EQ(web.reply(ok("hello")), ok("hello"));
  EXPECT_FALSE(web.driver.finished);
  const auto ended = web.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].tag, "200 OK");
  EXPECT_EQ(ended[0].bytes_to_agent, ok("hello").size());
  EXPECT_EQ(web.protocol, "http");
}

TEST(HttpFlow, OneConnectionServesManyRequests) {
  Web web;
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(web.ask(get("/v1/a")), "");
    EXPECT_EQ(web.reply(ok("x")), ok("x"));
  }
  EXPECT_EQ(web.driver.decided().size(), 4u);
}

TEST(HttpFlow, WhatIsPipelinedWaitsForTheAnswerBefore) {
  Web web;
  EXPECT_EQ(web.ask(get("/v1/a") + get("/v1/b") + get("/secret") + get("/v1/c")), get("/v1/a"));
  EXPECT_EQ(web.reply(ok("a")), ok("a"));
  EXPECT_EQ(web.driver.take_server(), get("/v1/b"));
  const std::string answers = web.reply(ok("b"));
  EXPECT_TRUE(answers.starts_with(ok("b") + "HTTP/1.1 403 Forbidden\r\n")) << answers;
  EXPECT_EQ(web.driver.take_server(), get("/v1/c"));
}

TEST(HttpFlow, FieldsForOneConnectionStayOnIt) {
  Web web;
  EXPECT_EQ(web.ask(get("/v1/a",
                        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
                        "Upgrade: h2c\r\nProxy-Connection: a\r\nX: y\r\n")),
            get("/v1/a", "X: y\r\n"));
  EXPECT_EQ(web.reply("HTTP/1.1 200 OK\r\nConnection: X-Back\r\nX-Back: 1\r\nKeep-Alive: 1\r\nX: y\r\n"
                      "Content-Length: 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpFlow, ChunkedBodiesKeepTheirBytesAndTrailersButNotTheirExtensions) {
  Web web(kAll);
  const std::string head = "POST /v1 HTTP/1.1\r\nHost: 10.0.0.5:5432\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(web.ask(head + "5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), head + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_EQ(web.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n000a;z\r\n0123456789\r\n0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n");
}

TEST(HttpFlow, EveryByteMayComeByItself) {
  Web web(kAll);
  const std::string request = "PUT /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 5\r\n\r\nhello";
  for (char c : request + get("/b")) {
    web.driver.from_agent(std::string_view(&c, 1));
    web.dial();
  }
  EXPECT_EQ(web.driver.take_server(), request);
  const std::string answer = "HTTP/1.1 100 Continue\r\n\r\n" + ok("one");
  for (char c : answer) web.driver.from_server(std::string_view(&c, 1));
  EXPECT_EQ(web.driver.take_agent(), answer);
  EXPECT_EQ(web.driver.take_server(), get("/b"));
}

TEST(HttpFlow, AnswersWithoutABodyEndWithTheirHead) {
  Web web(kAll);
  for (const char* answer :
       {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"}) {
    web.ask(get("/"));
    EXPECT_EQ(web.reply(answer), answer);
  }
  web.ask("HEAD / HTTP/1.1\r\nHost: api.internal\r\n\r\n");
  EXPECT_EQ(web.reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  EXPECT_NE(web.ask(get("/")), "");
}

TEST(HttpFlow, AnAnswerThatEndsWithTheConnectionEndsTheAgentsToo) {
  Web web;
  web.ask(get("/v1/a"));
  EXPECT_EQ(web.reply("HTTP/1.1 200 OK\r\n\r\nhel"), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel");
  EXPECT_EQ(web.reply("lo"), "lo");
  web.driver.event(Eof{web.driver.upstream});
  EXPECT_TRUE(web.driver.finished);
  EXPECT_TRUE(web.driver.aborted.empty());
}

TEST(HttpFlow, Http10KnowsNoChunksAndNoInterimAnswers) {
  Web web(kAll);
  EXPECT_EQ(web.ask("GET /v1 HTTP/1.0\r\nHost: api.internal\r\n\r\n"),
            "GET /v1 HTTP/1.0\r\nHost: api.internal\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(
      web.reply("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                "0\r\n\r\n"),
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpFlow, Http10MayKeepItsConnection) {
  Web web(kAll);
  EXPECT_EQ(web.ask("GET / HTTP/1.0\r\nHost: api.internal\r\nConnection: Keep-Alive\r\n\r\n"),
            "GET / HTTP/1.0\r\nHost: api.internal\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(web.reply("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
  EXPECT_FALSE(web.driver.finished);
}

TEST(HttpFlow, TheAgentsCloseIsKept) {
  Web web;
  EXPECT_EQ(web.ask(get("/v1/a", "Connection: close\r\n")), get("/v1/a", "Connection: close\r\n"));
  const std::string answer = web.reply(ok("x"));
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpFlow, AnAnswerThatComesBeforeTheBodyIsSentDoesNotEndTheRequest) {
  Web web(kAll);
  const std::string head = "POST / HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 4\r\n\r\n";
  EXPECT_EQ(web.ask(head + "ab"), head + "ab");
  EXPECT_EQ(web.reply(ok("early")), ok("early"));
  EXPECT_EQ(web.ask("cd" + get("/next")), "cd" + get("/next"));
}

TEST(HttpFlow, TheBodyWaitsForTheConnectionAndNoMoreIsReadThanFits) {
  Web web(kAll);
  web.driver.from_agent("POST / HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 10000000\r\n\r\n");
  web.driver.from_agent(std::string(limits::kLegQueueBytesMax, 'x'));
  EXPECT_FALSE(web.driver.agent_reading);
  EXPECT_EQ(web.driver.all_to_server, "");
  web.dial();
  EXPECT_TRUE(web.driver.agent_reading);
  EXPECT_GT(web.driver.all_to_server.size(), limits::kLegQueueBytesMax);
}

// ---------------------------------------------------------------- refusals

TEST(HttpFlow, ARefusedRequestReachesNobodyAndLeavesTheConnection) {
  Web web;
  EXPECT_EQ(web.ask("POST /v1/a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 5\r\n\r\nhello" + get("/v1/a")),
            get("/v1/a"));
  const std::string answer = web.driver.take_agent();
  EXPECT_EQ(status_of(answer), "HTTP/1.1 403 Forbidden");
  EXPECT_NE(answer.find("refused by policy for agent bot: no rule of Entitlement e allows POST /v1/a"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("hint: allow: [{http: {methods: [POST], paths: [/v1/a]}}]"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(web.reply(ok("x")), ok("x"));
}

TEST(HttpFlow, WhoAsksForJsonIsToldInJson) {
  Web web;
  web.driver.from_agent(get("/x", "Accept: application/json\r\n"));
  const std::string answer = web.driver.take_agent();
  EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_NE(answer.find("{\"error\":{\"detail\":"), std::string::npos) << answer;
  web.driver.from_agent("HEAD /x HTTP/1.1\r\nHost: api.internal\r\n\r\n");
  EXPECT_TRUE(web.driver.take_agent().ends_with("\r\n\r\n"));
}

TEST(HttpFlow, ARefusedBodyIsSkippedWithinABound) {
  Web web;
  web.driver.from_agent(fmt::format("POST /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: {}\r\n\r\n",
                                    limits::kHttpSkippedBytesMax + 1));
  EXPECT_NE(web.driver.take_agent().find("Connection: close"), std::string::npos);
  EXPECT_TRUE(web.driver.finished);

  Web chunked;
  chunked.driver.from_agent("POST /a HTTP/1.1\r\nHost: api.internal\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(chunked.driver.take_agent().find("Connection: close"), std::string::npos);
  const std::string piece = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (size_t sent = 0; sent <= limits::kHttpSkippedBytesMax; sent += piece.size()) {
    EXPECT_FALSE(chunked.driver.finished);
    chunked.driver.from_agent(piece);
  }
  EXPECT_TRUE(chunked.driver.finished);
}

TEST(HttpFlow, WhoWaitsFor100ContinueIsToldAndClosed) {
  Web web;
  web.driver.from_agent("POST /a HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_NE(web.driver.take_agent().find("Connection: close"), std::string::npos);
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpFlow, AnotherHostIsMisdirected) {
  Web web(kAll);
  for (const char* host : {"other.internal", "api.internal:80", "10.0.0.6", "api.internal.evil"}) {
    web.driver.from_agent(fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host));
    EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 421 Misdirected Request") << host;
    EXPECT_EQ(web.last_outcome().substr(0, 4), "deny");
  }
  EXPECT_EQ(web.driver.all_to_server, "");
  for (const char* host : {"API.internal.:5432", "10.0.0.5", "10.0.0.5:5432"}) {
    EXPECT_NE(web.ask(fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host)), "") << host;
    web.reply(ok(""));
  }
}

TEST(HttpFlow, HostTellsTargetsAtOneAddressApart) {
  struct Two : World {
    Two()
        : World(document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "a", "protocol: http, hosts: ['a.internal:5432']") +
                document("Target", "b", "protocol: http, hosts: ['b.internal:5432']") +
                document("Entitlement", "ea", "agent: bot, target: a, allow: [{http: {}}]") +
                document("Entitlement", "eb", "agent: bot, target: b, allow: [{http: {paths: [/b]}}]")) {
      auto both = std::make_shared<Facts>(*facts());
      both->hosts = {{"a.internal", {listed().address}}, {"b.internal", {listed().address}}};
      facts_of_both = both;
    }
    std::shared_ptr<const Facts> facts() override { return facts_of_both ? facts_of_both : World::facts(); }
    std::shared_ptr<const Facts> facts_of_both;
  } world;
  Driver driver(world);
  driver.from_agent("GET /x HTTP/1.1\r\nHost: b.internal\r\n\r\n");
  EXPECT_EQ(status_of(driver.take_agent()), "HTTP/1.1 403 Forbidden");
  EXPECT_EQ(world.target, "b");
  driver.from_agent("GET /x HTTP/1.1\r\nHost: a.internal\r\n\r\n");
  EXPECT_EQ(status_of(driver.take_agent()), "HTTP/1.1 421 Misdirected Request");
}

TEST(HttpFlow, WhatHasTwoMeaningsIsRefusedAndOnRecord) {
  const std::pair<const char*, const char*> rows[] = {
      {"CONNECT api.internal:443 HTTP/1.1\r\nHost: api.internal:443\r\n\r\n", "501 Not Implemented"},
      {"GET / HTTP/1.1\r\nHost: api.internal\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       "501 Not Implemented"},
      {"GET /v1/%2e%2e/a HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a%2Fb HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\nHost: api.internal\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\nHost: user@api.internal\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\nHost: api.internal\r\nConnection: Host\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\nHost: api.internal\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", "400 Bad Request"},
      {"GET /v1/a HTTP/1.1\r\nHost: api.internal\r\nX-Original-URL: /admin\r\n\r\n", "400 Bad Request"},
      {"GET http://other.internal/v1/a HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET https://api.internal/v1/a HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET ftp://api.internal/v1/a HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET * HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
      {"GET v1/a HTTP/1.1\r\nHost: api.internal\r\n\r\n", "400 Bad Request"},
  };
  for (const auto& [request, status] : rows) {
    Web web(kAll);
    web.driver.from_agent(request);
    EXPECT_EQ(status_of(web.driver.take_agent()), fmt::format("HTTP/1.1 {}", status)) << request;
    EXPECT_EQ(web.last_outcome().substr(0, 4), "deny") << request;
    EXPECT_FALSE(web.driver.finished) << request;
    EXPECT_EQ(web.ask(get("/v1/a")), get("/v1/a")) << request;
  }
}

TEST(HttpFlow, AnAbsoluteTargetIsSentOnAsAPath) {
  Web web(kAll);
  EXPECT_EQ(web.ask("GET http://api.internal/v1?a HTTP/1.1\r\nHost: api.internal\r\n\r\n"), get("/v1?a"));
  web.reply(ok(""));
  EXPECT_EQ(web.ask("OPTIONS * HTTP/1.1\r\nHost: api.internal\r\n\r\n"),
            "OPTIONS * HTTP/1.1\r\nHost: api.internal\r\n\r\n");
}

TEST(HttpFlow, WhatIsNoHttpEndsTheConnection) {
  for (const char* bytes : {"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    Web web(kAll);
    web.driver.from_agent(bytes);
    EXPECT_TRUE(web.driver.all_to_agent.starts_with("HTTP/1.1 ")) << bytes;
    EXPECT_TRUE(web.driver.finished);
    EXPECT_EQ(web.driver.all_to_server, "");
    EXPECT_TRUE(web.driver.recorded<model::SessionClosed>().at(0).reason.starts_with("protocol violation"));
  }
}

TEST(HttpFlow, ABodyThatIsNoneCutsItsRequest) {
  Web web(kAll);
  web.ask("POST / HTTP/1.1\r\nHost: api.internal\r\nTransfer-Encoding: chunked\r\n\r\n");
  web.driver.from_agent("zz\r\n");
  EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(web.driver.aborted, std::vector<Leg>{kUpstreamLeg});
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpFlow, WhoHasNoEntitlementIsToldAtTheFirstRequest) {
  World world(document("Agent", "bot", "workload: [{exec: bot}]") +
              document("Target", "web", "protocol: http, hosts: ['10.0.0.5:5432']"));
  Driver driver(world);
  EXPECT_EQ(driver.all_to_agent, "");
  driver.from_agent(get("/v1/a"));
  EXPECT_EQ(status_of(driver.take_agent()), "HTTP/1.1 403 Forbidden");
  EXPECT_TRUE(driver.finished);
  EXPECT_FALSE(driver.dial_wanted());
}

TEST(HttpFlow, TheRecordHasNoValuesOfAQuery) {
  Web web(kAll);
  web.ask(get("/v1?token=s3cret&page=&flag&=x&eyJhbGciOi"));
  EXPECT_EQ(web.last_outcome(), "allow GET api.internal/v1?token=…&page=&…&=…&…");
  web.reply(ok(""));
  web.driver.from_agent("GET http://u:s3cret@api.internal/v1?t=s3cret HTTP/1.1\r\nHost: api.internal\r\n\r\n");
  for (const auto& decided : web.driver.decided()) {
    EXPECT_EQ(decided.statement.find("s3cret"), std::string::npos) << decided.statement;
    for (const auto& cause : decided.causes) EXPECT_EQ(cause.text.find("s3cret"), std::string::npos) << cause.text;
  }
}

// ---------------------------------------------------------------- the target

TEST(HttpFlow, ATargetThatFailsIsABadGateway) {
  Web unreachable;
  unreachable.driver.from_agent(get("/v1/a"));
  unreachable.driver.event(Failed{unreachable.driver.upstream, "connection refused"});
  EXPECT_EQ(status_of(unreachable.driver.take_agent()), "HTTP/1.1 502 Bad Gateway");
  EXPECT_TRUE(unreachable.driver.finished);

  Web silent;
  silent.ask(get("/v1/a"));
  silent.driver.event(Eof{silent.driver.upstream});
  EXPECT_EQ(status_of(silent.driver.take_agent()), "HTTP/1.1 502 Bad Gateway");

  for (const char* answer : {"SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n"}) {
    Web web;
    web.ask(get("/v1/a"));
    EXPECT_EQ(status_of(web.reply(answer)), "HTTP/1.1 502 Bad Gateway") << answer;
    EXPECT_TRUE(web.driver.finished);
  }
}

TEST(HttpFlow, HalfAnAnswerIsNeverTakenForAll) {
  Web web;
  web.ask(get("/v1/a"));
  web.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  web.driver.event(Eof{web.driver.upstream});
  EXPECT_TRUE(web.driver.finished);
  EXPECT_EQ(web.driver.aborted.back(), kAgentLeg);
}

TEST(HttpFlow, AKeptConnectionThatClosesClosesTheAgentsWithoutAWord) {
  Web idle;
  idle.ask(get("/v1/a"));
  idle.reply(ok("x"));
  idle.driver.event(Eof{idle.driver.upstream});
  EXPECT_TRUE(idle.driver.finished);
  EXPECT_EQ(idle.driver.take_agent(), "");

  Web race;
  race.ask(get("/v1/a"));
  race.reply(ok("x"));
  race.ask(get("/v1/b"));
  race.driver.event(Eof{race.driver.upstream});
  EXPECT_TRUE(race.driver.finished);
  EXPECT_EQ(race.driver.take_agent(), "");
}

TEST(HttpFlow, BytesThatNoRequestAskedForEndIt) {
  Web web;
  web.ask(get("/v1/a"));
  web.driver.from_server(ok("x") + ok("smuggled"));
  EXPECT_EQ(web.driver.take_agent(), ok("x"));
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpFlow, InterimAnswersAreBounded) {
  Web web;
  web.ask(get("/v1/a"));
  for (int i = 0; i < limits::kHttpInterimMax; ++i) web.reply("HTTP/1.1 103 Early Hints\r\n\r\n");
  EXPECT_FALSE(web.driver.finished);
  EXPECT_EQ(status_of(web.reply("HTTP/1.1 103 Early Hints\r\n\r\n")), "HTTP/1.1 502 Bad Gateway");
}

// ---------------------------------------------------------------- holds, edits, time, limits

constexpr std::string_view kHeld = "hold: [{http: {methods: [POST]}}], allow: [{http: {}}]";
const std::string kPost = "POST /pay HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 2\r\n\r\n";

TEST(HttpHold, GoesOnWhenApproved) {
  Web web(kHeld);
  EXPECT_EQ(web.ask(kPost + "hi"), "");
  ASSERT_EQ(web.driver.asks.size(), 1u);
  web.driver.event(Answered{web.driver.asks[0].operation, true, "sam"});
  web.dial();
  EXPECT_EQ(web.driver.take_server(), kPost + "hi");
  EXPECT_EQ(web.reply(ok("paid")), ok("paid"));
}

TEST(HttpHold, IsRefusedWhenDeniedOrNobodyAnswers) {
  Web web(kHeld);
  web.ask(kPost + "hi");
  web.driver.event(Answered{web.driver.asks.at(0).operation, false, "sam"});
  EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 403 Forbidden");
  web.ask(kPost + "hi");
  web.driver.tick(limits::kHoldTimeoutMs - 1);
  EXPECT_EQ(web.driver.take_agent(), "");
  web.driver.tick(1);
  EXPECT_NE(web.driver.take_agent().find("nobody answered in time"), std::string::npos);
  EXPECT_EQ(web.ask(get("/")), get("/"));
}

TEST(HttpHold, IsGivenUpWhenTheAgentGoes) {
  Web web(kHeld);
  web.ask(kPost + "hi");
  web.driver.event(Eof{kAgentLeg});
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpHold, OutlivesTheTargetsIdleConnection) {
  Web web(kHeld);
  web.ask(get("/"));
  web.reply(ok(""));
  web.ask(kPost + "hi");
  web.driver.event(Eof{web.driver.upstream});
  EXPECT_FALSE(web.driver.finished);
  web.driver.event(Answered{web.driver.asks.at(0).operation, true, "sam"});
  EXPECT_EQ(web.driver.upstream, kUpstreamLeg + 1);
  web.dial();
  EXPECT_EQ(web.driver.take_server(), kPost + "hi");
}

TEST(HttpHold, WhatPolicyDeniesMeanwhileIsRefusedAtOnce) {
  Web web(kHeld);
  web.ask(kPost + "hi");
  web.set_policy(test::web(kReads));
  web.driver.event(Changed{});
  EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 403 Forbidden");
}

TEST(HttpChanged, CutsWhatIsNoLongerAllowed) {
  Web before(kAll);
  before.ask(get("/a"));
  before.set_policy(test::web(kReads));
  before.driver.event(Changed{});
  EXPECT_EQ(status_of(before.driver.take_agent()), "HTTP/1.1 403 Forbidden");
  EXPECT_TRUE(before.driver.finished);

  Web amid(kAll);
  amid.ask(get("/a"));
  amid.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  amid.set_policy(test::web(kReads));
  amid.driver.event(Changed{});
  EXPECT_EQ(amid.driver.take_agent(), "");
  EXPECT_EQ(amid.driver.aborted, (std::vector<Leg>{kUpstreamLeg, kAgentLeg}));
  EXPECT_TRUE(amid.driver.recorded<model::OperationEnded>().at(0).error.starts_with("cut: refused by policy"));

  Web idle(kAll);
  idle.ask(get("/v1/a"));
  idle.reply(ok(""));
  idle.set_policy(test::web(kReads));
  idle.driver.event(Changed{});
  EXPECT_FALSE(idle.driver.finished);
  EXPECT_EQ(idle.ask(get("/a")), "");
  EXPECT_EQ(status_of(idle.driver.take_agent()), "HTTP/1.1 403 Forbidden");
}

TEST(HttpChanged, ATargetThatIsGoneEndsTheConnection) {
  Web web(kAll);
  web.ask(get("/a"));
  web.set_policy(document("Agent", "bot", "workload: [{exec: bot}]"));
  web.driver.event(Changed{});
  EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 403 Forbidden");
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpChanged, TheEndOfAWindowCutsAmidAnAnswer) {
  // World's clock stands at 2026-11-18T11:06:40Z.
  Web web("window: {until: \"2026-11-18T11:07:40Z\"}, allow: [{http: {}}]");
  web.ask(get("/a"));
  web.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  web.driver.tick(59'000);
  EXPECT_FALSE(web.driver.finished);
  web.driver.tick(1'000);
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpTimes, AHeaderAndAConnectionWithoutRequestsHaveTheirs) {
  Web slow(kAll);
  slow.driver.from_agent("GET / HT");
  slow.driver.tick(limits::kHttpHeadTimeoutMs - 1);
  EXPECT_FALSE(slow.driver.finished);
  slow.driver.tick(1);
  EXPECT_EQ(status_of(slow.driver.take_agent()), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(slow.driver.finished);

  Web silent(kReads);
  silent.driver.tick(limits::kHttpIdleTimeoutMs - 1);
  EXPECT_FALSE(silent.driver.finished);
  silent.driver.tick(1);
  EXPECT_TRUE(silent.driver.finished);

  Web idle(kReads);
  idle.driver.from_agent(get("/x"));
  idle.driver.tick(limits::kHttpIdleTimeoutMs);
  EXPECT_TRUE(idle.driver.finished);
}

TEST(HttpLimits, OnRequestsAndBytes) {
  Web requests("limits: [{count: statements, max: 2, per: 1h}], allow: [{http: {}}]");
  for (int i = 0; i < 2; ++i) {
    EXPECT_NE(requests.ask(get("/")), "");
    requests.reply(ok(""));
  }
  EXPECT_EQ(requests.ask(get("/")), "");
  EXPECT_NE(requests.driver.take_agent().find("2 statements per 1h"), std::string::npos);

  Web bytes("limits: [{count: bytes, max: 1000, per: 1h}], allow: [{http: {}}]");
  bytes.ask(get("/"));
  bytes.reply("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(500, 'x'));
  EXPECT_FALSE(bytes.driver.finished);
  bytes.driver.from_server(std::string(1000, 'x'));
  EXPECT_TRUE(bytes.driver.finished);
  EXPECT_EQ(bytes.driver.aborted.back(), kAgentLeg);
}

TEST(HttpRecord, WithoutOneNobodyIsLetThrough) {
  Web web(kAll);
  web.driver.event(RecordFailed{"disk full"});
  EXPECT_EQ(status_of(web.driver.take_agent()), "HTTP/1.1 503 Service Unavailable");
  EXPECT_TRUE(web.driver.finished);
}

// ---------------------------------------------------------------- ends, TLS

TEST(HttpEnds, AnAgentThatSaysNoMoreStillGetsItsAnswer) {
  Web web;
  web.ask(get("/v1/a"));
  web.driver.event(Eof{kAgentLeg});
  EXPECT_EQ(web.reply(ok("x")), ok("x"));
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpEnds, AnAgentThatGoesAmidARequestEndsIt) {
  Web web(kAll);
  web.ask("POST / HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 4\r\n\r\nab");
  web.driver.event(Eof{kAgentLeg});
  EXPECT_TRUE(web.driver.finished);
  Web idle(kAll);
  idle.driver.event(Eof{kAgentLeg});
  EXPECT_TRUE(idle.driver.finished);
}

TEST(HttpTls, OnBothLegs) {
  Web web(kAll, ", tls: {mode: verify-full, ca: /ca.pem}");
  web.driver.from_agent("\x16\x03\x01hello");
  ASSERT_EQ(web.driver.secures.size(), 1u);
  EXPECT_EQ(web.driver.secures[0].leg, kAgentLeg);
  EXPECT_EQ(web.driver.secures[0].unread, "\x16\x03\x01hello");
  web.driver.event(Secured{kAgentLeg});
  EXPECT_EQ(web.ask("GET https://api.internal/ HTTP/1.1\r\nHost: api.internal\r\n\r\n"), "");
  ASSERT_EQ(web.driver.secures.size(), 2u);
  EXPECT_EQ(web.driver.secures[1].verify, Secure::Verify::full);
  EXPECT_EQ(web.driver.secures[1].ca_file, "/ca.pem");
  web.driver.event(Secured{web.driver.upstream});
  EXPECT_EQ(web.driver.take_server(), get("/"));
}

TEST(HttpTls, OffAndRequire) {
  Web off(kAll, ", tls: {agent: off}");
  off.driver.from_agent("\x16\x03\x01");
  EXPECT_TRUE(off.driver.finished);
  EXPECT_TRUE(off.driver.secures.empty());
  Web require(kAll, ", tls: {agent: require}");
  require.driver.from_agent(get("/"));
  EXPECT_EQ(status_of(require.driver.take_agent()), "HTTP/1.1 403 Forbidden");
  EXPECT_EQ(require.driver.all_to_server, "");
}

}  // namespace
}  // namespace sallyport::flow::test
