// SPDX-License-Identifier: Apache-2.0
// Sockets in the agent's network namespace: listeners, and the ones that dial upstream.
#include "sockets.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "impl.h"
#include "netns.h"
#include "sallyport/base/limits.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace sallyport::kernel {
namespace {

using model::Endpoint;
using model::IpAddress;

IpAddress address_in(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address);
    result.bytes[10] = result.bytes[11] = 0xff;
    std::memcpy(&result.bytes[12], &v4.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    std::memcpy(result.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  }
  return result;
}

/// An address of any interface but loopback, if no route leads out.
IpAddress any_interface_address(int family) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  IpAddress found;
  for (const ifaddrs* it = list; it != nullptr; it = it->ifa_next) {
    if (it->ifa_addr == nullptr || it->ifa_addr->sa_family != family || (it->ifa_flags & IFF_LOOPBACK)) continue;
    IpAddress address = address_in(it->ifa_addr);
    bool link_local = family == AF_INET6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
    if (!link_local && !address.is_loopback()) found = address;
    if (found != IpAddress{}) break;
  }
  freeifaddrs(list);
  return found;
}

/// The address that the current namespace would use towards the world: a UDP connect() to a
/// documentation address (RFC 5737, RFC 3849) picks the route and sends nothing.
IpAddress source_towards_world(int family) {
  UniqueFd probe(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return {};
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{
      .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_flowinfo = 0, .sin6_addr = {}, .sin6_scope_id = 0};
  inet_pton(AF_INET, "198.51.100.1", &v4.sin_addr);
  inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
  int connected = family == AF_INET ? connect(probe.get(), reinterpret_cast<sockaddr*>(&v4), sizeof(v4))
                                    : connect(probe.get(), reinterpret_cast<sockaddr*>(&v6), sizeof(v6));
  if (connected != 0) return any_interface_address(family);
  auto local = endpoint_of(probe.get(), getsockname);
  return local && !local->address.is_loopback() ? local->address : IpAddress{};
}

/// Binds and listens on 127.0.0.1 or ::1; `error` gets the errno of a failure. No TCP Fast Open, and no
/// SO_REUSEPORT: others could join.
Result<UniqueFd> listen_on(int family, uint16_t port, int& error) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  error = errno;
  if (!fd) return fail_errno("make a listener");
  int bound = 0;
  if (family == AF_INET) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  } else {
    int on = 1;
    (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    sockaddr_in6 address{.sin6_family = AF_INET6,
                         .sin6_port = htons(port),
                         .sin6_flowinfo = 0,
                         .sin6_addr = in6addr_loopback,
                         .sin6_scope_id = 0};
    bound = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  if (bound == 0 && ::listen(fd.get(), limits::kListenBacklog) == 0) return fd;
  error = errno;
  return fail(fmt::format("listen on {}:{}: {}", family == AF_INET ? "127.0.0.1" : "[::1]", port, strerror(error)));
}

bool no_ipv6(int error) { return error == EAFNOSUPPORT || error == EADDRNOTAVAIL; }

/// With loopback down the kernel would let us listen, but nobody connect.
Result<void> check_loopback() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{.ifr_ifrn = {.ifrn_name = "lo"}, .ifr_ifru = {}};
  if (!fd || ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return fail_errno("look at the loopback interface");
  if (request.ifr_flags & IFF_UP) return {};
  return fail("the loopback interface of the agent's network namespace is down", "in there: ip link set lo up");
}

/// Both families on one port that is free for both. IPv6 may be switched off.
Result<Listener> listen_here() {
  if (auto up = check_loopback(); !up) return std::unexpected(up.error());
  for (int attempt = 0; attempt < limits::kListenPortAttempts; ++attempt) {
    int error = 0;
    auto v4 = listen_on(AF_INET, 0, error);
    if (!v4) return std::unexpected(v4.error());
    auto bound = endpoint_of(v4->get(), getsockname);
    if (!bound) return std::unexpected(bound.error());
    auto v6 = listen_on(AF_INET6, bound->port, error);
    if (!v6 && error == EADDRINUSE) continue;
    if (!v6 && !no_ipv6(error)) return std::unexpected(v6.error());
    Listener listener;
    listener.v4 = std::move(*v4);
    if (v6) listener.v6 = std::move(*v6);
    return listener;
  }
  return fail(fmt::format("no port is free on both 127.0.0.1 and ::1 after {} tries", limits::kListenPortAttempts));
}

/// The network namespace of a socket, whoever made it.
Result<UniqueFd> netns_of(int fd) {
  UniqueFd netns(ioctl(fd, SIOCGSKNS));
  if (!netns) return fail_errno("open a listener's network namespace (SIOCGSKNS)");
  return netns;
}

Result<ListenerInfo> describe(int v4_fd) {
  auto bound = endpoint_of(v4_fd, getsockname);
  if (!bound) return std::unexpected(bound.error());
  auto cookie = netns_cookie_of(v4_fd);
  if (!cookie) return std::unexpected(cookie.error());
  auto netns = netns_of(v4_fd);
  if (!netns) return std::unexpected(netns.error());
  ListenerInfo info{.port = bound->port, .netns_cookie = *cookie, .source_v4 = {}, .source_v6 = {}};
  return in_netns(netns->get(), [&]() -> Result<ListenerInfo> {
    info.source_v4 = source_towards_world(AF_INET);
    info.source_v6 = source_towards_world(AF_INET6);
    return info;
  });
}

}  // namespace

Result<Endpoint> endpoint_of(int fd, int (*name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (name(fd, address, &size) != 0) return fail_errno("ask a socket for its address");
  if (address->sa_family == AF_INET)
    return Endpoint{address_in(address), ntohs(reinterpret_cast<sockaddr_in*>(address)->sin_port)};
  if (address->sa_family == AF_INET6)
    return Endpoint{address_in(address), ntohs(reinterpret_cast<sockaddr_in6*>(address)->sin6_port)};
  return fail("the socket is not an internet socket");
}

Result<uint64_t> netns_cookie_of(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return fail_errno("ask a socket for its network namespace (SO_NETNS_COOKIE)", "the kernel must be 5.14 or newer");
  return cookie;
}

Result<void> Kernel::Impl::mark(int listener_fd) {
  sp_listener value{.mark = SP_LISTENER_MARK};
  if (bpf_map_update_elem(maps.listeners, &listener_fd, &value, BPF_ANY) != 0) return fail_errno("mark a listener");
  return {};
}

Result<Listener> Kernel::listen(int netns_fd) {
  auto listener = in_netns(netns_fd, listen_here);
  if (!listener) return listener;
  auto info = adopt(listener->v4.get(), listener->v6.get());
  if (!info) return std::unexpected(info.error());
  listener->info = *info;
  return listener;
}

Result<ListenerInfo> Kernel::adopt(int v4_fd, int v6_fd) {
  auto info = describe(v4_fd);
  if (!info) return info;
  if (auto marked = impl_->mark(v4_fd); !marked) return std::unexpected(marked.error());
  if (v6_fd < 0) return info;
  if (auto marked = impl_->mark(v6_fd); !marked) return std::unexpected(marked.error());
  return info;
}

Result<UniqueFd> Kernel::dial_socket(int netns_fd, int family) {
  if (family != AF_INET && family != AF_INET6) return fail("dial with a family that is neither IPv4 nor IPv6");
  return in_netns(netns_fd, [&]() -> Result<UniqueFd> {
    UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!fd) return fail_errno("make an upstream socket");
    return fd;
  });
}

}  // namespace sallyport::kernel
