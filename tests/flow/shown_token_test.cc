// SPDX-License-Identifier: Apache-2.0
// Agents of one workload that show a token as their password: who it proves counts, and it never goes upstream.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/startup.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

using Is = Standing::Is;

constexpr std::string_view kRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";
constexpr std::string_view kTarget =
    "tls: {mode: disable}, credential: {file: /c}, auth: {min: none}, token: {from: password}";

std::string rules(std::string_view agent, std::string_view table) {
  return fmt::format(
      "---\napiVersion: sallyport.dev/v1alpha1\nkind: Entitlement\nmetadata: {{name: e-{0}}}\n"
      "spec: {{agent: {0}, target: db, allow: [{{sql: {{statements: [select], tables: [public.{1}]}}}}]}}\n",
      agent, table);
}

/// bot may read orders, twin customers.
std::string two_agents(std::string_view target = kTarget) {
  return policy_text(
      "---\napiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {name: twin}\n"
      "spec: {workload: [{exec: twin}]}\n" +
          rules("bot", "orders") + rules("twin", "customers"),
      target);
}

std::shared_ptr<const Standing> token_says(Is is, std::string agent, std::string why = {}, int64_t until = 0) {
  auto out = std::make_shared<Standing>(Standing{.is = is, .agent = agent, .until_wall_ns = until, .why = why});
  if (is == Is::proven) out->token = {.issuer = "corp", .subject = agent};
  return out;
}

/// A workload of two agents, of which no file tells one.
struct Shared : World {
  explicit Shared(const std::string& policy = two_agents()) : World(policy) {
    caller = token_says(Is::refused, "", "it presents no token");
    shown["jwt-bot"] = token_says(Is::proven, "bot");
    shown["jwt-twin"] = token_says(Is::proven, "twin");
  }
};

std::string password(std::string_view text) {
  std::string out = "p";
  const auto size = static_cast<uint32_t>(4 + text.size() + 1);
  for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(size >> shift));
  return out.append(text).append(1, '\0');
}

/// Up to the password.
Driver begun(World& world) {
  Driver driver(world, listed(), "");
  driver.from_agent(startup_packet());
  return driver;
}

std::vector<std::string> outcomes(const Driver& driver) {
  std::vector<std::string> out;
  for (const auto& each : driver.decided())
    out.push_back(fmt::format("{} {} {}", model::to_string(each.outcome), each.kind, each.causes[0].rule));
  return out;
}

TEST(ShownToken, IsAskedForAsAPasswordBeforeAnythingIsJudged) {
  Shared world;
  Driver driver = begun(world);
  EXPECT_EQ(server_text(driver.take_agent()), "R(3)");
  EXPECT_TRUE(driver.decided().empty());
  EXPECT_FALSE(driver.dial_wanted());
  driver.from_agent(password("jwt-bot"));
  EXPECT_TRUE(driver.dial_wanted());
  EXPECT_EQ(world.identified_as.agent, "bot");
  const auto opened = driver.recorded<model::SessionOpened>();
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(opened[0].principal.agent, "");
  EXPECT_EQ(opened[1].principal.agent, "bot");
  EXPECT_EQ(opened[1].principal.token.subject, "bot");
  driver.event(Dialled{driver.upstream, listed()});
  EXPECT_EQ(driver.take_server(), startup_packet()) << "and no password";
  EXPECT_EQ(outcomes(driver)[0], "allow connect e-bot.allow[0]");
}

TEST(ShownToken, EachAgentHasItsOwnRights) {
  Shared world;
  Session bot(world, startup_packet(), 7, "");
  bot.say(password("jwt-bot"));
  Session twin(world, startup_packet(), 8, "");
  twin.say(password("jwt-twin"));
  EXPECT_EQ(bot.query("select item from orders"), kRows);
  EXPECT_EQ(twin.query("select item from orders"), "E(42501) Z(I)");
  EXPECT_EQ(bot.query("select id from customers"), "E(42501) Z(I)");
  EXPECT_EQ(twin.driver.all_to_server.find("jwt"), std::string::npos);
}

TEST(ShownToken, ThatIsNobodysIsATokenMismatchBeforeAnyDial) {
  Shared world;
  Driver driver = begun(world);
  driver.from_agent(password("jwt-stranger"));
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_TRUE(driver.finished);
  EXPECT_EQ(report_field(driver.take_agent().substr(9), 'C'), "28P01");
  EXPECT_NE(driver.all_to_agent.find("nobody signed it"), std::string::npos);
  EXPECT_EQ(outcomes(driver), std::vector<std::string>{"deny connect token-mismatch"});
}

TEST(ShownToken, IsWaitedForWhileItIsVerified) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::pending, "", "not verified in time");
  Driver driver = begun(world);
  driver.from_agent(password("jwt-bot"));
  driver.event(Changed{});
  driver.tick(limits::kTokenWaitMs - 1);
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_TRUE(driver.decided().empty());
  world.shown["jwt-bot"] = token_says(Is::proven, "bot");
  driver.event(Changed{});
  EXPECT_TRUE(driver.dial_wanted());
}

TEST(ShownToken, ThatIsNeverVerifiedIsARefusal) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::pending, "", "not verified in time");
  Driver driver = begun(world);
  driver.from_agent(password("jwt-bot"));
  driver.tick(limits::kTokenWaitMs);
  EXPECT_TRUE(driver.finished);
  EXPECT_NE(driver.all_to_agent.find("not verified in time"), std::string::npos);
  EXPECT_EQ(outcomes(driver), std::vector<std::string>{"deny connect token-mismatch"});
}

TEST(ShownToken, WhoLeavesWithoutOneIsOnRecord) {
  Shared world;
  Driver closed = begun(world);
  closed.event(Eof{kAgentLeg});
  EXPECT_TRUE(closed.finished);
  EXPECT_EQ(outcomes(closed), std::vector<std::string>{"deny connect token-mismatch"});
  Driver terminated = begun(world);
  terminated.from_agent(std::string_view("X\0\0\0\x04", 5));
  EXPECT_TRUE(terminated.finished);
  Driver slow = begun(world);
  slow.tick(limits::kHandshakeTimeoutMs);
  EXPECT_TRUE(slow.finished);
  EXPECT_FALSE(slow.dial_wanted());
  Driver other = begun(world);
  other.from_agent(std::string_view("Q\0\0\0\x05\0", 6));
  EXPECT_EQ(server_text(other.all_to_agent), "R(3) E(08P01)");
  EXPECT_FALSE(other.dial_wanted());
}

TEST(ShownToken, IsReadHoweverItsBytesCome) {
  const std::string bytes = password("jwt-bot");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    Shared world;
    Driver driver = begun(world);
    driver.from_agent(bytes.substr(0, cut));
    EXPECT_FALSE(driver.dial_wanted());
    driver.from_agent(bytes.substr(cut));
    EXPECT_TRUE(driver.dial_wanted());
    EXPECT_EQ(world.shown_texts, std::vector<std::string>{"jwt-bot"});
  }
}

TEST(ShownToken, OneIsAllThatIsTaken) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::pending, "");
  Driver driver = begun(world);
  driver.from_agent(password("jwt-bot") + password("jwt-twin"));
  world.shown["jwt-bot"] = token_says(Is::proven, "bot");
  driver.event(Changed{});
  EXPECT_EQ(world.shown_texts, std::vector<std::string>{"jwt-bot"});
}

TEST(ShownToken, IsNotAskedForInClearWhereTlsIsRequired) {
  Shared world(two_agents("tls: {mode: disable, agent: require}, credential: {file: /c}, token: {from: password}"));
  Driver driver = begun(world);
  EXPECT_EQ(server_text(driver.all_to_agent), "E(28000)");
  EXPECT_TRUE(world.shown_texts.empty());
}

TEST(ShownToken, AFileOfTheWorkloadCountsForNothingThere) {
  Shared world;
  world.caller = token_says(Is::proven, "bot");
  Driver driver = begun(world);
  EXPECT_EQ(server_text(driver.take_agent()), "R(3)");
  world.caller = token_says(Is::pending, "");
  Driver early(world, listed(), "");
  EXPECT_TRUE(early.agent_reading) << "nor is it waited for";
}

TEST(ShownToken, AnAgentThatIsAskedForNoneShowsNone) {
  Shared world;
  world.caller = std::make_shared<Standing>(Standing{.agent = "bot"});
  Driver driver(world, listed(), "bot");
  driver.from_agent(startup_packet());
  EXPECT_TRUE(driver.dial_wanted());
}

TEST(ShownToken, ItsEndAndItsLossEndTheFlow) {
  Shared world;
  world.shown["jwt-bot"] = token_says(Is::proven, "bot", "", world.now.wall_ns + 10'000 * kNanosPerMilli);
  Session expires(world, startup_packet(), 7, "");
  expires.say(password("jwt-bot"));
  EXPECT_EQ(expires.query("select item from orders"), kRows);
  expires.driver.tick(10'000);
  EXPECT_EQ(expires.answered(), "E(42501)");
  EXPECT_NE(report_field(expires.raw, 'M').find("its token expired"), std::string::npos);

  const struct {
    std::shared_ptr<const Standing> now;
    std::string rule, said;
  } rows[] = {
      {token_says(Is::refused, "", "its subject is `x`"), "token-mismatch", "its subject is `x`"},
      {token_says(Is::proven, "twin"), "token-mismatch", "its token proves it to be agent twin now"},
      {token_says(Is::lost, "", "no Agent selects it any more"), "workload", "no Agent selects it any more"},
  };
  for (const auto& row : rows) {
    world.shown["jwt-bot"] = token_says(Is::proven, "bot");
    Session session(world, startup_packet(), 9, "");
    session.say(password("jwt-bot"));
    EXPECT_EQ(session.query("select item from orders"), kRows);
    world.shown["jwt-bot"] = row.now;
    session.driver.event(Changed{});
    EXPECT_EQ(session.answered(), "E(42501)");
    EXPECT_NE(report_field(session.raw, 'M').find(row.said), std::string::npos) << session.raw;
    EXPECT_NE(report_field(session.raw, 'D').find("rule " + row.rule), std::string::npos) << session.raw;
    EXPECT_TRUE(session.driver.finished);
    EXPECT_NE(session.driver.recorded<model::SessionClosed>()[0].reason.find(row.said), std::string::npos);
  }
}

TEST(ShownToken, ACancelRequestNeedsNoneBesideItsSecret) {
  Shared world;
  Session session(world, startup_packet(), 7, "");
  session.say(password("jwt-bot"));
  std::string cancel;
  postgres::append_cancel_request(cancel, 42, "key!");
  Driver own(world, listed(), "");
  own.from_agent(cancel);
  EXPECT_TRUE(own.dial_wanted());
  EXPECT_EQ(world.identified_as.agent, "bot");
  std::string guess;
  postgres::append_cancel_request(guess, 42, "kez!");
  Driver other(world, listed(), "");
  other.from_agent(guess);
  EXPECT_FALSE(other.dial_wanted());
  EXPECT_TRUE(other.finished);
}

TEST(ShownToken, AWorkloadThatBecomesAnotherAgentsEndsItsFlows) {
  World world(two_agents("tls: {mode: disable}"));
  world.caller = std::make_shared<Standing>(Standing{.agent = "bot"});
  Session session(world, startup_packet());
  EXPECT_EQ(session.query("select item from orders"), kRows);
  world.caller = std::make_shared<Standing>(Standing{.agent = "twin"});
  session.driver.event(Changed{});
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_NE(report_field(session.raw, 'M').find("its workload is agent twin's now"), std::string::npos);
}

TEST(ShownToken, AFileThatChoosesAnAgentIsNamedFromTheStart) {
  World world(two_agents("tls: {mode: disable}"));
  world.caller = token_says(Is::proven, "twin");
  Session session(world, startup_packet(), 7, "");
  EXPECT_EQ(session.driver.recorded<model::SessionOpened>()[0].principal.agent, "twin");
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
}

}  // namespace
}  // namespace sallyport::flow::test
