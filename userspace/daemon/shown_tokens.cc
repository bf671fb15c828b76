// SPDX-License-Identifier: Apache-2.0
#include "daemon/shown_tokens.h"

#include <fmt/core.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::daemon {

using flow::Standing;
using identity::Fault;
using identity::Refusal;

namespace {

constexpr size_t kThreads = 2;

int64_t now_ms() { return read_clocks().monotonic_ns / kNanosPerMilli; }

std::string key_of(uint64_t cgroup_id, std::string_view token) {
  std::string out(sizeof cgroup_id + SHA256_DIGEST_LENGTH, '\0');
  memcpy(out.data(), &cgroup_id, sizeof cgroup_id);
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(out.data() + sizeof cgroup_id));
  return out;
}

/// A standing that needs no look.
class Settled final : public flow::ShownToken {
 public:
  explicit Settled(std::shared_ptr<const Standing> standing) : standing_(std::move(standing)) {}
  std::shared_ptr<const Standing> standing() const override { return standing_; }
  bool is(std::string_view) const override { return false; }

 private:
  const std::shared_ptr<const Standing> standing_;
};

}  // namespace

struct ShownTokens::Entry {
  uint64_t cgroup_id = 0;
  std::string key;
  Secret text;  ///< while a flow holds it
  std::shared_ptr<const Standing> standing;
  std::vector<model::FlowId> flows;  ///< that hold it, each as often as it does
  int64_t since_ms = 0;              ///< when it was shown first
  bool queued = false;
  std::optional<std::list<Entry*>::iterator> idle;
};

/// As one flow holds it.
class ShownTokens::Held final : public flow::ShownToken {
 public:
  Held(ShownTokens& owner, Shared entry, model::FlowId flow) : owner_(owner), entry_(std::move(entry)), flow_(flow) {}
  ~Held() override { owner_.drop(entry_, flow_); }
  std::shared_ptr<const Standing> standing() const override { return owner_.standing_of(*entry_); }
  // The text stays as it is while this holds it.
  bool is(std::string_view token) const override { return entry_->text.equals(token); }

 private:
  ShownTokens& owner_;
  const Shared entry_;
  const model::FlowId flow_;
};

ShownTokens::ShownTokens(PolicyStore& policy, identity::KeySet& keys,
                         std::function<std::optional<TokenHolder>(uint64_t)> find,
                         std::function<void(model::FlowId)> wake)
    : policy_(policy), keys_(keys), find_(std::move(find)), wake_flow_(std::move(wake)) {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { run(); });
}

ShownTokens::~ShownTokens() { stop(); }

void ShownTokens::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

std::shared_ptr<const flow::ShownToken> ShownTokens::show(const flow::Origin& origin, std::string_view token) {
  if (token.empty() || token.size() > limits::kTokenBytesMax)
    return std::make_shared<Settled>(refused(
        Refusal{Fault::malformed,
                token.empty() ? "it is empty" : fmt::format("it is longer than {} bytes", limits::kTokenBytesMax)}));
  const uint64_t cgroup_id = origin.principal.cgroup_id;
  std::string key = key_of(cgroup_id, token);
  const int64_t now = now_ms();
  std::lock_guard lock(mutex_);
  Shared& known = entries_[key];
  // One that waited for keys in vain is tried anew.
  const bool stale = known && !known->queued && known->standing->is != Standing::Is::proven &&
                     now >= known->since_ms + limits::kTokenWaitMs;
  if (!known || stale) {
    known = std::make_shared<Entry>();
    known->cgroup_id = cgroup_id;
    known->key = std::move(key);
    known->since_ms = now;
    known->standing = pending("its token could not be verified in time");
    if (!enqueue(known)) {
      entries_.erase(known->key);
      return std::make_shared<Settled>(refused("too many tokens of its workload wait to be verified"));
    }
  }
  if (known->idle) idle_.erase(*std::exchange(known->idle, std::nullopt));
  if (known->flows.empty()) known->text = Secret(std::string(token));
  known->flows.push_back(origin.id);
  return std::make_shared<Held>(*this, known, origin.id);
}

/// False: its workload has too many waiting. Under mutex_.
bool ShownTokens::enqueue(const Shared& entry) {
  const auto [found, fresh] = queues_.try_emplace(entry->cgroup_id);
  Queue& queue = found->second;
  if (fresh) queue = {.checks = limits::kShownTokenChecksBurst, .since_ms = now_ms()};
  if (queue.waiting.size() >= limits::kShownTokensQueuedMax) return false;
  entry->queued = true;
  if (queue.waiting.empty()) turns_.push_back(entry->cgroup_id);
  queue.waiting.push_back(entry);
  wake_.notify_one();
  return true;
}

std::shared_ptr<const Standing> ShownTokens::standing_of(const Entry& entry) const {
  std::lock_guard lock(mutex_);
  return entry.standing;
}

size_t ShownTokens::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

/// A flow lets go of it. What is proven is kept, without its text, for the next flow that shows it.
void ShownTokens::drop(const Shared& entry, model::FlowId flow) {
  std::lock_guard lock(mutex_);
  entry->flows.erase(std::ranges::find(entry->flows, flow));
  if (!entry->flows.empty()) return;
  const auto known = entries_.find(entry->key);
  if (known == entries_.end() || known->second != entry) return;
  entry->text = Secret();
  if (entry->standing->is != Standing::Is::proven || entry->queued) {
    entries_.erase(known);
    return;
  }
  entry->idle = idle_.insert(idle_.end(), entry.get());
  if (idle_.size() > limits::kShownTokensKept) forget(*idle_.front());
}

/// One that no flow holds. Under mutex_.
void ShownTokens::forget(Entry& entry) {
  idle_.erase(*entry.idle);
  entries_.erase(entries_.find(entry.key));
}

void ShownTokens::look_at_all() {
  {
    std::lock_guard lock(mutex_);
    while (!idle_.empty()) forget(*idle_.front());
    for (const auto& [key, entry] : entries_) look_again(entry);
  }
  wake_.notify_all();
}

void ShownTokens::look_at(uint64_t cgroup_id) {
  {
    std::lock_guard lock(mutex_);
    std::vector<Shared> of_it;
    for (const auto& [key, entry] : entries_)
      if (entry->cgroup_id == cgroup_id) of_it.push_back(entry);
    for (const Shared& entry : of_it) entry->idle ? forget(*entry) : look_again(entry);
  }
  wake_.notify_all();
}

/// Under mutex_. What is proven comes first and is not counted: there are no more than flows hold.
void ShownTokens::look_again(const Shared& entry) {
  if (entry->queued) return;
  if (entry->standing->is != Standing::Is::proven) {
    enqueue(entry);
    return;
  }
  entry->queued = true;
  again_.push_back(entry);
}

void ShownTokens::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    int64_t rest_ms = 60'000;
    const int64_t now = now_ms();
    const Shared entry = take_next(now, rest_ms);
    sweep(now);
    if (!entry) {
      wake_.wait_for(lock, std::chrono::milliseconds(rest_ms));
      continue;
    }
    entry->queued = false;
    if (entry->flows.empty()) continue;  // nobody wants to know any more
    Entry copy = *entry;                 // its text may go while it is looked at
    lock.unlock();
    const auto facts = policy_.facts();
    const auto holder = find_(copy.cgroup_id);
    store(entry, facts && holder ? judge(copy, *facts, *holder) : lost("its cgroup has gone"),
          holder ? &*holder : nullptr);
    lock.lock();
  }
}

/// Of the workload next in turn that has checks left. Under mutex_.
ShownTokens::Shared ShownTokens::take_next(int64_t now, int64_t& rest_ms) {
  if (!again_.empty()) {
    Shared out = std::move(again_.front());
    again_.pop_front();
    return out;
  }
  for (size_t count = turns_.size(); count > 0; --count) {
    const uint64_t cgroup_id = turns_.front();
    turns_.pop_front();
    Queue& queue = queues_.at(cgroup_id);
    earn(queue, now);
    Shared out;
    if (queue.checks > 0) {
      --queue.checks;
      out = std::move(queue.waiting.front());
      queue.waiting.pop_front();
    }
    if (!queue.waiting.empty()) turns_.push_back(cgroup_id);
    if (out) return out;
    rest_ms = 1'000 / limits::kShownTokenChecksPerS;
  }
  return nullptr;
}

void ShownTokens::earn(Queue& queue, int64_t now) {
  const int64_t earned = (now - queue.since_ms) * limits::kShownTokenChecksPerS / 1'000;
  if (earned <= 0) return;
  queue.checks = std::min(queue.checks + earned, limits::kShownTokenChecksBurst);
  queue.since_ms = now;
}

/// Once in a while: forgets workloads of which nothing is known that a new one would not begin with. Under mutex_.
void ShownTokens::sweep(int64_t now) {
  constexpr int64_t kSweepMs = 5'000;
  if (now < next_sweep_ms_) return;
  next_sweep_ms_ = now + kSweepMs;
  for (auto each = queues_.begin(); each != queues_.end();) {
    Queue& queue = each->second;
    earn(queue, now);
    const bool fresh = queue.waiting.empty() && queue.checks == limits::kShownTokenChecksBurst;
    each = fresh ? queues_.erase(each) : std::next(each);
  }
}

/// The one Agent among those of the workload whom the token proves.
std::shared_ptr<const Standing> ShownTokens::judge(const Entry& entry, const flow::Facts& facts,
                                                   const TokenHolder& holder) {
  if (!holder.refusal.empty()) return lost(holder.refusal);
  if (holder.agents.empty()) return lost("no Agent selects its workload");
  const std::string_view text = entry.text.reveal();
  const auto claimed = identity::read_unverified(identity::trim_token(text));
  if (!claimed) return refused(claimed.error());
  const int64_t wall_ns = read_clocks().wall_ns;
  std::map<std::string, identity::Checked<model::Token>> verified;  // by Issuer
  std::vector<std::shared_ptr<const Standing>> proofs;
  Refusal why{Fault::issuer,
              fmt::format("its issuer is `{}`, which {} asks for", printable(claimed->issuer, 200),
                          holder.agents.size() == 1 ? fmt::format("Agent `{}` does not", holder.agents[0])
                                                    : "none of its Agents")};
  for (const std::string& name : holder.agents) {
    const policy::Agent* agent = facts.policy->find_agent(name);
    if (!agent) why.text = fmt::format("Agent `{}` is not in policy any more", name);
    const policy::Issuer* issuer = agent && agent->token ? facts.policy->find_issuer(agent->token->issuer) : nullptr;
    if (!issuer || issuer->url != claimed->issuer) continue;
    auto found = verified.find(issuer->name);
    if (found == verified.end()) found = verified.emplace(issuer->name, verify(text, *issuer, keys_, wall_ns)).first;
    const auto& token = found->second;
    if (!token) {
      why = token.error();
    } else if (auto fits = check_fit(*token, holder, *facts.policy, *agent); !fits) {
      why = fits.error();
    } else {
      proofs.push_back(proven(name, *token));
    }
  }
  if (proofs.size() == 1) return proofs[0];
  if (proofs.size() > 1)
    return refused(fmt::format("its token proves it to be agent {} and agent {}", proofs[0]->agent, proofs[1]->agent));
  const bool may_come = why.fault == Fault::key || why.fault == Fault::keys;
  const bool proven_before = entry.standing->is == Standing::Is::proven;
  // Keys that are on their way: whoever waits for them is woken when they come.
  if (may_come && !proven_before && now_ms() < entry.since_ms + limits::kTokenWaitMs)
    return pending(fmt::format("its token is not accepted: {}", why.text));
  return refused(why);
}

void ShownTokens::store(const Shared& entry, std::shared_ptr<const Standing> standing, const TokenHolder* holder) {
  std::vector<model::FlowId> flows;
  {
    std::lock_guard lock(mutex_);
    if (same(*entry->standing, *standing)) return;
    entry->standing = standing;
    flows = entry->flows;
    if (standing->is == Standing::Is::refused && holder)
      if (const auto queue = queues_.find(entry->cgroup_id); queue != queues_.end())
        say(queue->second, *holder, *standing);
  }
  for (const model::FlowId flow : flows) wake_flow_(flow);
}

/// Once a second for each workload: what it shows is its own choice.
void ShownTokens::say(Queue& queue, const TokenHolder& holder, const Standing& standing) {
  const int64_t now = now_ms();
  if (queue.said_ms != 0 && now < queue.said_ms + 1'000) {
    ++queue.unsaid;
    return;
  }
  queue.said_ms = now;
  const uint64_t unsaid = std::exchange(queue.unsaid, 0);
  spdlog::warn("token-mismatch: {}, workload {} ({}): {}{}", agents_in_words(holder), holder.recognised_as,
               holder.cgroup_path, standing.why, unsaid == 0 ? "" : fmt::format(" (and {} more)", unsaid));
}

}  // namespace sallyport::daemon
