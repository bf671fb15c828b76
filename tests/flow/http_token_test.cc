// SPDX-License-Identifier: Apache-2.0
// Agents of one workload that show tokens in their requests: each request is judged for whom its token proves, and no
// token goes upstream.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sallyport/base/limits.h"
#include "tests/flow/harness.h"

namespace sallyport::flow::test {
namespace {

using Is = Standing::Is;

std::string document(std::string_view kind, std::string_view name, std::string_view spec) {
  return fmt::format("---\napiVersion: sallyport.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec: {{{}}}\n", kind,
                     name, spec);
}

/// bot may read /bot, twin /twin; both /both, of which bot one answer an hour.
std::string two_agents(std::string_view token = "from: authorization", std::string_view twin = "/twin, /both") {
  return document("Agent", "bot", "workload: [{exec: bot}]") + document("Agent", "twin", "workload: [{exec: twin}]") +
         document("Agent", "outsider", "workload: [{exec: outsider}]") +
         document("Target", "web", fmt::format("protocol: http, hosts: ['10.0.0.5:5432'], token: {{{}}}", token)) +
         document("Entitlement", "e-bot",
                  "agent: bot, target: web, allow: [{http: {paths: [/bot, /both]}}], "
                  "limits: [{count: statements, max: 2, per: 1h}]") +
         document("Entitlement", "e-twin",
                  fmt::format("agent: twin, target: web, allow: [{{http: {{paths: [{}]}}}}]", twin));
}

std::shared_ptr<const Standing> token_says(Is is, std::string agent, std::string why = {}, int64_t until = 0) {
  auto out = std::make_shared<Standing>();
  out->is = is;
  out->agent = agent;
  out->until_wall_ns = until;
  out->why = std::move(why);
  if (is == Is::proven) out->token = {.issuer = "corp", .subject = "s-" + agent};
  return out;
}

/// A workload of several agents, of which no file tells one.
struct Shared : World {
  explicit Shared(const std::string& policy = two_agents()) : World(policy) {
    caller = token_says(Is::refused, "", "it presents no token");
    shown["jwt-bot"] = token_says(Is::proven, "bot");
    shown["jwt-twin"] = token_says(Is::proven, "twin");
    shown["jwt-outsider"] = token_says(Is::proven, "outsider");
  }
};

std::string get(std::string_view path, std::string_view token, std::string_view field = "Authorization: Bearer ") {
  const std::string line = token.empty() ? "" : fmt::format("{}{}\r\n", field, token);
  return fmt::format("GET {} HTTP/1.1\r\nHost: 10.0.0.5\r\n{}\r\n", path, line);
}
std::string bare(std::string_view path) { return get(path, ""); }

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Web {
  explicit Web(World& world) : driver(world, listed(), "") {}
  /// What went to the server for it, or the first line that came back.
  std::string ask(std::string_view bytes) {
    driver.from_agent(bytes);
    if (driver.dial_wanted()) driver.event(Dialled{driver.upstream, listed()});
    return said();
  }
  std::string said() {
    if (driver.dial_wanted()) driver.event(Dialled{driver.upstream, listed()});
    const std::string up = driver.take_server();
    if (!up.empty()) return up;
    answer = driver.take_agent();
    return answer.substr(0, answer.find("\r\n"));
  }
  void reply() {
    driver.from_server(kOk);
    EXPECT_EQ(driver.take_agent(), kOk);
  }
  Driver driver;
  std::string answer;
};

constexpr const char* kUnauthorized = "HTTP/1.1 401 Unauthorized";
constexpr const char* kForbidden = "HTTP/1.1 403 Forbidden";

TEST(HttpToken, TwoRequestsOnOneConnectionAreJudgedApart) {
  Shared world;
  Web web(world);
  EXPECT_TRUE(web.driver.decided().empty()) << "nothing is judged before anybody is known";
  EXPECT_EQ(web.ask(get("/bot", "jwt-bot")), bare("/bot"));
  web.reply();
  EXPECT_EQ(web.ask(get("/bot", "jwt-twin")), kForbidden);
  EXPECT_NE(web.answer.find("refused by policy for agent twin"), std::string::npos) << web.answer;
  EXPECT_EQ(web.ask(get("/twin", "jwt-bot")), kForbidden);
  EXPECT_NE(web.answer.find("refused by policy for agent bot"), std::string::npos);
  EXPECT_EQ(web.ask(get("/twin", "jwt-twin")), bare("/twin"));
  web.reply();

  std::vector<std::string> on_record;
  for (const auto& each : web.driver.decided())
    on_record.push_back(fmt::format("{} {} {} {}/{}", model::to_string(each.outcome), each.statement, each.agent,
                                    each.issuer, each.subject));
  EXPECT_EQ(on_record, (std::vector<std::string>{
                           "allow connect 10.0.0.5:5432 bot corp/s-bot", "allow GET 10.0.0.5/bot bot corp/s-bot",
                           "deny GET 10.0.0.5/bot twin corp/s-twin", "deny GET 10.0.0.5/twin bot corp/s-bot",
                           "allow GET 10.0.0.5/twin twin corp/s-twin"}));
}

TEST(HttpToken, NeverGoesUpNorIntoTheRecord) {
  Shared world(two_agents("from: header, name: X-Agent-Token"));
  Web web(world);
  EXPECT_EQ(web.ask("POST /both HTTP/1.1\r\nHost: 10.0.0.5\r\nx-agent-TOKEN: jwt-bot\r\nAuthorization: Basic own\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Agent-Token: jwt-bot\r\nX: y\r\n\r\n"),
            "POST /both HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Basic own\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\nX: y\r\n\r\n");
  web.reply();
  EXPECT_EQ(web.ask(get("/both", "", "") + get("/x", "jwt-twin", "X-Agent-Token: ")), kUnauthorized);
  for (const auto& each : web.driver.decided())
    EXPECT_EQ(fmt::format("{}{}{}", each.statement, each.shape, each.causes.at(0).text).find("jwt"), std::string::npos);
  EXPECT_EQ(web.driver.all_to_server.find("jwt"), std::string::npos);
}

TEST(HttpToken, WithoutOneOrWithOneThatIsNoneTheRequestIsUnauthorizedAndTheConnectionStays) {
  Shared world;
  Web web(world);
  for (const std::string& request : {bare("/both"), get("/both", "x", "Authorization: Basic "), get("/both", "", "")}) {
    EXPECT_EQ(web.ask(request), kUnauthorized);
    EXPECT_NE(web.answer.find("WWW-Authenticate: Bearer realm=\"sallyport\"\r\n"), std::string::npos) << web.answer;
    EXPECT_NE(web.answer.find("it shows no token in its request"), std::string::npos) << web.answer;
    EXPECT_FALSE(web.driver.finished);
  }
  EXPECT_EQ(web.ask(get("/both", "forged")), kUnauthorized);
  EXPECT_EQ(web.driver.all_to_server, "");
  for (const auto& each : web.driver.decided()) EXPECT_EQ(each.causes.at(0).rule, kTokenMismatch);
  EXPECT_EQ(web.ask(get("/both", "jwt-bot")), bare("/both"));
}

TEST(HttpToken, TwoInOneRequestAreRefused) {
  Shared world;
  Web web(world);
  EXPECT_EQ(web.ask("GET /both HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-bot\r\n"
                    "Authorization: Bearer jwt-twin\r\n\r\n"),
            "HTTP/1.1 400 Bad Request");
}

TEST(HttpToken, AnAgentWithoutEntitlementGetsNoConnection) {
  Shared world;
  Web web(world);
  EXPECT_EQ(web.ask(get("/both", "jwt-outsider")), kForbidden);
  EXPECT_FALSE(web.driver.dial_wanted());
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpToken, WaitsForItsVerification) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::pending, "", "its token is being verified");
  Web web(world);
  EXPECT_EQ(web.ask(get("/bot", "jwt-bot")), "");
  EXPECT_TRUE(web.driver.decided().empty());
  world.shown["jwt-bot"] = token_says(Is::proven, "bot");
  web.driver.event(Changed{});
  EXPECT_EQ(web.said(), bare("/bot"));

  Shared slow;
  slow.shown["jwt-bot"] = token_says(Is::pending, "", "its token is being verified");
  Web late(slow);
  late.ask(get("/bot", "jwt-bot"));
  late.driver.tick(limits::kTokenWaitMs - 1);
  EXPECT_EQ(late.said(), "");
  late.driver.tick(1);
  EXPECT_EQ(late.said(), kUnauthorized);
  EXPECT_NE(late.answer.find("its token is being verified"), std::string::npos);
}

TEST(HttpToken, ARequestThatIsNeverJudgedIsNoOperation) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::pending, "", "its token is being verified");
  Web web(world);
  web.ask(get("/bot", "jwt-bot"));
  web.driver.event(Eof{kAgentLeg});
  EXPECT_TRUE(web.driver.finished);
  const auto ended = web.driver.recorded<model::OperationEnded>();
  EXPECT_TRUE(std::ranges::none_of(ended, [](const auto& each) { return each.id != 0; }));
}

TEST(HttpToken, LimitsAreEachAgentsOwn) {
  Shared world;
  Web web(world);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(web.ask(get("/both", "jwt-bot")), bare("/both"));
    web.reply();
    EXPECT_EQ(web.ask(get("/both", "jwt-twin")), bare("/both"));
    web.reply();
  }
  EXPECT_EQ(web.ask(get("/both", "jwt-bot")), kForbidden);
  EXPECT_NE(web.answer.find("2 statements per 1h"), std::string::npos);
  EXPECT_EQ(web.ask(get("/both", "jwt-twin")), bare("/both"));
}

TEST(HttpToken, ItsEndCutsItsRequest) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::proven, "bot", "", world.now.wall_ns + 5 * kNanosPerSecond);
  Web web(world);
  EXPECT_EQ(web.ask(get("/bot", "jwt-bot")), bare("/bot"));
  web.driver.tick(4'999);
  EXPECT_EQ(web.said(), "");
  web.driver.tick(1);
  EXPECT_EQ(web.said(), kUnauthorized);
  EXPECT_TRUE(web.driver.finished);
}

TEST(HttpToken, TheEndOfTheFirstOneLeavesTheConnectionToTheOthers) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::proven, "bot", "", world.now.wall_ns + 5 * kNanosPerSecond);
  Web web(world);
  EXPECT_EQ(web.ask(get("/bot", "jwt-bot")), bare("/bot"));
  web.reply();
  EXPECT_EQ(web.ask(get("/twin", "jwt-twin")), bare("/twin"));
  web.driver.tick(5'000);
  EXPECT_FALSE(web.driver.finished);
  web.reply();
  EXPECT_EQ(web.ask(get("/bot", "jwt-bot")), kUnauthorized);
  EXPECT_NE(web.answer.find("its token expired"), std::string::npos);
  EXPECT_EQ(web.ask(get("/twin", "jwt-twin")), bare("/twin"));

  // And where nothing is asked when it ends.
  Shared idle_world;
  idle_world.shown["jwt-bot"] = token_says(Is::proven, "bot", "", idle_world.now.wall_ns + 5 * kNanosPerSecond);
  Web idle(idle_world);
  idle.ask(get("/bot", "jwt-bot"));
  idle.reply();
  idle.driver.tick(5'000);
  EXPECT_EQ(idle.ask(get("/twin", "jwt-twin")), bare("/twin"));
}

TEST(HttpToken, AChangeOfPolicyCutsTheOneItConcerns) {
  Shared world;
  Web web(world);
  EXPECT_EQ(web.ask(get("/twin", "jwt-twin")), bare("/twin"));
  world.set_policy(two_agents("from: authorization", "/both"));
  web.driver.event(Changed{});
  EXPECT_EQ(web.said(), kForbidden);

  Shared other_world;
  Web other(other_world);
  EXPECT_EQ(other.ask(get("/bot", "jwt-bot")), bare("/bot"));
  other_world.set_policy(two_agents("from: authorization", "/both"));
  other.driver.event(Changed{});
  other.reply();
}

TEST(HttpToken, AHeldRequestIsHeldForItsAgent) {
  Shared world(two_agents() +
               document("Entitlement", "held", "agent: twin, target: web, hold: [{http: {methods: [POST]}}]"));
  Web web(world);
  const std::string post = "POST /twin HTTP/1.1\r\nHost: 10.0.0.5\r\n{}Content-Length: 0\r\n\r\n";
  EXPECT_EQ(web.ask(fmt::format(fmt::runtime(post), "Authorization: Bearer jwt-twin\r\n")), "");
  ASSERT_EQ(web.driver.asks.size(), 1u);
  web.driver.event(Answered{web.driver.asks[0].operation, true, "sam"});
  EXPECT_EQ(web.said(), fmt::format(fmt::runtime(post), ""));
}

TEST(HttpToken, AHeldRequestAsksForTheConnectionAgainWhenItsProofHasEnded) {
  Shared world(two_agents() +
               document("Entitlement", "held", "agent: twin, target: web, hold: [{http: {methods: [POST]}}]"));
  world.shown["jwt-bot"] = token_says(Is::proven, "bot", "", world.now.wall_ns + 5 * kNanosPerSecond);
  Web web(world);
  web.ask(get("/bot", "jwt-bot"));
  web.reply();
  web.ask("POST /twin HTTP/1.1\r\nHost: 10.0.0.5\r\nAuthorization: Bearer jwt-twin\r\nContent-Length: 0\r\n\r\n");
  web.driver.tick(5'000);
  web.driver.event(Answered{web.driver.asks.at(0).operation, true, "sam"});
  EXPECT_EQ(web.said(), "POST /twin HTTP/1.1\r\nHost: 10.0.0.5\r\nContent-Length: 0\r\n\r\n");
  std::vector<std::string> connects;
  for (const auto& each : web.driver.decided())
    if (each.kind == "connect") connects.push_back(each.agent);
  EXPECT_EQ(connects, (std::vector<std::string>{"bot", "twin"}));
}

}  // namespace
}  // namespace sallyport::flow::test
