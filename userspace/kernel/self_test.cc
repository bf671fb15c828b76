// SPDX-License-Identifier: Apache-2.0
// What level this machine reaches: not by what is attached, but by what a process in a cgroup can do.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

#include "canary.h"
#include "impl.h"
#include "sockets.h"

namespace sallyport::kernel {
namespace {

constexpr unsigned kCanarySeconds = 10;

using Results = std::array<int, kCanaryVectors>;

/// A cgroup of its own; removed at the end, when its process is gone.
class ScratchCgroup {
 public:
  static Result<std::unique_ptr<ScratchCgroup>> make(const std::string& root) {
    auto scratch = std::make_unique<ScratchCgroup>();
    scratch->path_ = fmt::format("{}/sallyport-self-test-{}", root, getpid());
    if (mkdir(scratch->path_.c_str(), 0700) != 0 && errno != EEXIST)
      return fail_errno(fmt::format("make `{}`", scratch->path_));
    scratch->fd_.reset(::open(scratch->path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!scratch->fd_) return fail_errno(fmt::format("open `{}`", scratch->path_));
    return scratch;
  }
  ScratchCgroup() = default;
  ScratchCgroup(const ScratchCgroup&) = delete;
  ScratchCgroup& operator=(const ScratchCgroup&) = delete;
  ~ScratchCgroup() {
    fd_.reset();
    rmdir(path_.c_str());
  }
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

/// The child: enters the cgroup, tries everything, reports, and keeps its sockets until told to go.
[[noreturn]] void run_canary(int cgroup_fd, const CanaryPlan& plan, int report_fd, int leave_fd) {
  alarm(kCanarySeconds);
  int procs = openat(cgroup_fd, "cgroup.procs", O_WRONLY);
  if (procs < 0 || write(procs, "0", 1) != 1) _exit(1);
  Results results{};
  for (size_t i = 0; i < kCanaryVectors; ++i) results[i] = kCanary[i].attempt(plan);
  if (write(report_fd, results.data(), sizeof(results)) != sizeof(results)) _exit(1);
  char byte;
  (void)!read(leave_fd, &byte, 1);
  _exit(0);
}

/// A forked canary and the pipes to it.
struct Canary {
  pid_t pid = -1;
  UniqueFd report;
  UniqueFd leave;

  Canary() = default;
  Canary(Canary&&) = default;
  ~Canary() {
    leave.reset();
    if (pid > 0) waitpid(pid, nullptr, 0);  // it ends by itself: its pipe is closed, or its alarm rings
  }
};

Result<std::unique_ptr<Canary>> start_canary(int cgroup_fd, const CanaryPlan& plan) {
  int report[2];
  int leave[2];
  if (pipe2(report, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  UniqueFd report_read(report[0]), report_write(report[1]);
  if (pipe2(leave, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  UniqueFd leave_read(leave[0]), leave_write(leave[1]);
  auto canary = std::make_unique<Canary>();
  canary->pid = fork();
  if (canary->pid < 0) return fail_errno("fork the self-test's canary");
  if (canary->pid == 0) {
    close(leave[1]);
    run_canary(cgroup_fd, plan, report[1], leave[0]);
  }
  canary->report = std::move(report_read);
  canary->leave = std::move(leave_write);
  return canary;
}

Result<UniqueFd> plain_listener() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  if (!fd || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(fd.get(), 1) != 0)
    return fail_errno("listen for the self-test");
  return fd;
}

VectorResult judge(const CanaryVector& vector, int error, const std::set<std::string>& diverted) {
  VectorResult result{.name = vector.name, .closed = true, .detail = {}};
  if (vector.destination != nullptr && diverted.contains(vector.destination)) {
    result.detail = "diverted";
  } else if (error != 0) {
    result.detail = fmt::format("refused: {}", strerror(error));
  } else {
    result.closed = false;
    result.detail = *vector.closed_by ? fmt::format("open; closed only by {}", vector.closed_by) : "open";
  }
  return result;
}

LevelReport report_of(const Results& results, const std::set<std::string>& diverted) {
  LevelReport report{.level = Level::enforce, .vectors = {}, .open = {}};
  for (size_t i = 0; i < kCanaryVectors; ++i) {
    auto result = judge(kCanary[i], results[i], diverted);
    if (!result.closed) {
      report.open.push_back(result.name);
      Level reached = kCanary[i].needed_by == CanaryClass::enforce ? Level::guarded : Level::observe;
      report.level = std::min(report.level, reached);
    }
    report.vectors.push_back(std::move(result));
  }
  return report;
}

}  // namespace

Result<LevelReport> Kernel::self_test() {
  auto scratch = ScratchCgroup::make(impl_->cgroup_root);
  if (!scratch) return std::unexpected(scratch.error());
  auto listener = listen(-1);
  if (!listener) return std::unexpected(listener.error());
  auto plain = plain_listener();
  if (!plain) return std::unexpected(plain.error());
  auto plain_at = endpoint_of(plain->get(), getsockname);
  if (!plain_at) return std::unexpected(plain_at.error());
  UniqueFd foreign(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto enrolment = enrol((*scratch)->fd(), {.listener = listener->info, .level = Level::guarded});
  if (!enrolment) return std::unexpected(enrolment.error());

  CanaryPlan plan{.listener_port = listener->info.port, .plain_port = plain_at->port, .foreign_socket = foreign.get()};
  auto canary = start_canary((*scratch)->fd(), plan);
  Results results{};
  bool reported = canary && read((*canary)->report.get(), results.data(), sizeof(results)) == sizeof(results);
  std::set<std::string> diverted;
  for (int fd : {listener->v4.get(), listener->v6.get()}) {
    while (fd >= 0) {
      UniqueFd accepted(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (!accepted) break;
      if (auto flow = take_flow(accepted.get())) diverted.insert(flow->destination.address.to_string());
    }
  }
  if (canary) canary->reset();
  auto withdrawn = withdraw(enrolment->cgroup_id);
  if (!canary) return std::unexpected(canary.error());
  if (!withdrawn) return std::unexpected(withdrawn.error());
  if (!reported) return fail("the self-test's canary gave no report", "look at the kernel log");
  if (!diverted.contains(kCanary[0].destination))
    return fail(fmt::format("a canary's connection to {} was not diverted: {}", kCanary[0].destination,
                            results[0] ? strerror(results[0]) : "it went out"),
                "no agent can be let run on this machine; report this with the output of `sallyport doctor`");
  return report_of(results, diverted);
}

}  // namespace sallyport::kernel
