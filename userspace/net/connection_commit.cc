// SPDX-License-Identifier: Apache-2.0
// Actions: from the flow to the recorder, then to sockets.
#include <fmt/core.h>
#include <sys/socket.h>

#include <cerrno>
#include <variant>

#include "net/connection.h"
#include "net/loop.h"
#include "net/socket.h"
#include "sallyport/base/limits.h"

namespace sallyport::net {

/// Each action, once. Nothing is written here but into queues: commit() flushes at the end.
struct Connection::Visitor {
  Connection& self;

  /// While the flow answers RecordFailed, upstream hears nothing.
  bool barred(flow::Leg leg) const { return self.refusing_ && leg != flow::kAgentLeg; }

  Wire* wire_for(flow::Leg leg) {
    if (barred(leg)) return nullptr;
    Wire* wire = self.open_wire(leg);
    if (wire == nullptr) self.loop_.counters.bump(&Stats::sends_to_closed);
    return wire;
  }

  void operator()(flow::Send& action) {
    Wire* wire = wire_for(action.leg);
    if (wire == nullptr) return;
    if (auto sent = wire->send(std::move(action.bytes)); !sent) self.fail_wire(*wire, sent.error().what);
  }
  void operator()(flow::Shut& action) {
    if (Wire* wire = wire_for(action.leg)) wire->shut();
  }
  void operator()(flow::Abort& action) {
    Wire* wire = self.open_wire(action.leg);
    if (wire == nullptr) return;
    wire->abort();
    self.loop_.maybe_done(self);
  }
  void operator()(flow::Read& action) {
    if (Wire* wire = self.open_wire(action.leg)) wire->flow_reads = action.on;
  }
  void operator()(flow::Dial& action) { self.dial(action); }
  void operator()(flow::Secure& action) {
    if (!barred(action.leg)) self.secure(action);
  }
  void operator()(flow::Record&) {}  // appended before
  void operator()(flow::Ask& action) {
    if (!self.refusing_) self.loop_.services.asked(self.id(), action);
  }
  void operator()(flow::Wake& action) {
    if (self.wake_at_ns_ == 0 || action.at_monotonic_ns < self.wake_at_ns_) self.wake_at_ns_ = action.at_monotonic_ns;
  }
  void operator()(flow::Finish&) { self.finish(); }
};

bool Connection::append_records(Recorder& recorder) {
  has_records_ = false;
  if (!actions_) return false;
  for (const flow::Action& action : actions_->list()) {
    const auto* record = std::get_if<flow::Record>(&action);
    if (record == nullptr) continue;
    if (auto appended = recorder.append(record->entry); !appended) {
      refuse(appended.error().what);
      return true;
    }
    has_records_ = true;
  }
  return has_records_;
}

void Connection::refuse(const std::string& reason) {
  has_records_ = false;
  loop_.counters.bump(&Stats::record_failures);
  std::erase_if(actions_->list(), [this](const flow::Action& action) {
    if (std::holds_alternative<flow::Finish>(action)) finish_wanted_ = true;
    return !std::holds_alternative<flow::Read>(action) && !std::holds_alternative<flow::Wake>(action) &&
           !std::holds_alternative<flow::Abort>(action);
  });
  emit(flow::RecordFailed{reason});
}

void Connection::commit_refusal(Recorder& recorder) {
  if (actions_) {
    for (const flow::Action& action : actions_->list()) {
      const auto* record = std::get_if<flow::Record>(&action);
      if (record != nullptr && !recorder.append(record->entry)) break;
    }
    refusing_ = true;
    carry_out(*actions_);
    refusing_ = false;
    actions_->clear();
  }
  if (finish_wanted_ && !finishing_) finish();
  finish_wanted_ = false;
}

void Connection::commit() {
  if (!actions_) return;
  carry_out(*actions_);
  loop_.give_actions(std::move(actions_));
  for (auto& wire : wires_) flush_wire(*wire);
  balance();
  arm();
  if (is_done()) loop_.maybe_done(*this);
}

void Connection::carry_out(flow::Actions& actions) {
  Visitor visitor{*this};
  for (flow::Action& action : actions.list()) {
    if (finishing_) return;  // Finish is the last word
    std::visit(visitor, action);
  }
}

void Connection::finish() {
  finishing_ = true;
  flow_.reset();
  finish_until_ns_ = loop_.now.monotonic_ns + loop_.options.finish_ms * kNanosPerMilli;
  for (auto& wire : wires_) {
    if (!wire->is_open()) continue;
    if (wire->state() == Wire::State::dialling) {
      wire->close();
      continue;
    }
    wire->shut();
    wire->linger();
  }
  loop_.maybe_done(*this);
}

void Connection::dial(const flow::Dial& action) {
  const auto failed = [&](std::string why) {
    loop_.counters.bump(&Stats::dial_failures);
    emit(flow::Failed{action.leg, fmt::format("dial {}: {}", action.to.to_string(), why)});
  };
  loop_.counters.bump(&Stats::dials);
  if (refusing_) return failed("the recorder takes no entries");
  if (action.leg == flow::kAgentLeg || open_wire(action.leg) != nullptr) return failed("the leg is open already");
  if (action.leg >= limits::kLegsMax) return failed("too many legs");
  const int family = family_of(action.to);
  auto socket = loop_.services.upstream_socket(accepted_.origin, accepted_.netns_fd, family);
  if (!socket) return failed(socket.error().what);
  if (auto ready = prepare_socket(socket->get()); !ready) return failed(ready.error().what);
  if (action.to.address.is_loopback()) stay_on_host(socket->get());
  sockaddr_storage address;
  const socklen_t size = fill_address(action.to, address);
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&address), size) == 0) {
    add_wire(action.leg, std::move(*socket), Wire::State::open, action.to);
    emit(flow::Dialled{action.leg, action.to});
    return;
  }
  if (errno != EINPROGRESS) return failed(errno_text(errno));
  add_wire(action.leg, std::move(*socket), Wire::State::dialling, action.to);
  open_wire(action.leg)->dial_until_ns = loop_.now.monotonic_ns + loop_.options.dial_ms * kNanosPerMilli;
}

void Connection::secure(flow::Secure& action) {
  Wire* wire = open_wire(action.leg);
  if (wire == nullptr) {
    loop_.counters.bump(&Stats::sends_to_closed);
    return;
  }
  if (wire->state() != Wire::State::open || wire->tls() != nullptr)
    return fail_wire(*wire, "TLS was asked for on a leg that is not open or has it already");
  Result<Leaf> leaf = Leaf{};
  if (action.role == flow::Secure::Role::server) leaf = loop_.services.leaf(action.server_name);
  if (!leaf) return fail_wire(*wire, leaf.error().what);
  auto engine = TlsEngine::make(*loop_.tls_contexts, action, &*leaf);
  if (!engine) {
    loop_.counters.bump(&Stats::tls_failures);
    return fail_wire(*wire, engine.error().what);
  }
  const bool unread = !action.unread.empty();
  wire->begin_tls(std::move(*engine), std::move(action.unread));
  if (unread) loop_.carry_over_unread(id(), action.leg);
}

}  // namespace sallyport::net
