// SPDX-License-Identifier: Apache-2.0
// The interpreter of flow's closed lists: sockets and TLS become flow::Event, flow::Action become
// socket calls. One Worker is one thread with its own epoll set, flows, timers and recorder; nothing
// is shared between workers. Written directly on epoll: measured on the development machine with
// pgbench -S, a bare epoll relay reaches 1.05 to 1.1 of pgbouncer, an Asio coroutine relay 0.95 to 1.0
// (DESIGN.md 5), and the room is needed for judgement.
//
// A turn: take what is ready and what was posted, hand it to the flows, gather all their actions;
// append their records, flush the recorder once; only then carry out the actions (INVARIANT 2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/flow/flow.h"
#include "sallyport/model/session.h"

// OpenSSL's, kept out of this header.
struct x509_st;
struct evp_pkey_st;

namespace sallyport::net {

/// Where a worker's records go. append() may buffer; flush() returns when everything appended has
/// been handed to the kernel. An error of either means: not accepted. Called by one thread.
struct Recorder {
  virtual ~Recorder() = default;
  virtual Result<void> append(const model::RecordEntry& entry) = 0;
  virtual Result<void> flush() = 0;
};

/// A certificate and its key for TLS towards an agent. Shared with whoever cached it; read only.
struct Leaf {
  std::shared_ptr<x509_st> certificate;
  std::shared_ptr<evp_pkey_st> key;
};

/// What is known of an accepted connection.
struct Accepted {
  flow::Origin origin;
  int netns_fd = -1;  ///< the agent's network namespace, borrowed, outlives the flow; -1: the daemon's own
};

/// What a worker asks of the daemon. One object for each worker: called only from its thread, must
/// not block and must not throw.
struct Services {
  virtual ~Services() = default;

  /// Who is this? `accepted_fd` is borrowed for the call; `peer` is the agent's address. An error
  /// resets the connection, and is counted.
  virtual Result<Accepted> identify(int listener_token, int accepted_fd, const model::Endpoint& peer) = 0;

  /// The state machine for an accepted connection; never null. Its start() is called next. It is
  /// destroyed on the worker's thread, before finished().
  virtual std::unique_ptr<flow::Flow> make_flow(const flow::Origin& origin) = 0;

  /// A TCP socket of `family` (AF_INET or AF_INET6) in the agent's network namespace.
  virtual Result<UniqueFd> upstream_socket(const flow::Origin& origin, int netns_fd, int family) = 0;

  /// The certificate shown to an agent that wants to reach `host` (a name or an address).
  virtual Result<Leaf> leaf(const std::string& host) = 0;

  /// The worker's own recorder; the same object for each call.
  virtual Recorder& recorder() = 0;

  /// An operation is held; answer with post(flow, flow::Answered{...}).
  virtual void asked(model::FlowId flow, const flow::Ask& ask) = 0;

  /// The flow and all its sockets are gone; its id will not be used again.
  virtual void finished(model::FlowId flow) = 0;
};

/// Counters since the start of a worker, but for `flows_open`.
struct Stats {
  uint64_t flows_open = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;        ///< identify() or make_flow() said no: reset
  uint64_t accept_errors = 0;  ///< accept() failed, for want of descriptors or otherwise
  uint64_t flows_over_limit = 0;
  uint64_t turns = 0;
  uint64_t bytes_from_agents = 0;  ///< on the wire
  uint64_t bytes_to_agents = 0;
  uint64_t bytes_from_targets = 0;
  uint64_t bytes_to_targets = 0;
  uint64_t dials = 0;
  uint64_t dial_failures = 0;
  uint64_t tls_handshakes = 0;
  uint64_t tls_failures = 0;
  uint64_t record_failures = 0;  ///< flows that got RecordFailed
  uint64_t slow_peers = 0;       ///< legs given up because a full queue did not move
  uint64_t posts_dropped = 0;    ///< the queue of posted events was full
  uint64_t sends_to_closed = 0;  ///< Send, Shut, Secure to a leg that is not open
};

/// Deadlines and bounds of a worker; the defaults are those of base/limits.h. Tests shorten them.
struct WorkerOptions {
  int64_t dial_ms;
  int64_t slow_peer_ms;
  int64_t finish_ms;        ///< Finish: how long queues may take to go out
  int64_t linger_ms;        ///< then how long the peer's last bytes are read and dropped, so that no RST overtakes ours
  int64_t accept_pause_ms;  ///< after accept() failed for want of descriptors
  size_t flows_max;         ///< further connections are reset
  WorkerOptions();
};

class Loop;

class Worker {
 public:
  /// `services` must outlive the worker. Makes the epoll set, the eventfd and the spare descriptor.
  static Result<std::unique_ptr<Worker>> make(Services& services, WorkerOptions options = {});
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // --- from any thread; they take effect in the worker's next turn ---

  /// A bound, listening TCP socket. Several workers may have duplicates of one socket.
  /// `token` names it to identify() and remove_listener().
  void add_listener(int token, UniqueFd fd);
  /// Closes the worker's descriptor of it; flows it accepted live on.
  void remove_listener(int token);
  /// For a flow of this worker; dropped if the flow is gone. Never a Bytes (its view would dangle).
  /// False: limits::kPostedEventsMax are waiting already, the event is dropped.
  bool post(model::FlowId flow, flow::Event event);
  /// To every flow of this worker. Several before the next turn become one.
  void post_all(flow::Changed changed);
  /// Ends run(): each flow gets Failed{kAgentLeg} so that it can close its session, queues get one
  /// last write, sockets are closed.
  void stop();
  Stats stats() const;

  // --- from the worker's thread ---

  /// The loop; returns after stop().
  void run();

 private:
  explicit Worker(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace sallyport::net
