// SPDX-License-Identifier: Apache-2.0
// One net::Worker with its thread and its recorder, and what it asks of the node.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "daemon/flow_services.h"
#include "daemon/recent_times.h"
#include "daemon/record_health.h"
#include "daemon/workloads.h"
#include "flow/front/front.h"
#include "sallyport/edges/process.h"
#include "sallyport/net/worker.h"
#include "sallyport/node/certificate_authority.h"
#include "sallyport/node/holds.h"
#include "sallyport/record/sink.h"

namespace sallyport::daemon {

/// What all workers share. Everything outlives the workers.
struct NodeParts {
  kernel::Kernel& kernel;
  FlowServices& services;
  const flow::Layers& layers;
  node::FlowRegistry& registry;
  node::CancelKeys& cancel_keys;
  node::Holds& holds;
  node::LimitCounters& limits;
  node::CertificateAuthority& authority;
  RecordHealth& record_health;
  edges::Processes& processes;
  RecentTimes& identify_times;
  Workloads* workloads = nullptr;  ///< set before the first listener is served
};

class WorkerThread final : net::Services {
 public:
  /// Opens the recorder in `record_directory` and starts the thread.
  static Result<std::unique_ptr<WorkerThread>> start(unsigned index, NodeParts& parts,
                                                     const std::string& record_directory);
  /// Stops the loop and waits for it.
  ~WorkerThread();

  net::Worker& worker() { return *worker_; }

 private:
  struct SinkRecorder final : net::Recorder {
    std::unique_ptr<record::Sink> sink;
    Result<void> append(const model::RecordEntry& entry) override { return sink->append(entry); }
    Result<void> flush() override;
    RecordHealth* health = nullptr;
    unsigned worker = 0;
    bool failing = false;  ///< said in the log already
  };

  WorkerThread(unsigned index, NodeParts& parts) : index_(index), parts_(parts) {}

  Result<net::Accepted> identify(int listener_token, int accepted_fd, const model::Endpoint& peer) override;
  std::unique_ptr<flow::Flow> make_flow(const flow::Origin& origin) override;
  Result<UniqueFd> upstream_socket(const flow::Origin& origin, int netns_fd, int family) override;
  Result<net::Leaf> leaf(const std::string& host) override;
  net::Recorder& recorder() override { return recorder_; }
  void asked(model::FlowId flow, const flow::Ask& ask) override;
  void finished(model::FlowId flow) override;

  const unsigned index_;
  NodeParts& parts_;
  SinkRecorder recorder_;
  std::unique_ptr<net::Worker> worker_;
  std::thread thread_;
};

}  // namespace sallyport::daemon
