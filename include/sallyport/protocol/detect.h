// SPDX-License-Identifier: Apache-2.0
// Which protocol the first bytes of a flow belong to, when no Target says so. Pure: the caller keeps the bytes
// and hands them to whoever is chosen. Server-first protocols cannot be told this way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sallyport::detect {

/// `need_more`: what is there fits more than one answer; ask again with more bytes. Never given for
/// kDetectBytesMax bytes or more.
enum class Protocol : uint8_t { need_more, postgres, tls, http, ssh, unknown };

inline constexpr size_t kDetectBytesMax = 16;

/// Judges a prefix of the flow's bytes from the agent. An answer other than need_more never changes when bytes
/// are added. `tls` is a ClientHello record, `http` an HTTP/1 request line or the HTTP/2 preface.
Protocol detect(std::string_view first_bytes);

/// "postgres", "tls" …
std::string_view to_string(Protocol protocol);

}  // namespace sallyport::detect
