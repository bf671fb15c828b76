// SPDX-License-Identifier: Apache-2.0
// verify_token() of a Kubernetes-like token beside OpenSSL's own verify of the same signature.
#include <benchmark/benchmark.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "sallyport/base/clock.h"
#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
constexpr int64_t kNowS = 1'800'000'000;

const json kPayload = {
    {"aud", {"sallyport"}},
    {"exp", kNowS + 3600},
    {"iat", kNowS},
    {"iss", "https://kubernetes.default.svc.cluster.local"},
    {"jti", "ea28ed49-2e11-4280-9ec5-bc3d1d84661a"},
    {"kubernetes.io",
     {{"namespace", "bots"},
      {"node", {{"name", "127.0.0.1"}, {"uid", "58456cb0-dd00-45ed-b797-5578fdceaced"}}},
      {"pod", {{"name", "billing-bot-69cbfb9798-jv9gn"}, {"uid", "778a530c-b3f4-47c0-9cd5-ab018fb64f33"}}},
      {"serviceaccount", {{"name", "billing-bot"}, {"uid", "a087d5a0-e1dd-43ec-93ac-f13d89cd13af"}}},
      {"warnafter", kNowS + 600}}},
    {"nbf", kNowS},
    {"sub", "system:serviceaccount:bots:billing-bot"}};

std::string token_of(const char* alg, const char* kind) {
  return test::make_token(test::Signer(kind), {{"alg", alg}, {"kid", "k"}}, kPayload);
}

void ours(benchmark::State& state, const char* alg, const char* kind) {
  test::Keys keys(json::array({test::Signer(kind).public_jwk("k")}));
  const IssuerRule rule{"k8s", "https://kubernetes.default.svc.cluster.local", {"sallyport"}};
  const std::string token = token_of(alg, kind);
  for (auto _ : state) {
    auto verified = verify_token(token, rule, keys, kNowS * kNanosPerSecond);
    if (!verified) state.SkipWithError(verified.error().text.c_str());
    benchmark::DoNotOptimize(verified);
  }
}

/// What anyone would write with OpenSSL at hand: key and signature ready, one call each.
void bare(benchmark::State& state, const char* alg, const char* kind) {
  const test::Signer signer(kind);
  const std::string token = token_of(alg, kind);
  const std::string bytes = token.substr(0, token.rfind('.'));
  auto jws = parse_jws(token).value();
  std::string signature = jws.signature;
  if (std::string_view(alg).starts_with("ES")) {
    ECDSA_SIG* pair = ECDSA_SIG_new();
    const auto* at = reinterpret_cast<const unsigned char*>(signature.data());
    const int half = static_cast<int>(signature.size() / 2);
    ECDSA_SIG_set0(pair, BN_bin2bn(at, half, nullptr), BN_bin2bn(at + half, half, nullptr));
    unsigned char* der = nullptr;
    const int length = i2d_ECDSA_SIG(pair, &der);
    signature.assign(reinterpret_cast<char*>(der), static_cast<size_t>(length));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
  }
  const EVP_MD* md = std::string_view(alg) == "EdDSA"         ? nullptr
                     : std::string_view(alg).ends_with("256") ? EVP_sha256()
                     : std::string_view(alg).ends_with("384") ? EVP_sha384()
                                                              : EVP_sha512();
  for (auto _ : state) {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* details = nullptr;
    EVP_DigestVerifyInit(context, &details, md, nullptr, signer.key().get());
    if (std::string_view(alg).starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST);
    }
    const int good =
        EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                         reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    if (good != 1) state.SkipWithError("not verified");
    EVP_MD_CTX_free(context);
  }
}

#define PAIR(alg, kind)                                  \
  BENCHMARK_CAPTURE(bare, alg##_##kind, #alg, kind##_k); \
  BENCHMARK_CAPTURE(ours, alg##_##kind, #alg, kind##_k)
constexpr const char* RSA_k = "RSA-2048";
constexpr const char* P256_k = "P-256";
constexpr const char* P384_k = "P-384";
constexpr const char* P521_k = "P-521";
constexpr const char* Ed25519_k = "Ed25519";
PAIR(RS256, RSA);
PAIR(PS256, RSA);
PAIR(ES256, P256);
PAIR(ES384, P384);
PAIR(ES512, P521);
PAIR(EdDSA, Ed25519);

}  // namespace
}  // namespace sallyport::identity

BENCHMARK_MAIN();
