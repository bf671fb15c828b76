// SPDX-License-Identifier: Apache-2.0
// A stream of HTTP/1.1 messages from one side. Oracles: what is read does not depend on how the stream is cut; views
// lie within the input; and what would be relayed is read again as the same messages, with the same bodies and
// trailers.
#include <fmt/core.h>

#include "sallyport/protocol/http/body.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sallyport;
using fuzzing::must;

/// Reads messages from the front of a stream, as flow/http does, and tells what it read and what it would send on.
class Reader {
 public:
  Reader(bool requests, bool to_head) : requests_(requests), to_head_(to_head) {}

  /// Bytes consumed; 0: wants more, or is over.
  size_t step(std::string_view input) {
    if (over_) return 0;
    if (body_) return step_body(input);
    return requests_ ? take_head(http::next_request(input), input)
                     : take_head(http::next_response(input, to_head_), input);
  }
  /// Method or status, data and trailers of each message.
  std::string text;
  std::string relayed;

 private:
  template <class Result>
  size_t take_head(const Result& next, std::string_view input) {
    if (std::holds_alternative<http::NeedMore>(next)) return 0;
    if (auto* wrong = std::get_if<http::Violation>(&next)) return stop(*wrong);
    const auto& head = std::get<2>(next);
    must(!head.raw.empty() && head.raw.data() == input.data() && head.raw.size() <= input.size(),
         "a head within the input");
    for (const http::Field& field : head.fields)
      must(
          !field.name.empty() && inside(field.name, head.raw) && (field.value.empty() || inside(field.value, head.raw)),
          "fields within the head");
    auto connection = http::read_connection(head.fields);
    if (!connection) return stop({});
    relayed += start_line(head);
    for (const http::Field& field : head.fields)
      if (!http::is_hop_by_hop(field.name, *connection)) {
        text += fmt::format("{}={};", field.name, field.value);
        relayed += fmt::format("{}: {}\r\n", field.name, field.value);
      }
    chunked_ = head.body.kind == http::Framing::Kind::chunked;
    relayed += chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
    body_.emplace(head.body);
    return head.raw.size();
  }
  std::string start_line(const http::RequestHead& head) {
    text += fmt::format("{} {} ", head.method, head.target);
    return fmt::format("{} {} HTTP/1.{}\r\n", head.method, head.target, head.minor);
  }
  std::string start_line(const http::ResponseHead& head) {
    text += fmt::format("{} ", head.status);
    return fmt::format("HTTP/1.{} {} {}\r\n", head.minor, head.status, head.reason);
  }
  size_t step_body(std::string_view input) {
    auto next = body_->next(input);
    if (std::holds_alternative<http::NeedMore>(next)) return 0;
    if (auto* wrong = std::get_if<http::Violation>(&next)) return stop(*wrong);
    const auto& piece = std::get<http::BodyReader::Piece>(next);
    must(piece.consumed <= input.size(), "a piece within the input");
    must(piece.data.empty() || inside(piece.data, input), "data within the input");
    must(piece.consumed > 0 || piece.last, "a piece that goes on");
    text += piece.data;
    for (const http::Field& field : piece.trailers) text += fmt::format("{}={};", field.name, field.value);
    if (chunked_) {
      http::append_chunk(relayed, piece.data);
      if (piece.last) http::append_last_chunk(relayed, piece.trailers);
    } else {
      relayed += piece.data;
    }
    if (!piece.last) return piece.consumed;
    text += "|";
    body_.reset();
    return piece.consumed == 0 ? step(input) : piece.consumed;
  }
  size_t stop(const http::Violation&) {
    over_ = true;
    return 0;
  }
  static bool inside(std::string_view part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
  }

  bool requests_, to_head_, over_ = false, chunked_ = false;
  std::optional<http::BodyReader> body_;
};

Reader read_whole(std::string_view stream, bool requests, bool to_head) {
  Reader reader(requests, to_head);
  while (const size_t consumed = reader.step(stream)) stream.remove_prefix(consumed);
  return reader;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzzing::Choices choices(fuzzing::view(data, size));
  const bool requests = choices.flip();
  const bool to_head = choices.flip();
  const auto seed = static_cast<uint32_t>(choices.choose(256));
  const std::string_view stream = choices.rest();

  const Reader whole = read_whole(stream, requests, to_head);
  Reader pieces(requests, to_head);
  fuzzing::feed_in_chunks(stream, seed, [&](std::string_view input) { return pieces.step(input); });
  must(pieces.text == whole.text, "the same messages however the stream is cut");
  const Reader again = read_whole(whole.relayed, requests, to_head);
  must(again.text == whole.text, "what is sent on is read as the same messages");
  return 0;
}
