// SPDX-License-Identifier: Apache-2.0
#include "launch/waiter.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "launch/channel.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/launch/exec.h"

namespace sallyport::launch {
namespace {

/// Gives the calling process the default action of `signal`, by that signal.
void suffer(int signal) {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  struct sigaction before {};
  ::sigaction(signal, &standard, &before);
  ::kill(::getpid(), signal);
  sigset_t only, mask;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::sigprocmask(SIG_UNBLOCK, &only, &mask);  // here it takes us, or stops us until SIGCONT
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(signal, &before, nullptr);
}

class Waiter {
 public:
  Waiter(int channel, pid_t init) : channel_(channel), init_(init) {
    sigset_t all;
    sigfillset(&all);
    signals_.reset(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
    terminal_.reset(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    in_foreground_ = terminal_ && ::tcgetpgrp(terminal_.get()) == ::getpgrp();
  }
  int run();

 private:
  void read_signals();
  void read_channel();
  void on_signal(const signalfd_siginfo& info);
  void mirror_stop(int signal);
  void restore_foreground();
  int finish(int status);

  int channel_;
  pid_t init_;
  UniqueFd signals_;
  UniqueFd terminal_;
  bool in_foreground_ = false;
  bool started_ = false;
  bool channel_open_ = true;
  bool ended_ = false;
  int status_ = 0;
};

int Waiter::run() {
  if (!signals_) {
    std::fprintf(stderr, "sallyport exec: signalfd: %s\n", std::strerror(errno));
    ::kill(init_, SIGKILL);
    return kExitFailed;
  }
  for (;;) {
    pollfd entries[2] = {{signals_.get(), POLLIN, 0}, {channel_open_ ? channel_ : -1, POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return kExitFailed;
    if (entries[1].revents != 0) read_channel();
    if (entries[0].revents != 0) read_signals();
    int status = 0;
    if (::waitpid(init_, &status, WNOHANG) != init_) continue;
    if (channel_open_) read_channel();
    // No report: init was killed from outside, or could not set the sandbox up and has said why.
    return finish(ended_ ? status_ : status);
  }
}

void Waiter::read_channel() {
  Message message;
  bool gone = false;
  while (receive_message(channel_, message, gone)) {
    switch (message.kind) {
      case Message::Kind::started:
        started_ = true;
        break;
      case Message::Kind::stopped:
        mirror_stop(message.value);
        break;
      case Message::Kind::ended:
        ended_ = true;
        status_ = message.value;
        break;
      case Message::Kind::signalled:
        break;
    }
  }
  if (gone) channel_open_ = false;
}

void Waiter::read_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) on_signal(info);
}

void Waiter::on_signal(const signalfd_siginfo& info) {
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return;
  if (!started_) {
    // Nothing to pass it on to yet: what would end the command ends its preparation.
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    const bool ends = signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
    if (ends && action.sa_handler == SIG_DFL) {
      ::kill(init_, SIGKILL);
      ended_ = true;
      status_ = signal;  // as a wait status: killed by it
    }
    return;
  }
  // The kernel's own (Ctrl-C, Ctrl-Z, window size, hang-up) reach the command's group without us.
  if (info.ssi_code == SI_KERNEL) return;
  send_message(channel_, {Message::Kind::signalled, signal});
}

void Waiter::mirror_stop(int signal) {
  const pid_t holder = terminal_ ? ::tcgetpgrp(terminal_.get()) : -1;
  const bool stops = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
  suffer(stops ? signal : SIGSTOP);
  // Continued. If the shell gave us the terminal, it belongs to the group that held it before.
  const pid_t own = ::getpgrp();
  if (holder > 0 && holder != own && ::tcgetpgrp(terminal_.get()) == own && ::kill(-holder, 0) == 0)
    ::tcsetpgrp(terminal_.get(), holder);
}

/// An interactive command makes itself foreground and cannot give the terminal back to a group that
/// has no number in its namespace.
void Waiter::restore_foreground() {
  if (!in_foreground_) return;
  const pid_t holder = ::tcgetpgrp(terminal_.get());
  if (holder > 0 && holder != ::getpgrp() && ::kill(-holder, 0) != 0 && errno == ESRCH)
    ::tcsetpgrp(terminal_.get(), ::getpgrp());
}

int Waiter::finish(int status) {
  restore_foreground();
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the command's core is enough
  suffer(WTERMSIG(status));
  return 128 + WTERMSIG(status);  // not reached: every terminating signal has that default
}

}  // namespace

int wait_outside(int channel, pid_t init) { return Waiter(channel, init).run(); }

}  // namespace sallyport::launch
