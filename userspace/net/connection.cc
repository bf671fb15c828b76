// SPDX-License-Identifier: Apache-2.0
// Events: from sockets and timers to the flow.
#include "net/connection.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

#include "net/loop.h"
#include "net/socket.h"
#include "sallyport/base/limits.h"

namespace sallyport::net {
namespace {

constexpr size_t kTlsPlaintextBytesMax = 16384;  // of one record: RFC 8446 section 5.1

std::string closed_in_handshake(flow::Leg leg) {
  return leg == flow::kAgentLeg ? "tls with the agent: closed in the handshake"
                                : "tls with the server: closed in the handshake";
}

}  // namespace

void Connection::start(UniqueFd agent, const model::Endpoint& peer) {
  add_wire(flow::kAgentLeg, std::move(agent), Wire::State::open, peer);
  flow_ = loop_.services.make_flow(accepted_.origin);
  actions_ = loop_.take_actions();
  loop_.touch(*this);
  flow_->start(loop_.now, *actions_);
}

void Connection::deliver(const flow::Event& event) {
  if (finishing_) return;
  if (!actions_) {
    actions_ = loop_.take_actions();
    loop_.touch(*this);
  }
  flow_->on_event(event, loop_.now, *actions_);
}

void Connection::emit(flow::Event event) {
  if (finishing_) return;
  if (!loop_.in_commit) {
    deliver(event);
    return;
  }
  ++carried_;
  loop_.carry_over(id(), std::move(event));
}

Wire* Connection::open_wire(flow::Leg leg) {
  for (auto& wire : wires_)
    if (wire->leg == leg) return wire->is_open() ? wire.get() : nullptr;
  return nullptr;
}

void Connection::add_wire(flow::Leg leg, UniqueFd fd, Wire::State state, const model::Endpoint& peer) {
  auto wire = std::make_unique<Wire>(*this, loop_.poller, leg, std::move(fd), state, peer);
  for (auto& old : wires_) {
    if (old->leg != leg) continue;
    old = std::move(wire);  // a closed one: legs are dialled in commit, when no event names it any more
    return;
  }
  wires_.push_back(std::move(wire));
}

void Connection::on_ready(Wire& wire, uint32_t events) {
  if (!wire.is_open()) return;  // closed earlier in this turn
  if (wire.state() == Wire::State::dialling) {
    finish_dial(wire);
  } else {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
      if (wire.wants_to_read()) {
        read_wire(wire);
      } else if ((events & EPOLLERR) && wire.leg == flow::kAgentLeg) {
        fail_wire(wire, errno_text(take_error(wire.fd())));
      } else if (events & (EPOLLHUP | EPOLLERR)) {
        wire.park();  // what the server sent last is still to be read
      }
    }
    if (events & EPOLLOUT) flush_wire(wire);
  }
  balance();
  arm();
}

void Connection::on_unread(flow::Leg leg) {
  Wire* wire = open_wire(leg);
  if (wire == nullptr || wire->tls() == nullptr) return;
  const std::string unread = wire->take_unread();
  read_plaintext(*wire, unread);
  balance();
  arm();
}

void Connection::finish_dial(Wire& wire) {
  if (const int error = take_error(wire.fd()); error != 0) {
    loop_.counters.bump(&Stats::dial_failures);
    fail_wire(wire, fmt::format("dial {}: {}", wire.peer.to_string(), errno_text(error)));
    return;
  }
  wire.dialled();
  emit(flow::Dialled{wire.leg, wire.peer});
  flush_wire(wire);
}

void Connection::read_wire(Wire& wire) {
  const long got = wire.receive(loop_.wire_scratch.data(), loop_.wire_scratch.size());
  if (got == -EAGAIN || got == -EWOULDBLOCK) return;
  if (got < 0) {
    fail_wire(wire, errno_text(static_cast<int>(-got)));
    return;
  }
  if (got == 0) {
    if (wire.tls() && !wire.tls()->established())
      fail_wire(wire, closed_in_handshake(wire.leg));
    else if (wire.write_error() != 0)
      fail_wire(wire, errno_text(wire.write_error()));
    else
      peer_ended(wire);
    return;
  }
  const bool agent = wire.leg == flow::kAgentLeg;
  loop_.counters.bump(agent ? &Stats::bytes_from_agents : &Stats::bytes_from_targets, static_cast<uint64_t>(got));
  const std::string_view bytes(loop_.wire_scratch.data(), static_cast<size_t>(got));
  if (finishing_) return;  // lingering: the flow is over
  if (wire.tls())
    read_plaintext(wire, bytes);
  else
    deliver(flow::Bytes{wire.leg, bytes});
}

void Connection::read_plaintext(Wire& wire, std::string_view ciphertext) {
  TlsEngine& tls = *wire.tls();
  auto& plain = loop_.plain_scratch;
  size_t filled = 0;
  bool told = tls.established();
  const auto hand_over = [&] {
    if (filled > 0) deliver(flow::Bytes{wire.leg, {plain.data(), filled}});
    filled = 0;
  };
  tls.feed(ciphertext);
  for (;;) {
    const auto got = tls.read(plain.data() + filled, plain.size() - filled);
    wire.collect_tls_output();
    if (!told && tls.established()) {
      told = true;
      loop_.counters.bump(&Stats::tls_handshakes);
      deliver(tls.secured(wire.leg));
    }
    if (!got) {
      hand_over();
      loop_.counters.bump(&Stats::tls_failures);
      flush_wire(wire);  // the alert
      fail_wire(wire, got.error().what);
      return;
    }
    if (*got == 0) break;
    filled += *got;
    if (plain.size() - filled < kTlsPlaintextBytesMax) hand_over();
  }
  hand_over();
  flush_wire(wire);  // handshake messages, and what waited for them: of earlier turns, so recorded
  if (tls.ended() && wire.is_open()) peer_ended(wire);
}

void Connection::peer_ended(Wire& wire) {
  wire.note_peer_ended();
  emit(flow::Eof{wire.leg});
  if (wire.ended_both_ways()) wire_gone(wire);
}

void Connection::fail_wire(Wire& wire, std::string reason) {
  if (!wire.is_open()) return;
  wire_gone(wire);
  emit(flow::Failed{wire.leg, std::move(reason)});
}

void Connection::wire_gone(Wire& wire) {
  wire.close();
  loop_.maybe_done(*this);
}

void Connection::flush_wire(Wire& wire) {
  if (!wire.is_open()) return;
  const size_t written = wire.flush();
  if (written > 0) {
    const bool agent = wire.leg == flow::kAgentLeg;
    loop_.counters.bump(agent ? &Stats::bytes_to_agents : &Stats::bytes_to_targets, written);
    if (wire.slow_at_ns != 0) wire.slow_at_ns = loop_.now.monotonic_ns + loop_.options.slow_peer_ms * kNanosPerMilli;
  }
  if (wire.write_error() != 0 && !wire.wants_to_read()) {
    fail_wire(wire, errno_text(wire.write_error()));
  } else if (wire.ended_both_ways()) {
    wire_gone(wire);
  }
}

/// Who rests, who reads again, who is drained, who is slow; and tells the epoll set.
void Connection::balance() {
  bool agent_over = false;
  bool upstream_over = false;
  for (auto& wire : wires_) {
    if (!wire->is_open()) continue;
    const size_t queued = wire->queued();
    if (!wire->over_limit && queued > limits::kLegQueueBytesMax) {
      wire->over_limit = true;
      wire->slow_at_ns = loop_.now.monotonic_ns + loop_.options.slow_peer_ms * kNanosPerMilli;
    } else if (wire->over_limit && queued < limits::kLegQueueLowBytes) {
      wire->over_limit = false;
      wire->slow_at_ns = 0;
      emit(flow::Drained{wire->leg});
    }
    (wire->leg == flow::kAgentLeg ? agent_over : upstream_over) |= wire->over_limit;
  }
  bool all_fin_sent = true;
  for (auto& wire : wires_) {
    if (!wire->is_open()) continue;
    wire->rests = wire->leg == flow::kAgentLeg ? upstream_over : agent_over;
    all_fin_sent &= wire->fin_sent();
    if (!wire->update_interest()) fail_wire(*wire, "the socket cannot be watched: epoll takes no more");
  }
  if (finishing_ && all_fin_sent)
    finish_until_ns_ = std::min(finish_until_ns_, loop_.now.monotonic_ns + loop_.options.linger_ms * kNanosPerMilli);
}

void Connection::on_timer(int64_t at_ns) {
  if (at_ns != armed_at_ns_) return;  // an earlier one took its place
  armed_at_ns_ = 0;
  const int64_t now_ns = loop_.now.monotonic_ns;
  if (finishing_ && now_ns >= finish_until_ns_) {
    for (auto& wire : wires_) {
      if (!wire->is_open()) continue;
      if (wire->fin_sent())
        wire_gone(*wire);
      else
        wire->abort(), loop_.maybe_done(*this);
    }
    return;
  }
  for (auto& wire : wires_) {
    if (wire->dial_until_ns != 0 && now_ns >= wire->dial_until_ns) {
      loop_.counters.bump(&Stats::dial_failures);
      fail_wire(*wire, fmt::format("dial {}: no answer within {} ms", wire->peer.to_string(), loop_.options.dial_ms));
    } else if (wire->slow_at_ns != 0 && now_ns >= wire->slow_at_ns) {
      loop_.counters.bump(&Stats::slow_peers);
      const size_t queued = wire->queued();
      wire->abort();
      loop_.maybe_done(*this);
      emit(flow::Failed{wire->leg,
                        fmt::format("{} bytes wait and none was taken for {} ms", queued, loop_.options.slow_peer_ms)});
    }
  }
  if (wake_at_ns_ != 0 && now_ns >= wake_at_ns_) {
    wake_at_ns_ = 0;
    deliver(flow::Tick{});
  }
  balance();
  arm();
}

void Connection::arm() {
  int64_t earliest = 0;
  const auto consider = [&earliest](int64_t at_ns) {
    if (at_ns != 0 && (earliest == 0 || at_ns < earliest)) earliest = at_ns;
  };
  consider(finishing_ ? finish_until_ns_ : wake_at_ns_);
  for (const auto& wire : wires_) {
    consider(wire->dial_until_ns);
    consider(wire->slow_at_ns);
  }
  if (earliest == 0 || (armed_at_ns_ != 0 && armed_at_ns_ <= earliest)) return;
  armed_at_ns_ = earliest;
  loop_.set_timer(earliest, id());
}

bool Connection::is_done() const {
  if (carried_ > 0 && !finishing_) return false;
  return std::ranges::none_of(wires_, [](const auto& wire) { return wire->is_open(); });
}

void Connection::end() {
  for (auto& wire : wires_) {
    if (!wire->is_open()) continue;
    wire->flush();
    wire->close();
  }
  flow_.reset();
}

}  // namespace sallyport::net
