// SPDX-License-Identifier: Apache-2.0
// Bodies out of a stream, piece by piece: nothing is kept but a count and, of a chunked one, its trailer section.
//
//   chunk      = 1*16HEXDIG [ ";" extension ] CRLF data CRLF     extensions are skipped, within a limit
//   last-chunk = 1*"0" [ ";" extension ] CRLF
//   trailers   = *( name ":" value CRLF ) CRLF
//
// RFC 9112 section 7.1. Not Boost.Beast's: that one wants each size line and all trailers at once and checks by
// assertion that it got them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/protocol/http/message.h"

namespace sallyport::http {

class BodyReader {
 public:
  explicit BodyReader(Framing framing) : framing_(framing), left_(framing.length) {}

  /// A part of the body. Views hold as long as the input does.
  struct Piece {
    size_t consumed = 0;    ///< bytes of the input, framing included
    std::string_view data;  ///< may be empty
    bool last = false;
    std::vector<Field> trailers;
  };
  /// What the front of `input` holds. `until_close` has no last piece; without a body the first one is it, and empty.
  std::variant<NeedMore, Violation, Piece> next(std::string_view input);

 private:
  enum class State : uint8_t { size, extension, size_end, data, data_cr, data_end, trailers };
  std::variant<NeedMore, Violation, Piece> next_chunked(std::string_view input);
  const char* on_framing_byte(char c);

  Framing framing_;
  uint64_t left_;
  State state_ = State::size;
  uint8_t digits_ = 0;
  size_t extension_bytes_ = 0;  ///< of the whole body
};

/// `data` as one chunk; none for no data: an empty chunk would be the last.
void append_chunk(std::string& out, std::string_view data);
void append_last_chunk(std::string& out, std::span<const Field> trailers);

}  // namespace sallyport::http
