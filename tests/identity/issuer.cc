// SPDX-License-Identifier: Apache-2.0
#include "tests/identity/issuer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "sallyport/base/check.h"

namespace sallyport::identity::test {
namespace {

using nlohmann::json;

std::string number_of(EVP_PKEY* key, const char* name, size_t bytes = 0) {
  BIGNUM* number = nullptr;
  SP_CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  std::string out(bytes ? bytes : static_cast<size_t>(BN_num_bytes(number)), '\0');
  SP_CHECK(BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) >= 0);
  BN_free(number);
  return out;
}

size_t coordinate_bytes(std::string_view kind) { return kind == "P-521" ? 66 : kind == "P-384" ? 48 : 32; }

EVP_PKEY* generate(const std::string& kind) {
  if (kind.starts_with("RSA-")) return EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t(std::stoul(kind.substr(4))));
  if (kind.starts_with("Ed")) return EVP_PKEY_Q_keygen(nullptr, nullptr, kind == "Ed448" ? "ED448" : "ED25519");
  return EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kind.c_str());
}

std::string ecdsa_from_der(const std::string& der, size_t bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  SP_CHECK(pair);
  std::string out(2 * bytes, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, static_cast<int>(bytes));
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + bytes, static_cast<int>(bytes));
  ECDSA_SIG_free(pair);
  return out;
}

}  // namespace

std::string encode_base64url(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (held += 8; held >= 6;) out += kAlphabet[bits >> (held -= 6) & 63];
  }
  if (held) out += kAlphabet[bits << (6 - held) & 63];
  return out;
}

Signer::Signer(const std::string& kind, int instance) : kind_(kind) {
  static std::map<std::pair<std::string, int>, std::shared_ptr<EVP_PKEY>> made;
  auto& key = made[{kind, instance}];
  if (!key) key.reset(generate(kind), EVP_PKEY_free);
  SP_CHECK(key != nullptr);
  key_ = key;
}

std::string Signer::sign(std::string_view alg, std::string_view bytes) const {
  const EVP_MD* md = alg.ends_with("256") ? EVP_sha256() : alg.ends_with("384") ? EVP_sha384() : EVP_sha512();
  if (kind_.starts_with("Ed")) md = nullptr;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* details = nullptr;
  SP_CHECK(EVP_DigestSignInit(context.get(), &details, md, nullptr, key_.get()) == 1);
  if (alg.starts_with("PS")) {
    SP_CHECK(EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1);
    SP_CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  std::string out(1'200, '\0');
  size_t size = out.size();
  SP_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1);
  out.resize(size);
  return kind_.starts_with("P-") || kind_ == "secp256k1" ? ecdsa_from_der(out, coordinate_bytes(kind_)) : out;
}

json Signer::public_jwk(const std::string& kid) const {
  json out = {{"kid", kid}};
  if (kind_.starts_with("RSA-")) {
    out["kty"] = "RSA";
    out["n"] = encode_base64url(number_of(key_.get(), OSSL_PKEY_PARAM_RSA_N));
    out["e"] = encode_base64url(number_of(key_.get(), OSSL_PKEY_PARAM_RSA_E));
  } else if (kind_.starts_with("Ed")) {
    unsigned char raw[64];
    size_t size = sizeof raw;
    SP_CHECK(EVP_PKEY_get_raw_public_key(key_.get(), raw, &size) == 1);
    out["kty"] = "OKP";
    out["crv"] = kind_;
    out["x"] = encode_base64url({reinterpret_cast<char*>(raw), size});
  } else {
    out["kty"] = "EC";
    out["crv"] = kind_;
    out["x"] = encode_base64url(number_of(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, coordinate_bytes(kind_)));
    out["y"] = encode_base64url(number_of(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_bytes(kind_)));
  }
  return out;
}

std::string make_raw_token(const Signer& signer, std::string_view alg, std::string_view header,
                           std::string_view payload) {
  const std::string signed_bytes = encode_base64url(header) + '.' + encode_base64url(payload);
  return signed_bytes + '.' + encode_base64url(signer.sign(alg, signed_bytes));
}

std::string make_token(const Signer& signer, const json& header, const json& payload) {
  return make_raw_token(signer, header.value("alg", ""), header.dump(), payload.dump());
}

Keys::Keys(const json& list) {
  auto set = parse_jwks(json{{"keys", list}}.dump());
  SP_CHECK(set.has_value());
  set_ = std::make_shared<Jwks>(std::move(*set));
}

Result<std::shared_ptr<const Jwks>> Keys::keys(std::string_view) {
  if (down) return fail("not reached yet");
  return set_;
}

void Keys::miss(std::string_view issuer, std::string_view key_id) {
  missed = std::string(issuer) + '/' + std::string(key_id);
}

}  // namespace sallyport::identity::test
