// SPDX-License-Identifier: Apache-2.0
#include "launch/hide.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <vector>

#include "launch/mounts.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::launch {
namespace {

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr const char* kEmptyFolder = "/run/.covered/folder";
constexpr const char* kEmptyFile = "/run/.covered/file";

/// Folders where daemons put sockets that come and go; covered whole, so that later ones are too.
constexpr const char* kSocketFolders[] = {"/tmp/.X11-unix", "/tmp/.ICE-unix",          "/tmp/tmux-*",
                                          "/tmp/screens",   "/tmp/vscode-*",           "/tmp/ssh-*",
                                          "/var/lib/lxd",   "/var/snap/lxd/common/lxd"};
/// Name servers' files that /etc/resolv.conf may point to, also later.
constexpr const char* kKeptFiles[] = {
    "/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf",   "/run/resolvconf/resolv.conf",
    "/run/NetworkManager/resolv.conf",  "/run/NetworkManager/no-stub-resolv.conf", "/run/connman/resolv.conf"};
/// Written to with uid 0 alone, no capability asked: /proc/sys/kernel/core_pattern runs a program outside.
constexpr const char* kProcReadOnly[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"};

std::string resolved(const std::string& path) {
  std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), ::free);
  return real ? real.get() : "";
}

/// What cannot be looked up here cannot be reached by the command either, which holds no more rights.
bool unreachable(int error) { return error == ENOENT || error == EACCES || error == ENOTDIR || error == ELOOP; }

Result<> make_folders(const std::string& path, mode_t mode) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno(fmt::format("make `{}`", path));
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(fmt::format("chmod `{}`", path));
  return {};
}

Result<> make_file(const std::string& path) {
  if (auto made = make_folders(path.substr(0, path.rfind('/')), 0755); !made) return made;
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file) return fail_errno(fmt::format("make `{}`", path));
  return {};
}

Result<> mount_tmpfs(const std::string& point, const char* options) {
  if (::mount("tmpfs", point.c_str(), "tmpfs", kPlain, options) != 0)
    return fail_errno(fmt::format("mount a tmpfs on `{}`", point));
  return {};
}

Result<> set_read_only(const std::string& point, unsigned flags) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, point.c_str(), flags, &attributes, sizeof attributes) == 0) return {};
  return fail_errno(fmt::format("make `{}` read-only", point), errno == ENOSYS ? "needs Linux 5.12" : "");
}

/// A file below /run that stays visible: cloned before /run is covered, put back after.
struct Kept {
  std::string path;
  UniqueFd tree;
};

class Arrangement {
 public:
  explicit Arrangement(const HideOptions& options) : options_(options) {}
  Result<> arrange();

 private:
  Result<> survey();
  Result<> keep(const std::string& path);
  Result<> keep_files_of_etc();
  Result<> read_sockets();
  Result<> cover_run();
  Result<> cover(const std::string& path);
  Result<> cover_sockets();
  Result<> cover_views();
  Result<> seal_run();
  Result<> close_sys();
  Result<> renew_proc();

  const HideOptions& options_;
  std::vector<Mount> mounts_;
  std::vector<std::string> views_;  ///< of /run, elsewhere
  std::set<std::string> sockets_;   ///< bound Unix sockets outside /run
  std::vector<Kept> kept_;
};

Result<> Arrangement::arrange() {
  // Later mounts of the host still come in; none of ours goes out.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_errno("detach the mount namespace", "an AppArmor or SELinux rule may refuse mounts in user namespaces");
  using Step = Result<> (Arrangement::*)();
  for (Step step : {&Arrangement::survey, &Arrangement::keep_files_of_etc, &Arrangement::read_sockets,
                    &Arrangement::cover_run, &Arrangement::cover_sockets, &Arrangement::cover_views,
                    &Arrangement::seal_run, &Arrangement::close_sys, &Arrangement::renew_proc}) {
    if (auto done = (this->*step)(); !done) return done;
  }
  if (::chdir(options_.working_directory.c_str()) != 0)
    return fail_errno(fmt::format("enter the working directory `{}`", options_.working_directory),
                      "what lies below /run is hidden from agents: start from another folder");
  return {};
}

Result<> Arrangement::survey() {
  auto mounts = read_mounts();
  if (!mounts) return std::unexpected(mounts.error());
  mounts_ = std::move(*mounts);
  views_ = other_views(mounts_, "/run");
  if (const std::string other = resolved("/var/run"); !other.empty() && other != "/run") views_.push_back(other);
  return {};
}

Result<> Arrangement::keep(const std::string& path) {
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) != 0 || !S_ISREG(entry.st_mode)) return {};
  for (const Kept& each : kept_) {
    if (each.path == path) return {};
  }
  Kept file{path,
            UniqueFd(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW))};
  if (!file.tree) return unreachable(errno) ? Result<>{} : fail_errno(fmt::format("keep `{}`", path));
  kept_.push_back(std::move(file));
  return {};
}

Result<> Arrangement::keep_files_of_etc() {
  for (const char* path : kKeptFiles) {
    if (auto done = keep(path); !done) return done;
  }
  std::unique_ptr<DIR, int (*)(DIR*)> etc(::opendir("/etc"), ::closedir);
  while (const dirent* entry = etc ? ::readdir(etc.get()) : nullptr) {
    if (entry->d_type != DT_LNK) continue;
    const std::string target = resolved(fmt::format("/etc/{}", entry->d_name));
    if (!is_below(target, "/run")) continue;
    if (auto done = keep(target); !done) return done;
  }
  return {};
}

/// Every Unix socket bound to a path in this network namespace (proc(5), net/unix).
Result<> Arrangement::read_sockets() {
  std::ifstream file("/proc/net/unix");
  if (!file) return fail("cannot read /proc/net/unix");
  std::string line;
  while (std::getline(file, line)) {
    const size_t slash = line.find(" /");
    if (slash == std::string::npos) continue;
    const std::string path = resolved(line.substr(slash + 1));
    if (!path.empty() && !is_below(path, "/run")) sockets_.insert(path);
  }
  if (const std::string control = resolved(options_.control_socket); !control.empty() && !is_below(control, "/run"))
    sockets_.insert(control);
  if (sockets_.size() > limits::kExecHiddenSocketsMax)
    return fail(fmt::format("more than {} Unix sockets outside /run to hide", limits::kExecHiddenSocketsMax));
  return {};
}

Result<> Arrangement::cover_run() {
  if (auto done = mount_tmpfs("/run", "mode=0755,size=16m,nr_inodes=16k"); !done) return done;
  if (auto done = make_folders(kEmptyFolder, 0555); !done) return done;
  if (auto done = make_file(kEmptyFile); !done) return done;
  const std::string own = fmt::format("/run/user/{}", options_.uid);
  if (auto done = make_folders(own, 0700); !done) return done;
  if (auto done = make_folders("/run/lock", 01777); !done) return done;
  if (::symlink("/dev/shm", "/run/shm") != 0) return fail_errno("make /run/shm");
  for (Kept& file : kept_) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (auto made = make_file(file.path); !made) return made;
    if (::mount_setattr(file.tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0 ||
        ::move_mount(file.tree.get(), "", AT_FDCWD, file.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
      return fail_errno(fmt::format("keep `{}`", file.path), errno == ENOSYS ? "needs Linux 5.12" : "");
  }
  if (options_.uid == 0) return {};
  if (auto done = mount_tmpfs(own, "mode=0700,size=64m,nr_inodes=16k"); !done) return done;
  return mount_tmpfs("/run/lock", "mode=1777,size=5m,nr_inodes=4k");
}

/// Puts something empty over a folder, socket or file.
Result<> Arrangement::cover(const std::string& path) {
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) != 0)
    return unreachable(errno) ? Result<>{} : fail_errno(fmt::format("hide `{}`", path));
  const char* with = S_ISDIR(entry.st_mode) ? kEmptyFolder : kEmptyFile;
  if (::mount(with, path.c_str(), nullptr, MS_BIND, nullptr) == 0 || unreachable(errno)) return {};
  return fail_errno(fmt::format("hide `{}`", path));
}

Result<> Arrangement::cover_sockets() {
  for (const char* pattern : kSocketFolders) {
    glob_t found{};
    if (::glob(pattern, GLOB_NOSORT, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) {
        struct stat entry {};
        if (::lstat(found.gl_pathv[i], &entry) != 0 || !S_ISDIR(entry.st_mode)) continue;
        if (auto done = cover(found.gl_pathv[i]); !done) {
          ::globfree(&found);
          return done;
        }
      }
    }
    ::globfree(&found);
  }
  for (const std::string& path : sockets_) {
    struct stat entry {};
    if (::lstat(path.c_str(), &entry) != 0 || !S_ISSOCK(entry.st_mode)) continue;  // gone, or covered with its folder
    if (auto done = cover(path); !done) return done;
  }
  return {};
}

/// Other ways to see what is hidden: bind mounts of /run, and further mounts of /proc, whose
/// /proc/<pid>/root leads to the host's.
Result<> Arrangement::cover_views() {
  std::vector<std::string> paths = views_;
  for (const Mount& mount : mounts_) {
    const bool kernel_object = mount.type == "bpf" || (mount.type == "proc" && mount.point != "/proc");
    if (kernel_object && !is_below(mount.point, "/run")) paths.push_back(mount.point);
  }
  for (const std::string& path : paths) {
    struct stat entry {};
    if (::lstat(path.c_str(), &entry) != 0 || S_ISREG(entry.st_mode) || S_ISLNK(entry.st_mode)) continue;
    if (auto done = cover(path); !done) return done;
  }
  return {};
}

/// The covers live on without their names.
Result<> Arrangement::seal_run() {
  ::unlink(kEmptyFile);
  ::rmdir(kEmptyFolder);
  ::rmdir("/run/.covered");
  // Root's programs write pid files there.
  return options_.uid == 0 ? Result<>{} : set_read_only("/run", 0);
}

/// cgroup files, and whatever else uid 0 could write below /sys.
Result<> Arrangement::close_sys() {
  if (auto done = set_read_only("/sys", AT_RECURSIVE); !done) return done;
  for (const Mount& mount : mounts_) {
    if (mount.type != "cgroup2" && mount.type != "cgroup" && mount.type != "sysfs") continue;
    if (is_below(mount.point, "/sys") || is_below(mount.point, "/run")) continue;
    if (auto done = set_read_only(mount.point, 0); !done && !unreachable(errno)) return done;
  }
  return {};
}

/// A view of the new pid namespace alone.
Result<> Arrangement::renew_proc() {
  if (::mount("proc", "/proc", "proc", kPlain, nullptr) != 0)
    return fail_errno("mount a /proc of the command's own",
                      "where parts of /proc are masked, as in many containers, this is refused: run on the host");
  for (const char* path : kProcReadOnly) {
    if (::mount(path, path, nullptr, MS_BIND, nullptr) != 0) {
      if (errno == ENOENT) continue;
      return fail_errno(fmt::format("bind `{}`", path));
    }
    if (auto done = set_read_only(path, 0); !done) return done;
  }
  return {};
}

}  // namespace

Result<> hide_ways_out(const HideOptions& options) { return Arrangement(options).arrange(); }

}  // namespace sallyport::launch
