// SPDX-License-Identifier: Apache-2.0
// Which flow a CancelRequest means (PG protocol: Canceling Requests in Progress). A key is found only
// by the agent that got it, for the destination where it got it, and compared in constant time.
// Thread-safe: the request comes in on a connection of its own, maybe on another worker.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"
#include "sallyport/model/address.h"
#include "sallyport/model/operation.h"

namespace sallyport::node {

class CancelKeys {
 public:
  /// `destination`: where the agent believes it connected. `secret`: 4 bytes in protocol 3.0, up to
  /// limits::kCancelKeyBytesMax in 3.2. One key a flow: a second add replaces the first. Fails on an
  /// empty or too long secret and at limits::kLiveFlowsMax keys.
  Result<void> add(model::FlowId flow, std::string agent, model::Endpoint destination, uint32_t backend_pid,
                   Secret secret);
  void remove(model::FlowId flow);

  std::optional<model::FlowId> find(std::string_view agent, const model::Endpoint& destination, uint32_t backend_pid,
                                    std::string_view secret) const;
  size_t count() const;

 private:
  struct Entry {
    std::string agent;
    model::Endpoint destination;
    uint32_t backend_pid = 0;
    Secret secret;
  };
  mutable std::mutex mutex_;
  std::unordered_map<model::FlowId, Entry> entries_;
  std::unordered_multimap<uint32_t, model::FlowId> by_pid_;
};

}  // namespace sallyport::node
