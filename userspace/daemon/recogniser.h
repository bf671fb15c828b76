// SPDX-License-Identifier: Apache-2.0
// Which cgroup is which Agent's. Sees cgroups as they appear (inotify, no polling), reads what path and runtime say of
// them, asks policy, and has them enrolled; forgets them when they go. Governed roots carry the tripwire before
// anything in them is looked at, so what is nobody's (yet) is refused there. One thread of its own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/workloads.h"
#include "sallyport/edges/runtimes.h"
#include "sallyport/identity/cgroup_facts.h"
#include "sallyport/kernel/cgroup_watch.h"

namespace sallyport::daemon {

struct RecogniserOptions {
  std::vector<std::string> governed;  ///< cgroup paths below the cgroup2 root
  identity::Anchors anchors;
  edges::RuntimeFolders runtimes;
};

class Recogniser {
 public:
  /// Puts the tripwires up, looks at everything that is there, and starts watching. All outlive this.
  static Result<std::unique_ptr<Recogniser>> start(kernel::Kernel& kernel, PolicyStore& policy, Workloads& workloads,
                                                   RecogniserOptions options);
  ~Recogniser();
  Recogniser(const Recogniser&) = delete;
  Recogniser& operator=(const Recogniser&) = delete;

  /// Other Agents may be meant from now on; from any thread.
  void policy_changed();

  /// Workloads that are nobody's: what `agents show` looks through. At most `max`, by path.
  std::vector<model::Workload> nobodys(size_t max) const;
  /// Below a root that is declared governed.
  bool is_governed(const std::string& cgroup_path) const;
  /// Cgroups known, inner ones too.
  size_t size() const;
  /// How Docker's and podman's containers are read.
  std::vector<edges::RuntimeStatus> runtimes() const { return sockets_.status(); }

 private:
  /// A cgroup that may be a workload, or have some below.
  struct Known {
    model::Workload facts;
    uint64_t id = 0;
    bool enrolled = false;
    std::string trouble;  ///< what was logged about it last
    int looks = 0;        ///< at its network namespace since its processes changed
  };

  Recogniser(kernel::Kernel& kernel, PolicyStore& policy, Workloads& workloads, RecogniserOptions options,
             kernel::CgroupWatch watch, UniqueFd wake)
      : kernel_(kernel),
        policy_(policy),
        workloads_(workloads),
        options_(std::move(options)),
        runtimes_(options_.runtimes),
        watch_(std::move(watch)),
        wake_(std::move(wake)),
        sockets_(options_.runtimes, [this](edges::RuntimeAnswer answer) { take_later(std::move(answer)); }) {}

  Result<> govern();
  void run();
  void look(const std::string& path);
  void look_below(const std::string& path);
  void look_at_all();
  void learn(const model::Workload& container);
  void take_later(edges::RuntimeAnswer answer);
  void take_answers();
  void judge(const std::string& path, Known& known);
  void settle(const std::string& path);
  void settle_due();
  void forget(const std::string& path);
  std::string user_name(uint32_t uid);
  void say(const std::string& path, Known& known, const std::string& trouble);

  kernel::Kernel& kernel_;
  PolicyStore& policy_;
  Workloads& workloads_;
  const RecogniserOptions options_;
  const edges::Runtimes runtimes_;
  kernel::CgroupWatch watch_;
  UniqueFd wake_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> policy_changed_ = false;
  mutable std::mutex mutex_;  ///< of known_, for the other threads
  std::map<std::string, Known> known_;
  std::multimap<int64_t, std::string> due_;  ///< monotonic ns -> whose network namespace to look at
  std::unordered_map<uint32_t, std::string> user_names_;
  std::vector<edges::RuntimeAnswer> answers_;  ///< not looked at yet; under mutex_
  edges::RuntimeSockets sockets_;              ///< its thread uses what stands above
  std::thread thread_;
};

}  // namespace sallyport::daemon
