// SPDX-License-Identifier: Apache-2.0
#include "net/wire.h"

#include <sys/socket.h>

#include <cerrno>

#include "net/socket.h"

namespace sallyport::net {

Result<void> Wire::send(std::string bytes) {
  if (shut_wanted_ || write_error_ != 0) return {};
  if (!tls_) {
    queue_.push(std::move(bytes));
    return {};
  }
  auto written = tls_->write(bytes);
  collect_tls_output();
  return written;
}

void Wire::shut() {
  if (shut_wanted_) return;
  if (tls_) {
    tls_->close();
    collect_tls_output();
  }
  shut_wanted_ = true;
}

void Wire::begin_tls(std::unique_ptr<TlsEngine> engine, std::string unread) {
  tls_ = std::move(engine);
  unread_ = std::move(unread);
  collect_tls_output();
}

void Wire::collect_tls_output() {
  if (tls_->output().empty()) return;
  if (write_error_ == 0)
    queue_.push(std::exchange(tls_->output(), {}));
  else
    tls_->output().clear();
}

size_t Wire::flush() {
  if (state_ != State::open) return 0;
  long written = 0;
  if (!queue_.empty()) written = queue_.write_to(fd_.get());
  if (written < 0) {
    write_error_ = static_cast<int>(-written);
    queue_.clear();
    return 0;
  }
  // A handshake under way still has close_notify to send.
  const bool tls_busy = tls_ && !tls_->established() && tls_->waiting() > 0;
  if (shut_wanted_ && !fin_sent_ && queue_.empty() && !tls_busy) {
    ::shutdown(fd_.get(), SHUT_WR);
    fin_sent_ = true;
  }
  return static_cast<size_t>(written);
}

long Wire::receive(char* buffer, size_t capacity) {
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer, capacity, MSG_DONTWAIT);
    if (got >= 0) return got;
    if (errno != EINTR) return -errno;
  }
}

bool Wire::wants_to_read() const {
  if (peer_ended_ || state_ != State::open) return false;
  if (lingers_) return true;
  const bool handshake = tls_ && !tls_->established();
  return (flow_reads && !rests) || handshake;
}

bool Wire::update_interest() {
  if (state_ == State::closed) return true;
  uint32_t wanted = 0;
  if (state_ == State::dialling) {
    wanted = EPOLLOUT;
  } else {
    if (wants_to_read()) wanted |= EPOLLIN;
    if (!queue_.empty()) wanted |= EPOLLOUT;
  }
  if (in_set_) {
    if (wanted != interest_) poller_.modify(fd_.get(), wanted, *this);
  } else {
    if (parked_ && wanted == 0) return true;
    if (!poller_.add(fd_.get(), wanted, *this)) return false;
    in_set_ = true;
    parked_ = false;
  }
  interest_ = wanted;
  return true;
}

void Wire::park() {
  if (in_set_) poller_.remove(fd_.get());
  in_set_ = false;
  parked_ = true;
}

void Wire::close() {
  if (in_set_) poller_.remove(fd_.get());
  in_set_ = false;
  fd_.reset();
  queue_.clear();
  state_ = State::closed;
  dial_until_ns = slow_at_ns = 0;
  over_limit = false;
}

void Wire::abort() {
  if (fd_) reset_on_close(fd_.get());
  close();
}

}  // namespace sallyport::net
