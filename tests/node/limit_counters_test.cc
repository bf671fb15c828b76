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

const LimitKey kKey{"bot", "invoices", "rows"};
constexpr int64_t kHour = 3600 * kNanosPerSecond;
const LimitSpec kSpec{.max = 100, .window_ns = kHour};
constexpr int64_t kStart = 1000 * kHour;

TEST(LimitCounters, GrantsUpToTheLimitAndFreesAfterTheWindow) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, kSpec, 70, kStart), 70u);
  EXPECT_EQ(counters.lease(kKey, kSpec, 70, kStart + kHour / 2), 30u);
  EXPECT_EQ(counters.lease(kKey, kSpec, 1, kStart + kHour / 2), 0u);
  EXPECT_EQ(counters.used(kKey, kStart + kHour - 1), 100u) << "a whole window";
  const int64_t frees_at = counters.frees_at_monotonic_ns(kKey, kStart + kHour / 2);
  EXPECT_GE(frees_at, kStart + kHour);
  EXPECT_LE(frees_at, kStart + kHour + kHour / 60);
  EXPECT_EQ(counters.lease(kKey, kSpec, 100, frees_at - 1), 0u);
  EXPECT_EQ(counters.lease(kKey, kSpec, 100, frees_at), 70u) << "the first lease's share";
  EXPECT_EQ(counters.used(kKey, frees_at + 5 * kHour), 0u);
  EXPECT_EQ(counters.frees_at_monotonic_ns(kKey, frees_at + 5 * kHour), 0);
}

TEST(LimitCounters, CountersAreApart) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, kSpec, 100, kStart), 100u);
  EXPECT_EQ(counters.lease({"bot", "invoices", "statements"}, kSpec, 5, kStart), 5u);
  EXPECT_EQ(counters.lease({"bot", "orders", "rows"}, kSpec, 5, kStart), 5u);
  EXPECT_EQ(counters.lease({"cron", "invoices", "rows"}, kSpec, 5, kStart), 5u);
  EXPECT_EQ(counters.used({"nobody", "", ""}, kStart), 0u);
}

TEST(LimitCounters, UnspentIsGivenBackButNeverMoreThanWasLeased) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, kSpec, 60, kStart), 60u);
  counters.give_back(kKey, 25, kStart + kHour / 3);
  EXPECT_EQ(counters.used(kKey, kStart + kHour / 3), 35u);
  counters.give_back(kKey, 1000, kStart + kHour / 3);
  EXPECT_EQ(counters.used(kKey, kStart + kHour / 3), 0u);
  EXPECT_EQ(counters.lease(kKey, kSpec, 1000, kStart + kHour / 3), 100u);
}

TEST(LimitCounters, AChangedPolicyKeepsWhatWasUsed) {
  LimitCounters counters;
  EXPECT_EQ(counters.lease(kKey, kSpec, 80, kStart), 80u);
  EXPECT_EQ(counters.lease(kKey, {.max = 50, .window_ns = kHour}, 10, kStart), 0u);
  EXPECT_EQ(counters.lease(kKey, {.max = 90, .window_ns = kHour / 2}, 20, kStart), 10u);
}

TEST(LimitCounters, TheirNumberIsBoundedAndUnusedOnesMakeRoom) {
  LimitCounters counters;
  for (size_t i = 0; i < limits::kLimitCountersMax; ++i)
    ASSERT_TRUE(counters.lease({"bot" + std::to_string(i), "e", "rows"}, kSpec, 1, kStart));
  EXPECT_FALSE(counters.lease({"one more", "e", "rows"}, kSpec, 1, kStart));
  EXPECT_EQ(counters.lease({"one more", "e", "rows"}, kSpec, 1, kStart + 2 * kHour), 1u);
}

TEST(LimitCounters, ManyThreadsNeverGetMoreThanTheLimit) {
  LimitCounters counters;
  const LimitSpec spec{.max = 10'000, .window_ns = kHour};
  std::atomic<uint64_t> granted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const uint64_t lease = *counters.lease(kKey, spec, 7, kStart);
        if (i % 3 == 0 && lease == 7) {
          counters.give_back(kKey, 2, kStart);
          granted += 5;
        } else {
          granted += lease;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(granted, 10'000u);
}

}  // namespace
}  // namespace sallyport::node
