// SPDX-License-Identifier: Apache-2.0
#include "canary.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sallyport::kernel {
namespace {

constexpr int kConnectTimeoutMs = 300;
constexpr uint16_t kDiscardPort = 9;
constexpr int kProtocolUdpLite = 136;
constexpr int kProtocolSctp = 132;
constexpr int kProtocolMptcp = 262;

sockaddr_in v4(const char* text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

sockaddr_in6 v6(const char* text, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  inet_pton(AF_INET6, text, &address.sin6_addr);
  return address;
}

template <class Address>
const sockaddr* raw(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// Waits for a non-blocking connect. A SYN that nobody answers counts as stopped.
int finish_connect(int fd) {
  pollfd waiting{fd, POLLOUT, 0};
  if (poll(&waiting, 1, kConnectTimeoutMs) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

template <class Address>
int tcp(int family, const Address& to) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  if (connect(fd, raw(to), sizeof(to)) == 0) return 0;
  return errno == EINPROGRESS ? finish_connect(fd) : errno;
}

int fast_open() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  auto to = v4("198.51.100.3", kDiscardPort);
  if (sendto(fd, "x", 1, MSG_FASTOPEN, raw(to), sizeof(to)) >= 0) return 0;
  return errno == EINPROGRESS ? finish_connect(fd) : errno;
}

int make(int family, int type, int protocol) {
  int fd = socket(family, type, protocol);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

int udp_with_option(int family, int level, int option, const void* value, socklen_t size) {
  int fd = socket(family, SOCK_DGRAM, 0);
  if (fd < 0) return errno;
  if (setsockopt(fd, level, option, value, size) != 0) return errno;
  auto to4 = v4("127.0.0.1", kDiscardPort);
  auto to6 = v6("::1", kDiscardPort);
  ssize_t sent =
      family == AF_INET ? sendto(fd, "x", 1, 0, raw(to4), sizeof(to4)) : sendto(fd, "x", 1, 0, raw(to6), sizeof(to6));
  return sent == 1 ? 0 : errno;
}

/// Any IPv4 option shows whether the guard reads the real header: a source route needs privileges.
int ipv4_options() {
  const unsigned char no_operation[4] = {1, 1, 1, 0};
  return udp_with_option(AF_INET, IPPROTO_IP, IP_OPTIONS, no_operation, sizeof(no_operation));
}

/// A segment routing header (RFC 8754) with one segment, ::1.
int ipv6_routing_header() {
  unsigned char header[24] = {0, 2, 4, 0, 0, 0, 0, 0};
  header[23] = 1;
  return udp_with_option(AF_INET6, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof(header));
}

int bind_daemon_port(const CanaryPlan& plan) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return errno;
  auto at = v4("127.0.0.2", plan.listener_port);
  int result = bind(fd, raw(at), sizeof(at)) == 0 ? 0 : errno;
  close(fd);
  return result;
}

int udp_out() {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return errno;
  auto to = v4("127.0.0.1", kDiscardPort);
  return sendto(fd, "x", 1, 0, raw(to), sizeof(to)) == 1 ? 0 : errno;
}

int foreign_socket(const CanaryPlan& plan) {
  auto to = v4("127.0.0.1", plan.plain_port);
  return connect(plan.foreign_socket, raw(to), sizeof(to)) == 0 ? 0 : errno;
}

}  // namespace

using Plan = const CanaryPlan&;
constexpr auto kRedirect = CanaryClass::redirect;
constexpr auto kGuard = CanaryClass::guard;
constexpr auto kEnforce = CanaryClass::enforce;

const CanaryVector kCanary[kCanaryVectors] = {
    {"tcp4", kRedirect, "198.51.100.1", "", [](Plan) { return tcp(AF_INET, v4("198.51.100.1", kDiscardPort)); }},
    {"tcp6", kRedirect, "2001:db8::1", "", [](Plan) { return tcp(AF_INET6, v6("2001:db8::1", kDiscardPort)); }},
    {"tcp v4-mapped", kRedirect, "198.51.100.2", "",
     [](Plan) { return tcp(AF_INET6, v6("::ffff:198.51.100.2", kDiscardPort)); }},
    {"tcp fast open", kRedirect, "198.51.100.3", "", [](Plan) { return fast_open(); }},
    {"dial of the listener", kRedirect, nullptr, "",
     [](Plan plan) { return tcp(AF_INET, v4("127.0.0.1", plan.listener_port)); }},
    {"raw socket", kGuard, nullptr, "dropping CAP_NET_RAW", [](Plan) { return make(AF_INET, SOCK_RAW, IPPROTO_ICMP); }},
    {"raw socket, IPv6", kGuard, nullptr, "dropping CAP_NET_RAW",
     [](Plan) { return make(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6); }},
    {"ping socket", kGuard, nullptr, "", [](Plan) { return make(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }},
    {"mptcp", kGuard, nullptr, "", [](Plan) { return make(AF_INET, SOCK_STREAM, kProtocolMptcp); }},
    {"sctp", kGuard, nullptr, "", [](Plan) { return make(AF_INET, SOCK_STREAM, kProtocolSctp); }},
    {"udp-lite", kGuard, nullptr, "", [](Plan) { return make(AF_INET, SOCK_DGRAM, kProtocolUdpLite); }},
    {"ipv4 options", kGuard, nullptr, "", [](Plan) { return ipv4_options(); }},
    {"ipv6 routing header", kGuard, nullptr, "", [](Plan) { return ipv6_routing_header(); }},
    {"bind of the daemon's port", kGuard, nullptr, "", [](Plan plan) { return bind_daemon_port(plan); }},
    {"udp", kEnforce, nullptr, "nothing yet: UDP and DNS of agents pass", [](Plan) { return udp_out(); }},
    {"packet socket", kEnforce, nullptr, "dropping CAP_NET_RAW and a socket-family filter, as `sallyport exec` does",
     [](Plan) { return make(AF_PACKET, SOCK_DGRAM, 0); }},
    {"socket made elsewhere", kEnforce, nullptr, "hiding Unix sockets that lead out, as `sallyport exec` does",
     [](Plan plan) { return foreign_socket(plan); }},
};

}  // namespace sallyport::kernel
