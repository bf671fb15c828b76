// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/jws.h"

#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

std::string with_header(std::string_view header) {
  return test::encode_base64url(header) + '.' + test::encode_base64url(R"({"sub":"a"})") + '.' +
         test::encode_base64url("signature");
}

Fault fault_of(std::string_view compact) {
  const auto parsed = parse_jws(compact);
  EXPECT_FALSE(parsed) << compact.substr(0, 200);
  if (parsed) return Fault::missing;
  EXPECT_FALSE(parsed.error().text.empty());
  EXPECT_EQ(parsed.error().text.find('\n'), std::string::npos);
  return parsed.error().fault;
}

TEST(Jws, TakesApartWhatIsWellFormed) {
  const std::string compact = with_header(R"( {"alg":"ES256","kid":"k\u0031","typ":"at+JWT","jku":"http://evil"} )");
  const auto jws = parse_jws(compact);
  ASSERT_TRUE(jws) << jws.error().text;
  EXPECT_EQ(jws->algorithm, Algorithm::es256);
  EXPECT_EQ(jws->key_id, "k1");
  EXPECT_EQ(jws->signed_bytes, compact.substr(0, compact.rfind('.')));
  EXPECT_EQ(jws->payload, R"({"sub":"a"})");
  EXPECT_EQ(jws->signature, "signature");
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256"})"))->key_id);
  for (const char* type : {"JWT", "jwt", "application/jwt", "at+jwt", "application/at+jwt", "JOSE"})
    EXPECT_TRUE(parse_jws(with_header(R"({"alg":"RS256","typ":")" + std::string(type) + "\"}"))) << type;
}

TEST(Jws, ThreePartsOfCanonicalBase64url) {
  EXPECT_EQ(fault_of(""), Fault::missing);
  const std::string good = with_header(R"({"alg":"ES256"})");
  for (const std::string& bad :
       {std::string("."), std::string(".."), std::string("..."), good + ".", good + ".x", "." + good, " " + good,
        good + "\n", good + "=", good.substr(0, good.rfind('.')), good.substr(0, good.rfind('.') + 1),
        std::string(R"({"payload":"e30","signatures":[]})"), good + std::string(1, '\0')})
    EXPECT_EQ(fault_of(bad), Fault::malformed) << bad;
}

TEST(Jws, AHeaderIsOneStrictJsonObject) {
  for (const char* header : {"",
                             "[]",
                             "null",
                             "\"alg\"",
                             "{",
                             R"({"alg":"ES256"}})",
                             R"({"alg":"ES256"} x)",
                             R"({"alg":"ES256",})",
                             R"({'alg':'ES256'})",
                             R"({"alg":"ES256","alg":"ES256"})",
                             R"({"alg":"ES256","\u0061lg":"none"})",
                             R"({"alg":"ES256","x":{"a":1,"a":2}})",
                             "{\"alg\":\"ES256\",\"x\":\"\xff\"}",
                             "\xef\xbb\xbf{\"alg\":\"ES256\"}",
                             R"({"alg":"ES256","x":"\ud800"})",
                             R"({"alg":"ES256"/**/})",
                             R"({"alg":"ES256","kid":1})",
                             R"({"alg":"ES256","kid":null})",
                             R"({"alg":"ES256","typ":1})",
                             R"({"alg":"ES256","cty":[]})",
                             R"({"alg":"ES256","x":[[[[[[[[1]]]]]]]]})",
                             R"({"alg":"ES256","x":1e999})"})
    EXPECT_EQ(fault_of(with_header(header)), Fault::malformed) << header;
  EXPECT_EQ(fault_of(with_header(std::string_view("{\"alg\":\"ES256\"}\0{\"alg\":1}", 25))), Fault::malformed);
}

TEST(Jws, NoneAndSymmetricAlgorithmsDoNotExist) {
  for (const char* alg : {R"("none")", R"("None")", R"("nOnE")", R"("")", R"("HS256")", R"("HS384")", R"("HS512")",
                          R"("RS1")", R"("ES256K")", R"("es256")", R"("RS256 ")", R"("RSA-OAEP")", R"("dir")",
                          R"(["ES256"])", "null", "0", R"("ES256\u0000")"})
    EXPECT_EQ(fault_of(with_header(std::string(R"({"kid":"a","alg":)") + alg + "}")), Fault::algorithm) << alg;
  EXPECT_EQ(fault_of(with_header("{}")), Fault::algorithm);
  EXPECT_EQ(fault_of(with_header(R"({"ALG":"ES256"})")), Fault::algorithm);
}

TEST(Jws, NothingSpecialIsUnderstood) {
  for (const char* member :
       {R"("crit":[])", R"("crit":["exp"])", R"("crit":null)", R"("b64":false)", R"("b64":true)", R"("zip":"DEF")",
        R"("cty":"JWT")", R"("cty":"application/jwt")", R"("cty":"at+jwt")", R"("typ":"logout+jwt")",
        R"("typ":"dpop+jwt")", R"("typ":"secevent+jwt")", R"("typ":"JWE")", R"("typ":"")"})
    EXPECT_EQ(fault_of(with_header(std::string(R"({"alg":"ES256",)") + member + "}")), Fault::type) << member;
}

TEST(Jws, SizesAreBounded) {
  const std::string kid(limits::kTokenKeyIdBytesMax, 'k');
  EXPECT_TRUE(parse_jws(with_header(R"({"alg":"ES256","kid":")" + kid + "\"}")));
  EXPECT_EQ(fault_of(with_header(R"({"alg":"ES256","kid":")" + kid + "k\"}")), Fault::malformed);
  std::string header = R"({"alg":"ES256"})";
  header += std::string(limits::kTokenHeaderBytesMax - header.size(), ' ');
  EXPECT_TRUE(parse_jws(with_header(header)));
  EXPECT_EQ(fault_of(with_header(header + ' ')), Fault::malformed);
  const std::string start = test::encode_base64url(R"({"alg":"ES256"})") + ".e30.";
  EXPECT_TRUE(parse_jws(start + test::encode_base64url(std::string(limits::kTokenSignatureBytesMax, 's'))));
  EXPECT_EQ(fault_of(start + test::encode_base64url(std::string(limits::kTokenSignatureBytesMax + 1, 's'))),
            Fault::malformed);
  EXPECT_EQ(fault_of(std::string(limits::kTokenBytesMax + 1, 'A')), Fault::malformed);
}

}  // namespace
}  // namespace sallyport::identity
