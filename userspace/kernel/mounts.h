// SPDX-License-Identifier: Apache-2.0
// Where the kernel's file systems are mounted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::kernel {

/// The mount points of file system type `type` in the text of a mountinfo file (proc(5)) whose root is the
/// file system's own root, octal escapes undone, in file order.
std::vector<std::string> mount_points(std::string_view mountinfo, std::string_view type);

Result<std::string> read_file(const std::string& path);

/// Whether `path`, or else its nearest existing parent, lies on bpffs.
bool on_bpffs(const std::string& path);

/// Mounts bpffs at /sys/fs/bpf if `pin_dir` is to lie there and nothing is mounted yet.
Result<void> ensure_bpffs(const std::string& pin_dir);

}  // namespace sallyport::kernel
