// SPDX-License-Identifier: Apache-2.0
// Who is calling: what the kernel says about the caller; verified token claims join it later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::model {

/// The process that called connect(), as /proc and the kernel showed it. Never proof of identity.
struct Process {
  uint32_t pid = 0;  ///< thread-group id in the daemon's pid namespace; 0: not known
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t start_ticks = 0;  ///< field 22 of /proc/PID/stat; 0: not known
  std::string command;       ///< comm
  std::string executable;    ///< path, or empty
};

struct Principal {
  std::string agent;        ///< name in policy; empty: nobody's
  std::string workload;     ///< "exec:billing-bot", "cgroup:/bots.slice": how it was recognised
  uint64_t cgroup_id = 0;   ///< the enrolled cgroup
  std::string cgroup_path;  ///< below the cgroup2 root
  Process process;
};

}  // namespace sallyport::model
