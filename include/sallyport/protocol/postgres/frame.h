// SPDX-License-Identifier: Apache-2.0
// PostgreSQL frontend/backend protocol 3.x: how bytes become frames. Sans-IO, nothing is copied: every view
// borrows the input handed in and holds as long as that input does.
//
//   +------+---------------------+------------------- - -
//   | type |  length (u32, BE)   | body: length - 4 bytes      `length` counts itself, not the type byte
//   +------+---------------------+------------------- - -
//   The packets before StartupMessage's answer have no type byte (see startup.h).
//
// Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "sallyport/base/limits.h"

namespace sallyport::postgres {

inline constexpr size_t kFrameHeaderBytes = 5;

/// Who sent a message. Type bytes mean different things in the two directions.
enum class Side : uint8_t { agent, server };

/// Types of messages that an agent sends.
namespace frontend {
inline constexpr char kBind = 'B';
inline constexpr char kClose = 'C';
inline constexpr char kCopyData = 'd';
inline constexpr char kCopyDone = 'c';
inline constexpr char kCopyFail = 'f';
inline constexpr char kDescribe = 'D';
inline constexpr char kExecute = 'E';
inline constexpr char kFlush = 'H';
inline constexpr char kFunctionCall = 'F';
inline constexpr char kParse = 'P';
inline constexpr char kPassword = 'p';  ///< PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
inline constexpr char kQuery = 'Q';
inline constexpr char kSync = 'S';
inline constexpr char kTerminate = 'X';
/// All of the above.
inline constexpr std::string_view kTypes = "BCdcfDEHFPpQSX";
}  // namespace frontend

/// Types of messages that a server sends.
namespace backend {
inline constexpr char kAuthentication = 'R';
inline constexpr char kBackendKeyData = 'K';
inline constexpr char kBindComplete = '2';
inline constexpr char kCloseComplete = '3';
inline constexpr char kCommandComplete = 'C';
inline constexpr char kCopyBothResponse = 'W';
inline constexpr char kCopyData = 'd';
inline constexpr char kCopyDone = 'c';
inline constexpr char kCopyInResponse = 'G';
inline constexpr char kCopyOutResponse = 'H';
inline constexpr char kDataRow = 'D';
inline constexpr char kEmptyQueryResponse = 'I';
inline constexpr char kErrorResponse = 'E';
inline constexpr char kFunctionCallResponse = 'V';
inline constexpr char kNegotiateProtocolVersion = 'v';
inline constexpr char kNoData = 'n';
inline constexpr char kNoticeResponse = 'N';
inline constexpr char kNotificationResponse = 'A';
inline constexpr char kParameterDescription = 't';
inline constexpr char kParameterStatus = 'S';
inline constexpr char kParseComplete = '1';
inline constexpr char kPortalSuspended = 's';
inline constexpr char kReadyForQuery = 'Z';
inline constexpr char kRowDescription = 'T';
/// All of the above.
inline constexpr std::string_view kTypes = "RK23CWdcGHDIEVvnNAtS1sZT";
}  // namespace backend

/// "Query", "DataRow": the documentation's name, for records and errors; "unknown message" for any other byte.
std::string_view type_name(Side sender, char type);

/// The largest frame of this type, header included, that this protocol allows; 0 for a type that does not
/// exist. Small messages (Sync, Execute …) end at kPgSmallMessageBytesMax, authentication at
/// kPgAuthMessageBytesMax, all that carry user data at kPgMessageBytesMax.
size_t frame_bytes_max(Side sender, char type);

struct Header {
  char type = 0;
  uint32_t length = 0;  ///< as on the wire: the body's bytes + 4
  /// The whole message, type byte and length included.
  size_t frame_bytes() const { return size_t{length} + 1; }
  size_t body_bytes() const { return size_t{length} - 4; }
};

/// One whole message. `raw` is what relay forwards, `body` what parse_… reads; both borrow the input.
struct Frame {
  char type = 0;
  std::string_view raw;
  std::string_view body;
};

/// The input ends within a message. `bytes_wanted` counts from the input's first byte: call again once the
/// input has that many (asking earlier is harmless).
struct NeedMore {
  size_t bytes_wanted = 0;
  bool operator==(const NeedMore&) const = default;
};

/// The peer broke the protocol: the flow ends. `why` is one lower-case line without any of the peer's data.
struct Violation {
  std::string why;
  bool operator==(const Violation&) const = default;
};

/// A legal message that is larger than kPgBufferedMessageBytesMax, so it is never buffered whole. The caller
/// passes it on (rows, COPY data, Bind) or discards it (a statement nobody could judge) piece by piece with
/// PassThrough. Its first bytes are at the input's front; nothing was consumed.
struct Large {
  Header header;
};

/// Reads a header without the body: type known for `sender`, length within frame_bytes_max.
std::variant<Header, NeedMore, Violation> peek_header(Side sender, std::string_view input);

/// Cuts a borrowed input into frames of one direction. Holds no bytes and no position: the caller consumes
/// frame.raw.size() bytes and asks again.
class FrameReader {
 public:
  explicit FrameReader(Side sender) : sender_(sender) {}

  std::variant<Frame, Large, NeedMore, Violation> next(std::string_view input) const;

 private:
  Side sender_;
};

/// Counts off the rest of a message that passes in pieces.
///
///   PassThrough rest(large.header.frame_bytes());
///   std::string_view piece = rest.take(input);   // forward or drop it, consume piece.size(), read on
class PassThrough {
 public:
  PassThrough() = default;
  explicit PassThrough(size_t bytes) : remaining_(bytes) {}

  /// The front of `input` that still belongs to the message; counts it as gone.
  std::string_view take(std::string_view input) {
    std::string_view piece = input.substr(0, std::min(remaining_, input.size()));
    remaining_ -= piece.size();
    return piece;
  }
  size_t remaining() const { return remaining_; }
  bool done() const { return remaining_ == 0; }

 private:
  size_t remaining_ = 0;
};

}  // namespace sallyport::postgres
