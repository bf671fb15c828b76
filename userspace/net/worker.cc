// SPDX-License-Identifier: Apache-2.0
#include "sallyport/net/worker.h"

#include "net/loop.h"
#include "sallyport/base/limits.h"

namespace sallyport::net {

WorkerOptions::WorkerOptions()
    : dial_ms(limits::kDialTimeoutMs),
      slow_peer_ms(limits::kSlowPeerTimeoutMs),
      finish_ms(limits::kFinishTimeoutMs),
      linger_ms(limits::kLingerTimeoutMs),
      accept_pause_ms(limits::kAcceptPauseMs),
      flows_max(limits::kWorkerFlowsMax) {}

Result<std::unique_ptr<Worker>> Worker::make(Services& services, WorkerOptions options) {
  auto loop = Loop::make(services, options);
  if (!loop) return std::unexpected(loop.error());
  return std::unique_ptr<Worker>(new Worker(std::move(*loop)));
}

Worker::Worker(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Worker::~Worker() = default;

void Worker::add_listener(int token, UniqueFd fd) { loop_->add_listener(token, std::move(fd)); }
void Worker::remove_listener(int token) { loop_->remove_listener(token); }
bool Worker::post(model::FlowId flow, flow::Event event) { return loop_->post(flow, std::move(event)); }
void Worker::post_all(flow::Changed) { loop_->post_all(); }
void Worker::stop() { loop_->stop(); }
Stats Worker::stats() const { return loop_->stats(); }
void Worker::run() { loop_->run(); }

}  // namespace sallyport::net
