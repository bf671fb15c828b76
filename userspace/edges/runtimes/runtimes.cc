// SPDX-License-Identifier: Apache-2.0
// Formats as the runtimes' own sources have them: moby daemon/config.v2.json (container.Container), containers-storage
// containers.json with libpod's metadata, and the OCI config.json with the annotations of containerd and CRI-O.
#include "sallyport/edges/runtimes.h"

#include <fmt/core.h>

#include "edges/runtimes/state_file.h"
#include "sallyport/base/limits.h"

namespace sallyport::edges {
namespace {

using model::Workload;
using model::WorkloadKind;
using nlohmann::json;

/// A key of annotations that has slashes and dots in its name.
std::string annotation(const json& config, const char* key) {
  const auto annotations = config.find("annotations");
  if (annotations == config.end() || !annotations->is_object()) return {};
  const auto found = annotations->find(key);
  return found != annotations->end() && found->is_string() ? found->get<std::string>() : std::string();
}

struct PodAnnotations {
  const char *name_space, *pod, *uid;
};
constexpr PodAnnotations kContainerd{"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name",
                                     "io.kubernetes.cri.sandbox-uid"};
constexpr PodAnnotations kCrio{"io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"};

/// What the config.json of one of its containers says of the pod.
Result<> take_pod(const json& config, const std::string& path, Workload& workload) {
  if (!config.is_object()) return fail(fmt::format("{} is no object", path));
  for (const PodAnnotations& names : {kContainerd, kCrio}) {
    const std::string pod = annotation(config, names.pod);
    if (pod.empty()) continue;
    // containerd before 1.7 does not write the uid; that the container is this one, its id says.
    const std::string uid = annotation(config, names.uid);
    if (!uid.empty() && uid != workload.cgroup.pod_uid)
      return fail(fmt::format("{} says pod {}, the cgroup says {}", path, uid, workload.cgroup.pod_uid));
    workload.pod = pod;
    workload.pod_namespace = annotation(config, names.name_space);
    const json labels = json::parse(annotation(config, "io.kubernetes.cri-o.Labels"), nullptr, false);
    if (const auto found = labels_of(labels); !found.empty()) workload.labels = found;
    return {};
  }
  return {};
}

}  // namespace

Result<> Runtimes::describe(Workload& workload) const {
  // A rootless runtime's state is its user's to write.
  if (workload.cgroup.container_id.empty() || workload.cgroup.user) return {};
  switch (workload.cgroup.kind) {
    case WorkloadKind::docker:
      return describe_docker(workload);
    case WorkloadKind::podman:
      return describe_podman(workload);
    case WorkloadKind::kubernetes:
      return describe_pod(workload);
    default:
      return {};
  }
}

Result<> Runtimes::describe_docker(Workload& workload) const {
  const std::string path =
      fmt::format("{}/containers/{}/config.v2.json", folders_.docker, workload.cgroup.container_id);
  const auto state = read_state_file(path);
  if (!state) return std::unexpected(state.error());
  if (!*state) return {};
  if (text_at(**state, "ID") != workload.cgroup.container_id) return fail(fmt::format("{} is of another id", path));
  std::string name = text_at(**state, "Name");
  if (name.starts_with('/')) name.erase(0, 1);
  workload.name = std::move(name);
  workload.image = text_at(**state, "Config/Image");
  if (const json::json_pointer labels("/Config/Labels"); (*state)->contains(labels))
    workload.labels = labels_of((**state)[labels]);
  return {};
}

Result<> Runtimes::describe_podman(Workload& workload) const {
  for (const char* driver : kStorageDrivers) {
    for (const char* list : {"containers.json", "volatile-containers.json"}) {
      const std::string path = fmt::format("{}/{}-containers/{}", folders_.containers_storage, driver, list);
      const auto state = read_state_file(path);
      if (!state) return std::unexpected(state.error());
      if (!*state || !(*state)->is_array()) continue;
      for (const json& container : **state) {
        if (text_at(container, "id") != workload.cgroup.container_id) continue;
        const json metadata = json::parse(text_at(container, "metadata"), nullptr, false);
        workload.name = text_at(metadata, "name");
        workload.image = text_at(metadata, "image-name");
        return {};
      }
    }
  }
  return {};
}

Result<> Runtimes::describe_pod(Workload& workload) const {
  const std::string& id = workload.cgroup.container_id;
  for (const std::string& path :
       {fmt::format("{}/k8s.io/{}/config.json", folders_.containerd, id),
        fmt::format("{}/overlay-containers/{}/userdata/config.json", folders_.containers_run, id),
        fmt::format("{}/vfs-containers/{}/userdata/config.json", folders_.containers_run, id)}) {
    const auto state = read_state_file(path);
    if (!state) return std::unexpected(state.error());
    if (*state) return take_pod(**state, path, workload);
  }
  return {};
}

}  // namespace sallyport::edges
