// SPDX-License-Identifier: Apache-2.0
// Small helpers around TCP sockets.
#pragma once

#include <sys/socket.h>

#include "sallyport/base/result.h"
#include "sallyport/model/address.h"

namespace sallyport::net {

model::Endpoint endpoint_of(const sockaddr_storage& address);
/// AF_INET for v4-mapped addresses, else AF_INET6.
int family_of(const model::Endpoint& endpoint);
socklen_t fill_address(const model::Endpoint& endpoint, sockaddr_storage& address);

/// Non-blocking, close-on-exec, TCP_NODELAY, keepalive (a peer that vanished is noticed in two minutes).
Result<void> prepare_socket(int fd);
/// Both ends are on this host, where nothing is ever congested: takes the cheapest congestion control, which every
/// kernel has. BBR, a usual default, costs each transaction 0.7 to 1 us (docs/performance.md).
void stay_on_host(int fd);
/// The next close() sends RST and drops what is queued.
void reset_on_close(int fd);
/// Takes the pending error of a socket; 0: none.
int take_error(int fd);
/// "connection reset by peer"
std::string errno_text(int error);

}  // namespace sallyport::net
