// SPDX-License-Identifier: Apache-2.0
// Simple and extended queries against a policy: what passes, what stands in for what does not, and when names are
// judged again.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

TEST(SimpleQuery, AllowedPassesAsItIs) {
  World world(policy_text(everything()));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.upstream(), "Q(select item from orders)");
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].tag, "SELECT 2");
  EXPECT_EQ(ended[0].rows, 2u);
}

TEST(SimpleQuery, RefusedIsReplacedByAnExecuteThatFails) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("delete from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.upstream(), "P(look-up) B(look-up) E(look-up) C(look-up) C(look-up) S E(refused) S");
  EXPECT_EQ(report_field(session.raw, 'M'),
            "refused by policy for agent bot: no rule of Entitlement e allows delete public.orders");
  EXPECT_NE(report_field(session.raw, 'H').find("delete"), std::string::npos);
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].sqlstate, "42501");
}

TEST(SimpleQuery, RefusalAbortsTheTransactionAsAnErrorDoes) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("begin"), "C(BEGIN) Z(T)");
  EXPECT_EQ(session.query("delete from orders"), "E(42501) Z(E)");
  EXPECT_EQ(session.query("delete from orders"), "E(25P02) Z(E)");
  EXPECT_EQ(session.query("commit"), "C(ROLLBACK) Z(I)");
  for (const std::string& ran : session.server.executed) EXPECT_EQ(ran.find("delete"), std::string::npos);
}

TEST(SimpleQuery, RowsAreCountedOnce) {
  World world(policy_text(everything()));
  Session session(world);
  session.server.replies["insert into orders default values"] = {.tag = "INSERT 0 3"};
  session.server.replies["insert into orders default values returning item"] = {
      .fields = {column("item", kOrdersOid, 3)}, .rows = {{"pen"}, {"ink"}}, .tag = "INSERT 0 2"};
  session.server.replies["copy orders to stdout"] = {.tag = "COPY 1", .copy_out = {"pen\n"}};
  session.server.replies["copy orders from stdin"] = {.copy_in = true};
  session.query("insert into orders default values");
  session.query("insert into orders default values returning item");
  session.query("copy orders to stdout");
  session.query("copy orders from stdin");
  std::string done;
  postgres::append_copy_done(done);
  session.say(done);
  std::vector<uint64_t> rows;
  for (const auto& ended : session.driver.recorded<model::OperationEnded>()) rows.push_back(ended.rows);
  EXPECT_EQ(rows, (std::vector<uint64_t>{3, 2, 1, 1}));
}

TEST(ExtendedQuery, AllowedPassesAsItIs) {
  World world(policy_text(everything()));
  Session session(world);
  EXPECT_EQ(session.say(Messages().parse("", "select item from orders").bind("", "").describe("").execute("").sync()),
            "1 2 T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.upstream(), "P(|select item from orders) B(<-) D(P) E() S");
}

TEST(ExtendedQuery, ParseRefusedInAPipelineSkipsToSync) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("delete from orders");  // facts are known from here on
  session.upstream();
  EXPECT_EQ(session.say(Messages()
                            .parse("", "select item from orders")
                            .bind("", "")
                            .execute("")
                            .parse("", "delete from orders")
                            .bind("", "")
                            .execute("")
                            .sync()
                            .query("select item from orders")),
            "1 2 D(pen) D(ink) C(SELECT 2) E(42501) Z(I) T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  const std::string upstream = session.upstream();
  EXPECT_EQ(upstream.find("delete"), std::string::npos) << upstream;
}

TEST(ExtendedQuery, APipelineWithARefusalLeavesNoRow) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.say(Messages()
                            .parse("", "begin")
                            .bind("", "")
                            .execute("")
                            .parse("", "delete from orders")
                            .bind("", "")
                            .execute("")
                            .parse("", "commit")
                            .bind("", "")
                            .execute("")
                            .sync()),
            "1 2 C(BEGIN) E(42501) Z(E)");
  EXPECT_EQ(session.query("commit"), "C(ROLLBACK) Z(I)");
}

TEST(ExtendedQuery, AParseThatSucceedsIsRecordedOnce) {
  World world(policy_text(everything()));
  Session session(world);
  session.say(Messages().parse("", "select item from orders").bind("", "").execute("").sync());
  auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u) << "the Execute's";
  EXPECT_EQ(ended[0].id, session.driver.decided().back().id);
  session.say(Messages().parse("twice", "select item from orders").parse("twice", "select 1").sync());
  ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[1].sqlstate, "42P05");
}

TEST(ExtendedQuery, WhatNobodySawBeingMadeIsRecordedAllTheSame) {
  World world(policy_text(everything()));
  Session session(world);
  session.server.replies["select helper()"] = {.tag = "SELECT 1"};
  const std::string run = std::string(Messages().bind("", "made by a function").execute("").sync());
  EXPECT_EQ(session.say(run), "E(26000) Z(I)") << "the server's own words";
  EXPECT_EQ(session.upstream(), "B(<-made by a function) E() S") << "passed on";
  EXPECT_EQ(session.driver.decided().back().statement, "prepared statement made by a function");
  EXPECT_EQ(session.driver.decided().back().effects.at(0).statement_class, "unknown");
  session.say(Messages().execute("refcursor", 5).sync());
  EXPECT_EQ(session.driver.decided().back().statement, "portal refcursor");
  EXPECT_EQ(session.driver.recorded<model::OperationEnded>().back().sqlstate, "34000");
}

TEST(ExtendedQuery, UnknownNamesAreRefusedAsTheServerWould) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.say(Messages().bind("p", "nowhere").execute("p").sync()), "E(26000) Z(I)");
  EXPECT_EQ(session.say(Messages().execute("nowhere").sync()), "E(34000) Z(I)");
}

TEST(ExtendedQuery, AStatementIsJudgedAgainWhenPolicyChanged) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.say(Messages().parse("s", "select item from orders").sync()), "1 Z(I)");
  EXPECT_EQ(session.say(Messages().bind("", "s").execute("").sync()), "2 D(pen) D(ink) C(SELECT 2) Z(I)");
  world.set_policy(policy_text(entitlement("allow: [{sql: {tables: [public.customers]}}]")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.say(Messages().bind("", "s").execute("").sync()), "2 E(42501) Z(I)");
}

TEST(ExtendedQuery, AStatementIsJudgedAgainWhenNamesMoved) {
  World world(policy_text(
      entitlement("allow: [{sql: {tables: [public.orders]}}, {sql: {statements: [set], settings: [search_path]}}]")));
  Session session(world);
  session.say(Messages().parse("s", "select item from orders").sync());
  EXPECT_EQ(session.say(Messages().bind("", "s").execute("").sync()), "2 D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.query("set search_path = secret"), "C(OK) Z(I)");
  std::string& fact = session.server.relations["orders"];
  fact.replace(fact.find("public"), 6, "secret");
  const int before = session.server.lookups;
  EXPECT_EQ(session.say(Messages().bind("", "s").execute("").sync()), "2 E(42501) Z(I)");
  EXPECT_EQ(session.server.lookups, before + 1);
}

TEST(ExtendedQuery, NamesMoveBackAtTheSyncThatEndsAnImplicitTransaction) {
  World world(policy_text(
      entitlement("allow: [{sql: {tables: [secret.orders]}}, {sql: {statements: [set], settings: [search_path]}}]")));
  Session session(world);
  const std::string in_public = session.server.relations["orders"];
  std::string in_secret = in_public;
  in_secret.replace(in_secret.find("public"), 6, "secret");
  session.server.relations["orders"] = in_secret;
  EXPECT_EQ(session.say(Messages().parse("", "set local search_path = secret").bind("", "").execute("").flush()),
            "1 2 C(OK)");
  EXPECT_EQ(session.say(Messages().parse("", "select item from orders").bind("", "").execute("").flush()),
            "1 2 D(pen) D(ink) C(SELECT 2)");
  session.server.relations["orders"] = in_public;
  EXPECT_EQ(session.say(Messages().sync().query("select item from orders")), "Z(I) E(42501) Z(I)");
}

TEST(ExtendedQuery, AUseOfANamePendingFromAnEarlierBatchWaits) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.say(Messages().parse("warm", "select item from orders").sync());
  session.upstream();
  session.send(Messages().parse("s", "select item from orders").sync());
  session.send(Messages().bind("", "s").execute("").sync());
  EXPECT_EQ(session.upstream(), "P(s|select item from orders) S");
}

TEST(ExtendedQuery, TheWaitEndsWithTheAnswer) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.send(Messages().parse("s", "select item from orders").sync());
  session.send(Messages().bind("", "s").execute("").sync());
  session.settle();
  EXPECT_EQ(session.answered(), "1 Z(I) 2 D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(ExtendedQuery, ACloseInFlightDoesNotTakeTheNewStatementOfThatName) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.say(Messages().parse("s", "select item from orders").sync());
  session.upstream();
  session.send(Messages().close(postgres::Named::statement, "s").parse("s", "select item from orders").flush());
  EXPECT_EQ(session.upstream(), "C(Ss) P(s|select item from orders) H");
  session.driver.from_server(std::string_view("3\0\0\0\4", 5));  // CloseComplete alone
  session.send(Messages().bind("", "s").execute("").sync());
  EXPECT_EQ(session.upstream(), "B(<-s) D(P) E() S") << "the Describe is ours: masks are in force";
}

TEST(ExtendedQuery, SqlPrepareAndProtocolShareTheirNames) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.server.replies["execute s"] = session.server.replies["select item from orders"];
  EXPECT_EQ(session.query("prepare s as select item from orders"), "C(OK) Z(I)");
  EXPECT_EQ(session.query("execute s"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.query("deallocate s"), "C(OK) Z(I)");
  EXPECT_EQ(session.query("execute s"), "E(42501) Z(I)");
}

TEST(FunctionCall, IsJudgedByTheNameBehindItsOid) {
  World world(policy_text(reading_customers()));
  Session session(world);
  std::string call;
  postgres::append_function_call(call, 870, {}, {}, 0);
  EXPECT_EQ(session.say(call), "E(42501) Z(I)") << "masks are in force, and no mask can follow a function's result";
  world.set_policy(policy_text(entitlement("allow: [{sql: {}}]")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.say(call), "V(hi) Z(I)") << "pg_catalog.lower is pure";
}

TEST(Copy, InGoesRoundTheJudgementOnce) {
  World world(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]")));
  Session session(world);
  session.server.replies["copy orders from stdin"] = {.copy_in = true};
  EXPECT_EQ(session.query("copy orders from stdin"), "G");
  std::string rows;
  postgres::append_copy_data(rows, "1\t1\tpen\n");
  postgres::append_copy_done(rows);
  EXPECT_EQ(session.say(rows), "C(COPY 1) Z(I)");
}

std::string copy_data(std::string_view row) {
  std::string out;
  postgres::append_copy_data(out, row);
  postgres::append_copy_done(out);
  return out;
}

std::string sent(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (std::string_view part : parts) out += part;
  return out;
}

/// bot may copy into orders; nothing else.
struct OneCopy : World, Session {
  OneCopy()
      : World(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]"))),
        Session(static_cast<World&>(*this)) {
    server.replies["copy orders from stdin"] = {.copy_in = true};
    server.replies["copy customers from stdin"] = {.copy_in = true};
    query("select item from orders; select 1 from customers");  // facts are known from here on
    upstream();
  }
  ~OneCopy() { EXPECT_EQ(driver.all_to_server.find("secret"), std::string::npos); }
};

TEST(Copy, TheDataOfARefusedOneGoNowhere) {
  OneCopy session;
  EXPECT_EQ(session.query("copy customers from stdin"), "E(42501) Z(I)");
  EXPECT_EQ(session.say(copy_data("secret")), "");
  EXPECT_EQ(session.upstream(), "E(refused) S");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(Copy, TheDataOfARefusedOneGoNowhereInAPipelineOfQueries) {
  OneCopy session;
  EXPECT_EQ(session.say(sent({Messages().query("copy orders from stdin"), copy_data("pen"),
                              Messages().query("copy customers from stdin"), copy_data("secret"),
                              Messages().query("copy orders from stdin"), copy_data("ink")})),
            "G C(COPY 1) Z(I) E(42501) Z(I) G C(COPY 1) Z(I)");
  EXPECT_EQ(session.upstream(), "Q(copy orders from stdin) d(pen) c E(refused) S Q(copy orders from stdin) d(ink) c");
}

TEST(Copy, TheDataOfARefusedOneGoNowhereInTheExtendedProtocol) {
  OneCopy session;
  EXPECT_EQ(
      session.say(sent({Messages().parse("", "copy orders from stdin").bind("", "").execute(""), copy_data("pen"),
                        Messages().sync(), Messages().parse("", "copy customers from stdin").bind("", "").execute(""),
                        copy_data("secret"), Messages().sync()})),
      "1 2 G C(COPY 1) Z(I) E(42501) Z(I)");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(Copy, DataThatNobodyAskedForGoNowhere) {
  OneCopy session;
  EXPECT_EQ(session.say(sent({Messages().query("select item from orders"), copy_data("secret")})),
            "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  std::string large(limits::kPgBufferedMessageBytesMax + 1, 'x');
  large.replace(large.size() / 2, 6, "secret");
  EXPECT_EQ(session.say(copy_data(large)), "");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(Copy, AnotherQueryInTheMiddleOfCopyInEndsTheFlow) {
  World world(policy_text(everything()));
  Session session(world);
  session.server.replies["copy orders from stdin"] = {.copy_in = true};
  session.query("copy orders from stdin");
  EXPECT_EQ(session.query("select 1"), "E(08P01)");
  EXPECT_TRUE(session.driver.finished);
}

}  // namespace
}  // namespace sallyport::flow::test
