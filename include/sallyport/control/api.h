// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the control API (docs/control-api.md): who asks, what for, who may.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::control {

inline constexpr std::string_view kDefaultSocket = "/run/sallyport/control.sock";

/// Agents made by `exec` live in `<cgroup2 root>/sallyport.slice/<agent>-<n>.scope`.
inline constexpr std::string_view kSlice = "sallyport.slice";

/// The process at the other end of one connection, as the kernel names it (SO_PEERCRED, SO_PEERGROUPS),
/// held by pidfd, so that its number cannot come to mean another process unnoticed. Valid only inside
/// the call it is handed to.
struct Peer {
  pid_t pid = 0;   ///< in the daemon's pid namespace
  int pidfd = -1;  ///< borrowed; see peer_alive()
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< supplementary
  std::string user;           ///< name of uid, or its digits
  std::string cgroup_path;    ///< in the cgroup2 hierarchy, from its root: "/", "/user.slice/…"
};

/// False once the peer has ended. What was read from /proc/<pid> before this said true is the peer's.
bool peer_alive(const Peer& peer);

/// What a peer may do beside `exec`, which policy decides. admin may everything; the others only their
/// own and what viewer may.
enum class Role : uint8_t { viewer, operate, approver, admin };
std::string_view to_string(Role role);
/// "viewer", "operator", "approver", "admin"
bool parse_role(std::string_view text, Role& role);

/// Who holds a role: any of the uids, or of the gids (primary or supplementary).
struct RoleBinding {
  Role role = Role::viewer;
  std::vector<uid_t> uids;
  std::vector<gid_t> gids;
};

/// uid 0 is admin without being listed.
using Roles = std::vector<RoleBinding>;
bool holds(const Roles& roles, const Peer& peer, Role role);

/// POST /v1/exec: turn the peer itself into the agent.
struct ExecRequest {
  std::string agent;
  /// The peer is the first process of a user namespace of its own that has no id map yet: write one,
  /// of the peer's own uid and gids and nothing else (launch::map_identity).
  bool map_identity = false;
  /// Where the agent's token is: absolute, as the peer sees it, read with the peer's permissions. Empty: where the
  /// Agent's `token.file` says.
  std::string token_file;
};

struct ExecGrant {
  std::string agent;
  std::string cgroup_path;  ///< from the cgroup2 root
  uint64_t cgroup_id = 0;
  std::string level;  ///< "enforce", "guarded", "observe"
  /// Rings may be made. A ring can create sockets past the seccomp filter; at `enforce` the kernel
  /// half sees those too, at `guarded` families other than IPv4 and IPv6 stay open (docs/exec.md).
  bool io_uring = true;
};

/// GET /v1/sessions?agent=&target=&limit=
struct SessionQuery {
  std::string agent;   ///< empty: all
  std::string target;  ///< empty: all
  uint32_t limit = 100;
};

}  // namespace sallyport::control
