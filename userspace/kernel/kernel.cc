// SPDX-License-Identifier: Apache-2.0
#include "sallyport/kernel/kernel.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "impl.h"
#include "mounts.h"

namespace sallyport::kernel {

std::string_view to_string(Level level) {
  switch (level) {
    case Level::observe:
      return "observe";
    case Level::guarded:
      return "guarded";
    case Level::enforce:
      return "enforce";
  }
  return "observe";
}

void to_words(const model::IpAddress& address, __u32 (&words_be)[4]) {
  std::memcpy(words_be, address.bytes.data(), sizeof(words_be));
}

model::IpAddress from_words(const __u32 (&words_be)[4]) {
  model::IpAddress address;
  std::memcpy(address.bytes.data(), words_be, sizeof(words_be));
  return address;
}

Kernel::Kernel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Kernel::~Kernel() = default;

Kernel::Impl::~Impl() {
  if (in_flight != nullptr) munmap(in_flight, sizeof(sp_in_flight) * SP_WORKLOADS_MAX);
}

Result<void> Kernel::Impl::map_in_flight() {
  void* memory =
      mmap(nullptr, sizeof(sp_in_flight) * SP_WORKLOADS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, maps.in_flight, 0);
  if (memory == MAP_FAILED) return fail_errno("map `sp_in_flight` into memory");
  in_flight = static_cast<sp_in_flight*>(memory);
  return {};
}

Result<std::unique_ptr<Kernel>> Kernel::open(const Options& options) {
  if (geteuid() != 0) return fail("the kernel path needs root", "start the daemon as root or from its systemd unit");
  std::string root = options.cgroup_root;
  if (root.empty()) {
    auto found = find_cgroup_root();
    if (!found) return std::unexpected(found.error());
    root = *found;
  }
  if (auto mounted = ensure_bpffs(options.pin_dir); !mounted) return std::unexpected(mounted.error());
  auto impl = std::make_unique<Impl>(options, root);
  if (auto prepared = prepare_pins(impl->paths); !prepared) return std::unexpected(prepared.error());
  auto object = load_object(&impl->paths);
  if (!object) return std::unexpected(object.error());
  impl->object = std::move(*object);
  impl->maps = map_fds_of(*impl->object);
  if (auto mapped = impl->map_in_flight(); !mapped) return std::unexpected(mapped.error());
  auto governed = pinned_cgroups(impl->paths.governed);
  if (!governed) return std::unexpected(governed.error());
  for (uint64_t cgroup_id : *governed)
    if (auto taken = impl->take_over_tripwire(cgroup_id); !taken) return std::unexpected(taken.error());
  auto pinned = pinned_cgroups(impl->paths.cgroups);
  if (!pinned) return std::unexpected(pinned.error());
  for (uint64_t cgroup_id : *pinned)
    if (auto taken = impl->take_over(cgroup_id); !taken) return std::unexpected(taken.error());
  return std::unique_ptr<Kernel>(new Kernel(std::move(impl)));
}

const std::string& Kernel::cgroup_root() const { return impl_->cgroup_root; }

std::vector<Counter> Kernel::counters() {
#define SP_COUNTER_NAME(name) #name,
  static constexpr const char* kNames[] = {SP_COUNTERS(SP_COUNTER_NAME)};
#undef SP_COUNTER_NAME
  std::vector<uint64_t> per_cpu(std::max(1, libbpf_num_possible_cpus()));
  std::vector<Counter> result;
  for (uint32_t index = 0; index < SP_COUNTER_COUNT; ++index) {
    uint64_t sum = 0;
    if (bpf_map_lookup_elem(impl_->maps.counters, &index, per_cpu.data()) == 0)
      for (uint64_t value : per_cpu) sum += value;
    result.push_back({kNames[index], sum});
  }
  return result;
}

}  // namespace sallyport::kernel
