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
  /// What a digest is of, beside the file system's device: inode, size, time of the last change in ns.
  using Key = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;
  struct Digest {
    std::string sha256 = {};   ///< hex; empty: see the others
    std::string missing = {};  ///< why there is none
    bool pending = false;      ///< it is being made: find(key)
    Key key = {};
  };

  Digests();
  ~Digests();

  /// `device` is that of the file system, which must be one that may be trusted to answer: see is_ours().
  Digest of(UniqueFd file, uint64_t device);
  /// One that was pending.
  Digest find(const Key& key);
  /// Of this mount namespace: a file system that a user mounted in a namespace of his own is not.
  bool is_ours(uint64_t device);

 private:
  void run();
  Digest look(const Key& key) const;
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
