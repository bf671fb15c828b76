// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <fcntl.h>
#include <sched.h>

#include "sallyport/base/check.h"

namespace sallyport::kernel {

Result<NetnsGuard> NetnsGuard::enter(int netns_fd) {
  UniqueFd home(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return fail_errno("open our own network namespace");
  if (setns(netns_fd, CLONE_NEWNET) != 0)
    return fail_errno("enter the agent's network namespace", "the daemon needs CAP_SYS_ADMIN");
  return NetnsGuard(std::move(home));
}

NetnsGuard::~NetnsGuard() {
  if (home_) SP_CHECK(setns(home_.get(), CLONE_NEWNET) == 0);
}

}  // namespace sallyport::kernel
