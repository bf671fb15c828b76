// SPDX-License-Identifier: Apache-2.0
// A diverted agent goes on seeing the connection that it asked for.
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include "fixture.h"
#include "kernel/sockets.h"

namespace sallyport::kernel::test {
namespace {

class NamesTest : public KernelTest {};

/// "PEER from ADDRESS" of a connection made in this process.
std::string names(const std::string& host, uint16_t port) {
  auto to = address(host, port);
  UniqueFd fd(socket(to.family, SOCK_STREAM, 0));
  if (connect(fd.get(), to.raw(), to.size) != 0) return outcome(-1);
  auto local = endpoint_of(fd.get(), getsockname);
  // A connection closed before it was accepted leaves no flow: wait for the acceptor's greeting.
  pollfd greeting{fd.get(), POLLIN, 0};
  poll(&greeting, 1, 5'000);
  return fmt::format("{} from {}", name_of(fd.get(), getpeername), local ? local->address.to_string() : "nowhere");
}

TEST_F(NamesTest, PeerIsTheOriginalAndSourceTheNamespacesOwn) {
  Cgroup cgroup(cgroup_path("agent"));
  Netns netns;
  auto acceptor = enrol(cgroup, netns.fd());
  EXPECT_EQ(acceptor->info().source_v4.to_string(), "10.77.0.2");
  EXPECT_EQ(acceptor->info().source_v6.to_string(), "fd77::2");
  auto seen = [&](const char* host) { return as_agent(cgroup, netns.fd(), [=] { return names(host, 443); }); };
  EXPECT_EQ(seen("198.51.100.1"), "198.51.100.1:443 from 10.77.0.2");
  EXPECT_EQ(seen("2001:db8::1"), "[2001:db8::1]:443 from fd77::2");
  EXPECT_EQ(seen("::ffff:198.51.100.1"), "198.51.100.1:443 from 10.77.0.2");
}

TEST_F(NamesTest, DivertedLoopbackStaysLoopback) {
  Cgroup cgroup(cgroup_path("agent"));
  Netns netns;
  auto acceptor = enrol(cgroup, netns.fd(), {.divert_loopback = true});
  auto seen = [&](const char* host) { return as_agent(cgroup, netns.fd(), [=] { return names(host, 443); }); };
  EXPECT_EQ(seen("127.0.0.1"), "127.0.0.1:443 from 127.0.0.1");
  EXPECT_EQ(seen("127.1.2.3"), "127.1.2.3:443 from 127.0.0.1");
  EXPECT_EQ(seen("::1"), "[::1]:443 from ::1");
  EXPECT_EQ(seen("0.0.0.0"), "0.0.0.0:443 from 127.0.0.1");
  EXPECT_EQ(acceptor->flows(4).size(), 4u);
}

// Without an address towards the world the kernel's answer stays as it is.
TEST_F(NamesTest, WithoutASourceTheLoopbackAddressShows) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1);
  EnrolOptions options{.listener = acceptor->info()};
  options.listener.source_v4 = {};
  ASSERT_TRUE(kernel_->enrol(cgroup.fd(), options));
  EXPECT_EQ(as_agent(cgroup, -1, [] { return names("198.51.100.1", 443); }), "198.51.100.1:443 from 127.0.0.1");
}

// An agent's connected UDP socket and its unconnected TCP socket are not ours to rename.
TEST_F(NamesTest, OtherSocketsKeepTheirNames) {
  Cgroup cgroup(cgroup_path("agent"));
  Netns netns;
  auto acceptor = enrol(cgroup, netns.fd());
  EXPECT_EQ(as_agent(cgroup, netns.fd(),
                     [] {
                       UniqueFd udp(socket(AF_INET, SOCK_DGRAM, 0));
                       auto to = address("198.51.100.1", 53);
                       if (connect(udp.get(), to.raw(), to.size) != 0) return outcome(-1);
                       UniqueFd tcp(socket(AF_INET, SOCK_STREAM, 0));
                       auto at = address("127.0.0.1", 0);
                       if (bind(tcp.get(), at.raw(), at.size) != 0) return outcome(-1);
                       return fmt::format("{} {}", name_of(udp.get(), getpeername),
                                          name_of(tcp.get(), getsockname).substr(0, 10));
                     }),
            "198.51.100.1:53 127.0.0.1:");
}

}  // namespace
}  // namespace sallyport::kernel::test
