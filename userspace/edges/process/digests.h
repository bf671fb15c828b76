// SPDX-License-Identifier: Apache-2.0
// SHA-256 of executables, by device, inode, size and the time of their last change.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include "sallyport/base/unique_fd.h"

namespace sallyport::edges {

class Digests {
 public:
  Digests();
  ~Digests();

  /// Hex; "": never; nothing: a large one is being digested, ask again. `device` is the file system's own.
  std::optional<std::string> of(UniqueFd file, uint64_t device);

 private:
  using Key = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;  ///< device, inode, size, ctime in ns
  void run();
  bool is_ours(uint64_t device);
  void keep(const Key& key, std::string digest);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, std::optional<std::string>> known_;  ///< nothing: in the queue
  std::deque<std::pair<Key, UniqueFd>> queue_;
  std::map<uint64_t, bool> devices_;  ///< mounted here
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sallyport::edges
