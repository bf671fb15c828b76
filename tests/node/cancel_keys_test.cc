// SPDX-License-Identifier: Apache-2.0
// A cancel key leads to its flow for the agent that got it, where it got it, and for nobody else.
#include "sallyport/node/cancel_keys.h"

#include <gtest/gtest.h>

#include <thread>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

const model::Endpoint kDb{model::IpAddress::v4(10, 0, 0, 1), 5432};
const model::Endpoint kOtherDb{model::IpAddress::v4(10, 0, 0, 2), 5432};

TEST(CancelKeys, OnlyTheSameAgentDestinationPidAndKey) {
  CancelKeys keys;
  ASSERT_TRUE(keys.add(7, "bot", kDb, 4711, Secret("abcd")));
  EXPECT_EQ(keys.find("bot", kDb, 4711, "abcd"), 7u);
  EXPECT_FALSE(keys.find("cron", kDb, 4711, "abcd"));
  EXPECT_FALSE(keys.find("bot", kOtherDb, 4711, "abcd"));
  EXPECT_FALSE(keys.find("bot", kDb, 4712, "abcd"));
  EXPECT_FALSE(keys.find("bot", kDb, 4711, "abce"));
  EXPECT_FALSE(keys.find("bot", kDb, 4711, "abc"));
  EXPECT_FALSE(keys.find("bot", kDb, 4711, ""));
}

TEST(CancelKeys, SamePidOnTwoServersIsTwoKeys) {
  CancelKeys keys;
  ASSERT_TRUE(keys.add(1, "bot", kDb, 99, Secret("one!")));
  ASSERT_TRUE(keys.add(2, "bot", kOtherDb, 99, Secret("two!")));
  EXPECT_EQ(keys.find("bot", kDb, 99, "one!"), 1u);
  EXPECT_EQ(keys.find("bot", kOtherDb, 99, "two!"), 2u);
  keys.remove(1);
  EXPECT_FALSE(keys.find("bot", kDb, 99, "one!"));
  EXPECT_EQ(keys.find("bot", kOtherDb, 99, "two!"), 2u);
}

TEST(CancelKeys, AKeyIsReplacedAndItsLengthBounded) {
  CancelKeys keys;
  ASSERT_TRUE(keys.add(1, "bot", kDb, 1, Secret("old.")));
  ASSERT_TRUE(keys.add(1, "bot", kDb, 2, Secret(std::string(limits::kCancelKeyBytesMax, 'k'))));
  EXPECT_FALSE(keys.find("bot", kDb, 1, "old."));
  EXPECT_EQ(keys.find("bot", kDb, 2, std::string(limits::kCancelKeyBytesMax, 'k')), 1u);
  EXPECT_FALSE(keys.add(2, "bot", kDb, 3, Secret(std::string(limits::kCancelKeyBytesMax + 1, 'k'))));
  EXPECT_FALSE(keys.add(2, "bot", kDb, 3, Secret("")));
  EXPECT_EQ(keys.count(), 1u);
}

TEST(CancelKeys, ManyThreads) {
  CancelKeys keys;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&keys, t] {
      for (uint64_t i = 0; i < 500; ++i) {
        const model::FlowId flow = t * 1000 + i;
        const std::string secret = std::to_string(flow);
        ASSERT_TRUE(keys.add(flow, "bot", kDb, static_cast<uint32_t>(i), Secret(secret)));
        ASSERT_EQ(keys.find("bot", kDb, static_cast<uint32_t>(i), secret), flow);
        keys.remove(flow);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(keys.count(), 0u);
}

}  // namespace
}  // namespace sallyport::node
