// SPDX-License-Identifier: Apache-2.0
// The running policy: read from a directory, checked whole, replaced whole or not at all. Holds the
// Facts that flows decide by; every change gives them a new epoch.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sallyport/flow/services.h"
#include "sallyport/node/host_names.h"

namespace sallyport::daemon {

/// The policy files of a directory, sorted by name, without tests. Bounded; the error names the file.
Result<std::vector<policy::Source>> read_policy_directory(const std::string& directory);

class PolicyStore {
 public:
  /// `changed` is called after new facts are in place, from whichever thread brought them, never from two at once.
  PolicyStore(std::string directory, std::function<void()> changed);

  /// Reads and checks the directory. On an error the running policy stays, and last_error() says why.
  Result<> reload();
  /// Reloads if a file changed since the last look. Call it about twice a second.
  void poll();

  std::shared_ptr<const flow::Facts> facts() const;
  std::string last_error() const;
  int64_t loaded_wall_ns() const { return loaded_wall_ns_; }
  const std::string& directory() const { return directory_; }

 private:
  uint64_t next_epoch() const;
  void publish(std::shared_ptr<const policy::Policy> policy, std::shared_ptr<const mask::Masker> masker);
  void on_addresses();
  policy::HostAddresses addresses() const;

  const std::string directory_;
  const std::function<void()> changed_;
  /// From reading what is in force to telling what is now: else an address that changes while a policy is replaced
  /// could bring the replaced one back.
  std::mutex publish_mutex_;
  mutable std::mutex mutex_;  ///< of what follows
  std::shared_ptr<const flow::Facts> facts_;
  std::string last_error_;
  uint64_t epoch_ = 0;
  std::mutex reload_mutex_;  ///< one reload at a time
  std::string fingerprint_;
  std::atomic<int64_t> loaded_wall_ns_ = 0;
  std::unique_ptr<node::HostNames> names_;
};

}  // namespace sallyport::daemon
