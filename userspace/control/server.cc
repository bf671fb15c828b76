// SPDX-License-Identifier: Apache-2.0
#include "sallyport/control/server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "control/peer.h"
#include "control/request.h"
#include "control/routes.h"
#include "control/stream.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::control {
namespace {

namespace http = boost::beast::http;

struct Connection {
  UniqueFd socket;
  IdentifiedPeer from;
};

void send_answer(int socket, const HttpAnswer& answer) {
  DeadlineStream stream(socket, limits::kControlAnswerTimeoutMs);
  const auto words = http::obsolete_reason(http::int_to_status(answer.status));  // Boost's own view
  const std::string_view reason(words.data(), words.size());
  const std::string head =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                  answer.status, reason, answer.body.size() + 1);
  // Whoever does not take its answer in time goes without.
  if (auto sent = stream.write_all(head + answer.body + "\n"); !sent)
    spdlog::debug("control: answer not delivered: {}", sent.error().what);
}

/// Listening socket at `path`. A socket nobody listens on is a dead daemon's and makes way.
Result<UniqueFd> listen_at(const std::string& path, uint32_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(fmt::format("`{}` is too long for a Unix socket", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return fail_errno("socket");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      probe && ::connect(probe.get(), name, sizeof address) == 0)
    return fail(fmt::format("another daemon listens on `{}`", path), "stop it first, or choose another --run-dir");
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) == 0 && S_ISSOCK(entry.st_mode)) ::unlink(path.c_str());
  const mode_t mask = ::umask(0777);  // nobody may connect before the mode is what was asked for
  const int bound = ::bind(listener.get(), name, sizeof address);
  ::umask(mask);
  if (bound != 0) return fail_errno(fmt::format("bind `{}`", path), "the folder must exist and be writable");
  if (::listen(listener.get(), 128) != 0) return fail_errno(fmt::format("listen on `{}`", path));
  if (::chmod(path.c_str(), mode) != 0) return fail_errno(fmt::format("chmod `{}`", path));
  return listener;
}

}  // namespace

struct Server::State {
  State(ServerOptions with, Handler& to) : options(std::move(with)), handler(to) {}

  ServerOptions options;
  Handler& handler;
  UniqueFd listener;
  UniqueFd stop_event;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;  // guarded by mutex, as the next three
  std::deque<Connection> queue;
  std::map<uid_t, size_t> open_by_uid;  // queued or served
  std::map<uid_t, size_t> served_by_uid;
  std::vector<std::thread> threads;

  void accept_loop();
  void accept_one();
  void work_loop();
  void serve(Connection& connection);
  bool enqueue(Connection& connection);
  std::deque<Connection>::iterator next_fair();
};

void Server::State::accept_loop() {
  for (;;) {
    pollfd entries[2] = {{listener.get(), POLLIN, 0}, {stop_event.get(), POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
    if (entries[1].revents != 0) return;
    if (entries[0].revents != 0) accept_one();
  }
}

void Server::State::accept_one() {
  Connection connection;
  connection.socket.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.socket) {
    // Out of descriptors: the connection stays queued and poll() would spin.
    if (errno == EMFILE || errno == ENFILE) ::usleep(50'000);
    return;
  }
  auto found = identify_peer(connection.socket.get());
  if (!found) {
    send_answer(connection.socket.get(), error_answer(403, {"cannot tell who asks: " + found.error().what, ""}));
    return;
  }
  connection.from = std::move(*found);
  if (!enqueue(connection)) send_answer(connection.socket.get(), error_answer(503, {"too many requests at once", ""}));
}

bool Server::State::enqueue(Connection& connection) {
  const uid_t uid = connection.from.peer.uid;
  std::lock_guard lock(mutex);
  size_t& open = open_by_uid[uid];
  // Root is never kept out by the others: it alone may fill the last places.
  const size_t places = uid == 0 ? limits::kControlQueueMax : limits::kControlQueueMax - limits::kControlPerUidMax;
  if (queue.size() >= places || (uid != 0 && open >= limits::kControlPerUidMax)) {
    if (open == 0) open_by_uid.erase(uid);
    return false;
  }
  ++open;
  queue.push_back(std::move(connection));
  wake.notify_one();
  return true;
}

/// The first in line whose user may have a worker now: one user has at most half of them, all users but
/// root together all but one. So nobody waits for a slow peer of another, and root for none at all.
std::deque<Connection>::iterator Server::State::next_fair() {
  const size_t workers = std::max(2u, options.workers);
  size_t served_others = 0;
  for (const auto& [uid, count] : served_by_uid) served_others += uid == 0 ? 0 : count;
  return std::ranges::find_if(queue, [&](const Connection& each) {
    const uid_t uid = each.from.peer.uid;
    const auto served = served_by_uid.find(uid);
    return uid == 0 || (served_others < workers - 1 && (served == served_by_uid.end() || served->second < workers / 2));
  });
}

void Server::State::work_loop() {
  auto release = [](std::map<uid_t, size_t>& counts, uid_t uid) {
    if (auto found = counts.find(uid); --found->second == 0) counts.erase(found);
  };
  std::unique_lock lock(mutex);
  for (;;) {
    auto next = queue.end();
    wake.wait(lock, [&] { return stopping || (next = next_fair()) != queue.end(); });
    if (stopping) return;
    Connection connection = std::move(*next);
    queue.erase(next);
    const uid_t uid = connection.from.peer.uid;
    ++served_by_uid[uid];
    lock.unlock();
    serve(connection);
    connection.socket.reset();
    lock.lock();
    release(open_by_uid, uid);
    release(served_by_uid, uid);
    wake.notify_all();  // those of this user may have their turn now
  }
}

void Server::State::serve(Connection& connection) {
  const int socket = connection.socket.get();
  const Peer& peer = connection.from.peer;
  HttpAnswer answer;
  try {
    if (in_slice_or_unknown(peer.cgroup_path) || handler.governed(peer)) {
      spdlog::warn("control: refused pid {} of uid {} in {}: governed", peer.pid, peer.uid,
                   printable(peer.cgroup_path));
      answer = error_answer(403, {"agents are refused here", "ask from outside the agent's cgroup"});
    } else {
      unsigned status = 400;
      auto request = read_request(socket, status);
      answer = request ? route(*request, peer, options.roles, handler) : error_answer(status, request.error());
    }
  } catch (const std::exception& error) {
    spdlog::error("control: {}", printable(error.what()));
    answer = error_answer(500, {"internal error, see the daemon's log", ""});
  }
  send_answer(socket, answer);
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
  auto state = std::make_unique<State>(std::move(options), handler);
  auto listener = listen_at(state->options.socket_path, state->options.mode);
  if (!listener) return fail_within("control socket", listener.error());
  state->listener = std::move(*listener);
  state->stop_event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->stop_event) return fail_errno("eventfd");
  State* raw = state.get();
  std::unique_ptr<Server> server(new Server(std::move(state)));
  raw->threads.emplace_back([raw] { raw->accept_loop(); });
  for (unsigned i = 0; i < std::max(2u, raw->options.workers); ++i)
    raw->threads.emplace_back([raw] { raw->work_loop(); });
  return server;
}

Server::~Server() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  const uint64_t one = 1;
  if (::write(state_->stop_event.get(), &one, sizeof one) < 0)
    spdlog::error("control: cannot wake the accepting thread");
  for (std::thread& thread : state_->threads) thread.join();
  ::unlink(state_->options.socket_path.c_str());
}

}  // namespace sallyport::control
