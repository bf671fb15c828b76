// SPDX-License-Identifier: Apache-2.0
// Goal: on a real file system the log keeps what it accepted, refuses what it cannot keep, and goes
// on by itself. Method: a file system that is full (RLIMIT_FSIZE; as root a small tmpfs), a
// directory that goes away, a writer that is killed, a reader beside a writer.
#include "sallyport/record/file_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "record/segments.h"
#include "sallyport/base/clock.h"
#include "sallyport/record/sessions.h"
#include "tests/record/entries.h"
#include "tests/record/memory_segments.h"

namespace sallyport::record {
namespace {

namespace fs = std::filesystem;

class FileSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char made[] = "/tmp/sallyport-record-XXXXXX";
    ASSERT_NE(::mkdtemp(made), nullptr);
    root_ = made;
    directory_ = root_ + "/log";
  }
  void TearDown() override { fs::remove_all(root_); }

  std::unique_ptr<Sink> sink(std::string worker = "w0", bool fsync = false) {
    auto made = make_file_sink({directory_, std::move(worker), fsync, kWall});
    EXPECT_TRUE(made) << made.error().what;
    return made ? std::move(*made) : nullptr;
  }
  static model::RecordEntry numbered(uint64_t sequence, size_t bytes = 100) {
    const int64_t wall_ns = kWall + static_cast<int64_t>(sequence) * limits::kRecordCheckMs * kNanosPerMilli;
    return {session_id(1), sequence, wall_ns, decided_body(static_cast<uint32_t>(sequence), std::string(bytes, 'x'))};
  }
  std::vector<uint64_t> read(Reporter* reporter = nullptr) {
    std::vector<uint64_t> found;
    auto done = read_directory(
        directory_, {},
        [&](const model::RecordEntry& entry, const Place&) {
          found.push_back(entry.sequence);
          return true;
        },
        reporter);
    EXPECT_TRUE(done);
    return found;
  }
  size_t segments() {
    return static_cast<size_t>(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }

  std::string root_;
  std::string directory_;
};

using Sequences = std::vector<uint64_t>;

TEST_F(FileSinkTest, ModesAndNames) {
  auto log = sink();
  ASSERT_TRUE(log->append(numbered(0)));
  ASSERT_TRUE(log->flush());
  struct stat status {};
  ASSERT_EQ(::stat(directory_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  ASSERT_EQ(::stat((directory_ + "/w0-00000001.sprec").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  log = sink();  // another start: another segment, the old one untouched
  ASSERT_TRUE(log->append(numbered(1)));
  ASSERT_TRUE(log->flush());
  EXPECT_TRUE(fs::exists(directory_ + "/w0-00000002.sprec"));
  EXPECT_EQ(read(), (Sequences{0, 1}));
}

TEST_F(FileSinkTest, WhatCannotServeIsRefusedAtOnce) {
  EXPECT_FALSE(make_file_sink({directory_, "w/0"}));
  EXPECT_FALSE(make_file_sink({directory_, ""}));
  auto missing = make_file_sink({root_ + "/no/such", "w0"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().what.find("No such file or directory"), std::string::npos) << missing.error().what;
  fs::create_directory(directory_);
  fs::permissions(directory_, fs::perms::all);
  auto open_to_all = make_file_sink({directory_, "w0"});
  ASSERT_FALSE(open_to_all);
  EXPECT_NE(open_to_all.error().what.find("can be written by others"), std::string::npos);
}

TEST_F(FileSinkTest, KillNineLosesNothingThatWasAccepted) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  pid_t child = ::fork();
  if (child == 0) {
    auto log = make_file_sink({directory_, "w0", false, kWall});
    for (uint64_t i = 0; log && i < 1'000'000; ++i) {
      if (!(*log)->append(numbered(i, i % 3'000)) || !(*log)->flush()) break;
      if (::write(pipe_fds[1], &i, sizeof i) != sizeof i) break;  // "accepted", told outside
    }
    ::_exit(1);
  }
  ::close(pipe_fds[1]);
  uint64_t accepted = 0;
  while (accepted < 2'000) ASSERT_EQ(::read(pipe_fds[0], &accepted, sizeof accepted), ssize_t{sizeof accepted});
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  while (::read(pipe_fds[0], &accepted, sizeof accepted) == ssize_t{sizeof accepted}) continue;
  ::close(pipe_fds[0]);
  Reports reports;
  Sequences found = read(&reports);
  ASSERT_GT(found.size(), accepted);
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], i);
  EXPECT_TRUE(reports.drops.empty());
}

TEST_F(FileSinkTest, AFileIsAsLongAsWhatStandsInItWhenItsWriterEnds) {
  auto log = sink();
  ASSERT_TRUE(log->append(numbered(0)));
  ASSERT_TRUE(log->flush());
  const std::string file = directory_ + "/" + segment_file_name("w0", 1);
  EXPECT_EQ(fs::file_size(file), limits::kRecordReserveBytes);
  EXPECT_EQ(read(), (Sequences{0}));
  log.reset();
  EXPECT_LT(fs::file_size(file), 1'000U);
  EXPECT_EQ(read(), (Sequences{0}));
}

TEST_F(FileSinkTest, FileSizeLimit) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  auto log = sink();
  ASSERT_TRUE(log->append(numbered(0)));
  ASSERT_TRUE(log->flush());
  struct rlimit small = before;
  small.rlim_cur = 4'096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  ASSERT_TRUE(log->append(numbered(1, limits::kRecordReserveBytes)));
  auto refused = log->flush();
  auto again = log->flush();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("File too large"), std::string::npos) << refused.error().what;
  EXPECT_FALSE(refused.error().hint.empty());
  EXPECT_FALSE(again);
  EXPECT_EQ(read(), (Sequences{0}));
  ASSERT_TRUE(log->flush());  // space is back: what was pending goes in
  EXPECT_EQ(read(), (Sequences{0, 1}));
  EXPECT_EQ(segments(), 1U);
}

TEST_F(FileSinkTest, DiskFullForReal) {
  fs::create_directory(directory_);
  if (::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0)
    FAIL() << "mounting a tmpfs needs root";
  {
    auto log = sink();
    ASSERT_TRUE(log);
    std::ofstream filler(directory_ + "/filler");
    filler << std::string(40'000, 'f') << std::flush;
    uint64_t accepted = 0;
    Result<void> flushed;
    for (; accepted < 100; ++accepted) {
      ASSERT_TRUE(log->append(numbered(accepted, 2'000)));
      flushed = log->flush();
      if (!flushed) break;
    }
    ASSERT_FALSE(flushed);
    EXPECT_NE(flushed.error().what.find("No space left on device"), std::string::npos) << flushed.error().what;
    EXPECT_EQ(read().size(), accepted);
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(log->flush());
    EXPECT_EQ(segments(), 2U);  // one segment and the filler: tries leave nothing behind
    fs::remove(directory_ + "/filler");
    filler.close();
    EXPECT_TRUE(log->flush());
    EXPECT_EQ(read().size(), accepted + 1);
  }
  ASSERT_EQ(::umount(directory_.c_str()), 0);
}

TEST_F(FileSinkTest, ADirectoryThatGoesIsAnErrorUntilItIsBack) {
  auto log = sink();
  ASSERT_TRUE(log->append(numbered(0)));
  ASSERT_TRUE(log->flush());
  fs::remove_all(directory_);
  ASSERT_TRUE(log->append(numbered(1)));
  auto refused = log->flush();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("was removed"), std::string::npos) << refused.error().what;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(log->flush());
  ASSERT_EQ(::mkdir(directory_.c_str(), 0700), 0);
  ASSERT_TRUE(log->append(numbered(2)));
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(), (Sequences{1, 2}));
}

TEST_F(FileSinkTest, ALiveLogIsReadAndFollowed) {
  auto log = sink("w0", true);
  auto other = sink("w1");
  Tail tail(directory_, {});
  Sequences seen;
  auto poll = [&] {
    return tail.poll([&](const model::RecordEntry& entry, const Place& place) {
      EXPECT_EQ(place.writer, Writer::running);
      seen.push_back(entry.sequence);
      return true;
    });
  };
  ASSERT_TRUE(log->append(numbered(0)));
  ASSERT_TRUE(poll());
  EXPECT_TRUE(seen.empty());  // not accepted yet
  ASSERT_TRUE(log->flush());
  ASSERT_TRUE(poll());
  ASSERT_TRUE(poll());
  EXPECT_EQ(seen, (Sequences{0}));
  for (uint64_t i = 1; i < 4; ++i) ASSERT_TRUE((i % 2 ? log : other)->append(numbered(i)));
  ASSERT_TRUE(log->flush());
  ASSERT_TRUE(other->flush());
  ASSERT_TRUE(poll());
  EXPECT_EQ(seen, (Sequences{0, 1, 3, 2}));  // worker by worker
  Tail late(directory_, {});
  ASSERT_TRUE(late.from_now());
  ASSERT_TRUE(log->append(numbered(4)));
  ASSERT_TRUE(log->flush());
  seen.clear();
  ASSERT_TRUE(late.poll([&](const model::RecordEntry& entry, const Place&) {
    seen.push_back(entry.sequence);
    return true;
  }));
  EXPECT_EQ(seen, (Sequences{4}));
}

TEST_F(FileSinkTest, ErasureKeepsTheRest) {
  auto log = sink();
  for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(log->append(numbered(i)));
  ASSERT_TRUE(log->flush());
  ASSERT_TRUE(erase_payload(directory_, session_id(1), 1));
  EXPECT_FALSE(erase_payload(directory_, session_id(1), 9));
  EXPECT_FALSE(erase_payload(directory_, "nonsense", 1));
  Reports reports;
  EXPECT_EQ(read(&reports), (Sequences{0, 2}));
  EXPECT_EQ(reports.erasures, (Sequences{1}));
  EXPECT_TRUE(reports.drops.empty());
  EXPECT_EQ(load_session(directory_, session_id(1))->summary.missing, 1U);
}

}  // namespace
}  // namespace sallyport::record
