// SPDX-License-Identifier: Apache-2.0
// Pairs what was forwarded to a server with what the server answers. The protocol is pipelined and its answers
// carry no number: order is all there is. The queue knows the protocol's rules and no policy:
//   - query and function_call end at ReadyForQuery, with or without ErrorResponse before it; so does sync;
//   - parse, bind, close, describe_*, execute end at their own answer; an ErrorResponse ends them and makes the
//     server skip everything up to the next Sync, so entries up to there are discarded (take_discarded());
//   - COPY runs inside a query or execute; while the server reads COPY data it ignores Sync, so a Sync that stands
//     between an execute and the end of its COPY has no answer (libpq relies on it), unless that COPY fails before
//     the server came to read the Sync, which cannot be seen: then one more ReadyForQuery is let through for it;
//   - notices, ParameterStatus and notifications belong to nobody; an ErrorResponse when nothing is in flight is
//     the server's farewell;
//   - anything else is a violation: an answer that nobody asked for.
// One ring of 16-byte entries that grows by doubling and is then reused: no allocation per message.
// Source: PostgreSQL documentation, "Message Flow"; server: PostgresMain (ignore_till_sync), CopyGetData.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/frame.h"
#include "sallyport/protocol/postgres/state.h"

namespace sallyport::postgres {

/// One message that is, or was, in flight. Flush and Terminate have no answer and no entry. CopyDone and CopyFail
/// must be pushed (copy_end): they say where in the stream a COPY ends. CopyData need not.
struct InFlight {
  enum class Kind : uint8_t {
    query,
    parse,
    bind,
    describe_statement,
    describe_portal,
    execute,
    close,
    sync,
    function_call,
    copy_end,
  };
  uint64_t id = 0;  ///< the caller's; means nothing here
  Kind kind = Kind::query;
  bool swallow = false;  ///< our own: its answers are not for the agent

  bool operator==(const InFlight&) const = default;
};
std::string_view to_string(InFlight::Kind kind);

/// What became of a push.
enum class Pushed : uint8_t {
  queued,     ///< forward it; its answer (for copy_end: the COPY's) will be matched
  ignored,    ///< the server would ignore it here (Sync amid COPY data, CopyDone outside of a COPY): it has no answer.
              ///< Do not forward such a Sync: should the COPY just have failed, the server would answer it
  skipped,    ///< the server skips to Sync: no answer, id already among the discarded; forward it or not
  full,       ///< over the limit: nothing was pushed; read no more from the agent until answers came
  violation,  ///< the server reads COPY data and would fail on this: nothing was pushed, end the flow
};

/// What one backend message is.
struct Answer {
  enum class Belongs : uint8_t {
    entry,       ///< to `entry`
    nobody,      ///< asynchronous: NoticeResponse, ParameterStatus, NotificationResponse
    connection,  ///< ErrorResponse with nothing in flight: the server is about to close
    violation,   ///< nobody expects it
  };
  Belongs belongs = Belongs::violation;
  InFlight entry;         ///< valid for `entry`
  bool finished = false;  ///< this was the entry's last message; it has left the queue
};

class AnswerQueue {
 public:
  explicit AnswerQueue(size_t in_flight_max = limits::kPgInFlightMax) : in_flight_max_(in_flight_max) {}

  /// Call in the order in which messages are handed to the server. `swallow` and `id` come back with each answer.
  Pushed push(InFlight::Kind kind, uint64_t id, bool swallow = false);

  /// Call for each message from the server after the first ReadyForQuery, in order. Constant time, except for an
  /// ErrorResponse and a CopyInResponse, which look at the entries they discard.
  Answer on_backend(char type);

  /// The oldest entry that will never be answered, because an error made the server skip it or (Sync) a COPY
  /// swallowed it; false when there is none left. Entries not taken are kept, and count against the limit.
  bool take_discarded(InFlight& entry);
  bool has_discarded() const { return discarded_taken_ != discarded_.size(); }

  /// What the server is answering now, nullptr when nothing is in flight. Valid until the next call.
  const InFlight* current() const;
  /// ready, in_query, copy_in, copy_out, copy_both or skip_to_sync.
  Phase phase() const;
  /// Entries in flight, copy_end included.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t in_flight_max() const { return in_flight_max_; }

 private:
  enum class Copy : uint8_t { none, in, in_ended, out, out_ended, both };
  /// How far the front is: `some` means that it may end now (query, function_call) or that its first half has come
  /// (describe_statement); after `failed` only ReadyForQuery may come.
  enum class Progress : uint8_t { none, some, failed };

  InFlight& at(size_t index) { return ring_[(first_ + index) & (ring_.size() - 1)]; }
  const InFlight& at(size_t index) const { return ring_[(first_ + index) & (ring_.size() - 1)]; }
  Pushed push_within_copy(InFlight::Kind kind);
  void append(const InFlight& entry);
  void grow();
  InFlight pop_front();
  void discard_front();
  Answer answered(bool finished);
  Answer on_error();
  Answer on_ready();
  Answer on_result(char type);
  Answer on_copy_response(char type);
  Answer on_copy_data(char type);
  Answer on_query_result(char type);
  Answer on_describe(char type);
  void begin_copy_in();
  void end_doubt();

  size_t in_flight_max_;
  std::vector<InFlight> ring_;  ///< INVARIANT: size is 0 or a power of two
  size_t first_ = 0;
  size_t size_ = 0;  ///< INVARIANT: the front is never a copy_end
  std::vector<InFlight> discarded_;
  size_t discarded_taken_ = 0;
  std::vector<InFlight> lost_syncs_;  ///< Syncs that the COPY at hand swallowed, or the one that failed last
  Copy copy_ = Copy::none;            ///< of the front
  Progress progress_ = Progress::none;
  bool skipping_ = false;  ///< the server ignores all until Sync, and no Sync is in flight
};

}  // namespace sallyport::postgres
