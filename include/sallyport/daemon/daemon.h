// SPDX-License-Identifier: Apache-2.0
// The node daemon as the command line starts it.
#pragma once

#include <string>
#include <vector>

#include "sallyport/control/api.h"

namespace sallyport::daemon {

struct DaemonOptions {
  std::string policy_dir = "/etc/sallyport/policy";
  std::string state_dir = "/var/lib/sallyport";
  std::string run_dir = "/run/sallyport";  ///< control.sock and what a next daemon takes over
  std::string control_socket;              ///< empty: run_dir/control.sock
  std::string cgroup2_root;                ///< empty: found in mountinfo
  std::string bpffs_root = "/sys/fs/bpf";
  std::vector<std::string> governed;                      ///< cgroups below which nobody's connects are refused
  std::vector<std::string> kubelet_roots = {"/kubelet"};  ///< kubelet's --cgroup-root, besides the root itself
  unsigned workers = 0;                                   ///< 0: one for each processor
  std::string log_level = "info";
  control::Roles roles;
};

/// Runs in the foreground until SIGTERM or SIGINT. Returns the exit code.
int run_daemon(const DaemonOptions& options);

}  // namespace sallyport::daemon
