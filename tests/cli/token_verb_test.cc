// SPDX-License-Identifier: Apache-2.0
// `policy token`: what it says, where it leads, its exit status, and that the token itself is never printed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/identity/issuer.h"
#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

using identity::test::Signer;
using nlohmann::json;

constexpr const char* kPolicy = R"(apiVersion: sallyport.dev/v1alpha1
kind: Issuer
metadata: {name: corp}
spec: {url: "https://idp.example", audience: sallyport}
---
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: billing}
spec: {workload: [{exec: billing}], token: {issuer: corp, subject: "svc:billing"}}
---
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: reports}
spec: {workload: [{exec: reports}], token: {issuer: corp, subject: "svc:*", claims: {groups: reports}}}
)";

class TokenVerbTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sptest-token-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "policy");
    write("policy/p.yaml", kPolicy);
    write("keys.json", json{{"keys", {signer_.public_jwk("k")}}}.dump());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  Outcome run(const std::string& token, const Arguments& more = {}, const std::string& now = "1800000000") {
    write("token", token + "\n");
    Arguments all{SALLYPORT, "policy", "token", folder_ / "token", "--policy", folder_ / "policy", "--now", now};
    all.insert(all.end(), more.begin(), more.end());
    Outcome out = Running(::geteuid(), all, false).finish();
    const std::string signature = token.substr(token.rfind('.') + 1);
    EXPECT_EQ((out.out).find(signature), std::string::npos) << "the signature is printed";
    return out;
  }
  Arguments keys(const Arguments& more = {}) const {
    Arguments all{"--jwks", folder_ / "keys.json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string token(const json& more = json::object(), const Signer* signer = nullptr) const {
    json payload = {
        {"iss", "https://idp.example"}, {"aud", "sallyport"}, {"sub", "svc:billing"}, {"exp", 1'800'000'100}};
    payload.update(more);
    return identity::test::make_token(signer ? *signer : signer_, {{"alg", "ES256"}, {"kid", "k"}}, payload);
  }
  static bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

  const Signer signer_{"P-256"};
  std::filesystem::path folder_;
};

TEST_F(TokenVerbTest, LeadsToItsAgentAndSaysWhyNotToOthers) {
  const Outcome out = run(token(), keys());
  EXPECT_EQ(out.code(), 0) << out.out;
  EXPECT_TRUE(has(out.out, "agent      billing\n")) << out.out;
  EXPECT_TRUE(has(out.out, "not        reports: its claim /groups is missing")) << out.out;
  EXPECT_TRUE(has(out.out, "expires    2027-01-15T08:01:40.000Z")) << out.out;
  const json found =
      json::parse(run(token({{"sub", "svc:x"}, {"groups", {"a", "reports"}}}), keys({"-o", "json"})).out);
  EXPECT_EQ(found["agents"], json::array({"reports"}));
  EXPECT_EQ(found["verified"], true);
  EXPECT_EQ(found["claims"]["/groups"], (json{"a", "reports"}));
  EXPECT_FALSE(found.contains("refused"));
}

TEST_F(TokenVerbTest, RefusesWithAReason) {
  const Signer other("P-256", 1);
  const struct {
    std::string token;
    const char* reason;
  } rows[] = {{token({{"sub", "svc:other"}}), "subject"},
              {token({{"aud", "else"}}), "audience"},
              {token({{"exp", 1'799'999'000}}), "expired"},
              {token({{"nbf", 1'800'001'000}}), "not-yet"},
              {token({{"iss", "https://evil.example"}}), "issuer"},
              {token(json::object(), &other), "signature"},
              {"aaaa.bbbb.cccccccccccccccccccc=", "malformed"},
              {identity::test::make_raw_token(signer_, "ES256", R"({"alg":"none"})", "{}"), "algorithm"}};
  for (const auto& row : rows) {
    const Outcome out = run(row.token, keys({"-o", "json"}));
    EXPECT_EQ(out.code(), 1) << row.reason;
    EXPECT_EQ(json::parse(out.out)["refused"]["reason"], row.reason) << out.out;
    EXPECT_TRUE(json::parse(out.out)["agents"].empty());
  }
  EXPECT_EQ(run(token(), keys(), "2027-01-15T09:00:00Z").code(), 1);
}

TEST_F(TokenVerbTest, UsedWrongly) {
  EXPECT_EQ(run(token(), keys(), "yesterday").code(), 2);
  EXPECT_EQ(run(token(), {"--jwks"}).code(), 2);
  EXPECT_EQ(Running(::geteuid(), {SALLYPORT, "policy", "token", "/nonexistent", "--policy", folder_ / "policy"}, false)
                .finish()
                .code(),
            2);
  const Outcome no_keys = run(token());
  EXPECT_EQ(no_keys.code(), 1);
  EXPECT_TRUE(has(no_keys.out, "--jwks FILE")) << no_keys.out;
}

}  // namespace
}  // namespace sallyport::testing
