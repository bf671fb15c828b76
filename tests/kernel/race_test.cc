// SPDX-License-Identifier: Apache-2.0
// No accepted connection may lack its entry: many threads connect, with and without resets right behind.
#include <bpf/bpf.h>
#include <fmt/core.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "fixture.h"
#include "sallyport/abi/kernel.h"

namespace sallyport::kernel::test {
namespace {

constexpr int kThreads = 16;
constexpr int kConnectsPerThread = 500;

class RaceTest : public KernelTest {};

/// Connects, and waits for the daemon's end of it; returns how many failed.
int connect_many(const std::string& host, int count, bool abort) {
  int failures = 0;
  auto to = address(host, 80);
  linger reset{.l_onoff = 1, .l_linger = 0};
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(socket(to.family, SOCK_STREAM, 0));
    if (connect(fd.get(), to.raw(), to.size) != 0) ++failures;
    char byte;
    if (!abort) (void)!recv(fd.get(), &byte, 1, 0);
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  return failures;
}

std::string run_threads(bool abort) {
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back(
        [&, i] { failures += connect_many(i % 2 ? "198.51.100.1" : "2001:db8::1", kConnectsPerThread, abort); });
  for (auto& thread : threads) thread.join();
  return std::to_string(failures);
}

TEST_F(RaceTest, NoAcceptedConnectionLacksItsEntry) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  acceptor->only_count();
  EXPECT_EQ(as_agent(cgroup, -1, [] { return run_threads(false); }), "0");
  EXPECT_EQ(acceptor->taken(), static_cast<size_t>(kThreads * kConnectsPerThread));
  EXPECT_TRUE(acceptor->misses(0).empty());
  EXPECT_EQ(counter("flow_written"), static_cast<uint64_t>(kThreads * kConnectsPerThread));
  EXPECT_EQ(counter("flow_replaced"), 0u);
}

// A reset may overtake the accept: then the entry is gone with the socket, and that is told from a dial.
TEST_F(RaceTest, ResetsLeaveNoEntryBehind) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  acceptor->only_count();
  EXPECT_EQ(as_agent(cgroup, -1, [] { return run_threads(true); }), "0");
  uint64_t written = counter("flow_written");
  EXPECT_EQ(written, static_cast<uint64_t>(kThreads * kConnectsPerThread));
  auto accounted = [&] { return acceptor->taken() + counter("flow_closed_untaken") + counter("flow_replaced"); };
  for (int i = 0; i < 3'000 && accounted() != written; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(accounted(), written);
  UniqueFd in_flight(bpf_obj_get((pin_dir_ + "/v2/maps/sp_in_flight").c_str()));
  UniqueFd flows(bpf_obj_get((pin_dir_ + "/v2/maps/sp_flows").c_str()));
  uint32_t workload = kernel_->enrolments().value().at(0).workload;
  sp_in_flight left{.count = -1};
  ASSERT_EQ(bpf_map_lookup_elem(in_flight.get(), &workload, &left), 0);
  EXPECT_EQ(left.count, 0);
  sp_flow_key key;
  EXPECT_EQ(bpf_map_get_next_key(flows.get(), nullptr, &key), -ENOENT);
  for (const auto& counter : kernel_->counters()) {
    EXPECT_TRUE(!counter.name.starts_with("failed_") || counter.value == 0) << counter.name;
  }
}

}  // namespace
}  // namespace sallyport::kernel::test
