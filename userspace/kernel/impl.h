// SPDX-License-Identifier: Apache-2.0
// What a Kernel holds. Private to this module.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bpf_object.h"
#include "pins.h"
#include "sallyport/abi/kernel.h"
#include "sallyport/kernel/kernel.h"

namespace sallyport::kernel {

struct Kernel::Impl {
  Impl(const Options& options, std::string root) : cgroup_root(std::move(root)), paths(options.pin_dir) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Maps sp_in_flight into memory.
  Result<void> map_in_flight();
  /// Swaps the programs of one pinned cgroup for ours; drops its pins if the cgroup is gone.
  Result<void> take_over(uint64_t cgroup_id);
  Result<void> take_over_tripwire(uint64_t cgroup_id);
  Result<void> check_place(const std::vector<uint64_t>& lineage);
  Result<void> attach(int cgroup_fd, ProgramSet set, const std::string& directory);
  void add(const Enrolment& enrolment, std::vector<uint64_t> lineage);
  void remove(uint64_t cgroup_id);
  bool is_governed(const std::vector<uint64_t>& lineage) const;
  Result<void> write_workload(const Enrolment& enrolment, bool governed);
  Result<uint32_t> free_workload() const;
  Result<void> mark(int listener_fd);

  std::string cgroup_root;
  PinPaths paths;
  BpfObject object;
  MapFds maps;
  sp_in_flight* in_flight = nullptr;  ///< SP_WORKLOADS_MAX slots, shared with the programs

  std::mutex mutex;  ///< guards `enrolled` and the pins
  struct Enrolled {
    Enrolment enrolment;
    std::vector<uint64_t> lineage;  ///< itself first; a cgroup never moves
  };
  std::map<uint64_t, Enrolled> enrolled;  ///< by cgroup id
  std::map<uint64_t, size_t> above;       ///< ancestors of enrolled cgroups -> of how many
  std::set<uint64_t> governed;            ///< cgroup ids
};

/// Copies between the ABI's words and our addresses.
void to_words(const model::IpAddress& address, __u32 (&words_be)[4]);
model::IpAddress from_words(const __u32 (&words_be)[4]);

}  // namespace sallyport::kernel
