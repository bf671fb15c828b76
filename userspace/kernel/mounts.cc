// SPDX-License-Identifier: Apache-2.0
#include "mounts.h"

#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <fstream>
#include <sstream>

#include "sallyport/kernel/kernel.h"

namespace sallyport::kernel {
namespace {

constexpr const char* kBpffs = "/sys/fs/bpf";

/// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail_errno(fmt::format("read `{}`", path));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<std::string> mount_points(std::string_view mountinfo, std::string_view type) {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw
  std::vector<std::string> found;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point, word;
    if (!(fields >> id >> parent >> device >> root >> point)) continue;
    while (fields >> word && word != "-") {
    }
    if (fields >> word && word == type && root == "/") found.push_back(unescape(point));
  }
  return found;
}

Result<std::string> find_cgroup_root() {
  auto text = read_file("/proc/self/mountinfo");
  if (!text) return std::unexpected(text.error());
  auto points = mount_points(*text, "cgroup2");
  if (points.empty())
    return fail("cgroup v2 is not mounted",
                "boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 none DIR");
  for (const auto& point : points)
    if (point.starts_with("/sys/fs/cgroup")) return point;
  return points.front();
}

bool on_bpffs(const std::string& path) {
  std::string probe = path;
  struct statfs info {};
  while (statfs(probe.c_str(), &info) != 0) {
    size_t slash = probe.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return false;
    probe.resize(slash);
  }
  return info.f_type == BPF_FS_MAGIC;
}

Result<void> ensure_bpffs(const std::string& pin_dir) {
  if (on_bpffs(pin_dir)) return {};
  if (!pin_dir.starts_with(std::string(kBpffs) + "/"))
    return fail(fmt::format("`{}` is not on a bpf file system", pin_dir), "choose a directory below /sys/fs/bpf");
  if (mount("bpf", kBpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0 && !on_bpffs(pin_dir))
    return fail_errno(fmt::format("mount bpffs at {}", kBpffs), "run as root, or mount -t bpf bpf /sys/fs/bpf");
  return {};
}

}  // namespace sallyport::kernel
