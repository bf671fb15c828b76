// SPDX-License-Identifier: Apache-2.0
#include "sallyport/edges/workload_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "sallyport/base/log.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::edges {
namespace {

#ifndef FUSE_SUPER_MAGIC
constexpr long kFuseMagic = 0x65735546;
#else
constexpr long kFuseMagic = FUSE_SUPER_MAGIC;
#endif

/// Reads all of a file that may be longer than its size said. Fails behind `bytes_max`.
Result<Secret> read_all(int fd, const std::string& name, size_t bytes_max) {
  std::string out(bytes_max + 1, '\0');
  size_t size = 0;
  while (size < out.size()) {
    const ssize_t got = ::read(fd, out.data() + size, out.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      auto failed = fail_errno(name);
      wipe(out);
      return failed;
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > bytes_max) {
    wipe(out);
    return fail(fmt::format("{} is longer than {} bytes", name, bytes_max));
  }
  // Cut in place: what is behind the token is zero.
  out.resize(size);
  return Secret(std::move(out));
}

/// Field 22 of /proc/PID/stat behind the command, which may hold anything but ends with the last bracket.
uint64_t start_ticks_of(int process) {
  const UniqueFd stat(::openat(process, "stat", O_RDONLY | O_CLOEXEC));
  char text[2'048];
  const ssize_t size = stat ? ::read(stat.get(), text, sizeof text) : -1;
  if (size <= 0) return 0;
  std::string_view rest(text, static_cast<size_t>(size));
  rest.remove_prefix(std::min(rest.rfind(')') + 1, rest.size()));
  for (int field = 3; field <= 22 && !rest.empty(); ++field) {
    rest.remove_prefix(1);  // the space before it
    if (field == 22) return std::strtoull(std::string(rest.substr(0, rest.find(' '))).c_str(), nullptr, 10);
    rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  }
  return 0;
}

/// The root directory of the process. /proc/PID, held open, never comes to mean another process, like a pidfd.
Result<UniqueFd> open_root(const WorkloadFile& file) {
  const UniqueFd process(::open(fmt::format("/proc/{}", file.pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!process) return fail(fmt::format("process {} has gone", file.pid));
  if (file.start_ticks != 0 && start_ticks_of(process.get()) != file.start_ticks)
    return fail(fmt::format("process {} has gone, and its number is another's", file.pid));
  UniqueFd root(::openat(process.get(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno(fmt::format("root of process {}", file.pid));
  return root;
}

/// For this thread alone: glibc's own calls would change the whole process.
Result<> become(const FileUser& user) {
  if (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0)
    return fail_errno("set groups of a reader");
  ::setfsgid(user.gid);
  ::setfsuid(user.uid);
  if (::setfsuid(static_cast<uid_t>(-1)) != static_cast<int>(user.uid) ||
      ::setfsgid(static_cast<gid_t>(-1)) != static_cast<int>(user.gid))
    return fail("a reader could not take its user's permissions");
  return {};
}

Result<Secret> read_now(const WorkloadFile& file) {
  auto root = open_root(file);
  if (!root) return std::unexpected(root.error());
  // Behind /proc/PID/root, which asks for the daemon's own rights.
  if (file.user)
    if (auto became = become(*file.user); !became) return std::unexpected(became.error());
  const std::string name = fmt::format("{} of process {}", printable(file.path), file.pid);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd place(static_cast<int>(::syscall(SYS_openat2, root->get(), file.path.c_str(), &how, sizeof how)));
  if (!place) return fail_errno(name);
  // Looked at before it is opened: opening a FIFO or a device may wait, or do something.
  struct stat status {};
  struct statfs system {};
  if (::fstat(place.get(), &status) != 0) return fail_errno(name);
  if (!S_ISREG(status.st_mode)) return fail(fmt::format("{} is no regular file", name));
  if (::fstatfs(place.get(), &system) != 0) return fail_errno(name);
  if (system.f_type == kFuseMagic) return fail(fmt::format("{} is on a FUSE file system", name));
  if (status.st_size > static_cast<off_t>(file.bytes_max))
    return fail(fmt::format("{} is longer than {} bytes", name, file.bytes_max));
  const UniqueFd opened(::open(fmt::format("/proc/thread-self/fd/{}", place.get()).c_str(),
                               O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!opened) return fail_errno(name);
  return read_all(opened.get(), name, file.bytes_max);
}

}  // namespace

struct WorkloadFiles::Shared {
  std::mutex mutex;
  size_t running = 0;
};

WorkloadFiles::WorkloadFiles(int64_t timeout_ms) : timeout_ms_(timeout_ms), shared_(std::make_shared<Shared>()) {}

Result<Secret> WorkloadFiles::read(const WorkloadFile& file) {
  struct Job {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Result<Secret>> result;
  };
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->running >= limits::kTokenReadersMax)
      return fail(fmt::format("{} reads of files hang already", shared_->running),
                  "find out whose file system does not answer");
    ++shared_->running;
  }
  auto job = std::make_shared<Job>();
  std::thread([job, file, shared = shared_] {
    auto result = read_now(file);
    {
      std::lock_guard lock(shared->mutex);
      --shared->running;
    }
    std::lock_guard lock(job->mutex);
    job->result = std::move(result);
    job->done.notify_one();
  }).detach();
  std::unique_lock lock(job->mutex);
  if (!job->done.wait_for(lock, std::chrono::milliseconds(timeout_ms_), [&] { return job->result.has_value(); }))
    return fail(fmt::format("{} of process {} was not read within {} ms", printable(file.path), file.pid, timeout_ms_));
  return std::move(*job->result);
}

}  // namespace sallyport::edges
