// SPDX-License-Identifier: Apache-2.0
// An issuer of tests' own: makes keys of every kind, publishes them, signs what it is told to. It signs anything.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sallyport/identity/token.h"

namespace sallyport::identity::test {

std::string encode_base64url(std::string_view bytes);

/// A key pair; `alg` says how it signs: "RS256" … "EdDSA". Keys of one kind are made once in a process.
class Signer {
 public:
  /// `kind`: "RSA-2048", "RSA-1024", "P-256", "P-384", "P-521", "Ed25519", "Ed448", "secp256k1".
  explicit Signer(const std::string& kind, int instance = 0);
  std::string sign(std::string_view alg, std::string_view bytes) const;
  nlohmann::json public_jwk(const std::string& kid) const;
  std::shared_ptr<evp_pkey_st> key() const { return key_; }

 private:
  std::string kind_;
  std::shared_ptr<evp_pkey_st> key_;
};

/// header.payload.signature, each as given.
std::string make_token(const Signer& signer, const nlohmann::json& header, const nlohmann::json& payload);
/// The same of texts that are no JSON, or not well-behaved.
std::string make_raw_token(const Signer& signer, std::string_view alg, std::string_view header,
                           std::string_view payload);

/// One issuer's keys in memory.
class Keys final : public KeySet {
 public:
  explicit Keys(const nlohmann::json& list);
  Result<std::shared_ptr<const Jwks>> keys(std::string_view issuer) override;
  void miss(std::string_view issuer, std::string_view key_id) override;

  std::string missed;  ///< "issuer/kid" of the last miss
  bool down = false;

 private:
  std::shared_ptr<const Jwks> set_;
};

}  // namespace sallyport::identity::test
