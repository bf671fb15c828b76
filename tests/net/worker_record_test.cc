// SPDX-License-Identifier: Apache-2.0
// INVARIANT 2: nothing of a turn leaves before its records are accepted; if they are not, the flow can
// still tell its agent, and nothing goes upstream.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/net/harness.h"

namespace sallyport::net {
namespace {

using flow::kAgentLeg;
using flow::kUpstreamLeg;

/// Records every message of the agent, then relays it; answers RecordFailed with words of its own.
Script recording_relay(const model::Endpoint& upstream) {
  return [upstream](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, upstream});
    if (const auto* bytes = as<flow::Bytes>(event)) {
      if (bytes->leg == kAgentLeg) {
        // The send stands first in the list: order does not matter, the flush does.
        actions.send(kUpstreamLeg).append(bytes->bytes);
        actions.add(record_of(std::string(bytes->bytes)));
      } else {
        actions.send(kAgentLeg).append(bytes->bytes);
      }
    }
    if (const auto* failed = as<flow::RecordFailed>(event)) {
      actions.send(kAgentLeg) = "not recorded: " + failed->reason;
      actions.send(kUpstreamLeg) = "must never arrive";
      actions.add(record_of("closing"));
      actions.add(flow::Finish{});
    }
  };
}

TEST(WorkerRecord, AcceptedThenRelayed) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(recording_relay(where));
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  write_all(agent, "select 1");
  EXPECT_EQ(read_exactly(upstream, 8), "select 1");
  EXPECT_EQ(harness.records.accepted(), std::vector<std::string>{"select 1"});
  const int flushes = harness.records.flushes;
  write_all(upstream, "row");
  EXPECT_EQ(read_exactly(agent, 3), "row");
  EXPECT_EQ(harness.records.flushes, flushes) << "a turn without records needs no flush";
}

void expect_blocked(Harness& harness, const UniqueFd& server) {
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  write_all(agent, "select 1");
  EXPECT_EQ(read_to_end(agent), "not recorded: record: no space left on device");
  agent.reset();
  EXPECT_EQ(read_to_end(upstream), "") << "neither the statement nor what came after";
  EXPECT_TRUE(harness.no_flows());
  EXPECT_EQ(harness.worker->stats().record_failures, 1u);
}

TEST(WorkerRecord, AFailedFlushBlocksTheSends) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(recording_relay(where));
  harness.records.flush_fails = true;
  expect_blocked(harness, server);
}

TEST(WorkerRecord, AFailedAppendBlocksTheSends) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness(recording_relay(where));
  harness.records.append_fails = true;
  expect_blocked(harness, server);
}

TEST(WorkerRecord, AFlowThatStaysRecoversWithTheRecorder) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, where});
    if (const auto* bytes = as<flow::Bytes>(event)) {
      actions.add(record_of(std::string(bytes->bytes)));
      actions.send(kUpstreamLeg).append(bytes->bytes);
    }
    if (as<flow::RecordFailed>(event) != nullptr) actions.send(kAgentLeg) = "again";
  });
  harness.records.flush_fails = true;
  UniqueFd agent = harness.connect();
  UniqueFd upstream = accept_one(server);
  write_all(agent, "one");
  EXPECT_EQ(read_exactly(agent, 5), "again");
  harness.records.flush_fails = false;
  write_all(agent, "two");
  EXPECT_EQ(read_exactly(upstream, 3), "two") << "\"one\" is gone for good";
}

TEST(WorkerRecord, NoDialWhenTheDecisionToDialIsNotRecorded) {
  model::Endpoint where;
  UniqueFd server = listen_on_loopback(&where);
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) {
      actions.add(record_of("connect"));
      actions.add(flow::Dial{kUpstreamLeg, where});
      actions.add(flow::Ask{});
    }
    if (as<flow::RecordFailed>(event) != nullptr) {
      actions.add(flow::Dial{kUpstreamLeg, where});
      actions.send(kAgentLeg) = "no";
      actions.add(flow::Finish{});
    }
  });
  harness.records.flush_fails = true;
  UniqueFd agent = harness.connect();
  EXPECT_EQ(read_to_end(agent), "no");
  EXPECT_EQ(how_it_ended(server, 50), EAGAIN) << "nobody knocked";
  EXPECT_EQ(harness.asks, 0);
}

TEST(WorkerRecord, FinishInTheFailedTurnStillFinishesAfterTheFlowSpoke) {
  Harness harness([&](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (as<flow::Bytes>(event) != nullptr) {
      actions.send(kAgentLeg) = "goodbye, recorded";
      actions.add(record_of("closed"));
      actions.add(flow::Finish{});
    }
    if (as<flow::RecordFailed>(event) != nullptr) actions.send(kAgentLeg) = "goodbye";
  });
  harness.records.flush_fails = true;
  UniqueFd agent = harness.connect();
  write_all(agent, "x");
  EXPECT_EQ(read_to_end(agent), "goodbye");
  agent.reset();
  EXPECT_TRUE(harness.no_flows());
}

TEST(WorkerRecord, AFlowWithoutRecordsIsNotTouchedByAFailedFlush) {
  Harness harness([&](model::FlowId id) -> Script {
    return [id](const flow::Event* event, const Now&, flow::Actions& actions) {
      if (as<flow::Bytes>(event) != nullptr && id == 1) actions.add(record_of("x"));
      if (as<flow::Bytes>(event) != nullptr) actions.send(kAgentLeg) = "ok";
      if (as<flow::RecordFailed>(event) != nullptr) actions.add(flow::Finish{});
    };
  });
  harness.records.flush_fails = true;
  UniqueFd first = harness.connect(), second = harness.connect();
  write_all(first, "a");
  write_all(second, "b");
  EXPECT_EQ(read_exactly(second, 2), "ok");
  EXPECT_EQ(read_to_end(first), "");
  EXPECT_EQ(harness.worker->stats().record_failures, 1u);
}

}  // namespace
}  // namespace sallyport::net
