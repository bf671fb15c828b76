// SPDX-License-Identifier: Apache-2.0
#include "control/peer.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace sallyport::control {
namespace {

#ifndef SO_PEERPIDFD
constexpr int kSoPeerPidfd = 77;  // Linux 6.5
#else
constexpr int kSoPeerPidfd = SO_PEERPIDFD;
#endif

constexpr size_t kProcFileBytesMax = 64 << 10;

Result<std::string> read_at(int directory, const char* name) {
  UniqueFd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(fmt::format("open {} of the peer", name));
  std::string text(kProcFileBytesMax, '\0');
  size_t used = 0;
  while (used < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + used, text.size() - used);
    if (count < 0) return fail_errno(fmt::format("read {} of the peer", name));
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  text.resize(used);
  return text;
}

/// Effective uid in a /proc/<pid>/status ("Uid:\treal\teffective\t…"), or -1.
uid_t effective_uid(std::string_view status) {
  const size_t line = status.find("\nUid:\t");
  if (line == std::string_view::npos) return static_cast<uid_t>(-1);
  std::string_view rest = status.substr(line + 6);
  rest.remove_prefix(std::min(rest.size(), rest.find('\t') + 1));
  uid_t uid = static_cast<uid_t>(-1);
  std::from_chars(rest.data(), rest.data() + rest.size(), uid);
  return uid;
}

Result<std::vector<gid_t>> peer_groups(int socket) {
  std::vector<gid_t> groups(64);
  for (;;) {
    socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0) {
      groups.resize(bytes / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE) return fail_errno("SO_PEERGROUPS");
    groups.resize(bytes / sizeof(gid_t));
  }
}

std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16 << 10, '\0');
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("{}", uid);
}

}  // namespace

std::string_view cgroup2_path_of(std::string_view proc_cgroup) {
  while (!proc_cgroup.empty()) {
    const size_t end = proc_cgroup.find('\n');
    std::string_view line = proc_cgroup.substr(0, end);
    if (line.starts_with("0::")) return line.substr(3);
    if (end == std::string_view::npos) break;
    proc_cgroup.remove_prefix(end + 1);
  }
  return {};
}

bool in_slice_or_unknown(std::string_view path) {
  if (!path.starts_with('/') || path.starts_with("/..") || path.ends_with(" (deleted)")) return true;
  path.remove_prefix(1);
  return path.starts_with(kSlice) && (path.size() == kSlice.size() || path[kSlice.size()] == '/');
}

Result<IdentifiedPeer> identify_peer(int socket) {
  IdentifiedPeer found;
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return fail_errno("SO_PEERCRED");
  if (credentials.pid <= 0) return fail("the peer is in another pid namespace");
  int pidfd = -1;
  bytes = sizeof pidfd;
  const bool exact = ::getsockopt(socket, SOL_SOCKET, kSoPeerPidfd, &pidfd, &bytes) == 0;
  if (!exact) pidfd = static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0));
  if (pidfd < 0) return fail_errno("open the peer's pidfd");
  found.pidfd.reset(pidfd);
  Peer& peer = found.peer;
  peer.pid = credentials.pid;
  peer.pidfd = pidfd;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;

  auto groups = peer_groups(socket);
  if (!groups) return std::unexpected(groups.error());
  peer.groups = std::move(*groups);

  UniqueFd proc(::open(fmt::format("/proc/{}", peer.pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return fail_errno("open /proc of the peer");
  auto cgroup = read_at(proc.get(), "cgroup");
  if (!cgroup) return std::unexpected(cgroup.error());
  if (!exact) {
    auto status = read_at(proc.get(), "status");
    if (!status) return std::unexpected(status.error());
    if (effective_uid(*status) != peer.uid) return fail("the peer's pid means another process by now");
  }
  if (!peer_alive(peer)) return fail("the peer has ended");  // so what was read may be a successor's
  peer.cgroup_path = cgroup2_path_of(*cgroup);
  peer.user = user_name(peer.uid);
  return found;
}

}  // namespace sallyport::control
