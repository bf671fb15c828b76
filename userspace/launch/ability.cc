// SPDX-License-Identifier: Apache-2.0
#include "sallyport/launch/ability.h"

#include <fmt/core.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "launch/confine.h"
#include "sallyport/launch/scopes.h"

namespace sallyport::launch {
namespace {

constexpr uid_t kNobody = 65534;

/// Runs `attempt` in a child, as an unprivileged user when we are root. It returns 0 or an errno.
int try_in_child(const std::function<int()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
      ::_exit(errno);
    ::_exit(attempt());
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int unshare_all() { return ::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == 0 ? 0 : errno; }

int mount_as_exec_does() {
  if (const int error = unshare_all()) return error;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  if (::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, nullptr) != 0) return errno;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, "/sys", AT_RECURSIVE, &attributes, sizeof attributes) != 0) return errno;
  const pid_t child = ::fork();  // the first process of the new pid namespace
  if (child == 0) ::_exit(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 ? 0 : errno);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int install_filter() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return filter_system_calls(true) ? 0 : ENOSYS;
}

Ability tried(std::string name, int error, std::string remedy) {
  char text[128];
  return {std::move(name), error == 0, true, error == 0 ? "works" : ::strerror_r(error, text, sizeof text),
          error == 0 ? "" : std::move(remedy)};
}

}  // namespace

std::vector<Ability> probe_abilities() {
  std::vector<Ability> found;
  const auto cgroup2 = find_cgroup2();
  found.push_back({"cgroup2", cgroup2.has_value(), true, cgroup2 ? *cgroup2 : cgroup2.error().what,
                   cgroup2 ? "" : cgroup2.error().hint});
  found.push_back(tried("user namespaces", try_in_child(unshare_all),
                        "sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
                        "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=15000"));
  found.push_back(
      tried("hiding sockets", try_in_child(mount_as_exec_does),
            "needs Linux 5.12, mounts in user namespaces, and a /proc that is not masked: run on the host"));
  found.push_back(tried("seccomp filter", try_in_child(install_filter), "the kernel needs CONFIG_SECCOMP_FILTER"));
  const bool scoped = can_scope_abstract_sockets();
  found.push_back({"abstract sockets", scoped, false,
                   scoped ? "kept out of reach by landlock"
                          : "abstract Unix sockets of the host's network namespace stay open to agents",
                   scoped ? "" : "needs Linux 6.12 with landlock"});
  return found;
}

std::vector<std::string> remaining_openings() {
  return {
      "processes of the same uid outside can trace an agent, or hand it a socket of their own (SCM_RIGHTS)",
      "files are shared: an agent can write what its uid can, such as ~/.bashrc, ~/.ssh or a crontab that runs outside "
      "later",
      "Unix sockets made outside /run after an agent has started, and those bound by a relative path, are not hidden "
      "from it",
      "other terminals of the same uid can be opened under /dev/pts",
      "io_uring can make sockets past the seccomp filter: at level guarded, families other than IPv4 and IPv6",
  };
}

}  // namespace sallyport::launch
