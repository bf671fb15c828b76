// SPDX-License-Identifier: Apache-2.0
#include "sallyport/launch/scopes.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>

#include "launch/mounts.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"

namespace sallyport::launch {
namespace {

constexpr std::string_view kScopeSuffix = ".scope";

bool alive(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return pidfd >= 0 && ::poll(&entry, 1, 0) == 0;
}

/// One write(2): the id map and cgroup files take their text whole or not at all.
Result<> write_once(int directory, const std::string& name, std::string_view text) {
  UniqueFd file(::openat(directory, name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return fail_errno(fmt::format("open `{}`", name));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno(fmt::format("write `{}`", name));
  return {};
}

bool valid_agent_name(std::string_view name) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= limits::kAgentNameBytesMax && plain(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-' || c == '_' || c == '.'; });
}

/// "billing-bot-3.scope" -> "billing-bot"; empty when it is no scope's name.
std::string agent_of(std::string_view directory) {
  if (!directory.ends_with(kScopeSuffix)) return {};
  directory.remove_suffix(kScopeSuffix.size());
  const size_t dash = directory.rfind('-');
  return dash == std::string_view::npos ? std::string() : std::string(directory.substr(0, dash));
}

std::vector<std::string> subdirectories(const std::string& directory) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

/// No process in it nor below, as cgroup.events tells; unknown counts as inhabited.
bool empty_cgroup(const std::string& directory) {
  std::ifstream events(directory + "/cgroup.events");
  std::string key;
  int value = 0;
  while (events >> key >> value) {
    if (key == "populated") return value == 0;
  }
  return false;
}

/// rmdir from the leaves up; a cgroup that has a process again says EBUSY.
bool remove_tree(const std::string& directory) {
  for (const std::string& name : subdirectories(directory)) remove_tree(directory + "/" + name);
  return ::rmdir(directory.c_str()) == 0;
}

}  // namespace

Result<std::string> find_cgroup2() {
  const auto mounts = read_mounts();
  if (!mounts) return std::unexpected(mounts.error());
  for (const Mount& mount : *mounts) {
    if (mount.type == "cgroup2" && mount.root == "/") return mount.point;
  }
  return fail("no cgroup2 hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup/unified");
}

Result<Scopes> Scopes::open(std::string cgroup2_root, std::string slice) {
  Scopes scopes;
  scopes.root_ = std::move(cgroup2_root);
  scopes.slice_path_ = "/" + slice;
  const std::string directory = scopes.directory(scopes.slice_path_);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(fmt::format("make cgroup `{}`", directory), "run as root, with cgroup2 mounted writable");
  struct stat entry {};
  if (::stat(directory.c_str(), &entry) != 0) return fail_errno(fmt::format("stat `{}`", directory));
  if (entry.st_uid != 0 || (entry.st_mode & 022) != 0)
    return fail(fmt::format("cgroup `{}` is writable for others than root", directory),
                "remove it, or chown root and chmod 755");
  scopes.slice_id_ = entry.st_ino;
  return scopes;
}

std::string Scopes::directory(std::string_view path) const { return root_ + std::string(path); }

Result<Scope> Scopes::make(std::string_view agent) {
  if (!valid_agent_name(agent)) return fail("the agent's name does not make a cgroup name");
  for (unsigned n = 1; n <= limits::kExecScopesMax; ++n) {
    Scope scope{std::string(agent), fmt::format("{}/{}-{}{}", slice_path_, agent, n, kScopeSuffix), 0};
    if (::mkdir(directory(scope.path).c_str(), 0755) != 0) {
      if (errno == EEXIST) continue;
      return fail_errno(fmt::format("make cgroup `{}`", scope.path));
    }
    struct stat entry {};
    if (::stat(directory(scope.path).c_str(), &entry) != 0) return fail_errno(fmt::format("stat `{}`", scope.path));
    scope.id = entry.st_ino;
    return scope;
  }
  return fail(fmt::format("`{}` already runs {} times", agent, limits::kExecScopesMax), "end some of them");
}

Result<> Scopes::admit(const Scope& scope, const Subject& subject) {
  if (!alive(subject.pidfd)) return fail("the process to be placed has ended");
  UniqueFd cgroup(::open(directory(scope.path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(fmt::format("open cgroup `{}`", scope.path));
  if (auto moved = write_once(cgroup.get(), "cgroup.procs", fmt::format("{}", subject.pid)); !moved)
    return fail_within(fmt::format("move the process to `{}`", scope.path), moved.error());
  // Alive now: the number was the subject's own all the while.
  if (!alive(subject.pidfd)) return fail("the process to be placed has ended");
  return {};
}

void Scopes::sweep(const std::function<void(const Scope&)>& removed, int64_t grace_ms) {
  for (const Scope& scope : list()) {
    const std::string path = directory(scope.path);
    struct stat entry {};
    if (!empty_cgroup(path) || ::stat(path.c_str(), &entry) != 0) continue;
    const int64_t made_ns = entry.st_ctim.tv_sec * kNanosPerSecond + entry.st_ctim.tv_nsec;
    if (read_clocks().wall_ns - made_ns < grace_ms * kNanosPerMilli) continue;
    if (remove_tree(path)) removed(scope);
  }
}

std::vector<Scope> Scopes::list() const {
  std::vector<Scope> scopes;
  for (const std::string& name : subdirectories(directory(slice_path_))) {
    Scope scope{agent_of(name), slice_path_ + "/" + name, 0};
    struct stat entry {};
    if (scope.agent.empty() || ::stat(directory(scope.path).c_str(), &entry) != 0) continue;
    scope.id = entry.st_ino;
    scopes.push_back(std::move(scope));
  }
  std::ranges::sort(scopes, {}, &Scope::path);
  return scopes;
}

Result<> map_identity(const Subject& subject) {
  UniqueFd proc(::open(fmt::format("/proc/{}", subject.pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return fail_errno("open /proc of the process to be placed");
  if (!alive(subject.pidfd)) return fail("the process to be placed has ended");

  std::vector<gid_t> gids = subject.groups;
  gids.push_back(subject.gid);
  std::ranges::sort(gids);
  gids.erase(std::ranges::unique(gids).begin(), gids.end());
  std::string gid_map;
  for (gid_t gid : gids) gid_map += fmt::format("{0} {0} 1\n", gid);
  // user_namespaces(7): 340 lines, and less than a page in all.
  if (gids.size() > limits::kExecGroupsMax + 1 || gid_map.size() >= 4096)
    return fail(fmt::format("uid {} is in too many groups ({}) for an id map", subject.uid, gids.size()));

  // A group can be there to shut somebody out (mode 0705), so none may be dropped.
  if (auto done = write_once(proc.get(), "setgroups", "deny"); !done) return done;
  if (auto done = write_once(proc.get(), "uid_map", fmt::format("{0} {0} 1\n", subject.uid)); !done) return done;
  return write_once(proc.get(), "gid_map", gid_map);
}

}  // namespace sallyport::launch
