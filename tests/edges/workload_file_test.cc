// SPDX-License-Identifier: Apache-2.0
// A workload's file as the daemon reads it, with workloads that do not want it to be read rightly. Needs root.
#include "sallyport/edges/workload_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

namespace sallyport::edges {
namespace {

namespace fs = std::filesystem;

/// A process with a root of its own, which `prepare` has furnished; ends with this.
class Child {
 public:
  Child(const std::string& root, const std::function<bool()>& prepare) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const bool good = prepare() && chroot(root.c_str()) == 0 && chdir("/") == 0;
      const char word = good ? 'y' : 'n';
      if (write(ready[1], &word, 1) == 1) pause();
      _exit(0);
    }
    close(ready[1]);
    char word = 0;
    EXPECT_EQ(::read(ready[0], &word, 1), 1);
    EXPECT_EQ(word, 'y');
    close(ready[0]);
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class WorkloadFileTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "needs root";
    char made[] = "/tmp/sallyport-file-XXXXXX";
    ASSERT_NE(mkdtemp(made), nullptr);
    root_ = made;
    chmod(made, 0755);
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) { std::ofstream(root_ + path) << text; }
  std::string read(pid_t pid, WorkloadFile file) {
    file.pid = pid;
    auto text = files_.read(file);
    return text ? std::string(text->reveal()) : "error: " + text.error().what;
  }

  std::string root_;
  WorkloadFiles files_{2'000};
};

TEST_F(WorkloadFileTest, LinksAreFollowedWithinTheRoot) {
  put("/token", "inside");
  put("/secret", "of the root");
  fs::create_directories(root_ + "/run/..data");
  put("/run/..data/token", "projected");
  fs::create_symlink("..data/token", root_ + "/run/token");
  fs::create_symlink("/token", root_ + "/absolute");
  fs::create_symlink("../../../../../../token", root_ + "/run/up");
  const std::string outside = "/etc/hostname";
  fs::create_symlink("../../../../.." + outside, root_ + "/escape");
  const Child child(root_, [] { return true; });
  EXPECT_EQ(read(child.pid(), {.path = "/token"}), "inside");
  EXPECT_EQ(read(child.pid(), {.path = "/run/token"}), "projected");
  EXPECT_EQ(read(child.pid(), {.path = "/absolute"}), "inside");
  EXPECT_EQ(read(child.pid(), {.path = "/run/up"}), "inside");
  EXPECT_EQ(read(child.pid(), {.path = "/../../token"}), "inside");
  EXPECT_NE(read(child.pid(), {.path = "/escape"}).find("No such file"), std::string::npos);
}

TEST_F(WorkloadFileTest, RegularFilesOfBoundedSizeOnly) {
  put("/long", std::string(101, 'x'));
  put("/fits", std::string(100, 'x'));
  put("/empty", "");
  ASSERT_EQ(mkfifo((root_ + "/fifo").c_str(), 0644), 0);
  ASSERT_EQ(mknod((root_ + "/zero").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
  fs::create_directory(root_ + "/folder");
  const Child child(root_, [] { return true; });
  const auto read_100 = [&](const char* path) { return read(child.pid(), {.path = path, .bytes_max = 100}); };
  EXPECT_EQ(read_100("/fits"), std::string(100, 'x'));
  EXPECT_EQ(read_100("/empty"), "");
  EXPECT_NE(read_100("/long").find("longer than 100 bytes"), std::string::npos);
  for (const char* path : {"/fifo", "/zero", "/folder"})
    EXPECT_NE(read_100(path).find("no regular file"), std::string::npos) << path;
  EXPECT_NE(read_100("/none").find("No such file"), std::string::npos);
}

TEST_F(WorkloadFileTest, NoMagicLinks) {
  fs::create_directory(root_ + "/proc");
  const std::string proc = root_ + "/proc";
  const Child child(root_, [&] {
    return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("proc", proc.c_str(), "proc", 0, nullptr) == 0;
  });
  // The kernel says that the link leads out, or that there are too many: both refuse.
  for (const char* path : {"/proc/self/exe", "/proc/1/root/etc/hostname"})
    EXPECT_TRUE(read(child.pid(), {.path = path}).starts_with("error: ")) << path;
}

TEST_F(WorkloadFileTest, OnlyWhatItsUserMayRead) {
  put("/mine", "mine");
  put("/others", "others");
  ASSERT_EQ(chown((root_ + "/mine").c_str(), 4711, 4711), 0);
  ASSERT_EQ(chown((root_ + "/others").c_str(), 4712, 4712), 0);
  chmod((root_ + "/mine").c_str(), 0600);
  chmod((root_ + "/others").c_str(), 0640);
  const Child child(root_, [] { return true; });
  const FileUser user{4711, 4711, {}};
  EXPECT_EQ(read(child.pid(), {.path = "/mine", .user = user}), "mine");
  EXPECT_NE(read(child.pid(), {.path = "/others", .user = user}).find("Permission denied"), std::string::npos);
  EXPECT_EQ(read(child.pid(), {.path = "/others", .user = FileUser{4711, 4711, {4712}}}), "others");
  EXPECT_EQ(read(child.pid(), {.path = "/others"}), "others");
}

TEST_F(WorkloadFileTest, AProcessThatHasGoneOrIsAnother) {
  put("/token", "inside");
  pid_t gone = 0;
  {
    const Child child(root_, [] { return true; });
    gone = child.pid();
    EXPECT_NE(read(gone, {.start_ticks = 1, .path = "/token"}).find("its number is another's"), std::string::npos);
    std::ifstream stat("/proc/" + std::to_string(gone) + "/stat");
    std::string word;
    for (int field = 1; field <= 22; ++field) stat >> word;  // no space in this command
    EXPECT_EQ(read(gone, {.start_ticks = std::stoull(word), .path = "/token"}), "inside");
  }
  EXPECT_NE(read(gone, {.path = "/token"}).find("has gone"), std::string::npos);
}

/// A file system whose server is the workload, and which never answers: the reader gives up, others go on.
TEST_F(WorkloadFileTest, AFileSystemThatNeverAnswersHangsNobody) {
  fs::create_directory(root_ + "/hang");
  put("/token", "inside");
  const std::string place = root_ + "/hang";
  const Child child(root_, [&] {
    const int fuse = open("/dev/fuse", O_RDWR);
    const std::string options = "fd=" + std::to_string(fuse) + ",rootmode=40000,user_id=0,group_id=0";
    return fuse >= 0 && unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("hang", place.c_str(), "fuse", 0, options.c_str()) == 0;
  });
  WorkloadFiles files(100);
  WorkloadFile file{.pid = child.pid(), .path = "/hang/token"};
  for (size_t i = 0; i < limits::kTokenReadersMax; ++i) {
    const auto text = files.read(file);
    ASSERT_FALSE(text);
    EXPECT_NE(text.error().what.find("not read within 100 ms"), std::string::npos) << text.error().what;
  }
  const auto refused = files.read(file);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("hang already"), std::string::npos);
  EXPECT_EQ(read(child.pid(), {.path = "/token"}), "inside");
}

}  // namespace
}  // namespace sallyport::edges
