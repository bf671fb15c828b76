// SPDX-License-Identifier: Apache-2.0
// The daemon's half of `sallyport exec`: root-owned cgroups below sallyport.slice, one for each run,
// and the privileged steps that place a process. Not thread-safe beyond what each function says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::launch {

/// Mount point of the cgroup2 hierarchy ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), from
/// /proc/self/mountinfo.
Result<std::string> find_cgroup2();

struct Scope {
  std::string agent;
  std::string path;  ///< from the cgroup2 root: "/sallyport.slice/billing-bot-3.scope"
  uint64_t id = 0;   ///< inode of its directory, as BPF knows it
};

/// A process to be placed, from control::Peer.
struct Subject {
  pid_t pid = 0;
  int pidfd = -1;  ///< borrowed
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

class Scopes {
 public:
  /// Makes `slice` (a name below the root, root-owned, 0755) if it is not there.
  static Result<Scopes> open(std::string cgroup2_root, std::string slice = "sallyport.slice");

  /// Path of the slice below the cgroup2 root, and its cgroup id: attach programs there once, and
  /// every scope inherits.
  const std::string& slice_path() const { return slice_path_; }
  uint64_t slice_id() const { return slice_id_; }

  /// A new, empty scope `<agent>-<n>.scope`, n the first free. Callers serialise.
  Result<Scope> make(std::string_view agent);

  /// Moves the subject in. Enrol the scope before. On error the scope is left for sweep().
  Result<> admit(const Scope& scope, const Subject& subject);

  /// Removes scopes that have no process, nor any below; `removed` hears of each after it is gone.
  /// Scopes younger than `grace_ms` stay. Call it once a second or so; any thread, not at once with
  /// itself.
  void sweep(const std::function<void(const Scope&)>& removed, int64_t grace_ms = 5'000);

  /// Scopes that exist, with the agent's name as their name tells it.
  std::vector<Scope> list() const;

 private:
  std::string directory(std::string_view path) const;

  std::string root_;
  std::string slice_path_;
  uint64_t slice_id_ = 0;
};

/// Writes /proc/<pid>/{setgroups,uid_map,gid_map} of the subject's new user namespace: its own uid and
/// its own gids, each to itself, and `deny` for setgroups. Never more: whoever owns a user namespace
/// holds every capability in it, so an id mapped there is an id given away (docs/exec.md).
Result<> map_identity(const Subject& subject);

}  // namespace sallyport::launch
