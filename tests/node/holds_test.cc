// SPDX-License-Identifier: Apache-2.0
// A held operation is listed, answered once, or expires as a denial; its flow's end forgets it.
#include "sallyport/node/holds.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

struct Inbox {
  struct Letter {
    model::FlowId flow;
    flow::Answered answer;
  };
  std::vector<Letter> letters;
  bool full = false;
  Holds::Post post() {
    return [this](model::FlowId flow, flow::Answered answer) {
      if (full) return false;
      letters.push_back({flow, std::move(answer)});
      return true;
    };
  }
};

HeldOperation held(model::FlowId flow, model::OperationId operation, int64_t expires_ns = 1000) {
  return {
      .flow = flow, .operation = operation, .agent = flow == 1 ? "bot" : "cron", .expires_monotonic_ns = expires_ns};
}

TEST(Holds, AnAnswerReachesTheFlowOnce) {
  Inbox inbox;
  Holds holds(inbox.post());
  const HoldId id = *holds.add(held(1, 5));
  ASSERT_TRUE(holds.add(held(2, 5)));
  ASSERT_EQ(holds.list("bot").size(), 1u);
  EXPECT_EQ(holds.list("bot")[0].id, id);
  EXPECT_EQ(holds.list().size(), 2u);
  ASSERT_TRUE(holds.answer(id, true, "alice", 10));
  ASSERT_EQ(inbox.letters.size(), 1u);
  EXPECT_EQ(inbox.letters[0].flow, 1u);
  EXPECT_EQ(inbox.letters[0].answer.operation, 5u);
  EXPECT_TRUE(inbox.letters[0].answer.approved);
  EXPECT_EQ(inbox.letters[0].answer.by, "alice");
  EXPECT_FALSE(holds.answer(id, false, "bob", 11)) << "answered already";
  EXPECT_EQ(inbox.letters.size(), 1u);
}

TEST(Holds, ExpiryIsADenial) {
  Inbox inbox;
  Holds holds(inbox.post());
  const HoldId late = *holds.add(held(1, 5, 100));
  ASSERT_TRUE(holds.add(held(1, 6, 200)));
  EXPECT_FALSE(holds.answer(late, true, "alice", 100)) << "too late, though not swept yet";
  EXPECT_EQ(holds.expire(99), 0u);
  EXPECT_EQ(holds.expire(150), 1u);
  ASSERT_EQ(inbox.letters.size(), 1u);
  EXPECT_FALSE(inbox.letters[0].answer.approved);
  EXPECT_EQ(inbox.letters[0].answer.operation, 5u);
  EXPECT_EQ(holds.count(), 1u);
}

TEST(Holds, WhatIsGoneIsNotAnswered) {
  Inbox inbox;
  Holds holds(inbox.post());
  const HoldId first = *holds.add(held(1, 5));
  const HoldId second = *holds.add(held(1, 6));
  const HoldId other = *holds.add(held(2, 5));
  holds.remove(1, 5);
  EXPECT_FALSE(holds.answer(first, true, "alice", 10));
  holds.remove_flow(1);
  EXPECT_FALSE(holds.answer(second, true, "alice", 10));
  inbox.full = true;
  EXPECT_FALSE(holds.answer(other, true, "alice", 10)) << "the worker could not take it";
  EXPECT_TRUE(inbox.letters.empty());
}

TEST(Holds, AreBoundedAndUnique) {
  Inbox inbox;
  Holds holds(inbox.post());
  ASSERT_TRUE(holds.add(held(1, 0)));
  EXPECT_FALSE(holds.add(held(1, 0)));
  for (uint32_t i = 1; i < limits::kHoldsPerFlowMax; ++i) ASSERT_TRUE(holds.add(held(1, i)));
  EXPECT_FALSE(holds.add(held(1, 9999))) << "one flow's share";
  for (model::FlowId flow = 2; holds.count() < limits::kHoldsMax; ++flow) ASSERT_TRUE(holds.add(held(flow, 0)));
  EXPECT_FALSE(holds.add(held(1'000'000, 0)));
}

TEST(Holds, ManyThreadsAnswerEachOnce) {
  std::atomic<int> posted = 0;
  Holds holds([&](model::FlowId, flow::Answered) { return ++posted > 0; });
  std::vector<HoldId> ids;
  for (model::FlowId flow = 1; flow <= 200; ++flow) ids.push_back(*holds.add(held(flow, 0, 1'000'000)));
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (HoldId id : ids)
        if (holds.answer(id, t % 2 == 0, "someone", 1)) ++answered;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 200);
  EXPECT_EQ(posted, 200);
}

}  // namespace
}  // namespace sallyport::node
