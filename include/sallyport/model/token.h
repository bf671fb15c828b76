// SPDX-License-Identifier: Apache-2.0
// What a verified token says: plain values, none of it taken on trust.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::model {

/// The `kubernetes.io` claims of a bound service-account token. Empty: not said.
struct KubernetesClaims {
  std::string name_space;
  std::string service_account;
  std::string service_account_uid;
  std::string pod;
  std::string pod_uid;
  std::string node;
};

/// One claim by its JSON pointer ("/groups", "/kubernetes.io/pod/uid") with its values as text: a list gives several,
/// numbers and booleans as JSON writes them.
struct Claim {
  std::string pointer;
  std::vector<std::string> values;
};

/// Claims of a token whose signature, issuer, audience and times have been verified.
struct Token {
  std::string issuer;  ///< name of the Issuer in policy
  std::string subject;
  std::vector<std::string> audience;
  std::string id;                   ///< `jti`, or empty
  std::string algorithm;            ///< "ES256"
  std::string key_id;               ///< of the key that signed it
  int64_t expires_wall_ns = 0;      ///< `exp`, without skew
  int64_t valid_until_wall_ns = 0;  ///< `exp` and the skew that policy allows: from then on it is refused
  int64_t issued_wall_ns = 0;       ///< `iat`; 0: not said
  std::optional<KubernetesClaims> kubernetes;
  std::vector<Claim> claims;  ///< all of them, by pointer
};

}  // namespace sallyport::model
