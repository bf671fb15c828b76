// SPDX-License-Identifier: Apache-2.0
// From a token's text to verified claims, or to the reason why not. Pure: keys and the time are handed in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/identity/jwks.h"
#include "sallyport/identity/jws.h"
#include "sallyport/model/token.h"

namespace sallyport::identity {

/// What an Issuer of policy asks of every token.
struct IssuerRule {
  std::string name;                   ///< in policy
  std::string url;                    ///< `iss` must be exactly this
  std::vector<std::string> audience;  ///< one of them must be in `aud`
  AlgorithmSet algorithms = AlgorithmSet::all();
  int64_t skew_s = 60;  ///< at most limits::kTokenSkewMaxS
};

/// Signature first, then issuer, audience and times, all of RFC 7519 section 4.1 that has a meaning here. `exp`, `iss`,
/// `aud` and `sub` must be there. A key that the set lacks is told to `keys`, so that a later try may find it.
/// `compact` is without surrounding white space.
Checked<model::Token> verify_token(std::string_view compact, const IssuerRule& issuer, KeySet& keys, int64_t wall_ns);

/// What a token claims before anything is verified: to choose an Issuer and to show it. Never an identity.
struct Unverified {
  std::string algorithm, key_id, type;
  std::string issuer;
  model::Token claims;
};
Checked<Unverified> read_unverified(std::string_view compact);

/// A file's text as a token: without one line end behind it.
std::string_view trim_token(std::string_view text);

}  // namespace sallyport::identity
