// SPDX-License-Identifier: Apache-2.0
#include "cgroup.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <sstream>

#include "mounts.h"
#include "sallyport/kernel/kernel.h"

namespace sallyport::kernel {
namespace {

constexpr int kDepthMax = 256;
constexpr int kKernfsHandle = 0xfe;  // FILEID_KERNFS, linux/exportfs.h: the handle is the 64-bit id

}  // namespace

Result<uint64_t> cgroup_id_of(int cgroup_fd) {
  struct statfs fs {};
  struct stat info {};
  if (fstatfs(cgroup_fd, &fs) != 0 || fstat(cgroup_fd, &info) != 0) return fail_errno("look at a cgroup descriptor");
  if (fs.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(info.st_mode))
    return fail("the descriptor is no cgroup v2 directory");
  return info.st_ino;
}

Result<UniqueFd> open_cgroup_by_id(const std::string& cgroup_root, uint64_t cgroup_id) {
  UniqueFd root(open(cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno(fmt::format("open `{}`", cgroup_root));
  alignas(file_handle) char memory[sizeof(file_handle) + sizeof(cgroup_id)];
  auto* handle = reinterpret_cast<file_handle*>(memory);
  handle->handle_bytes = sizeof(cgroup_id);
  handle->handle_type = kKernfsHandle;
  std::memcpy(handle->f_handle, &cgroup_id, sizeof(cgroup_id));
  UniqueFd cgroup(open_by_handle_at(root.get(), handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(fmt::format("open cgroup {}", cgroup_id));
  return cgroup;
}

Result<UniqueFd> open_own_cgroup(const std::string& cgroup_root) {
  auto text = read_file("/proc/self/cgroup");
  if (!text) return std::unexpected(text.error());
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::")) continue;
    std::string path = cgroup_root + line.substr(3);
    UniqueFd own(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return fail_errno(fmt::format("open our own cgroup `{}`", path));
    return own;
  }
  return fail("/proc/self/cgroup has no cgroup v2 line");
}

Result<std::vector<uint64_t>> lineage_of(const std::string& cgroup_root, int cgroup_fd) {
  struct stat root {};
  if (stat(cgroup_root.c_str(), &root) != 0) return fail_errno(fmt::format("look at `{}`", cgroup_root));
  std::vector<uint64_t> ids;
  UniqueFd above;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    auto id = cgroup_id_of(above ? above.get() : cgroup_fd);
    if (!id) return std::unexpected(id.error());
    ids.push_back(*id);
    if (*id == root.st_ino) return ids;
    UniqueFd next(openat(above ? above.get() : cgroup_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!next) return fail_errno("open a cgroup's parent");
    above = std::move(next);
  }
  return fail(fmt::format("the cgroup does not lie below `{}`", cgroup_root));
}

}  // namespace sallyport::kernel
