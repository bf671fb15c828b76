// SPDX-License-Identifier: Apache-2.0
// Events and actions one by one, over real loopback sockets: relay, half-close, dial, timers, posts, endings.
#include "sallyport/net/worker.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sallyport/base/clock.h"
#include "tests/net/harness.h"

namespace sallyport::net {
namespace {

using flow::kAgentLeg;
using flow::kUpstreamLeg;

/// What a flow saw, readable by the test.
class Log {
 public:
  void add(std::string line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  bool has(const std::string& part) {
    std::lock_guard lock(mutex_);
    for (const std::string& line : lines_)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }
  bool gets(const std::string& part) {
    return eventually([&] { return has(part); });
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return lines_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST(Worker, RelaysBothWaysAndHalfCloses) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(pass_through(where));
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);

  write_all(agent, "select 1;");
  EXPECT_EQ(read_exactly(upstream, 9), "select 1;");
  ::shutdown(agent.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(upstream), "") << "the agent's FIN went on";
  write_all(upstream, "one row");
  EXPECT_EQ(read_exactly(agent, 7), "one row") << "the other half still works";
  ::shutdown(upstream.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(agent), "");
  EXPECT_TRUE(harness.no_flows());
  const Stats stats = harness.worker->stats();
  EXPECT_EQ(stats.bytes_from_agents, 9u);
  EXPECT_EQ(stats.bytes_to_targets, 9u);
  EXPECT_EQ(stats.bytes_from_targets, 7u);
  EXPECT_EQ(stats.bytes_to_agents, 7u);
}

TEST(Worker, HalfClosesTheOtherWayToo) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(pass_through(where));
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  ::shutdown(upstream.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(agent), "");
  write_all(agent, "still talking");
  EXPECT_EQ(read_exactly(upstream, 13), "still talking");
  agent.reset();
  EXPECT_EQ(read_to_end(upstream), "");
  EXPECT_TRUE(harness.no_flows());
}

TEST(Worker, SendsBeforeTheDialEndsAreKept) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event != nullptr) return;
    actions.add(flow::Dial{kUpstreamLeg, where});
    actions.send(kUpstreamLeg) = "early";
    actions.add(flow::Shut{kUpstreamLeg});
  });
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  EXPECT_EQ(read_to_end(upstream), "early");
}

TEST(Worker, BothSocketsHaveNoDelayAndKeepalive) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  int accepted_copy = -1;
  struct Spy : Harness {
    using Harness::Harness;
    int* copy = nullptr;
    int dialled_copy = -1;
    Result<Accepted> identify(int token, int fd, const model::Endpoint& peer) override {
      *copy = ::dup(fd);
      return Harness::identify(token, fd, peer);
    }
    Result<UniqueFd> upstream_socket(const flow::Origin& origin, int netns_fd, int family) override {
      auto fd = Harness::upstream_socket(origin, netns_fd, family);
      dialled_copy = ::dup(fd->get());
      return fd;
    }
  };
  Spy harness(pass_through(where));
  harness.copy = &accepted_copy;
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  write_all(agent, "x");
  read_exactly(upstream, 1);
  harness.stop();
  for (const int fd : {accepted_copy, harness.dialled_copy}) {
    int value = 0;
    socklen_t size = sizeof value;
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size);
    EXPECT_EQ(value, 1);
    getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
    EXPECT_EQ(value, 1);
    char congestion[16] = {};
    size = sizeof congestion;
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &size);
    EXPECT_STREQ(congestion, "reno") << "both ends are on this host";
    ::close(fd);
  }
}

TEST(Worker, ARefusedDialIsToldWithItsReason) {
  model::Endpoint nobody;
  listen_on_loopback(&nobody).reset();
  Log log;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, nobody});
    if (const auto* failed = as<flow::Failed>(event)) {
      log.add(failed->reason);
      actions.send(kAgentLeg) = "cannot reach it";
      actions.add(flow::Finish{});
    }
  });
  UniqueFd agent = harness.connect();
  EXPECT_EQ(read_to_end(agent), "cannot reach it");
  EXPECT_TRUE(log.has("dial " + nobody.to_string() + ": connection refused"));
  EXPECT_TRUE(harness.no_flows());
  EXPECT_EQ(harness.worker->stats().dial_failures, 1u);
}

TEST(Worker, ADialWithoutAnswerTimesOut) {
  // A listener with a backlog of one that nobody accepts from: further SYNs stay unanswered.
  model::Endpoint full;
  UniqueFd server = listen_on_loopback(&full, 0);
  UniqueFd filler = connect_to(full);
  WorkerOptions options;
  options.dial_ms = 100;
  Log log;
  Harness harness(
      [&](model::FlowId) -> Script {
        return [&](const flow::Event* event, const Now&, flow::Actions& actions) {
          if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, full});
          if (const auto* failed = as<flow::Failed>(event)) {
            log.add(failed->reason);
            actions.add(flow::Finish{});
          }
        };
      },
      options);
  UniqueFd agent = harness.connect();
  EXPECT_TRUE(log.gets("no answer within 100 ms"));
  EXPECT_EQ(read_to_end(agent), "");
}

TEST(Worker, ADialThatCannotStartIsTold) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Log log;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) {
      actions.add(flow::Dial{kUpstreamLeg, where});
      actions.add(flow::Dial{kAgentLeg, where});
      actions.add(flow::Dial{200, where});
    }
    if (const auto* failed = as<flow::Failed>(event)) log.add(std::to_string(failed->leg) + " " + failed->reason);
  });
  harness.upstream_socket_fails = true;
  UniqueFd agent = harness.connect();
  EXPECT_TRUE(log.gets("1 dial " + where.to_string() + ": no socket in the agent's network namespace"));
  EXPECT_TRUE(log.gets("open already"));
  EXPECT_TRUE(log.gets("too many legs"));
}

TEST(Worker, ALegMayBeDialledAgainAfterItFailed) {
  model::Endpoint nobody, where;
  listen_on_loopback(&nobody).reset();
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, nobody});
    if (as<flow::Failed>(event) != nullptr) actions.add(flow::Dial{kUpstreamLeg, where});
    if (as<flow::Dialled>(event) != nullptr) actions.send(kUpstreamLeg) = "here";
  });
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  EXPECT_EQ(read_exactly(upstream, 4), "here");
}

TEST(Worker, AbortResets) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (as<flow::Bytes>(event) == nullptr) return;
    actions.send(kAgentLeg) = "never seen";
    actions.add(flow::Abort{kAgentLeg});
  });
  UniqueFd agent = harness.connect();
  write_all(agent, "x");
  EXPECT_EQ(how_it_ended(agent), ECONNRESET);
  EXPECT_TRUE(harness.no_flows()) << "a flow without legs ends";
}

TEST(Worker, AResetIsToldAsFailed) {
  Log log;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (const auto* failed = as<flow::Failed>(event)) {
      log.add(failed->reason);
      actions.add(flow::Finish{});
    }
  });
  UniqueFd agent = harness.connect();
  ASSERT_TRUE(eventually([&] { return harness.worker->stats().accepted == 1; }));
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(agent.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  agent.reset();
  EXPECT_TRUE(log.gets("connection reset by peer"));
  EXPECT_TRUE(harness.no_flows());
}

TEST(Worker, TheServersLastWordsAreReadThoughItCannotBeWrittenToAnyMore) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Log log;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) {
      actions.add(flow::Dial{kUpstreamLeg, where});
      actions.add(flow::Read{kUpstreamLeg, false});
    }
    if (const auto* bytes = as<flow::Bytes>(event)) {
      log.add(std::string(bytes->bytes));
      // The server is gone by now: the first write is answered with RST, the second fails.
      if (bytes->leg == kAgentLeg) actions.send(kUpstreamLeg) = "into the void";
    }
    if (as<flow::Changed>(event) != nullptr) actions.add(flow::Read{kUpstreamLeg, true});
    if (const auto* failed = as<flow::Failed>(event)) log.add("failed " + failed->reason);
  });
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  write_all(upstream, "FATAL: going down");
  upstream.reset();
  write_all(agent, "one");
  ASSERT_TRUE(log.gets("one"));
  harness.worker->post_all({});
  EXPECT_TRUE(log.gets("FATAL: going down"));
}

TEST(Worker, ReadOffStopsReadingUntilOn) {
  Log log;
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Read{kAgentLeg, false});
    if (const auto* bytes = as<flow::Bytes>(event)) log.add(std::string(bytes->bytes));
    if (as<flow::Changed>(event) != nullptr) actions.add(flow::Read{kAgentLeg, true});
  });
  UniqueFd agent = harness.connect();
  write_all(agent, "held back");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(log.has("held back"));
  harness.worker->post_all({});
  EXPECT_TRUE(log.gets("held back"));
}

TEST(Worker, WakesAtTheEarliestWishAndNeverEarly) {
  std::atomic<int64_t> wanted = 0, came = 0;
  std::atomic<int> ticks = 0;
  Harness harness([&](const flow::Event* event, const Now& now, flow::Actions& actions) {
    if (event == nullptr) {
      wanted = now.monotonic_ns + 30 * kNanosPerMilli;
      actions.add(flow::Wake{now.monotonic_ns + 10'000 * kNanosPerMilli});
      actions.add(flow::Wake{wanted});
      actions.add(flow::Wake{now.monotonic_ns + 20'000 * kNanosPerMilli});
      actions.add(flow::Wake{now.monotonic_ns + 60 * kNanosPerMilli});
    }
    if (as<flow::Tick>(event) != nullptr) {
      came = now.monotonic_ns;
      ++ticks;
    }
  });
  UniqueFd agent = harness.connect();
  ASSERT_TRUE(eventually([&] { return ticks > 0; }));
  EXPECT_GE(came, wanted);
  EXPECT_LT(came, wanted + 9'000 * kNanosPerMilli) << "not the wish that came first or last but one";
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_EQ(ticks, 1) << "one tick for all wishes";
}

TEST(Worker, PostsFromOtherThreadsReachTheirFlow) {
  Log log;
  Harness harness([&](model::FlowId id) -> Script {
    return [&log, id](const flow::Event* event, const Now&, flow::Actions& actions) {
      if (event == nullptr) actions.add(flow::Ask{});
      if (const auto* answered = as<flow::Answered>(event))
        log.add(std::to_string(id) + " answered by " + answered->by);
      if (as<flow::Changed>(event) != nullptr) log.add(std::to_string(id) + " changed");
    };
  });
  UniqueFd first = harness.connect(), second = harness.connect();
  ASSERT_TRUE(eventually([&] { return harness.asks == 2; }));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n) EXPECT_TRUE(harness.worker->post(2, flow::Answered{.by = "alice"}));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return log.size() == 400; }));
  EXPECT_FALSE(log.has("1 answered"));
  EXPECT_TRUE(harness.worker->post(99, flow::Answered{})) << "a flow that is gone: dropped, no error";
  harness.worker->post_all({});
  EXPECT_TRUE(log.gets("1 changed"));
  EXPECT_TRUE(log.gets("2 changed"));
}

TEST(Worker, TheLastMessageOutrunsUnreadInput) {
  // The agent has pipelined more than the flow ever read; a bare close would answer with RST, and the
  // kernel would then drop the refusal that the agent has not read yet.
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (as<flow::Bytes>(event) == nullptr) return;
    actions.add(flow::Read{kAgentLeg, false});
    actions.send(kAgentLeg) = "refused";
    actions.add(flow::Finish{});
  });
  UniqueFd agent = harness.connect();
  write_all(agent, std::string(300'000, 'x'));
  EXPECT_EQ(read_to_end(agent), "refused");
  agent.reset();
  EXPECT_TRUE(harness.no_flows());
}

TEST(Worker, StopLetsFlowsCloseTheirSessions) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (const auto* failed = as<flow::Failed>(event)) {
      actions.add(record_of("closed: " + failed->reason));
      actions.add(flow::Finish{});
    }
  });
  UniqueFd agent = harness.connect();
  ASSERT_TRUE(eventually([&] { return harness.worker->stats().accepted == 1; }));
  harness.stop();
  EXPECT_EQ(harness.records.accepted(), std::vector<std::string>{"closed: sallyport is stopping"});
  EXPECT_EQ(harness.finished_flows, 1);
  EXPECT_EQ(how_it_ended(agent), 0);
}

TEST(Worker, WhoIsNotIdentifiedIsReset) {
  Harness harness(Script([](const flow::Event*, const Now&, flow::Actions&) {}));
  harness.identify_fails = true;
  UniqueFd stranger = harness.connect();
  EXPECT_EQ(how_it_ended(stranger), ECONNRESET);
  EXPECT_EQ(harness.worker->stats().refused, 1u);
  EXPECT_EQ(harness.worker->stats().flows_open, 0u);
}

TEST(Worker, ARemovedListenerTakesNobodyButItsFlowsLiveOn) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (const auto* bytes = as<flow::Bytes>(event)) actions.send(kAgentLeg) = bytes->bytes;
  });
  UniqueFd agent = harness.connect();
  ASSERT_TRUE(eventually([&] { return harness.worker->stats().accepted == 1; }));
  harness.worker->remove_listener(Harness::kToken);
  EXPECT_TRUE(eventually([&] {
    UniqueFd late(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(harness.address.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(late.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno == ECONNREFUSED;
  }));
  write_all(agent, "echo");
  EXPECT_EQ(read_exactly(agent, 4), "echo");
}

}  // namespace
}  // namespace sallyport::net
