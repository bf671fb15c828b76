// SPDX-License-Identifier: Apache-2.0
#include "daemon/tokens.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "daemon/issuer_rule.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"

namespace sallyport::daemon {
namespace {

using flow::Standing;
using identity::Fault;
using identity::Refusal;
namespace fs = std::filesystem;

constexpr size_t kProcessesTried = 8;    ///< of a workload, for one that sees its token
constexpr int64_t kPollPerHolderMs = 2;  ///< so that many workloads cost no more than a few

int64_t now_ms() { return read_clocks().monotonic_ns / kNanosPerMilli; }

/// Processes of a cgroup and of those below it, a few of them.
std::vector<pid_t> processes_of(const std::string& directory) {
  std::vector<pid_t> out;
  const auto add = [&](const fs::path& folder) {
    std::ifstream file(folder / "cgroup.procs");
    for (pid_t pid = 0; out.size() < kProcessesTried && file >> pid;)
      if (pid > 0) out.push_back(pid);
  };
  add(directory);
  std::error_code error;
  fs::recursive_directory_iterator it(directory, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end && out.size() < kProcessesTried; it.increment(error))
    if (it->is_directory(error)) add(it->path());
  return out;
}

std::shared_ptr<const Standing> not_asked() {
  static const auto standing = std::make_shared<const Standing>();
  return standing;
}

std::shared_ptr<const Standing> make_standing(Standing::Is is, std::string why, std::string hint = {}) {
  auto out = std::make_shared<Standing>();
  out->is = is;
  out->why = std::move(why);
  out->hint = std::move(hint);
  return out;
}

std::shared_ptr<const Standing> pending() {
  static const auto standing = make_standing(Standing::Is::pending, "its token could not be read and verified in time");
  return standing;
}

std::shared_ptr<const Standing> refused(const Refusal& refusal) {
  return make_standing(
      Standing::Is::refused,
      fmt::format("{}{}", refusal.fault == Fault::missing ? "" : "its token is not accepted: ", refusal.text),
      "sallyport policy token FILE shows what a token says and which Agent it leads to");
}

std::shared_ptr<const Standing> proven(const model::Token& token) {
  auto out = std::make_shared<Standing>();
  out->token.issuer = token.issuer;
  out->token.subject = token.subject;
  out->token.expires_wall_ns = token.expires_wall_ns;
  out->until_wall_ns = token.valid_until_wall_ns;
  return out;
}

/// Where the token is bound to must be where it was found, and what it adds to the workload's facts must fit.
identity::Checked<> check_place(const model::Token& token, const TokenHolder& holder, const policy::Policy& policy,
                                const policy::Agent& agent) {
  const std::string& pod_uid = holder.facts.cgroup.pod_uid;
  model::Workload facts = holder.facts;
  if (const auto& bound = token.kubernetes) {
    if (!bound->pod_uid.empty() && bound->pod_uid != pod_uid)
      return identity::refuse(
          Fault::place, fmt::format("it is bound to pod {}/{} (uid {}), and this workload is {}",
                                    printable(bound->name_space), printable(bound->pod), printable(bound->pod_uid),
                                    pod_uid.empty() ? "in no pod" : fmt::format("in the pod of uid {}", pod_uid)));
    facts.service_account = bound->service_account;
  }
  if (holder.by_exec) return {};
  const auto mismatches = policy.mismatches(agent, facts);
  if (mismatches.empty()) return {};
  return identity::refuse(Fault::place,
                          fmt::format("with it the workload's {} is {}, and Agent `{}` selects {}", mismatches[0].fact,
                                      printable(mismatches[0].found), agent.name, printable(mismatches[0].wanted)));
}

bool same(const Standing& a, const Standing& b) {
  return a.is == b.is && a.token == b.token && a.until_wall_ns == b.until_wall_ns && a.why == b.why;
}

}  // namespace

Tokens::Tokens(PolicyStore& policy, std::string cgroup_root, std::function<void(uint64_t)> changed)
    : policy_(policy),
      cgroup_root_(std::move(cgroup_root)),
      changed_(std::move(changed)),
      keys_([this] { look_at_all(); }) {
  for (size_t i = 0; i < limits::kTokenThreads; ++i) threads_.emplace_back([this] { run(); });
}

Tokens::~Tokens() { stop(); }

void Tokens::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  keys_.set_issuers({});
}

void Tokens::watch(TokenHolder holder) {
  const auto facts = policy_.facts();
  const policy::Agent* agent = facts ? facts->policy->find_agent(holder.agent) : nullptr;
  const uint64_t id = holder.cgroup_id;
  {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[id];
    // More became known of a workload, or its processes moved: what it has proven stands until the next look.
    const bool same = entry.standing && entry.holder.agent == holder.agent &&
                      entry.holder.cgroup_path == holder.cgroup_path && entry.holder.file == holder.file;
    if (!same) {
      schedule_.erase({entry.next_ms, id});
      entry = Entry();
      entry.standing = agent && agent->token ? pending() : not_asked();
      entry.since_ms = now_ms();
    }
    entry.holder = std::move(holder);
    schedule(id, entry, 0);
  }
  wake_.notify_one();
}

void Tokens::forget(uint64_t cgroup_id, const std::string& cgroup_path) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(cgroup_id);
  if (found == entries_.end() || found->second.holder.cgroup_path != cgroup_path) return;
  schedule_.erase({found->second.next_ms, cgroup_id});
  entries_.erase(found);
}

void Tokens::policy_changed() {
  const auto facts = policy_.facts();
  if (!facts) return;
  std::vector<edges::IssuerSource> sources;
  for (const policy::Issuer& issuer : facts->policy->issuers())
    sources.push_back({issuer.name, issuer.url, issuer.jwks_file, issuer.ca_file, issuer.keep_ns});
  {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    for (auto& [id, entry] : entries_) {
      const policy::Agent* agent = facts->policy->find_agent(entry.holder.agent);
      const bool asked = agent && agent->token;
      // Nobody who was asked for nothing has proven anything.
      if (asked && entry.standing == not_asked()) entry.standing = pending();
      if (!asked) entry.standing = not_asked();
      entry.since_ms = now_ms();
    }
  }
  // May wait for a thread that asks an issuer: the standings are right before.
  keys_.set_issuers(sources);
  look_at_all();
}

/// Now rather than when it is due: keys or policy are others.
void Tokens::look_at_all() {
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, entry] : entries_) schedule(id, entry, 0);
  }
  wake_.notify_all();
}

std::shared_ptr<const Standing> Tokens::standing(uint64_t cgroup_id) const {
  static const auto unknown = refused({Fault::missing, "nobody watches this workload"});
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(cgroup_id);
  return found == entries_.end() ? unknown : found->second.standing;
}

void Tokens::schedule(uint64_t cgroup_id, Entry& entry, int64_t at_ms) {
  schedule_.erase({entry.next_ms, cgroup_id});
  entry.next_ms = at_ms;
  schedule_.emplace(at_ms, cgroup_id);
}

void Tokens::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const int64_t now = now_ms();
    if (schedule_.empty() || schedule_.begin()->first > now) {
      const int64_t rest = schedule_.empty() ? 60'000 : schedule_.begin()->first - now;
      wake_.wait_for(lock, std::chrono::milliseconds(rest));
      continue;
    }
    const uint64_t id = schedule_.begin()->second;
    Entry& entry = entries_.at(id);
    // It stays in the schedule, so that a change while it is looked at is not lost.
    schedule(id, entry, now + std::max<int64_t>(limits::kTokenPollMs, kPollPerHolderMs * entries_.size()));
    const Entry copy = entry;
    lock.unlock();
    store(id, copy, look(copy, now));
    lock.lock();
  }
}

void Tokens::store(uint64_t cgroup_id, const Entry& before, Found found) {
  {
    std::lock_guard lock(mutex_);
    const auto entry = entries_.find(cgroup_id);
    if (entry == entries_.end()) return;
    // Judged by what is no longer so: policy_changed() has it looked at again.
    const auto facts = policy_.facts();
    if (facts && facts->epoch != found.epoch) return;
    Entry& kept = entry->second;
    if (same(*kept.standing, *found.standing)) found.standing = kept.standing;
    kept.good = std::move(found.good);
    kept.good_epoch = found.epoch;
    kept.good_keys = std::move(found.keys);
    if (kept.standing == found.standing) return;
    kept.standing = found.standing;
  }
  const TokenHolder& holder = before.holder;
  if (found.standing->is == Standing::Is::refused)
    spdlog::warn("token-mismatch: agent {}, workload {} ({}): {}", holder.agent, holder.recognised_as,
                 holder.cgroup_path, found.standing->why);
  else if (!found.standing->token.issuer.empty())
    spdlog::info("agent {}, workload {}: proven as {} {} until {}", holder.agent, holder.recognised_as,
                 found.standing->token.issuer, printable(found.standing->token.subject),
                 format_time(found.standing->until_wall_ns));
  changed_(cgroup_id);
}

Tokens::Found Tokens::look(const Entry& entry, int64_t now) {
  const auto facts = policy_.facts();
  const policy::Agent* agent = facts ? facts->policy->find_agent(entry.holder.agent) : nullptr;
  Found out;
  out.standing = not_asked();
  if (facts) out.epoch = facts->epoch;
  if (!agent || !agent->token) return out;
  out.good = entry.good;
  // Before the look: keys that come meanwhile are looked at again.
  if (const auto keys = keys_.keys(agent->token->issuer)) out.keys = *keys;
  out.standing = judge(entry, *facts, *agent, now, out.good);
  return out;
}

/// `good`: the token that proved the workload last; then the one that does now, or none.
std::shared_ptr<const Standing> Tokens::judge(const Entry& entry, const flow::Facts& facts, const policy::Agent& agent,
                                              int64_t now, Secret& good) {
  const policy::Policy& policy = *facts.policy;
  const policy::Issuer* issuer = policy.find_issuer(agent.token->issuer);
  if (!issuer) return refused({Fault::issuer, "its Issuer is in policy no longer"});
  const int64_t wall_ns = read_clocks().wall_ns;
  auto text = read(entry, *agent.token);
  const auto keys = keys_.keys(issuer->name);
  const bool as_before = text && text->equals(good.reveal()) && entry.standing->is == Standing::Is::proven &&
                         facts.epoch == entry.good_epoch && keys && *keys == entry.good_keys &&
                         wall_ns < entry.standing->until_wall_ns;
  if (as_before) return entry.standing;
  auto token = text ? check(*text, entry, policy, agent, *issuer, wall_ns)
                    : identity::Checked<model::Token>(std::unexpected(text.error()));
  if (token) {
    good = std::move(*text);
    return proven(*token);
  }
  const Fault fault = token.error().fault;
  const bool may_come = fault == Fault::missing || fault == Fault::key || fault == Fault::keys;
  // A file that is being replaced, or a new key that is on its way, ends nothing that the token before still proves.
  if (may_come && !good.empty())
    if (auto before = check(good, entry, policy, agent, *issuer, wall_ns)) return proven(*before);
  good = Secret();
  // At the start a flow waits for it; limits::kTokenWaitMs is how long.
  const bool early = entry.standing->is == Standing::Is::pending && now < entry.since_ms + limits::kTokenWaitMs;
  return may_come && early ? pending() : refused(token.error());
}

identity::Checked<Secret> Tokens::read(const Entry& entry, const policy::AgentToken& asked) {
  const TokenHolder& holder = entry.holder;
  edges::WorkloadFile file{.path = holder.file, .user = holder.user};
  if (file.path.empty()) file = {.path = asked.file};
  if (file.path.empty())
    return identity::refuse(Fault::missing, fmt::format("it presents no token: Agent `{}` says no `token.file`, and "
                                                        "`exec` was given no --token-file",
                                                        holder.agent));
  std::string why = "it presents no token: it has no process";
  for (const pid_t pid : processes_of(cgroup_root_ + holder.cgroup_path)) {
    file.pid = pid;
    auto text = files_.read(file);
    if (text) return std::move(*text);
    why = fmt::format("it presents no token: {}", text.error().what);
  }
  return identity::refuse(Fault::missing, std::move(why));
}

identity::Checked<model::Token> Tokens::check(const Secret& text, const Entry& entry, const policy::Policy& policy,
                                              const policy::Agent& agent, const policy::Issuer& issuer,
                                              int64_t wall_ns) {
  auto token = identity::verify_token(identity::trim_token(text.reveal()), issuer_rule(issuer), keys_, wall_ns);
  if (!token) return token;
  if (const auto mismatch = policy.match_token(agent, *token))
    return identity::refuse(mismatch->what == policy::TokenMismatch::What::claim ? Fault::claim : Fault::subject,
                            mismatch->text);
  if (auto placed = check_place(*token, entry.holder, policy, agent); !placed)
    return std::unexpected(std::move(placed.error()));
  return token;
}

}  // namespace sallyport::daemon
