// SPDX-License-Identifier: Apache-2.0
// Questions of our own on the agent's connection: when they are asked, and that the agent never sees one.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kLookup = "P(look-up) B(look-up) E(look-up) C(look-up) C(look-up) S";
constexpr std::string_view kRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";

TEST(Lookup, IsAskedOnceAndItsAnswerSwallowed) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  EXPECT_EQ(session.upstream(), std::string(kLookup) + " Q(select item from orders)");
  EXPECT_EQ(session.query("select item from orders"), kRows);
  EXPECT_EQ(session.upstream(), "Q(select item from orders)");
}

TEST(Lookup, FactsGrowOld) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("select item from orders");
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  EXPECT_EQ(session.server.lookups, 2);
}

TEST(Lookup, OldFactsHoldWhileNoTransactionEnded) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.snapshot = "740:740: 1790000000";
  session.query("select item from orders");
  session.server.relations["orders"] = R"("oid":[],"schema":7)";  // not asked for again
  for (int i = 2; i < 5; ++i) {
    world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
    session.upstream();
    EXPECT_EQ(session.query("select item from orders"), kRows);
    EXPECT_EQ(session.upstream(), std::string(kLookup) + " Q(select item from orders)");
    EXPECT_EQ(session.server.lookups, i);
  }
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  session.server.snapshot = "740:741: 1790000000";
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.server.lookups, 6) << "whether they hold, and then what is";
}

TEST(Lookup, OldFactsAreOverWhenTheSearchPathIsAnother) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.snapshot = "740:740: 1790000000";
  session.query("select item from orders");
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  session.server.search_path_schema = "app";  // a reload of the configuration
  session.server.relations.erase("orders");
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.server.lookups, 3);
}

TEST(Lookup, OldFactsAreOverWhenNobodySaysThatTheyHold) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.snapshot = "740:740: 1790000000";
  session.query("select item from orders");
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  session.server.lookup_fails = true;
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
}

TEST(Lookup, FactsOfABatchAreRenewedAmidIt) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.snapshot = "740:740: 1790000000";
  session.query("select item from orders");
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  EXPECT_EQ(session.say(Messages()
                            .parse("", "begin")
                            .bind("", "")
                            .execute("")
                            .parse("", "select item from orders")
                            .bind("", "")
                            .execute("")
                            .sync()),
            "1 2 C(BEGIN) 1 2 D(pen) D(ink) C(SELECT 2) Z(T)");
  EXPECT_EQ(session.server.lookups, 2);
}

TEST(Lookup, WaitsForAQuietLine) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.send(Messages().query("begin").query("select item from orders"));
  EXPECT_EQ(session.upstream(), "Q(begin)");
  session.settle();
}

TEST(Lookup, ThenGoesOnInOrder) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.say(Messages().query("begin").query("select item from orders")),
            "C(BEGIN) Z(T) T(item) D(pen) D(ink) C(SELECT 2) Z(T)");
  EXPECT_EQ(session.upstream(), "Q(begin) " + std::string(kLookup) + " Q(select item from orders)");
}

TEST(Lookup, AmidABatchAsksWithFlushAndWithoutSync) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.say(Messages()
                            .parse("", "begin")
                            .bind("", "")
                            .execute("")
                            .parse("", "select item from orders")
                            .bind("", "")
                            .execute("")
                            .sync()),
            "1 2 C(BEGIN) 1 2 D(pen) D(ink) C(SELECT 2) Z(T)");
  EXPECT_EQ(session.upstream(),
            "P(|begin) B(<-) D(P) E() H P(look-up) B(look-up) E(look-up) C(look-up) C(look-up) H "
            "P(|select item from orders) B(<-) D(P) E() S");
}

TEST(Lookup, FailureMakesTheStatementUnknown) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.lookup_fails = true;
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.server.lookups, 1) << "nobody asks again in a loop";
  const auto decided = session.driver.decided();
  ASSERT_EQ(decided.back().effects.size(), 1u);
  EXPECT_EQ(decided.back().effects[0].statement_class, model::kUnknownClass);
}

TEST(Lookup, FailureAmidABatchFailsTheBatch) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.lookup_fails = true;
  EXPECT_EQ(session.say(Messages()
                            .parse("", "begin")
                            .bind("", "")
                            .execute("")
                            .parse("", "select item from orders")
                            .bind("", "")
                            .execute("")
                            .sync()),
            "1 2 C(BEGIN) E(42501) Z(E)");
}

TEST(Lookup, GarbageIsNoFact) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.relations["orders"] = R"("oid":[],"schema":7)";
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
}

TEST(Lookup, WhatTheServerDoesNotKnowIsItsOwnError) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("select x from nowhere"), "E(42501) Z(I)");
  EXPECT_EQ(session.server.lookups, 1);
}

TEST(Lookup, NobodyAsksInAFailedTransaction) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.replies["show nothing"] = {.sqlstate = "42704"};
  session.query("begin");
  EXPECT_EQ(session.query("show nothing"), "E(42704) Z(E)");
  const int before = session.server.lookups;
  EXPECT_EQ(session.query("select item from orders"), "E(25P02) Z(E)");
  EXPECT_EQ(session.server.lookups, before);
}

TEST(Lookup, AShadowedFunctionIsNotTakenForTheBuiltinOne) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("select lower('A')"), "C(OK) Z(I)");
  world.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  session.server.routines["lower"] = "DELETE FROM public.orders";
  EXPECT_EQ(session.query("select lower('A')"), "E(42501) Z(I)");
}

TEST(Lookup, AFunctionMayDoWhatItsCodeMayDo) {
  World world(policy_text(entitlement(
      "allow: [{sql: {statements: [select], tables: [public.customers]}}, {sql: {functions: ['public.*']}}]")));
  Session session(world);
  session.server.routines["reads"] = "SELECT name FROM public.customers";
  session.server.routines["deletes"] = "DELETE FROM public.customers";
  EXPECT_EQ(session.query("select reads()"), "C(OK) Z(I)");
  EXPECT_EQ(session.query("select deletes()"), "E(42501) Z(I)");
}

TEST(Lookup, TransparentPolicyAsksNothing) {
  World world(policy_text(everything()));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), kRows);
  EXPECT_EQ(session.server.lookups, 0);
}

}  // namespace
}  // namespace sallyport::flow::test
