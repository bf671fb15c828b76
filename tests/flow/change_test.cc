// SPDX-License-Identifier: Apache-2.0
// What happens while a flow lives: holds, policy edits, a recorder that fails, bytes that are no protocol.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";

std::string holding() { return policy_text(entitlement("hold: [{sql: {tables: [public.orders]}}]")); }

/// A flow whose SELECT waits for a human.
struct Held : World, Session {
  Held() : World(holding()), Session(static_cast<World&>(*this)) {
    EXPECT_EQ(query("select item from orders"), "");
    EXPECT_EQ(driver.asks.size(), 1u);
    EXPECT_TRUE(server.executed.empty());
  }
  std::string answer(bool approved) {
    driver.event(Answered{driver.asks.at(0).operation, approved, "sam"});
    settle();
    return answered();
  }
};

TEST(Hold, GoesOnWhenApproved) {
  Held session;
  EXPECT_EQ(session.answer(true), kRows);
  EXPECT_EQ(session.driver.decided().back().causes.back().text, "approved by sam");
}

TEST(Hold, IsRefusedWhenDenied) {
  Held session;
  EXPECT_EQ(session.answer(false), "E(42501) Z(I)");
  EXPECT_TRUE(session.server.executed.empty());
}

TEST(Hold, TimesOutAsADenialThatSaysSo) {
  Held session;
  session.driver.tick(limits::kHoldTimeoutMs - 1);
  EXPECT_EQ(session.answered(), "");
  session.driver.tick(1);
  session.settle();
  EXPECT_EQ(session.answered(), "E(42501) Z(I)");
  EXPECT_NE(report_field(session.raw, 'M').find("nobody answered in time"), std::string::npos);
}

TEST(Hold, WhatPolicyDeniesMeanwhileIsRefusedAtOnce) {
  Held session;
  session.set_policy(policy_text(entitlement("allow: [{sql: {tables: [public.customers]}}]")));
  session.driver.event(Changed{});
  session.settle();
  EXPECT_EQ(session.answered(), "E(42501) Z(I)");
  EXPECT_TRUE(session.server.executed.empty());
}

TEST(Hold, AMaskAddedMeanwhileCounts) {
  World world(policy_text(entitlement("hold: [{sql: {tables: [public.customers]}}]")));
  Session session(world);
  session.query("select email from customers");
  ASSERT_EQ(session.driver.asks.size(), 1u);
  world.set_policy(
      policy_text("---\napiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: pii}\n"
                  "spec: {columns: [{column: public.customers.email, with: redact}]}\n" +
                  entitlement("masks: [pii], hold: [{sql: {tables: [public.customers]}}]")));
  session.driver.event(Changed{});
  session.driver.event(Answered{session.driver.asks[0].operation, true, "sam"});
  session.settle();
  EXPECT_EQ(session.answered(), "T(email) D([redacted]) C(SELECT 1) Z(I)");
}

TEST(Hold, BackPressureWhileItWaits) {
  Held session;
  session.send(std::string(limits::kLegQueueBytesMax, 'x'));
  EXPECT_FALSE(session.driver.agent_reading);
}

TEST(Hold, OfTheStartupMessageGivesTheLoginItsTimeAfterwards) {
  World world(
      policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}], "
                              "hold: [{sql: {statements: [startup], databases: [shop]}}]")));
  Driver driver(world);
  driver.from_agent(startup_packet());
  ASSERT_EQ(driver.asks.size(), 1u);
  EXPECT_FALSE(driver.dial_wanted());
  driver.tick(limits::kHoldTimeoutMs / 2);
  driver.event(Answered{driver.asks[0].operation, true, "sam"});
  EXPECT_TRUE(driver.dial_wanted());
  driver.tick(1);
  EXPECT_EQ(driver.all_to_agent, "");
  EXPECT_FALSE(driver.finished);
}

TEST(Hold, OfTheStartupMessageTimesOutThoughTheLoginsOwnDeadlineCameFirst) {
  World world(
      policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}], "
                              "hold: [{sql: {statements: [startup], databases: [shop]}}]")));
  Driver driver(world);
  driver.from_agent(startup_packet());
  driver.tick(limits::kHandshakeTimeoutMs);
  EXPECT_EQ(driver.all_to_agent, "");
  driver.tick(limits::kHoldTimeoutMs - limits::kHandshakeTimeoutMs);
  EXPECT_EQ(server_text(driver.all_to_agent), "E(42501)");
  EXPECT_TRUE(driver.finished);
}

// ---------------------------------------------------------------- the hour

TEST(Times, TheEndOfAWindowCutsInTheMiddleOfAResultThoughOtherTicksCameFirst) {
  // World's clock stands at 2026-11-18T11:06:40Z.
  World world(
      policy_text(entitlement("window: {until: \"2026-11-18T12:06:40Z\"}, allow: [{sql: {tables: "
                              "[public.orders]}}], limits: [{count: rows, max: 100, per: 1h}]")));
  Session session(world);
  session.query("select item from orders");
  for (int minute = 0; minute < 59; ++minute) session.driver.tick(60'000);
  session.send(Messages().query("select item from orders"));
  EXPECT_FALSE(session.driver.finished);
  session.driver.tick(59'999);
  EXPECT_FALSE(session.driver.finished);
  session.driver.tick(1);
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_NE(report_field(session.raw, 'M').find("grants nothing since"), std::string::npos);
  EXPECT_TRUE(session.driver.finished);
}

// ---------------------------------------------------------------- Changed

TEST(Changed, CutsInTheMiddleOfAResult) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("select item from orders");
  session.send(Messages().query("select item from orders"));
  std::string half;
  const postgres::Field fields[] = {column("item", kOrdersOid, 3)};
  postgres::append_row_description(half, fields);
  session.driver.from_server(half);
  session.answered();
  world.set_policy(policy_text(entitlement("allow: [{sql: {tables: [public.customers]}}]")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_EQ(report_field(session.raw, 'S'), "FATAL");
  EXPECT_TRUE(session.driver.finished);
  const auto closed = session.driver.recorded<model::SessionClosed>();
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_TRUE(closed[0].reason.starts_with("cut: ")) << closed[0].reason;
}

TEST(Changed, WhatIsStillAllowedGoesOn) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("select item from orders");
  session.send(Messages().query("select item from orders"));
  world.set_policy(policy_text(reading_customers()));
  session.driver.event(Changed{});
  session.settle();
  EXPECT_EQ(session.answered(), kRows);
}

TEST(Changed, ATargetThatIsGoneEndsTheFlow) {
  World world(policy_text(everything()));
  Session session(world);
  world.set_policy(policy_text(everything()).replace(policy_text(everything()).find("10.0.0.5"), 8, "10.0.0.6"));
  session.driver.event(Changed{});
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Changed, ACopyThatNoMaskCanFollowIsCutWhenItsTableGetsOne) {
  World world(policy_text(entitlement("allow: [{sql: {tables: [public.customers]}}]")));
  Session session(world);
  session.server.replies["copy customers to stdout"] = {.copy_out = {"ann@example.com\n"}};
  session.query("copy customers to stdout");  // facts
  session.send(Messages().query("copy customers to stdout"));
  session.answered();
  world.set_policy(policy_text(reading_customers()));
  session.driver.event(Changed{});
  session.settle();
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Record, FailureEndsTheFlowInWords) {
  World world(policy_text(everything()));
  Session session(world);
  session.driver.event(RecordFailed{"disk full"});
  EXPECT_EQ(session.answered(), "E(58030)");
  EXPECT_EQ(report_field(session.raw, 'S'), "FATAL");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Record, FailureBeforeTheLoginRefusesIt) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.event(RecordFailed{"disk full"});
  driver.from_agent(startup_packet());
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_TRUE(driver.all_to_server.empty());
  EXPECT_EQ(report_field(driver.all_to_agent, 'C'), "58030");
  EXPECT_NE(report_field(driver.all_to_agent, 'H').find("disk full"), std::string::npos);
}

TEST(Violation, MalformedBytesFromEitherSideEndTheFlow) {
  World world(policy_text(everything()));
  Session agent(world);
  EXPECT_EQ(agent.say(std::string_view("~\0\0\0\4", 5)), "E(08P01)");
  EXPECT_TRUE(agent.driver.finished);
  Session server(world);
  server.driver.from_server(std::string_view("~\0\0\0\4", 5));
  EXPECT_EQ(server.answered(), "E(08P01)");
  EXPECT_TRUE(server.driver.finished);
}

TEST(Violation, AnAnswerThatNobodyAskedFor) {
  World world(policy_text(everything()));
  Session session(world);
  session.driver.from_server(std::string_view("1\0\0\0\4", 5));
  EXPECT_EQ(session.answered(), "E(08P01)");
}

TEST(End, EitherPeerLeaving) {
  World world(policy_text(everything()));
  Session agent(world);
  agent.driver.event(Eof{kAgentLeg});
  EXPECT_TRUE(agent.driver.finished);
  Session server(world);
  server.driver.event(Failed{kUpstreamLeg, "connection reset"});
  EXPECT_TRUE(server.driver.finished);
  EXPECT_EQ(server.driver.recorded<model::SessionClosed>().at(0).reason, "target: connection reset");
}

}  // namespace
}  // namespace sallyport::flow::test
