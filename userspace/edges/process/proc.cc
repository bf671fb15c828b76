// SPDX-License-Identifier: Apache-2.0
#include "edges/process/proc.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "sallyport/base/limits.h"

namespace sallyport::edges {
namespace {

std::string read_all(int fd, size_t bytes_max) {
  constexpr size_t kStep = 16 << 10;
  std::string out;
  for (size_t used = 0; used < bytes_max;) {
    out.resize(std::min(used + kStep, bytes_max));
    const ssize_t count = read(fd, out.data() + used, out.size() - used);
    used += count > 0 ? static_cast<size_t>(count) : 0;
    if (count <= 0) return out.resize(used), out;
  }
  return out;
}

uint64_t number(std::string_view text) {
  uint64_t out = 0;
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

constexpr size_t kMountinfoBytesMax = 4 << 20;

std::string text_of(const std::string& path, size_t bytes_max) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file ? read_all(file.get(), bytes_max) : std::string();
}

std::string link_of(int folder, const char* name) {
  char path[4096];
  const ssize_t size = readlinkat(folder, name, path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

/// proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw". False: the mount is not there.
bool find_mount(std::string_view mountinfo, uint64_t mount, FileFacts& out) {
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    if (number(line) != mount) continue;
    size_t at = line.find(' ');  // id, parent, major:minor
    at = at == std::string_view::npos ? at : line.find(' ', at + 1);
    const size_t colon = at == std::string_view::npos ? at : line.find(':', at);
    const size_t mark = line.find(" - ");
    if (colon == std::string_view::npos || mark == std::string_view::npos) return false;
    out.device = makedev(number(line.substr(at + 1)), number(line.substr(colon + 1)));
    const std::string_view rest = line.substr(mark + 3);
    out.file_system = rest.substr(0, rest.find(' '));
    return true;
  }
  return false;
}

/// Inode and mount of a descriptor of ours.
FileFacts number_of(int fd) {
  const std::string words = text_of(fmt::format("/proc/self/fdinfo/{}", fd), 4'096);
  const size_t ino = words.find("ino:"), mount = words.find("mnt_id:");
  if (ino == std::string::npos || mount == std::string::npos) return {};
  return {.inode = number(std::string_view(words).substr(ino + 4)),
          .mount = number(std::string_view(words).substr(mount + 7))};
}

/// What /proc says of a descriptor of ours; `mountinfo` is that of the namespace it may be mounted in, or else ours.
FileFacts facts_of(int fd, std::string_view mountinfo) {
  FileFacts out = number_of(fd);
  if (out.inode != 0 && !find_mount(mountinfo, out.mount, out))
    find_mount(text_of("/proc/self/mountinfo", kMountinfoBytesMax), out.mount, out);
  return out;
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

std::string Proc::link(const char* name) const { return link_of(folder_.get(), name); }

Executable Proc::executable() const {
  Executable out;
  out.place = UniqueFd(openat(folder_.get(), "exe", O_PATH | O_CLOEXEC));
  if (!out.place) return out;
  out.facts = facts_of(out.place.get(), text("mountinfo", kMountinfoBytesMax));
  out.path = link_of(AT_FDCWD, fmt::format("/proc/self/fd/{}", out.place.get()).c_str());
  return out;
}

bool Proc::still_runs(const Executable& executable) const {
  UniqueFd now(openat(folder_.get(), "exe", O_PATH | O_CLOEXEC));
  const FileFacts facts = now ? number_of(now.get()) : FileFacts();
  return facts.inode != 0 && facts.inode == executable.facts.inode && facts.mount == executable.facts.mount;
}

UniqueFd Executable::open() const {
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", place.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

bool Proc::has_trusted_mounts() const {
  UniqueFd mounts(openat(folder_.get(), "ns/mnt", O_RDONLY | O_CLOEXEC));
  UniqueFd owner(mounts ? ioctl(mounts.get(), NS_GET_USERNS) : -1);
  struct stat theirs {
  }, ours{};
  return owner && fstat(owner.get(), &theirs) == 0 && ::stat("/proc/self/ns/user", &ours) == 0 &&
         theirs.st_ino == ours.st_ino;
}

FileFacts file_at(const std::string& path) {
  struct open_how how {};
  how.flags = O_PATH | O_CLOEXEC;
  // Only names that the kernel knows by heart: a look-up on a file system of a user's own may never end.
  how.resolve = RESOLVE_CACHED | RESOLVE_NO_MAGICLINKS;
  constexpr int kTries = 3;  // it gives up when anything is renamed meanwhile
  for (int i = 0; i < kTries; ++i) {
    UniqueFd file(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
    if (file) return facts_of(file.get(), {});
    if (errno != EAGAIN) break;
  }
  return {};
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
