// SPDX-License-Identifier: Apache-2.0
// A node in small: a Kernel with pins of its own, throw-away cgroups and network namespaces, an
// acceptor in the daemon's place, and agents as forked children.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sallyport/base/unique_fd.h"
#include "sallyport/kernel/kernel.h"
#include "sallyport/model/address.h"

namespace sallyport::kernel::test {

/// A network namespace with loopback up and a wire to another one, the world: 10.77.0.2 and fd77::2 here,
/// 10.77.0.1 and fd77::1 there and the default routes.
class Netns {
 public:
  Netns();
  int fd() const { return fd_.get(); }
  int world_fd() const { return world_.get(); }

 private:
  UniqueFd fd_;
  UniqueFd world_;
};

/// A cgroup directory; removed at the end (its processes are gone by then).
class Cgroup {
 public:
  explicit Cgroup(const std::string& path);
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  uint64_t id() const;

 private:
  std::string path_;
  UniqueFd fd_;
};

/// Accepts on a listener as the daemon would: takes the flow, says "hello" and waits for the peer's
/// end; without a flow it resets.
class Acceptor {
 public:
  Acceptor(Kernel& kernel, Listener listener);
  ~Acceptor();
  const ListenerInfo& info() const { return listener_.info; }
  /// Flows taken so far, waiting until there are `count` (3 s at most).
  std::vector<FlowEntry> flows(size_t count);
  /// Errors of take_flow() so far, waiting likewise.
  std::vector<std::string> misses(size_t count);
  size_t taken() const { return taken_; }
  /// Keep only counts, for tests with very many connections.
  void only_count() { only_count_ = true; }

 private:
  void run();
  void serve(int accepted);

  Kernel& kernel_;
  Listener listener_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> only_count_ = false;
  std::atomic<size_t> taken_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<FlowEntry> flows_;
  std::vector<std::string> misses_;
  std::thread thread_;
};

/// Runs `work` in a forked child inside the cgroup and the namespace (-1: ours); what it returns comes
/// back. The child has no threads but its own.
std::string as_agent(const Cgroup& cgroup, int netns_fd, const std::function<std::string()>& work);

/// The like, outside of any cgroup of ours.
std::string as_stranger(const std::function<std::string()>& work, int netns_fd = -1);

/// A socket address of "10.0.0.1", "fd00::1" or, mapped, "::ffff:10.0.0.1" (AF_INET6).
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
Address address(const std::string& host, uint16_t port);

/// "10.0.0.1:5432" of getpeername or getsockname, v4-mapped shown as IPv4.
std::string name_of(int fd, int (*name)(int, sockaddr*, socklen_t*));

/// A listening socket on host (port 0: any) in this process, and its port.
UniqueFd server(const std::string& host, uint16_t& port);

/// "ok" or the errno's name, for what a call returned.
std::string outcome(int result);

/// Blocking connect() to host:port, then everything read from it: "hello", or what went wrong.
std::string dial(const std::string& host, uint16_t port);

/// Everything a test of the kernel path needs; fails where root or BPF is missing.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Opens a Kernel on this test's pins (again).
  std::unique_ptr<Kernel> open_kernel();
  std::string cgroup_path(const std::string& name) const;
  uint64_t counter(const std::string& name);
  /// A listener in the namespace with an acceptor, and `cgroup` enrolled to it.
  std::unique_ptr<Acceptor> enrol(const Cgroup& cgroup, int netns_fd, EnrolOptions options = {});

  std::string pin_dir_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace sallyport::kernel::test
