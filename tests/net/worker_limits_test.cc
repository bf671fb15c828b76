// SPDX-License-Identifier: Apache-2.0
// INVARIANT 6 for net/: queues, memory, slow peers, descriptors and posts, each driven to its limit.
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "sallyport/base/limits.h"
#include "tests/net/harness.h"

namespace sallyport::net {
namespace {

using flow::kAgentLeg;
using flow::kUpstreamLeg;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // memory figures mean nothing then
#else
constexpr bool kSanitized = false;
#endif

/// In use, in all arenas: what other tests freed and the allocator kept does not blur it.
size_t allocated_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

char pattern_at(uint64_t position) { return static_cast<char>((position * 2654435761u) >> 13); }

TEST(WorkerLimits, AHundredMegabytesPassInBoundedMemory) {
  constexpr uint64_t kTotal = 100'000'000;
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(pass_through(where));
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  const size_t before = allocated_bytes();
  std::thread writer([&] {
    std::string block(100'000, '\0');
    for (uint64_t position = 0; position < kTotal; position += block.size()) {
      for (size_t i = 0; i < block.size(); ++i) block[i] = pattern_at(position + i);
      write_all(upstream, block);
    }
    ::shutdown(upstream.get(), SHUT_WR);
  });
  // The agent does not read: everything comes to rest, most of it still at the source.
  uint64_t taken = 0;
  ASSERT_TRUE(eventually([&] {
    const Stats now = harness.worker->stats();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return std::exchange(taken, now.bytes_from_targets) == now.bytes_from_targets &&
           now.bytes_from_targets - now.bytes_to_agents > limits::kLegQueueBytesMax;
  }));
  const Stats stats = harness.worker->stats();
  EXPECT_LE(stats.bytes_from_targets - stats.bytes_to_agents, limits::kLegQueueBytesMax + limits::kReadBytesMax);
  EXPECT_GT(stats.bytes_from_targets - stats.bytes_to_agents, limits::kLegQueueBytesMax);

  std::string buffer(100'000, '\0');
  uint64_t position = 0;
  uint64_t wrong = 0;
  for (;;) {
    const ssize_t got = ::recv(agent.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; ++i) wrong += buffer[static_cast<size_t>(i)] != pattern_at(position++);
  }
  writer.join();
  EXPECT_EQ(position, kTotal);
  EXPECT_EQ(wrong, 0u);
  if (!kSanitized) {
    EXPECT_LT(allocated_bytes(), before + (8 << 20));
  }
}

TEST(WorkerLimits, AFloodedUpstreamRestsTheAgent) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(pass_through(where));
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  std::thread writer([&] { write_all(agent, std::string(40'000'000, 'q')); });
  ASSERT_TRUE(eventually([&] {
    const Stats stats = harness.worker->stats();
    return stats.bytes_from_agents - stats.bytes_to_targets > limits::kLegQueueBytesMax;
  }));
  EXPECT_EQ(read_exactly(upstream, 40'000'000).size(), 40'000'000u);
  writer.join();
}

TEST(WorkerLimits, DrainedComesOnceTheQueueIsLowAgain) {
  std::atomic<int> drained = 0;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.send(kAgentLeg) = std::string(12'000'000, 'x');
    if (as<flow::Drained>(event) != nullptr) ++drained;
  });
  UniqueFd agent = harness.connect();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(drained, 0);
  EXPECT_EQ(read_exactly(agent, 12'000'000).size(), 12'000'000u);
  EXPECT_TRUE(eventually([&] { return drained == 1; }));
}

TEST(WorkerLimits, ASlowPeerIsGivenUpAndOnlyWhenItStandsStill) {
  WorkerOptions options;
  options.slow_peer_ms = 2'000;
  std::atomic<int> failed = 0;
  Harness harness(
      [&](model::FlowId) -> Script {
        return [&](const flow::Event* event, const Now&, flow::Actions& actions) {
          if (event == nullptr) actions.send(kAgentLeg) = std::string(30'000'000, 'x');
          if (const auto* lost = as<flow::Failed>(event)) {
            EXPECT_NE(lost->reason.find("none was taken for 2000 ms"), std::string::npos) << lost->reason;
            ++failed;
            actions.add(flow::Finish{});
          }
        };
      },
      options);
  UniqueFd agent = harness.connect();
  // Slow, but it moves, for longer than it may stand still.
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(read_exactly(agent, 1'000'000).size(), 1'000'000u);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(eventually([&] { return failed == 1; }));
  EXPECT_EQ(harness.worker->stats().slow_peers, 1u);
  EXPECT_TRUE(harness.no_flows());
}

TEST(WorkerLimits, FinishDoesNotWaitForEverForAPeerThatDoesNotRead) {
  WorkerOptions options;
  options.finish_ms = 100;
  Harness harness(
      [&](model::FlowId) -> Script {
        return [&](const flow::Event* event, const Now&, flow::Actions& actions) {
          if (event != nullptr) return;
          actions.send(kAgentLeg) = std::string(30'000'000, 'x');
          actions.add(flow::Finish{});
        };
      },
      options);
  UniqueFd agent = harness.connect();
  EXPECT_TRUE(harness.no_flows());
  EXPECT_LT(read_to_end(agent).size(), 30'000'000u);
}

TEST(WorkerLimits, FinishDoesNotWaitForEverForAPeerThatDoesNotClose) {
  WorkerOptions options;
  options.linger_ms = 50;
  Harness harness(
      [&](model::FlowId) -> Script {
        return [&](const flow::Event* event, const Now&, flow::Actions& actions) {
          if (event != nullptr) return;
          actions.send(kAgentLeg) = "bye";
          actions.add(flow::Finish{});
        };
      },
      options);
  UniqueFd agent = harness.connect();
  EXPECT_EQ(read_to_end(agent), "bye");
  EXPECT_TRUE(harness.no_flows()) << "though the agent keeps its side open";
}

TEST(WorkerLimits, TwoThousandIdleFlowsCostLittle) {
  constexpr size_t kFlows = 2'000;
  constexpr rlim_t kDescriptors = 4 * kFlows + 100;
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_max = std::max(descriptors.rlim_max, kDescriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &descriptors), 0) << "needs root, or `ulimit -Hn` of " << kDescriptors;
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](model::FlowId) { return pass_through(where); });
  std::vector<UniqueFd> agents, upstreams;
  agents.reserve(kFlows);
  upstreams.reserve(kFlows);
  const std::string message(20'000, 'm');  // so that buffers were used once
  const auto open_one = [&] {
    agents.push_back(harness.connect());
    upstreams.push_back(accept_one(server));
    write_all(agents.back(), message);
    ASSERT_EQ(read_exactly(upstreams.back(), message.size()).size(), message.size());
    write_all(upstreams.back(), message);
    ASSERT_EQ(read_exactly(agents.back(), message.size()).size(), message.size());
  };
  for (size_t i = 0; i < 50; ++i) open_one();
  const size_t before = allocated_bytes();
  while (agents.size() < kFlows) open_one();
  const size_t each = (allocated_bytes() - before) / (kFlows - 50);
  RecordProperty("bytes_per_idle_flow", static_cast<int>(each));
  if (!kSanitized) {
    EXPECT_LT(each, 4096u) << "of the 40 KiB that a flow may cost with all its layers";
  }

  bool at_rest = false;  // the last turn of the last flow may still be under way
  for (int i = 0; i < 100 && !at_rest; ++i) {
    const uint64_t turns = harness.worker->stats().turns;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    at_rest = harness.worker->stats().turns == turns;
  }
  EXPECT_TRUE(at_rest) << "idle flows cost no time";
}

TEST(WorkerLimits, ADialToALegTooManyFails) {
  std::atomic<int> dialled = 0, refused = 0;
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{static_cast<flow::Leg>(limits::kLegsMax - 1), where});
    if (as<flow::Dialled>(event) != nullptr) {
      ++dialled;
      actions.add(flow::Dial{static_cast<flow::Leg>(limits::kLegsMax), where});
    }
    if (const auto* failed = as<flow::Failed>(event))
      refused += failed->reason.find("too many legs") != std::string::npos;
  });
  UniqueFd agent = harness.connect();
  EXPECT_TRUE(eventually([&] { return dialled == 1 && refused == 1; }));
}

TEST(WorkerLimits, MoreThanOneTurnTakesAreAllServed) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.send(kAgentLeg) = "hello";
  });
  std::vector<UniqueFd> agents;
  for (int i = 0; i < 3 * std::max(limits::kAcceptsPerTurnMax, limits::kReadyMax); ++i)
    agents.push_back(harness.connect());
  for (const UniqueFd& agent : agents) ASSERT_EQ(read_exactly(agent, 5), "hello");
}

// What the tests of these limits shorten is what a worker holds to when nobody says otherwise.
TEST(WorkerLimits, AreWhatAWorkerHoldsTo) {
  const WorkerOptions options;
  EXPECT_EQ(options.dial_ms, limits::kDialTimeoutMs);
  EXPECT_EQ(options.slow_peer_ms, limits::kSlowPeerTimeoutMs);
  EXPECT_EQ(options.finish_ms, limits::kFinishTimeoutMs);
  EXPECT_EQ(options.linger_ms, limits::kLingerTimeoutMs);
  EXPECT_EQ(options.accept_pause_ms, limits::kAcceptPauseMs);
  EXPECT_EQ(options.flows_max, limits::kWorkerFlowsMax);
}

TEST(WorkerLimits, ConnectionsOverTheLimitAreReset) {
  WorkerOptions options;
  options.flows_max = 2;
  Harness harness([](model::FlowId) -> Script { return [](const flow::Event*, const Now&, flow::Actions&) {}; },
                  options);
  UniqueFd first = harness.connect(), second = harness.connect();
  ASSERT_TRUE(eventually([&] { return harness.worker->stats().accepted == 2; }));
  UniqueFd third = harness.connect();
  EXPECT_EQ(how_it_ended(third), ECONNRESET);
  EXPECT_EQ(harness.worker->stats().flows_over_limit, 1u);
}

TEST(WorkerLimits, WithoutDescriptorsThoseWhoWaitAreResetAndLaterOnesServed) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.send(kAgentLeg) = "hello";
  });
  UniqueFd warm = harness.connect();
  ASSERT_EQ(read_exactly(warm, 5), "hello");
  rlimit saved{};
  getrlimit(RLIMIT_NOFILE, &saved);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  const int lowest_free = ::dup(client.get());
  ::close(lowest_free);
  rlimit none = saved;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(harness.address.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  EXPECT_EQ(how_it_ended(client), ECONNRESET);
  const uint64_t turns = harness.worker->stats().turns;
  EXPECT_GE(harness.worker->stats().accept_errors, 1u);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &saved), 0);
  EXPECT_LT(turns, 100u) << "no spinning on a listener that cannot be served";
  EXPECT_TRUE(eventually([&] {  // the worker may still be at refusing
    UniqueFd later = harness.connect();
    return read_exactly(later, 5) == "hello";
  }));
}

TEST(WorkerLimits, PostsAreBounded) {
  struct : Harness {
    using Harness::Harness;
  } harness(Script([](const flow::Event*, const Now&, flow::Actions&) {}));
  // A worker that nobody runs takes nothing out of its queue.
  auto idle = std::move(*Worker::make(harness));
  for (size_t i = 0; i < limits::kPostedEventsMax; ++i) ASSERT_TRUE(idle->post(1, flow::Answered{}));
  EXPECT_FALSE(idle->post(1, flow::Answered{}));
  EXPECT_EQ(idle->stats().posts_dropped, 1u);
}

}  // namespace
}  // namespace sallyport::net
