// SPDX-License-Identifier: Apache-2.0
// Whatever fails, an agent is refused and never let go: dead daemon, squatted port, direct dial, full quota,
// half an enrolment. And a new daemon takes over.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "fixture.h"
#include "sallyport/abi/kernel.h"
#include "sallyport/base/limits.h"

namespace sallyport::kernel::test {
namespace {

namespace fs = std::filesystem;

/// A reset connection, whether the reset overtook connect() or not.
bool was_reset(const std::string& dialled) { return dialled == "recv: ECONNRESET" || dialled == "connect: ECONNRESET"; }

class FailureTest : public KernelTest {
 protected:
  /// A daemon in a process of its own: opens the same pins, enrols, listens, and waits to be killed.
  pid_t start_daemon(const Cgroup& cgroup, uint16_t& port) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
      alarm(60);
      auto kernel = Kernel::open({.pin_dir = pin_dir_, .cgroup_root = ""});
      auto listener = kernel ? (*kernel)->listen(-1) : Result<Listener>(fail("no kernel"));
      if (!listener) _exit(1);
      if (!(*kernel)->enrol(cgroup.fd(), {.listener = listener->info})) _exit(2);
      if (write(ready[1], &listener->info.port, sizeof(port)) != sizeof(port)) _exit(3);
      for (;;) pause();
    }
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    close(ready[0]);
    return pid;
  }

  void kill_daemon(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
};

TEST_F(FailureTest, AKilledDaemonMeansRefusedAndANewOneTakesOver) {
  Cgroup cgroup(cgroup_path("agent"));
  kernel_.reset();
  uint16_t port = 0;
  pid_t daemon = start_daemon(cgroup, port);
  EXPECT_EQ(as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }), "EPERM");
  kill_daemon(daemon);

  for (const char* host : {"198.51.100.1", "2001:db8::1", "::ffff:198.51.100.1"})
    EXPECT_EQ(as_agent(cgroup, -1, [&] { return dial(host, 80); }), "connect: ECONNREFUSED");
  EXPECT_EQ(as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }), "EPERM");

  kernel_ = open_kernel();
  ASSERT_NE(kernel_, nullptr);
  auto known = kernel_->enrolments();
  ASSERT_TRUE(known);
  ASSERT_EQ(known->size(), 1u);
  EXPECT_EQ((*known)[0].cgroup_id, cgroup.id());
  EXPECT_EQ((*known)[0].options.listener.port, port);
  EXPECT_EQ(to_string((*known)[0].options.level), "guarded");
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "connect: ECONNREFUSED");
  EXPECT_GE(counter("refused_no_listener"), 4u);

  auto acceptor = enrol(cgroup, -1);
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "hello");
  ASSERT_EQ(acceptor->flows(1).size(), 1u);
  EXPECT_EQ(acceptor->flows(1)[0].workload, (*known)[0].workload);
}

// The listener of a daemon that lives on while a new one swaps the programs keeps working, and can be adopted.
TEST_F(FailureTest, ASecondOpenSwapsProgramsUnderALiveListener) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  auto second = open_kernel();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->enrolments().value().size(), 1u);
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "hello");
  auto listener = second->listen(-1);
  ASSERT_TRUE(listener);
  auto adopted = second->adopt(listener->v4.get(), listener->v6.get());
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->port, listener->info.port);
  EXPECT_EQ(adopted->netns_cookie, listener->info.netns_cookie);
}

TEST_F(FailureTest, ASquatterOnTheDeadDaemonsPortGetsNothing) {
  Cgroup cgroup(cgroup_path("agent"));
  uint16_t port = 0;
  { port = enrol(cgroup, -1)->info().port; }
  for (const char* host : {"127.0.0.1", "0.0.0.0", "::"}) {
    UniqueFd squatter = server(host, port);
    EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "connect: ECONNREFUSED") << host;
    pollfd waiting{squatter.get(), POLLIN, 0};
    EXPECT_EQ(poll(&waiting, 1, 100), 0) << host;
  }
  EXPECT_EQ(counter("refused_unmarked"), 3u);
}

TEST_F(FailureTest, ADirectDialOfTheListenerHasNoEntry) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  uint16_t port = acceptor->info().port;
  EXPECT_PRED1(was_reset, as_stranger([&] { return dial("127.0.0.1", port); }));
  EXPECT_PRED1(was_reset, as_stranger([&] { return dial("::1", port); }));
  auto misses = acceptor->misses(2);
  ASSERT_EQ(misses.size(), 2u);
  EXPECT_NE(misses[0].find("no flow entry for 127.0.0.1:"), std::string::npos) << misses[0];
  for (const char* host : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "127.9.9.9"})
    EXPECT_EQ(as_agent(cgroup, -1, [&] { return dial(host, port); }), "connect: ECONNREFUSED") << host;
  EXPECT_EQ(counter("refused_listener_dial"), 5u);
  EXPECT_EQ(acceptor->flows(0).size(), 0u);
}

TEST_F(FailureTest, TheQuotaIsTheLimitUnlessTold) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  auto known = kernel_->enrolments();
  ASSERT_TRUE(known);
  EXPECT_EQ((*known)[0].options.flow_quota, limits::kKernelFlowQuota);
}

// With nobody accepting, connects pile up as far as the quota; closing them gives it back.
TEST_F(FailureTest, FlowQuotaBoundsWhatIsInFlight) {
  constexpr uint32_t kQuota = 20;
  Cgroup cgroup(cgroup_path("agent"));
  auto listener = kernel_->listen(-1);
  ASSERT_TRUE(listener);
  ASSERT_TRUE(kernel_->enrol(cgroup.fd(), {.listener = listener->info, .flow_quota = kQuota}));
  auto fill = [] {
    std::vector<UniqueFd> open;
    auto to = address("198.51.100.1", 80);
    for (int i = 0; i < 100; ++i) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
      if (connect(fd.get(), to.raw(), to.size) != 0) return fmt::format("{} then {}", open.size(), outcome(-1));
      open.push_back(std::move(fd));
      linger reset{.l_onoff = 1, .l_linger = 0};
      setsockopt(open.back().get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    return std::string("no limit");
  };
  EXPECT_EQ(as_agent(cgroup, -1, fill), "20 then ECONNREFUSED");
  EXPECT_EQ(as_agent(cgroup, -1, fill), "20 then ECONNREFUSED");
  EXPECT_EQ(counter("refused_quota"), 2u);
  EXPECT_EQ(counter("flow_closed_untaken"), 40u);
  // What is accepted no longer counts.
  Acceptor acceptor(*kernel_, std::move(*listener));
  for (int i = 0; i < 30; ++i) EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "hello");
}

// Killed between attaching and telling: the zero value refuses everything, and enrolling again mends it.
TEST_F(FailureTest, AWorkloadThatIsNotToldYetIsRefusedEverything) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  UniqueFd workloads(bpf_obj_get((pin_dir_ + "/v2/maps/sp_workloads").c_str()));
  uint64_t id = cgroup.id();
  sp_workload zero{}, told{};
  ASSERT_EQ(bpf_map_lookup_elem(workloads.get(), &id, &told), 0);
  ASSERT_EQ(bpf_map_update_elem(workloads.get(), &id, &zero, BPF_EXIST), 0);
  std::string said = as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_STREAM, 0)); });
  EXPECT_EQ(said, "EPROTONOSUPPORT");
  EXPECT_EQ(counter("refused_not_ready"), 1u);
  // A socket that exists already may neither connect, bind nor send.
  UniqueFd tcp, udp;
  said = as_agent(cgroup, -1, [&] {
    if (bpf_map_update_elem(workloads.get(), &id, &told, BPF_EXIST) != 0) return std::string("no update");
    tcp.reset(socket(AF_INET, SOCK_STREAM, 0));
    udp.reset(socket(AF_INET, SOCK_DGRAM, 0));
    if (bpf_map_update_elem(workloads.get(), &id, &zero, BPF_EXIST) != 0) return std::string("no update");
    auto to = address("198.51.100.1", 80);
    auto at = address("127.0.0.1", 0);
    std::string connected = outcome(connect(tcp.get(), to.raw(), to.size));
    std::string bound = outcome(bind(tcp.get(), at.raw(), at.size));
    std::string sent = outcome(sendto(udp.get(), "x", 1, 0, to.raw(), to.size));
    return fmt::format("{} {} {}", connected, bound, sent);
  });
  EXPECT_EQ(said, "ECONNREFUSED EADDRINUSE EPERM");
  ASSERT_TRUE(kernel_->enrol(cgroup.fd(), {.listener = acceptor->info()}));
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "hello");
}

// Killed while attaching: what is missing is attached by the next enrolment.
TEST_F(FailureTest, HalfAnEnrolmentIsCompleted) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  fs::path pins = fs::path(pin_dir_) / "v2" / "cgroups" / std::to_string(cgroup.id());
  size_t whole = std::distance(fs::directory_iterator(pins), fs::directory_iterator());
  EXPECT_EQ(whole, 11u);
  for (const char* name : {"sp_getpeername4", "sp_flow_track"}) {
    bpf_link* link = bpf_link__open((pins / name).c_str());
    ASSERT_EQ(bpf_link__detach(link), 0);
    bpf_link__destroy(link);
    fs::remove(pins / name);
  }
  // Without sp_flow_track no entry is written, and the daemon resets.
  EXPECT_PRED1(was_reset, as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }));
  auto again = enrol(cgroup, -1);
  EXPECT_EQ(std::distance(fs::directory_iterator(pins), fs::directory_iterator()), static_cast<ptrdiff_t>(whole));
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("198.51.100.1", 80); }), "hello");
}

TEST_F(FailureTest, EnrolAgainChangesOptionsOnly) {
  Cgroup cgroup(cgroup_path("agent"));
  auto listener = kernel_->listen(-1);
  auto first = kernel_->enrol(cgroup.fd(), {.listener = listener->info, .level = Level::observe});
  ASSERT_TRUE(first);
  EXPECT_EQ(as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }), "ok");
  auto second = kernel_->enrol(cgroup.fd(), {.listener = listener->info, .level = Level::guarded});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->workload, first->workload);
  EXPECT_EQ(as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }), "EPERM");
  EXPECT_FALSE(kernel_->enrol(cgroup.fd(), {}));
}

TEST_F(FailureTest, WithdrawAndAGoneCgroupLeaveNothing) {
  fs::path cgroups = fs::path(pin_dir_) / "v2" / "cgroups";
  uint64_t id = 0;
  {
    Cgroup cgroup(cgroup_path("agent"));
    id = cgroup.id();
    auto acceptor = enrol(cgroup, -1);
    ASSERT_TRUE(kernel_->withdraw(id));
    EXPECT_TRUE(fs::is_empty(cgroups));
    EXPECT_EQ(as_agent(cgroup, -1, [] { return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }), "ok");
    ASSERT_TRUE(kernel_->withdraw(id));
    auto again = enrol(cgroup, -1);
  }
  EXPECT_FALSE(fs::is_empty(cgroups));
  auto second = open_kernel();  // a daemon that starts after the cgroup went
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->enrolments().value().empty());
  EXPECT_TRUE(fs::is_empty(cgroups));
  EXPECT_TRUE(kernel_->enrolments().value().empty());
}

TEST_F(FailureTest, PinsOfAnotherVersionAreNotTouched) {
  fs::path other = fs::path(pin_dir_) / "v0";
  ASSERT_EQ(mkdir(other.c_str(), 0700), 0);
  auto refused = Kernel::open({.pin_dir = pin_dir_, .cgroup_root = ""});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("another version"), std::string::npos);
  auto elsewhere = Kernel::open({.pin_dir = "/tmp/sallyport-pins", .cgroup_root = ""});
  ASSERT_FALSE(elsewhere);
  EXPECT_NE(elsewhere.error().what.find("not on a bpf file system"), std::string::npos);
}

TEST_F(FailureTest, ANamespaceWithoutLoopbackCannotListen) {
  UniqueFd netns;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) netns.reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  auto listener = kernel_->listen(netns.get());
  ASSERT_FALSE(listener);
  EXPECT_NE(listener.error().hint.find("ip link set lo up"), std::string::npos) << listener.error().what;
  UniqueFd not_a_namespace(open("/dev/null", O_RDONLY));
  EXPECT_FALSE(kernel_->listen(not_a_namespace.get()));
}

}  // namespace
}  // namespace sallyport::kernel::test
