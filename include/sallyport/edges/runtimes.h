// SPDX-License-Identifier: Apache-2.0
// What container runtimes have written down about a container: name, image, labels, pod. Files that only root can have
// written; never a file of the workload's own.
#pragma once

#include <string>

#include "sallyport/base/result.h"
#include "sallyport/model/principal.h"

namespace sallyport::edges {

/// Where runtimes keep their state.
struct RuntimeFolders {
  std::string docker = "/var/lib/docker";
  std::string containers_storage = "/var/lib/containers/storage";  ///< podman and CRI-O
  std::string containers_run = "/run/containers/storage";
  std::string containerd = "/run/containerd/io.containerd.runtime.v2.task";
};

class Runtimes {
 public:
  explicit Runtimes(RuntimeFolders folders = {}) : folders_(std::move(folders)) {}

  /// Adds to `workload` what the runtime of `workload.cgroup` says of its container; of a pod what it says of the pod.
  /// A pod whose uid is not the cgroup's is refused. Nothing to add (no container, a rootless one, no state): no error,
  /// and nothing is added. The error names the file and what is wrong with it. Thread-safe.
  Result<> describe(model::Workload& workload) const;

 private:
  Result<> describe_docker(model::Workload& workload) const;
  Result<> describe_podman(model::Workload& workload) const;
  Result<> describe_pod(model::Workload& workload) const;

  const RuntimeFolders folders_;
};

}  // namespace sallyport::edges
