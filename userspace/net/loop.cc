// SPDX-License-Identifier: Apache-2.0
// The turn.
#include "net/loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <span>

namespace sallyport::net {
namespace {

constexpr size_t kSpareActionsMax = 256;  // no more are in use in a turn of ready sockets

}  // namespace

Stats Counters::read() const {
  Stats out;
  auto* fields = reinterpret_cast<uint64_t*>(&out);
  for (size_t i = 0; i < kCount; ++i) fields[i] = cells_[i].load(std::memory_order_relaxed);
  return out;
}

Result<std::unique_ptr<Loop>> Loop::make(Services& services, WorkerOptions options) {
  auto poller = Poller::make();
  if (!poller) return std::unexpected(poller.error());
  auto contexts = TlsContexts::make();
  if (!contexts) return std::unexpected(contexts.error());
  std::unique_ptr<Loop> loop(new Loop(services, options, std::move(*poller)));
  loop->tls_contexts = std::move(*contexts);
  loop->wake_fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_fd_) return fail_errno("eventfd");
  loop->spare_fd_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!loop->spare_fd_) return fail_errno("open /dev/null");
  if (auto added = loop->poller.add(loop->wake_fd_.get(), EPOLLIN, loop->wake_); !added)
    return std::unexpected(added.error());
  return loop;
}

Loop::~Loop() = default;

void Loop::wake() {
  const uint64_t one = 1;
  // EAGAIN would mean 2^64 - 1 wake-ups wait already.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

void Loop::add_listener(int token, UniqueFd fd) {
  std::lock_guard lock(mutex_);
  listener_changes_.push_back({token, std::move(fd)});
  wake();
}

void Loop::remove_listener(int token) {
  std::lock_guard lock(mutex_);
  listener_changes_.push_back({token, UniqueFd()});
  wake();
}

bool Loop::post(model::FlowId flow, flow::Event event) {
  std::lock_guard lock(mutex_);
  if (posted_.size() >= limits::kPostedEventsMax) {
    counters.bump_shared(&Stats::posts_dropped);
    return false;
  }
  posted_.push_back({flow, std::move(event)});
  if (posted_.size() == 1) wake();
  return true;
}

void Loop::post_all() {
  std::lock_guard lock(mutex_);
  changed_posted_ = true;
  wake();
}

void Loop::stop() {
  std::lock_guard lock(mutex_);
  stop_wanted_ = true;
  wake();
}

void Loop::run() {
  while (!stopping_) turn();
  end_all();
}

void Loop::turn() {
  std::array<epoll_event, limits::kReadyMax> room;
  const auto ready = poller.wait(room, wait_ms());
  now = read_clocks();
  counters.bump(&Stats::turns);
  deliver_carried();
  run_timers();
  for (const epoll_event& event : ready) on_ready(event);
  commit();
  reap();
}

int Loop::wait_ms() {
  if (!carried_.empty() || !unread_.empty()) return 0;
  if (timers_.empty()) return -1;
  const int64_t left_ns = timers_.top().first - read_clocks().monotonic_ns;
  if (left_ns <= 0) return 0;
  // Rounded up: a Tick never comes early.
  return static_cast<int>(std::min<int64_t>((left_ns + kNanosPerMilli - 1) / kNanosPerMilli, 60'000));
}

void Loop::on_ready(const epoll_event& event) {
  auto* pollable = static_cast<Pollable*>(event.data.ptr);
  switch (pollable->kind) {
    case Pollable::Kind::wake:
      take_posted();
      return;
    case Pollable::Kind::listener:
      accept_from(static_cast<Listener&>(*pollable));
      return;
    case Pollable::Kind::wire: {
      auto& wire = static_cast<Wire&>(*pollable);
      wire.owner.on_ready(wire, event.events);
      return;
    }
  }
}

Connection* Loop::find(model::FlowId flow) {
  const auto found = connections_.find(flow);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Loop::deliver_carried() {
  const auto carried = std::exchange(carried_, {});
  for (const auto& [flow, event] : carried) {
    Connection* connection = find(flow);
    if (connection == nullptr) continue;
    connection->delivered_carried();
    connection->deliver(event);
    if (!std::holds_alternative<flow::RecordFailed>(event)) continue;
    in_commit = true;
    connection->commit_refusal(services.recorder());
    in_commit = false;
    unflushed_ = true;
  }
  const auto unread = std::exchange(unread_, {});
  for (const auto& [flow, leg] : unread) {
    if (Connection* connection = find(flow)) connection->on_unread(leg);
  }
}

void Loop::take_posted() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_fd_.get(), &count, sizeof count);
  std::vector<Posted> posted;
  std::vector<ListenerChange> changes;
  bool changed = false;
  {
    std::lock_guard lock(mutex_);
    posted.swap(posted_);
    changes.swap(listener_changes_);
    changed = std::exchange(changed_posted_, false);
    stopping_ = stop_wanted_;
  }
  change_listeners(std::move(changes));
  for (const Posted& each : posted) {
    if (Connection* connection = find(each.flow)) connection->deliver(each.event);
  }
  if (!changed) return;
  for (auto& [id, connection] : connections_) connection->deliver(flow::Changed{});
}

void Loop::run_timers() {
  while (!timers_.empty() && timers_.top().first <= now.monotonic_ns) {
    const auto [at_ns, flow] = timers_.top();
    timers_.pop();
    if (flow == 0)
      resume_listeners();
    else if (Connection* connection = find(flow))
      connection->on_timer(at_ns);
  }
}

void Loop::commit() {
  if (touched_.empty() && !unflushed_) return;
  in_commit = true;
  Recorder& recorder = services.recorder();
  recorded_.clear();
  for (Connection* connection : touched_) {
    if (connection->append_records(recorder)) recorded_.push_back(connection);
  }
  if (!recorded_.empty() || unflushed_) {
    unflushed_ = false;
    // INVARIANT 2: only behind this do the turn's actions take place.
    if (auto flushed = recorder.flush(); !flushed) {
      for (Connection* connection : recorded_)
        if (connection->has_records()) connection->refuse(flushed.error().what);
    }
  }
  for (Connection* connection : touched_) connection->commit();
  touched_.clear();
  in_commit = false;
}

void Loop::reap() {
  for (const model::FlowId flow : maybe_done_) {
    const auto found = connections_.find(flow);
    if (found == connections_.end() || !found->second->is_done()) continue;
    found->second->end();
    connections_.erase(found);
    counters.drop(&Stats::flows_open);
    services.finished(flow);
  }
  maybe_done_.clear();
  closed_listeners_.clear();
}

void Loop::end_all() {
  now = read_clocks();
  for (auto& [id, connection] : connections_)
    connection->deliver(flow::Failed{flow::kAgentLeg, "sallyport is stopping"});
  commit();
  for (auto& [id, connection] : std::exchange(connections_, {})) {
    connection->end();
    counters.drop(&Stats::flows_open);
    services.finished(id);
  }
  carried_.clear();
  maybe_done_.clear();
  listeners_.clear();
}

std::unique_ptr<flow::Actions> Loop::take_actions() {
  if (spare_actions_.empty()) return std::make_unique<flow::Actions>();
  auto actions = std::move(spare_actions_.back());
  spare_actions_.pop_back();
  return actions;
}

void Loop::give_actions(std::unique_ptr<flow::Actions> actions) {
  actions->clear();
  if (spare_actions_.size() < kSpareActionsMax) spare_actions_.push_back(std::move(actions));
}

}  // namespace sallyport::net
