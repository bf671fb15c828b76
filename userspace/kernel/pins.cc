// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "bpf_object.h"
#include "mounts.h"
#include "sallyport/abi/kernel.h"
#include "sallyport/kernel/kernel.h"

namespace sallyport::kernel {
namespace fs = std::filesystem;

PinPaths::PinPaths(const std::string& pin_dir)
    : base(pin_dir),
      version(fmt::format("{}/v{}", pin_dir, SP_ABI_VERSION)),
      maps(version + "/maps"),
      cgroups(version + "/cgroups"),
      governed(version + "/governed") {}

std::string PinPaths::cgroup(uint64_t cgroup_id) const { return fmt::format("{}/{}", cgroups, cgroup_id); }
std::string PinPaths::tripwire(uint64_t cgroup_id) const { return fmt::format("{}/{}", governed, cgroup_id); }

Result<void> prepare_pins(const PinPaths& paths) {
  for (const auto* path : {&paths.base, &paths.version, &paths.maps, &paths.cgroups, &paths.governed})
    if (mkdir(path->c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(fmt::format("make `{}`", *path));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(paths.base, error))
    if (entry.path() != paths.version)
      return fail(fmt::format("`{}` was pinned by another version of sallyport", entry.path().string()),
                  "drain its agents and remove that directory, or run that version");
  if (error) return fail(fmt::format("list `{}`: {}", paths.base, error.message()));
  return {};
}

Result<std::vector<uint64_t>> pinned_cgroups(const std::string& directory) {
  std::vector<uint64_t> ids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    std::string name = entry.path().filename();
    uint64_t id = 0;
    auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) ids.push_back(id);
  }
  if (error) return fail(fmt::format("list `{}`: {}", directory, error.message()));
  return ids;
}

Result<void> remove_links(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    BpfLink link(bpf_link__open(entry.path().c_str()));
    // Only unlinking would detach too, but some time later. BPF_LINK_DETACH came with 5.9.
    if (link) (void)bpf_link__detach(link.get());
  }
  if (error == std::errc::no_such_file_or_directory) return {};
  if (!error) fs::remove_all(directory, error);
  if (error) return fail(fmt::format("remove `{}`: {}", directory, error.message()));
  return {};
}

Result<void> remove_pins(const std::string& pin_dir) {
  std::error_code error;
  if (!fs::exists(pin_dir, error)) return {};
  if (!on_bpffs(pin_dir)) return fail(fmt::format("`{}` is not on a bpf file system", pin_dir));
  PinPaths paths(pin_dir);
  for (const std::string& links : {paths.cgroups, paths.governed}) {
    if (!fs::exists(links, error)) continue;
    auto pinned = pinned_cgroups(links);
    if (!pinned) return std::unexpected(pinned.error());
    for (uint64_t cgroup_id : *pinned)
      if (auto removed = remove_links(fmt::format("{}/{}", links, cgroup_id)); !removed) return removed;
  }
  fs::remove_all(pin_dir, error);
  if (error) return fail(fmt::format("remove `{}`: {}", pin_dir, error.message()));
  return {};
}

}  // namespace sallyport::kernel
