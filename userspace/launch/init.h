// SPDX-License-Identifier: Apache-2.0
// The first process of the command's pid namespace: starts it, reaps, passes signals on, reports.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

namespace sallyport::launch {

/// How signals stood when `exec` was called; the command gets them so.
struct SavedSignals {
  sigset_t mask;
  struct sigaction child_action;
};

/// Call with all signals blocked. `channel`: see channel.h. When it returns by _exit, the kernel ends
/// whatever else is left in the namespace.
[[noreturn]] void run_init(int channel, const std::vector<std::string>& argv, const SavedSignals& saved);

}  // namespace sallyport::launch
