// SPDX-License-Identifier: Apache-2.0
// Which process called connect(): what /proc says of it, as far as it agrees with what the kernel told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "sallyport/model/principal.h"

namespace sallyport::edges {

/// The kernel's own words, written when the process called.
struct ProcessWords {
  uint32_t pid = 0;  ///< thread group, initial pid namespace
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t start_ns = 0;           ///< since boot
  uint64_t executable_device = 0;  ///< makedev(3)
  uint64_t executable_inode = 0;   ///< 0: it has none
};

/// Thread-safe. Remembers processes and digests by what the kernel told, so that a process is looked at once.
class Processes {
 public:
  Processes();
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// Never fails: what is not known has `unknown` set, and then nothing of /proc's. The SHA-256 of an executable that
  /// is large is `digesting` at first. One on FUSE or on a file system that this mount namespace does not have has
  /// none, and its path proves nothing; no such file system is asked anything.
  model::Process describe(const ProcessWords& words);
  /// A process that describe() told of, with its SHA-256 if it has come since; nothing: it is forgotten. All else is
  /// as it was when it called.
  std::optional<model::Process> again(const model::Process& process);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sallyport::edges
