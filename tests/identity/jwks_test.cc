// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/jwks.h"

#include <gtest/gtest.h>

#include "identity/base64url.h"
#include "sallyport/base/limits.h"
#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;

Jwks set_of(const json& keys) {
  auto set = parse_jwks(json{{"keys", keys}}.dump());
  EXPECT_TRUE(set) << set.error().what;
  return set.value_or(Jwks());
}

json jwk(const std::string& kind, const json& more = {}) {
  json out = test::Signer(kind).public_jwk("k");
  if (!more.is_null()) out.update(more);
  return out;
}

/// The one line that says why the only key of a set is left out.
std::string left_out(const json& key) {
  const Jwks set = set_of(json::array({key}));
  EXPECT_TRUE(set.keys.empty()) << key;
  return set.left_out.size() == 1 ? set.left_out[0] : "";
}

size_t algorithms_of(const json& key) {
  const Jwks set = set_of(json::array({key}));
  size_t count = 0;
  if (!set.keys.empty())
    for (size_t i = 0; i < kAlgorithms; ++i) count += set.keys[0].algorithms.has(static_cast<Algorithm>(i));
  return count;
}

TEST(Jwks, AKeySaysWhichAlgorithmsItIsFor) {
  EXPECT_EQ(algorithms_of(jwk("RSA-2048")), 6u);
  for (const char* kind : {"P-256", "P-384", "P-521", "Ed25519", "Ed448"}) EXPECT_EQ(algorithms_of(jwk(kind)), 1u);
  EXPECT_EQ(algorithms_of(jwk("RSA-2048", {{"alg", "PS384"}, {"use", "sig"}, {"key_ops", {"verify"}}})), 1u);
  EXPECT_EQ(set_of(json::array({jwk("P-521")})).keys[0].kind, "P-521");
}

TEST(Jwks, WhatCannotVerifyIsLeftOut) {
  EXPECT_EQ(left_out(jwk("RSA-1024")), "key `k`: 1024 bits, RSA needs 2048");
  EXPECT_EQ(left_out(jwk("P-256", {{"use", "enc"}})), "key `k`: not for signatures");
  EXPECT_EQ(left_out(jwk("P-256", {{"use", 1}})), "key `k`: not for signatures");
  EXPECT_EQ(left_out(jwk("P-256", {{"key_ops", {"sign"}}})), "key `k`: not for signatures");
  EXPECT_EQ(left_out(jwk("P-256", {{"key_ops", "verify"}})), "key `k`: not for signatures");
  EXPECT_EQ(left_out(jwk("P-256", {{"alg", "ES384"}})), "key `k`: `ES384` is no algorithm of such a key");
  EXPECT_EQ(left_out(jwk("RSA-2048", {{"alg", "HS256"}})), "key `k`: `HS256` is no algorithm of such a key");
  EXPECT_EQ(left_out(jwk("RSA-2048", {{"alg", "none"}})), "key `k`: `none` is no algorithm of such a key");
  EXPECT_EQ(left_out(jwk("P-256", {{"kid", 7}})), "key ``: `kid` is no text");
  EXPECT_EQ(left_out(jwk("secp256k1")), "key `k`: curve `secp256k1` is not supported");
  EXPECT_EQ(left_out({{"kty", "AKP"}}), "key ``: kind `AKP` is not supported");
  EXPECT_EQ(left_out(json::array()), "key ``: no JSON object");
}

TEST(Jwks, SecretsAreNoPublicKeys) {
  EXPECT_NE(left_out({{"kty", "oct"}, {"k", "AAAA"}}).find("secret key"), std::string::npos);
  EXPECT_NE(left_out({{"kty", "oct"}}).find("not supported"), std::string::npos);
  EXPECT_NE(left_out(jwk("P-256", {{"d", "AAAA"}})).find("secret key"), std::string::npos);
  EXPECT_NE(left_out(jwk("Ed25519", {{"d", "AAAA"}})).find("secret key"), std::string::npos);
  EXPECT_NE(left_out(jwk("RSA-2048", {{"p", "AAAA"}})).find("secret key"), std::string::npos);
}

TEST(Jwks, PointsAndNumbersMustBeSound) {
  const json good = jwk("P-256");
  std::string x = *decode_base64url(good["x"].get<std::string>());
  std::string moved = x;
  moved[31] = static_cast<char>(moved[31] ^ 1);
  EXPECT_EQ(left_out(jwk("P-256", {{"x", test::encode_base64url(moved)}})), "key `k`: its point is not on the curve");
  EXPECT_EQ(left_out(jwk("P-256", {{"x", test::encode_base64url('\0' + x)}})),
            "key `k`: a coordinate has the wrong length");
  const std::string zero = test::encode_base64url(std::string(32, '\0'));
  EXPECT_EQ(left_out(jwk("P-256", {{"x", zero}, {"y", zero}})), "key `k`: its point is not on the curve");
  EXPECT_EQ(left_out(jwk("P-256", {{"crv", "P-384"}})), "key `k`: a coordinate has the wrong length");
  EXPECT_EQ(left_out(jwk("Ed25519", {{"crv", "Ed448"}})), "key `k`: the key has the wrong length");
  EXPECT_EQ(left_out(jwk("Ed25519", {{"x", "A+=="}})), "key `k`: `x` is no base64url");
  for (const char* e : {"AQ", "AA", "Ag", "AQAAAAAAAAAB"})  // 1, 0, 2, 65 bits
    EXPECT_EQ(left_out(jwk("RSA-2048", {{"e", e}})), "key `k`: its numbers make no key") << e;
  EXPECT_EQ(left_out(jwk("RSA-2048", {{"n", test::encode_base64url(std::string(1'025, '\xff'))}})),
            "key `k`: 8200 bits are more than 8192");
}

TEST(Jwks, ASetIsStrictJsonOfBoundedSize) {
  for (const char* text : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[],"keys":[]})", R"({"keys":[{"a":1,"a":2}]})",
                           R"(<html></html>)"})
    EXPECT_FALSE(parse_jwks(text)) << text;
  EXPECT_TRUE(parse_jwks(R"({"keys":[],"other":1})"));
  json many = json::array();
  for (size_t i = 0; i < limits::kJwksKeysMax; ++i) many.push_back({{"kty", "oct"}});
  EXPECT_EQ(set_of(many).left_out.size(), limits::kJwksKeysMax);
  many.push_back(json::object());
  EXPECT_FALSE(parse_jwks(json{{"keys", many}}.dump()));
  const std::string start = R"({"keys":[]})";
  EXPECT_TRUE(parse_jwks(start + std::string(limits::kJwksBytesMax - start.size(), ' ')));
  EXPECT_FALSE(parse_jwks(start + std::string(limits::kJwksBytesMax + 1 - start.size(), ' ')));
}

Jws naming(Algorithm algorithm, std::optional<std::string> kid) { return {.algorithm = algorithm, .key_id = kid}; }

TEST(Jwks, AKeyIsFoundByItsNameAlone) {
  const Jwks set =
      set_of(json::array({test::Signer("P-256").public_jwk("a"), test::Signer("RSA-2048").public_jwk("b"),
                          test::Signer("P-256", 1).public_jwk("twice"), test::Signer("P-256", 2).public_jwk("twice")}));
  ASSERT_EQ(set.keys.size(), 4u);
  EXPECT_EQ(find_key(naming(Algorithm::es256, "a"), set), &set.keys[0]);
  EXPECT_EQ(find_key(naming(Algorithm::ps512, "b"), set), &set.keys[1]);
  EXPECT_EQ(find_key(naming(Algorithm::rs256, "a"), set).error().fault, Fault::algorithm);
  EXPECT_EQ(find_key(naming(Algorithm::es256, "b"), set).error().fault, Fault::algorithm);
  EXPECT_EQ(find_key(naming(Algorithm::es384, "a"), set).error().fault, Fault::algorithm);
  EXPECT_EQ(find_key(naming(Algorithm::es256, "A"), set).error().fault, Fault::key);
  EXPECT_EQ(find_key(naming(Algorithm::es256, ""), set).error().fault, Fault::key);
  EXPECT_EQ(find_key(naming(Algorithm::es256, {}), set).error().fault, Fault::key);
  EXPECT_EQ(find_key(naming(Algorithm::es256, "twice"), set).error().fault, Fault::key);
  const Jwks one = set_of(json::array({test::Signer("P-256").public_jwk("a")}));
  EXPECT_EQ(find_key(naming(Algorithm::es256, {}), one), &one.keys[0]);
}

}  // namespace
}  // namespace sallyport::identity
