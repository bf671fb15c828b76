// SPDX-License-Identifier: Apache-2.0
// Conversations as transcripts. One line says in order what is pushed and what the server answers:
//   >Q >P >B >Ds >Dp >E >C >S >F >c   pushed: query … sync, function call, copy end (CopyDone or CopyFail)
//   T:1   the server's message T belongs to entry 1 (entries count from 1 in order of pushing)
//   Z:1.  … and that entry is finished       N:-   belongs to nobody       E:!   the connection's       X:?  violation
// Server messages named as on the wire. `x2` says that entry 2 comes out as discarded.
#include "sallyport/protocol/postgres/answer_queue.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>

namespace sallyport::postgres {
namespace {

using Kind = InFlight::Kind;

const std::map<std::string, Kind> kKinds = {{"Q", Kind::query},
                                            {"P", Kind::parse},
                                            {"B", Kind::bind},
                                            {"Ds", Kind::describe_statement},
                                            {"Dp", Kind::describe_portal},
                                            {"E", Kind::execute},
                                            {"C", Kind::close},
                                            {"S", Kind::sync},
                                            {"F", Kind::function_call},
                                            {"c", Kind::copy_end}};

class Transcript {
 public:
  explicit Transcript(AnswerQueue& queue) : queue_(queue) {}

  /// Runs one line and compares what happened with what is written.
  void play(const std::string& line) {
    std::istringstream steps(line);
    std::string step;
    while (steps >> step) {
      EXPECT_EQ(played(step), step) << "in: " << line;
    }
    InFlight left;
    EXPECT_FALSE(queue_.take_discarded(left)) << "entry " << left.id << " was discarded, in: " << line;
  }

 private:
  std::string played(const std::string& step) {
    if (step[0] == '>') return fmt::format(">{}", pushed(step.substr(1)));
    if (step[0] == 'x') {
      InFlight entry;
      return queue_.take_discarded(entry) ? fmt::format("x{}", entry.id) : "x-";
    }
    const Answer answer = queue_.on_backend(step[0]);
    switch (answer.belongs) {
      case Answer::Belongs::entry:
        return fmt::format("{}:{}{}", step[0], answer.entry.id, answer.finished ? "." : "");
      case Answer::Belongs::nobody:
        return fmt::format("{}:-", step[0]);
      case Answer::Belongs::connection:
        return fmt::format("{}:!", step[0]);
      case Answer::Belongs::violation:
        return fmt::format("{}:?", step[0]);
    }
    return "";
  }

  /// `S=ignored`: what the push must answer, unless it is queued.
  std::string pushed(const std::string& text) {
    const std::string name = text.substr(0, text.find('='));
    switch (queue_.push(kKinds.at(name), ++pushed_)) {
      case Pushed::queued:
        return name;
      case Pushed::ignored:
        return name + "=ignored";
      case Pushed::skipped:
        return name + "=skipped";
      case Pushed::full:
        return name + "=full";
      case Pushed::violation:
        return name + "=violation";
    }
    return "";
  }

  AnswerQueue& queue_;
  uint64_t pushed_ = 0;
};

void play(const std::string& line, Phase phase_at_end = Phase::ready) {
  AnswerQueue queue;
  Transcript(queue).play(line);
  EXPECT_EQ(queue.phase(), phase_at_end) << to_string(queue.phase()) << ", in: " << line;
}

TEST(AnswerQueue, SimpleQuery) {
  play(">Q T:1 D:1 D:1 C:1 Z:1.");
  play(">Q I:1 Z:1.");
  play(">Q C:1 T:1 D:1 C:1 Z:1.");
  play(">Q T:1 D:1 E:1 Z:1.");
  play(">Q N:- S:- T:1 A:- D:1 C:1 Z:1. A:-");
  play(">Q >Q >Q C:1 Z:1. E:2 Z:2. T:3 C:3 Z:3.");
}

TEST(AnswerQueue, ExtendedQuery) {
  play(">P >B >Dp >E >S 1:1. 2:2. T:3. D:4 D:4 C:4. Z:5.");
  play(">P >Ds >S 1:1. t:2 T:2. Z:3.");
  play(">P >Ds >S 1:1. t:2 n:2. Z:3.");
  play(">B >Dp >E >S 2:1. n:2. C:3. Z:4.");
  play(">B >E >S 2:1. I:2. Z:3.");
  play(">C >C >S 3:1. 3:2. Z:3.");
  play(">S >S Z:1. Z:2.");
}

TEST(AnswerQueue, PortalSuspended) { play(">B >E >E >E >S 2:1. D:2 D:2 s:2. D:3 D:3 s:3. C:4. Z:5."); }

TEST(AnswerQueue, FlushedWithoutSync) {
  AnswerQueue queue;
  Transcript transcript(queue);
  transcript.play(">P >Ds 1:1. t:2 T:2.");
  EXPECT_EQ(queue.phase(), Phase::ready);
  transcript.play(">B >E >S 2:3. D:4 C:4. Z:5.");
}

TEST(AnswerQueue, AnErrorSkipsToSync) {
  play(">P >B >Dp >E >S E:1. x2 x3 x4 Z:5.");
  play(">P >B >E >S >P >B >E >S 1:1. 2:2. E:3. Z:4. 1:5. 2:6. C:7. Z:8.");
  play(">P >B >E >S >P >B >E >S 1:1. E:2. x3 Z:4. 1:5. 2:6. C:7. Z:8.");
  play(">B >E >S 2:1. D:2 D:2 E:2. Z:3.");
  play(">P >Q >S E:1. x2 Z:3.");
  play(">P >F >S E:1. x2 Z:3.");
  play(">P >Ds >S 1:1. t:2 E:2. Z:3.");
}

TEST(AnswerQueue, WhatIsPushedWhileTheServerSkipsIsSkipped) {
  play(">P E:1. >B=skipped >E=skipped x2 x3 >S Z:4.");
  play(">P >B E:1. x2", Phase::skip_to_sync);
  play(">P E:1. >Q=skipped x2 >c=ignored", Phase::skip_to_sync);
  play(">P E:1. E:!", Phase::skip_to_sync);
  play(">P E:1. Z:? >S Z:2.");
}

TEST(AnswerQueue, AnErrorAtSyncSkipsNothing) { play(">S >P >S E:1 Z:1. 1:2. Z:3."); }

TEST(AnswerQueue, FunctionCall) {
  play(">F V:1 Z:1.");
  play(">F E:1 Z:1.");
  play(">F >F V:1 Z:1. V:2 Z:2.");
}

TEST(AnswerQueue, CopyIn) {
  play(">Q G:1", Phase::copy_in);
  play(">Q G:1 >c C:1 Z:1.");
  play(">Q G:1 N:- >c E:1 Z:1.");
  play(">Q G:1 E:1 >c Z:1.");
  play(">Q G:1 E:1 Z:1. >c=ignored");
  play(">Q G:1 >c C:1 G:1 >c C:1 Z:1.");
  play(">Q G:1 C:? >c C:1 Z:1.");
  play(">Q G:1 Z:? D:? G:? d:?", Phase::copy_in);
}

TEST(AnswerQueue, CopyInByExecute) {
  // libpq's PQexecParams: the first Sync is lost on the COPY, it sends another after the data.
  play(">P >B >Dp >E >S 1:1. 2:2. n:3. G:4 >c >S C:4. x5 Z:7.");
  // A Sync amid the data.
  play(">B >E 2:1. G:2 >S=ignored >c >S C:2. Z:5.");
  // All of it sent before the server said anything.
  play(">B >E >c >S 2:1. G:2 C:2. Z:4.");
  play(">B >E >S >c >S 2:1. G:2 C:2. x3 Z:5.");
  // The server fails amid the data and skips what the agent sent meanwhile.
  play(">B >E 2:1. G:2 E:2. >c=ignored >S Z:4.");
  // The COPY fails at once: its end is ignored, its Sync is not.
  play(">B >E >c >S E:1. x2 Z:4.");
  play(">B >E >c >S 2:1. E:2. Z:4.");
}

TEST(AnswerQueue, ACopyThatFailsBeforeItReadsItsSync) {
  // COPY into a view: CopyInResponse, ErrorResponse, and the Sync sent with the Execute is answered after all.
  play(">P >B >E >S 1:1. 2:2. G:3 E:3. Z:4.");
  play(">P >B >E >S 1:1. 2:2. G:3 E:3. Z:4. >c=ignored >S Z:6. >P >S 1:7. Z:8.");
  play(">P >B >E >S 1:1. 2:2. G:3 >c E:3. >S Z:6. Z:4. >P >S 1:7. Z:8.");
  play(">P >B >E >S 1:1. 2:2. G:3 >c E:3. >S >P >S Z:6. Z:4. 1:7. Z:8.");
  // Whichever Sync it was, no other entry loses its place, and there are no more answers than Syncs.
  play(">P >B >E >S 1:1. 2:2. G:3 >c E:3. >S >Q Z:6. Z:4. C:7 Z:7. Z:?");
  play(">P >B >E >S 1:1. 2:2. G:3 >c E:3. >S >Q Z:6. C:7 x4 Z:7. Z:?");
  play(">P >B >E >S 1:1. 2:2. G:3 >c C:3. x4 >S Z:6. Z:?");
}

TEST(AnswerQueue, NothingButCopyMayBeSentAmidCopyIn) {
  play(">Q G:1 >Q=violation >P=violation >E=violation >F=violation", Phase::copy_in);
  // Sent before the COPY was known: the server fails on it, and it is lost.
  play(">Q >Q G:1 x2 E:1 Z:1.");
  play(">B >E >P >S 2:1. G:2 x3 E:2. Z:4.");
  play(">B >E >S >P >S 2:1. G:2 x4 E:2. Z:5. >S Z:6. >Q I:7 x3 Z:7.");
}

TEST(AnswerQueue, CopyOut) {
  play(">Q H:1", Phase::copy_out);
  play(">Q H:1 d:1 N:- d:1 c:1 C:1 Z:1.");
  play(">Q H:1 d:1 E:1 Z:1.");
  play(">B >E >S 2:1. H:2 d:2 c:2 C:2. Z:3.");
  play(">Q >Q H:1 d:1 c:1 C:1 Z:1. C:2 Z:2.");
  play(">Q H:1 C:?", Phase::copy_out);
  play(">Q H:1 c:1 D:? T:? d:? c:? C:1 Z:1.");
}

TEST(AnswerQueue, CopyBoth) {
  play(">Q W:1 d:1 d:1", Phase::copy_both);
  play(">Q W:1 d:1 >c c:1 T:1 D:1 C:1 C:1 Z:1.");
  play(">Q W:1 >Q=violation >S=violation", Phase::copy_both);
  play(">E W:?", Phase::in_query);
}

TEST(AnswerQueue, StrayCopyEndsAreIgnored) {
  play(">c=ignored");
  play(">Q >c >Q C:1 Z:1. C:3 Z:3.");
  play(">P >c >c >S 1:1. Z:4.");
}

TEST(AnswerQueue, ReadyNeedsAnOutcome) {
  play(">Q Z:? T:1 Z:? D:1 Z:? C:1 T:1 Z:? C:1 Z:1.");
  play(">F Z:? V:1 V:? Z:1.");
  play(">Q E:1 T:? D:? C:? I:? G:? H:? d:? E:1 Z:1.");
  play(">Q E:1 Z:1. Z:?");
}

TEST(AnswerQueue, Violations) {
  for (char type : std::string_view("123CDEGHIKRSTVWZcdnstvAN")) {
    AnswerQueue queue;
    const Answer answer = queue.on_backend(type);
    const bool asynchronous = std::string_view("NSA").find(type) != std::string_view::npos;
    EXPECT_EQ(answer.belongs, asynchronous  ? Answer::Belongs::nobody
                              : type == 'E' ? Answer::Belongs::connection
                                            : Answer::Belongs::violation)
        << type;
  }
  play(">P 2:? 3:? Z:? D:? C:? T:? t:? K:? R:? v:? 1:1.");
  play(">Ds T:? n:? t:1 t:? T:1.");
  play(">Dp t:? T:1.");
  play(">Q 1:? s:? n:? t:? V:? Z:? C:1 Z:1.");
  play(">E T:? Z:? n:? C:1.");
  play(">S C:? 1:? Z:1.");
  play(">F C:? D:? V:1 Z:1.");
}

TEST(AnswerQueue, GivesBackIdAndSwallow) {
  AnswerQueue queue;
  queue.push(Kind::query, 0xfedcba9876543210, true);
  queue.on_backend('C');
  ASSERT_NE(queue.current(), nullptr);
  const Answer answer = queue.on_backend('Z');
  EXPECT_EQ(answer.entry, (InFlight{0xfedcba9876543210, Kind::query, true}));
  EXPECT_EQ(queue.current(), nullptr);
}

TEST(AnswerQueue, HoldsItsLimit) {
  AnswerQueue queue(4);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::queued);
  ASSERT_EQ(queue.push(Kind::sync, 1), Pushed::queued);
  ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::full);
  ASSERT_EQ(queue.push(Kind::sync, 1), Pushed::full);
  queue.on_backend('1');
  ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::queued);
  // What was discarded and not yet taken still counts.
  queue.on_backend('E');
  ASSERT_EQ(queue.size(), 2u);
  ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::queued);
  ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::full);
  InFlight entry;
  ASSERT_TRUE(queue.take_discarded(entry));
  ASSERT_EQ(queue.push(Kind::parse, 1), Pushed::queued);
  EXPECT_EQ(AnswerQueue().in_flight_max(), limits::kPgInFlightMax);
}

TEST(AnswerQueue, GrowsWhileItTurns) {
  AnswerQueue queue;
  uint64_t next_pushed = 0;
  uint64_t next_answered = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round; ++i) ASSERT_EQ(queue.push(Kind::parse, next_pushed++), Pushed::queued);
    for (int i = 0; i < round - round % 3; ++i) ASSERT_EQ(queue.on_backend('1').entry.id, next_answered++);
  }
  while (!queue.empty()) ASSERT_EQ(queue.on_backend('1').entry.id, next_answered++);
  EXPECT_EQ(next_answered, next_pushed);
}

}  // namespace
}  // namespace sallyport::postgres
