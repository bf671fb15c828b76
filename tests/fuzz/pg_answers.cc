// SPDX-License-Identifier: Apache-2.0
// AnswerQueue against a model of the server. The input chooses what the agent pushes, how the server fares with it
// and how far its answers lag behind. Oracles: the queue never calls a right server wrong, gives each answer to the
// message that the model answered, finishes or discards each pushed message exactly once, and agrees with the model on
// the phase once all is quiet.
// The model leaves out what AnswerQueue's header says it cannot know: a COPY that fails before the server read what
// was sent behind its Execute, if that was more than Sync and the COPY's end.
#include <algorithm>
#include <deque>
#include <set>

#include "sallyport/protocol/postgres/answer_queue.h"
#include "tests/fuzz/fuzz.h"

namespace postgres = sallyport::postgres;
using postgres::InFlight;
using Kind = postgres::InFlight::Kind;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

/// A message on its way to the queue, and what the queue must say of it.
struct Expected {
  char type;
  postgres::Answer::Belongs belongs;
  InFlight entry;
  bool finished;
};

/// PostgresMain as far as order goes.
class Server {
 public:
  explicit Server(Choices& choices) : choices_(choices) {}

  std::deque<InFlight> inbox;
  std::deque<Expected> outbox;

  bool in_copy() const { return copying_; }
  bool skipping() const { return skipping_; }
  bool failed_early() const { return failed_early_; }

  /// Reads one message, or fails amid COPY. False: nothing to do.
  bool step() {
    if (copying_ && may_fail_early() && choices_.choose(4) == 1) {
      failed_early_ = true;
      fail();
      return true;
    }
    if (inbox.empty()) return false;
    const InFlight message = inbox.front();
    inbox.pop_front();
    if (choices_.choose(8) == 1) outbox.push_back({'N', postgres::Answer::Belongs::nobody, {}, false});
    if (copying_) {
      read_in_copy(message);
    } else if (message.kind == Kind::copy_end || (skipping_ && message.kind != Kind::sync)) {
      // ignored
    } else {
      current_ = message;
      run();
    }
    return true;
  }

 private:
  bool may_fail_early() const {
    return std::all_of(inbox.begin(), inbox.end(), [](const InFlight& message) {
      return message.kind == Kind::sync || message.kind == Kind::copy_end;
    });
  }

  void say(char type, bool finished = false) {
    outbox.push_back({type, postgres::Answer::Belongs::entry, current_, finished});
  }
  bool simple() const { return current_.kind == Kind::query || current_.kind == Kind::function_call; }

  void fail() {
    copying_ = false;
    say('E', !simple() && current_.kind != Kind::sync);
    if (simple()) return say('Z', true);
    skipping_ = current_.kind != Kind::sync;
  }

  void read_in_copy(const InFlight& message) {
    if (message.kind == Kind::sync) return;
    if (message.kind != Kind::copy_end || choices_.flip()) return fail();
    copying_ = false;
    complete();
  }

  /// A statement's CommandComplete; a simple query may have more statements.
  void complete() {
    say('C', !simple());
    if (!simple()) return;
    choices_.choose(3) == 1 ? statement() : say('Z', true);
  }

  void statement() {
    const bool query = current_.kind == Kind::query;
    switch (choices_.choose(6)) {
      case 0:
        if (query) say('T');
        for (size_t rows = choices_.choose(3); rows > 0; --rows) say('D');
        return complete();
      case 1:
        return complete();
      case 2:
        return fail();
      case 3:
        say('G');
        copying_ = true;
        return;
      case 4:
        say('H');
        for (size_t lines = choices_.choose(3); lines > 0; --lines) say('d');
        if (choices_.flip()) return fail();
        say('c');
        return complete();
      default:
        say(query || choices_.flip() ? 'I' : 's', !query);
        if (query) say('Z', true);
    }
  }

  void run() {
    const bool fails = choices_.choose(5) == 1;
    switch (current_.kind) {
      case Kind::query:
      case Kind::execute:
        return statement();
      case Kind::sync:
        skipping_ = false;
        if (fails && !failed_early_) say('E');
        return say('Z', true);
      case Kind::function_call:
        if (fails) return fail();
        say('V');
        return say('Z', true);
      case Kind::parse:
        return fails ? fail() : say('1', true);
      case Kind::bind:
        return fails ? fail() : say('2', true);
      case Kind::close:
        return fails ? fail() : say('3', true);
      case Kind::describe_statement:
        if (fails && choices_.flip()) return fail();
        say('t');
        if (fails) return fail();
        return say(choices_.flip() ? 'T' : 'n', true);
      case Kind::describe_portal:
        return fails ? fail() : say(choices_.flip() ? 'T' : 'n', true);
      case Kind::copy_end:
        return;
    }
  }

  Choices& choices_;
  InFlight current_;
  bool copying_ = false;
  bool skipping_ = false;
  bool failed_early_ = false;
};

class Conversation {
 public:
  explicit Conversation(Choices& choices) : choices_(choices), server_(choices), queue_(2 + choices.choose(14)) {}

  void run() {
    while (!choices_.empty()) {
      switch (choices_.choose(3)) {
        case 0:
          push();
          break;
        case 1:
          server_.step();
          break;
        default:
          deliver();
      }
    }
    // Let everything come to rest: with no choices left the server fares well and does not fail early.
    while (server_.step() || deliver()) {
    }
    check_rest();
  }

 private:
  void push() {
    const auto kind = static_cast<Kind>(choices_.choose(10));
    // Once a COPY failed before its time, only Syncs keep their meaning: see the head of this file.
    if (server_.failed_early() && kind != Kind::sync && kind != Kind::copy_end) return;
    const InFlight message{++last_id_, kind, false};
    const size_t before = queue_.size();
    sallyport::fuzzing::story().append(">").append(postgres::to_string(kind)).append(" ");
    switch (queue_.push(kind, message.id, message.swallow)) {
      case postgres::Pushed::queued:
        if (kind != Kind::copy_end) open_.insert(message.id);
        server_.inbox.push_back(message);
        break;
      case postgres::Pushed::ignored:
        if (kind == Kind::copy_end) server_.inbox.push_back(message);
        break;
      case postgres::Pushed::skipped:
        open_.insert(message.id);
        if (!server_.failed_early() && choices_.flip()) server_.inbox.push_back(message);
        break;
      case postgres::Pushed::full:
      case postgres::Pushed::violation:
        must(queue_.size() == before, "pushed nothing, but grew");
        break;
    }
    must(queue_.size() <= queue_.in_flight_max(), "over the limit");
    take_discarded();
  }

  bool deliver() {
    if (server_.outbox.empty()) return false;
    const Expected expected = server_.outbox.front();
    server_.outbox.pop_front();
    sallyport::fuzzing::story()
        .append(1, expected.type)
        .append(":")
        .append(std::to_string(expected.entry.id))
        .append(" ");
    const postgres::Answer answer = queue_.on_backend(expected.type);
    must(answer.belongs == expected.belongs, "belongs to somebody else");
    must(answer.finished == expected.finished, "finished at another message");
    if (answer.belongs == postgres::Answer::Belongs::entry) {
      must(answer.entry.kind == expected.entry.kind, "belongs to another kind of message");
      // Which of several Syncs it was cannot be told after a COPY failed, and makes no difference.
      must(answer.entry.id == expected.entry.id || expected.entry.kind == Kind::sync, "belongs to another message");
      if (answer.finished) must(open_.erase(answer.entry.id) == 1, "finished twice, or never pushed");
    }
    take_discarded();
    return true;
  }

  void take_discarded() {
    InFlight entry;
    while (queue_.take_discarded(entry)) must(open_.erase(entry.id) == 1, "discarded twice, or never pushed");
  }

  void check_rest() {
    const postgres::Phase phase = queue_.phase();
    if (server_.in_copy())
      return must(phase == postgres::Phase::copy_in, "the server reads COPY data, the queue denies");
    must(queue_.empty(), "something is in flight that was answered");
    must((phase == postgres::Phase::skip_to_sync) == server_.skipping() || server_.failed_early(),
         "one skips to Sync, the other does not");
  }

  Choices& choices_;
  Server server_;
  postgres::AnswerQueue queue_;
  std::set<uint64_t> open_;
  uint64_t last_id_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  sallyport::fuzzing::story().clear();
  Conversation(choices).run();
  return 0;
}
