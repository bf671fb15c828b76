// SPDX-License-Identifier: Apache-2.0
// The inside of a Worker: the epoll loop and its turn.
//
//   run ─► wait ─► carried-over events, posts, timers, ready sockets ─► flows ─► commit ─► reap ─┐
//    ▲                                                                                          │
//    └──────────────────────────────────────────────────────────────────────────────────────────┘
// Nothing leaves this process but in commit, and nothing calls a flow in commit: an event that comes
// up there (a write failed) is carried over to the next turn, which then begins at once.
// Level-triggered: with EPOLLET pgbench -S lost a third of its throughput and each transaction cost
// 13.2 instead of 11.3 us of processor time (fewer sockets share a turn).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/poller.h"
#include "net/tls_context.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/net/worker.h"

namespace sallyport::net {

/// Stats as its one writer and many readers share them.
class Counters {
 public:
  using Field = uint64_t Stats::*;
  void bump(Field field, uint64_t by = 1) {
    auto& cell = at(field);
    cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void drop(Field field) { bump(field, ~uint64_t{0}); }
  /// From any thread.
  void bump_shared(Field field) { at(field).fetch_add(1, std::memory_order_relaxed); }
  Stats read() const;

 private:
  static constexpr size_t kCount = sizeof(Stats) / sizeof(uint64_t);
  static size_t index(Field field) {
    const Stats zero{};
    return static_cast<size_t>(&(zero.*field) - reinterpret_cast<const uint64_t*>(&zero));
  }
  std::atomic<uint64_t>& at(Field field) { return cells_[index(field)]; }
  std::array<std::atomic<uint64_t>, kCount> cells_{};
};

class Loop {
 public:
  static Result<std::unique_ptr<Loop>> make(Services& services, WorkerOptions options);
  ~Loop();

  // From any thread.
  void add_listener(int token, UniqueFd fd);
  void remove_listener(int token);
  bool post(model::FlowId flow, flow::Event event);
  void post_all();
  void stop();
  Stats stats() const { return counters.read(); }

  void run();

  // For Connection, on the worker's thread.
  Services& services;
  const WorkerOptions options;
  Poller poller;
  std::unique_ptr<TlsContexts> tls_contexts;
  Counters counters;
  Now now;
  bool in_commit = false;  ///< actions are being carried out: no flow may be called
  /// Borrowed by whoever handles a ready socket, for as long as that takes.
  std::array<char, limits::kReadBytesMax> wire_scratch;
  std::array<char, limits::kReadBytesMax> plain_scratch;

  /// Room for the actions of a flow in this turn; comes back in commit.
  std::unique_ptr<flow::Actions> take_actions();
  void give_actions(std::unique_ptr<flow::Actions> actions);
  /// The flow has actions to be carried out in this turn's commit.
  void touch(Connection& connection) { touched_.push_back(&connection); }
  /// An event to be delivered in the next turn.
  void carry_over(model::FlowId flow, flow::Event event) { carried_.emplace_back(flow, std::move(event)); }
  /// A leg has ciphertext in hand that no socket event will announce.
  void carry_over_unread(model::FlowId flow, flow::Leg leg) { unread_.emplace_back(flow, leg); }
  /// The flow may have no socket left: look at the end of the turn.
  void maybe_done(Connection& connection) { maybe_done_.push_back(connection.id()); }
  void set_timer(int64_t at_monotonic_ns, model::FlowId flow) { timers_.emplace(at_monotonic_ns, flow); }

 private:
  struct Listener : Pollable {
    Listener(int name, UniqueFd socket) : Pollable(Kind::listener), token(name), fd(std::move(socket)) {}
    const int token;
    UniqueFd fd;
    int64_t paused_until_ns = 0;  ///< 0: in the epoll set
  };
  struct ListenerChange {
    int token;
    UniqueFd fd;  ///< none: remove
  };
  struct Posted {
    model::FlowId flow;
    flow::Event event;
  };
  using Timer = std::pair<int64_t, model::FlowId>;

  Loop(Services& used_services, WorkerOptions used_options, Poller set) noexcept
      : services(used_services), options(used_options), poller(std::move(set)), wake_(Pollable::Kind::wake) {}

  void turn();
  int wait_ms();
  void on_ready(const epoll_event& event);
  void deliver_carried();
  void take_posted();
  void run_timers();
  void commit();
  void reap();
  void end_all();
  void wake();
  Connection* find(model::FlowId flow);
  void change_listeners(std::vector<ListenerChange> changes);
  void accept_from(Listener& listener);
  void admit(Listener& listener, UniqueFd fd, const model::Endpoint& peer);
  void accept_failed(Listener& listener, int error);
  void pause(Listener& listener);
  void resume_listeners();

  Pollable wake_;
  UniqueFd wake_fd_;
  UniqueFd spare_fd_;  ///< given up to accept, and so to refuse, when no descriptor is left
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> closed_listeners_;  ///< until the turn ends: an event may name them
  std::unordered_map<model::FlowId, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> touched_;
  std::vector<Connection*> recorded_;  ///< of those, in commit, the ones with records
  bool unflushed_ = false;             ///< records were appended outside of commit
  std::vector<model::FlowId> maybe_done_;
  std::vector<std::pair<model::FlowId, flow::Event>> carried_;
  std::vector<std::pair<model::FlowId, flow::Leg>> unread_;
  std::vector<std::unique_ptr<flow::Actions>> spare_actions_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;

  std::mutex mutex_;  ///< guards what follows
  std::vector<Posted> posted_;
  std::vector<ListenerChange> listener_changes_;
  bool changed_posted_ = false;
  bool stop_wanted_ = false;
  bool stopping_ = false;  ///< the worker's own
};

}  // namespace sallyport::net
