// SPDX-License-Identifier: Apache-2.0
#include "sallyport/launch/exec.h"

#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "launch/confine.h"
#include "launch/hide.h"
#include "launch/init.h"
#include "launch/stdio.h"
#include "launch/waiter.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::launch {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "sallyport exec: %s\n", error.what.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  hint: %s\n", error.hint.c_str());
  return kExitFailed;
}

Result<> check_caller(const ExecOptions& options) {
  if (options.argv.empty()) return fail("no command given", "sallyport exec --agent NAME -- CMD …");
  if (::getuid() != ::geteuid() || ::getgid() != ::getegid())
    return fail("real and effective ids differ", "run it without set-user-id");
  if (::geteuid() == 0 && !options.allow_root)
    return fail(
        "uid 0 does not become an agent unasked",
        "run it as an unprivileged user, or say --allow-root: it may then read and write every file of the machine");
  return check_stdio();
}

/// errno after a refused clone, with the way out.
Error no_namespaces(int error, bool user) {
  std::string hint = "the kernel needs CONFIG_PID_NS";
  if (user && error == ENOSPC) hint = "raise it: sysctl -w user.max_user_namespaces=15000";
  if (user && error == EINVAL) hint = "the kernel needs CONFIG_USER_NS";
  if (user && error == EPERM)
    hint =
        "allow them: sysctl -w kernel.unprivileged_userns_clone=1 (Debian) or "
        "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)";
  // What our own filter leaves behind: no_new_privs, and a filter.
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2)
    hint = "an agent cannot start another: run it outside";
  errno = error;
  return fail_errno(user ? "make user, pid and mount namespaces" : "make pid and mount namespaces", hint).error();
}

/// Like fork(2), in new namespaces. Only sound while this process has a single thread.
pid_t fork_into(unsigned long namespaces) {
#ifdef __s390x__
#error "clone(2) takes its arguments in another order here"
#endif
  return static_cast<pid_t>(::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

/// Dies with the waiting parent. A parent that is gone already shows as a closed channel, for its pid
/// is 0 in here either way.
Result<> die_with_parent(int channel) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_errno("set the parent-death signal");
  pollfd entry{channel, POLLIN, 0};
  if (::poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0) return fail("the waiting parent is gone");
  return {};
}

Result<> become_agent(const ExecOptions& options, const Place& place, int channel, const std::string& directory) {
  const bool root = ::geteuid() == 0;
  if (auto done = die_with_parent(channel); !done) return done;
  auto placement = place(!root);
  if (!placement) return std::unexpected(placement.error());
  if (auto done = hide_ways_out({::geteuid(), options.control_socket, directory}); !done) return done;
  if (auto done = confine({root, placement->io_uring}); !done) return done;
  return die_with_parent(channel);  // once more: a change of credentials may have cleared it
}

}  // namespace

int run_command(const ExecOptions& options, const Place& place) {
  if (auto fine = check_caller(options); !fine) return report(fine.error());
  std::unique_ptr<char, void (*)(void*)> directory(::getcwd(nullptr, 0), ::free);
  if (!directory || directory.get()[0] != '/')
    return report({"the working directory is gone or out of reach", "cd elsewhere"});

  // From here on signals wait: the outside parent hands them out, the command gets the old mask back.
  SavedSignals saved{};
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &saved.mask);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, &saved.child_action);  // ignored, it would keep wait status from us

  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return report(fail_errno("make a socket pair").error());
  UniqueFd outside(pair[0]), inside(pair[1]);
  const bool user = ::geteuid() != 0;
  std::fflush(nullptr);
  const pid_t init = fork_into(CLONE_NEWPID | CLONE_NEWNS | (user ? CLONE_NEWUSER : 0));
  if (init < 0) return report(no_namespaces(errno, user));
  if (init == 0) {
    outside.reset();
    auto done = become_agent(options, place, inside.get(), directory.get());
    if (!done) ::_exit(report(done.error()));
    run_init(inside.get(), options.argv, saved);
  }
  inside.reset();
  return wait_outside(outside.get(), init);
}

}  // namespace sallyport::launch
