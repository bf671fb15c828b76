// SPDX-License-Identifier: Apache-2.0
// What a Kernel holds. Private to this module.
#pragma once

#include <map>
#include <mutex>
#include <string>

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
  Result<void> check_place(int cgroup_fd, uint64_t cgroup_id);
  Result<void> attach(int cgroup_fd, uint64_t cgroup_id);
  Result<void> write_workload(const Enrolment& enrolment);
  Result<uint32_t> free_workload() const;
  Result<void> mark(int listener_fd);

  std::string cgroup_root;
  PinPaths paths;
  BpfObject object;
  MapFds maps;
  sp_in_flight* in_flight = nullptr;  ///< SP_WORKLOADS_MAX slots, shared with the programs

  std::mutex mutex;                        ///< guards `enrolled` and the pins
  std::map<uint64_t, Enrolment> enrolled;  ///< by cgroup id
};

/// Copies between the ABI's words and our addresses.
void to_words(const model::IpAddress& address, __u32 (&words_be)[4]);
model::IpAddress from_words(const __u32 (&words_be)[4]);

}  // namespace sallyport::kernel
