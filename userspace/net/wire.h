// SPDX-License-Identifier: Apache-2.0
// One leg of a flow as a socket: what waits to be sent, TLS if any, and when it wants to be polled.
// Knows nothing of flows; Connection tells it what to do and reacts to what it returns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/poller.h"
#include "net/send_queue.h"
#include "net/tls_engine.h"
#include "sallyport/flow/event.h"
#include "sallyport/model/address.h"

namespace sallyport::net {

class Connection;

class Wire : public Pollable {
 public:
  enum class State : uint8_t { dialling, open, closed };

  /// Takes `fd` (prepared) and enters it into the epoll set by the first update_interest().
  Wire(Connection& owner, Poller& poller, flow::Leg leg, UniqueFd fd, State state, model::Endpoint peer)
      : Pollable(Kind::wire), owner(owner), leg(leg), peer(peer), poller_(poller), fd_(std::move(fd)), state_(state) {}
  ~Wire() { close(); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  Connection& owner;
  const flow::Leg leg;
  const model::Endpoint peer;
  bool over_limit = false;    ///< its queue went over the limit and is not under the low-water mark yet
  bool rests = false;         ///< not read because another leg is over its limit
  bool flow_reads = true;     ///< what the flow's last Read said
  int64_t dial_until_ns = 0;  ///< 0: not dialling
  int64_t slow_at_ns = 0;     ///< when a full queue that did not move is given up; 0: not full

  State state() const { return state_; }
  bool is_open() const { return state_ != State::closed; }
  int fd() const { return fd_.get(); }
  TlsEngine* tls() const { return tls_.get(); }
  bool peer_ended() const { return peer_ended_; }
  bool fin_sent() const { return fin_sent_; }
  bool ended_both_ways() const { return peer_ended_ && fin_sent_; }
  size_t queued() const { return queue_.size() + (tls_ ? tls_->waiting() : 0); }

  void dialled() { state_ = State::open, dial_until_ns = 0; }
  void note_peer_ended() { peer_ended_ = true; }

  /// Queues plaintext: encrypted if TLS was begun.
  Result<void> send(std::string bytes);
  /// FIN (after close_notify) when the queue is empty. Later sends are dropped.
  void shut();
  /// From here on TLS; what is queued goes out first, in clear. `unread`: see take_unread().
  void begin_tls(std::unique_ptr<TlsEngine> engine, std::string unread);
  /// Ciphertext that the flow had been given as plaintext.
  std::string take_unread() { return std::exchange(unread_, {}); }
  /// Moves what the engine produced to the queue.
  void collect_tls_output();

  /// Writes what the socket takes, then the FIN if due. Gives the bytes written. When the socket
  /// cannot be written any more the queue is dropped and write_error() says why; reading goes on,
  /// since the peer's last words may still be there.
  size_t flush();
  int write_error() const { return write_error_; }
  /// recv(): bytes, 0 at the end, -errno.
  long receive(char* buffer, size_t capacity);

  /// Finishing: nothing is delivered any more; reads and drops until the peer ends.
  void linger() { lingers_ = true; }
  bool lingers() const { return lingers_; }

  /// Tells the epoll set what is wanted now. False: the set could not take it.
  bool update_interest();
  /// Nobody reads, and the kernel keeps saying HUP or ERR: leave the set until somebody reads.
  void park();
  bool wants_to_read() const;

  void close();
  void abort();

 private:
  Poller& poller_;
  UniqueFd fd_;
  State state_;
  bool peer_ended_ = false;
  bool shut_wanted_ = false;
  bool fin_sent_ = false;
  bool lingers_ = false;
  bool in_set_ = false;
  bool parked_ = false;
  int write_error_ = 0;
  uint32_t interest_ = 0;
  SendQueue queue_;
  std::string unread_;
  std::unique_ptr<TlsEngine> tls_;
};

}  // namespace sallyport::net
