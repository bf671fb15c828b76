// SPDX-License-Identifier: Apache-2.0
#include "daemon/recogniser.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::daemon {
namespace {

using model::WorkloadKind;

/// A container's first process joins its cgroup before its network namespace: looked at again after 1, 2, 4 … ms.
constexpr int kLooksMax = 12;

/// After poll() failed: what it lacks (memory, say) may be there then.
constexpr int64_t kPollRestNs = 1'000 * kNanosPerMilli;

bool is_below(std::string_view path, std::string_view ancestor) {
  return path == ancestor || (path.starts_with(ancestor) && path.size() > ancestor.size() &&
                              (ancestor == "/" || path[ancestor.size()] == '/'));
}

bool asks_for_token(const policy::WorkloadMatch& match) { return match.agent->token.has_value(); }

std::string join(const std::string& folder, const std::string& name) {
  return folder == "/" ? "/" + name : folder + "/" + name;
}

}  // namespace

Result<std::unique_ptr<Recogniser>> Recogniser::start(kernel::Kernel& kernel, PolicyStore& policy, Workloads& workloads,
                                                      RecogniserOptions options) {
  auto watch = kernel::CgroupWatch::open(kernel.cgroup_root());
  if (!watch) return std::unexpected(watch.error());
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno("make an eventfd");
  std::unique_ptr<Recogniser> out(
      new Recogniser(kernel, policy, workloads, std::move(options), std::move(*watch), std::move(wake)));
  if (auto governed = out->govern(); !governed) return std::unexpected(governed.error());
  out->look_below("/");
  out->thread_ = std::thread([raw = out.get()] { raw->run(); });
  return out;
}

Recogniser::~Recogniser() {
  stop_ = true;
  policy_changed();
  if (thread_.joinable()) thread_.join();
}

void Recogniser::policy_changed() {
  policy_changed_ = true;
  (void)eventfd_write(wake_.get(), 1);
}

/// Tripwires of the configuration, and no others.
Result<> Recogniser::govern() {
  std::vector<uint64_t> wanted;
  for (const std::string& path : options_.governed) {
    UniqueFd cgroup(open(workloads_.absolute(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup)
      return fail_errno(fmt::format("governed cgroup {}", path), "it must be there before the daemon starts");
    if (auto done = kernel_.govern(cgroup.get()); !done)
      return fail_within(fmt::format("govern {}", path), done.error());
    if (auto id = kernel::cgroup_id_of(cgroup.get())) wanted.push_back(*id);
  }
  for (uint64_t id : kernel_.governed())
    if (std::ranges::find(wanted, id) == wanted.end())
      if (auto done = kernel_.ungovern(id); !done) return done;
  return {};
}

void Recogniser::run() {
  pollfd waiting[2] = {{watch_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (!stop_) {
    int timeout_ms = -1;
    if (!due_.empty())
      timeout_ms = static_cast<int>(
          std::clamp<int64_t>((due_.begin()->first - read_clocks().monotonic_ns) / kNanosPerMilli + 1, 0, 10'000));
    bool all = false;
    if (poll(waiting, 2, timeout_ms) < 0 && errno != EINTR) {
      // Without this thread no cgroup would be enrolled any more, and none forgotten.
      spdlog::error("watching cgroups: {}; going on in a second", fail_errno("poll").error().what);
      std::this_thread::sleep_for(std::chrono::nanoseconds(kPollRestNs));
      all = true;
    }
    for (const kernel::CgroupEvent& event : watch_.read()) {
      switch (event.kind) {
        case kernel::CgroupEvent::Kind::appeared:
          look(event.path);
          break;
        case kernel::CgroupEvent::Kind::populated:
          if (auto found = known_.find(event.path); found != known_.end()) found->second.looks = 0;
          settle(event.path);
          break;
        case kernel::CgroupEvent::Kind::gone:
          forget(event.path);
          break;
        case kernel::CgroupEvent::Kind::lost:
          all = true;
          break;
      }
    }
    eventfd_t wakes = 0;
    (void)eventfd_read(wake_.get(), &wakes);
    if (policy_changed_.exchange(false) || all) look_at_all();
    take_answers();
    settle_due();
  }
}

/// After a change of policy, or when events were lost.
void Recogniser::look_at_all() {
  std::vector<std::string> gone;
  for (const auto& [path, known] : known_) {
    struct stat status {};
    if (stat(workloads_.absolute(path).c_str(), &status) != 0 || status.st_ino != known.id) gone.push_back(path);
  }
  for (const std::string& path : gone) forget(path);
  for (auto& [path, known] : known_) judge(path, known);
  look_below("/");
}

void Recogniser::look(const std::string& path) {
  struct stat status {};
  if (stat(workloads_.absolute(path).c_str(), &status) != 0) return;  // gone already
  const auto before = known_.find(path);
  if (before != known_.end() && before->second.id == status.st_ino) {
    if (before->second.facts.cgroup.inner && !before->second.enrolled) look_below(path);
    return;
  }
  if (before != known_.end()) forget(path);
  if (known_.size() >= limits::kCgroupsMax)
    return spdlog::error("more than {} cgroups: {} is nobody's", limits::kCgroupsMax, path);
  model::Workload facts;
  facts.cgroup = identity::read_cgroup_path(path, options_.anchors);
  // Scopes of `exec` are placed, not found; a malformed path is nobody's.
  if (facts.cgroup.identity.empty() || is_below(path, fmt::format("/{}", control::kSlice))) return;
  if (facts.cgroup.user) facts.user_name = user_name(*facts.cgroup.user);
  std::string trouble;
  if (auto described = runtimes_.describe(facts); !described) trouble = described.error().what;
  Known* known = nullptr;
  {
    std::lock_guard lock(mutex_);
    known = &known_[path];
    *known = {.facts = std::move(facts), .id = status.st_ino};
  }
  if (!trouble.empty()) say(path, *known, trouble);
  if (known->facts.cgroup.identity != path) return learn(known->facts);
  sockets_.ask(known->facts);
  judge(path, *known);
  const bool is_pod = known->facts.cgroup.kind == WorkloadKind::kubernetes;
  if (known->facts.cgroup.inner && (!known->enrolled || is_pod)) look_below(path);
}

void Recogniser::look_below(const std::string& path) {
  if (auto watched = watch_.watch_children(path); !watched) {
    spdlog::error("{}{}", watched.error().what, watched.error().hint.empty() ? "" : "; " + watched.error().hint);
    return;
  }
  for (const std::string& name : watch_.children(path)) look(join(path, name));
}

/// A container of a pod appeared: what the runtime says of the pod is the pod's.
void Recogniser::learn(const model::Workload& container) {
  const auto pod = known_.find(container.cgroup.identity);
  if (pod == known_.end() || container.pod.empty()) return;
  model::Workload& facts = pod->second.facts;
  if (facts.pod.empty() || (facts.labels.empty() && !container.labels.empty())) {
    {
      std::lock_guard lock(mutex_);
      facts.pod = container.pod;
      facts.pod_namespace = container.pod_namespace;
      facts.labels = container.labels;
    }
    judge(pod->first, pod->second);
  }
  if (pod->second.enrolled) {
    pod->second.looks = 0;
    settle(pod->first);
  }
}

/// A runtime answered at its socket; on that thread.
void Recogniser::take_later(edges::RuntimeAnswer answer) {
  {
    std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  (void)eventfd_write(wake_.get(), 1);
}

void Recogniser::take_answers() {
  std::vector<edges::RuntimeAnswer> answers;
  {
    std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (const edges::RuntimeAnswer& answer : answers) {
    const auto found = known_.find(answer.cgroup_path);
    if (found == known_.end()) continue;
    {
      std::lock_guard lock(mutex_);
      answer.add_to(found->second.facts);
    }
    judge(found->first, found->second);
  }
}

void Recogniser::judge(const std::string& path, Known& known) {
  if (known.facts.cgroup.identity != path) return;
  const auto facts = policy_.facts();
  if (!facts) return;
  auto matches = facts->policy->match_workload(known.facts);
  std::erase_if(matches, [&](const policy::WorkloadMatch& match) { return match.cgroup != path; });
  if (matches.empty() && !known.enrolled) return;
  Workload workload{.cgroup_path = path, .facts = known.facts};
  const bool by_path = !matches.empty() && matches[0].selector->kind == WorkloadKind::other;
  workload.recognised_as = by_path ? "cgroup:" + path : model::name_of(known.facts);
  if (matches.empty()) {
    // Diverted once, it is refused from now on, never let go.
    workload.refusal = "no Agent selects it any more";
  } else if (matches.size() > 1 && !std::ranges::all_of(matches, asks_for_token)) {
    workload.refusal = fmt::format("Agents {} and {} both select it", matches[0].agent->name, matches[1].agent->name);
  } else {
    // With a `token` in the Agent, Tokens asks it for the service account, and for which Agent it is.
    for (const policy::WorkloadMatch& match : matches) workload.agents.push_back(match.agent->name);
    if (matches[0].needs_token && !asks_for_token(matches[0]))
      workload.refusal = "its serviceAccount is told by a verified token only";
  }
  const auto before = workloads_.find(path);
  if (before && known.enrolled && before->agents == workload.agents && before->facts == workload.facts &&
      before->refusal == workload.refusal)
    return;
  const std::vector<std::string> agents = workload.agents;
  const std::string as = workload.recognised_as;
  if (auto done = workloads_.enrol(std::move(workload)); !done) return say(path, known, done.error().what);
  if (!known.enrolled || (before && before->agents != agents))
    spdlog::info("{} {}: cgroup {} is enrolled",
                 agents.empty() ? "nobody's" : fmt::format("agent {}", fmt::join(agents, " or ")), as, path);
  {
    std::lock_guard lock(mutex_);
    known.enrolled = true;
  }
  if (const auto now = workloads_.find(path); now) say(path, known, now->refusal);
  if (auto watched = watch_.watch_population(path); !watched) say(path, known, watched.error().what);
  known.looks = 0;
  settle(path);
}

/// Its processes may be in another network namespace by now, or soon.
void Recogniser::settle(const std::string& path) {
  const auto found = known_.find(path);
  if (found == known_.end() || !found->second.enrolled) return;
  Known& known = found->second;
  if (auto moved = workloads_.settle(path); !moved) say(path, known, moved.error().what);
  if (++known.looks > kLooksMax) return;
  due_.emplace(read_clocks().monotonic_ns + (kNanosPerMilli << (known.looks - 1)), path);
}

void Recogniser::settle_due() {
  const int64_t now_ns = read_clocks().monotonic_ns;
  while (!due_.empty() && due_.begin()->first <= now_ns) {
    const std::string path = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    settle(path);
  }
}

void Recogniser::forget(const std::string& path) {
  watch_.forget(path);
  sockets_.forget(path);
  const auto found = known_.find(path);
  if (found == known_.end()) return;
  if (found->second.enrolled) {
    workloads_.forget(path);
    spdlog::info("cgroup {} has gone", path);
  }
  std::lock_guard lock(mutex_);
  known_.erase(found);
}

void Recogniser::say(const std::string& path, Known& known, const std::string& trouble) {
  if (trouble != known.trouble && !trouble.empty()) spdlog::error("cgroup {}: {}", path, trouble);
  known.trouble = trouble;
}

std::string Recogniser::user_name(uint32_t uid) {
  if (const auto found = user_names_.find(uid); found != user_names_.end()) return found->second;
  passwd entry{};
  passwd* result = nullptr;
  std::string buffer(16 << 10, '\0');
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &result) != 0 || !result) return {};
  return user_names_[uid] = result->pw_name;
}

std::vector<model::Workload> Recogniser::nobodys(size_t max) const {
  std::lock_guard lock(mutex_);
  std::vector<model::Workload> out;
  for (const auto& [path, known] : known_) {
    if (out.size() >= max) break;
    const bool workload = known.facts.cgroup.identity == path && known.facts.cgroup.kind != WorkloadKind::other;
    if (!known.enrolled && workload) out.push_back(known.facts);
  }
  return out;
}

bool Recogniser::is_governed(const std::string& cgroup_path) const {
  return std::ranges::any_of(options_.governed, [&](const std::string& root) { return is_below(cgroup_path, root); });
}

size_t Recogniser::size() const {
  std::lock_guard lock(mutex_);
  return known_.size();
}

}  // namespace sallyport::daemon
