// SPDX-License-Identifier: Apache-2.0
// Goal: the log survives whatever happens to its writer's disk and to its bytes, and its reader
// loses no more than what was damaged. Method: a segment in memory; corruption verbs.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "record/log_reader.h"
#include "record/log_writer.h"
#include "record/payload.h"
#include "sallyport/base/limits.h"
#include "tests/record/entries.h"
#include "tests/record/memory_segments.h"

namespace sallyport::record {
namespace {

class LogTest : public ::testing::Test {
 protected:
  std::unique_ptr<LogWriter> writer(size_t segment_bytes_max = limits::kRecordSegmentBytesMax, bool sync = false) {
    auto made = std::make_unique<LogWriter>(std::make_unique<MemoryStore>(memory_), segment_bytes_max, sync);
    EXPECT_TRUE(made->begin(kWall));
    return made;
  }

  /// Writes `count` entries numbered from `first`, and remembers where each ends.
  void write(LogWriter& log, uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      ASSERT_TRUE(log.append(numbered(i)));
      ASSERT_TRUE(log.flush());
      ends_.push_back(memory_.segments.back().size());
    }
  }

  static model::RecordEntry numbered(uint64_t sequence) {
    return {session_id(1), sequence, kWall,
            decided_body(static_cast<uint32_t>(sequence), "select " + std::to_string(sequence))};
  }

  /// The sequence numbers that a reader finds in a segment.
  std::vector<uint64_t> read(const std::string& segment) {
    std::vector<uint64_t> found;
    MemorySource source(segment);
    LogReader reader(source, "test", &reports_);
    for (;;) {
      auto entry = reader.next();
      EXPECT_TRUE(entry);
      if (!entry || !*entry) return found;
      EXPECT_TRUE((*entry)->erased || read_body((*entry)->header.type, (*entry)->payload.substr(kSaltBytes)));
      found.push_back((*entry)->header.sequence);
    }
  }

  /// Where entry `i` begins in the first segment.
  size_t begin_of(size_t i) const { return i == 0 ? kSegmentHeaderBytes : ends_[i - 1]; }

  Memory memory_;
  std::vector<size_t> ends_;
  Reports reports_;
};

using Sequences = std::vector<uint64_t>;

TEST_F(LogTest, WhatIsWrittenIsRead) {
  auto log = writer();
  write(*log, 0, 5);
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0, 1, 2, 3, 4}));
  EXPECT_TRUE(reports_.drops.empty());
  EXPECT_FALSE(log->append({"no ulid", 0, 0, model::SessionClosed{}}));
}

TEST_F(LogTest, ATruncatedTailIsNormal) {
  auto log = writer();
  write(*log, 0, 3);
  const std::string whole = memory_.segments[0];
  for (size_t size = 0; size <= whole.size(); ++size) {
    reports_ = {};
    Sequences expected;
    for (size_t i = 0; i < 3 && ends_[i] <= size; ++i) expected.push_back(i);
    ASSERT_EQ(read(whole.substr(0, size)), expected) << size;
    ASSERT_TRUE(reports_.drops.empty()) << size;
  }
}

TEST_F(LogTest, AFlippedByteCostsOneEntry) {
  auto log = writer();
  write(*log, 0, 4);
  const std::string whole = memory_.segments[0];
  for (size_t at = begin_of(1); at < ends_[1]; ++at) {
    reports_ = {};
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x40);
    ASSERT_EQ(read(flipped), (Sequences{0, 2, 3})) << at;
    ASSERT_EQ(reports_.dropped_bytes(), ends_[1] - begin_of(1)) << at;
  }
}

TEST_F(LogTest, ADamagedSegmentHeaderCostsNoEntry) {
  auto log = writer();
  write(*log, 0, 2);
  for (size_t at = 0; at < kSegmentHeaderBytes; ++at) {
    reports_ = {};
    std::string flipped = memory_.segments[0];
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    ASSERT_EQ(read(flipped), (Sequences{0, 1})) << at;
    ASSERT_EQ(reports_.drops.size(), 1U);
  }
  EXPECT_EQ(read(std::string(1'000, 'x')), Sequences{});
}

TEST_F(LogTest, GarbageBetweenIsLeftOut) {
  auto log = writer();
  write(*log, 0, 3);
  std::mt19937 random(7);
  std::string garbage(300'000, '\0');  // more than the reader's window
  for (char& c : garbage) c = static_cast<char>(random());
  for (size_t at : {begin_of(1), begin_of(1) + 50, begin_of(1) + kEntryHeaderBytes + 20}) {
    reports_ = {};
    std::string damaged = memory_.segments[0];
    damaged.insert(at, garbage);
    EXPECT_EQ(read(damaged), at == begin_of(1) ? (Sequences{0, 1, 2}) : (Sequences{0, 2}));
    EXPECT_GE(reports_.dropped_bytes(), garbage.size());
  }
}

TEST_F(LogTest, SpaceThatIsReservedIsTheEnd) {
  const std::string reserved(limits::kRecordReserveBytes, '\0');
  EXPECT_EQ(read(reserved), Sequences{});
  auto log = writer();
  write(*log, 0, 3);
  EXPECT_EQ(read(memory_.segments[0] + reserved), (Sequences{0, 1, 2}));
  // A store that was cut short: its first byte comes last.
  std::string torn = memory_.segments[0] + reserved;
  torn[begin_of(2)] = '\0';
  EXPECT_EQ(read(torn), (Sequences{0, 1}));
  EXPECT_TRUE(reports_.drops.empty());
  // Amid entries it is damage like any other, and before them.
  torn = memory_.segments[0];
  torn[begin_of(1)] = '\0';
  EXPECT_EQ(read(torn), (Sequences{0, 2}));
  EXPECT_EQ(reports_.dropped_bytes(), ends_[1] - begin_of(1));
  torn = memory_.segments[0];
  torn[0] = '\0';
  EXPECT_EQ(read(torn), (Sequences{0, 1, 2}));
}

TEST_F(LogTest, BytesThatAreMissingCostWhatTheyWereOf) {
  auto log = writer();
  write(*log, 0, 4);
  for (size_t at : {begin_of(1) + 10, begin_of(1) + kEntryHeaderBytes + 10}) {
    std::string damaged = memory_.segments[0];
    damaged.erase(at, 30);
    EXPECT_EQ(read(damaged), (Sequences{0, 2, 3})) << at;
  }
  std::string last = memory_.segments[0];
  last.erase(begin_of(2) + kEntryHeaderBytes + 5, ends_[2] - begin_of(2) - kEntryHeaderBytes - 5);
  EXPECT_EQ(read(last), (Sequences{0, 1, 3}));
}

TEST_F(LogTest, RandomDamageNeverStopsTheReader) {
  auto log = writer();
  write(*log, 0, 20);
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::string damaged = memory_.segments[0];
    for (int i = 0; i < 5; ++i) {
      // Behind the segment's header and the first entry's: without both no entry can be told.
      constexpr size_t kBegin = kSegmentHeaderBytes + kEntryHeaderBytes;
      size_t at = kBegin + random() % (damaged.size() - kBegin);
      switch (random() % 3) {
        case 0:
          damaged[at] = static_cast<char>(random());
          break;
        case 1:
          damaged.erase(at, random() % 100);
          break;
        default:
          damaged.insert(at, std::string(random() % 100, static_cast<char>(random())));
      }
    }
    Sequences found = read(damaged);
    EXPECT_GE(found.size(), 10U) << "seed " << seed;
    EXPECT_TRUE(std::ranges::is_sorted(found));
  }
}

// An agent that sends a whole log as its statement writes no entry.
TEST_F(LogTest, WhatAnAgentSendsCannotPoseAsAnEntry) {
  Memory forged;
  LogWriter forger(std::make_unique<MemoryStore>(forged), limits::kRecordSegmentBytesMax, false);
  ASSERT_TRUE(forger.begin(kWall));
  ASSERT_TRUE(forger.append(numbered(666)));
  ASSERT_TRUE(forger.flush());
  auto log = writer();
  write(*log, 0, 1);
  ASSERT_TRUE(log->append({session_id(1), 1, kWall, decided_body(1, forged.segments[0])}));
  ASSERT_TRUE(log->flush());
  ends_.push_back(memory_.segments[0].size());
  write(*log, 2, 1);
  std::string damaged = memory_.segments[0];
  damaged[begin_of(1) + 9] = 'x';  // the length is lost: the payload is searched
  EXPECT_EQ(read(damaged), (Sequences{0, 2}));
}

TEST_F(LogTest, AnErasedPayloadKeepsItsHeader) {
  auto log = writer();
  write(*log, 0, 3);
  std::string erased = memory_.segments[0];
  size_t payload = begin_of(1) + kEntryHeaderBytes;
  erased.replace(payload, ends_[1] - payload, ends_[1] - payload, kErasedByte);
  EXPECT_EQ(read(erased), (Sequences{0, 1, 2}));
  EXPECT_TRUE(reports_.drops.empty());
}

TEST_F(LogTest, SegmentsRotateAtTheirLimit) {
  auto log = writer(4'000);
  for (uint64_t i = 0; i < 40; ++i) ASSERT_TRUE(log->append(numbered(i)));
  ASSERT_TRUE(log->flush());
  EXPECT_GT(memory_.segments.size(), 3U);
  Sequences found;
  for (const std::string& segment : memory_.segments) {
    EXPECT_LE(segment.size(), 4'000U);
    std::ranges::copy(read(segment), std::back_inserter(found));
  }
  EXPECT_EQ(found.size(), 40U);
  EXPECT_TRUE(std::ranges::is_sorted(found));
  // An entry larger than a segment has one of its own.
  ASSERT_TRUE(log->append({session_id(1), 40, kWall, decided_body(1, std::string(9'000, 'x'))}));
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(memory_.segments.back()), (Sequences{40}));
}

TEST_F(LogTest, AFullDiskIsAnErrorAndTheLogGoesOnWhenThereIsSpace) {
  auto log = writer();
  write(*log, 0, 3);
  memory_.space_bytes = memory_.used() + 100;
  ASSERT_TRUE(log->append(numbered(3)));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(log->flush());
  EXPECT_EQ(memory_.segments.size(), 1U);
  EXPECT_EQ(memory_.segments[0].size(), ends_.back());  // no half entry is left
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0, 1, 2}));
  memory_.space_bytes = SIZE_MAX;
  ASSERT_TRUE(log->append(numbered(4)));
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0, 1, 2, 3, 4}));
}

TEST_F(LogTest, ATailThatCannotBeCutIsLeftBehind) {
  auto log = writer();
  write(*log, 0, 2);
  memory_.space_bytes = memory_.used() + 250;  // a segment header, but no entry
  memory_.truncate_fails = true;
  ASSERT_TRUE(log->append(numbered(2)));
  EXPECT_FALSE(log->flush());
  EXPECT_FALSE(log->flush());  // no room for another segment either: none is left behind
  EXPECT_EQ(memory_.segments.size(), 1U);
  EXPECT_EQ(memory_.discarded, 1U);
  memory_.space_bytes = SIZE_MAX;
  ASSERT_TRUE(log->flush());
  ASSERT_EQ(memory_.segments.size(), 2U);
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0, 1}));
  EXPECT_EQ(read(memory_.segments[1]), (Sequences{2}));
}

TEST_F(LogTest, WhatCannotBeSyncedIsNotAccepted) {
  auto log = writer(limits::kRecordSegmentBytesMax, true);
  write(*log, 0, 1);
  memory_.sync_fails = true;
  ASSERT_TRUE(log->append(numbered(1)));
  EXPECT_FALSE(log->flush());
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0}));
  memory_.sync_fails = false;
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0, 1}));
}

TEST_F(LogTest, WhatIsPendingIsBounded) {
  auto log = writer();
  memory_.space_bytes = memory_.used();
  model::RecordEntry large{session_id(1), 0, kWall, decided_body(1, std::string(200'000, 'x'))};
  size_t taken = 0;
  while (log->append(large)) {
    ++large.sequence;
    ASSERT_LT(++taken, 100U);
  }
  EXPECT_EQ(taken, limits::kRecordPendingBytesMax / 200'900);
  EXPECT_FALSE(log->append(large));
  memory_.space_bytes = SIZE_MAX;
  ASSERT_TRUE(log->append(large));
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(memory_.segments[0]).size(), taken + 1);
}

TEST_F(LogTest, AnEntryTooLargeIsShortenedNotRefused) {
  auto log = writer();
  ASSERT_TRUE(
      log->append({session_id(1), 0, kWall, decided_body(1, std::string(limits::kRecordPayloadBytesMax, 'x'))}));
  ASSERT_TRUE(log->flush());
  EXPECT_EQ(read(memory_.segments[0]), (Sequences{0}));
}

TEST_F(LogTest, AReaderGoesOnWhereItStopped) {
  auto log = writer();
  write(*log, 0, 2);
  MemorySource source(memory_.segments[0]);
  LogReader reader(source, "test", &reports_);
  ASSERT_TRUE(*reader.next());
  ASSERT_TRUE(*reader.next());
  ASSERT_FALSE(*reader.next());
  std::string whole = memory_.segments[0];
  write(*log, 2, 1);
  std::string after = memory_.segments[0];
  for (size_t size = whole.size(); size < after.size(); ++size) {
    memory_.segments[0] = after.substr(0, size);
    ASSERT_FALSE(*reader.next()) << size;
  }
  memory_.segments[0] = after;
  auto entry = reader.next();
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->header.sequence, 2U);
  EXPECT_TRUE(reports_.drops.empty());
}

// The example of docs/formats/record.md: version 1 is readable for good.
constexpr std::string_view kDocumented =
    "53505245430d0a1a0001004000000000f01e0c899c0f1ff3000000000000000118d75b842b47d4c000000000000000000000"
    "00000000000000000000b6f47758f01e0c899c0f1ff300c005010000002701a0c4506c7b0102030405060708090100000000"
    "0000000718d75b842b47d4c042bf11f3d8a271a043c9167daca108adcd9a659c4752227c276028f0631ad993000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000dcf3ace8ca8a057ad0ec2e20097202cffb06a0cfa3016c6167656e7420636c6f736564021903840319012c";

TEST_F(LogTest, TheDocumentedSegmentIsRead) {
  std::string segment;
  for (size_t at = 0; at < kDocumented.size(); at += 2)
    segment.push_back(static_cast<char>(std::stoi(std::string(kDocumented.substr(at, 2)), nullptr, 16)));
  MemorySource source(segment);
  LogReader reader(source, "documented", &reports_);
  auto entry = reader.next();
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ(session_id_from_bytes((*entry)->header.session), "01M3250V3V041061050R3GG281");
  EXPECT_EQ((*entry)->header.sequence, 7U);
  auto body = read_body((*entry)->header.type, (*entry)->payload.substr(kSaltBytes));
  ASSERT_TRUE(body);
  EXPECT_EQ(std::get<model::SessionClosed>(*body).reason, "agent closed");
  EXPECT_TRUE(reports_.drops.empty());
}

}  // namespace
}  // namespace sallyport::record
