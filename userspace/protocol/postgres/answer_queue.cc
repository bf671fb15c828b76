// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/answer_queue.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::postgres {
namespace {

using Kind = InFlight::Kind;
using Belongs = Answer::Belongs;

constexpr size_t kFirstRingSize = 16;

/// An ErrorResponse to one of these makes the server skip to Sync (PostgresMain: doing_extended_query_message).
bool is_extended(Kind kind) {
  switch (kind) {
    case Kind::parse:
    case Kind::bind:
    case Kind::describe_statement:
    case Kind::describe_portal:
    case Kind::execute:
    case Kind::close:
      return true;
    default:
      return false;
  }
}

/// Ends at ReadyForQuery.
bool ends_when_ready(Kind kind) { return kind == Kind::query || kind == Kind::function_call || kind == Kind::sync; }

Answer violation() { return {Belongs::violation, {}, false}; }

}  // namespace

std::string_view to_string(Kind kind) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "query",   "parse", "bind", "describe statement", "describe portal",
      "execute", "close", "sync", "function call",      "copy end"};
  return kNames[static_cast<size_t>(kind)];
}

Pushed AnswerQueue::push(Kind kind, uint64_t id, bool swallow) {
  if (copy_ == Copy::in || copy_ == Copy::both) return push_within_copy(kind);
  if (kind == Kind::copy_end && (size_ == 0 || skipping_)) return Pushed::ignored;
  if (size_ + lost_syncs_.size() + discarded_.size() - discarded_taken_ >= in_flight_max_) return Pushed::full;
  const InFlight entry{id, kind, swallow};
  if (skipping_ && kind != Kind::sync) {
    discarded_.push_back(entry);
    return Pushed::skipped;
  }
  skipping_ = false;
  append(entry);
  return Pushed::queued;
}

Pushed AnswerQueue::push_within_copy(Kind kind) {
  if (kind == Kind::copy_end) {
    if (copy_ == Copy::in) copy_ = Copy::in_ended;
    return Pushed::queued;
  }
  // CopyGetData: Flush and Sync are ignored "for the convenience of client libraries".
  if (kind == Kind::sync && copy_ == Copy::in) return Pushed::ignored;
  return Pushed::violation;
}

Answer AnswerQueue::on_backend(char type) {
  switch (type) {
    case backend::kNoticeResponse:
    case backend::kParameterStatus:
    case backend::kNotificationResponse:
      return {Belongs::nobody, {}, false};
    case backend::kErrorResponse:
      return on_error();
    default:
      break;
  }
  if (type == backend::kReadyForQuery) return on_ready();
  if (size_ == 0 || progress_ == Progress::failed) return violation();
  switch (type) {
    case backend::kCopyData:
    case backend::kCopyDone:
      return on_copy_data(type);
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
    case backend::kCopyBothResponse:
      return on_copy_response(type);
    default:
      return on_result(type);
  }
}

Answer AnswerQueue::on_error() {
  if (size_ == 0) return {Belongs::connection, {}, false};
  // Lost syncs stay in doubt only if it was their COPY that failed.
  if (copy_ != Copy::in && copy_ != Copy::in_ended) end_doubt();
  copy_ = Copy::none;
  progress_ = Progress::failed;
  if (!is_extended(at(0).kind)) return answered(false);
  const Answer answer = answered(true);
  while (size_ > 0 && at(0).kind != Kind::sync) discard_front();
  skipping_ = size_ == 0;
  return answer;
}

Answer AnswerQueue::on_ready() {
  if (copy_ != Copy::none) return violation();
  if (size_ > 0 && ends_when_ready(at(0).kind) && (at(0).kind == Kind::sync || progress_ != Progress::none))
    return answered(true);
  if (lost_syncs_.empty()) return violation();
  // The COPY had failed before the server read this Sync. Which of several Syncs was answered makes no difference:
  // all that counts is that every other entry keeps its place.
  const InFlight sync = lost_syncs_.front();
  lost_syncs_.erase(lost_syncs_.begin());
  skipping_ = false;
  return {Belongs::entry, sync, true};
}

Answer AnswerQueue::on_copy_response(char type) {
  const Kind kind = at(0).kind;
  if (copy_ != Copy::none || (kind != Kind::query && kind != Kind::execute)) return violation();
  end_doubt();
  if (type == backend::kCopyBothResponse) {
    // Only a walsender sends it, and that knows no extended protocol.
    if (kind != Kind::query) return violation();
    copy_ = Copy::both;
  } else if (type == backend::kCopyOutResponse) {
    copy_ = Copy::out;
  } else {
    begin_copy_in();
  }
  return answered(false);
}

/// The server now reads COPY data from what was sent behind the front: syncs up to the end of the COPY are lost on
/// it, any other message makes the COPY fail and is lost as well.
void AnswerQueue::begin_copy_in() {
  copy_ = Copy::in;
  const InFlight front = at(0);
  size_t keep_from = 1;
  for (; keep_from < size_ && copy_ == Copy::in; ++keep_from) {
    const InFlight& behind = at(keep_from);
    if (behind.kind == Kind::sync) {
      lost_syncs_.push_back(behind);
      continue;
    }
    copy_ = Copy::in_ended;
    if (behind.kind != Kind::copy_end) discarded_.push_back(behind);
  }
  // The front moves up to stand before what is kept.
  first_ = (first_ + keep_from - 1) & (ring_.size() - 1);
  size_ -= keep_from - 1;
  at(0) = front;
}

Answer AnswerQueue::on_copy_data(char type) {
  if (copy_ == Copy::both) return answered(false);
  if (copy_ != Copy::out) return violation();
  if (type == backend::kCopyDone) copy_ = Copy::out_ended;
  return answered(false);
}

Answer AnswerQueue::on_result(char type) {
  if (copy_ == Copy::in || copy_ == Copy::out) return violation();
  const bool after_copy = copy_ == Copy::in_ended || copy_ == Copy::out_ended;
  if (after_copy && type != backend::kCommandComplete) return violation();
  end_doubt();
  switch (at(0).kind) {
    case Kind::query:
      return on_query_result(type);
    case Kind::execute:
      if (type == backend::kDataRow) return answered(false);
      return std::string_view("CIs").find(type) != std::string_view::npos ? answered(true) : violation();
    case Kind::parse:
      return type == backend::kParseComplete ? answered(true) : violation();
    case Kind::bind:
      return type == backend::kBindComplete ? answered(true) : violation();
    case Kind::close:
      return type == backend::kCloseComplete ? answered(true) : violation();
    case Kind::describe_statement:
    case Kind::describe_portal:
      return on_describe(type);
    case Kind::function_call:
      if (type != backend::kFunctionCallResponse || progress_ == Progress::some) return violation();
      progress_ = Progress::some;
      return answered(false);
    case Kind::sync:
    case Kind::copy_end:
      break;
  }
  return violation();
}

Answer AnswerQueue::on_query_result(char type) {
  switch (type) {
    case backend::kRowDescription:
    case backend::kDataRow:
      progress_ = Progress::none;
      break;
    case backend::kCommandComplete:
    case backend::kEmptyQueryResponse:
      progress_ = Progress::some;
      break;
    default:
      return violation();
  }
  copy_ = Copy::none;
  return answered(false);
}

Answer AnswerQueue::on_describe(char type) {
  const bool of_statement = at(0).kind == Kind::describe_statement;
  if (type == backend::kParameterDescription && of_statement && progress_ == Progress::none) {
    progress_ = Progress::some;
    return answered(false);
  }
  const bool complete = type == backend::kRowDescription || type == backend::kNoData;
  if (!complete || (of_statement && progress_ == Progress::none)) return violation();
  return answered(true);
}

/// What came shows that the lost Syncs are lost: no ReadyForQuery of theirs can follow any more.
void AnswerQueue::end_doubt() {
  discarded_.insert(discarded_.end(), lost_syncs_.begin(), lost_syncs_.end());
  lost_syncs_.clear();
}

bool AnswerQueue::take_discarded(InFlight& entry) {
  if (discarded_taken_ == discarded_.size()) return false;
  entry = discarded_[discarded_taken_++];
  if (discarded_taken_ == discarded_.size()) {
    discarded_.clear();
    discarded_taken_ = 0;
  }
  return true;
}

const InFlight* AnswerQueue::current() const { return size_ == 0 ? nullptr : &at(0); }

Phase AnswerQueue::phase() const {
  if (size_ == 0) return skipping_ ? Phase::skip_to_sync : Phase::ready;
  switch (copy_) {
    case Copy::in:
      return Phase::copy_in;
    case Copy::out:
      return Phase::copy_out;
    case Copy::both:
      return Phase::copy_both;
    default:
      return Phase::in_query;
  }
}

Answer AnswerQueue::answered(bool finished) { return {Belongs::entry, finished ? pop_front() : at(0), finished}; }

void AnswerQueue::append(const InFlight& entry) {
  if (size_ == ring_.size()) grow();
  at(size_++) = entry;
}

void AnswerQueue::grow() {
  std::vector<InFlight> larger(std::max(kFirstRingSize, ring_.size() * 2));
  for (size_t i = 0; i < size_; ++i) larger[i] = at(i);
  ring_ = std::move(larger);
  first_ = 0;
}

/// Takes the front away, and with it whatever copy_end follows: it ended no COPY, the server ignored it.
InFlight AnswerQueue::pop_front() {
  const InFlight front = at(0);
  copy_ = Copy::none;
  progress_ = Progress::none;
  do {
    first_ = (first_ + 1) & (ring_.size() - 1);
    --size_;
  } while (size_ > 0 && at(0).kind == Kind::copy_end);
  return front;
}

void AnswerQueue::discard_front() { discarded_.push_back(pop_front()); }

}  // namespace sallyport::postgres
