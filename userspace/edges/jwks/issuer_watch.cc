// SPDX-License-Identifier: Apache-2.0
#include "edges/jwks/issuer_watch.h"

#include <fmt/core.h>

#include <algorithm>

#include "edges/jwks/discovery.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"

namespace sallyport::edges {
namespace {

int64_t now_ms() { return read_clocks().monotonic_ns / kNanosPerMilli; }

}  // namespace

IssuerWatch::IssuerWatch(IssuerSource source, const JwksTimes& times, const std::function<void()>& changed)
    : source_(std::move(source)), times_(times), changed_(changed), thread_([this] { run(); }) {}

IssuerWatch::~IssuerWatch() {
  {
    std::lock_guard lock(mutex_);
    stop_ = poked_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<std::shared_ptr<const identity::Jwks>> IssuerWatch::keys() const {
  std::lock_guard lock(mutex_);
  if (set_) return set_;
  return fail(trouble_, source_.jwks_file.empty() ? "see the daemon's log; is the issuer up, and `ca` right?"
                                                  : "see the daemon's log");
}

void IssuerWatch::miss(std::string_view key_id) {
  const int64_t now = now_ms();
  std::lock_guard lock(mutex_);
  const auto vain = vain_.find(std::string(key_id));
  if (vain != vain_.end() && now < vain->second) return;
  if (vain != vain_.end()) vain_.erase(vain);
  if (waiting_.size() >= limits::kJwksUnknownKeysMax) return;
  waiting_.emplace(key_id, now);
  missed_ = poked_ = true;
  wake_.notify_all();
}

IssuerStatus IssuerWatch::status() const {
  std::lock_guard lock(mutex_);
  return {source_.name, set_ ? set_->keys.size() : 0, fetched_wall_ns_, fetches_, trouble_};
}

bool IssuerWatch::due(int64_t now) const {
  if (!source_.jwks_file.empty()) return true;
  if (retry_ms_ != 0) return now >= asked_ms_ + retry_ms_;
  return now >= refresh_at_ms_ || (missed_ && now >= asked_ms_ + times_.unknown_key);
}

int64_t IssuerWatch::next_look_ms(int64_t now) const {
  if (!source_.jwks_file.empty()) return now + times_.file_poll;
  int64_t next = retry_ms_ != 0 ? asked_ms_ + retry_ms_ : refresh_at_ms_;
  if (retry_ms_ == 0 && missed_) next = std::min(next, asked_ms_ + times_.unknown_key);
  if (set_ && !trouble_.empty()) next = std::min(next, fetched_ms_ + source_.keep_ns / kNanosPerMilli);
  return std::max(next, now + 1);
}

void IssuerWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    bool news = false;
    if (due(now_ms())) {
      lock.unlock();
      news = refresh();
      lock.lock();
    }
    news |= run_out(now_ms());
    if (news) {
      lock.unlock();
      changed_();
      lock.lock();
    }
    const int64_t now = now_ms();
    wake_.wait_for(lock, std::chrono::milliseconds(next_look_ms(now) - now), [&] { return poked_; });
    poked_ = false;
  }
}

/// Keys that are too old are none: an issuer that has been gone for so long may have revoked them.
bool IssuerWatch::run_out(int64_t now) {
  if (!set_ || trouble_.empty() || now < fetched_ms_ + source_.keep_ns / kNanosPerMilli) return false;
  spdlog::error("issuer {}: its keys are too old and count no longer", source_.name);
  set_.reset();
  text_.clear();
  return true;
}

/// True: the keys are others than before.
bool IssuerWatch::refresh() {
  Result<Fetched> fetched = fail("");
  if (source_.jwks_file.empty()) {
    fetched = discover_keys(source_, times_, stop_);
  } else {
    std::string fingerprint = fingerprint_of(source_.jwks_file);
    {
      std::lock_guard lock(mutex_);
      if (!fingerprint.empty() && fingerprint == fingerprint_) {
        if (trouble_.empty()) fetched_ms_ = now_ms();
        waiting_.clear();
        return false;
      }
      fingerprint_ = std::move(fingerprint);
    }
    auto text = read_key_file(source_.jwks_file);
    fetched = text ? Result<Fetched>(Fetched{std::move(*text)}) : std::unexpected(text.error());
  }
  if (stop_) return false;
  {
    std::lock_guard lock(mutex_);
    ++fetches_;
    asked_ms_ = now_ms();
    missed_ = false;
  }
  if (fetched)
    return store(fetched->text, fetched->fresh_for_s < 0 ? times_.refresh_max : fetched->fresh_for_s * 1'000);
  failed(fetched.error().what);
  return false;
}

bool IssuerWatch::store(const std::string& text, int64_t fresh_ms) {
  auto set = identity::parse_jwks(text);
  if (!set || set->keys.empty()) {
    failed(set ? "the key set has no key that could verify a token" : set.error().what);
    return false;
  }
  std::lock_guard lock(mutex_);
  const int64_t now = now_ms();
  fetched_ms_ = now;
  fetched_wall_ns_ = read_clocks().wall_ns;
  refresh_at_ms_ = now + std::clamp(fresh_ms, times_.refresh_min, times_.refresh_max);
  if (!trouble_.empty() && retry_ms_ != 0) spdlog::info("issuer {}: its keys can be had again", source_.name);
  retry_ms_ = 0;
  trouble_.clear();
  for (const auto& [id, since] : waiting_)
    if (std::ranges::find(set->keys, id, &identity::Key::id) == set->keys.end()) {
      if (vain_.size() >= limits::kJwksUnknownKeysMax) vain_.clear();
      vain_[id] = now + times_.refresh_min;
    }
  waiting_.clear();
  if (set_ && text == text_) return false;
  for (const std::string& line : set->left_out) spdlog::warn("issuer {}: left out: {}", source_.name, line);
  spdlog::info("issuer {}: {} keys", source_.name, set->keys.size());
  set_ = std::make_shared<const identity::Jwks>(std::move(*set));
  text_ = text;
  return true;
}

void IssuerWatch::failed(std::string why) {
  std::lock_guard lock(mutex_);
  waiting_.clear();
  // Without any keys agents are refused: then no longer rest than need be.
  const int64_t most = set_ ? times_.retry_max : std::min(times_.retry_max, 6 * times_.retry);
  retry_ms_ = std::clamp(2 * retry_ms_, times_.retry, std::max(times_.retry, most));
  if (why != trouble_) spdlog::error("issuer {}: {}", source_.name, why);
  trouble_ = std::move(why);
}

}  // namespace sallyport::edges
