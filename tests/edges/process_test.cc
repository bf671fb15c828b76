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

struct Child {
  explicit Child(std::vector<const char*> arguments) {
    arguments.push_back(nullptr);
    pid = fork();
    if (pid == 0) {
      execv(arguments[0], const_cast<char**>(arguments.data()));
      _exit(1);
    }
    // Until it runs what it was told to.
    for (int i = 0; i < 1'000 && Proc(static_cast<uint32_t>(pid)).stat().command != "sleep"; ++i) usleep(5'000);
  }
  ~Child() { end(); }
  void end() {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = 0;
  }
  pid_t pid = 0;
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
