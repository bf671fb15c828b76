// SPDX-License-Identifier: Apache-2.0
// The claims of a token's payload as values of the right kind.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sallyport/identity/jws.h"
#include "sallyport/model/token.h"

namespace sallyport::identity {

/// Times in nanoseconds since 1970, cut to what an int64 holds.
struct Claims {
  std::string issuer;
  std::optional<int64_t> not_before_ns, issued_ns;
  model::Token token;  ///< the rest; `expires_wall_ns` is `exp`
};

/// `payload`: a JSON object. `iss`, `sub`, `aud` and `exp` must be there; whatever is there must be of its kind.
Checked<Claims> read_claims(const nlohmann::json& payload);

}  // namespace sallyport::identity
