// SPDX-License-Identifier: Apache-2.0
#include "net/poller.h"

#include "sallyport/base/check.h"

namespace sallyport::net {

Result<Poller> Poller::make() {
  UniqueFd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return fail_errno("epoll_create1");
  return Poller(std::move(fd));
}

Result<void> Poller::add(int fd, uint32_t events, Pollable& pollable) {
  epoll_event event{.events = events, .data = {.ptr = &pollable}};
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail_errno("epoll_ctl add", "raise fs.epoll.max_user_watches");
  return {};
}

void Poller::modify(int fd, uint32_t events, Pollable& pollable) {
  epoll_event event{.events = events, .data = {.ptr = &pollable}};
  SP_CHECK(epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Poller::remove(int fd) { SP_CHECK(epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0); }

std::span<epoll_event> Poller::wait(std::span<epoll_event> room, int timeout_ms) {
  const int ready = epoll_wait(fd_.get(), room.data(), static_cast<int>(room.size()), timeout_ms);
  return room.first(ready > 0 ? static_cast<size_t>(ready) : 0);  // EINTR: an empty turn
}

}  // namespace sallyport::net
