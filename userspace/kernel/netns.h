// SPDX-License-Identifier: Apache-2.0
// Work done inside another network namespace. Sockets keep the namespace that they are made in.
#pragma once

#include <type_traits>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::kernel {

/// Moves the calling thread into a network namespace and, when it goes, back again. A thread that
/// cannot return would work for the wrong agent from then on, so that ends the process.
class NetnsGuard {
 public:
  static Result<NetnsGuard> enter(int netns_fd);
  NetnsGuard(NetnsGuard&& other) noexcept = default;
  NetnsGuard& operator=(NetnsGuard&&) = delete;
  ~NetnsGuard();

 private:
  explicit NetnsGuard(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;
};

/// Runs `work` (returning a Result) in the namespace; -1: where we are.
template <class Work>
std::invoke_result_t<Work> in_netns(int netns_fd, Work work) {
  if (netns_fd < 0) return work();
  auto guard = NetnsGuard::enter(netns_fd);
  if (!guard) return std::unexpected(guard.error());
  return work();
}

}  // namespace sallyport::kernel
