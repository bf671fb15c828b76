// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages (RFC 9112) as plain structs, and the heads of messages out of a stream.
//
//   request line | status line CRLF      parsed by Boost.Beast, behind checks that leave no second reading:
//   *( name ":" value CRLF )             bare CR or LF, folded lines, control characters, two lengths, both framings,
//   CRLF                                 codings but `chunked`, and names that CGI would take for framing are refused
//   [ body ]                             body.h
//
// Views point into the input that was handed in and hold as long as it does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::http {

struct Field {
  std::string_view name;   ///< as it came; names have no case, see same_name()
  std::string_view value;  ///< without blanks around it
};

/// How a body ends (RFC 9112 section 6.3).
struct Framing {
  enum class Kind : uint8_t { none, length, chunked, until_close };
  Kind kind = Kind::none;
  uint64_t length = 0;
};

struct RequestHead {
  std::string_view raw;  ///< with an empty line before it, if there is one, and the one behind it
  std::string_view method;
  std::string_view target;  ///< any of the four forms of RFC 9112 section 3.2
  int minor = 1;            ///< HTTP/1.minor
  std::vector<Field> fields;
  Framing body;
};

struct ResponseHead {
  std::string_view raw;
  int status = 0;
  std::string_view reason;
  int minor = 1;
  std::vector<Field> fields;
  Framing body;
  bool interim() const { return status < 200; }
};

struct NeedMore {};
/// The stream cannot be read on. `status` is what to tell an agent: 400, 414, 431, 501 or 505.
struct Violation {
  int status = 400;
  std::string why;  ///< "two Content-Length fields"
};

/// The head at the front of `input`. Bounded by limits::kHttpHeadBytesMax and kHttpFieldsMax.
std::variant<NeedMore, Violation, RequestHead> next_request(std::string_view input);
/// `to_head`: it answers a HEAD, so whatever it says of its length, no body follows.
std::variant<NeedMore, Violation, ResponseHead> next_response(std::string_view input, bool to_head);

/// Equal but for ASCII case.
bool same_name(std::string_view a, std::string_view b);
/// The value of the only field of that name; nothing: none, or several.
std::optional<std::string_view> find_only(std::span<const Field> fields, std::string_view name);
bool has_field(std::span<const Field> fields, std::string_view name);
/// Whether any field of that name has `token` in its comma-separated list, without case.
bool lists_token(std::span<const Field> fields, std::string_view name, std::string_view token);

/// What Connection says (RFC 9110 section 7.6.1).
struct Connection {
  bool close = false;
  bool keep_alive = false;
  std::vector<std::string_view> nominated;  ///< fields for this connection only
};
/// Fails where it nominates a field that every recipient needs: taking that away would change the message.
Result<Connection> read_connection(std::span<const Field> fields);
/// Whether the connection can carry another message after one of HTTP/1.`minor`.
bool persists(const Connection& connection, int minor);
/// Fields that are for one connection only, and so are not relayed. Transfer-Encoding is one: who relays a body frames
/// it again.
bool is_hop_by_hop(std::string_view name, const Connection& connection);

}  // namespace sallyport::http
