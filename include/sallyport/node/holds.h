// SPDX-License-Identifier: Apache-2.0
// Operations that wait for a human. An answer, or the lack of one in time, goes back to the flow as
// flow::Answered. Thread-safe; nothing is posted while the lock is held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/flow/event.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"

namespace sallyport::node {

using HoldId = uint64_t;

struct HeldOperation {
  HoldId id = 0;  ///< given by add()
  model::FlowId flow = 0;
  model::OperationId operation = 0;
  std::string agent;
  std::string target;
  model::Decision decision;
  int64_t held_wall_ns = 0;
  int64_t expires_monotonic_ns = 0;
};

class Holds {
 public:
  /// `post` hands an answer to the worker that runs the flow; false: it could not (the flow then
  /// times out by itself, as a denial). Called from any thread.
  using Post = std::function<bool(model::FlowId, flow::Answered)>;
  explicit Holds(Post post);

  /// Fails when limits::kHoldsMax are held, or this operation is already.
  Result<HoldId> add(HeldOperation held);
  /// Oldest first. An empty `agent`: all agents'.
  std::vector<HeldOperation> list(const std::string& agent = {}) const;
  /// Fails when there is no such hold (any more): answered, expired, or its flow is gone. `by` names
  /// who answered.
  Result<void> answer(HoldId id, bool approved, std::string by, int64_t now_monotonic_ns);
  /// Posts a denial for each that is over its time; gives how many. Call about once a second.
  size_t expire(int64_t now_monotonic_ns);
  /// The operation was answered otherwise, cancelled or cut: nothing is posted.
  void remove(model::FlowId flow, model::OperationId operation);
  void remove_flow(model::FlowId flow);
  size_t count() const;

 private:
  const Post post_;
  mutable std::mutex mutex_;
  std::map<HoldId, HeldOperation> held_;
  HoldId next_id_ = 1;
};

}  // namespace sallyport::node
