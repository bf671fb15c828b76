// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/catalogues.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

const flow::CatalogueId kId{.target = "db", .host = "db.internal", .database = "shop"};
const flow::SearchPath kPath{"public", {"pg_catalog", "public"}};

sql::Catalogue relation(const std::string& name, uint32_t oid = 1) {
  auto fact = std::make_shared<sql::RelationFact>();
  fact->found = oid != 0;
  fact->oid = oid;
  sql::Catalogue out;
  out.relations[{"", name}] = std::move(fact);
  return out;
}

CatalogueReading reading(int64_t asked_ns, std::string fingerprint = "f", std::string server = "s") {
  return {.server = std::move(server), .fingerprint = std::move(fingerprint), .asked_ns = asked_ns};
}

TEST(Catalogues, NothingIsKnownUntilItWasValidated) {
  Catalogues catalogues;
  EXPECT_EQ(catalogues.look(kId, 7), nullptr);
  ASSERT_EQ(catalogues.list().size(), 1u);
  EXPECT_EQ(catalogues.list()[0].second, 7);
  catalogues.validated(kId, reading(100));
  const auto shared = catalogues.look(kId, 200);
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->validated_ns, 100);
  EXPECT_NE(shared->generation, 0u);
}

TEST(Catalogues, HoldOneSecond) {
  Catalogues catalogues;
  catalogues.look(kId, 0);
  catalogues.validated(kId, reading(100));
  const int64_t end_ns = 100 + limits::kCatalogueFactMaxAgeMs * kNanosPerMilli;
  EXPECT_TRUE(catalogues.look(kId, end_ns)->valid({.monotonic_ns = end_ns}));
  EXPECT_FALSE(catalogues.look(kId, end_ns)->valid({.monotonic_ns = end_ns + 1}));
}

TEST(Catalogues, TheSameFingerprintKeepsFactsAndGeneration) {
  Catalogues catalogues;
  catalogues.look(kId, 0);
  CatalogueReading first = reading(100);
  first.facts[kPath] = relation("orders");
  catalogues.validated(kId, std::move(first));
  const auto before = catalogues.look(kId, 0);
  CatalogueReading second = reading(200);
  second.facts[kPath] = relation("nowhere", 0);
  catalogues.validated(kId, std::move(second));
  const auto after = catalogues.look(kId, 0);
  EXPECT_EQ(after->generation, before->generation);
  EXPECT_EQ(after->validated_ns, 200);
  const auto& relations = after->facts.at(kPath)->relations;
  EXPECT_EQ(relations.size(), 2u);
  EXPECT_FALSE(relations.at({"", "nowhere"})->found) << "what does not exist is a fact too";
  EXPECT_EQ(before->facts.at(kPath)->relations.size(), 1u) << "what was handed out does not change";
}

TEST(Catalogues, AnotherFingerprintOrServerDropsEverything) {
  for (const auto& [fingerprint, server] : {std::pair("g", "s"), std::pair("f", "t")}) {
    Catalogues catalogues;
    catalogues.look(kId, 0);
    CatalogueReading first = reading(100);
    first.facts[kPath] = relation("orders");
    catalogues.validated(kId, std::move(first));
    const auto before = catalogues.look(kId, 0);
    catalogues.validated(kId, reading(200, fingerprint, server));
    const auto after = catalogues.look(kId, 0);
    EXPECT_NE(after->generation, before->generation);
    EXPECT_TRUE(after->facts.empty());
  }
}

TEST(Catalogues, NoTwoHaveTheSameGeneration) {
  Catalogues catalogues;
  flow::CatalogueId other = kId;
  other.database = "other";
  for (const auto& id : {kId, other}) {
    catalogues.look(id, 0);
    catalogues.validated(id, reading(1));
  }
  const uint64_t first = catalogues.look(kId, 0)->generation;
  EXPECT_NE(first, catalogues.look(other, 0)->generation);
  catalogues.forget(kId);
  catalogues.look(kId, 0);
  catalogues.validated(kId, reading(1));
  EXPECT_NE(first, catalogues.look(kId, 0)->generation);
}

TEST(Catalogues, WantedNamesAreTakenOnceAndLimited) {
  Catalogues catalogues;
  catalogues.want(kId, kPath, {.relations = {{"", "a"}}});
  EXPECT_TRUE(catalogues.take_wanted(kId).empty()) << "nobody looks there";
  catalogues.look(kId, 0);
  catalogues.want(kId, kPath, {.relations = {{"", "a"}}, .functions = {{"", "f"}}});
  sql::Missing many;
  for (size_t i = 0; i < limits::kCatalogueWantedMax; ++i) many.relations.insert({"", fmt::format("t{}", i)});
  catalogues.want(kId, kPath, many);
  const auto wanted = catalogues.take_wanted(kId);
  EXPECT_EQ(wanted.at(kPath).relations.size(), 1u);
  EXPECT_EQ(wanted.at(kPath).functions.size(), 1u);
  EXPECT_TRUE(catalogues.take_wanted(kId).empty());
  catalogues.want(kId, kPath, many);
  EXPECT_EQ(catalogues.take_wanted(kId).at(kPath).relations.size(), limits::kCatalogueWantedMax);
}

TEST(Catalogues, TooManyNamesPathsOrBytesBeginAgain) {
  Catalogues catalogues;
  catalogues.look(kId, 0);
  CatalogueReading names = reading(1);
  for (size_t i = 0; i < limits::kCatalogueNamesMax; ++i)
    names.facts[kPath].relations[{"", fmt::format("t{}", i)}] = std::make_shared<sql::RelationFact>();
  catalogues.validated(kId, std::move(names));
  EXPECT_EQ(catalogues.status()[0].names, limits::kCatalogueNamesMax);
  const uint64_t generation = catalogues.look(kId, 0)->generation;
  CatalogueReading one = reading(2);
  one.facts[kPath] = relation("one");
  catalogues.validated(kId, std::move(one));
  EXPECT_EQ(catalogues.status()[0].names, 1u);
  EXPECT_EQ(catalogues.look(kId, 0)->generation, generation) << "nothing moved";

  for (size_t i = 0; i <= limits::kCataloguePathsMax; ++i) {
    CatalogueReading path = reading(3);
    path.facts[{std::to_string(i), {}}] = relation("one");
    catalogues.validated(kId, std::move(path));
    EXPECT_LE(catalogues.look(kId, 0)->facts.size(), limits::kCataloguePathsMax);
  }
  for (const size_t bytes : {limits::kCatalogueBytesMax, size_t{1}}) {
    CatalogueReading large = reading(4);
    large.bytes = bytes;
    large.facts[kPath] = relation(fmt::format("bytes {}", bytes));
    catalogues.validated(kId, std::move(large));
  }
  EXPECT_EQ(catalogues.status()[0].names, 1u);
}

TEST(Catalogues, NoMoreThanTheLimit) {
  Catalogues catalogues;
  flow::CatalogueId id = kId;
  for (size_t i = 0; i <= limits::kCataloguesMax; ++i) {
    id.database = std::to_string(i);
    catalogues.look(id, 0);
  }
  EXPECT_EQ(catalogues.list().size(), limits::kCataloguesMax);
  catalogues.forget(kId);
}

TEST(Catalogues, TroubleShowsUntilTheNextValidation) {
  Catalogues catalogues;
  catalogues.look(kId, 0);
  catalogues.failed(kId, {"connection refused", "start it"});
  EXPECT_EQ(catalogues.status()[0].trouble.what, "connection refused");
  EXPECT_EQ(catalogues.status()[0].validated_ns, 0);
  catalogues.validated(kId, reading(9));
  EXPECT_EQ(catalogues.status()[0].trouble.what, "");
  EXPECT_EQ(catalogues.status()[0].validated_ns, 9);
}

TEST(Catalogues, WakesTheKeeperForWhatDoesNotHold) {
  Catalogues catalogues;
  int woken = 0;
  catalogues.set_wake([&] { ++woken; });
  catalogues.look(kId, 0);
  EXPECT_EQ(woken, 1);
  catalogues.validated(kId, reading(0));
  catalogues.look(kId, 1);
  EXPECT_EQ(woken, 1);
  catalogues.want(kId, kPath, {.relations = {{"", "a"}}});
  EXPECT_EQ(woken, 2);
  catalogues.look(kId, 2 * limits::kCatalogueFactMaxAgeMs * kNanosPerMilli);
  EXPECT_EQ(woken, 3);
}

TEST(Catalogues, ManyThreads) {
  Catalogues catalogues;
  catalogues.look(kId, 1);
  std::atomic<bool> stop = false;
  std::vector<std::thread> flows;
  for (int i = 0; i < 3; ++i)
    flows.emplace_back([&, i] {
      while (!stop) {
        const auto shared = catalogues.look(kId, 1);
        if (shared && !shared->facts.empty()) {
          EXPECT_FALSE(shared->facts.begin()->second->relations.empty());
        }
        catalogues.want(kId, kPath, {.relations = {{"", std::to_string(i)}}});
      }
    });
  for (int64_t round = 1; round <= 500; ++round) {
    CatalogueReading next = reading(round, std::to_string(round / 100));
    for (auto& [path, names] : catalogues.take_wanted(kId))
      for (const auto& name : names.relations) next.facts[path].relations.merge(relation(name.name).relations);
    catalogues.validated(kId, std::move(next));
    catalogues.status();
  }
  stop = true;
  for (std::thread& thread : flows) thread.join();
  EXPECT_EQ(catalogues.status()[0].validated_ns, 500);
}

}  // namespace
}  // namespace sallyport::node
