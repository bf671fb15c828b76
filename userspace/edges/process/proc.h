// SPDX-License-Identifier: Apache-2.0
// /proc/PID by one descriptor, which never comes to mean another process.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sallyport/base/unique_fd.h"
#include "sallyport/model/principal.h"

namespace sallyport::edges {

/// What a descriptor leads to, as the kernel's own structs have it: on overlayfs not what stat(2) tells. Told without
/// asking the file system, which may be somebody's own and answer when it likes (FUSE).
struct FileFacts {
  uint64_t device = 0;      ///< 0: it is mounted nowhere that can be seen
  uint64_t inode = 0;       ///< 0: not told
  uint64_t mount = 0;       ///< its number while it is mounted
  std::string file_system;  ///< "ext4", "fuse.sshfs"
};

/// The executable as it was when it was looked at, whatever the process runs afterwards.
struct Executable {
  UniqueFd place;  ///< O_PATH; empty: none
  FileFacts facts;
  std::string path;  ///< as seen in the namespace that it is mounted in

  /// For reading. Asks the file system.
  UniqueFd open() const;
};

/// Three fields of /proc/PID/stat.
struct ProcStat {
  std::string command;
  uint32_t parent = 0;
  uint64_t start_ticks = 0;  ///< 0: it could not be read
};

class Proc {
 public:
  explicit Proc(uint32_t pid);
  explicit operator bool() const { return static_cast<bool>(folder_); }

  ProcStat stat() const;
  std::string link(const char* name) const;
  std::string text(const char* name, size_t bytes_max) const;
  Executable executable() const;
  bool still_runs(const Executable& executable) const;
  /// Whether its mounts were made by who owns this user namespace, and not in one of a user's own.
  bool has_trusted_mounts() const;

 private:
  UniqueFd folder_;
};

/// The file that this mount namespace has at an absolute path; nothing where finding out could wait for anything.
FileFacts file_at(const std::string& path);
/// "4711 (my (odd) name) S 1 …"
ProcStat parse_stat(std::string_view text);
/// From the parent on, at most limits::kProcessParentsMax.
std::vector<model::Ancestor> ancestors(uint32_t parent);

}  // namespace sallyport::edges
