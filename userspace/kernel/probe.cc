// SPDX-License-Identifier: Apache-2.0
// What this machine offers to the kernel path, for `sallyport doctor` and for the daemon's start.
#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bpf_object.h"
#include "mounts.h"
#include "sallyport/kernel/kernel.h"
#include "sockets.h"

namespace sallyport::kernel {
namespace {

ProbeResult probe_root() {
  bool ok = geteuid() == 0;
  return {"root", ok, true, fmt::format("effective uid {}", geteuid()), ok ? "" : "run as root"};
}

ProbeResult probe_cgroup() {
  auto root = find_cgroup_root();
  if (!root) return {"cgroup2", false, true, root.error().what, root.error().hint};
  return {"cgroup2", true, true, fmt::format("mounted at {}", *root), ""};
}

ProbeResult probe_bpffs() {
  if (on_bpffs("/sys/fs/bpf")) return {"bpffs", true, true, "mounted at /sys/fs/bpf", ""};
  auto known = read_file("/proc/filesystems");
  bool mountable = known && known->find("\tbpf\n") != std::string::npos && access("/sys/fs/bpf", F_OK) == 0;
  return {"bpffs", mountable, true,
          mountable ? "not mounted; the daemon mounts it at its start" : "not known to the kernel",
          mountable ? "" : "use a kernel with CONFIG_BPF_SYSCALL=y"};
}

ProbeResult probe_btf() {
  bool ok = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  return {"kernel BTF", ok, true, ok ? "/sys/kernel/btf/vmlinux" : "no /sys/kernel/btf/vmlinux",
          ok ? "" : "use a kernel with CONFIG_DEBUG_INFO_BTF=y"};
}

ProbeResult probe_program_type(const char* name, bpf_prog_type type, bool required, const char* remedy) {
  errno = 0;
  int answer = libbpf_probe_bpf_prog_type(type, nullptr);
  bool ok = answer == 1;
  std::string detail = ok ? "loads" : answer == 0 ? "refused by the kernel" : strerror(-answer);
  return {fmt::format("program type {}", name), ok, required, detail, ok ? "" : remedy};
}

ProbeResult probe_map_type(const char* name, bpf_map_type type) {
  bool ok = libbpf_probe_bpf_map_type(type, nullptr) == 1;
  return {fmt::format("map type {}", name), ok, true, ok ? "can be made" : "refused by the kernel",
          ok ? "" : "use a kernel of 5.15 or newer with CONFIG_CGROUP_BPF=y"};
}

ProbeResult probe_helper(const char* name, bpf_prog_type type, bpf_func_id helper, const char* without) {
  bool ok = libbpf_probe_bpf_helper(type, helper, nullptr) == 1;
  return {name, ok, false, ok ? "available" : without, ok ? "" : "use a kernel of 6.0 or newer"};
}

ProbeResult probe_netns_cookie() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto cookie = netns_cookie_of(fd.get());
  if (!cookie) return {"netns cookie", false, true, cookie.error().what, cookie.error().hint};
  return {"netns cookie", true, true, fmt::format("ours is {}", *cookie), ""};
}

/// The programs themselves, without pins: the verifier's last word.
ProbeResult probe_programs() {
  auto object = load_object(nullptr);
  if (!object) return {"programs", false, true, object.error().what, object.error().hint};
  return {"programs", true, true, fmt::format("all {} load", programs_of(**object).size()), ""};
}

}  // namespace

std::vector<ProbeResult> probe() {
  capture_libbpf_messages();
  utsname name{};
  uname(&name);
  constexpr const char* kOld = "use a kernel of 5.15 or newer with CONFIG_CGROUP_BPF=y, and run as root";
  constexpr const char* kTracing = "level `enforce` needs it; `guarded` does not";
  std::vector<ProbeResult> results{
      {"kernel", true, true, fmt::format("{} {}", name.sysname, name.release), ""},
      probe_root(),
      probe_cgroup(),
      probe_bpffs(),
      probe_btf(),
      probe_netns_cookie(),
      probe_program_type("cgroup/connect, getpeername, getsockname, bind", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, true, kOld),
      probe_program_type("cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, true, kOld),
      probe_program_type("sockops", BPF_PROG_TYPE_SOCK_OPS, true, kOld),
      probe_program_type("cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, true, kOld),
      probe_map_type("cgroup storage", BPF_MAP_TYPE_CGROUP_STORAGE),
      probe_map_type("socket storage", BPF_MAP_TYPE_SK_STORAGE),
      probe_programs(),
      probe_helper("refusal by ECONNREFUSED", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval,
                   "no bpf_set_retval: agents see EPERM instead"),
      probe_program_type("lsm", BPF_PROG_TYPE_LSM, false, kTracing),
      probe_program_type("tracing", BPF_PROG_TYPE_TRACING, false, kTracing),
  };
  (void)take_libbpf_messages();
  return results;
}

}  // namespace sallyport::kernel
