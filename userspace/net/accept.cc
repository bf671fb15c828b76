// SPDX-License-Identifier: Apache-2.0
// Listeners of a loop, and how a connection is let in.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/loop.h"
#include "net/socket.h"

namespace sallyport::net {
namespace {

// Several workers wait on duplicates of one socket: wake one of them.
constexpr uint32_t kListenerEvents = EPOLLIN | EPOLLEXCLUSIVE;

bool lacks_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

}  // namespace

void Loop::change_listeners(std::vector<ListenerChange> changes) {
  for (ListenerChange& change : changes) {
    if (change.fd) {
      const int flags = fcntl(change.fd.get(), F_GETFL);
      fcntl(change.fd.get(), F_SETFL, flags | O_NONBLOCK);
      auto listener = std::make_unique<Listener>(change.token, std::move(change.fd));
      if (!poller.add(listener->fd.get(), kListenerEvents, *listener)) {
        pause(*listener);  // tried again when the pause is over
      }
      listeners_.push_back(std::move(listener));
      continue;
    }
    for (auto& listener : listeners_) {
      if (listener->token != change.token) continue;
      if (listener->paused_until_ns == 0) poller.remove(listener->fd.get());
      listener->fd.reset();
      closed_listeners_.push_back(std::move(listener));
    }
    std::erase(listeners_, nullptr);
  }
}

void Loop::accept_from(Listener& listener) {
  for (int i = 0; i < limits::kAcceptsPerTurnMax && listener.fd; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd fd(accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(listener, std::move(fd), endpoint_of(address));
      continue;
    }
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return;
    if (error == EINTR || error == ECONNABORTED) continue;
    counters.bump(&Stats::accept_errors);
    if (lacks_resources(error)) accept_failed(listener, error);
    if (listener.paused_until_ns != 0) return;
  }
}

void Loop::admit(Listener& listener, UniqueFd fd, const model::Endpoint& peer) {
  const auto refuse = [&](Counters::Field field) {
    counters.bump(field);
    reset_on_close(fd.get());
  };
  if (connections_.size() >= options.flows_max) return refuse(&Stats::flows_over_limit);
  auto accepted = services.identify(listener.token, fd.get(), peer);
  if (!accepted || !prepare_socket(fd.get())) return refuse(&Stats::refused);
  stay_on_host(fd.get());
  const model::FlowId flow = accepted->origin.id;
  auto [place, added] = connections_.try_emplace(flow);
  if (flow == 0 || !added) {
    if (flow == 0) connections_.erase(place);
    return refuse(&Stats::refused);
  }
  place->second = std::make_unique<Connection>(*this, std::move(*accepted));
  counters.bump(&Stats::accepted);
  counters.bump(&Stats::flows_open);
  place->second->start(std::move(fd), peer);
}

/// Without a descriptor the backlog cannot even be refused, and epoll reports it for ever: with the
/// spare one those who wait are reset, and the listener rests for a while.
void Loop::accept_failed(Listener& listener, int error) {
  if (error == EMFILE || error == ENFILE) {
    spare_fd_.reset();
    for (int i = 0; i < limits::kAcceptsPerTurnMax; ++i) {
      UniqueFd refused(accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!refused) break;
      reset_on_close(refused.get());
      counters.bump(&Stats::refused);
    }
    spare_fd_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  poller.remove(listener.fd.get());
  pause(listener);
}

void Loop::pause(Listener& listener) {
  listener.paused_until_ns = now.monotonic_ns + options.accept_pause_ms * kNanosPerMilli;
  set_timer(listener.paused_until_ns, 0);
}

void Loop::resume_listeners() {
  for (auto& listener : listeners_) {
    if (listener->paused_until_ns == 0 || listener->paused_until_ns > now.monotonic_ns) continue;
    listener->paused_until_ns = 0;
    if (!spare_fd_) spare_fd_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!poller.add(listener->fd.get(), kListenerEvents, *listener)) pause(*listener);
  }
}

}  // namespace sallyport::net
