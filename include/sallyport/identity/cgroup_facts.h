// SPDX-License-Identifier: Apache-2.0
// What the path of a cgroup proves. Pure: a text in, facts out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sallyport/model/principal.h"

namespace sallyport::identity {

/// Where runtimes may be anchored beside their known places.
struct Anchors {
  /// kubelet's `--cgroup-root`, "/kubelet" (kind's) for example. The root itself always counts.
  std::vector<std::string> kubelet_roots = {"/kubelet"};
};

/// Reads `path` ("/system.slice/docker-….scope", from the cgroup2 root) from the root down: each element counts only
/// behind those that the runtime itself puts above it, and the first one of container level fixes the identity. Never
/// fails: what is not known is `other`; a malformed path (relative, empty or `..` elements, control bytes, longer than
/// limits::kCgroupPathBytesMax) has an empty `identity`, which nothing may match.
model::CgroupFacts read_cgroup_path(std::string_view path, const Anchors& anchors = {});

}  // namespace sallyport::identity
