// SPDX-License-Identifier: Apache-2.0
#include "daemon/tokens.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

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

/// Processes of a cgroup, a few of them; if it has none, of those below it.
std::vector<pid_t> processes_of(const std::string& directory) {
  std::vector<pid_t> out;
  const auto add = [&](const fs::path& folder) {
    std::ifstream file(folder / "cgroup.procs");
    for (pid_t pid = 0; out.size() < kProcessesTried && file >> pid;)
      if (pid > 0) out.push_back(pid);
  };
  add(directory);
  if (!out.empty()) return out;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end && out.size() < kProcessesTried; it.increment(error))
    if (it->is_directory(error)) add(it->path());
  return out;
}

bool asked(const Standing& standing) { return standing.is != Standing::Is::proven || !standing.token.issuer.empty(); }

std::shared_ptr<const Standing> pending_file() {
  static const auto standing = pending("its token could not be read and verified in time");
  return standing;
}

}  // namespace

Tokens::Tokens(PolicyStore& policy, std::string cgroup_root, std::function<void(uint64_t)> changed,
               std::function<void(model::FlowId)> wake)
    : policy_(policy),
      cgroup_root_(std::move(cgroup_root)),
      changed_(std::move(changed)),
      keys_([this] { look_at_all(); }),
      shown_(
          policy, keys_, [this](uint64_t id) { return holder(id); }, std::move(wake)) {
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
  shown_.stop();
}

/// What all proofs of a workload come to: of several agents exactly one must be proven.
std::shared_ptr<const Standing> Tokens::combine(const Entry& entry) {
  if (!entry.holder.refusal.empty()) return lost(entry.holder.refusal);
  if (entry.proofs.empty()) return lost("no Agent selects its workload any more");
  if (entry.proofs.size() == 1) return entry.proofs[0].standing;
  const Proof* found = nullptr;
  bool waits = false;
  std::string why;
  for (const Proof& proof : entry.proofs) {
    waits |= proof.standing->is == Standing::Is::pending;
    if (proof.standing->is == Standing::Is::proven && found)
      return refused(fmt::format("its tokens prove it to be agent {} and agent {}", found->agent, proof.agent));
    if (proof.standing->is == Standing::Is::proven) found = &proof;
    why += fmt::format("{}agent {}: {}", why.empty() ? "" : "; ", proof.agent, proof.standing->why);
  }
  return found ? found->standing : waits ? pending_file() : refused(std::move(why));
}

/// What stands before the next look. `keep_proofs`: what was proven before counts until then. True: it is another one.
bool Tokens::begin(Entry& entry, const policy::Policy& policy, bool keep_proofs) {
  std::vector<Proof> before;
  before.swap(entry.proofs);
  for (const std::string& name : entry.holder.agents) {
    const auto same_agent = std::ranges::find(before, name, &Proof::agent);
    Proof& proof = entry.proofs.emplace_back();
    if (keep_proofs && same_agent != before.end()) proof = std::move(*same_agent);
    proof.agent = name;
    const policy::Agent* agent = policy.find_agent(name);
    if (!agent)
      proof.standing = lost(fmt::format("Agent `{}` is not in policy any more", name));
    else if (!agent->token)
      proof.standing = entry.holder.agents.size() == 1 ? not_asked(name) : refused("it asks for no token");
    else if (!proof.standing || !asked(*proof.standing))
      proof.standing = pending_file();  // who was asked for nothing has proven nothing
  }
  entry.since_ms = now_ms();
  auto standing = combine(entry);
  const bool other = !entry.standing || !same(*entry.standing, *standing);
  if (other) entry.standing = std::move(standing);
  return other;
}

void Tokens::watch(TokenHolder holder) {
  const auto facts = policy_.facts();
  if (!facts) return;
  const uint64_t id = holder.cgroup_id;
  bool known = false, other = false, others = false;
  {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[id];
    known = entry.standing != nullptr;
    // More became known of a workload, or its processes moved: what it has proven stands until the next look.
    const bool same_place = entry.holder.cgroup_path == holder.cgroup_path && entry.holder.file == holder.file;
    others = entry.holder != holder;
    entry.holder = std::move(holder);
    other = begin(entry, *facts->policy, same_place);
    schedule(id, entry, 0);
  }
  wake_.notify_one();
  if (!known) return;
  if (others) shown_.look_at(id);
  if (other) changed_(id);
}

void Tokens::forget(uint64_t cgroup_id, const std::string& cgroup_path) {
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(cgroup_id);
    if (found == entries_.end() || found->second.holder.cgroup_path != cgroup_path) return;
    schedule_.erase({found->second.next_ms, cgroup_id});
    urgent_ -= found->second.urgent;
    entries_.erase(found);
  }
  // Its sockets may live on in processes of other cgroups.
  shown_.look_at(cgroup_id);
  changed_(cgroup_id);
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
    for (auto& [id, entry] : entries_) begin(entry, *facts->policy, /*keep_proofs=*/true);
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
  shown_.look_at_all();
}

std::shared_ptr<const Standing> Tokens::standing(uint64_t cgroup_id) const {
  static const auto gone = lost("its cgroup has gone");
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(cgroup_id);
  return found == entries_.end() ? gone : found->second.standing;
}

std::shared_ptr<const Standing> Tokens::standing(uint64_t cgroup_id, const std::string& agent) const {
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(cgroup_id);
  if (found == entries_.end()) return nullptr;
  const auto proof = std::ranges::find(found->second.proofs, agent, &Proof::agent);
  return proof == found->second.proofs.end() ? nullptr : proof->standing;
}

std::optional<TokenHolder> Tokens::holder(uint64_t cgroup_id) const {
  std::shared_lock lock(mutex_);
  const auto found = entries_.find(cgroup_id);
  if (found == entries_.end()) return std::nullopt;
  return found->second.holder;
}

void Tokens::schedule(uint64_t cgroup_id, Entry& entry, int64_t at_ms) {
  schedule_.erase({entry.next_ms, cgroup_id});
  entry.next_ms = at_ms;
  schedule_.emplace(at_ms, cgroup_id);
}

/// How long until the next look. With many workloads a look at each takes its time; those whose token ends before long,
/// or does not prove them, go by a list of their own, so that a renewal is not missed. Each list takes the same work at
/// most, however long it is.
int64_t Tokens::pace(Entry& entry) {
  constexpr int64_t kRoundsBeforeEnd = 4;
  const int64_t round_ms = std::max<int64_t>(limits::kTokenPollMs, kPollPerHolderMs * entries_.size());
  const int64_t left_ms = (entry.standing->until_wall_ns - read_clocks().wall_ns) / kNanosPerMilli;
  const bool settled = entry.standing->is == Standing::Is::proven &&
                       (entry.standing->until_wall_ns == 0 || left_ms > kRoundsBeforeEnd * round_ms);
  urgent_ += static_cast<size_t>(!settled) - static_cast<size_t>(entry.urgent);
  entry.urgent = !settled;
  return settled ? round_ms : std::max<int64_t>(limits::kTokenPollMs, kPollPerHolderMs * urgent_);
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
    schedule(id, entry, now + pace(entry));
    Entry copy = entry;
    lock.unlock();
    const auto facts = policy_.facts();
    for (Proof& proof : copy.proofs)
      if (facts) look(copy, *facts, proof, now);
    if (facts) store(id, facts->epoch, std::move(copy.proofs));
    lock.lock();
  }
}

void Tokens::store(uint64_t cgroup_id, uint64_t epoch, std::vector<Proof> proofs) {
  TokenHolder holder;
  std::shared_ptr<const Standing> standing;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(cgroup_id);
    if (found == entries_.end()) return;
    // Judged by what is no longer so: policy_changed() or watch() has it looked at again.
    const auto facts = policy_.facts();
    Entry& entry = found->second;
    if ((facts && facts->epoch != epoch) || !std::ranges::equal(proofs, entry.proofs, {}, &Proof::agent, &Proof::agent))
      return;
    entry.proofs = std::move(proofs);
    standing = combine(entry);
    if (same(*entry.standing, *standing)) return;
    entry.standing = standing;
    holder = entry.holder;
  }
  const bool has_file = !holder.file.empty() || has_token_file(holder);
  if (standing->is == Standing::Is::refused && has_file)
    spdlog::warn("token-mismatch: {}, workload {} ({}): {}", agents_in_words(holder), holder.recognised_as,
                 holder.cgroup_path, standing->why);
  else if (!standing->token.issuer.empty())
    spdlog::info("agent {}, workload {}: proven as {} {} until {}", standing->agent, holder.recognised_as,
                 standing->token.issuer, printable(standing->token.subject), format_time(standing->until_wall_ns));
  changed_(cgroup_id);
}

/// Of workloads whose agents only show tokens inside their protocols nobody need be told that there is no file.
bool Tokens::has_token_file(const TokenHolder& holder) const {
  const auto facts = policy_.facts();
  return facts && std::ranges::any_of(holder.agents, [&](const std::string& name) {
           const policy::Agent* agent = facts->policy->find_agent(name);
           return agent && agent->token && !agent->token->file.empty();
         });
}

void Tokens::look(const Entry& entry, const flow::Facts& facts, Proof& proof, int64_t now) {
  const policy::Agent* agent = facts.policy->find_agent(proof.agent);
  if (!agent || !agent->token) return;
  // Before the look: keys that come meanwhile are looked at again.
  const auto keys = keys_.keys(agent->token->issuer);
  auto standing = judge(entry, facts, *agent, now, proof);
  if (!same(*proof.standing, *standing)) proof.standing = std::move(standing);
  proof.good_epoch = facts.epoch;
  proof.good_keys = keys ? *keys : nullptr;
}

std::shared_ptr<const Standing> Tokens::judge(const Entry& entry, const flow::Facts& facts, const policy::Agent& agent,
                                              int64_t now, Proof& proof) {
  const policy::Policy& policy = *facts.policy;
  const policy::Issuer* issuer = policy.find_issuer(agent.token->issuer);
  if (!issuer) return refused({Fault::issuer, "its Issuer is in policy no longer"});
  const int64_t wall_ns = read_clocks().wall_ns;
  auto text = read(entry.holder, agent);
  const auto keys = keys_.keys(issuer->name);
  const bool as_before = text && text->equals(proof.good.reveal()) && proof.standing->is == Standing::Is::proven &&
                         facts.epoch == proof.good_epoch && keys && *keys == proof.good_keys &&
                         wall_ns < proof.standing->until_wall_ns;
  if (as_before) return proof.standing;
  auto token = text ? check(*text, entry, policy, agent, *issuer, wall_ns)
                    : identity::Checked<model::Token>(std::unexpected(text.error()));
  if (token) {
    proof.good = std::move(*text);
    return proven(agent.name, *token);
  }
  const Fault fault = token.error().fault;
  const bool may_come = fault == Fault::missing || fault == Fault::key || fault == Fault::keys;
  // A file that is being replaced, or a new key that is on its way, ends nothing that the token before still proves.
  if (may_come && !proof.good.empty())
    if (auto before = check(proof.good, entry, policy, agent, *issuer, wall_ns)) return proven(agent.name, *before);
  proof.good = Secret();
  // At the start a flow waits for it; limits::kTokenWaitMs is how long.
  const bool early = proof.standing->is == Standing::Is::pending && now < entry.since_ms + limits::kTokenWaitMs;
  return may_come && early ? pending_file() : refused(token.error());
}

identity::Checked<Secret> Tokens::read(const TokenHolder& holder, const policy::Agent& agent) {
  edges::WorkloadFile file{.path = holder.file, .user = holder.user};
  if (file.path.empty()) file = {.path = agent.token->file};
  if (file.path.empty())
    return identity::refuse(Fault::missing, fmt::format("it presents no token: Agent `{}` says no `token.file`, and "
                                                        "`exec` was given no --token-file",
                                                        agent.name));
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
  auto token = verify(text.reveal(), issuer, keys_, wall_ns);
  if (!token) return token;
  if (auto fits = check_fit(*token, entry.holder, policy, agent); !fits) return std::unexpected(fits.error());
  return token;
}

}  // namespace sallyport::daemon
