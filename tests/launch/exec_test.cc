// SPDX-License-Identifier: Apache-2.0
// `exec` for real: commands run in throw-away cgroups, as nobody and as root, and look around.
#include "sallyport/launch/exec.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/launch/placing_service.h"
#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

constexpr uid_t kNobody = 65534;
constexpr uid_t kNameless = 4711;  // no passwd entry; not the overflow uid, so maps show

class ExecTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) FAIL() << "needs root: makes cgroups and becomes nobody";
    folder_ = "/run/sptest-" + std::to_string(::getpid());
    ASSERT_EQ(::mkdir(folder_.c_str(), 0755), 0);
    socket_ = folder_ + "/control.sock";
    service_ = std::make_unique<PlacingService>(socket_);
    ASSERT_TRUE(service_->running());
  }
  void TearDown() override {
    service_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  Arguments command(uid_t uid, const Arguments& tail, const std::string& agent = "probe") const {
    Arguments all{EXEC_CLIENT, socket_, agent};
    if (uid == 0) all.push_back("--allow-root");
    all.push_back("--");
    all.insert(all.end(), tail.begin(), tail.end());
    return all;
  }
  Outcome run(uid_t uid, const Arguments& tail, const std::string& agent = "probe",
              const std::function<void()>& prepare = {}) const {
    Running running(uid, command(uid, tail, agent), false, prepare);
    return running.finish();
  }
  Outcome shell(uid_t uid, const std::string& script) const { return run(uid, {"bash", "-c", script}); }

  std::string folder_, socket_;
  std::unique_ptr<PlacingService> service_;
};

/// For both kinds of user.
class ExecBothTest : public ExecTest, public ::testing::WithParamInterface<uid_t> {};
INSTANTIATE_TEST_SUITE_P(Users, ExecBothTest, ::testing::Values(kNobody, uid_t{0}),
                         [](const auto& info) { return info.param == 0 ? "root" : "nobody"; });

bool has(const Outcome& outcome, const std::string& text) { return outcome.out.find(text) != std::string::npos; }

/// A Unix socket that listens while it lives; '@' makes it abstract.
class Listener {
 public:
  explicit Listener(const std::string& path) : path_(path), fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    const mode_t mask = ::umask(0);
    ok_ = ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd_.get(), 8) == 0;
    ::umask(mask);
  }
  ~Listener() {
    if (path_[0] != '@') ::unlink(path_.c_str());
  }
  bool ok() const { return ok_; }

 private:
  std::string path_;
  UniqueFd fd_;
  bool ok_ = false;
};

TEST_P(ExecBothTest, ExitStatusIsTheCommandsOwn) {
  EXPECT_EQ(run(GetParam(), {"true"}).code(), 0);
  EXPECT_EQ(shell(GetParam(), "exit 7").code(), 7);
  EXPECT_EQ(shell(GetParam(), "exit 255").code(), 255);
  EXPECT_EQ(run(GetParam(), {"/etc/passwd"}).code(), launch::kExitNotExecutable);
  const Outcome absent = run(GetParam(), {"no-such-command"});
  EXPECT_EQ(absent.code(), launch::kExitNotFound);
  EXPECT_EQ(absent.out, "sallyport exec: no-such-command: No such file or directory\n");
}

TEST_P(ExecBothTest, DeathBySignalIsMirrored) {
  EXPECT_EQ(shell(GetParam(), "kill -TERM $$").signal(), SIGTERM);
  EXPECT_EQ(shell(GetParam(), "ulimit -c 0; kill -SEGV $$").signal(), SIGSEGV);
  EXPECT_EQ(shell(GetParam(), "kill -KILL $$").signal(), SIGKILL);
}

TEST_F(ExecTest, OurOwnFailuresAreOneLineAnd125) {
  const Outcome forbidden = run(kNobody, {"true"}, "forbidden");
  EXPECT_EQ(forbidden.code(), launch::kExitFailed);
  EXPECT_EQ(forbidden.out, "sallyport exec: `nobody` may not become `forbidden`\n  hint: ask security\n");

  Running root(0, {EXEC_CLIENT, socket_, "probe", "--", "true"}, false);
  const Outcome unasked = root.finish();
  EXPECT_EQ(unasked.code(), launch::kExitFailed);
  EXPECT_TRUE(has(unasked, "--allow-root")) << unasked.out;

  Running lost(kNobody, {EXEC_CLIENT, "/run/sptest-none.sock", "probe", "--", "true"}, false);
  const Outcome nobody_there = lost.finish();
  EXPECT_EQ(nobody_there.code(), launch::kExitFailed);
  EXPECT_TRUE(has(nobody_there, "no daemon at `/run/sptest-none.sock`")) << nobody_there.out;
}

TEST_P(ExecBothTest, EnvironmentFolderMaskAndArgumentsAreKept) {
  const Outcome seen =
      run(GetParam(), {"bash", "-c", "echo $SP_TEST; pwd; umask; echo \"$1|$2\"", "x", "a b", ""}, "probe", [] {
        ::setenv("SP_TEST", "kept", 1);
        ASSERT_EQ(::chdir("/usr/share"), 0);
        ::umask(027);
      });
  EXPECT_EQ(seen.out, "kept\n/usr/share\n0027\na b|\n");
}

TEST_F(ExecTest, IdentityAndGroupsStayTrue) {
  const Outcome seen =
      shell(kNameless,
            "id -u; id -g; id -G; stat -Lc %u:%g /proc/self; touch /tmp/$$.t && stat -c %u /tmp/$$.t; rm /tmp/$$.t");
  EXPECT_EQ(seen.out, "4711\n4711\n4711 50\n4711:4711\n4711\n");
  EXPECT_EQ(shell(kNameless, "python3 -c 'import os; os.setgroups([])'; :").code(), 0);
  EXPECT_EQ(shell(kNameless, "cat /proc/self/setgroups /proc/self/uid_map | tr -s ' '").out, "deny\n 4711 4711 1\n");
}

TEST_P(ExecBothTest, DescriptorsAboveTwoAreClosed) {
  const Outcome seen = run(GetParam(), {"bash", "-c", "echo /proc/$$/fd/*"}, "probe", [] {
    ::dup2(1, 7);
    ::dup2(1, 300);
  });
  EXPECT_FALSE(has(seen, "/7")) << seen.out;
  EXPECT_FALSE(has(seen, "/300")) << seen.out;
}

TEST_F(ExecTest, StdioThatLeadsOutIsRefused) {
  const Outcome tcp = run(kNobody, {"true"}, "probe", [] { ::dup2(::socket(AF_INET, SOCK_STREAM, 0), 0); });
  EXPECT_EQ(tcp.code(), launch::kExitFailed);
  EXPECT_TRUE(has(tcp, "descriptor 0 cannot be handed to an agent")) << tcp.out;
  const Outcome folder = run(kNobody, {"true"}, "probe", [] { ::dup2(::open("/run", O_RDONLY), 0); });
  EXPECT_TRUE(has(folder, "it is a folder")) << folder.out;
  const Outcome closed = run(kNobody, {"readlink", "/proc/self/fd/0"}, "probe", [] { ::close(0); });
  EXPECT_EQ(closed.out, "/dev/null\n");
}

TEST_P(ExecBothTest, PrivilegesAreGone) {
  const Outcome seen = shell(GetParam(), "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -s '\\t ' ' '");
  // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID for root
  const std::string caps = GetParam() == 0 ? "00000000000000fb" : "0000000000000000";
  EXPECT_EQ(seen.out, "CapInh: 0000000000000000\nCapPrm: " + caps + "\nCapEff: " + caps + "\nCapBnd: " + caps +
                          "\nCapAmb: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n");
}

TEST_P(ExecBothTest, OnlyFourSocketFamilies) {
  const Outcome seen = run(GetParam(), {EXEC_PROBE, "families"});
  for (int family = 0; family <= 46; ++family) {
    const bool allowed = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
    EXPECT_TRUE(has(seen, "family" + std::to_string(family) + (allowed ? "=0\n" : "=EAFNOSUPPORT\n"))) << seen.out;
  }
  EXPECT_TRUE(has(seen, "family_high_bits=EAFNOSUPPORT")) << seen.out;
  EXPECT_TRUE(has(seen, "netlink_audit=EPROTONOSUPPORT")) << seen.out;
  EXPECT_TRUE(has(seen, "raw=EPERM")) << seen.out;
  EXPECT_TRUE(has(seen, "pair=0")) << seen.out;
}

TEST_P(ExecBothTest, CallsThatUndoTheSandboxAreRefused) {
  const Outcome seen = run(GetParam(), {EXEC_PROBE, "calls"});
  EXPECT_EQ(seen.code(), 0);
  for (const char* line : {"unshare_user=EPERM", "unshare_mount=EPERM", "clone_user=EPERM", "clone3=ENOSYS",
                           "setns=EPERM", "umount_run=EPERM", "umount_proc=EPERM", "remount_sys=EPERM",
                           "mount_tmpfs=EPERM", "tiocsti=EPERM", "tiocsti_high_bits=EPERM", "bpf=EPERM", "keyctl=EPERM",
                           "io_uring=0", "trace_init=EPERM", "kill_init=0", "chroot=EPERM"})
    EXPECT_TRUE(has(seen, std::string(line) + "\n")) << line << " expected in\n" << seen.out;
  EXPECT_TRUE(has(run(GetParam(), {EXEC_PROBE, "calls"}, "ringless"), "io_uring=ENOSYS\n"));
}

TEST_P(ExecBothTest, SocketsThatLeadOutAreHidden) {
  const std::string outside = "/tmp/sptest-" + std::to_string(::getpid());
  ASSERT_TRUE(std::filesystem::create_directory(outside));
  std::filesystem::permissions(outside, std::filesystem::perms::all);
  const std::string abstract = "@sptest-" + std::to_string(::getpid());
  {
    Listener in_run(folder_ + "/bus"), in_tmp(outside + "/tmux"), no_name(abstract);
    ASSERT_TRUE(in_run.ok() && in_tmp.ok() && no_name.ok());
    const Outcome seen = run(GetParam(), {EXEC_PROBE, "connect", socket_, "connect", folder_ + "/bus", "connect",
                                          outside + "/tmux", "connect", abstract});
    EXPECT_TRUE(has(seen, socket_ + "=ENOENT")) << seen.out;
    EXPECT_TRUE(has(seen, "/bus=ENOENT")) << seen.out;
    EXPECT_TRUE(has(seen, "/tmux=ECONNREFUSED") || has(seen, "/tmux=EACCES")) << seen.out;
    EXPECT_TRUE(has(seen, abstract + "=EPERM")) << seen.out;
  }
  std::filesystem::remove_all(outside);
  EXPECT_EQ(shell(GetParam(), "ls -A /run").out, "lock\nshm\nuser\n");
}

TEST_P(ExecBothTest, OtherViewsOfWhatIsHiddenAreCovered) {
  const std::string view = "/tmp/sptest-view-" + std::to_string(::getpid());
  ASSERT_TRUE(std::filesystem::create_directory(view));
  const std::string proc = view + "-proc";
  ASSERT_TRUE(std::filesystem::create_directory(proc));
  ASSERT_EQ(::mount("/run", view.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount("proc", proc.c_str(), "proc", 0, nullptr), 0);
  const Outcome seen = shell(GetParam(), "ls -A " + view + " " + proc + " | grep -c .");
  ::umount(proc.c_str());
  ::umount(view.c_str());
  ::rmdir(proc.c_str());
  ::rmdir(view.c_str());
  EXPECT_EQ(seen.out, "2\n");  // two headings and nothing below them
}

TEST_P(ExecBothTest, FilesOfNameServersStay) {
  const std::string file = "/run/resolvconf/resolv.conf";
  const bool made = !std::filesystem::exists("/run/resolvconf");
  if (made) {
    std::filesystem::create_directory("/run/resolvconf");
    std::ofstream(file) << "nameserver 192.0.2.1\n";
  }
  const Outcome seen =
      shell(GetParam(), "cat " + file + "; ls /run; { echo x > " + file + "; } 2>/dev/null || echo kept");
  if (made) std::filesystem::remove_all("/run/resolvconf");
  EXPECT_TRUE(has(seen, "nameserver")) << seen.out;
  EXPECT_TRUE(has(seen, "resolvconf")) << seen.out;
  EXPECT_TRUE(has(seen, "kept")) << seen.out;
}

TEST_P(ExecBothTest, OnlyItsOwnProcessesAreSeen) {
  const std::string own = std::to_string(::getpid());
  const Outcome seen =
      shell(GetParam(), "cd /proc; for p in [0-9]*; do tr '\\0' ' ' < $p/comm; done; " EXEC_PROBE " kill " + own);
  EXPECT_EQ(seen.out, "sallyport-init\nbash\nkill=ESRCH\n");
}

TEST_P(ExecBothTest, ItIsInItsCgroupAndStaysThere) {
  const std::string procs = service_->cgroup2_root() + "/cgroup.procs";
  const Outcome seen = shell(GetParam(), "grep ^0:: /proc/self/cgroup; " EXEC_PROBE " write " + procs +
                                             "; (sleep 0; grep ^0:: /proc/self/cgroup)");
  const std::string mine = "0::/" + service_->slice() + "/probe-1.scope\n";
  const std::string refused = GetParam() == 0 ? "write=EROFS\n" : "write=EACCES\n";
  EXPECT_EQ(seen.out, mine + refused + mine);
}

TEST_F(ExecTest, RootCannotSwitchTheKernel) {
  for (const char* file : {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"}) {
    if (!std::filesystem::exists(file)) continue;
    EXPECT_EQ(run(0, {EXEC_PROBE, "write", file}).out, "write=EROFS\n") << file;
  }
}

TEST_F(ExecTest, RootMayBecomeAnotherUser) {
  const Outcome seen =
      run(0, {"su", "postgres", "-c", "psql --version; id -un; grep CapEff /proc/self/status | tr -s '\\t' ' '"},
          "regress");
  EXPECT_EQ(seen.code(), 0) << seen.out;
  EXPECT_TRUE(has(seen, "psql (PostgreSQL) ")) << seen.out;
  EXPECT_TRUE(has(seen, "\npostgres\nCapEff: 0000000000000000\n")) << seen.out;
}

TEST_F(ExecTest, WorkingFolderBelowRunIsRefused) {
  const Outcome seen = run(kNobody, {"true"}, "probe", [this] { ASSERT_EQ(::chdir(folder_.c_str()), 0); });
  EXPECT_EQ(seen.code(), launch::kExitFailed);
  EXPECT_TRUE(has(seen, "what lies below /run is hidden from agents")) << seen.out;
}

TEST_F(ExecTest, ScopesGoWhenEmptyAndStayWhileInhabited) {
  Running running(kNobody, command(kNobody, {"bash", "-c", "echo up; read"}), true);
  ASSERT_TRUE(running.expect("up"));
  int removed = 0;
  service_->handler().scopes().sweep([&](const launch::Scope&) { ++removed; }, 0);
  EXPECT_EQ(removed, 0);
  ASSERT_EQ(service_->handler().scopes().list().size(), 1u);
  EXPECT_EQ(service_->handler().scopes().list()[0].agent, "probe");
  running.type("\n");
  EXPECT_EQ(running.finish().code(), 0);
  service_->handler().scopes().sweep([&](const launch::Scope& scope) { removed += scope.agent == "probe"; }, 0);
  EXPECT_EQ(removed, 1);
  EXPECT_TRUE(service_->handler().scopes().list().empty());
}

}  // namespace
}  // namespace sallyport::testing
