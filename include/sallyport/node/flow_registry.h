// SPDX-License-Identifier: Apache-2.0
// Every live flow of the node, whichever worker has it. A flow is added before it is decided
// (INVARIANT 3), so that no change of policy can miss it. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/operation.h"
#include "sallyport/model/principal.h"
#include "sallyport/model/session.h"

namespace sallyport::node {

struct LiveFlow {
  model::FlowId flow = 0;
  unsigned worker = 0;  ///< which worker's thread runs it: where to post its events
  model::SessionId session;
  model::Principal principal;
  model::Endpoint source;
  model::Endpoint destination;
  std::string target;    ///< empty: not known yet, or nothing listed
  std::string protocol;  ///< empty: not known yet
  int64_t opened_wall_ns = 0;
};

class FlowRegistry {
 public:
  /// A flow id never given before by this registry; not 0.
  model::FlowId next_id() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  /// Fails when limits::kLiveFlowsMax are there, or the id is.
  Result<void> add(LiveFlow flow);
  /// What became known later. A flow that is gone is ignored.
  void describe(model::FlowId flow, model::SessionId session, std::string target, std::string protocol);
  void identify(model::FlowId flow, const std::string& agent, const model::TokenIdentity& token, int64_t wall_ns);
  void remove(model::FlowId flow);

  size_t count() const;
  std::optional<LiveFlow> find(model::FlowId flow) const;
  std::optional<unsigned> worker_of(model::FlowId flow) const;
  /// Copies, oldest first. An empty `agent`: all agents'.
  std::vector<LiveFlow> list(const std::string& agent = {}) const;
  /// Those of one workload, with the worker of each.
  std::vector<std::pair<model::FlowId, unsigned>> of_cgroup(uint64_t cgroup_id) const;
  size_t count_of(const std::string& agent) const;
  /// When its last flow began, or became known to be its; 0: none did.
  int64_t last_seen(const std::string& agent) const;

 private:
  void count(const std::string& agent, int64_t wall_ns);
  void uncount(const std::string& agent);

  mutable std::mutex mutex_;
  std::unordered_map<model::FlowId, LiveFlow> flows_;
  std::unordered_map<std::string, size_t> per_agent_;
  std::unordered_map<std::string, int64_t> last_seen_;
  std::atomic<model::FlowId> next_id_{1};
};

}  // namespace sallyport::node
