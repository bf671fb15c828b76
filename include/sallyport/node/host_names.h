// SPDX-License-Identifier: Apache-2.0
// The addresses behind the host names that policy lists. The daemon resolves them itself, never by
// what an agent says, in one background thread; readers take an immutable snapshot. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/address.h"

namespace sallyport::node {

/// What is known of one name. `addresses` is empty when there never was an answer, or the last good
/// one is older than is kept: deny.
struct ResolvedName {
  std::vector<model::IpAddress> addresses;  ///< sorted, unique
  int64_t resolved_monotonic_ns = 0;        ///< when they were last confirmed; 0: never
  std::string error;                        ///< of the last look-up; empty: it went well
};

class HostNames {
 public:
  using Snapshot = std::map<std::string, ResolvedName, std::less<>>;
  using Resolver = std::function<Result<std::vector<model::IpAddress>>(const std::string& name)>;
  struct Options {
    int64_t refresh_ms;  ///< how often each name is resolved
    int64_t keep_ms;     ///< how long a good answer outlives failing look-ups
    Options();           ///< limits::kNameRefreshMs, limits::kNameKeepMs
  };

  /// Starts the thread. `changed` (may be empty) is called from it after a snapshot with other
  /// addresses is in place: post flow::Changed to the workers.
  explicit HostNames(std::function<void()> changed = {}, Options options = {}, Resolver resolver = resolve);
  /// Waits for a look-up under way.
  ~HostNames();
  HostNames(const HostNames&) = delete;
  HostNames& operator=(const HostNames&) = delete;

  /// The names of a newly loaded policy; new ones are resolved at once, dropped ones forgotten. More
  /// than limits::kHostNamesMax: an error, and the names stay as they were.
  Result<void> set_names(std::vector<std::string> names);
  /// Waits until every name set before has been looked up once, or `timeout_ms` passed (false).
  bool wait_resolved(int64_t timeout_ms);
  std::shared_ptr<const Snapshot> snapshot() const;

  /// getaddrinfo for TCP, IPv4 and IPv6.
  static Result<std::vector<model::IpAddress>> resolve(const std::string& name);

 private:
  void loop();
  void resolve_one(const std::string& name);
  std::vector<std::string> due(int64_t now_ns) const;

  const std::function<void()> changed_;
  const Options options_;
  const Resolver resolver_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable resolved_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<std::string, int64_t, std::less<>> tried_ns_;  ///< name -> last look-up; 0: none yet
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sallyport::node
