// SPDX-License-Identifier: Apache-2.0
// Signals and terminals: from outside, the waiting parent must be the command.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/launch/placing_service.h"
#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

constexpr uid_t kNobody = 65534;
class SignalTest : public ::testing::TestWithParam<uid_t> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) FAIL() << "needs root: makes cgroups and becomes nobody";
    folder_ = "/run/sptest-" + std::to_string(::getpid());
    ASSERT_TRUE(std::filesystem::create_directory(folder_));
    socket_ = folder_ + "/control.sock";
    service_ = std::make_unique<PlacingService>(socket_);
    ASSERT_TRUE(service_->running());
  }
  void TearDown() override {
    service_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  Arguments command(const Arguments& tail) const {
    Arguments all{EXEC_CLIENT, socket_, "probe"};
    if (GetParam() == 0) all.push_back("--allow-root");
    all.push_back("--");
    all.insert(all.end(), tail.begin(), tail.end());
    return all;
  }
  std::string line(const std::string& tail) const {
    std::string text;
    for (const std::string& word : command({})) text += word + " ";
    return text + tail + "\n";
  }
  static int count(const std::string& text, const std::string& what) {
    int found = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  }

  std::string folder_, socket_;
  std::unique_ptr<PlacingService> service_;
};
INSTANTIATE_TEST_SUITE_P(Users, SignalTest, ::testing::Values(kNobody, uid_t{0}),
                         [](const auto& info) { return info.param == 0 ? "root" : "nobody"; });

TEST_P(SignalTest, ToTheParentAloneIsPassedOn) {
  Running running(GetParam(), command({EXEC_PROBE, "count"}), false);
  ASSERT_TRUE(running.expect("ready"));
  for (auto [signal, text] : {std::pair{SIGTERM, "got-TERM"}, {SIGUSR1, "got-USR1"}, {SIGHUP, "got-HUP"}}) {
    ::kill(running.pid(), signal);
    EXPECT_TRUE(running.expect(text)) << running.out();
  }
  EXPECT_EQ(count(running.out(), "got-"), 3);
}

TEST_P(SignalTest, DefaultActionEndsBoth) {
  Running running(GetParam(), command({"bash", "-c", "echo ready; exec sleep 100"}), false);
  ASSERT_TRUE(running.expect("ready"));
  ::kill(running.pid(), SIGTERM);
  EXPECT_EQ(running.finish().signal(), SIGTERM);
}

TEST_P(SignalTest, ToTheGroupComesOnce) {
  Running running(GetParam(), command({EXEC_PROBE, "count"}), false);
  ASSERT_TRUE(running.expect("ready"));
  for (int i = 1; i <= 5; ++i) {
    ::kill(-running.pid(), SIGUSR1);
    EXPECT_TRUE(running.expect("got-USR1")) << running.out();
    ::usleep(300'000);
  }
  running.expect("nothing more", 300);
  EXPECT_EQ(count(running.out(), "got-USR1"), 5) << running.out();
}

TEST_P(SignalTest, KilledParentTakesAllAlong) {
  Running running(GetParam(), command({"bash", "-c", "setsid sleep 100 & echo ready; sleep 100"}), false);
  ASSERT_TRUE(running.expect("ready"));
  ASSERT_EQ(service_->handler().scopes().list().size(), 1u);
  ::kill(running.pid(), SIGKILL);
  running.wait();
  bool gone = false;
  for (int i = 0; i < 3'000 && !gone; ++i) {
    service_->handler().scopes().sweep([&](const launch::Scope&) { gone = true; }, 0);
    ::usleep(20'000);
  }
  EXPECT_TRUE(gone) << "processes were left in the cgroup";
}

TEST_P(SignalTest, NothingOutlivesTheCommand) {
  Running running(GetParam(), command({"bash", "-c", "setsid sleep 100 & exit 3"}), false);
  EXPECT_EQ(running.finish().code(), 3);
  int removed = 0;
  service_->handler().scopes().sweep([&](const launch::Scope&) { ++removed; }, 0);
  EXPECT_EQ(removed, 1);
}

TEST_P(SignalTest, IgnoredSignalsStayIgnored) {
  Running running(GetParam(), command({"bash", "-c", "echo ready; sleep 1; echo survived"}), false,
                  [] { ::signal(SIGHUP, SIG_IGN); });
  ASSERT_TRUE(running.expect("ready"));
  ::kill(running.pid(), SIGHUP);
  const Outcome outcome = running.finish();
  EXPECT_EQ(outcome.code(), 0);
  EXPECT_NE(outcome.out.find("survived"), std::string::npos);
}

TEST_P(SignalTest, TerminalIsTheCommandsOwn) {
  Running running(
      GetParam(),
      command(
          {"bash", "-c",
           "test -t 0 && test -t 1 && echo terminal; exec 3</dev/tty && echo controlling; read x; echo \"read $x\""}),
      true);
  EXPECT_TRUE(running.expect("terminal"));
  EXPECT_TRUE(running.expect("controlling"));
  running.type("words\n");
  EXPECT_TRUE(running.expect("read words"));
  EXPECT_EQ(running.finish().code(), 0);
}

TEST_P(SignalTest, ControlCComesOnce) {
  Running running(GetParam(), command({EXEC_PROBE, "count"}), true);
  ASSERT_TRUE(running.expect("ready"));
  running.type("\x03");
  EXPECT_TRUE(running.expect("got-INT")) << running.out();
  running.expect("nothing more", 300);
  EXPECT_EQ(count(running.out(), "got-INT"), 1) << running.out();
  running.type("\x1c");
  EXPECT_TRUE(running.expect("got-QUIT")) << running.out();
}

TEST_P(SignalTest, ControlCEndsBoth) {
  Running running(GetParam(), command({"bash", "-c", "echo ready; exec sleep 100"}), true);
  ASSERT_TRUE(running.expect("ready"));
  running.type("\x03");
  EXPECT_EQ(running.finish().signal(), SIGINT);
}

TEST_P(SignalTest, JobControlOfTheCallersShell) {
  Running shell(GetParam(), {"bash", "--norc", "--noprofile", "-i"}, true, [] { ::setenv("PS1", "$ ", 1); });
  shell.type(line("bash -c 'echo re\"\"ady; for i in $(seq 1200); do sleep 0.1; done; echo en\"\"ded'"));
  ASSERT_TRUE(shell.expect("ready")) << shell.out();
  EXPECT_TRUE(shell.press("\x1a", "Stopped")) << shell.out();
  shell.type("bg; jobs; echo back-\"\"ground\n");
  EXPECT_TRUE(shell.expect("Running")) << shell.out();
  EXPECT_TRUE(shell.expect("back-ground")) << shell.out();
  shell.type("fg\n");
  shell.expect("nothing", 300);
  EXPECT_TRUE(
      shell.press("\x03"
                  "echo status=$?\n",
                  "status=130"))
      << shell.out();
  shell.type("exit\n");
  EXPECT_EQ(shell.finish().code(), 0);
}

TEST_P(SignalTest, InteractiveShellInside) {
  Running shell(GetParam(), {"bash", "--norc", "--noprofile", "-i"}, true, [] { ::setenv("PS1", "outer$ ", 1); });
  shell.type(line("env PS1=inner: bash --norc --noprofile -i"));
  ASSERT_TRUE(shell.expect("inner:")) << shell.out();
  shell.type("sleep 100\n");
  shell.expect("nothing", 500);
  EXPECT_TRUE(shell.press("\x1a", "Stopped")) << shell.out();
  shell.type("fg\n");
  EXPECT_TRUE(shell.expect("sleep 100\r\n")) << shell.out();
  shell.expect("nothing", 300);
  EXPECT_TRUE(
      shell.press("\x03"
                  "echo in\"\"side\n",
                  "inside"))
      << shell.out();
  shell.type("exit 5\n");
  shell.type("echo status=$?\n");
  EXPECT_TRUE(shell.expect("status=5")) << shell.out();
  // A script gets its terminal back too, though no shell takes it.
  shell.type("exit 0\n");
  EXPECT_EQ(shell.finish().code(), 0);
}

TEST_P(SignalTest, ScriptsKeepTheirTerminal) {
  Running script(GetParam(),
                 {"bash", "-c", line("bash --norc -i -c 'echo in\"\"side'") + "read x < /dev/tty; echo \"read $x\""},
                 true);
  ASSERT_TRUE(script.expect("inside")) << script.out();
  script.expect("nothing", 500);
  script.type("words\n");
  EXPECT_TRUE(script.expect("read words")) << script.out();
}

}  // namespace
}  // namespace sallyport::testing
