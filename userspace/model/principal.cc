// SPDX-License-Identifier: Apache-2.0
#include "sallyport/model/principal.h"

#include <fmt/core.h>

namespace sallyport::model {

std::string_view to_string(WorkloadKind kind) {
  switch (kind) {
    case WorkloadKind::other:
      return "cgroup";
    case WorkloadKind::kubernetes:
      return "kubernetes";
    case WorkloadKind::docker:
      return "docker";
    case WorkloadKind::podman:
      return "podman";
    case WorkloadKind::container:
      return "container";
    case WorkloadKind::systemd:
      return "systemd";
    case WorkloadKind::exec:
      return "exec";
  }
  return "cgroup";
}

std::string name_of(const Workload& workload) {
  constexpr size_t kShortId = 12;  // as `docker ps` shows them
  const CgroupFacts& cgroup = workload.cgroup;
  std::string name;
  switch (cgroup.kind) {
    case WorkloadKind::other:
      name = cgroup.path;
      break;
    case WorkloadKind::kubernetes:
      name = workload.pod.empty() ? cgroup.pod_uid : fmt::format("{}/{}", workload.pod_namespace, workload.pod);
      break;
    case WorkloadKind::docker:
    case WorkloadKind::podman:
    case WorkloadKind::container:
      name = workload.name.empty() ? cgroup.container_id.substr(0, kShortId) : workload.name;
      break;
    case WorkloadKind::systemd:
      name = cgroup.unit;
      break;
    case WorkloadKind::exec:
      name = cgroup.exec;
      break;
  }
  return fmt::format("{}:{}", to_string(cgroup.kind), name);
}

std::string name_of(const Process& process) {
  const bool known = !process.command.empty() && process.unknown.empty();
  const std::string name = known ? process.command : "unknown";
  return process.pid == 0 ? name : fmt::format("{}[{}]", name, process.pid);
}

std::string describe(const Principal& principal) {
  std::string in_brackets = principal.workload;
  const auto add = [&](const std::string& part) { in_brackets += (in_brackets.empty() ? "" : ", ") + part; };
  if (!principal.token.issuer.empty()) add(fmt::format("{}/{}", principal.token.issuer, principal.token.subject));
  if (principal.process.pid != 0 || !principal.process.command.empty()) add(name_of(principal.process));
  const std::string agent = principal.agent.empty() ? "nobody" : principal.agent;
  return in_brackets.empty() ? agent : fmt::format("{} ({})", agent, in_brackets);
}

}  // namespace sallyport::model
