// SPDX-License-Identifier: Apache-2.0
#include "launch/stdio.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "launch/channel.h"

namespace sallyport::launch {
namespace {

constexpr unsigned kMemoryDevices = 1;  // major number of null, zero, full, random, urandom

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/// Why descriptor `fd` may not be kept; nullptr: it may.
const char* objection(int fd) {
  struct stat entry {};
  if (::fstat(fd, &entry) != 0) return "it cannot be examined";
  switch (entry.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFBLK:
      return nullptr;
    case S_IFCHR:
      return major(entry.st_rdev) == kMemoryDevices || ::isatty(fd) ? nullptr : "it is a device";
    case S_IFSOCK:
      if (socket_option(fd, SO_DOMAIN) != AF_UNIX) return "it is a network socket made outside the agent's cgroup";
      return socket_option(fd, SO_ACCEPTCONN) == 0 ? nullptr : "it is a listening socket";
    case S_IFDIR:
      return "it is a folder";
    default:
      return "it is no file, pipe, terminal or Unix socket";
  }
}

}  // namespace

Result<> check_stdio() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      // The lowest free number is fd itself, for those below are open by now.
      if (::open("/dev/null", O_RDWR) != fd) return fail_errno("open /dev/null");
      continue;
    }
    if (const char* why = objection(fd))
      return fail(fmt::format("descriptor {} cannot be handed to an agent: {}", fd, why),
                  "redirect it to a file, a pipe or /dev/null");
  }
  return {};
}

bool send_message(int channel, Message message) {
  ssize_t sent;
  do {
    sent = ::send(channel, &message, sizeof message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == sizeof message;
}

bool receive_message(int channel, Message& message, bool& gone) {
  ssize_t count;
  do {
    count = ::recv(channel, &message, sizeof message, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  gone = count == 0 || (count < 0 && errno != EAGAIN);
  return count == sizeof message;
}

}  // namespace sallyport::launch
