// SPDX-License-Identifier: Apache-2.0
// ULIDs: 48 bits of milliseconds since 1970 and 80 random bits, as 26 letters of Crockford's
// base32. They sort by time. Specification: https://github.com/ulid/spec
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sallyport/model/session.h"

namespace sallyport::record {

/// `random`: ten bytes from a cryptographic source; `wall_ns` since 1970-01-01 UTC.
model::SessionId make_session_id(int64_t wall_ns, const std::array<uint8_t, 10>& random);

/// The same with ten bytes from OpenSSL's generator.
model::SessionId make_session_id(int64_t wall_ns);

/// The sixteen bytes behind an id (letters in either case); nullopt: not a ULID.
std::optional<std::array<uint8_t, 16>> session_id_bytes(std::string_view id);
model::SessionId session_id_from_bytes(const std::array<uint8_t, 16>& bytes);

/// When the session began, as its id says, in ns since 1970 (to the millisecond). 0: not a ULID.
int64_t session_id_wall_ns(std::string_view id);

}  // namespace sallyport::record
