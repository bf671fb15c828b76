// SPDX-License-Identifier: Apache-2.0
#include "edges/process/proc.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>

#include "sallyport/base/limits.h"

namespace sallyport::edges {
namespace {

std::string read_all(int fd, size_t bytes_max) {
  std::string out(bytes_max, '\0');
  size_t used = 0;
  while (used < out.size()) {
    const ssize_t count = read(fd, out.data() + used, out.size() - used);
    if (count <= 0) break;
    used += static_cast<size_t>(count);
  }
  out.resize(used);
  return out;
}

uint64_t number(std::string_view text) {
  uint64_t out = 0;
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

/// "major:minor" of a mount in the text of a mountinfo file; 0: it is not there.
uint64_t device_of_mount(std::string_view mountinfo, uint64_t mount) {
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    if (number(line) != mount) continue;
    size_t at = line.find(' ');  // id, parent, major:minor
    at = at == std::string_view::npos ? at : line.find(' ', at + 1);
    const size_t colon = at == std::string_view::npos ? at : line.find(':', at);
    if (colon == std::string_view::npos) return 0;
    return makedev(number(line.substr(at + 1)), number(line.substr(colon + 1)));
  }
  return 0;
}

}  // namespace

ProcStat parse_stat(std::string_view text) {
  // The name may hold anything, brackets too: it ends at the last one.
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  ProcStat out{std::string(text.substr(open + 1, close - open - 1)), 0, 0};
  std::string_view rest = text.substr(close + 1);
  for (int field = 3; field <= 22; ++field) {  // proc(5)
    if (rest.empty()) return {};
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
    if (field == 4) out.parent = static_cast<uint32_t>(number(word));
    if (field == 22) out.start_ticks = number(word);
    rest.remove_prefix(word.size());
  }
  return out;
}

Proc::Proc(uint32_t pid) : folder_(open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

std::string Proc::text(const char* name, size_t bytes_max) const {
  UniqueFd file(openat(folder_.get(), name, O_RDONLY | O_CLOEXEC));
  return file ? read_all(file.get(), bytes_max) : std::string();
}

ProcStat Proc::stat() const { return parse_stat(text("stat", 1'024)); }

std::string Proc::link(const char* name) const {
  char path[4096];
  const ssize_t size = readlinkat(folder_.get(), name, path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

UniqueFd Proc::open_executable() const {
  return UniqueFd(openat(folder_.get(), "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

bool Proc::executable_is(uint64_t device, uint64_t inode) const {
  struct stat status {};
  if (fstatat(folder_.get(), "exe", &status, 0) != 0) return false;
  if (status.st_dev == device && status.st_ino == inode) return true;
  UniqueFd file(openat(folder_.get(), "exe", O_PATH | O_CLOEXEC));
  if (!file) return false;
  UniqueFd info(open(fmt::format("/proc/self/fdinfo/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  const std::string words = info ? read_all(info.get(), 4'096) : std::string();
  const size_t ino = words.find("ino:"), mount = words.find("mnt_id:");
  if (ino == std::string::npos || mount == std::string::npos || number(words.substr(ino + 4)) != inode) return false;
  constexpr size_t kMountinfoBytesMax = 4 << 20;
  return device_of_mount(text("mountinfo", kMountinfoBytesMax), number(words.substr(mount + 7))) == device;
}

std::vector<model::Ancestor> ancestors(uint32_t parent) {
  std::vector<model::Ancestor> out;
  while (parent != 0 && out.size() < limits::kProcessParentsMax) {
    const Proc proc(parent);
    const ProcStat stat = proc ? proc.stat() : ProcStat();
    if (stat.start_ticks == 0 && stat.command.empty()) break;
    out.push_back({parent, stat.command});
    parent = stat.parent;
  }
  return out;
}

}  // namespace sallyport::edges
