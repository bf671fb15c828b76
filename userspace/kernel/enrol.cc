// SPDX-License-Identifier: Apache-2.0
// Enrolment: which cgroups carry our programs, and what the programs know of them.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "cgroup.h"
#include "impl.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::kernel {
namespace {

sp_workload to_abi(const Enrolment& enrolment) {
  const EnrolOptions& options = enrolment.options;
  sp_workload workload{};
  workload.cgroup_id = enrolment.cgroup_id;
  workload.netns_cookie = options.listener.netns_cookie;
  workload.birth_ns = enrolment.birth_ns;
  workload.flags = SP_WORKLOAD_READY | SP_WORKLOAD_UDP_PASS;
  if (options.level != Level::observe) workload.flags |= SP_WORKLOAD_GUARD;
  if (options.divert_loopback) workload.flags |= SP_WORKLOAD_DIVERT_LOOPBACK;
  workload.index = enrolment.workload;
  workload.flow_quota = options.flow_quota;
  workload.tcp_port_be = htons(options.listener.port);
  to_words(options.listener.source_v4, workload.source_v4_be);
  to_words(options.listener.source_v6, workload.source_v6_be);
  return workload;
}

Enrolment from_abi(uint64_t cgroup_id, const sp_workload& workload) {
  EnrolOptions options;
  options.listener = {.port = ntohs(workload.tcp_port_be),
                      .netns_cookie = workload.netns_cookie,
                      .source_v4 = from_words(workload.source_v4_be),
                      .source_v6 = from_words(workload.source_v6_be)};
  options.level = workload.flags & SP_WORKLOAD_GUARD ? Level::guarded : Level::observe;
  options.divert_loopback = workload.flags & SP_WORKLOAD_DIVERT_LOOPBACK;
  options.flow_quota = workload.flow_quota;
  return {.cgroup_id = cgroup_id, .workload = workload.index, .birth_ns = workload.birth_ns, .options = options};
}

/// A link pinned here; null when the cgroup under it is gone.
Result<BpfLink> open_link(const std::string& path) {
  BpfLink link(bpf_link__open(path.c_str()));
  if (!link) return fail_errno(fmt::format("open pinned link `{}`", path));
  bpf_link_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(bpf_link__fd(link.get()), &info, &size) != 0)
    return fail_errno(fmt::format("look at pinned link `{}`", path));
  if (info.cgroup.cgroup_id == 0) link.reset();
  return link;
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/// Swaps the programs of the links pinned in `directory`; false when the cgroup under them is gone.
Result<bool> swap_programs(const sallyport_bpf& object, ProgramSet set, const std::string& directory) {
  for (const auto& [name, program] : programs_of(object, set)) {
    std::string path = directory + "/" + name;
    if (!exists(path)) continue;  // killed while attaching: whoever needs it attaches it again
    auto link = open_link(path);
    if (!link) return std::unexpected(link.error());
    if (!*link) return false;
    if (int error = bpf_link__update_program(link->get(), program))
      return fail(fmt::format("swap the program of `{}`: {}", path, strerror(-error)));
  }
  return true;
}

}  // namespace

Result<void> Kernel::Impl::take_over(uint64_t cgroup_id) {
  auto there = swap_programs(*object, ProgramSet::agent, paths.cgroup(cgroup_id));
  if (!there) return std::unexpected(there.error());
  if (!*there) return remove_links(paths.cgroup(cgroup_id));
  sp_workload workload{};
  if (bpf_map_lookup_elem(maps.workloads, &cgroup_id, &workload) != 0) {
    if (errno != ENOENT) return fail_errno(fmt::format("read the workload of cgroup {}", cgroup_id));
    return remove_links(paths.cgroup(cgroup_id));  // not one program was attached yet
  }
  if (!(workload.flags & SP_WORKLOAD_READY)) return {};
  auto cgroup = open_cgroup_by_id(cgroup_root, cgroup_id);
  auto lineage = cgroup ? lineage_of(cgroup_root, cgroup->get()) : std::unexpected(cgroup.error());
  if (!lineage) return remove_links(paths.cgroup(cgroup_id));  // it went just now
  add(from_abi(cgroup_id, workload), std::move(*lineage));
  return {};
}

Result<void> Kernel::Impl::take_over_tripwire(uint64_t cgroup_id) {
  auto there = swap_programs(*object, ProgramSet::tripwire, paths.tripwire(cgroup_id));
  if (!there) return std::unexpected(there.error());
  if (!*there) return remove_links(paths.tripwire(cgroup_id));
  governed.insert(cgroup_id);
  return {};
}

void Kernel::Impl::add(const Enrolment& enrolment, std::vector<uint64_t> lineage) {
  const auto [at, fresh] = enrolled.try_emplace(enrolment.cgroup_id);
  at->second.enrolment = enrolment;
  if (!fresh) return;
  at->second.lineage = std::move(lineage);
  for (uint64_t ancestor : std::span(at->second.lineage).subspan(1)) ++above[ancestor];
}

void Kernel::Impl::remove(uint64_t cgroup_id) {
  const auto found = enrolled.find(cgroup_id);
  if (found == enrolled.end()) return;
  for (uint64_t ancestor : std::span(found->second.lineage).subspan(1))
    if (auto at = above.find(ancestor); --at->second == 0) above.erase(at);
  enrolled.erase(found);
}

bool Kernel::Impl::is_governed(const std::vector<uint64_t>& lineage) const {
  return std::ranges::any_of(lineage, [&](uint64_t id) { return governed.contains(id); });
}

Result<void> Kernel::Impl::check_place(const std::vector<uint64_t>& lineage) {
  const uint64_t cgroup_id = lineage.front();
  if (lineage.size() == 1) return fail("the root cgroup cannot be enrolled", "make a cgroup for the agent");
  for (uint64_t ancestor : std::span(lineage).subspan(1))
    if (enrolled.contains(ancestor))
      return fail(fmt::format("cgroup {} lies inside enrolled cgroup {}", cgroup_id, ancestor),
                  "an agent inside an agent is that agent; enrol cgroups beside each other");
  auto own = open_own_cgroup(cgroup_root);
  if (!own) return std::unexpected(own.error());
  auto ours = lineage_of(cgroup_root, own->get());
  if (!ours) return std::unexpected(ours.error());
  if (std::ranges::find(*ours, cgroup_id) != ours->end())
    return fail(fmt::format("cgroup {} holds the daemon itself", cgroup_id), "run the daemon in a cgroup of its own");
  if (above.contains(cgroup_id))
    return fail(fmt::format("cgroup {} lies around an enrolled cgroup", cgroup_id),
                "an agent inside an agent is that agent; enrol cgroups beside each other");
  return {};
}

Result<void> Kernel::Impl::attach(int cgroup_fd, ProgramSet set, const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(fmt::format("make `{}`", directory));
  for (const auto& [name, program] : programs_of(*object, set)) {
    std::string path = directory + "/" + name;
    if (exists(path)) continue;
    BpfLink link(bpf_program__attach_cgroup(program, cgroup_fd));
    if (!link)
      return fail_errno(fmt::format("attach `{}` to a cgroup", name),
                        errno == EPERM ? "a program without BPF_F_ALLOW_MULTI on a parent cgroup bars others: "
                                         "`bpftool cgroup tree` shows it"
                                       : "");
    if (int error = bpf_link__pin(link.get(), path.c_str()))
      return fail(fmt::format("pin `{}`: {}", path, strerror(-error)));
  }
  return {};
}

Result<void> Kernel::Impl::write_workload(const Enrolment& enrolment, bool governed) {
  sp_workload workload = to_abi(enrolment);
  if (governed) workload.flags |= SP_WORKLOAD_GOVERNED;
  if (bpf_map_update_elem(maps.workloads, &enrolment.cgroup_id, &workload, BPF_EXIST) != 0)
    return fail_errno(fmt::format("write the workload of cgroup {}", enrolment.cgroup_id));
  return {};
}

Result<uint32_t> Kernel::Impl::free_workload() const {
  std::vector<bool> used(enrolled.size() + 1);
  for (const auto& [id, each] : enrolled)
    if (each.enrolment.workload < used.size()) used[each.enrolment.workload] = true;
  auto index = static_cast<uint32_t>(std::ranges::find(used, false) - used.begin());
  if (index >= SP_WORKLOADS_MAX) return fail(fmt::format("{} cgroups are enrolled already", SP_WORKLOADS_MAX));
  return index;
}

Result<Enrolment> Kernel::enrol(int cgroup_fd, const EnrolOptions& options) {
  auto cgroup_id = cgroup_id_of(cgroup_fd);
  if (!cgroup_id) return std::unexpected(cgroup_id.error());
  if (options.listener.port == 0 || options.listener.netns_cookie == 0) return fail("enrol without a listener");
  auto lineage = lineage_of(impl_->cgroup_root, cgroup_fd);
  if (!lineage) return std::unexpected(lineage.error());
  std::lock_guard lock(impl_->mutex);
  if (auto place = impl_->check_place(*lineage); !place) return std::unexpected(place.error());
  auto known = impl_->enrolled.find(*cgroup_id);
  bool fresh = known == impl_->enrolled.end();
  auto index = fresh ? impl_->free_workload() : known->second.enrolment.workload;
  if (!index) return std::unexpected(index.error());
  Enrolment enrolment{.cgroup_id = *cgroup_id, .workload = *index, .options = options};
  enrolment.birth_ns = fresh ? static_cast<uint64_t>(read_clocks().monotonic_ns) : known->second.enrolment.birth_ns;
  if (enrolment.options.flow_quota == 0) enrolment.options.flow_quota = limits::kKernelFlowQuota;
  auto done = impl_->attach(cgroup_fd, ProgramSet::agent, impl_->paths.cgroup(*cgroup_id));
  if (done) done = impl_->write_workload(enrolment, impl_->is_governed(*lineage));
  if (!done) {
    if (fresh) (void)remove_links(impl_->paths.cgroup(*cgroup_id));
    return std::unexpected(done.error());
  }
  impl_->add(enrolment, std::move(*lineage));
  return enrolment;
}

Result<void> Kernel::withdraw(uint64_t cgroup_id) {
  std::lock_guard lock(impl_->mutex);
  impl_->remove(cgroup_id);
  sp_workload refused{};  // while the programs go one by one, what is left refuses
  (void)bpf_map_update_elem(impl_->maps.workloads, &cgroup_id, &refused, BPF_EXIST);
  return remove_links(impl_->paths.cgroup(cgroup_id));
}

Result<void> Kernel::govern(int cgroup_fd) {
  auto lineage = lineage_of(impl_->cgroup_root, cgroup_fd);
  if (!lineage) return std::unexpected(lineage.error());
  if (lineage->size() == 1) return fail("the root cgroup cannot be governed", "name the cgroups that hold agents");
  const uint64_t cgroup_id = lineage->front();
  std::lock_guard lock(impl_->mutex);
  // Those below leave their word before anybody asks for it.
  impl_->governed.insert(cgroup_id);
  for (const auto& [id, each] : impl_->enrolled)
    if (impl_->is_governed(each.lineage))
      if (auto told = impl_->write_workload(each.enrolment, true); !told) spdlog::debug("{}", told.error().what);
  auto done = impl_->attach(cgroup_fd, ProgramSet::tripwire, impl_->paths.tripwire(cgroup_id));
  if (!done) {
    impl_->governed.erase(cgroup_id);
    (void)remove_links(impl_->paths.tripwire(cgroup_id));
  }
  return done;
}

Result<void> Kernel::ungovern(uint64_t cgroup_id) {
  std::lock_guard lock(impl_->mutex);
  impl_->governed.erase(cgroup_id);
  return remove_links(impl_->paths.tripwire(cgroup_id));
}

std::vector<uint64_t> Kernel::governed() {
  std::lock_guard lock(impl_->mutex);
  return {impl_->governed.begin(), impl_->governed.end()};
}

Result<std::vector<Enrolment>> Kernel::enrolments() {
  std::lock_guard lock(impl_->mutex);
  std::vector<Enrolment> alive;
  std::vector<uint64_t> gone;
  for (const auto& [id, each] : impl_->enrolled) {
    if (open_cgroup_by_id(impl_->cgroup_root, id)) {
      alive.push_back(each.enrolment);
    } else {
      gone.push_back(id);
    }
  }
  for (uint64_t id : gone) {
    if (auto removed = remove_links(impl_->paths.cgroup(id)); !removed) return std::unexpected(removed.error());
    impl_->remove(id);
  }
  return alive;
}

}  // namespace sallyport::kernel
