// SPDX-License-Identifier: Apache-2.0
// An issuer's public keys (RFC 7517, 7518 section 6, 8037) and the one place where signatures are verified.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/identity/jws.h"

struct evp_pkey_st;  // OpenSSL's, kept out of this header

namespace sallyport::identity {

/// A public key that may verify signatures, checked when it was read. The key says which algorithms it is for; what a
/// token says only chooses among them.
struct Key {
  std::string id;  ///< `kid`; empty: none
  AlgorithmSet algorithms;
  std::string kind;  ///< "RSA-2048", "P-256", "Ed25519": for people
  std::shared_ptr<evp_pkey_st> key;
};

/// Immutable once made; shared by all who verify.
struct Jwks {
  std::vector<Key> keys;
  std::vector<std::string> left_out;  ///< one line for each key that is none of ours: for what, too short, secret …
};

/// Reads a key set. Keys that cannot verify a token's signature are left out (RFC 7517 section 5), among them all
/// private and symmetric ones; a text that is no key set, or one beyond limits::kJwks*, is an error.
Result<Jwks> parse_jwks(std::string_view text);

/// The one key that `jws` names and that its algorithm fits. A token without `kid` is taken only where the set has
/// one key.
Checked<const Key*> find_key(const Jws& jws, const Jwks& set);

/// Whether `key` made the signature; `key` must allow jws.algorithm, as find_key() sees to.
Checked<> verify_signature(const Jws& jws, const Key& key);

/// Where keys come from; edges implement it. Thread-safe, never blocks.
class KeySet {
 public:
  virtual ~KeySet() = default;
  /// The keys of the Issuer of that name as they are known now; the error says why there are none.
  virtual Result<std::shared_ptr<const Jwks>> keys(std::string_view issuer) = 0;
  /// A token named a key that they lack: they may have been rotated.
  virtual void miss(std::string_view issuer, std::string_view key_id) = 0;
};

}  // namespace sallyport::identity
