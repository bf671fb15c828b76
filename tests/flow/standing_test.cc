// SPDX-License-Identifier: Apache-2.0
// What a flow makes of its caller's standing: nothing happens for one who has not proven to be the agent.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";

std::shared_ptr<const Standing> refused(std::string why) {
  return std::make_shared<Standing>(Standing{.is = Standing::Is::refused, .why = std::move(why)});
}
std::shared_ptr<const Standing> pending() {
  return std::make_shared<Standing>(Standing{.is = Standing::Is::pending, .why = "not read in time"});
}
std::shared_ptr<const Standing> proven(int64_t until_wall_ns = 0) {
  return std::make_shared<Standing>(
      Standing{.token = {.issuer = "corp", .subject = "bot"}, .until_wall_ns = until_wall_ns});
}

TEST(StandingTest, WhoIsRefusedIsToldInTheProtocolBeforeAnyDial) {
  World world(policy_text(everything()));
  world.caller = refused("its subject is `a`");
  Driver driver(world);
  driver.from_agent(startup_packet());
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_EQ(report_field(driver.all_to_agent, 'C'), "42501");
  EXPECT_NE(report_field(driver.all_to_agent, 'M').find("its subject is `a`"), std::string::npos);
  EXPECT_TRUE(driver.finished);
  ASSERT_FALSE(driver.decided().empty());
  EXPECT_EQ(driver.decided()[0].outcome, model::Outcome::deny);
  EXPECT_EQ(driver.decided()[0].causes[0].rule, "token-mismatch");
}

TEST(StandingTest, IsWaitedForBeforeAnythingIsReadOrRecorded) {
  World world(policy_text(everything()));
  world.caller = pending();
  Driver driver(world);
  EXPECT_FALSE(driver.agent_reading);
  EXPECT_TRUE(driver.records.empty());
  driver.event(Changed{});
  driver.tick(limits::kTokenWaitMs / 2);
  EXPECT_TRUE(driver.records.empty());
  world.caller = proven();
  driver.event(Changed{});
  EXPECT_TRUE(driver.agent_reading);
  const auto opened = driver.recorded<model::SessionOpened>();
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].principal.token.subject, "bot");
  driver.from_agent(startup_packet());
  EXPECT_TRUE(driver.dial_wanted());
}

TEST(StandingTest, ThatNeverComesIsARefusal) {
  World world(policy_text(everything()));
  world.caller = pending();
  Driver driver(world);
  driver.tick(limits::kTokenWaitMs - 1);
  EXPECT_FALSE(driver.agent_reading);
  driver.tick(1);
  EXPECT_TRUE(driver.agent_reading);
  driver.from_agent(startup_packet());
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_NE(report_field(driver.all_to_agent, 'M').find("not read in time"), std::string::npos);
}

TEST(StandingTest, AnAgentThatGoesWhileItWaitsLeavesNothing) {
  World world(policy_text(everything()));
  world.caller = pending();
  Driver driver(world);
  driver.event(Failed{kAgentLeg, "reset"});
  EXPECT_TRUE(driver.finished);
  EXPECT_TRUE(driver.records.empty());
}

TEST(StandingTest, EndsTheFlowWhenItEnds) {
  World world(policy_text(reading_customers()));
  world.caller = proven(world.now.wall_ns + 10'000 * kNanosPerMilli);
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  session.driver.tick(9'999);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  session.driver.tick(1);
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_NE(report_field(session.raw, 'M').find("its token expired"), std::string::npos);
  EXPECT_TRUE(session.driver.finished);
  EXPECT_TRUE(session.driver.recorded<model::SessionClosed>()[0].reason.starts_with("cut: "));
}

TEST(StandingTest, ANewerTokenCarriesTheFlowOn) {
  World world(policy_text(reading_customers()));
  world.caller = proven(world.now.wall_ns + 10'000 * kNanosPerMilli);
  Session session(world);
  session.query("select item from orders");
  world.caller = proven(world.now.wall_ns + 30'000 * kNanosPerMilli);
  session.driver.event(Changed{});
  session.driver.tick(20'000);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  session.driver.tick(10'000);
  EXPECT_TRUE(session.driver.finished);
}

TEST(StandingTest, ThatIsLostCutsInTheMiddleOfAResult) {
  World world(policy_text(reading_customers()));
  world.caller = proven();
  Session session(world);
  session.query("select item from orders");
  session.send(Messages().query("select item from orders"));
  world.caller = refused("its signature was not made by the issuer's key");
  session.driver.event(Changed{});
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

}  // namespace
}  // namespace sallyport::flow::test
