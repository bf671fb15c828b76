// SPDX-License-Identifier: Apache-2.0
// The ways out that a canary tries from inside an enrolled cgroup. They run in a forked child of a
// program with threads: system calls and the stack only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::kernel {

/// The level that needs the vector closed.
enum class CanaryClass : uint8_t { redirect, guard, enforce };

struct CanaryPlan {
  uint16_t listener_port = 0;  ///< the daemon's listener, on loopback
  uint16_t plain_port = 0;     ///< somebody else's listener on 127.0.0.1
  int foreign_socket = -1;     ///< a TCP socket made outside of the cgroup
};

struct CanaryVector {
  const char* name;
  CanaryClass needed_by;
  const char* destination;                 ///< of a TCP connect that must be diverted; null: the attempt must fail
  const char* closed_by;                   ///< what closes it when we do not
  int (*attempt)(const CanaryPlan& plan);  ///< 0: went through; else errno. May leave sockets open.
};

inline constexpr size_t kCanaryVectors = 17;
extern const CanaryVector kCanary[kCanaryVectors];

}  // namespace sallyport::kernel
