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
  /// The executable for reading; empty: none.
  UniqueFd open_executable() const;
  /// Device and inode as the kernel's own structs have them, which on overlayfs are not those that stat(2) tells.
  bool executable_is(uint64_t device, uint64_t inode) const;

 private:
  UniqueFd folder_;
};

/// "4711 (my (odd) name) S 1 …"
ProcStat parse_stat(std::string_view text);
/// From the parent on, at most limits::kProcessParentsMax.
std::vector<model::Ancestor> ancestors(uint32_t parent);

}  // namespace sallyport::edges
