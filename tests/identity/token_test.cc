// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/token.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;

constexpr int64_t kNowS = 1'800'000'000;
const json kHeader = {{"alg", "ES256"}, {"kid", "k"}};

class TokenTest : public testing::Test {
 protected:
  json payload(const json& more = json::object()) {
    json out = {{"iss", "https://idp.example"},
                {"aud", "sallyport"},
                {"sub", "agent-7"},
                {"iat", kNowS - 10},
                {"nbf", kNowS - 10},
                {"exp", kNowS + 300}};
    for (const auto& [name, value] : more.items())
      value.is_null() ? static_cast<void>(out.erase(name)) : static_cast<void>(out[name] = value);
    return out;
  }
  Checked<model::Token> verify(const std::string& compact, int64_t now_s = kNowS) {
    return verify_token(compact, rule, keys, now_s * kNanosPerSecond);
  }
  Checked<model::Token> verify_claims(const json& more) {
    return verify(test::make_token(signer, kHeader, payload(more)));
  }
  Fault fault_of(const json& more) {
    const auto verified = verify_claims(more);
    EXPECT_FALSE(verified) << more;
    return verified ? Fault::missing : verified.error().fault;
  }

  test::Signer signer{"P-256"};
  test::Keys keys{json::array({signer.public_jwk("k"), test::Signer("RSA-2048").public_jwk("r")})};
  IssuerRule rule{"corp", "https://idp.example", {"sallyport", "other-name"}};
};

TEST_F(TokenTest, GivesWhatWasVerified) {
  const auto token = verify_claims({{"jti", "j1"}, {"groups", {"bots", "night"}}, {"exp", kNowS + 300.5}});
  ASSERT_TRUE(token) << token.error().text;
  EXPECT_EQ(token->issuer, "corp");
  EXPECT_EQ(token->subject, "agent-7");
  EXPECT_EQ(token->audience, std::vector<std::string>{"sallyport"});
  EXPECT_EQ(token->id, "j1");
  EXPECT_EQ(token->algorithm, "ES256");
  EXPECT_EQ(token->key_id, "k");
  EXPECT_EQ(token->expires_wall_ns, (kNowS + 300) * kNanosPerSecond + kNanosPerSecond / 2);
  EXPECT_EQ(token->valid_until_wall_ns, token->expires_wall_ns + 60 * kNanosPerSecond);
  EXPECT_EQ(token->issued_wall_ns, (kNowS - 10) * kNanosPerSecond);
  const auto groups = std::ranges::find(token->claims, "/groups", &model::Claim::pointer);
  ASSERT_NE(groups, token->claims.end());
  EXPECT_EQ(groups->values, (std::vector<std::string>{"bots", "night"}));
}

TEST_F(TokenTest, RegisteredClaimsMustBeThereAndOfTheirKind) {
  for (const char* name : {"iss", "aud", "sub", "exp"})
    EXPECT_EQ(fault_of({{name, nullptr}}), Fault::malformed) << name;
  for (const char* name : {"iss", "sub"})
    for (const json& value : {json(""), json(1), json(json::array({"a"})), json(true), json(json::object())})
      EXPECT_EQ(fault_of({{name, value}}), Fault::malformed) << name << value;
  for (const json& value : {json(1), json(json::array()), json(json::array({1})), json(json::array({"sallyport", 1})),
                            json(json::object()), json(true)})
    EXPECT_EQ(fault_of({{"aud", value}}), Fault::malformed) << value;
  for (const char* name : {"exp", "nbf", "iat"})
    for (const json& value : {json("1800000300"), json(true), json(json::array()), json(-1), json(1e300)})
      EXPECT_EQ(fault_of({{name, value}}), Fault::malformed) << name << value;
  EXPECT_EQ(fault_of({{"jti", 1}}), Fault::malformed);
  EXPECT_TRUE(verify_claims({{"nbf", nullptr}, {"iat", nullptr}, {"jti", nullptr}}));
  EXPECT_TRUE(verify_claims({{"exp", 253'402'300'799}}));
}

TEST_F(TokenTest, IssuerAndAudienceAreComparedByteByByte) {
  for (const char* iss :
       {"https://idp.example/", "https://IDP.example", "http://idp.example", "https://idp.example.evil"})
    EXPECT_EQ(fault_of({{"iss", iss}}), Fault::issuer) << iss;
  for (const json& aud :
       {json("SALLYPORT"), json("sallyport.evil"), json("sally"), json(""), json("*"), json(json::array({"a", "b"}))})
    EXPECT_EQ(fault_of({{"aud", aud}}), Fault::audience) << aud;
  EXPECT_TRUE(verify_claims({{"aud", {"a", "other-name"}}}));
}

TEST_F(TokenTest, TimesWithABoundedSkew) {
  EXPECT_TRUE(verify_claims({{"exp", kNowS - 59}}));
  EXPECT_EQ(fault_of({{"exp", kNowS - 60}}), Fault::expired);
  EXPECT_EQ(fault_of({{"exp", 0}}), Fault::expired);
  for (const char* name : {"nbf", "iat"}) {
    EXPECT_TRUE(verify_claims({{name, kNowS + 60}})) << name;
    EXPECT_EQ(fault_of({{name, kNowS + 61}}), Fault::not_yet) << name;
  }
  rule.skew_s = 1;
  EXPECT_EQ(fault_of({{"exp", kNowS - 1}}), Fault::expired);
}

TEST_F(TokenTest, ThePayloadIsOneStrictJsonObject) {
  const auto verify_text = [&](std::string_view text) {
    const auto verified = verify(test::make_raw_token(signer, "ES256", kHeader.dump(), text));
    EXPECT_FALSE(verified) << text;
    return verified ? Fault::missing : verified.error().fault;
  };
  const std::string good = payload().dump();
  EXPECT_TRUE(verify(test::make_raw_token(signer, "ES256", kHeader.dump(), good)));
  const std::string open = good.substr(0, good.size() - 1);
  for (const std::string& text :
       {std::string("[1]"), std::string("1"), good + good, good + "x", open + R"(,"sub":"root"})",
        open + R"(,"\u0073ub":"root"})", open + R"(,"x":[[[[[[[[[1]]]]]]]]]})", open + R"(,"x":[{"a":1,"a":1}]})",
        "\xef\xbb\xbf" + good, open + ",\"x\":\"\xc0\xaf\"}", open + R"(,"x":NaN})"})
    EXPECT_EQ(verify_text(text), Fault::malformed) << text;
  std::string many = open + R"(,"x":[0)";
  for (size_t i = 0; i < limits::kTokenClaimsMax; ++i) many += ",1";
  EXPECT_EQ(verify_text(many + "]}"), Fault::malformed);
}

TEST_F(TokenTest, KeysComeFromTheIssuerAlone) {
  const test::Signer evil("P-256", 9);
  json header = kHeader;
  header["jwk"] = evil.public_jwk("k");
  EXPECT_EQ(verify(test::make_token(evil, header, payload())).error().fault, Fault::signature);
  header = {{"alg", "ES256"}, {"kid", "new"}, {"jku", "https://evil.example/keys"}};
  EXPECT_EQ(verify(test::make_token(evil, header, payload())).error().fault, Fault::key);
  EXPECT_EQ(keys.missed, "corp/new");
  keys.missed.clear();
  EXPECT_EQ(verify(test::make_token(signer, {{"alg", "ES256"}, {"kid", "r"}}, payload())).error().fault,
            Fault::algorithm);
  EXPECT_EQ(keys.missed, "");
  keys.down = true;
  EXPECT_EQ(verify(test::make_token(signer, kHeader, payload())).error().fault, Fault::keys);
}

TEST_F(TokenTest, AnIssuerMayTakeFewerAlgorithms) {
  rule.algorithms = {};
  rule.algorithms.add(Algorithm::rs256);
  EXPECT_EQ(fault_of({}), Fault::algorithm);
  rule.algorithms.add(Algorithm::es256);
  EXPECT_TRUE(verify_claims(json::object()));
}

TEST_F(TokenTest, BoundTokensOfKubernetes) {
  const json bound = {{"namespace", "bots"},
                      {"node", {{"name", "node-7"}, {"uid", "n1"}}},
                      {"pod", {{"name", "billing-0"}, {"uid", "p1"}}},
                      {"serviceaccount", {{"name", "billing"}, {"uid", "s1"}}},
                      {"warnafter", kNowS}};
  const auto token = verify_claims({{"sub", "system:serviceaccount:bots:billing"}, {"kubernetes.io", bound}});
  ASSERT_TRUE(token) << token.error().text;
  ASSERT_TRUE(token->kubernetes);
  EXPECT_EQ(token->kubernetes->name_space, "bots");
  EXPECT_EQ(token->kubernetes->service_account, "billing");
  EXPECT_EQ(token->kubernetes->service_account_uid, "s1");
  EXPECT_EQ(token->kubernetes->pod, "billing-0");
  EXPECT_EQ(token->kubernetes->pod_uid, "p1");
  EXPECT_EQ(token->kubernetes->node, "node-7");
  EXPECT_EQ(fault_of({{"sub", "system:serviceaccount:bots:other"}, {"kubernetes.io", bound}}), Fault::malformed);
  for (const json& bad : {json(1), json({{"namespace", 1}}), json({{"pod", "p"}}), json({{"pod", {{"uid", 1}}}})})
    EXPECT_EQ(fault_of({{"kubernetes.io", bad}}), Fault::malformed) << bad;
  EXPECT_TRUE(verify_claims({{"kubernetes.io", {{"namespace", "bots"}}}}));
}

TEST_F(TokenTest, ShownUnverified) {
  const auto shown = read_unverified(test::make_token(test::Signer("P-256", 9), kHeader, payload({{"exp", 1}})));
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->algorithm, "ES256");
  EXPECT_EQ(shown->issuer, "https://idp.example");
  EXPECT_EQ(shown->claims.subject, "agent-7");
  EXPECT_EQ(trim_token("a.b.c\r\n"), "a.b.c");
  EXPECT_EQ(trim_token("a.b.c\n\n"), "a.b.c\n");
}

}  // namespace
}  // namespace sallyport::identity
