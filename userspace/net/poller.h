// SPDX-License-Identifier: Apache-2.0
// An epoll set and what may be in it.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::net {

/// What an epoll event points at. It must leave the set before it is destroyed.
struct Pollable {
  enum class Kind : uint8_t { wake, listener, wire };
  explicit Pollable(Kind what) : kind(what) {}
  const Kind kind;
};

class Poller {
 public:
  static Result<Poller> make();

  Result<void> add(int fd, uint32_t events, Pollable& pollable);
  void modify(int fd, uint32_t events, Pollable& pollable);
  void remove(int fd);
  /// Waits at most `timeout_ms` (-1: for ever); the result borrows `room`.
  std::span<epoll_event> wait(std::span<epoll_event> room, int timeout_ms);

 private:
  explicit Poller(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace sallyport::net
