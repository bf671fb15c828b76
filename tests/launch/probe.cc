// SPDX-License-Identifier: Apache-2.0
// Runs inside the sandbox and says what it can do: "name=result" lines, result 0 or an errno's name.
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

namespace {

void say(const std::string& name, long result) {
  printf("%s=%s\n", name.c_str(), result >= 0 ? "0" : strerrorname_np(errno));
  fflush(stdout);
}

void families() {
  for (int family = 0; family <= 46; ++family) say("family" + std::to_string(family), socket(family, SOCK_DGRAM, 0));
  say("family_high_bits", syscall(SYS_socket, 0x100000000l | AF_VSOCK, SOCK_STREAM, 0));
  say("netlink_audit", socket(AF_NETLINK, SOCK_RAW, 9));
  say("raw", socket(AF_INET, SOCK_RAW, 1));
  say("pair", [] {
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  }());
}

void calls() {
  say("unshare_user", unshare(CLONE_NEWUSER));
  say("unshare_mount", unshare(CLONE_NEWNS));
  say("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  say("clone3", syscall(SYS_clone3, nullptr, 0));
  say("setns", syscall(SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0));
  say("umount_run", umount2("/run", MNT_DETACH));
  say("umount_proc", umount2("/proc", MNT_DETACH));
  say("remount_sys", mount(nullptr, "/sys", nullptr, MS_REMOUNT | MS_BIND, nullptr));
  say("mount_tmpfs", mount("tmpfs", "/tmp", "tmpfs", 0, nullptr));
  say("tiocsti", ioctl(0, TIOCSTI, "x"));
  say("tiocsti_high_bits", syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, "x"));
  say("bpf", syscall(SYS_bpf, 0, nullptr, 0));
  say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  io_uring_params parameters{};
  say("io_uring", syscall(SYS_io_uring_setup, 4, &parameters));
  say("trace_init", ptrace(PTRACE_ATTACH, 1, 0, 0));
  say("kill_init", kill(1, SIGKILL));  // sent, and ignored by the first process of a namespace
  say("chroot", chroot("/tmp"));
}

void connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path));
  if (path[0] == '@') address.sun_path[0] = '\0';
  say(std::string("connect ") + path,
      connect(socket(AF_UNIX, SOCK_STREAM, 0), reinterpret_cast<sockaddr*>(&address), size));
}

/// Says which signals come, each as often as it does.
void count_signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  printf("ready\n");
  fflush(stdout);
  for (timespec patience{10, 0};;) {
    const int signal = sigtimedwait(&all, nullptr, &patience);
    if (signal < 0) return;
    printf("got-%s\n", sigabbrev_np(signal));
    fflush(stdout);
  }
}

}  // namespace

int main(int count, char** values) {
  for (int i = 1; i < count; ++i) {
    const std::string what = values[i];
    if (what == "families") families();
    if (what == "calls") calls();
    if (what == "count") count_signals();
    if (what == "connect") connect_to(values[++i]);
    if (what == "kill") say("kill", kill(atoi(values[++i]), 0));
    if (what == "write") say("write", open(values[++i], O_WRONLY));
  }
}
