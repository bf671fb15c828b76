// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/host_names.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"

namespace sallyport::node {

HostNames::Options::Options() : refresh_ms(limits::kNameRefreshMs), keep_ms(limits::kNameKeepMs) {}

HostNames::HostNames(std::function<void()> changed, Options options, Resolver resolver)
    : changed_(std::move(changed)),
      options_(options),
      resolver_(std::move(resolver)),
      snapshot_(std::make_shared<const Snapshot>()),
      thread_([this] { loop(); }) {}

HostNames::~HostNames() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<void> HostNames::set_names(std::vector<std::string> names) {
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  if (names.size() > limits::kHostNamesMax)
    return fail(fmt::format("{} host names in policy, at most {} are resolved", names.size(), limits::kHostNamesMax));
  {
    std::lock_guard lock(mutex_);
    decltype(tried_ns_) tried;
    auto kept = std::make_shared<Snapshot>();
    for (const std::string& name : names) {
      const auto known = tried_ns_.find(name);
      tried.emplace(name, known == tried_ns_.end() ? 0 : known->second);
      if (const auto answer = snapshot_->find(name); answer != snapshot_->end()) kept->insert(*answer);
    }
    tried_ns_ = std::move(tried);
    snapshot_ = std::move(kept);
  }
  wake_.notify_all();
  return {};
}

bool HostNames::wait_resolved(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  return resolved_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] {
    return std::ranges::none_of(tried_ns_, [](const auto& each) { return each.second == 0; });
  });
}

std::shared_ptr<const HostNames::Snapshot> HostNames::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

std::vector<std::string> HostNames::due(int64_t now_ns) const {
  std::vector<std::string> out;
  for (const auto& [name, tried_ns] : tried_ns_)
    if (tried_ns == 0 || now_ns - tried_ns >= options_.refresh_ms * kNanosPerMilli) out.push_back(name);
  // Names never tried first: a flow may be waiting for them.
  std::ranges::stable_partition(out, [this](const std::string& name) { return tried_ns_.at(name) == 0; });
  return out;
}

void HostNames::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::vector<std::string> names = due(read_clocks().monotonic_ns);
    if (names.empty()) {
      // Often enough for any interval: the wait is a tenth of it, at most a second.
      const int64_t pause_ms = std::clamp<int64_t>(options_.refresh_ms / 10, 1, 1'000);
      wake_.wait_for(lock, std::chrono::milliseconds(pause_ms));
      continue;
    }
    const std::string name = names.front();
    lock.unlock();
    resolve_one(name);
    lock.lock();
  }
}

void HostNames::resolve_one(const std::string& name) {
  auto answer = resolver_(name);
  const int64_t now_ns = read_clocks().monotonic_ns;
  bool changed = false;
  {
    std::lock_guard lock(mutex_);
    const auto tried = tried_ns_.find(name);
    if (tried == tried_ns_.end()) return;  // dropped meanwhile
    tried->second = std::max<int64_t>(now_ns, 1);
    const auto known = snapshot_->find(name);
    ResolvedName next = known == snapshot_->end() ? ResolvedName{} : known->second;
    if (answer) {
      std::ranges::sort(*answer);
      const auto repeated = std::ranges::unique(*answer);
      answer->erase(repeated.begin(), repeated.end());
      if (answer->size() > limits::kAddressesPerNameMax) answer->resize(limits::kAddressesPerNameMax);
      changed = next.addresses != *answer;
      next = {.addresses = std::move(*answer), .resolved_monotonic_ns = now_ns, .error = {}};
    } else {
      next.error = answer.error().what;
      if (now_ns - next.resolved_monotonic_ns > options_.keep_ms * kNanosPerMilli) {
        changed = !next.addresses.empty();
        next.addresses.clear();
      }
    }
    auto snapshot = std::make_shared<Snapshot>(*snapshot_);
    snapshot->insert_or_assign(name, std::move(next));
    snapshot_ = std::move(snapshot);
  }
  resolved_.notify_all();
  if (changed && changed_) changed_();
}

Result<std::vector<model::IpAddress>> HostNames::resolve(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (error != 0) return fail(fmt::format("resolve `{}`: {}", name, gai_strerror(error)));
  std::vector<model::IpAddress> out;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      uint8_t bytes[4];
      std::memcpy(bytes, &reinterpret_cast<const sockaddr_in*>(each->ai_addr)->sin_addr, sizeof bytes);
      out.push_back(model::IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]));
    } else if (each->ai_family == AF_INET6) {
      model::IpAddress six;
      std::memcpy(six.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(each->ai_addr)->sin6_addr, six.bytes.size());
      out.push_back(six);
    }
  }
  freeaddrinfo(found);
  return out;
}

}  // namespace sallyport::node
