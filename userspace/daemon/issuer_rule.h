// SPDX-License-Identifier: Apache-2.0
// An Issuer of policy in identity's words: the two modules do not know each other.
#pragma once

#include "sallyport/base/clock.h"
#include "sallyport/identity/token.h"
#include "sallyport/policy/document.h"

namespace sallyport::daemon {

inline identity::IssuerRule issuer_rule(const policy::Issuer& issuer) {
  identity::IssuerRule out{.name = issuer.name, .url = issuer.url, .audience = issuer.audience};
  out.skew_s = issuer.skew_ns / kNanosPerSecond;
  if (!issuer.algorithms.empty()) out.algorithms = {};
  for (const std::string& name : issuer.algorithms)
    if (const auto algorithm = identity::find_algorithm(name)) out.algorithms.add(*algorithm);
  return out;
}

}  // namespace sallyport::daemon
