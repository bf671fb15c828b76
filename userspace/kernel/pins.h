// SPDX-License-Identifier: Apache-2.0
// The layout of our directory on bpffs:
//
//   PIN_DIR/v2/maps/sp_flows …                  maps, shared by all programs of this ABI version
//   PIN_DIR/v2/cgroups/CGROUP_ID/sp_connect4 …  links: one program each, attached to that cgroup
//   PIN_DIR/v2/governed/CGROUP_ID/sp_tripwire_… the like of governed cgroups
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::kernel {

struct PinPaths {
  explicit PinPaths(const std::string& pin_dir);
  std::string base;     ///< PIN_DIR
  std::string version;  ///< PIN_DIR/v2
  std::string maps;
  std::string cgroups;
  std::string governed;

  std::string cgroup(uint64_t cgroup_id) const;
  std::string tripwire(uint64_t cgroup_id) const;
};

/// Makes the directories (0700) and refuses pins of another ABI version.
Result<void> prepare_pins(const PinPaths& paths);

/// Ids of the cgroups that have pinned links: the names in `directory`, paths.cgroups or paths.governed.
Result<std::vector<uint64_t>> pinned_cgroups(const std::string& directory);

/// Detaches the links pinned in a cgroup's directory, at once, and removes it. Absent: no error.
Result<void> remove_links(const std::string& directory);

}  // namespace sallyport::kernel
