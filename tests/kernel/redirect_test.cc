// SPDX-License-Identifier: Apache-2.0
// Every way to open a TCP connection reaches the listener with its original destination known: each row
// connects from a real cgroup and reads the daemon's "hello".
#include <fcntl.h>
#include <fmt/core.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <fstream>
#include <sstream>

#include "fixture.h"

namespace sallyport::kernel::test {
namespace {

int finish(int fd) {
  pollfd waiting{fd, POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof(error);
  if (poll(&waiting, 1, 2000) != 1) error = ETIMEDOUT;
  if (error == 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0 ? 0 : -1;
}

int blocking(int fd, const Address& to) { return connect(fd, to.raw(), to.size); }

int non_blocking(int fd, const Address& to) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  int result = connect(fd, to.raw(), to.size);
  if (result != 0 && errno == EINPROGRESS) result = finish(fd);
  fcntl(fd, F_SETFL, 0);
  return result;
}

int through_ring(int fd, const Address& to, unsigned setup, unsigned flags) {
  io_uring ring;
  if (int error = io_uring_queue_init(4, &ring, setup); error < 0) {
    errno = -error;
    return -1;
  }
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_connect(sqe, fd, to.raw(), to.size);
  io_uring_sqe_set_flags(sqe, flags);
  io_uring_submit(&ring);
  io_uring_cqe* cqe = nullptr;
  io_uring_wait_cqe(&ring, &cqe);
  int result = cqe->res;
  io_uring_queue_exit(&ring);
  errno = -result;
  return result < 0 ? -1 : 0;
}

int ring(int fd, const Address& to) { return through_ring(fd, to, 0, 0); }
int ring_async(int fd, const Address& to) { return through_ring(fd, to, 0, IOSQE_ASYNC); }
int ring_polled(int fd, const Address& to) { return through_ring(fd, to, IORING_SETUP_SQPOLL, 0); }

int fast_open(int fd, const Address& to) {
  return sendto(fd, "early", 5, MSG_FASTOPEN, to.raw(), to.size) == 5 ? 0 : -1;
}

/// connect(AF_UNSPEC) ends a connection; the next one must not keep the first one's origin.
int reconnect(int fd, const Address& to) {
  auto first = address(to.family == AF_INET ? "198.51.100.99" : "2001:db8::99", 99);
  if (connect(fd, first.raw(), first.size) != 0) return -1;
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(fd, &nowhere, sizeof(nowhere)) != 0) return -1;
  return connect(fd, to.raw(), to.size);
}

struct Way {
  const char* name;
  int (*connect)(int fd, const Address& to);
};
constexpr Way kWays[] = {{"blocking", blocking},         {"non_blocking", non_blocking},   {"io_uring", ring},
                         {"io_uring_async", ring_async}, {"io_uring_polled", ring_polled}, {"fast_open", fast_open},
                         {"reconnect", reconnect}};

struct Host {
  const char* name;
  const char* ask;    ///< what the agent puts into its socket address
  const char* shown;  ///< how getpeername and the record show it
};
constexpr Host kHosts[] = {{"ipv4", "198.51.100.10", "198.51.100.10:5432"},
                           {"ipv6", "2001:db8::10", "[2001:db8::10]:5432"},
                           {"v4_mapped", "::ffff:198.51.100.10", "198.51.100.10:5432"}};

struct Row {
  Way way;
  Host host;
  bool own_netns;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (bool own_netns : {false, true})
    for (const auto& host : kHosts)
      for (const auto& way : kWays) all.push_back({way, host, own_netns});
  return all;
}

class Redirect : public KernelTest, public ::testing::WithParamInterface<Row> {};

TEST_P(Redirect, ReachesTheListener) {
  const Row& row = GetParam();
  Cgroup cgroup(cgroup_path("agent"));
  std::optional<Netns> netns;
  if (row.own_netns) netns.emplace();
  int netns_fd = netns ? netns->fd() : -1;
  auto acceptor = enrol(cgroup, netns_fd, {.divert_loopback = !row.own_netns});

  std::string said = as_agent(cgroup, netns_fd, [&] {
    auto to = address(row.host.ask, 5432);
    UniqueFd fd(socket(to.family, SOCK_STREAM, 0));
    if (row.way.connect(fd.get(), to) != 0) return fmt::format("connect: {}", outcome(-1));
    char buffer[16] = {};
    if (recv(fd.get(), buffer, 5, MSG_WAITALL) < 0) return fmt::format("recv: {}", outcome(-1));
    return fmt::format("{} from {}", buffer, name_of(fd.get(), getpeername));
  });

  EXPECT_EQ(said, fmt::format("hello from {}", row.host.shown));
  auto flows = acceptor->flows(1);
  ASSERT_FALSE(flows.empty());
  EXPECT_EQ(flows.back().destination.to_string(), row.host.shown);
  EXPECT_EQ(flows.back().cgroup_id, cgroup.id());
  ASSERT_TRUE(kernel_->withdraw(cgroup.id()));
}

INSTANTIATE_TEST_SUITE_P(Rows, Redirect, ::testing::ValuesIn(rows()), [](const auto& info) {
  return fmt::format("{}_{}_{}", info.param.host.name, info.param.way.name, info.param.own_netns ? "own" : "host");
});

class RedirectMore : public KernelTest {};

uint64_t start_ticks(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream rest(text.substr(text.rfind(')') + 2));
  std::string word;
  for (int field = 3; field <= 22; ++field) rest >> word;
  return std::stoull(word);
}

// The entry names the process that called connect(), though a thread did.
TEST_F(RedirectMore, NamesTheProcess) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  std::string said = as_agent(cgroup, -1, [] {
    if (setgid(65533) != 0 || setuid(65534) != 0) return std::string("setuid failed");
    std::string heard;
    std::thread caller([&] { heard = dial("198.51.100.1", 80); });
    caller.join();
    return fmt::format("{} {} {}", heard, getpid(), start_ticks(getpid()));
  });
  auto flows = acceptor->flows(1);
  ASSERT_EQ(flows.size(), 1u) << said;
  EXPECT_EQ(flows[0].uid, 65534u);
  EXPECT_EQ(flows[0].gid, 65533u);
  EXPECT_EQ(said, fmt::format("hello {} {}", flows[0].pid, flows[0].start_ns / 10'000'000));
  EXPECT_NE(flows[0].socket_cookie, 0u);
}

TEST_F(RedirectMore, NestedCgroupsAreTheEnrolledOne) {
  Cgroup outer(cgroup_path("agent"));
  Cgroup inner(outer.path() + "/inner");
  Cgroup innermost(inner.path() + "/innermost");
  auto acceptor = enrol(outer, -1);
  EXPECT_EQ(as_agent(innermost, -1, [] { return dial("198.51.100.1", 80); }), "hello");
  auto flows = acceptor->flows(1);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].cgroup_id, outer.id());
}

TEST_F(RedirectMore, EnrolInsideOrAroundAnEnrolledCgroupIsRefused) {
  Cgroup outer(cgroup_path("outer"));
  Cgroup middle(outer.path() + "/middle");
  Cgroup inner(middle.path() + "/inner");
  auto acceptor = enrol(middle, -1);
  EnrolOptions options{.listener = acceptor->info()};
  EXPECT_FALSE(kernel_->enrol(outer.fd(), options));
  EXPECT_FALSE(kernel_->enrol(inner.fd(), options));
  UniqueFd root(open(kernel_->cgroup_root().c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_FALSE(kernel_->enrol(root.get(), options));
  UniqueFd none(open("/tmp", O_RDONLY | O_DIRECTORY));
  EXPECT_FALSE(kernel_->enrol(none.get(), options));
  EXPECT_EQ(kernel_->enrolments().value().size(), 1u);
}

// Two agents in one network namespace, each with a listener of its own.
TEST_F(RedirectMore, EachCgroupHasItsOwnListener) {
  Cgroup one(cgroup_path("one"));
  Cgroup two(cgroup_path("two"));
  auto first = enrol(one, -1);
  auto second = enrol(two, -1);
  EXPECT_EQ(as_agent(two, -1, [] { return dial("198.51.100.2", 80); }), "hello");
  EXPECT_EQ(as_agent(one, -1, [] { return dial("198.51.100.1", 80); }), "hello");
  ASSERT_EQ(first->flows(1).size(), 1u);
  ASSERT_EQ(second->flows(1).size(), 1u);
  EXPECT_EQ(first->flows(1)[0].cgroup_id, one.id());
  EXPECT_EQ(second->flows(1)[0].cgroup_id, two.id());
  EXPECT_NE(first->flows(1)[0].workload, second->flows(1)[0].workload);
}

// A plain server on 127.0.0.1 is reached in a namespace of one's own, and diverted on the host's.
TEST_F(RedirectMore, LoopbackIsLocalOrDivertedAsTold) {
  for (bool divert : {false, true}) {
    Cgroup cgroup(cgroup_path("agent"));
    auto acceptor = enrol(cgroup, -1, {.divert_loopback = divert});
    UniqueFd server(socket(AF_INET, SOCK_STREAM, 0));
    auto at = address("127.0.0.1", 0);
    ASSERT_EQ(bind(server.get(), at.raw(), at.size), 0);
    ASSERT_EQ(listen(server.get(), 4), 0);
    sockaddr_in bound{};
    socklen_t size = sizeof(bound);
    getsockname(server.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    uint16_t port = ntohs(bound.sin_port);
    std::thread greeter([&] {
      pollfd waiting{server.get(), POLLIN, 0};
      if (poll(&waiting, 1, divert ? 300 : 3000) != 1) return;
      UniqueFd peer(accept(server.get(), nullptr, nullptr));
      (void)!send(peer.get(), "local", 5, 0);
    });
    EXPECT_EQ(as_agent(cgroup, -1, [&] { return dial("127.0.0.1", port); }), divert ? "hello" : "local");
    greeter.join();
    if (divert) {
      ASSERT_EQ(acceptor->flows(1).size(), 1u);
      EXPECT_EQ(acceptor->flows(1)[0].destination.to_string(), fmt::format("127.0.0.1:{}", port));
    } else {
      EXPECT_GE(counter("connect_local"), 1u);
    }
    ASSERT_TRUE(kernel_->withdraw(cgroup.id()));
  }
}

// A socket bound to a device or an address still reaches the listener.
TEST_F(RedirectMore, BoundSocketsAreDivertedToo) {
  Cgroup cgroup(cgroup_path("agent"));
  Netns netns;
  auto acceptor = enrol(cgroup, netns.fd());
  EXPECT_EQ(as_agent(cgroup, netns.fd(),
                     [] {
                       UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
                       if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "v0", 3) != 0) return outcome(-1);
                       auto to = address("198.51.100.7", 80);
                       return outcome(connect(fd.get(), to.raw(), to.size));
                     }),
            "ok");
  EXPECT_EQ(as_agent(cgroup, netns.fd(),
                     [] {
                       UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
                       auto from = address("10.77.0.2", 0);
                       if (bind(fd.get(), from.raw(), from.size) != 0) return outcome(-1);
                       auto to = address("198.51.100.8", 80);
                       return outcome(connect(fd.get(), to.raw(), to.size));
                     }),
            "ok");
  auto flows = acceptor->flows(2);
  ASSERT_EQ(flows.size(), 2u);
  EXPECT_EQ(flows[0].destination.to_string(), "198.51.100.7:80");
  EXPECT_EQ(flows[1].destination.to_string(), "198.51.100.8:80");
}

// Upstream sockets are made in the agent's namespace and are not diverted: hooks follow the socket's cgroup.
TEST_F(RedirectMore, DialSocketLivesInTheAgentsNamespaceUnhooked) {
  Netns netns;
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, netns.fd());
  auto fd = kernel_->dial_socket(netns.fd(), AF_INET);
  ASSERT_TRUE(fd) << fd.error().what;
  auto to = address("127.0.0.1", 9);  // nobody listens in that namespace
  EXPECT_EQ(outcome(connect(fd->get(), to.raw(), to.size)), "EINPROGRESS");
  EXPECT_EQ(outcome(finish(fd->get())), "ECONNREFUSED");
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  ASSERT_EQ(getsockopt(fd->get(), SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &cookie, &size), 0);
  EXPECT_EQ(cookie, acceptor->info().netns_cookie);
  EXPECT_FALSE(kernel_->dial_socket(-1, AF_UNIX));
}

TEST_F(RedirectMore, AProcessThatIsNotEnrolledIsUntouched) {
  Cgroup cgroup(cgroup_path("agent"));
  Cgroup beside(cgroup_path("beside"));
  auto acceptor = enrol(cgroup, -1, {.divert_loopback = true});
  UniqueFd server(socket(AF_INET, SOCK_STREAM, 0));
  auto at = address("127.0.0.1", 0);
  ASSERT_EQ(bind(server.get(), at.raw(), at.size), 0);
  ASSERT_EQ(listen(server.get(), 4), 0);
  std::string where = name_of(server.get(), getsockname);
  uint16_t port = std::stoi(where.substr(where.find(':') + 1));
  auto look = [&] {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    auto to = address("127.0.0.1", port);
    if (connect(fd.get(), to.raw(), to.size) != 0) return outcome(-1);
    UniqueFd raw(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    return fmt::format("{} {}", name_of(fd.get(), getpeername), raw ? "raw" : "no raw");
  };
  EXPECT_EQ(as_stranger(look), fmt::format("127.0.0.1:{} raw", port));
  EXPECT_EQ(as_agent(beside, -1, look), fmt::format("127.0.0.1:{} raw", port));
  for (const auto& counter : kernel_->counters()) EXPECT_EQ(counter.value, 0u) << counter.name;
}

}  // namespace
}  // namespace sallyport::kernel::test
