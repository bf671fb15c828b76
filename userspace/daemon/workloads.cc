// SPDX-License-Identifier: Apache-2.0
#include "daemon/workloads.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "daemon/token_note.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"
#include "sallyport/identity/cgroup_facts.h"

namespace sallyport::daemon {
namespace {

/// A flow dials when it starts, at the latest after a human answered: long before this.
constexpr int64_t kNamespaceKeepNs = 600 * kNanosPerSecond;

kernel::Level level_of(policy::Level level) {
  switch (level) {
    case policy::Level::observe:
      return kernel::Level::observe;
    case policy::Level::guarded:
      return kernel::Level::guarded;
    case policy::Level::enforce:
      return kernel::Level::enforce;
  }
  return kernel::Level::enforce;
}

uint64_t inode_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// A process of the cgroup or below whose network namespace is not `own`; else any; 0: there is none.
int find_process(const std::string& directory, uint64_t own, int depth) {
  constexpr int kLooksMax = 64, kDepthMax = 4;
  std::ifstream processes(directory + "/cgroup.procs");
  int any = 0, looks = 0;
  for (int pid = 0; looks < kLooksMax && processes >> pid; ++looks) {
    if (any == 0) any = pid;
    const uint64_t netns = inode_of(fmt::format("/proc/{}/ns/net", pid));
    if (netns != 0 && netns != own) return pid;
  }
  if (depth >= kDepthMax) return any;
  std::error_code error;
  for (std::filesystem::directory_iterator each(directory, error), end; !error && each != end; each.increment(error)) {
    if (!each->is_directory(error)) continue;
    const int below = find_process(each->path(), own, depth + 1);
    if (below != 0 && inode_of(fmt::format("/proc/{}/ns/net", below)) != own) return below;
    if (any == 0) any = below;
  }
  return any;
}

/// What cannot end well is said before the command starts.
Result<> check_token_file(const policy::Policy& policy, const policy::Agent& agent,
                          const control::ExecRequest& request) {
  if (!agent.token && !request.token_file.empty())
    return fail(fmt::format("Agent {} asks for no token", agent.name), "leave --token-file out");
  // It may show its token inside a protocol instead.
  if (std::ranges::any_of(policy.targets(),
                          [](const policy::Target& target) { return target.token_from != policy::TokenFrom::file; }))
    return {};
  if (agent.token && agent.token->file.empty() && request.token_file.empty())
    return fail(fmt::format("Agent {} asks for a token, and nobody says where it is", agent.name),
                "say --token-file FILE, or write file: /path in the Agent's token");
  return {};
}

}  // namespace

Workloads::Workloads(kernel::Kernel& kernel, PolicyStore& policy, Tokens& tokens, kernel::Level level,
                     ServeListener serve, DropListener drop)
    : kernel_(kernel),
      policy_(policy),
      tokens_(tokens),
      level_(level),
      serve_(std::move(serve)),
      drop_(std::move(drop)) {}

Result<> Workloads::start() {
  if (auto own = namespace_of(0); !own) return std::unexpected(own.error());
  auto scopes = launch::Scopes::open(kernel_.cgroup_root(), std::string(control::kSlice));
  if (!scopes) return std::unexpected(scopes.error());
  scopes_ = std::move(*scopes);
  for (const launch::Scope& scope : scopes_->list()) {
    Workload known{
        .agents = {scope.agent}, .recognised_as = "exec:" + scope.agent, .cgroup_path = scope.path, .by_exec = true};
    if (auto note = read_token_note(absolute(scope.path))) {
      known.token_file = std::move(note->file);
      known.token_user = std::move(note->user);
    }
    auto again = enrol(std::move(known));
    if (!again) spdlog::warn("scope {} of the daemon before: {}", scope.path, again.error().what);
  }
  return {};
}

std::string Workloads::absolute(const std::string& cgroup_path) const { return kernel_.cgroup_root() + cgroup_path; }

int Workloads::pid_elsewhere(const std::string& cgroup_path) const {
  return find_process(absolute(cgroup_path), inode_of("/proc/self/ns/net"), 0);
}

/// The namespace, by its inode, that `pid` (0: we) is in, with a listener of ours.
Result<uint64_t> Workloads::namespace_of(int pid) {
  const std::string path = pid == 0 ? "/proc/self/ns/net" : fmt::format("/proc/{}/ns/net", pid);
  struct stat status {};
  UniqueFd netns(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns || fstat(netns.get(), &status) != 0) return fail_errno(path);
  {
    std::lock_guard lock(mutex_);
    if (namespaces_.contains(status.st_ino)) return status.st_ino;
  }
  Namespace place;
  if (status.st_ino != inode_of("/proc/self/ns/net")) place.netns = std::move(netns);
  if (auto serving = serve(place); !serving) return std::unexpected(serving.error());
  std::lock_guard lock(mutex_);
  namespaces_[status.st_ino] = std::move(place);
  return status.st_ino;
}

Result<> Workloads::serve(Namespace& place) {
  auto listener = kernel_.listen(place.netns ? place.netns.get() : -1);
  if (!listener) return std::unexpected(listener.error());
  place.listener = std::move(*listener);
  place.token = next_token_++;
  for (const UniqueFd* fd : {&place.listener.v4, &place.listener.v6})
    if (*fd) serve_(place.token, UniqueFd(fcntl(fd->get(), F_DUPFD_CLOEXEC, 0)));
  return {};
}

Result<> Workloads::enrol(Workload workload) {
  std::lock_guard one(enrolling_);
  int pid = pid_elsewhere(workload.cgroup_path);
  auto place = namespace_of(pid);
  if (!place && pid != 0) place = namespace_of(0);  // it went meanwhile: settle() looks again
  if (!place) return std::unexpected(place.error());
  return enrol_in(std::move(workload), *place);
}

Result<> Workloads::enrol_in(Workload workload, uint64_t netns_inode) {
  UniqueFd cgroup(::open(absolute(workload.cgroup_path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(fmt::format("cgroup {}", workload.cgroup_path));
  std::unique_lock lock(mutex_);
  Namespace& place = namespaces_.at(netns_inode);
  kernel::EnrolOptions options{.listener = place.listener.info, .level = level_};
  // In the host's namespace loopback leads to other people's services, in one of its own to itself.
  options.divert_loopback = !place.netns;
  lock.unlock();
  apply_policy(workload, options);
  auto enrolled = kernel_.enrol(cgroup.get(), options);
  if (!enrolled) return std::unexpected(enrolled.error());
  workload.cgroup_id = enrolled->cgroup_id;
  workload.birth_ns = enrolled->birth_ns;
  workload.listener = place.token;  // enrolling_ is held: the namespace stays
  // Before anybody can find it: no flow may be asked about that nobody watches.
  tokens_.watch({.cgroup_id = workload.cgroup_id,
                 .agents = workload.agents,
                 .refusal = workload.refusal,
                 .recognised_as = workload.recognised_as,
                 .cgroup_path = workload.cgroup_path,
                 .by_exec = workload.by_exec,
                 .facts = workload.facts,
                 .file = workload.token_file,
                 .user = workload.token_user});
  lock.lock();
  ++place.users;
  Workload& known = workloads_[workload.cgroup_id];
  const int before = known.listener;
  known = std::move(workload);
  by_path_[known.cgroup_path] = known.cgroup_id;
  if (before != 0) release(before);
  return {};
}

/// One workload less on a listener; the last one ends it. Under mutex_.
void Workloads::release(int listener) {
  for (auto it = namespaces_.begin(); it != namespaces_.end(); ++it) {
    Namespace& place = it->second;
    if (place.token != listener || --place.users != 0 || !place.netns) continue;
    drop_(place.token);
    retired_.push_back({std::move(place.netns), place.token, read_clocks().monotonic_ns});
    namespaces_.erase(it);
    return;
  }
}

Result<bool> Workloads::settle(const std::string& cgroup_path) {
  std::lock_guard one(enrolling_);
  auto known = find(cgroup_path);
  const int pid = known ? pid_elsewhere(cgroup_path) : 0;
  if (pid == 0) return false;
  auto place = namespace_of(pid);
  if (!place) return std::unexpected(place.error());
  {
    std::lock_guard lock(mutex_);
    if (namespaces_.at(*place).token == known->listener) return false;
  }
  if (auto moved = enrol_in(std::move(*known), *place); !moved) return std::unexpected(moved.error());
  return true;
}

void Workloads::forget(const std::string& cgroup_path) {
  std::lock_guard one(enrolling_);
  std::unique_lock lock(mutex_);
  const auto path = by_path_.find(cgroup_path);
  if (path == by_path_.end()) return;
  const uint64_t id = path->second;
  by_path_.erase(path);
  if (const auto known = workloads_.find(id); known != workloads_.end()) {
    release(known->second.listener);
    workloads_.erase(known);
  }
  lock.unlock();
  tokens_.forget(id, cgroup_path);
  if (auto gone = kernel_.withdraw(id); !gone) spdlog::warn("withdraw {}: {}", cgroup_path, gone.error().what);
}

/// What one of the agents asks for that it may be holds for all of it.
void Workloads::apply_policy(Workload& workload, kernel::EnrolOptions& options) const {
  const auto facts = policy_.facts();
  for (const std::string& name : workload.agents) {
    const policy::Agent* agent = facts ? facts->policy->find_agent(name) : nullptr;
    if (!agent) continue;
    if (workload.refusal.empty() && !workload.by_exec) workload.refusal = level_refusal(*agent);
    options.divert_loopback |= agent->loopback == policy::Loopback::divert;
  }
}

std::string Workloads::level_refusal(const policy::Agent& agent) const {
  if (level_ >= level_of(agent.min_level)) return {};
  return fmt::format("this node reaches level {}, and agent {} asks for {}", kernel::to_string(level_), agent.name,
                     policy::to_string(agent.min_level));
}

Result<control::ExecGrant> Workloads::place(const control::Peer& peer, const control::ExecRequest& request) {
  const auto facts = policy_.facts();
  if (!facts) return fail("no policy is loaded, so there are no agents", "run: sallyport policy check");
  auto agent = facts->policy->agent_for_exec(request.agent, peer.user, peer.uid);
  if (!agent) return std::unexpected(agent.error());
  if (const std::string low = level_refusal(**agent); !low.empty())
    return fail(low,
                fmt::format("see what stays open with `sallyport doctor`; if that is acceptable write minLevel: {} in "
                            "Agent {}",
                            kernel::to_string(level_), (*agent)->name));
  if (auto can = check_token_file(*facts->policy, **agent, request); !can) return std::unexpected(can.error());
  std::lock_guard one(placing_);
  const launch::Subject subject{peer.pid, peer.pidfd, peer.uid, peer.gid, peer.groups};
  if (request.map_identity)
    if (auto mapped = launch::map_identity(subject); !mapped) return std::unexpected(mapped.error());
  auto scope = scopes_->make((*agent)->name);
  if (!scope) return std::unexpected(scope.error());
  Workload workload{.agents = {(*agent)->name},
                    .recognised_as = "exec:" + request.agent,
                    .cgroup_path = scope->path,
                    .by_exec = true};
  if (!request.token_file.empty()) {
    workload.token_file = request.token_file;
    workload.token_user = edges::FileUser{peer.uid, peer.gid, peer.groups};
    auto noted = write_token_note(absolute(scope->path), {workload.token_file, *workload.token_user});
    if (!noted) return std::unexpected(noted.error());
  }
  workload.facts.cgroup = identity::read_cgroup_path(scope->path);
  {
    std::lock_guard enrolling(enrolling_);
    auto netns = namespace_of(peer.pid);
    if (!netns) return std::unexpected(netns.error());
    if (auto done = enrol_in(std::move(workload), *netns); !done) return std::unexpected(done.error());
  }
  if (auto admitted = scopes_->admit(*scope, subject); !admitted) return std::unexpected(admitted.error());
  spdlog::info("agent {}: process {} of uid {} runs in {}", (*agent)->name, peer.pid, peer.uid, scope->path);
  return control::ExecGrant{.agent = (*agent)->name,
                            .cgroup_path = scope->path,
                            .cgroup_id = scope->id,
                            .level = std::string(kernel::to_string(level_)),
                            .io_uring = true};
}

void Workloads::sweep() {
  scopes_->sweep([this](const launch::Scope& scope) { forget(scope.path); });
  const int64_t now_ns = read_clocks().monotonic_ns;
  std::lock_guard lock(mutex_);
  std::erase_if(retired_, [&](const Retired& each) { return now_ns - each.since_ns > kNamespaceKeepNs; });
}

std::optional<Workload> Workloads::find(uint64_t cgroup_id, uint64_t birth_ns) const {
  std::lock_guard lock(mutex_);
  auto found = workloads_.find(cgroup_id);
  if (found == workloads_.end() || found->second.birth_ns != birth_ns) return std::nullopt;
  return found->second;
}

std::optional<Workload> Workloads::find(const std::string& cgroup_path) const {
  std::lock_guard lock(mutex_);
  const auto found = by_path_.find(cgroup_path);
  if (found == by_path_.end()) return std::nullopt;
  return workloads_.at(found->second);
}

std::vector<Workload> Workloads::list() const {
  std::lock_guard lock(mutex_);
  std::vector<Workload> out;
  for (const auto& [id, workload] : workloads_) out.push_back(workload);
  std::ranges::sort(out, {}, &Workload::cgroup_path);
  return out;
}

size_t Workloads::size() const {
  std::lock_guard lock(mutex_);
  return workloads_.size();
}

int Workloads::netns_of(int listener) const {
  std::lock_guard lock(mutex_);
  for (const auto& [inode, place] : namespaces_)
    if (place.token == listener && place.netns) return place.netns.get();
  for (const Retired& each : retired_)
    if (each.token == listener) return each.netns.get();
  return -1;
}

bool Workloads::holds(const std::string& cgroup_path) const {
  std::lock_guard lock(mutex_);
  for (size_t end = cgroup_path.size(); end != std::string::npos && end > 0; end = cgroup_path.rfind('/', end - 1))
    if (by_path_.contains(cgroup_path.substr(0, end))) return true;
  return false;
}

}  // namespace sallyport::daemon
