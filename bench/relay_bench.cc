// SPDX-License-Identifier: Apache-2.0
// The floor under everything: one net::Worker with a flow that only passes bytes on.
//   relay_bench LISTEN_PORT UPSTREAM_PORT [--record]
// listens on 127.0.0.1 until SIGTERM, then prints its counters. --record adds a record to every message
// of the agent and a recorder whose flush is one write() to a file in /tmp, as the real one's is.
// bench/relay.sh runs it beside pgbouncer and haproxy.
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "sallyport/net/worker.h"

namespace sallyport {
namespace {

class PassThrough : public flow::Flow {
 public:
  PassThrough(const model::Endpoint& upstream, bool records) : upstream_(upstream), records_(records) {}

  void start(const Now&, flow::Actions& actions) override { actions.add(flow::Dial{flow::kUpstreamLeg, upstream_}); }

  void on_event(const flow::Event& event, const Now& now, flow::Actions& actions) override {
    if (const auto* bytes = std::get_if<flow::Bytes>(&event)) {
      const bool agent = bytes->leg == flow::kAgentLeg;
      if (agent && records_) {
        model::OperationDecided decided{.kind = "sql", .statement = std::string(bytes->bytes)};
        actions.add(flow::Record{{.session = "bench", .wall_ns = now.wall_ns, .body = std::move(decided)}});
      }
      actions.send(agent ? flow::kUpstreamLeg : flow::kAgentLeg).append(bytes->bytes);
    } else if (const auto* eof = std::get_if<flow::Eof>(&event)) {
      actions.add(flow::Shut{eof->leg == flow::kAgentLeg ? flow::kUpstreamLeg : flow::kAgentLeg});
      if (++ended_ == 2) actions.add(flow::Finish{});
    } else if (std::holds_alternative<flow::Failed>(event)) {
      actions.add(flow::Finish{});
    }
  }

 private:
  const model::Endpoint upstream_;
  const bool records_;
  int ended_ = 0;
};

struct FileRecorder : net::Recorder {
  UniqueFd fd;
  std::string pending;
  Result<void> append(const model::RecordEntry& entry) override {
    pending += entry.session;
    pending += std::get<model::OperationDecided>(entry.body).statement;
    return {};
  }
  Result<void> flush() override {
    const ssize_t written = ::write(fd.get(), pending.data(), pending.size());
    if (written != static_cast<ssize_t>(pending.size())) return fail_errno("write");
    pending.clear();
    return {};
  }
};

struct BenchServices : net::Services {
  model::Endpoint upstream;
  bool records = false;
  FileRecorder file;
  model::FlowId next_id = 1;

  Result<net::Accepted> identify(int, int, const model::Endpoint& peer) override {
    return net::Accepted{.origin = {.id = next_id++, .source = peer, .destination = upstream}};
  }
  std::unique_ptr<flow::Flow> make_flow(const flow::Origin&) override {
    return std::make_unique<PassThrough>(upstream, records);
  }
  Result<UniqueFd> upstream_socket(const flow::Origin&, int, int family) override {
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("socket");
    return fd;
  }
  Result<net::Leaf> leaf(const std::string&) override { return fail("no TLS here"); }
  net::Recorder& recorder() override { return file; }
  void asked(model::FlowId, const flow::Ask&) override {}
  void finished(model::FlowId) override {}
};

UniqueFd listen_on(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd.get(), 1024) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  return fd;
}

int run(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: relay_bench LISTEN_PORT UPSTREAM_PORT [--record]\n");
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  BenchServices services;
  services.upstream = {model::IpAddress::v4(127, 0, 0, 1), static_cast<uint16_t>(std::atoi(argv[2]))};
  services.records = argc > 3 && std::strcmp(argv[3], "--record") == 0;
  services.file.fd.reset(::open("/tmp", O_TMPFILE | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  auto worker = net::Worker::make(services);
  if (!worker) {
    fmt::print(stderr, "{}\n", worker.error().what);
    return 1;
  }
  (*worker)->add_listener(1, listen_on(static_cast<uint16_t>(std::atoi(argv[1]))));
  std::thread thread([&] { (*worker)->run(); });
  int signal = 0;
  sigwait(&ends, &signal);
  (*worker)->stop();
  thread.join();
  const net::Stats stats = (*worker)->stats();
  fmt::print("flows {} turns {} bytes_from_agents {} bytes_to_agents {}\n", stats.accepted, stats.turns,
             stats.bytes_from_agents, stats.bytes_to_agents);
  return 0;
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) { return sallyport::run(argc, argv); }
