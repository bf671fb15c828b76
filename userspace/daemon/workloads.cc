// SPDX-License-Identifier: Apache-2.0
#include "daemon/workloads.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "daemon/token_note.h"
#include "sallyport/base/log.h"
#include "sallyport/identity/cgroup_facts.h"

namespace sallyport::daemon {
namespace {

/// The first process of a cgroup or below; 0: none.
int any_process(const std::string& directory) {
  std::ifstream processes(directory + "/cgroup.procs");
  int pid = 0;
  processes >> pid;
  return pid;
}

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

/// What cannot end well is said before the command starts.
Result<> check_token_file(const policy::Agent& agent, const control::ExecRequest& request) {
  if (!agent.token && !request.token_file.empty())
    return fail(fmt::format("Agent {} asks for no token", agent.name), "leave --token-file out");
  if (agent.token && agent.token->file.empty() && request.token_file.empty())
    return fail(fmt::format("Agent {} asks for a token, and nobody says where it is", agent.name),
                "say --token-file FILE, or write file: /path in the Agent's token");
  return {};
}

}  // namespace

Workloads::Workloads(kernel::Kernel& kernel, PolicyStore& policy, Tokens& tokens, kernel::Level level,
                     ServeListener serve)
    : kernel_(kernel), policy_(policy), tokens_(tokens), level_(level), serve_(std::move(serve)) {}

Result<> Workloads::start() {
  if (auto own = namespace_of(0); !own) return std::unexpected(own.error());
  auto scopes = launch::Scopes::open(kernel_.cgroup_root(), std::string(control::kSlice));
  if (!scopes) return std::unexpected(scopes.error());
  scopes_ = std::move(*scopes);
  for (const launch::Scope& scope : scopes_->list()) {
    auto place = namespace_of(any_process(absolute(scope.path)));
    if (!place) return std::unexpected(place.error());
    Workload known{.agent = scope.agent,
                   .recognised_as = "exec:" + scope.agent,
                   .cgroup_path = scope.path,
                   .cgroup_id = scope.id,
                   .by_exec = true};
    if (auto note = read_token_note(absolute(scope.path))) {
      known.token_file = std::move(note->file);
      known.token_user = std::move(note->user);
    }
    auto again = enrol(std::move(known), **place);
    if (!again) spdlog::warn("scope {} of the daemon before: {}", scope.path, again.error().what);
  }
  enrol_named_cgroups();
  return {};
}

std::string Workloads::absolute(const std::string& cgroup_path) const { return kernel_.cgroup_root() + cgroup_path; }

/// The listener for processes that share a network namespace with `pid` (0: with us).
Result<Workloads::Namespace*> Workloads::namespace_of(int pid) {
  const std::string path = pid == 0 ? "/proc/self/ns/net" : fmt::format("/proc/{}/ns/net", pid);
  struct stat status {
  }, own{};
  UniqueFd netns(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns || fstat(netns.get(), &status) != 0) return fail_errno(path);
  if (stat("/proc/self/ns/net", &own) != 0) return fail_errno("/proc/self/ns/net");
  std::lock_guard lock(mutex_);
  if (auto found = namespaces_.find(status.st_ino); found != namespaces_.end()) return &found->second;
  Namespace place;
  if (status.st_ino != own.st_ino) place.netns = std::move(netns);
  if (auto serving = serve(place); !serving) return std::unexpected(serving.error());
  return &(namespaces_[status.st_ino] = std::move(place));
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

Result<Workload> Workloads::enrol(Workload workload, const Namespace& place) {
  UniqueFd cgroup(::open(absolute(workload.cgroup_path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(fmt::format("cgroup {}", workload.cgroup_path));
  const auto facts = policy_.facts();
  const policy::Agent* agent = facts ? facts->policy->find_agent(workload.agent) : nullptr;
  kernel::EnrolOptions options{.listener = place.listener.info, .level = level_};
  // In the host's namespace loopback leads to other people's services, in one of its own to itself.
  options.divert_loopback = !place.netns || (agent && agent->loopback == policy::Loopback::divert);
  auto enrolled = kernel_.enrol(cgroup.get(), options);
  if (!enrolled) return std::unexpected(enrolled.error());
  workload.cgroup_id = enrolled->cgroup_id;
  workload.listener = place.token;
  // Before anybody can find it: no flow may be asked about that nobody watches.
  tokens_.watch({.cgroup_id = workload.cgroup_id,
                 .agent = workload.agent,
                 .recognised_as = workload.recognised_as,
                 .cgroup_path = workload.cgroup_path,
                 .file = workload.token_file,
                 .user = workload.token_user});
  std::lock_guard lock(mutex_);
  return workloads_[workload.cgroup_id] = std::move(workload);
}

Result<> Workloads::check_level(const policy::Agent& agent) const {
  if (level_ >= level_of(agent.min_level)) return {};
  return fail(fmt::format("this node reaches level {}, and agent {} asks for {}", kernel::to_string(level_), agent.name,
                          policy::to_string(agent.min_level)),
              fmt::format("see what stays open with `sallyport doctor`; if that is acceptable write minLevel: {} in "
                          "Agent {}",
                          kernel::to_string(level_), agent.name));
}

Result<control::ExecGrant> Workloads::place(const control::Peer& peer, const control::ExecRequest& request) {
  const auto facts = policy_.facts();
  if (!facts) return fail("no policy is loaded, so there are no agents", "run: sallyport policy check");
  auto agent = facts->policy->agent_for_exec(request.agent, peer.user, peer.uid);
  if (!agent) return std::unexpected(agent.error());
  if (auto reached = check_level(**agent); !reached) return std::unexpected(reached.error());
  if (auto can = check_token_file(**agent, request); !can) return std::unexpected(can.error());
  std::lock_guard one(placing_);
  auto place = namespace_of(peer.pid);
  if (!place) return std::unexpected(place.error());
  const launch::Subject subject{peer.pid, peer.pidfd, peer.uid, peer.gid, peer.groups};
  if (request.map_identity)
    if (auto mapped = launch::map_identity(subject); !mapped) return std::unexpected(mapped.error());
  auto scope = scopes_->make((*agent)->name);
  if (!scope) return std::unexpected(scope.error());
  const edges::FileUser user{peer.uid, peer.gid, peer.groups};
  if (!request.token_file.empty())
    if (auto noted = write_token_note(absolute(scope->path), {request.token_file, user}); !noted)
      return std::unexpected(noted.error());
  auto workload = enrol({.agent = (*agent)->name,
                         .recognised_as = "exec:" + request.agent,
                         .cgroup_path = scope->path,
                         .cgroup_id = scope->id,
                         .by_exec = true,
                         .token_file = request.token_file,
                         .token_user = user},
                        **place);
  if (!workload) return std::unexpected(workload.error());
  if (auto admitted = scopes_->admit(*scope, subject); !admitted) return std::unexpected(admitted.error());
  spdlog::info("agent {}: process {} of uid {} runs in {}", (*agent)->name, peer.pid, peer.uid, scope->path);
  return control::ExecGrant{.agent = (*agent)->name,
                            .cgroup_path = scope->path,
                            .cgroup_id = workload->cgroup_id,
                            .level = std::string(kernel::to_string(level_)),
                            .io_uring = true};
}

void Workloads::sweep() {
  scopes_->sweep([this](const launch::Scope& scope) {
    if (auto gone = kernel_.withdraw(scope.id); !gone) spdlog::warn("withdraw {}: {}", scope.path, gone.error().what);
    tokens_.forget(scope.id);
    std::lock_guard lock(mutex_);
    workloads_.erase(scope.id);
  });
  enrol_named_cgroups();
}

/// Cgroups that Agents name by path: enrolled when they are there, let go when they or the Agent are gone.
void Workloads::enrol_named_cgroups() {
  const auto facts = policy_.facts();
  if (!facts) return;
  std::map<std::string, std::string> wanted;  // path -> agent
  for (const policy::Agent& agent : facts->policy->agents())
    for (const policy::WorkloadSelector& selector : agent.workloads)
      if (selector.kind == model::WorkloadKind::other) wanted[selector.facts[0].any_of[0]] = agent.name;
  for (const Workload& workload : list()) {
    if (workload.by_exec) continue;
    auto still = wanted.find(workload.cgroup_path);
    struct stat status {};
    const bool there =
        stat(absolute(workload.cgroup_path).c_str(), &status) == 0 && status.st_ino == workload.cgroup_id;
    if (there && still != wanted.end() && still->second == workload.agent) {
      wanted.erase(still);
    } else if (!there) {
      (void)kernel_.withdraw(workload.cgroup_id);
      tokens_.forget(workload.cgroup_id);
      std::lock_guard lock(mutex_);
      workloads_.erase(workload.cgroup_id);
    }
    // A cgroup whose Agent left the policy stays diverted: nobody's connections are refused, never let go.
  }
  for (const auto& [path, agent_name] : wanted) {
    if (access(absolute(path).c_str(), F_OK) != 0) continue;
    const policy::Agent& agent = *facts->policy->find_agent(agent_name);
    std::string trouble;
    if (auto reached = check_level(agent); !reached) trouble = reached.error().what;
    auto place = namespace_of(any_process(absolute(path)));
    if (!place) trouble = place.error().what;
    if (trouble.empty())
      if (auto done = enrol({.agent = agent_name, .recognised_as = "cgroup:" + path, .cgroup_path = path}, **place);
          !done)
        trouble = done.error().what;
    std::string& logged = troubles_[path];
    if (trouble != logged && !trouble.empty()) spdlog::error("cgroup {} of agent {}: {}", path, agent_name, trouble);
    if (trouble.empty()) spdlog::info("agent {}: cgroup {} is enrolled", agent_name, path);
    logged = trouble;
  }
}

std::optional<Workload> Workloads::find(uint64_t cgroup_id) const {
  std::lock_guard lock(mutex_);
  auto found = workloads_.find(cgroup_id);
  if (found == workloads_.end()) return std::nullopt;
  return found->second;
}

std::vector<Workload> Workloads::list() const {
  std::lock_guard lock(mutex_);
  std::vector<Workload> out;
  for (const auto& [id, workload] : workloads_) out.push_back(workload);
  return out;
}

int Workloads::netns_of(int listener) const {
  std::lock_guard lock(mutex_);
  for (const auto& [inode, place] : namespaces_)
    if (place.token == listener && place.netns) return place.netns.get();
  return -1;
}

bool Workloads::governs(const std::string& cgroup_path) const {
  auto below = [&](std::string_view ancestor) {
    return cgroup_path == ancestor || (cgroup_path.starts_with(ancestor) && cgroup_path.size() > ancestor.size() &&
                                       cgroup_path[ancestor.size()] == '/');
  };
  if (below(fmt::format("/{}", control::kSlice))) return true;
  for (const Workload& workload : list())
    if (below(workload.cgroup_path)) return true;
  const auto facts = policy_.facts();
  model::Workload workload;
  workload.cgroup = identity::read_cgroup_path(cgroup_path);
  return facts && !facts->policy->match_workload(workload).empty();
}

}  // namespace sallyport::daemon
