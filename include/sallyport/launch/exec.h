// SPDX-License-Identifier: Apache-2.0
// The command's half of `sallyport exec`: namespaces, hidden sockets, capabilities, seccomp, and the
// one parent that waits outside. docs/exec.md draws the processes and says why.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::launch {

// Exit codes beside the command's own, as env(1) and timeout(1) have them.
inline constexpr int kExitFailed = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct ExecOptions {
  std::vector<std::string> argv;  ///< the command; argv[0] is looked up in PATH
  bool allow_root = false;
  std::string control_socket;  ///< hidden from the command, wherever it is
};

/// Answer to "make the calling process the agent".
struct Placement {
  bool io_uring = true;
};

/// Runs in the process that becomes the agent, before anything of the sandbox but its namespaces:
/// asks the daemon. `map_identity`: the caller sits in a new user namespace without id maps.
using Place = std::function<Result<Placement>(bool map_identity)>;

/// Runs the command as the agent and waits. Returns its exit status, or kExit*; when the command died
/// by a signal, so does the calling process. Call it from a single-threaded process; prints its own
/// errors ("sallyport exec: …") on stderr.
int run_command(const ExecOptions& options, const Place& place);

}  // namespace sallyport::launch
