// SPDX-License-Identifier: Apache-2.0
#include "control/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cerrno>

#include "sallyport/base/clock.h"

namespace sallyport::control {

DeadlineStream::DeadlineStream(int fd, int64_t timeout_ms)
    : fd_(fd), deadline_ns_(read_clocks().monotonic_ns + timeout_ms * kNanosPerMilli) {}

bool DeadlineStream::wait(short events) {
  for (;;) {
    const int64_t left_ms = (deadline_ns_ - read_clocks().monotonic_ns) / kNanosPerMilli;
    if (left_ms <= 0) return false;
    pollfd entry{fd_, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<int64_t>(left_ms + 1, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

size_t DeadlineStream::receive(void* data, size_t size, boost::system::error_code& error) {
  error = {};
  for (;;) {
    if (!wait(POLLIN)) {
      error = boost::asio::error::timed_out;
      return 0;
    }
    const ssize_t count = ::recv(fd_, data, size, MSG_DONTWAIT);
    if (count > 0) return static_cast<size_t>(count);
    if (count == 0) {
      error = boost::asio::error::eof;
      return 0;
    }
    if (errno == EINTR || errno == EAGAIN) continue;
    error.assign(errno, boost::system::system_category());
    return 0;
  }
}

Result<> DeadlineStream::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!wait(POLLOUT)) return fail("timed out");
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      return fail_errno("send");
    }
  }
  return {};
}

}  // namespace sallyport::control
