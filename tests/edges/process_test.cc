// SPDX-License-Identifier: Apache-2.0
// What /proc says counts only if it agrees with what the kernel told; digests; the time that a known process takes.
#include "sallyport/edges/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "edges/process/proc.h"

namespace sallyport::edges {
namespace {

/// The kernel's words of a process, as /proc shows them.
ProcessWords words_of(pid_t pid) {
  struct stat exe {};
  EXPECT_EQ(stat(fmt::format("/proc/{}/exe", pid).c_str(), &exe), 0);
  ProcessWords out{.pid = static_cast<uint32_t>(pid), .uid = 7, .gid = 8};
  out.start_ns = Proc(out.pid).stat().start_ticks * 10'000'000 + 1'234'567;
  out.executable_device = exe.st_dev;
  out.executable_inode = exe.st_ino;
  return out;
}

class Child {
 public:
  /// Returns when its comm is `command`. With `asks` it can be told to go on.
  explicit Child(std::vector<const char*> arguments, const std::string& command = "sleep", bool asks = false) {
    arguments.push_back(nullptr);
    int ends[2] = {-1, -1};
    if (asks && pipe(ends) != 0) ADD_FAILURE() << "no pipe";
    pid = fork();
    if (pid == 0) {
      if (asks) dup2(ends[0], 0);
      execv(arguments[0], const_cast<char**>(arguments.data()));
      _exit(1);
    }
    if (asks) {
      close(ends[0]);
      to_it_ = ends[1];
    }
    wait_for(command);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  /// Until it runs what it was told to.
  void wait_for(const std::string& command) const {
    for (int i = 0; i < 2'000 && Proc(static_cast<uint32_t>(pid)).stat().command != command; ++i) usleep(5'000);
  }
  void go() {
    EXPECT_EQ(write(to_it_, "\n", 1), 1);
    close(to_it_);
    wait_for("sleep");
  }
  void end() {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = 0;
  }
  pid_t pid = 0;

 private:
  int to_it_ = -1;
};

TEST(Process, IsDescribedWhereProcAgrees) {
  Processes processes;
  Child sleeper({"/bin/sleep", "600"});
  const ProcessWords words = words_of(sleeper.pid);
  const model::Process found = processes.describe(words);
  EXPECT_EQ(found.unknown, "");
  EXPECT_EQ(found.command, "sleep");
  EXPECT_TRUE(found.executable.ends_with("/sleep"));
  EXPECT_EQ(found.arguments, (std::vector<std::string>{"/bin/sleep", "600"}));
  EXPECT_EQ(found.sha256.size(), 64u);
  EXPECT_EQ((std::pair(found.uid, found.gid)), (std::pair(7u, 8u))) << "the kernel's own words";
  ASSERT_FALSE(found.parents.empty());
  EXPECT_EQ(found.parents[0].pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(processes.describe(words), found) << "known by now";
  sleeper.end();
  EXPECT_EQ(processes.describe(words), found) << "what was true when it called is true";
}

TEST(Process, IsUnknownWhereProcDisagrees) {
  Processes processes;
  Child sleeper({"/bin/sleep", "600"});
  const ProcessWords words = words_of(sleeper.pid);
  const auto why = [&](ProcessWords other) {
    const model::Process found = processes.describe(other);
    EXPECT_EQ(found.executable + found.command + found.directory + found.sha256, "");
    EXPECT_TRUE(found.arguments.empty() && found.parents.empty());
    EXPECT_EQ(found.pid, other.pid);
    return found.unknown;
  };
  ProcessWords other = words;
  other.start_ns += 10'000'000;
  EXPECT_EQ(why(other), "another process has its number");
  other = words;
  ++other.executable_inode;
  EXPECT_EQ(why(other), "it runs another executable by now");
  other = words;
  ++other.executable_device;
  EXPECT_EQ(why(other), "it runs another executable by now");
  other = words;
  other.executable_inode = 0;
  EXPECT_EQ(why(other), "it runs another executable by now");
  sleeper.end();
  EXPECT_EQ(why(words), "the process has gone");
}

/// A shell in a user and mount namespace of its own, which becomes `sleep`.
Child in_own_mounts(const std::string& script) {
  return Child({"/usr/bin/unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", script.c_str()});
}

TEST(Process, OnAFileSystemOfItsOwnProvesNothing) {
  Processes processes;
  Child sleeper = in_own_mounts("mount -t tmpfs none /mnt && cp /bin/sleep /mnt/sleep && exec /mnt/sleep 600");
  const model::Process found = processes.describe(words_of(sleeper.pid));
  EXPECT_EQ(found.unknown, "");
  EXPECT_EQ(found.executable, "/mnt/sleep");
  EXPECT_EQ(found.executable_doubt, "its executable is on a file system of its own namespace");
  EXPECT_EQ(found.sha256_missing, found.executable_doubt);
  EXPECT_EQ(found.sha256, "");
}

TEST(Process, ThatMountedAFileOverAnotherHasADigestAndNoPath) {
  Processes processes;
  const std::string other = fmt::format("/tmp/sptest-process-{}", getpid());
  std::filesystem::copy_file("/bin/sleep", other, std::filesystem::copy_options::overwrite_existing);
  Child sleeper = in_own_mounts(fmt::format("mount --bind {} /usr/bin/sleep && exec /usr/bin/sleep 600", other));
  const model::Process found = processes.describe(words_of(sleeper.pid));
  EXPECT_EQ(found.unknown, "");
  EXPECT_EQ(found.executable, "/usr/bin/sleep") << "it claims";
  EXPECT_EQ(found.executable_doubt, "its mounts are its own, and the node has another file at that path, or none");
  EXPECT_EQ(found.sha256.size(), 64u);
  Child honest = in_own_mounts("exec /usr/bin/sleep 600");
  EXPECT_EQ(processes.describe(words_of(honest.pid)).executable_doubt, "") << "the node has that very file there";
  std::filesystem::remove(other);
}

TEST(Process, OfALargeExecutableIsDigestedMeanwhile) {
  Processes processes;
  const std::string large = fmt::format("/tmp/sptest-process-{}-large", getpid());
  std::filesystem::copy_file("/bin/sleep", large, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::resize_file(large, 32 << 20);
  {
    Child sleeper({large.c_str(), "600"}, large.substr(5, 15));
    const ProcessWords words = words_of(sleeper.pid);
    model::Process found = processes.describe(words);
    EXPECT_EQ(found.executable, large);
    EXPECT_TRUE(found.digesting || !found.sha256.empty());
    sleeper.end();  // what is being digested is the file that it ran
    for (int i = 0; i < 1'000 && found.digesting; ++i) {
      EXPECT_EQ(found.sha256_missing, "its executable is still being digested");
      usleep(10'000);
      const auto again = processes.again(found);
      ASSERT_TRUE(again);
      found = *again;
    }
    EXPECT_EQ(found.sha256.size(), 64u);
    EXPECT_EQ(found.sha256_missing, "");
    EXPECT_EQ(processes.describe(words).sha256, found.sha256);
    model::Process other = found;
    ++other.start_ticks;
    EXPECT_FALSE(processes.again(other)) << "another process had that number";
  }
  std::filesystem::remove(large);
}

TEST(Process, ThatRunsAnotherExecutableByNowIsUnknown) {
  Processes processes;
  Child shell({"/bin/sh", "-c", "read x; exec /bin/sleep 600"}, "sh", true);
  const ProcessWords words = words_of(shell.pid);
  shell.go();
  EXPECT_EQ(processes.describe(words).unknown, "it runs another executable by now");
  EXPECT_EQ(processes.describe(words_of(shell.pid)).command, "sleep");
}

TEST(Process, DescribedBeforeItRanAnotherExecutableStaysAsItWas) {
  Processes processes;
  Child shell({"/bin/sh", "-c", "read x; exec /bin/sleep 600"}, "sh", true);
  const ProcessWords words = words_of(shell.pid);
  const model::Process before = processes.describe(words);
  shell.go();
  EXPECT_EQ(processes.describe(words), before);
}

TEST(Process, NamesInStatMayHoldAnything) {
  const ProcStat stat = parse_stat("42 (a) b) (c) S 7 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1");
  EXPECT_EQ(stat.command, "a) b) (c");
  EXPECT_EQ(stat.parent, 7u);
  EXPECT_EQ(stat.start_ticks, 4711u);
  for (const char* broken : {"", "42", "42 (x", "42 x) S 1", "42 (x) S 1 2 3"})
    EXPECT_EQ(parse_stat(broken).start_ticks, 0u) << broken;
}

/// Not judged here, only printed: scripts/bench identity reads it.
TEST(Process, TimeOfAKnownOne) {
  Processes processes;
  Child sleeper({"/bin/sleep", "600"});
  const ProcessWords words = words_of(sleeper.pid);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(processes.describe(words).unknown, "");
  const auto cold = std::chrono::steady_clock::now() - begin;
  constexpr int kTimes = 100'000;
  size_t bytes = 0;
  const auto warm_begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) bytes += processes.describe(words).executable.size();
  const auto warm = std::chrono::steady_clock::now() - warm_begin;
  EXPECT_GT(bytes, 0u);
  fmt::print("process: cold {:.0f} us, known {:.2f} us\n", std::chrono::duration<double, std::micro>(cold).count(),
             std::chrono::duration<double, std::micro>(warm).count() / kTimes);
}

}  // namespace
}  // namespace sallyport::edges
