// SPDX-License-Identifier: Apache-2.0
// The packets that open a PostgreSQL connection: they have no type byte, and come from the agent only.
//
//   +-------------------+--------------------+----------------- - -
//   | length (u32, BE)  | version or request | parameters or key           length counts itself
//   +-------------------+--------------------+----------------- - -
//   version 3.m = 3 << 16 | m      requests: 1234 << 16 | 5678 cancel, 5679 SSL, 5680 GSS encryption
//
// Source: PostgreSQL documentation, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest;
// limits as in the server's ProcessStartupPacket. A direct TLS connection begins with 0x16: ask detect() first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sallyport/protocol/postgres/frame.h"

namespace sallyport::postgres {

inline constexpr uint32_t kProtocol30 = 3u << 16;
inline constexpr uint32_t kProtocol32 = 3u << 16 | 2u;
inline constexpr uint32_t kCancelRequestCode = 1234u << 16 | 5678u;
inline constexpr uint32_t kSslRequestCode = 1234u << 16 | 5679u;
inline constexpr uint32_t kGssEncRequestCode = 1234u << 16 | 5680u;
inline constexpr size_t kCancelKeyBytesMin = 4;    ///< exactly 4 up to protocol 3.0
inline constexpr size_t kCancelKeyBytesMax = 256;  ///< protocol 3.2

/// "May I speak TLS?": answered by one byte, S or N. `raw` is the packet, as in all of these.
struct SslRequest {
  std::string_view raw;
};

/// "May I speak GSSAPI encryption?": answered by one byte, G or N.
struct GssEncRequest {
  std::string_view raw;
};

/// Never answered; the connection closes after it.
struct CancelRequest {
  uint32_t pid = 0;
  std::string_view key;  ///< kCancelKeyBytesMin to kCancelKeyBytesMax bytes, borrowed; a secret
  std::string_view raw;
};

struct StartupMessage {
  uint16_t major = 3;
  uint16_t minor = 0;
  /// In the order sent, names unique, values may be empty. Whatever begins with `_pq_.` asks for a protocol
  /// extension, not for a setting.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string_view raw;

  uint32_t version() const { return uint32_t{major} << 16 | minor; }
  /// The value of `name`, borrowed from this message; nothing if it was not sent.
  std::optional<std::string_view> find(std::string_view name) const;
};

using StartupResult = std::variant<SslRequest, GssEncRequest, CancelRequest, StartupMessage, NeedMore, Violation>;

/// Reads the packet at the front of `input`; consume `raw.size()` bytes of it. Violations: a length below 8 or
/// over kPgStartupBytesMax + 4, a major version that is not 3, a parameter named twice, parameters without their
/// terminator or with bytes behind it, a cancel key of the wrong size. A missing `user` is the caller's to refuse.
StartupResult next_startup(std::string_view input);

}  // namespace sallyport::postgres
