// SPDX-License-Identifier: Apache-2.0
// A worker in a thread, behind real loopback sockets, with flows that the test writes itself.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sallyport/base/unique_fd.h"
#include "sallyport/net/worker.h"
#include "sallyport/node/certificate_authority.h"

namespace sallyport::net {

// ---- Blocking sockets for the test's own side; every wait ends after a minute ----

/// Listens on 127.0.0.1 at a port of the kernel's choice.
UniqueFd listen_on_loopback(model::Endpoint* where, int backlog = 4096);
UniqueFd connect_to(const model::Endpoint& where);
UniqueFd accept_one(const UniqueFd& listener);
/// Whole, or fails the test.
void write_all(const UniqueFd& fd, std::string_view bytes);
/// Exactly `count` bytes; fewer when the peer ended or was reset.
std::string read_exactly(const UniqueFd& fd, size_t count);
/// Until the peer ends.
std::string read_to_end(const UniqueFd& fd);
/// 0: the peer's end, ECONNRESET: reset, -1: bytes came, EAGAIN: neither within `timeout_ms`.
int how_it_ended(const UniqueFd& fd, int timeout_ms = 10'000);
bool eventually(const std::function<bool()>& condition);

// ---- Flows ----

/// Gets nullptr for start().
using Script = std::function<void(const flow::Event*, const Now&, flow::Actions&)>;

class ScriptedFlow : public flow::Flow {
 public:
  explicit ScriptedFlow(Script script) : script_(std::move(script)) {}
  void start(const Now& now, flow::Actions& actions) override { script_(nullptr, now, actions); }
  void on_event(const flow::Event& event, const Now& now, flow::Actions& actions) override {
    script_(&event, now, actions);
  }

 private:
  Script script_;
};

/// Dials `upstream` and relays both ways, half-closes included, until both ends are over.
Script pass_through(const model::Endpoint& upstream);

/// The event if it is a T, else null.
template <class T>
const T* as(const flow::Event* event) {
  return event != nullptr ? std::get_if<T>(event) : nullptr;
}

/// An entry with `text` as the statement.
flow::Record record_of(std::string text);

// ---- The daemon's side ----

class TestRecorder : public Recorder {
 public:
  Result<void> append(const model::RecordEntry& entry) override;
  Result<void> flush() override;
  std::vector<std::string> accepted() const;  ///< statements, flushed

  std::atomic<bool> append_fails = false;
  std::atomic<bool> flush_fails = false;
  std::atomic<int> flushes = 0;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> appended_, accepted_;
};

class Harness : public Services {
 public:
  /// `script` makes the script of each flow, by its number from 1.
  explicit Harness(std::function<Script(model::FlowId)> script, WorkerOptions options = {});
  explicit Harness(Script script) : Harness([script](model::FlowId) { return script; }) {}
  ~Harness() override;

  UniqueFd connect() { return connect_to(address); }
  void stop();
  bool no_flows() {
    return eventually(
        [this] { return accepted_flows > 0 && worker->stats().flows_open == 0 && finished_flows == accepted_flows; });
  }

  Result<Accepted> identify(int listener_token, int accepted_fd, const model::Endpoint& peer) override;
  std::unique_ptr<flow::Flow> make_flow(const flow::Origin& origin) override;
  Result<UniqueFd> upstream_socket(const flow::Origin& origin, int netns_fd, int family) override;
  Result<Leaf> leaf(const std::string& host) override;
  Recorder& recorder() override { return records; }
  void asked(model::FlowId flow, const flow::Ask& ask) override;
  void finished(model::FlowId flow) override;

  static constexpr int kToken = 17;
  model::Endpoint address;
  TestRecorder records;
  std::unique_ptr<node::CertificateAuthority> authority;
  std::atomic<bool> identify_fails = false;
  std::atomic<bool> upstream_socket_fails = false;
  std::atomic<int> accepted_flows = 0;
  std::atomic<int> finished_flows = 0;
  std::atomic<int> asks = 0;
  std::unique_ptr<Worker> worker;

 private:
  std::function<Script(model::FlowId)> script_;
  model::FlowId next_id_ = 1;
  std::thread thread_;
};

}  // namespace sallyport::net
