// SPDX-License-Identifier: Apache-2.0
// Limits of policy on a live flow: what is counted, what happens when they are used up, what flows share.
#include <gtest/gtest.h>

#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kTwoRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";
constexpr std::string_view kSelect = "select item from orders";
constexpr int64_t kMinute = 60'000;

node::LimitKey key_of(model::Limit::Count count, model::FlowId flow = 0, int64_t minutes = 60) {
  return {
      .flow = flow, .agent = "bot", .target = "db", .count = count, .window_ns = minutes * kMinute * kNanosPerMilli};
}

TEST(Quota, StatementsAreCountedWhenReleased) {
  World world(policy_text(limited("{count: statements, max: 3, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.query("delete from nowhere"), "E(42501) Z(I)") << "refused: counts for nothing";
  EXPECT_EQ(session.query("begin"), "C(BEGIN) Z(T)") << "nor does transaction control";
  EXPECT_EQ(session.query("rollback"), "C(ROLLBACK) Z(I)");
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  EXPECT_EQ(session.query("select item from orders; select item from orders"), "C(OK) Z(I)") << "two";
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
  EXPECT_EQ(
      report_field(session.raw, 'M'),
      "refused by policy for agent bot: 3 of 3 statements per 1h are used, over all connections of the agent; the "
      "first are free again in 61 min");
  EXPECT_EQ(report_field(session.raw, 'D').substr(0, 24), "rule e.limits[0] (p.yaml");
  EXPECT_NE(report_field(session.raw, 'H').find("raise `max` of e.limits[0]"), std::string::npos);
  EXPECT_EQ(session.driver.decided().back().causes.front().rule, "e.limits[0]");
  EXPECT_EQ(session.query("begin"), "C(BEGIN) Z(T)");
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(E)") << "a refusal as any other";
  EXPECT_EQ(session.query("commit"), "C(ROLLBACK) Z(I)");
}

TEST(Quota, AParseCountsForNothingAndEachExecuteForOne) {
  World world(policy_text(limited("{count: statements, max: 2, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.say(Messages().parse("s", kSelect).sync()), "1 Z(I)");
  const std::string run = std::string(Messages().bind("", "s").execute("").sync());
  EXPECT_EQ(session.say(run), "2 D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.say(run), "2 D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.say(run), "2 E(42501) Z(I)");
}

TEST(Quota, AResultThatGoesOverIsCutAndTheNextStatementRefused) {
  World world(policy_text(limited("{count: rows, max: 3, per: 1h}")));
  Session session(world, 1);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  EXPECT_EQ(session.query(kSelect), "T(item) D(pen) E(42501)");
  EXPECT_EQ(report_field(session.raw, 'S'), "FATAL");
  EXPECT_NE(report_field(session.raw, 'M').find("3 of 3 rows per 1h are used"), std::string::npos);
  EXPECT_TRUE(session.driver.finished);
  EXPECT_EQ(session.driver.recorded<model::OperationEnded>().at(1).rows, 1u) << "the one that the agent got";
  Session next(world, 2);
  EXPECT_EQ(next.query(kSelect), "E(42501) Z(I)") << "before anything is asked of the server";
  EXPECT_EQ(next.upstream().find("Q("), std::string::npos);
}

TEST(Quota, BytesAreThoseOfRows) {
  World world(policy_text(limited("{count: bytes, max: 31, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.query(kSelect), kTwoRows) << "2 rows of 14 bytes";
  EXPECT_EQ(session.query(kSelect), "T(item) E(42501)");
  EXPECT_NE(report_field(session.raw, 'M')
                .find("28 of 31 bytes per 1h are used, over all connections of the agent, and "
                      "14 more are needed"),
            std::string::npos)
      << report_field(session.raw, 'M');
}

TEST(Quota, CopyOutAndFunctionResultsCount) {
  World world(policy_text(limited("{count: rows, max: 3, per: 1h}")));
  Session session(world);
  session.server.replies["copy orders to stdout"] = {.tag = "COPY 2", .copy_out = {"pen\n", "ink\n"}};
  EXPECT_EQ(session.query("copy orders to stdout"), "H d(pen\n) d(ink\n) c C(COPY 2) Z(I)");
  EXPECT_EQ(session.query("copy orders to stdout"), "H d(pen\n) E(42501)");
}

TEST(Quota, FlowsOfOneAgentShareALimitOverTheAgent) {
  World world(policy_text(limited("{count: rows, max: 5, per: 1h}")));
  Session one(world, 1), two(world, 2);
  EXPECT_EQ(one.query(kSelect), kTwoRows);
  EXPECT_EQ(two.query(kSelect), kTwoRows);
  EXPECT_EQ(one.query(kSelect), "T(item) D(pen) E(42501)");
  EXPECT_EQ(two.query(kSelect), "E(42501) Z(I)");
}

TEST(Quota, ALimitOverTheFlowIsEachFlowsOwn) {
  World world(policy_text(limited("{count: rows, max: 2, per: 1h, over: flow}")));
  Session one(world, 1), two(world, 2);
  EXPECT_EQ(one.query(kSelect), kTwoRows);
  EXPECT_EQ(two.query(kSelect), kTwoRows);
  EXPECT_EQ(one.query(kSelect), "E(42501) Z(I)");
  EXPECT_EQ(report_field(one.raw, 'M').find("all connections"), std::string::npos);
}

TEST(Quota, TheWindowSlides) {
  World world(policy_text(limited("{count: rows, max: 4, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  session.driver.tick(30 * kMinute);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
  EXPECT_NE(report_field(session.raw, 'M').find("the first are free again in 31 min"), std::string::npos)
      << report_field(session.raw, 'M');
  session.driver.tick(32 * kMinute);
  EXPECT_EQ(session.query(kSelect), kTwoRows) << "the first two are an hour old";
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
}

TEST(Quota, ThenHoldAsksAHumanWhoCanLiftIt) {
  World world(policy_text(limited("{count: rows, max: 1, per: 1h, then: hold}")));
  Session session(world, 1);
  EXPECT_EQ(session.query(kSelect), "T(item) D(pen) E(42501)") << "in the middle of a result nobody can be asked";
  Session next(world, 2);
  EXPECT_EQ(next.query(kSelect), "");
  ASSERT_EQ(next.driver.asks.size(), 1u);
  EXPECT_EQ(next.driver.asks[0].decision.causes.front().rule, "e.limits[0]");
  next.driver.event(Answered{next.driver.asks[0].operation, true, "sam"});
  next.settle();
  EXPECT_EQ(next.answered(), kTwoRows) << "all of it: the limit was lifted for this statement";
  EXPECT_EQ(next.query(kSelect), "") << "and for no other";
}

TEST(Quota, AnApprovalLiftsHoldsAndNothingElse) {
  World world(policy_text(limited("{count: rows, max: 1, per: 1h, then: hold}, {count: statements, max: 1, per: 1h}")));
  {
    Session first(world, 1);
    first.query(kSelect);
  }
  Session session(world, 2);
  EXPECT_EQ(session.query(kSelect), "");
  session.driver.event(Answered{session.driver.asks.at(0).operation, true, "sam"});
  session.settle();
  EXPECT_EQ(session.answered(), "E(42501) Z(I)");
  EXPECT_NE(report_field(session.raw, 'M').find("1 of 1 statements per 1h are used"), std::string::npos)
      << report_field(session.raw, 'M');
}

TEST(Quota, TheLeastOfSeveralAndEachWindowByItself) {
  World world(policy_text(limited("{count: rows, max: 3, per: 1m}, {count: rows, max: 4, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  session.driver.tick(2 * kMinute);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  session.driver.tick(2 * kMinute);
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
  EXPECT_NE(report_field(session.raw, 'M').find("4 of 4 rows per 1h"), std::string::npos);
}

TEST(Quota, LeasesGoBackWhenTheFlowEnds) {
  World world(policy_text(limited("{count: rows, max: 6400, per: 1h}")));
  const node::LimitKey rows = key_of(model::Limit::Count::rows);
  Session session(world);
  session.query(kSelect);
  EXPECT_EQ(world.limits.used(rows, world.now.monotonic_ns), 100u) << "a slice";
  session.driver.event(Eof{kAgentLeg});
  EXPECT_EQ(world.limits.used(rows, world.now.monotonic_ns), 2u);
}

TEST(Quota, LeasesGoBackFromAFlowThatIsQuiet) {
  World world(policy_text(limited("{count: rows, max: 6400, per: 1h}, {count: statements, max: 640, per: 30s}")));
  Session session(world);
  session.query(kSelect);
  EXPECT_EQ(world.limits.used(key_of(model::Limit::Count::rows), world.now.monotonic_ns), 100u);
  session.driver.tick(500);
  EXPECT_EQ(world.limits.used(key_of(model::Limit::Count::rows), world.now.monotonic_ns), 100u);
  session.driver.tick(500);
  EXPECT_EQ(world.limits.used(key_of(model::Limit::Count::rows), world.now.monotonic_ns), 2u);
  EXPECT_EQ(session.driver.wake_at_ns, 0) << "no more ticks for a flow that holds nothing";
}

TEST(Quota, AnEditedPolicyCountsOn) {
  World world(policy_text(limited("{count: rows, max: 2, per: 1h}")));
  Session session(world);
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
  world.set_policy(policy_text(limited("{count: statements, max: 9, per: 1h}, {count: rows, max: 4, per: 1h}")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.query(kSelect), kTwoRows);
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)");
  world.set_policy(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.query(kSelect), kTwoRows);
}

TEST(Quota, RowsPassUntouchedWhereNothingElseIsAsked) {
  World world(policy_text(limited("{count: rows, max: 100, per: 1h}")));
  Session session(world);
  session.query(kSelect);
  session.upstream();
  EXPECT_EQ(session.say(Messages().parse("", kSelect).bind("", "").execute("").sync()),
            "1 2 D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.upstream(), "P(|select item from orders) B(<-) E() S") << "no Describe of ours";
}

}  // namespace
}  // namespace sallyport::flow::test
