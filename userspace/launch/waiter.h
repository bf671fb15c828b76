// SPDX-License-Identifier: Apache-2.0
// The one process that stays outside: a pid namespace is given to children only, so somebody must wait
// where the caller can see it. It looks to the caller as if it were the command.
#pragma once

#include <sys/types.h>

namespace sallyport::launch {

/// Waits for `init`; stops when the command stops, passes on signals sent to itself alone, and returns
/// the command's exit code or dies by the command's signal. Call with all signals blocked.
int wait_outside(int channel, pid_t init);

}  // namespace sallyport::launch
