// SPDX-License-Identifier: Apache-2.0
#include "sallyport/control/api.h"

#include <poll.h>

#include <algorithm>

namespace sallyport::control {

bool peer_alive(const Peer& peer) {
  pollfd poll_entry{peer.pidfd, POLLIN, 0};
  return peer.pidfd >= 0 && ::poll(&poll_entry, 1, 0) == 0;  // readable: it has ended
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::viewer:
      return "viewer";
    case Role::operate:
      return "operator";
    case Role::approver:
      return "approver";
    case Role::admin:
      return "admin";
  }
  return "";
}

bool parse_role(std::string_view text, Role& role) {
  for (Role each : {Role::viewer, Role::operate, Role::approver, Role::admin}) {
    if (to_string(each) != text) continue;
    role = each;
    return true;
  }
  return false;
}

bool holds(const Roles& roles, const Peer& peer, Role role) {
  if (peer.uid == 0) return true;
  auto in = [](const auto& list, auto id) { return std::ranges::find(list, id) != list.end(); };
  for (const RoleBinding& binding : roles) {
    const bool enough = binding.role == role || binding.role == Role::admin || role == Role::viewer;
    if (!enough) continue;
    if (in(binding.uids, peer.uid) || in(binding.gids, peer.gid)) return true;
    if (std::ranges::any_of(peer.groups, [&](gid_t gid) { return in(binding.gids, gid); })) return true;
  }
  return false;
}

}  // namespace sallyport::control
