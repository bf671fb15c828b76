// SPDX-License-Identifier: Apache-2.0
// Credential files: formats, re-reading, and every reason to refuse one. Real files in a directory of the test's own.
#include "sallyport/node/credentials.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    char name[] = "/tmp/sallyport_credentials_XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~CredentialsTest() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    chmod(path.c_str(), mode);
    return path;
  }
  std::string refusal(const std::string& path) {
    auto found = credentials_.find(path);
    return found ? "accepted" : found.error().what;
  }

  std::string directory_;
  Credentials credentials_{geteuid()};
};

TEST_F(CredentialsTest, UserAndPasswordOrPasswordAlone) {
  auto both = credentials_.find(write("both", "billing:p:w with spaces \r\n"));
  ASSERT_TRUE(both);
  EXPECT_EQ(both->user, "billing");
  EXPECT_EQ(both->password.reveal(), "p:w with spaces ");
  auto alone = credentials_.find(write("alone", "hunter2"));
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->user, "");
  EXPECT_EQ(alone->password.reveal(), "hunter2");
}

TEST_F(CredentialsTest, IsReadAgainWhenItChanged) {
  const std::string path = write("file", "u:old");
  ASSERT_EQ(credentials_.find(path)->password.reveal(), "old");
  write("file", "u:new");
  EXPECT_EQ(credentials_.find(path)->password.reveal(), "new");
  // Replaced by rename, as secret managers do; even with the old times.
  const std::string next = write("next", "u:ren");
  const timespec times[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, next.c_str(), times, 0);
  std::filesystem::rename(next, path);
  EXPECT_EQ(credentials_.find(path)->password.reveal(), "ren");
  std::filesystem::remove(path);
  EXPECT_FALSE(credentials_.find(path)) << "what is gone is not remembered";
}

TEST_F(CredentialsTest, RefusesWhatOthersCanGetAt) {
  EXPECT_NE(refusal(write("group", "u:pw", 0640)).find("mode 0640"), std::string::npos);
  EXPECT_NE(refusal(write("world", "u:pw", 0604)).find("others can get at it"), std::string::npos);
  const std::string path = write("later", "u:pw");
  ASSERT_EQ(refusal(path), "accepted");
  chmod(path.c_str(), 0666);
  EXPECT_NE(refusal(path).find("mode 0666"), std::string::npos) << "looked at each time, not only when it is read";
}

TEST_F(CredentialsTest, RefusesForeignOwners) {
  if (geteuid() != 0) FAIL() << "needs root to give a file away";
  const std::string path = write("foreign", "u:pw");
  ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
  EXPECT_NE(refusal(path).find("belongs to uid 12345"), std::string::npos);
  Credentials of_that_user(12345);
  EXPECT_TRUE(of_that_user.find(path));
}

TEST_F(CredentialsTest, RefusesWhatIsNoRegularFileOrTooLong) {
  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_NE(refusal(fifo).find("no regular file"), std::string::npos) << "and it does not block";
  EXPECT_NE(refusal(directory_).find("no regular file"), std::string::npos);
  EXPECT_EQ(refusal(write("limit", std::string(limits::kCredentialFileBytesMax, 'x'))), "accepted");
  EXPECT_NE(refusal(write("long", std::string(limits::kCredentialFileBytesMax + 1, 'x'))).find("longer than"),
            std::string::npos);
  EXPECT_NE(refusal(directory_ + "/absent").find("No such file"), std::string::npos);
}

TEST_F(CredentialsTest, RefusesUnclearContent) {
  EXPECT_NE(refusal(write("empty", "")).find("no password"), std::string::npos);
  EXPECT_NE(refusal(write("nopw", "user:\n")).find("no password"), std::string::npos);
  const std::string two = refusal(write("two", "u:one\nu:two\n"));
  EXPECT_NE(two.find("more than one line"), std::string::npos);
  EXPECT_EQ(two.find("one\nu"), std::string::npos) << "never the content";
}

TEST_F(CredentialsTest, VerifiersByRole) {
  const std::string line = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
  const std::string path = write("verifiers", "# from pg_authid\n\nbilling:" + line + "\nodd:name:" + line + "\n");
  EXPECT_EQ((*credentials_.find_verifier(path, "billing"))->reveal(), line);
  EXPECT_EQ((*credentials_.find_verifier(path, "odd:name"))->reveal(), line);
  EXPECT_FALSE(credentials_.find_verifier(path, "other")->has_value());
  auto md5 = credentials_.find_verifier(write("md5", "billing:md5abcdef\n"), "billing");
  ASSERT_FALSE(md5);
  EXPECT_NE(md5.error().what.find("line 1 is no verifier"), std::string::npos);
  EXPECT_FALSE(credentials_.find_verifier(write("twice", "a:" + line + "\na:" + line + "\n"), "a"));
}

TEST_F(CredentialsTest, ManyThreadsWhileTheFileChanges) {
  const std::string path = write("file", "u:pw0");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        auto found = credentials_.find(path);
        ASSERT_TRUE(found) << found.error().what;
        ASSERT_TRUE(found->password.reveal().starts_with("pw"));
      }
    });
  }
  for (int i = 1; i < 50; ++i) {
    const std::string next = write("next", "u:pw" + std::to_string(i));
    std::filesystem::rename(next, path);
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(credentials_.find(path)->password.reveal(), "pw49");
}

}  // namespace
}  // namespace sallyport::node
