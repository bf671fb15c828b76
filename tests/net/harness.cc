// SPDX-License-Identifier: Apache-2.0
#include "tests/net/harness.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "net/socket.h"
#include "sallyport/base/clock.h"

namespace sallyport::net {
namespace {

void bound_waits(int fd) {
  const timeval minute{.tv_sec = 60, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &minute, sizeof minute);
}

}  // namespace

UniqueFd listen_on_loopback(model::Endpoint* where, int backlog) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address;
  socklen_t size = fill_address({model::IpAddress::v4(127, 0, 0, 1), 0}, address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(fd.get(), backlog), 0);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  *where = endpoint_of(address);
  bound_waits(fd.get());
  return fd;
}

UniqueFd connect_to(const model::Endpoint& where) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  bound_waits(fd.get());
  sockaddr_storage address;
  const socklen_t size = fill_address(where, address);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0) << errno_text(errno);
  return fd;
}

UniqueFd accept_one(const UniqueFd& listener) {
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(fd) << errno_text(errno);
  bound_waits(fd.get());
  return fd;
}

void write_all(const UniqueFd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(sent, 0) << errno_text(errno);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string read_exactly(const UniqueFd& fd, size_t count) {
  std::string out(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    const ssize_t got = ::recv(fd.get(), out.data() + filled, count - filled, 0);
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  out.resize(filled);
  return out;
}

std::string read_to_end(const UniqueFd& fd) {
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return out;
    out.append(buffer, static_cast<size_t>(got));
  }
}

int how_it_ended(const UniqueFd& fd, int timeout_ms) {
  pollfd wait{.fd = fd.get(), .events = POLLIN};
  if (::poll(&wait, 1, timeout_ms) == 0) return EAGAIN;
  char byte;
  const ssize_t got = ::recv(fd.get(), &byte, 1, MSG_DONTWAIT);
  if (got > 0) return -1;
  return got == 0 ? 0 : errno;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 30'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

Script pass_through(const model::Endpoint& upstream) {
  auto ended = std::make_shared<int>(0);
  return [upstream, ended](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) {
      actions.add(flow::Dial{flow::kUpstreamLeg, upstream});
    } else if (const auto* bytes = as<flow::Bytes>(event)) {
      actions.send(bytes->leg == flow::kAgentLeg ? flow::kUpstreamLeg : flow::kAgentLeg).append(bytes->bytes);
    } else if (const auto* eof = as<flow::Eof>(event)) {
      actions.add(flow::Shut{eof->leg == flow::kAgentLeg ? flow::kUpstreamLeg : flow::kAgentLeg});
      if (++*ended == 2) actions.add(flow::Finish{});
    } else if (as<flow::Failed>(event) != nullptr) {
      actions.add(flow::Finish{});
    }
  };
}

flow::Record record_of(std::string text) {
  model::OperationDecided decided;
  decided.statement = std::move(text);
  return {model::RecordEntry{.body = std::move(decided)}};
}

Result<void> TestRecorder::append(const model::RecordEntry& entry) {
  if (append_fails) return fail("record: no space left on device");
  std::lock_guard lock(mutex_);
  appended_.push_back(std::get<model::OperationDecided>(entry.body).statement);
  return {};
}

Result<void> TestRecorder::flush() {
  ++flushes;
  std::lock_guard lock(mutex_);
  if (flush_fails) {
    appended_.clear();
    return fail("record: no space left on device");
  }
  accepted_.insert(accepted_.end(), appended_.begin(), appended_.end());
  appended_.clear();
  return {};
}

std::vector<std::string> TestRecorder::accepted() const {
  std::lock_guard lock(mutex_);
  return accepted_;
}

Harness::Harness(std::function<Script(model::FlowId)> script, WorkerOptions options)
    : authority(std::move(*node::CertificateAuthority::make("test", read_clocks().wall_ns))),
      script_(std::move(script)) {
  UniqueFd listener = listen_on_loopback(&address);
  worker = std::move(*Worker::make(*this, options));
  worker->add_listener(kToken, std::move(listener));
  thread_ = std::thread([this] { worker->run(); });
}

Harness::~Harness() { stop(); }

void Harness::stop() {
  if (!thread_.joinable()) return;
  worker->stop();
  thread_.join();
}

Result<Accepted> Harness::identify(int listener_token, int accepted_fd, const model::Endpoint& peer) {
  EXPECT_EQ(listener_token, kToken);
  EXPECT_GE(accepted_fd, 0);
  if (identify_fails) return fail("the kernel knows no such flow");
  ++accepted_flows;
  return Accepted{.origin = {.id = next_id_++, .source = peer, .destination = address}};
}

std::unique_ptr<flow::Flow> Harness::make_flow(const flow::Origin& origin) {
  return std::make_unique<ScriptedFlow>(script_(origin.id));
}

Result<UniqueFd> Harness::upstream_socket(const flow::Origin&, int netns_fd, int family) {
  EXPECT_EQ(netns_fd, -1);
  if (upstream_socket_fails) return fail("no socket in the agent's network namespace");
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  return fd;
}

Result<Leaf> Harness::leaf(const std::string& host) {
  auto minted = authority->leaf(host, read_clocks().wall_ns);
  if (!minted) return std::unexpected(minted.error());
  return Leaf{minted->certificate, minted->key};
}

void Harness::asked(model::FlowId, const flow::Ask&) { ++asks; }
void Harness::finished(model::FlowId) { ++finished_flows; }

}  // namespace sallyport::net
