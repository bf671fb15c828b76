// SPDX-License-Identifier: Apache-2.0
// A limit is never exceeded within its window, by one thread or many, and frees itself afterwards.
#include "sallyport/node/limit_counters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

constexpr int64_t kHour = 3600 * kNanosPerSecond;
const LimitKey kKey{.agent = "bot", .target = "invoices", .window_ns = kHour};
constexpr int64_t kStart = 1000 * kHour;

LimitKey key_of(std::string agent) { return {.agent = std::move(agent), .target = "invoices", .window_ns = kHour}; }

TEST(LimitCounters, GrantsUpToTheLimitAndFreesAfterTheWindow) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, 100, 70, kStart)->granted, 70u);
  EXPECT_EQ(counters.lease(kKey, 100, 70, kStart + kHour / 2)->granted, 0u) << "all that is needed, or nothing";
  EXPECT_EQ(counters.lease(kKey, 100, 30, kStart + kHour / 2)->granted, 30u);
  const flow::Lease none = *counters.lease(kKey, 100, 1, kStart + kHour / 2);
  EXPECT_EQ(none.granted, 0u);
  EXPECT_EQ(none.used, 100u);
  EXPECT_GE(none.frees_at_monotonic_ns, kStart + kHour);
  EXPECT_LE(none.frees_at_monotonic_ns, kStart + kHour + kHour / 60);
  EXPECT_EQ(counters.used(kKey, kStart + kHour - 1), 100u) << "a whole window";
  EXPECT_EQ(counters.lease(kKey, 100, 1, none.frees_at_monotonic_ns - 1)->granted, 0u);
  EXPECT_EQ(counters.lease(kKey, 100, 70, none.frees_at_monotonic_ns)->granted, 70u) << "the first lease's share";
  EXPECT_EQ(counters.used(kKey, none.frees_at_monotonic_ns + 5 * kHour), 0u);
}

TEST(LimitCounters, GivesMoreThanIsNeededWhileThereIsPlentyAndLessAndLess) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, 6400, 1, kStart)->granted, 100u);
  EXPECT_EQ(counters.lease(kKey, 6400, 200, kStart)->granted, 200u);
  int leases = 0;
  while (counters.lease(kKey, 6400, 1, kStart)->granted != 0) ++leases;
  EXPECT_GT(leases, 200) << "many can lease before the last finds none";
  EXPECT_EQ(counters.used(kKey, kStart), 6400u) << "to the last one";
}

TEST(LimitCounters, CountersAreApart) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, 100, 100, kStart)->granted, 100u);
  LimitKey statements = kKey, orders = kKey, cron = kKey, daily = kKey, flow = kKey;
  statements.count = model::Limit::Count::statements;
  orders.target = "orders";
  cron.agent = "cron";
  daily.window_ns = 24 * kHour;
  flow.flow = 7;
  for (const LimitKey& key : {statements, orders, cron, daily, flow})
    EXPECT_EQ(counters.lease(key, 100, 5, kStart)->granted, 5u);
  EXPECT_EQ(counters.lease(kKey, 100, 1, kStart)->granted, 0u);
  EXPECT_EQ(counters.used(key_of("nobody"), kStart), 0u);
}

TEST(LimitCounters, UnspentIsGivenBackButNeverMoreThanWasLeased) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, 100, 60, kStart)->granted, 60u);
  counters.give_back(kKey, 25, kStart + kHour / 3);
  EXPECT_EQ(counters.used(kKey, kStart + kHour / 3), 35u);
  counters.give_back(kKey, 1000, kStart + kHour / 3);
  EXPECT_EQ(counters.used(kKey, kStart + kHour / 3), 0u);
  EXPECT_EQ(counters.lease(kKey, 100, 100, kStart + kHour / 3)->granted, 100u);
}

TEST(LimitCounters, AChangedMaximumKeepsWhatWasUsed) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, 100, 80, kStart)->granted, 80u);
  EXPECT_EQ(counters.lease(kKey, 50, 10, kStart)->granted, 0u);
  EXPECT_EQ(counters.lease(kKey, 90, 10, kStart)->granted, 10u);
}

TEST(LimitCounters, TheirNumberIsBoundedAndUnusedOnesMakeRoom) {
  LimitCounters counters;
  for (size_t i = 0; i < limits::kLimitCountersMax; ++i)
    ASSERT_TRUE(counters.lease(key_of("bot" + std::to_string(i)), 100, 1, kStart));
  EXPECT_FALSE(counters.lease(key_of("one more"), 100, 1, kStart));
  EXPECT_EQ(counters.lease(key_of("one more"), 100, 1, kStart + 2 * kHour)->granted, 1u);
}

TEST(LimitCounters, AFlowThatIsOverLeavesNoCounter) {
  LimitCounters counters;
  for (model::FlowId flow = 6; flow <= 8; ++flow)
    for (auto count : {model::Limit::Count::rows, model::Limit::Count::statements}) {
      LimitKey key = kKey;
      key.flow = flow;
      key.count = count;
      ASSERT_TRUE(counters.lease(key, 100, 1, kStart));
    }
  ASSERT_TRUE(counters.lease(kKey, 100, 1, kStart));
  counters.forget(7);
  EXPECT_EQ(counters.size(), 5u);
  counters.forget(0);
  EXPECT_EQ(counters.size(), 5u) << "0 is no flow";
}

TEST(LimitCounters, ManyThreadsNeverGetMoreThanTheLimit) {
  LimitCounters counters;
  std::atomic<uint64_t> granted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 4000; ++i) {
        const uint64_t lease = counters.lease(kKey, 10'000, 7, kStart)->granted;
        const uint64_t back = i % 3 == 0 ? lease / 2 : 0;
        if (back != 0) counters.give_back(kKey, back, kStart);
        granted += lease - back;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const uint64_t rest = 10'000 - granted;
  EXPECT_LT(rest, 7u);
  EXPECT_EQ(counters.used(kKey, kStart), granted);
}

}  // namespace
}  // namespace sallyport::node
