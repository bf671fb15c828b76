// SPDX-License-Identifier: Apache-2.0
// What container runtimes say of a container: name, image, labels, pod. From files that only root can have written,
// never a file of the workload's own; and what those leave unsaid from the runtime's API, at a socket that only root
// can have put there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/principal.h"

namespace sallyport::edges {

/// Where runtimes keep their state.
struct RuntimeFolders {
  std::string docker = "/var/lib/docker";
  std::string containers_storage = "/var/lib/containers/storage";  ///< podman and CRI-O
  std::string containers_run = "/run/containers/storage";
  std::string containerd = "/run/containerd/io.containerd.runtime.v2.task";
  std::string docker_socket = "/run/docker.sock";
  std::string podman_socket = "/run/podman/podman.sock";
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

/// What a runtime's API says of the container in one cgroup.
struct RuntimeAnswer {
  std::string cgroup_path;
  std::string name, image;
  std::map<std::string, std::string> labels;

  /// Adds what files left unsaid.
  void add_to(model::Workload& workload) const;
};

/// How one runtime is read now.
struct RuntimeStatus {
  std::string runtime;  ///< "docker", "podman"
  bool files = false;   ///< its folder is there
  bool socket = false;  ///< its socket is there, and root's
  std::string socket_path;
  size_t waiting = 0;   ///< containers that its socket has not answered for yet
  std::string trouble;  ///< why not
};

/// Asks runtimes' sockets, on a thread of its own: a runtime that is slow, hangs or starts later delays nobody else. At
/// one that does not answer it tries again after 1, 2, 4 … s, at most kRuntimeRestMaxMs. Thread-safe.
class RuntimeSockets {
 public:
  /// `told` is called on the thread.
  RuntimeSockets(RuntimeFolders folders, std::function<void(RuntimeAnswer)> told);
  ~RuntimeSockets();
  RuntimeSockets(const RuntimeSockets&) = delete;
  RuntimeSockets& operator=(const RuntimeSockets&) = delete;

  /// Has the runtime asked if its files leave something unsaid: of podman labels, of Docker all where its data are
  /// elsewhere. Of a rootless container never.
  void ask(const model::Workload& workload);
  /// The cgroup has gone.
  void forget(const std::string& cgroup_path);
  std::vector<RuntimeStatus> status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sallyport::edges
