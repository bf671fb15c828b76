// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "edges/runtimes/api_socket.h"
#include "edges/runtimes/state_file.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/edges/runtimes.h"

namespace sallyport::edges {

using model::WorkloadKind;

namespace {

constexpr int64_t kFirstRestMs = 1'000;

/// One runtime that has a socket, and who waits for its answer: cgroup path -> container id.
struct Asked {
  WorkloadKind kind;
  std::string socket;
  std::map<std::string, std::string> waiting;
  std::string last;  ///< asked for; so that one that cannot be answered for does not keep the others waiting
  int64_t not_before_ns = 0;
  int64_t rest_ms = 0;  ///< 0: it answered last
  std::string trouble;
};

bool has_files(const RuntimeFolders& folders, WorkloadKind kind) {
  std::error_code error;
  if (kind == WorkloadKind::docker) return std::filesystem::is_directory(folders.docker + "/containers", error);
  for (const char* driver : kStorageDrivers)
    if (std::filesystem::is_directory(folders.containers_storage + "/" + driver + "-containers", error)) return true;
  return false;
}

RuntimeAnswer read(const std::string& cgroup_path, const nlohmann::json& body) {
  RuntimeAnswer out{.cgroup_path = cgroup_path, .name = text_at(body, "Name"), .image = text_at(body, "Config/Image")};
  if (out.name.starts_with('/')) out.name.erase(0, 1);
  if (const nlohmann::json::json_pointer labels("/Config/Labels"); body.contains(labels))
    out.labels = labels_of(body[labels]);
  return out;
}

}  // namespace

struct RuntimeSockets::State {
  void run();
  Asked* next(int64_t now_ns, int64_t& due_ns);
  void settle(Asked& asked, const std::string& path, const ApiAnswer& answer);

  RuntimeFolders folders;
  std::function<void(RuntimeAnswer)> told;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stop = false;
  std::array<Asked, 2> runtimes;
  std::thread thread;
};

RuntimeSockets::RuntimeSockets(RuntimeFolders folders, std::function<void(RuntimeAnswer)> told)
    : state_(std::make_unique<State>()) {
  state_->runtimes = {Asked{WorkloadKind::docker, folders.docker_socket, {}, {}, 0, 0, {}},
                      Asked{WorkloadKind::podman, folders.podman_socket, {}, {}, 0, 0, {}}};
  state_->folders = std::move(folders);
  state_->told = std::move(told);
  state_->thread = std::thread([raw = state_.get()] { raw->run(); });
}

RuntimeSockets::~RuntimeSockets() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_one();
  state_->thread.join();
}

void RuntimeSockets::ask(const model::Workload& workload) {
  const model::CgroupFacts& cgroup = workload.cgroup;
  if (cgroup.user || cgroup.container_id.empty()) return;
  if (cgroup.kind == WorkloadKind::docker && !workload.name.empty()) return;
  std::lock_guard lock(state_->mutex);
  for (Asked& asked : state_->runtimes) {
    if (asked.kind != cgroup.kind) continue;
    if (asked.waiting.size() >= limits::kRuntimeQuestionsMax)
      return spdlog::error("more than {} containers wait for {}: labels of {} stay unknown",
                           limits::kRuntimeQuestionsMax, asked.socket, cgroup.path);
    asked.waiting[cgroup.path] = cgroup.container_id;
  }
  state_->changed.notify_one();
}

void RuntimeSockets::forget(const std::string& cgroup_path) {
  std::lock_guard lock(state_->mutex);
  for (Asked& asked : state_->runtimes) asked.waiting.erase(cgroup_path);
}

std::vector<RuntimeStatus> RuntimeSockets::status() const {
  std::vector<RuntimeStatus> out;
  std::lock_guard lock(state_->mutex);
  for (const Asked& asked : state_->runtimes) {
    const auto socket = is_roots_socket(asked.socket);
    out.push_back({.runtime = std::string(model::to_string(asked.kind)),
                   .files = has_files(state_->folders, asked.kind),
                   .socket = socket && *socket,
                   .socket_path = asked.socket,
                   .waiting = asked.waiting.size(),
                   .trouble = socket ? asked.trouble : socket.error().what});
  }
  return out;
}

/// The runtime to ask now; else when.
Asked* RuntimeSockets::State::next(int64_t now_ns, int64_t& due_ns) {
  due_ns = INT64_MAX;
  for (Asked& asked : runtimes) {
    if (asked.waiting.empty()) continue;
    if (asked.not_before_ns <= now_ns) return &asked;
    due_ns = std::min(due_ns, asked.not_before_ns);
  }
  return nullptr;
}

void RuntimeSockets::State::run() {
  std::unique_lock lock(mutex);
  while (!stop) {
    const int64_t now_ns = read_clocks().monotonic_ns;
    int64_t due_ns = 0;
    Asked* asked = next(now_ns, due_ns);
    if (!asked && due_ns == INT64_MAX) {
      changed.wait(lock);
    } else if (!asked) {
      changed.wait_for(lock, std::chrono::nanoseconds(due_ns - now_ns));
    } else {
      auto turn = asked->waiting.upper_bound(asked->last);
      if (turn == asked->waiting.end()) turn = asked->waiting.begin();
      const auto [path, id] = *turn;
      asked->last = path;
      lock.unlock();
      const ApiAnswer answer = ask_for_container(asked->socket, id, stop);
      if (answer.is == ApiAnswer::Is::answered) told(read(path, answer.body));
      lock.lock();
      if (!stop) settle(*asked, path, answer);
    }
  }
}

/// Under mutex. A container that the runtime says nothing of is asked for once; a runtime that does not answer rests.
void RuntimeSockets::State::settle(Asked& asked, const std::string& path, const ApiAnswer& answer) {
  using Is = ApiAnswer::Is;
  if (answer.is == Is::answered || answer.is == Is::useless) {
    asked.waiting.erase(path);
    asked.rest_ms = 0;
  } else {
    asked.rest_ms = std::clamp(asked.rest_ms * 2, kFirstRestMs, limits::kRuntimeRestMaxMs);
    asked.not_before_ns = read_clocks().monotonic_ns + asked.rest_ms * kNanosPerMilli;
  }
  if (!answer.why.empty() && answer.why != asked.trouble) spdlog::error("cgroup {}: {}", path, answer.why);
  asked.trouble = answer.why;
}

void RuntimeAnswer::add_to(model::Workload& workload) const {
  if (workload.name.empty()) workload.name = name;
  if (workload.image.empty()) workload.image = image;
  if (workload.labels.empty()) workload.labels = labels;
}

}  // namespace sallyport::edges
