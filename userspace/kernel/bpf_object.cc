// SPDX-License-Identifier: Apache-2.0
#include "bpf_object.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "sallyport.skel.h"

namespace sallyport::kernel {
namespace {

constexpr size_t kMessagesMax = 64 * 1024;
constexpr size_t kMessageTail = 600;
thread_local std::string messages;

int keep_message(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[4096];
  int size = vsnprintf(line, sizeof(line), format, arguments);
  if (size > 0) messages.append(line, std::min<size_t>(size, sizeof(line) - 1));
  if (messages.size() > kMessagesMax) messages.erase(0, messages.size() - kMessagesMax / 2);
  return 0;
}

bool have_helper(bpf_prog_type type, bpf_func_id helper) { return libbpf_probe_bpf_helper(type, helper, nullptr) == 1; }

Result<void> share_maps(sallyport_bpf& object, const PinPaths& paths) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.obj) {
    if (bpf_map__is_internal(map)) continue;
    std::string path = paths.maps + "/" + bpf_map__name(map);
    if (int error = bpf_map__set_pin_path(map, path.c_str()))
      return fail(fmt::format("pin map at `{}`: {}", path, strerror(-error)));
  }
  return {};
}

}  // namespace

void capture_libbpf_messages() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(keep_message); });
  messages.clear();
}

std::string take_libbpf_messages() {
  std::string taken = std::exchange(messages, {});
  if (taken.size() > kMessageTail) taken.erase(0, taken.size() - kMessageTail);
  std::replace(taken.begin(), taken.end(), '\n', ' ');
  return taken;
}

void DestroyObject::operator()(sallyport_bpf* object) const { sallyport_bpf__destroy(object); }

Result<BpfObject> load_object(const PinPaths* paths) {
  capture_libbpf_messages();
  BpfObject object(sallyport_bpf__open());
  if (!object) return fail_errno("open the BPF object");
  object->rodata->sp_set_retval_in_address_hooks = have_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval);
  object->rodata->sp_set_retval_in_socket_hooks = have_helper(BPF_PROG_TYPE_CGROUP_SOCK, BPF_FUNC_set_retval);
  if (paths != nullptr)
    if (auto shared = share_maps(*object, *paths); !shared) return std::unexpected(shared.error());
  capture_libbpf_messages();
  if (int error = sallyport_bpf__load(object.get()))
    return fail(fmt::format("load the BPF programs: {}: {}", strerror(-error), take_libbpf_messages()),
                error == -EPERM ? "run as root, outside of a container without CAP_BPF and CAP_NET_ADMIN"
                                : "the kernel must be 5.15 or newer; `sallyport doctor` shows what it lacks");
  return object;
}

std::vector<std::pair<std::string, bpf_program*>> programs_of(const sallyport_bpf& object, ProgramSet set) {
  std::vector<std::pair<std::string, bpf_program*>> programs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.obj) {
    const std::string name = bpf_program__name(program);
    if (name.starts_with("sp_tripwire") == (set == ProgramSet::tripwire)) programs.emplace_back(name, program);
  }
  return programs;
}

MapFds map_fds_of(const sallyport_bpf& object) {
  return {.workloads = bpf_map__fd(object.maps.sp_workloads),
          .listeners = bpf_map__fd(object.maps.sp_listeners),
          .flows = bpf_map__fd(object.maps.sp_flows),
          .in_flight = bpf_map__fd(object.maps.sp_in_flight),
          .counters = bpf_map__fd(object.maps.sp_counters)};
}

}  // namespace sallyport::kernel
