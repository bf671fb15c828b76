// SPDX-License-Identifier: Apache-2.0
// OpenSSL does the arithmetic; what is written here is how each algorithm of RFC 7518 and 8037 asks for it.
#include <fmt/core.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>

#include "sallyport/identity/jwks.h"

namespace sallyport::identity {
namespace {

struct Digests {
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD* sha384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  EVP_MD* sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
};

/// Fetched once: a look-up by name in each verification costs more than the digest. Null for EdDSA, which has its own.
const EVP_MD* digest_of(Algorithm algorithm) {
  static const Digests digests;
  switch (algorithm) {
    case Algorithm::rs256:
    case Algorithm::ps256:
    case Algorithm::es256:
      return digests.sha256;
    case Algorithm::rs384:
    case Algorithm::ps384:
    case Algorithm::es384:
      return digests.sha384;
    case Algorithm::rs512:
    case Algorithm::ps512:
    case Algorithm::es512:
      return digests.sha512;
    case Algorithm::eddsa:
      return nullptr;
  }
  return nullptr;
}

bool is_pss(Algorithm a) { return a == Algorithm::ps256 || a == Algorithm::ps384 || a == Algorithm::ps512; }

/// Bytes of one of the two numbers of a signature; 0: the algorithm is not ECDSA.
size_t ecdsa_bytes(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::es256:
      return 32;
    case Algorithm::es384:
      return 48;
    case Algorithm::es512:
      return 66;
    default:
      return 0;
  }
}

/// The two numbers of RFC 7518 section 3.4 in the DER that OpenSSL wants; empty: they have another length. Whether
/// they are in range is OpenSSL's to check.
std::string ecdsa_to_der(std::string_view signature, size_t bytes) {
  if (signature.size() != 2 * bytes) return {};
  const auto* at = reinterpret_cast<const unsigned char*>(signature.data());
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(at, static_cast<int>(bytes), nullptr);
  BIGNUM* s = BN_bin2bn(at + bytes, static_cast<int>(bytes), nullptr);
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  std::string out = length > 0 ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(length)) : "";
  OPENSSL_free(der);
  return out;
}

bool prepare(EVP_MD_CTX* context, Algorithm algorithm, EVP_PKEY* key) {
  EVP_PKEY_CTX* details = nullptr;  // owned by context
  if (EVP_DigestVerifyInit(context, &details, digest_of(algorithm), nullptr, key) != 1) return false;
  if (!is_pss(algorithm)) return true;
  // RFC 7518 section 3.5: MGF1 with the same hash, which is OpenSSL's default, and a salt as long as it.
  return EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1;
}

}  // namespace

Checked<> verify_signature(const Jws& jws, const Key& key) {
  if (!key.algorithms.has(jws.algorithm))
    return refuse(Fault::algorithm, fmt::format("the key is not for {}", to_string(jws.algorithm)));
  const size_t number_bytes = ecdsa_bytes(jws.algorithm);
  const std::string der = number_bytes ? ecdsa_to_der(jws.signature, number_bytes) : std::string();
  const std::string_view signature = number_bytes ? std::string_view(der) : std::string_view(jws.signature);
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const bool good =
      !signature.empty() && context && prepare(context.get(), jws.algorithm, key.key.get()) &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(jws.signed_bytes.data()), jws.signed_bytes.size()) == 1;
  ERR_clear_error();
  if (!good)
    return refuse(Fault::signature, "its signature was not made by the issuer's key, or not over these claims");
  return {};
}

}  // namespace sallyport::identity
