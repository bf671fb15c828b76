// SPDX-License-Identifier: Apache-2.0
// The table of diverted connections that nobody has taken yet.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "impl.h"
#include "sockets.h"

namespace sallyport::kernel {
namespace {

constexpr unsigned kMinorBits = 20;  // MINORBITS of the kernel's dev_t
constexpr int kNotSupported = 524;   // ENOTSUPP: the kernel's own, without a name in userspace

/// Both ends of an accepted socket as the connect hook and sockops wrote them.
Result<sp_flow_key> key_of(int accepted_fd) {
  auto source = endpoint_of(accepted_fd, getpeername);
  if (!source) return std::unexpected(source.error());
  auto destination = endpoint_of(accepted_fd, getsockname);
  if (!destination) return std::unexpected(destination.error());
  auto cookie = netns_cookie_of(accepted_fd);
  if (!cookie) return std::unexpected(cookie.error());
  sp_flow_key key{};
  key.netns_cookie = *cookie;
  to_words(source->address, key.source_be);
  to_words(destination->address, key.destination_be);
  key.source_port_be = htons(source->port);
  key.destination_port_be = htons(destination->port);
  return key;
}

/// lookup_and_delete of a hash map came with 5.14; before, whoever deletes has it.
bool take(int map_fd, const sp_flow_key& key, sp_flow& flow) {
  if (bpf_map_lookup_and_delete_elem(map_fd, &key, &flow) == 0) return true;
  if (errno != EINVAL && errno != kNotSupported) return false;
  return bpf_map_lookup_elem(map_fd, &key, &flow) == 0 && bpf_map_delete_elem(map_fd, &key) == 0;
}

bool is_closed(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE;
}

}  // namespace

Result<FlowEntry> Kernel::take_flow(int accepted_fd) {
  auto key = key_of(accepted_fd);
  if (!key) {
    if (is_closed(accepted_fd)) return fail("the agent closed the connection before it was accepted");
    return std::unexpected(key.error());
  }
  sp_flow flow{};
  if (!take(impl_->maps.flows, *key, flow)) {
    if (errno != ENOENT) return fail_errno("look up an accepted connection");
    if (is_closed(accepted_fd)) return fail("the agent closed the connection before it was accepted");
    return fail(fmt::format("no flow entry for {}: the listener was dialled directly",
                            model::Endpoint{from_words(key->source_be), ntohs(key->source_port_be)}.to_string()));
  }
  if (flow.workload < SP_WORKLOADS_MAX) __atomic_fetch_sub(&impl_->in_flight[flow.workload].count, 1, __ATOMIC_RELAXED);
  return FlowEntry{.destination = {from_words(flow.destination_be), ntohs(flow.destination_port_be)},
                   .cgroup_id = flow.cgroup_id,
                   .workload = flow.workload,
                   .pid = flow.pid,
                   .uid = flow.uid,
                   .gid = flow.gid,
                   .start_ns = flow.start_boottime_ns,
                   .socket_cookie = flow.socket_cookie,
                   .birth_ns = flow.birth_ns,
                   .executable_device =
                       makedev(flow.executable_device >> kMinorBits, flow.executable_device & ((1u << kMinorBits) - 1)),
                   .executable_inode = flow.executable_inode};
}

}  // namespace sallyport::kernel
