// SPDX-License-Identifier: Apache-2.0
#include <openssl/rand.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "edges/catalogue/side_connection.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/edges/catalogue.h"

namespace sallyport::edges {

struct SideConnections::Thread {
  node::Catalogues& catalogues;
  const ReadCredential credential;
  uint64_t key = 0;
  UniqueFd wake;
  std::atomic<bool> stopping = false;
  std::map<flow::CatalogueId, SideConnection> connections;
  std::thread thread;

  void ring() const {
    const uint64_t one = 1;
    // Only a full counter can fail, and then the thread is awake anyway.
    (void)!write(wake.get(), &one, sizeof one);
  }
  void run();
  void follow_list(int64_t now_ns);
};

/// Makes a connection for each catalogue that somebody looks for, and lets go of those nobody does.
void SideConnections::Thread::follow_list(int64_t now_ns) {
  const auto wanted = catalogues.list();
  for (const auto& [id, used_ns] : wanted) {
    if (now_ns - used_ns > limits::kCatalogueIdleMs * kNanosPerMilli) {
      connections.erase(id);
      catalogues.forget(id);
      continue;
    }
    auto found = connections.find(id);
    if (found == connections.end()) found = connections.try_emplace(id, id, catalogues, credential, key).first;
    found->second.on_use(used_ns, now_ns);
  }
}

void SideConnections::Thread::run() {
  std::vector<pollfd> polled;
  std::vector<SideConnection*> heard;
  while (!stopping) {
    int64_t now_ns = read_clocks().monotonic_ns;
    follow_list(now_ns);
    polled = {{.fd = wake.get(), .events = POLLIN, .revents = 0}};
    heard.clear();
    int64_t next_ns = now_ns + kNanosPerSecond;
    for (auto& [id, connection] : connections) {
      connection.on_time(now_ns);
      next_ns = std::min(next_ns, connection.wakes_at_ns());
      polled.push_back({.fd = connection.descriptor(), .events = connection.events(), .revents = 0});
      heard.push_back(&connection);
    }
    const int64_t wait_ms = std::clamp<int64_t>((next_ns - now_ns + kNanosPerMilli - 1) / kNanosPerMilli, 0, 1'000);
    if (poll(polled.data(), polled.size(), static_cast<int>(wait_ms)) <= 0) continue;
    now_ns = read_clocks().monotonic_ns;
    uint64_t count;
    if (polled[0].revents != 0) (void)!read(wake.get(), &count, sizeof count);
    for (size_t i = 0; i < heard.size(); ++i)
      if (polled[i + 1].revents != 0) heard[i]->on_ready(now_ns);
  }
  connections.clear();
}

Result<std::unique_ptr<SideConnections>> SideConnections::start(node::Catalogues& catalogues,
                                                                ReadCredential credential) {
  std::unique_ptr<Thread> thread(new Thread{.catalogues = catalogues, .credential = std::move(credential)});
  thread->wake.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!thread->wake) return fail_errno("eventfd");
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&thread->key), sizeof thread->key) != 1)
    return fail("openssl gives no random bytes");
  thread->thread = std::thread([raw = thread.get()] { raw->run(); });
  catalogues.set_wake([raw = thread.get()] { raw->ring(); });
  return std::unique_ptr<SideConnections>(new SideConnections(std::move(thread)));
}

SideConnections::SideConnections(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}

SideConnections::~SideConnections() {
  thread_->catalogues.set_wake({});
  thread_->stopping = true;
  thread_->ring();
  thread_->thread.join();
}

}  // namespace sallyport::edges
