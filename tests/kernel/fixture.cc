// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "kernel/netns.h"
#include "kernel/sockets.h"
#include "sallyport/base/check.h"

namespace sallyport::kernel::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr unsigned kAgentSeconds = 150;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(fmt::format("{}: {}", what, strerror(errno)));
}

std::string run_child(const std::function<void()>& enter, const std::function<std::string()>& work) {
  int ends[2];
  require(pipe2(ends, O_CLOEXEC) == 0, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  pid_t pid = fork();
  require(pid >= 0, "fork");
  if (pid == 0) {
    alarm(kAgentSeconds);
    std::string text;
    try {
      enter();
      text = work();
    } catch (const std::exception& error) {
      text = fmt::format("child failed: {}", error.what());
    }
    (void)!write(write_end.get(), text.data(), text.size());
    _exit(0);
  }
  write_end.reset();
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = read(read_end.get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, size);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status)) return fmt::format("child ended by signal {}", WTERMSIG(status));
  return text;
}

}  // namespace

Netns::Netns() {
  std::thread maker([this] {
    auto own = [] { return UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); };
    auto run = [](const std::string& commands) {
      require(system(commands.c_str()) == 0, "set up a network namespace (is iproute2 installed?)");
    };
    require(unshare(CLONE_NEWNET) == 0, "unshare");
    world_ = own();
    require(unshare(CLONE_NEWNET) == 0, "unshare");
    fd_ = own();
    run(
        fmt::format("ip link set lo up && ip link add v0 type veth peer name v1 &&"
                    "ip link set v1 netns /proc/{}/fd/{} && ip link set v0 up &&"
                    "ip addr add 10.77.0.2/24 dev v0 && ip -6 addr add fd77::2/64 dev v0 nodad &&"
                    "ip route add default via 10.77.0.1 && ip -6 route add default via fd77::1",
                    getpid(), world_.get()));
    require(setns(world_.get(), CLONE_NEWNET) == 0, "setns");
    run("ip link set lo up && ip addr add 10.77.0.1/24 dev v1 && ip -6 addr add fd77::1/64 dev v1 nodad &&"
        "ip link set v1 up");
  });
  maker.join();
}

Cgroup::Cgroup(const std::string& path) : path_(path) {
  require(mkdir(path.c_str(), 0755) == 0, "mkdir " + path);
  fd_.reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  require(static_cast<bool>(fd_), "open " + path);
}

Cgroup::~Cgroup() {
  fd_.reset();
  // A process that was reaped just now may take a moment to leave.
  for (int i = 0; i < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

uint64_t Cgroup::id() const { return cgroup_id_of(fd_.get()).value(); }

Acceptor::Acceptor(Kernel& kernel, Listener listener)
    : kernel_(kernel), listener_(std::move(listener)), thread_([this] { run(); }) {}

Acceptor::~Acceptor() {
  stop_ = true;
  thread_.join();
}

void Acceptor::run() {
  pollfd waiting[2] = {{listener_.v4.get(), POLLIN, 0}, {listener_.v6.get(), POLLIN, 0}};
  while (!stop_) {
    if (poll(waiting, 2, 20) <= 0) continue;
    for (const auto& entry : waiting)
      for (int fd; (entry.revents & POLLIN) && (fd = accept4(entry.fd, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
        serve(fd);
  }
}

void Acceptor::serve(int accepted) {
  UniqueFd fd(accepted);
  auto flow = kernel_.take_flow(accepted);
  if (flow) {
    ++taken_;
    if (only_count_) return;
  } else {
    linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(accepted, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  {
    std::lock_guard lock(mutex_);
    if (flow) flows_.push_back(*flow);
    if (!flow) misses_.push_back(flow.error().what);
  }
  changed_.notify_all();
  if (!flow) return;
  (void)!send(accepted, "hello", 5, MSG_NOSIGNAL);
  shutdown(accepted, SHUT_WR);
  pollfd waiting{accepted, POLLIN, 0};
  char buffer[64];
  while (poll(&waiting, 1, 1000) == 1 && recv(accepted, buffer, sizeof(buffer), 0) > 0) {
  }
}

std::vector<FlowEntry> Acceptor::flows(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return flows_.size() >= count; });
  return flows_;
}

std::vector<std::string> Acceptor::misses(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return misses_.size() >= count; });
  return misses_;
}

std::string as_agent(const Cgroup& cgroup, int netns_fd, const std::function<std::string()>& work) {
  return run_child(
      [&] {
        UniqueFd procs(openat(cgroup.fd(), "cgroup.procs", O_WRONLY));
        require(procs && write(procs.get(), "0", 1) == 1, "enter " + cgroup.path());
        if (netns_fd >= 0) require(setns(netns_fd, CLONE_NEWNET) == 0, "setns");
      },
      work);
}

std::string as_stranger(const std::function<std::string()>& work, int netns_fd) {
  return run_child([&] { require(netns_fd < 0 || setns(netns_fd, CLONE_NEWNET) == 0, "setns"); }, work);
}

UniqueFd server(const std::string& host, uint16_t& port) {
  auto at = address(host, port);
  UniqueFd fd(socket(at.family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  require(fd && bind(fd.get(), at.raw(), at.size) == 0 && listen(fd.get(), 64) == 0, "listen on " + host);
  port = endpoint_of(fd.get(), getsockname).value().port;
  return fd;
}

Address address(const std::string& host, uint16_t port) {
  Address result;
  if (host.find(':') == std::string::npos) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    require(inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1, host);
    result.size = sizeof(v4);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    require(inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1, host);
    result.size = sizeof(v6);
  }
  result.family = result.storage.ss_family;
  return result;
}

std::string name_of(int fd, int (*name)(int, sockaddr*, socklen_t*)) {
  auto endpoint = endpoint_of(fd, name);
  return endpoint ? endpoint->to_string() : endpoint.error().what;
}

std::string outcome(int result) { return result >= 0 ? "ok" : strerrorname_np(errno); }

std::string dial(const std::string& host, uint16_t port) {
  auto to = address(host, port);
  UniqueFd fd(socket(to.family, SOCK_STREAM, 0));
  if (!fd) return fmt::format("socket: {}", outcome(-1));
  if (connect(fd.get(), to.raw(), to.size) != 0) return fmt::format("connect: {}", outcome(-1));
  std::string text;
  char buffer[64];
  ssize_t size;
  while ((size = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0) text.append(buffer, size);
  return size < 0 ? fmt::format("recv: {}", outcome(-1)) : text;
}

void KernelTest::SetUp() {
  static std::atomic<int> count = 0;
  pin_dir_ = fmt::format("/sys/fs/bpf/sallyport-test-{}-{}", getpid(), count++);
  auto kernel = Kernel::open({.pin_dir = pin_dir_, .cgroup_root = ""});
  if (kernel) {
    kernel_ = std::move(*kernel);
    return;
  }
  FAIL() << kernel.error().what << " (" << kernel.error().hint << ")";
}

void KernelTest::TearDown() {
  kernel_.reset();
  auto removed = remove_pins(pin_dir_);
  EXPECT_TRUE(removed) << removed.error().what;
}

std::unique_ptr<Kernel> KernelTest::open_kernel() {
  auto kernel = Kernel::open({.pin_dir = pin_dir_, .cgroup_root = ""});
  EXPECT_TRUE(kernel) << kernel.error().what;
  return kernel ? std::move(*kernel) : nullptr;
}

std::string KernelTest::cgroup_path(const std::string& name) const {
  return fmt::format("{}/sallyport-test-{}-{}", kernel_->cgroup_root(), getpid(), name);
}

uint64_t KernelTest::counter(const std::string& name) {
  for (const auto& counter : kernel_->counters())
    if (counter.name == name) return counter.value;
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

std::unique_ptr<Acceptor> KernelTest::enrol(const Cgroup& cgroup, int netns_fd, EnrolOptions options) {
  auto listener = kernel_->listen(netns_fd);
  if (!listener) throw std::runtime_error(listener.error().what);
  options.listener = listener->info;
  auto enrolment = kernel_->enrol(cgroup.fd(), options);
  if (!enrolment) throw std::runtime_error(enrolment.error().what);
  return std::make_unique<Acceptor>(*kernel_, std::move(*listener));
}

}  // namespace sallyport::kernel::test
