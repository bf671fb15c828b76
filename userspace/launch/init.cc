// SPDX-License-Identifier: Apache-2.0
#include "launch/init.h"

#include <fmt/core.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "launch/channel.h"
#include "sallyport/base/clock.h"
#include "sallyport/launch/exec.h"

namespace sallyport::launch {
namespace {

/// A signal to the process group reaches the parent, this init and the command each by itself; one to
/// the parent alone must be passed on. So the parent reports every signal that a process sent it, and
/// init passes on those of which it got no copy of its own within this time.
constexpr int64_t kGroupCopyNs = 20 * kNanosPerMilli;
constexpr int64_t kGroupCopyKeptNs = 200 * kNanosPerMilli;

class Init {
 public:
  Init(int channel, pid_t command, int signals) : channel_(channel), command_(command), signals_(signals) {}
  [[noreturn]] void run();

 private:
  void read_signals();
  void read_channel();
  void reap();
  void own_copy(int signal);
  void requested(int signal);
  void pass_due();
  void settle(int signal, bool to_group);
  int timeout_ms() const;

  struct Wait {
    int64_t copy_at_ns = 0;  ///< own copy came, not yet matched by a report
    int64_t due_ns = 0;      ///< reported, waiting for a copy until then
  };

  int channel_;
  pid_t command_;
  int signals_;
  std::array<Wait, _NSIG> waits_{};
};

int64_t now_ns() { return read_clocks().monotonic_ns; }

void Init::run() {
  for (;;) {
    pollfd entries[2] = {{signals_, POLLIN, 0}, {channel_, POLLIN, 0}};
    if (::poll(entries, 2, timeout_ms()) < 0 && errno != EINTR) ::_exit(kExitFailed);
    if (entries[0].revents != 0) read_signals();
    if (entries[1].revents != 0) read_channel();
    pass_due();
  }
}

void Init::read_signals() {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) {
      reap();
    } else {
      own_copy(signal);
    }
  }
}

void Init::read_channel() {
  Message message;
  bool gone = false;
  while (receive_message(channel_, message, gone)) {
    if (message.kind == Message::Kind::signalled && message.value > 0 && message.value < _NSIG)
      requested(message.value);
  }
  if (gone) ::_exit(kExitFailed);  // nobody waits any more
}

void Init::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid <= 0) return;
    if (pid != command_) continue;
    if (WIFSTOPPED(status)) {
      send_message(channel_, {Message::Kind::stopped, WSTOPSIG(status)});
      continue;
    }
    send_message(channel_, {Message::Kind::ended, status});
    ::_exit(0);
  }
}

void Init::own_copy(int signal) {
  Wait& wait = waits_[static_cast<size_t>(signal)];
  if (wait.due_ns != 0) {
    settle(signal, true);
  } else {
    wait.copy_at_ns = now_ns();
  }
}

void Init::requested(int signal) {
  Wait& wait = waits_[static_cast<size_t>(signal)];
  if (wait.copy_at_ns != 0 && now_ns() - wait.copy_at_ns < kGroupCopyKeptNs) {
    settle(signal, true);
  } else {
    wait.due_ns = now_ns() + kGroupCopyNs;
  }
}

void Init::pass_due() {
  for (int signal = 1; signal < _NSIG; ++signal) {
    const int64_t due = waits_[static_cast<size_t>(signal)].due_ns;
    if (due != 0 && now_ns() >= due) settle(signal, false);
  }
}

void Init::settle(int signal, bool to_group) {
  waits_[static_cast<size_t>(signal)] = {};
  // A group led from outside has no number in here: 0. There the command has had its copy.
  const bool command_in_group = ::getpgid(command_) == 0;
  if (!(to_group && command_in_group)) ::kill(command_, signal);
}

int Init::timeout_ms() const {
  int64_t next = -1;
  for (const Wait& wait : waits_) {
    if (wait.due_ns != 0 && (next < 0 || wait.due_ns < next)) next = wait.due_ns;
  }
  if (next < 0) return -1;
  const int64_t left = next - now_ns();
  return left <= 0 ? 0 : static_cast<int>(left / kNanosPerMilli) + 1;
}

/// execvp(3) says EACCES when any folder of PATH cannot be searched, though the command is nowhere.
bool found_in_path(const char* name) {
  const char* path = ::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    if (::access(fmt::format("{}/{}", folder, name).c_str(), F_OK) == 0) return true;
  }
  return false;
}

[[noreturn]] void become_command(const std::vector<std::string>& argv, const SavedSignals& saved) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
  ::sigaction(SIGCHLD, &saved.child_action, nullptr);
  ::sigprocmask(SIG_SETMASK, &saved.mask, nullptr);
  ::execvp(arguments[0], arguments.data());
  int error = errno;
  if (error == EACCES && argv[0].find('/') == std::string::npos && !found_in_path(arguments[0])) error = ENOENT;
  std::fprintf(stderr, "sallyport exec: %s: %s\n", arguments[0], std::strerror(error));
  ::_exit(error == ENOENT || error == ENOTDIR ? kExitNotFound : kExitNotExecutable);
}

}  // namespace

void run_init(int channel, const std::vector<std::string>& argv, const SavedSignals& saved) {
  sigset_t all;
  sigfillset(&all);
  const int signals = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  // The command runs under the same uid: it shall not trace this process, not even in its first moment.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_NAME, "sallyport-init", 0, 0, 0);
  // Before there is a command: one that already runs must get what is sent to the parent outside, and not be killed.
  send_message(channel, {Message::Kind::started, 0});
  const pid_t command = signals < 0 ? -1 : ::fork();
  if (command < 0) {
    std::fprintf(stderr, "sallyport exec: start the command: %s\n", std::strerror(errno));
    ::_exit(kExitFailed);
  }
  if (command == 0) become_command(argv, saved);
  Init(channel, command, signals).run();
}

}  // namespace sallyport::launch
