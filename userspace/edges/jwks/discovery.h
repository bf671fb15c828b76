// SPDX-License-Identifier: Apache-2.0
// One look at an issuer's keys (OpenID Connect Discovery 1.0 section 4).
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "sallyport/edges/jwks.h"

namespace sallyport::edges {

struct Fetched {
  std::string text;          ///< the key set as it was sent
  int64_t fresh_for_s = -1;  ///< Cache-Control and Age; -1: not said; 0: not to be kept
};

/// Discovery, then the key set, both over HTTPS whose certificate is verified for the host that is asked; no redirect
/// is followed, answers are bounded. Blocks up to twice times.answer; `stop` ends it sooner.
Result<Fetched> discover_keys(const IssuerSource& source, const JwksTimes& times, const std::atomic<bool>& stop);

/// A local file, bounded.
Result<std::string> read_key_file(const std::string& path);
/// What a change of the file changes; empty: it is not there.
std::string fingerprint_of(const std::string& path);

/// Seconds that an answer may be kept by its Cache-Control and Age headers (RFC 9111 section 5.2); see Fetched.
int64_t fresh_for(std::string_view cache_control, std::string_view age);

}  // namespace sallyport::edges
