// SPDX-License-Identifier: Apache-2.0
// A stream of frames of one direction. Oracles: how the bytes are cut makes no difference to what is decoded;
// what was parsed encodes to the very bytes it came from.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/protocol/postgres/messages.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzzing {

/// Parses and encodes again; empty when the body is malformed or this type has no encoder.
using EncodeAgain = std::string (*)(const postgres::Frame& frame);

/// One event per frame, in words; ends with a violation or a large frame.
class StreamEvents {
 public:
  StreamEvents(postgres::Side side, EncodeAgain encode) : reader_(side), side_(side), encode_(encode) {}

  /// Bytes consumed; 0 when more are wanted or the stream has ended.
  size_t decode(std::string_view input) {
    if (ended_) return 0;
    const auto result = reader_.next(input);
    if (const auto* more = std::get_if<postgres::NeedMore>(&result)) {
      must(more->bytes_wanted > input.size(), "wants what is already there");
      return 0;
    }
    if (const auto* bad = std::get_if<postgres::Violation>(&result)) return end(bad->why);
    if (const auto* large = std::get_if<postgres::Large>(&result))
      return end(std::string("large ") + large->header.type);
    const auto& frame = std::get<postgres::Frame>(result);
    const bool well_formed = postgres::check_body(side_, frame.type, frame.body).has_value();
    const std::string again = encode_(frame);
    must(again.empty() || again == frame.raw, "encodes to other bytes than it was decoded from");
    must(well_formed || again.empty() || frame.type == postgres::frontend::kPassword, "malformed, but encodes");
    events_.push_back(std::string(frame.raw) + (well_formed ? " +" : " -"));
    return frame.raw.size();
  }
  const std::vector<std::string>& events() const { return events_; }

 private:
  size_t end(std::string why) {
    events_.push_back(std::move(why));
    ended_ = true;
    return 0;
  }

  postgres::FrameReader reader_;
  postgres::Side side_;
  EncodeAgain encode_;
  std::vector<std::string> events_;
  bool ended_ = false;
};

inline void check_stream(postgres::Side side, EncodeAgain encode, std::string_view input) {
  if (input.empty()) return;
  const auto seed = static_cast<uint8_t>(input[0]);
  input.remove_prefix(1);
  StreamEvents whole(side, encode);
  for (std::string_view rest = input; !rest.empty();) {
    const size_t consumed = whole.decode(rest);
    if (consumed == 0) break;
    rest.remove_prefix(consumed);
  }
  StreamEvents chunked(side, encode);
  feed_in_chunks(input, seed, [&](std::string_view readable) { return chunked.decode(readable); });
  must(whole.events() == chunked.events(), "the cutting of the bytes changed the events");
}

/// The list's elements as a vector, for encoders.
template <class Int>
std::vector<Int> elements(const postgres::IntList<Int>& list) {
  std::vector<Int> values;
  for (size_t i = 0; i < list.size(); ++i) values.push_back(list[i]);
  return values;
}
inline std::vector<postgres::Value> elements(const postgres::ValueList& list) {
  std::vector<postgres::Value> values(list.begin(), list.end());
  must(values.size() == list.size(), "a value list of another length than it says");
  return values;
}

}  // namespace sallyport::fuzzing
