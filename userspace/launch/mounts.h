// SPDX-License-Identifier: Apache-2.0
// /proc/self/mountinfo as values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::launch {

struct Mount {
  std::string device;  ///< "254:0"
  std::string root;    ///< what of the filesystem is mounted: "/", "/run/foo"
  std::string point;   ///< where
  std::string type;    ///< "tmpfs"
};

/// In mount order; a later one at the same point covers an earlier.
Result<std::vector<Mount>> read_mounts();

/// `path` is `folder` or below it.
bool is_below(std::string_view path, std::string_view folder);

/// Other places at which the absolute, resolved `path` can be reached, or a part of it is mounted:
/// bind mounts of the same filesystem.
std::vector<std::string> other_views(const std::vector<Mount>& mounts, std::string_view path);

}  // namespace sallyport::launch
