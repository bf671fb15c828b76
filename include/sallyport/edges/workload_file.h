// SPDX-License-Identifier: Apache-2.0
// Reads a small file as a process sees it, without trusting the process: what it put there may be a link out of its
// root, a FIFO, a device, or a file system of its own that never answers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/base/limits.h"
#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"

namespace sallyport::edges {

/// Whose permissions count when the file is opened.
struct FileUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< supplementary
  bool operator==(const FileUser&) const = default;
};

struct WorkloadFile {
  pid_t pid = 0;                 ///< its root is where `path` begins
  uint64_t start_ticks = 0;      ///< field 22 of /proc/PID/stat; 0: not known. Another one: the number was used again
  std::string path;              ///< absolute; links are followed within the root
  std::optional<FileUser> user;  ///< nothing: the daemon's. Of whoever named the path, unless policy did
  size_t bytes_max = limits::kTokenBytesMax;
};

class WorkloadFiles {
 public:
  /// `timeout_ms`: of one read, open to last byte.
  explicit WorkloadFiles(int64_t timeout_ms = limits::kTokenReadTimeoutMs);

  /// The bytes of a regular file that is on no FUSE file system and no longer than `bytes_max`. Blocks until the
  /// deadline at most: what hangs is left behind in a thread of its own, of which there are limits::kTokenReadersMax;
  /// with so many hanging everything is refused.
  Result<Secret> read(const WorkloadFile& file);

 private:
  struct Shared;
  const int64_t timeout_ms_;
  const std::shared_ptr<Shared> shared_;  ///< outlives this where a read hangs
};

}  // namespace sallyport::edges
