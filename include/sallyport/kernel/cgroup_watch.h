// SPDX-License-Identifier: Apache-2.0
// Cgroups as they come and go, told by inotify: the kernel says so, nobody polls. One watch for each folder whose
// children matter and one for each cgroup whose first process matters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::kernel {

struct CgroupEvent {
  enum class Kind : uint8_t {
    appeared,   ///< a child of a watched folder
    populated,  ///< its first process came, or its last one went
    gone,       ///< a child of a watched folder, or a watched one itself
    lost,       ///< the kernel's queue was full: look at everything again
  };
  Kind kind = Kind::appeared;
  std::string path;  ///< from the cgroup2 root
};

/// Not thread-safe.
class CgroupWatch {
 public:
  /// `root`: where cgroup2 is mounted.
  static Result<CgroupWatch> open(std::string root);

  /// Readable when read() has something.
  int fd() const { return inotify_.get(); }
  /// Tells of direct children from now on; look at those that are there afterwards. Again: no error.
  Result<> watch_children(const std::string& path);
  /// Tells when `populated` of cgroup.events changes.
  Result<> watch_population(const std::string& path);
  void forget(const std::string& path);
  /// Everything that happened, in order.
  std::vector<CgroupEvent> read();
  /// Names of the children that are there.
  std::vector<std::string> children(const std::string& path) const;
  size_t size() const { return by_number_.size(); }

 private:
  struct Watch {
    std::string path;
    bool population = false;
  };
  Result<> add(const std::string& path, bool population);

  std::string root_;
  UniqueFd inotify_;
  std::unordered_map<int, Watch> by_number_;
  std::unordered_map<std::string, int> children_, population_;  ///< path -> watch
};

}  // namespace sallyport::kernel
