// SPDX-License-Identifier: Apache-2.0
// Live flows are found, listed and counted while many threads add and remove them.
#include "sallyport/node/flow_registry.h"

#include <gtest/gtest.h>

#include <thread>

namespace sallyport::node {
namespace {

LiveFlow flow_of(FlowRegistry& registry, const std::string& agent, int64_t opened_wall_ns) {
  LiveFlow flow{.flow = registry.next_id(), .worker = 3, .opened_wall_ns = opened_wall_ns};
  flow.principal.agent = agent;
  return flow;
}

TEST(FlowRegistry, ListsOldestFirstAndByAgent) {
  FlowRegistry registry;
  const LiveFlow late = flow_of(registry, "bot", 300);
  const LiveFlow early = flow_of(registry, "bot", 100);
  const LiveFlow other = flow_of(registry, "cron", 200);
  for (const LiveFlow& flow : {late, early, other}) ASSERT_TRUE(registry.add(flow));

  const auto all = registry.list();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].flow, early.flow);
  EXPECT_EQ(all[1].flow, other.flow);
  EXPECT_EQ(all[2].flow, late.flow);
  EXPECT_EQ(registry.list("cron").size(), 1u);
  EXPECT_EQ(registry.count_of("bot"), 2u);
  EXPECT_EQ(registry.worker_of(late.flow), 3u);

  registry.describe(late.flow, late.session, "invoices-db", "postgres");
  EXPECT_EQ(registry.find(late.flow)->target, "invoices-db");
  registry.remove(late.flow);
  registry.remove(late.flow);
  registry.describe(late.flow, late.session, "x", "y");
  EXPECT_FALSE(registry.find(late.flow));
  EXPECT_FALSE(registry.worker_of(late.flow));
  EXPECT_EQ(registry.count_of("bot"), 1u);
  EXPECT_EQ(registry.count(), 2u);
}

TEST(FlowRegistry, AnIdIsTakenOnce) {
  FlowRegistry registry;
  const LiveFlow flow = flow_of(registry, "bot", 1);
  ASSERT_TRUE(registry.add(flow));
  EXPECT_FALSE(registry.add(flow));
  EXPECT_FALSE(registry.add(LiveFlow{})) << "0 names no flow";
  EXPECT_EQ(registry.count(), 1u);
}

TEST(FlowRegistry, ManyThreadsAddListAndRemove) {
  FlowRegistry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry, agent = "bot" + std::to_string(t)] {
      for (int i = 0; i < 500; ++i) {
        const LiveFlow flow = flow_of(registry, agent, i);
        ASSERT_TRUE(registry.add(flow));
        if (i % 50 == 0) {
          ASSERT_GE(registry.list(agent).size(), 1u);
        }
        if (i % 2 == 0) registry.remove(flow.flow);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(registry.count(), 1000u);
  EXPECT_EQ(registry.count_of("bot2"), 250u);
}

}  // namespace
}  // namespace sallyport::node
