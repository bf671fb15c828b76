// SPDX-License-Identifier: Apache-2.0
// Cgroup directories by descriptor and id; no path is trusted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::kernel {

/// The cgroup directory with this id; fails with ESTALE text when it is gone.
Result<UniqueFd> open_cgroup_by_id(const std::string& cgroup_root, uint64_t cgroup_id);

/// The cgroup that we ourselves run in.
Result<UniqueFd> open_own_cgroup(const std::string& cgroup_root);

/// Ids of a cgroup and its ancestors, itself first, the root last.
Result<std::vector<uint64_t>> lineage_of(const std::string& cgroup_root, int cgroup_fd);

}  // namespace sallyport::kernel
