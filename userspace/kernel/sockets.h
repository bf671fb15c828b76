// SPDX-License-Identifier: Apache-2.0
// Small questions to a socket.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "sallyport/base/result.h"
#include "sallyport/model/address.h"

namespace sallyport::kernel {

/// `name` is getpeername or getsockname.
Result<model::Endpoint> endpoint_of(int fd, int (*name)(int, sockaddr*, socklen_t*));

/// SO_NETNS_COOKIE (5.14): the kernel's name of the socket's network namespace.
Result<uint64_t> netns_cookie_of(int fd);

}  // namespace sallyport::kernel
