// SPDX-License-Identifier: Apache-2.0
// Every algorithm against its own key, against every other algorithm, and with each byte of the signature wrong.
#include <gtest/gtest.h>

#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

const std::pair<const char*, const char*> kPairs[] = {
    {"RS256", "RSA-2048"}, {"RS384", "RSA-2048"}, {"RS512", "RSA-2048"}, {"PS256", "RSA-2048"},
    {"PS384", "RSA-2048"}, {"PS512", "RSA-2048"}, {"ES256", "P-256"},    {"ES384", "P-384"},
    {"ES512", "P-521"},    {"EdDSA", "Ed25519"},  {"EdDSA", "Ed448"}};

Key key_of(const test::Signer& signer) {
  auto set = parse_jwks(nlohmann::json{{"keys", {signer.public_jwk("k")}}}.dump());
  EXPECT_TRUE(set && set->keys.size() == 1);
  return set->keys.at(0);
}

Jws signed_by(const test::Signer& signer, const char* alg, std::string_view bytes) {
  return {.algorithm = *find_algorithm(alg), .signed_bytes = bytes, .signature = signer.sign(alg, bytes)};
}

TEST(Signature, EachAlgorithmVerifiesWhatItsKeySigned) {
  for (const auto& [alg, kind] : kPairs) {
    const test::Signer signer(kind), other(kind, 1);
    const Jws jws = signed_by(signer, alg, "a.b");
    EXPECT_TRUE(verify_signature(jws, key_of(signer))) << alg << ' ' << kind;
    EXPECT_EQ(verify_signature(jws, key_of(other)).error().fault, Fault::signature) << alg;
    Jws changed = jws;
    changed.signed_bytes = "a.c";
    EXPECT_EQ(verify_signature(changed, key_of(signer)).error().fault, Fault::signature) << alg;
  }
}

TEST(Signature, ASignatureOfAnotherAlgorithmIsNone) {
  for (const auto& [made, made_kind] : kPairs) {
    const test::Signer signer(made_kind);
    for (const auto& [claimed, kind] : kPairs) {
      if (std::string_view(made) == claimed) continue;
      Jws jws = signed_by(signer, made, "a.b");
      jws.algorithm = *find_algorithm(claimed);
      const auto verified = verify_signature(jws, key_of(signer));
      ASSERT_FALSE(verified) << made << " as " << claimed;
      EXPECT_EQ(verified.error().fault, std::string_view(made_kind) == kind ? Fault::signature : Fault::algorithm);
    }
  }
}

TEST(Signature, EachBitAndTheLengthCount) {
  for (const auto& [alg, kind] : kPairs) {
    const test::Signer signer(kind);
    const Key key = key_of(signer);
    const Jws good = signed_by(signer, alg, "a.b");
    for (size_t i = 0; i < good.signature.size(); i += 7) {
      Jws bad = good;
      bad.signature[i] = static_cast<char>(bad.signature[i] ^ (1 << i % 8));
      EXPECT_FALSE(verify_signature(bad, key)) << alg << ' ' << i;
    }
    for (const std::string& bytes :
         {std::string(), good.signature.substr(1), good.signature.substr(0, good.signature.size() - 1),
          good.signature + '\0', '\0' + good.signature, std::string(good.signature.size(), '\0'),
          std::string(good.signature.size(), '\xff'), good.signature + good.signature}) {
      Jws bad = good;
      bad.signature = bytes;
      EXPECT_FALSE(verify_signature(bad, key)) << alg << ' ' << bytes.size();
    }
  }
}

TEST(Signature, AKeyForOneAlgorithmServesNoOther) {
  const test::Signer signer("RSA-2048");
  nlohmann::json jwk = signer.public_jwk("k");
  jwk["alg"] = "RS256";
  const auto set = parse_jwks(nlohmann::json{{"keys", {jwk}}}.dump());
  ASSERT_TRUE(set && set->keys.size() == 1);
  EXPECT_TRUE(verify_signature(signed_by(signer, "RS256", "a.b"), set->keys[0]));
  EXPECT_EQ(verify_signature(signed_by(signer, "PS256", "a.b"), set->keys[0]).error().fault, Fault::algorithm);
}

}  // namespace
}  // namespace sallyport::identity
