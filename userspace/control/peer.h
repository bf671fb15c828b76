// SPDX-License-Identifier: Apache-2.0
// Names the process at the other end of a Unix socket.
#pragma once

#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/control/api.h"

namespace sallyport::control {

/// A Peer with its pidfd's owner.
struct IdentifiedPeer {
  Peer peer;
  UniqueFd pidfd;
};

/// Call it at once after accept: before Linux 6.5 (SO_PEERPIDFD) the pid is turned into a pidfd here,
/// and the uid compared, to find out whether it was reused in between.
Result<IdentifiedPeer> identify_peer(int socket);

/// The cgroup2 path in the text of a /proc/<pid>/cgroup; empty when there is none.
std::string_view cgroup2_path_of(std::string_view proc_cgroup);

/// True when `path` is the slice or below it, or cannot be told (outside our view, or removed).
bool in_slice_or_unknown(std::string_view path);

}  // namespace sallyport::control
