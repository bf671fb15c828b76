// SPDX-License-Identifier: Apache-2.0
// Facts that a side connection keeps for all sessions: when a session may rely on them, and when it must ask itself.
#include <gtest/gtest.h>

#include "tests/flow/model_server.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kSelect = "select item from orders";
constexpr std::string_view kRows = "T(item) D(pen) D(ink) C(SELECT 2) Z(I)";
constexpr uint64_t kGeneration = 5;

SearchPath path_of(const std::string& schema) { return {schema, {"pg_catalog", schema}}; }

/// bot may read orders, create what it likes, and set its search path.
std::string policy(std::string_view catalogue = ", catalogue: {credential: {file: /c}}") {
  return policy_text(entitlement("allow: [{sql: {statements: [select], tables: [public.orders]}}, "
                                 "{sql: {statements: [create]}}, "
                                 "{sql: {statements: [set], settings: [search_path]}}]"),
                     fmt::format("tls: {{mode: disable}}{}", catalogue));
}

class Shared : public testing::Test {
 protected:
  /// What the side connection just validated: orders as a table, for sessions with public in their path.
  void publish(uint64_t generation = kGeneration, std::string server = "1/2/3") {
    auto orders = std::make_shared<sql::RelationFact>();
    *orders = {.found = true,
               .oid = kOrdersOid,
               .schema = "public",
               .name = "orders",
               .columns = {"id", "customer_id", "item"}};
    auto facts = std::make_shared<sql::Catalogue>();
    facts->relations[{"", "orders"}] = orders;
    auto shared = std::make_shared<SharedCatalogue>();
    *shared = {.server = std::move(server), .generation = generation, .validated_ns = world_.now.monotonic_ns};
    shared->facts[path_of("public")] = std::move(facts);
    world_.shared = std::move(shared);
  }

  /// One statement that makes the session say who it is, and so long that what it learned itself is over.
  void warm_up(Session& session) {
    publish();
    EXPECT_EQ(session.query(kSelect), kRows);
    EXPECT_EQ(session.server.lookups, 1) << "its search path is asked once";
    later();
    EXPECT_EQ(session.query(kSelect), kRows);
    EXPECT_EQ(session.server.lookups, 1);
  }
  void later() {
    world_.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
    publish();
  }

  World world_{policy()};
};

TEST_F(Shared, FactsAreUsedAndTheSessionAsksOnlyOnce) {
  Session session(world_);
  warm_up(session);
  for (int i = 0; i < 5; ++i) {
    later();
    EXPECT_EQ(session.query(kSelect), kRows);
  }
  EXPECT_EQ(session.server.lookups, 1);
  ASSERT_EQ(world_.catalogues_looked_for.size(), 1u);
  const CatalogueId& id = *world_.catalogues_looked_for.begin();
  EXPECT_EQ(id.target, "db");
  EXPECT_EQ(id.server, listed());
  EXPECT_EQ(id.host, "10.0.0.5");
  EXPECT_EQ(id.database, "shop");
  EXPECT_EQ(id.credential_file, "/c");
}

TEST_F(Shared, WhatWasAskedIsWanted) {
  Session session(world_);
  session.query(kSelect);
  ASSERT_EQ(world_.wanted.size(), 1u);
  EXPECT_EQ(world_.wanted.begin()->first, path_of("public"));
  EXPECT_TRUE(world_.wanted.begin()->second.relations.contains({"", "orders"}));
}

TEST_F(Shared, NotWithoutASideConnectionInPolicy) {
  World world(policy(""));
  Session session(world);
  session.query(kSelect);
  EXPECT_TRUE(world.catalogues_looked_for.empty());
  EXPECT_TRUE(world.wanted.empty());
}

TEST_F(Shared, NotOnceItIsNotValidatedAnyMore) {
  Session session(world_);
  warm_up(session);
  world_.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  EXPECT_EQ(session.query(kSelect), kRows);
  EXPECT_EQ(session.server.lookups, 2);
}

TEST_F(Shared, NotOnAnotherServer) {
  Session session(world_);
  publish(kGeneration, "9/9/9");
  session.query(kSelect);
  world_.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  publish(kGeneration, "9/9/9");
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, 2);
}

TEST_F(Shared, ADefinitionThatMovedMakesTheSessionAskForItsPathAgain) {
  Session session(world_);
  warm_up(session);
  world_.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  publish(kGeneration + 1);
  EXPECT_EQ(session.query(kSelect), kRows);
  EXPECT_EQ(session.server.lookups, 2);
  world_.pass_ms(limits::kCatalogueFactMaxAgeMs + 1);
  publish(kGeneration + 1);
  EXPECT_EQ(session.query(kSelect), kRows);
  EXPECT_EQ(session.server.lookups, 2);
}

TEST_F(Shared, NotByAPathThatTheSessionLeft) {
  Session session(world_);
  warm_up(session);
  EXPECT_EQ(session.query("set search_path to app"), "C(OK) Z(I)");
  session.server.search_path_schema = "app";
  session.server.relations["orders"] = R"("oid":"7","schema":"app","name":"orders","kind":"r","temp":false,)"
                                       R"("hidden":null,"columns":["item"],"sequences":null,"up":null,"down":null)";
  later();
  EXPECT_EQ(session.query(kSelect), "E(42501) Z(I)") << "app.orders, which no rule allows";
  EXPECT_EQ(session.server.lookups, 2);
  later();
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, 3) << "nothing is shared for the path app";
}

TEST_F(Shared, NotWithTemporaryObjects) {
  Session session(world_);
  warm_up(session);
  session.query("create temp table orders (item text)");
  session.server.temporary_objects = true;
  const int before = session.server.lookups;
  for (int i = 1; i <= 3; ++i) {
    later();
    session.query(kSelect);
    EXPECT_EQ(session.server.lookups, before + i);
  }
}

TEST_F(Shared, NotInATransactionThatDefinedSomething) {
  Session session(world_);
  warm_up(session);
  session.query("begin");
  session.query("create table other (x int)");
  const int before = session.server.lookups;
  later();
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, before + 1);
  later();
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, before + 2) << "still open";
}

TEST_F(Shared, NotUntilItWasValidatedAfterTheSessionsOwnDefinitions) {
  Session session(world_);
  warm_up(session);
  session.query("create table other (x int)");
  const int before = session.server.lookups;
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, before + 1) << "validated before";
  later();
  session.query(kSelect);
  EXPECT_EQ(session.server.lookups, before + 1) << "validated after";
}

TEST_F(Shared, NeedsNoQuietLine) {
  Session session(world_);
  warm_up(session);
  session.upstream();
  later();
  session.send(Messages().query("begin").query(kSelect));
  EXPECT_EQ(session.upstream(), "Q(begin) Q(select item from orders)");
}

TEST_F(Shared, WorksWhereTheSessionCannotAsk) {
  Session session(world_);
  warm_up(session);
  session.server.replies["show nothing"] = {.sqlstate = "42704"};
  session.query("begin");
  session.query("show nothing");
  later();
  session.query(kSelect);
  const auto decided = session.driver.decided();
  ASSERT_FALSE(decided.back().effects.empty());
  EXPECT_EQ(decided.back().effects[0].object, "public.orders");
}

}  // namespace
}  // namespace sallyport::flow::test
