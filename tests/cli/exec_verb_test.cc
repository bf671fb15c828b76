// SPDX-License-Identifier: Apache-2.0
// `sallyport exec` and the verbs that ask a daemon, against the real control server.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/launch/placing_service.h"
#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

constexpr uid_t kNobody = 65534;

class ExecVerbTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) FAIL() << "needs root: makes cgroups and becomes nobody";
    folder_ = "/run/sptest-cli-" + std::to_string(::getpid());
    ASSERT_TRUE(std::filesystem::create_directory(folder_));
    service_ = std::make_unique<PlacingService>(folder_ + "/control.sock");
    ASSERT_TRUE(service_->running());
  }
  void TearDown() override {
    service_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  Outcome run(uid_t uid, const Arguments& words) const {
    Arguments all{SALLYPORT};
    all.insert(all.end(), words.begin(), words.end());
    return Running(uid, all, false, [this] { ::setenv("SALLYPORT_SOCKET", (folder_ + "/control.sock").c_str(), 1); })
        .finish();
  }

  std::string folder_;
  std::unique_ptr<PlacingService> service_;
};

TEST_F(ExecVerbTest, RunsAsTheAgent) {
  const Outcome outcome = run(
      kNobody, {"exec", "--agent", "probe", "--", "sh", "-c", "grep ^0:: /proc/self/cgroup; exit 9", "-o", "--help"});
  EXPECT_EQ(outcome.code(), 9);
  EXPECT_EQ(outcome.out, "0::/" + service_->slice() + "/probe-1.scope\n");
}

TEST_F(ExecVerbTest, RootNeedsToSaySo) {
  EXPECT_EQ(run(0, {"exec", "--agent", "probe", "--", "true"}).code(), 125);
  const Outcome outcome =
      run(0, {"exec", "--allow-root", "--agent", "regress", "--", "su", "postgres", "-c", "psql --version"});
  EXPECT_EQ(outcome.code(), 0);
  EXPECT_TRUE(outcome.out.starts_with("psql (PostgreSQL) ")) << outcome.out;
}

TEST_F(ExecVerbTest, AnAgentReachesNothingOfSallyport) {
  auto inside = [&](const std::string& verb) {
    return run(kNobody, {"exec", "--agent", "probe", "--", "sh", "-c", std::string(SALLYPORT) + " " + verb});
  };
  for (const std::string verb : {"status", "sessions list", "policy reload"}) {
    const Outcome outcome = inside(verb);
    EXPECT_EQ(outcome.code(), 1) << verb;
    EXPECT_NE(outcome.out.find("no daemon at"), std::string::npos) << outcome.out;
  }
  const Outcome another = inside("exec --agent another -- true");
  EXPECT_EQ(another.code(), 125);
  EXPECT_NE(another.out.find("an agent cannot start another"), std::string::npos) << another.out;
}

TEST_F(ExecVerbTest, RolesShowInTheVerbs) {
  EXPECT_EQ(run(0, {"agents", "-o", "json"}).code(), 0);
  const Outcome refused = run(kNobody, {"agents"});
  EXPECT_EQ(refused.code(), 1);
  EXPECT_NE(refused.out.find("does not hold the role `viewer`"), std::string::npos) << refused.out;
}

}  // namespace
}  // namespace sallyport::testing
