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
#include "sallyport/base/limits.h"

namespace sallyport::kernel {
namespace {

sp_workload to_abi(const Enrolment& enrolment) {
  const EnrolOptions& options = enrolment.options;
  sp_workload workload{};
  workload.cgroup_id = enrolment.cgroup_id;
  workload.netns_cookie = options.listener.netns_cookie;
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
  return {.cgroup_id = cgroup_id, .workload = workload.index, .options = options};
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

}  // namespace

Result<void> Kernel::Impl::take_over(uint64_t cgroup_id) {
  for (const auto& [name, program] : programs_of(*object)) {
    std::string path = paths.cgroup(cgroup_id) + "/" + name;
    if (!exists(path)) continue;  // killed while enrolling: the value is not ready, all is refused
    auto link = open_link(path);
    if (!link) return std::unexpected(link.error());
    if (!*link) return remove_links(paths.cgroup(cgroup_id));
    if (int error = bpf_link__update_program(link->get(), program))
      return fail(fmt::format("swap the program of `{}`: {}", path, strerror(-error)));
  }
  sp_workload workload{};
  if (bpf_map_lookup_elem(maps.workloads, &cgroup_id, &workload) != 0) {
    if (errno != ENOENT) return fail_errno(fmt::format("read the workload of cgroup {}", cgroup_id));
    return remove_links(paths.cgroup(cgroup_id));  // not one program was attached yet
  }
  if (workload.flags & SP_WORKLOAD_READY) enrolled[cgroup_id] = from_abi(cgroup_id, workload);
  return {};
}

Result<void> Kernel::Impl::check_place(int cgroup_fd, uint64_t cgroup_id) {
  auto lineage = lineage_of(cgroup_root, cgroup_fd);
  if (!lineage) return std::unexpected(lineage.error());
  if (lineage->size() == 1) return fail("the root cgroup cannot be enrolled", "make a cgroup for the agent");
  for (uint64_t ancestor : std::span(*lineage).subspan(1))
    if (enrolled.contains(ancestor))
      return fail(fmt::format("cgroup {} lies inside enrolled cgroup {}", cgroup_id, ancestor),
                  "an agent inside an agent is that agent; enrol cgroups beside each other");
  auto own = open_own_cgroup(cgroup_root);
  if (!own) return std::unexpected(own.error());
  auto ours = lineage_of(cgroup_root, own->get());
  if (!ours) return std::unexpected(ours.error());
  if (std::ranges::find(*ours, cgroup_id) != ours->end())
    return fail(fmt::format("cgroup {} holds the daemon itself", cgroup_id), "run the daemon in a cgroup of its own");
  for (const auto& [other, enrolment] : enrolled) {
    auto fd = other == cgroup_id ? Result<UniqueFd>(fail("")) : open_cgroup_by_id(cgroup_root, other);
    auto above = fd ? lineage_of(cgroup_root, fd->get()) : Result<std::vector<uint64_t>>(fail(""));
    if (above && std::ranges::find(*above, cgroup_id) != above->end())
      return fail(fmt::format("cgroup {} lies around enrolled cgroup {}", cgroup_id, other),
                  "an agent inside an agent is that agent; enrol cgroups beside each other");
  }
  return {};
}

Result<void> Kernel::Impl::attach(int cgroup_fd, uint64_t cgroup_id) {
  std::string directory = paths.cgroup(cgroup_id);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(fmt::format("make `{}`", directory));
  for (const auto& [name, program] : programs_of(*object)) {
    std::string path = directory + "/" + name;
    if (exists(path)) continue;
    BpfLink link(bpf_program__attach_cgroup(program, cgroup_fd));
    if (!link)
      return fail_errno(fmt::format("attach `{}` to cgroup {}", name, cgroup_id),
                        errno == EPERM ? "a program without BPF_F_ALLOW_MULTI on a parent cgroup bars others: "
                                         "`bpftool cgroup tree` shows it"
                                       : "");
    if (int error = bpf_link__pin(link.get(), path.c_str()))
      return fail(fmt::format("pin `{}`: {}", path, strerror(-error)));
  }
  return {};
}

Result<void> Kernel::Impl::write_workload(const Enrolment& enrolment) {
  sp_workload workload = to_abi(enrolment);
  if (bpf_map_update_elem(maps.workloads, &enrolment.cgroup_id, &workload, BPF_EXIST) != 0)
    return fail_errno(fmt::format("write the workload of cgroup {}", enrolment.cgroup_id));
  return {};
}

Result<uint32_t> Kernel::Impl::free_workload() const {
  std::vector<bool> used(enrolled.size() + 1);
  for (const auto& [id, enrolment] : enrolled)
    if (enrolment.workload < used.size()) used[enrolment.workload] = true;
  auto index = static_cast<uint32_t>(std::ranges::find(used, false) - used.begin());
  if (index >= SP_WORKLOADS_MAX) return fail(fmt::format("{} cgroups are enrolled already", SP_WORKLOADS_MAX));
  return index;
}

Result<Enrolment> Kernel::enrol(int cgroup_fd, const EnrolOptions& options) {
  auto cgroup_id = cgroup_id_of(cgroup_fd);
  if (!cgroup_id) return std::unexpected(cgroup_id.error());
  if (options.listener.port == 0 || options.listener.netns_cookie == 0) return fail("enrol without a listener");
  std::lock_guard lock(impl_->mutex);
  if (auto place = impl_->check_place(cgroup_fd, *cgroup_id); !place) return std::unexpected(place.error());
  auto known = impl_->enrolled.find(*cgroup_id);
  bool fresh = known == impl_->enrolled.end();
  auto index = fresh ? impl_->free_workload() : known->second.workload;
  if (!index) return std::unexpected(index.error());
  Enrolment enrolment{.cgroup_id = *cgroup_id, .workload = *index, .options = options};
  if (enrolment.options.flow_quota == 0) enrolment.options.flow_quota = limits::kKernelFlowQuota;
  auto done = impl_->attach(cgroup_fd, *cgroup_id);
  if (done) done = impl_->write_workload(enrolment);
  if (!done) {
    if (fresh) (void)remove_links(impl_->paths.cgroup(*cgroup_id));
    return std::unexpected(done.error());
  }
  impl_->enrolled[*cgroup_id] = enrolment;
  return enrolment;
}

Result<void> Kernel::withdraw(uint64_t cgroup_id) {
  std::lock_guard lock(impl_->mutex);
  impl_->enrolled.erase(cgroup_id);
  sp_workload refused{};  // while the programs go one by one, what is left refuses
  (void)bpf_map_update_elem(impl_->maps.workloads, &cgroup_id, &refused, BPF_EXIST);
  return remove_links(impl_->paths.cgroup(cgroup_id));
}

Result<std::vector<Enrolment>> Kernel::enrolments() {
  std::lock_guard lock(impl_->mutex);
  std::vector<Enrolment> alive;
  for (auto it = impl_->enrolled.begin(); it != impl_->enrolled.end();) {
    if (open_cgroup_by_id(impl_->cgroup_root, it->first)) {
      alive.push_back(it++->second);
      continue;
    }
    if (auto removed = remove_links(impl_->paths.cgroup(it->first)); !removed) return std::unexpected(removed.error());
    it = impl_->enrolled.erase(it);
  }
  return alive;
}

}  // namespace sallyport::kernel
