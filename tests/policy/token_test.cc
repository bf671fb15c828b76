// SPDX-License-Identifier: Apache-2.0
// Issuers and what an Agent asks of a token: how they are written, and which tokens fit.
#include <gtest/gtest.h>

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using What = TokenMismatch::What;

const std::string kIssuer = document("Issuer", "corp", "url: \"https://login.example.com\", audience: sallyport");

std::string agent_with(std::string_view token) {
  return fmt::format(
      "apiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {{name: bot}}\n"
      "spec: {{workload: [{{exec: bot}}], token: {}}}\n",
      token);
}

/// Why `token` is not bot's; empty: it is.
std::string mismatch(std::string_view rule, const model::Token& token, What what = What::subject) {
  const auto policy = load_text(agent_with(rule) + kIssuer);
  if (!policy) return "no policy";
  const auto found = policy->match_token(*policy->find_agent("bot"), token);
  if (!found) return "";
  EXPECT_EQ(found->what, what) << found->text;
  return found->text;
}

model::Token token(std::string subject, std::vector<model::Claim> claims = {}) {
  return {.issuer = "corp", .subject = std::move(subject), .claims = std::move(claims)};
}

TEST(Token, AnIssuerSaysWhatItSays) {
  const auto policy = load_text(document("Issuer", "k8s",
                                         "url: kubernetes/sa, audience: [a, b], jwks: /etc/keys.json, algorithms: "
                                         "[ES256, EdDSA], skew: 10s, keepKeys: 7d"));
  ASSERT_TRUE(policy);
  const Issuer* issuer = policy->find_issuer("k8s");
  ASSERT_TRUE(issuer);
  EXPECT_EQ(issuer->url, "kubernetes/sa");
  EXPECT_EQ(issuer->audience, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(issuer->jwks_file, "/etc/keys.json");
  EXPECT_EQ(issuer->algorithms, (std::vector<std::string>{"ES256", "EdDSA"}));
  EXPECT_EQ(issuer->skew_ns, 10'000'000'000);
  EXPECT_EQ(issuer->keep_ns, 7 * 86'400'000'000'000);
  EXPECT_EQ(policy->find_issuer("corp"), nullptr);
}

TEST(Token, SubjectsArePatternsOfPartsBetweenColonsAndSlashes) {
  const std::string exact = R"({issuer: corp, subject: "system:serviceaccount:bots:billing"})";
  EXPECT_EQ(mismatch(exact, token("system:serviceaccount:bots:billing")), "");
  EXPECT_EQ(mismatch(exact, token("system:serviceaccount:bots:billing2")),
            "its subject is `system:serviceaccount:bots:billing2`, and Agent `bot` asks for "
            "`system:serviceaccount:bots:billing`");
  const struct {
    const char *pattern, *subject;
    bool fits;
  } rows[] = {{"a:*", "a:b", true},
              {"a:*", "a:", true},
              {"a:*", "a:b:c", false},
              {"a:*", "a:b/c", false},
              {"a:**", "a:b/c:d", true},
              {"a:**", "a:", true},
              {"a:**", "a", false},
              {"*", "anything", true},
              {"*", "a/b", false},
              {"**", "a/b:c", true},
              {"a-*:x", "a-1:x", true},
              {"a-*:x", "a-1/2:x", false},
              {"A", "a", false},
              {"repo:acme/*", "repo:acme/x:ref:main", false},
              {"repo:acme/*:ref:**", "repo:acme/x:ref:refs/heads/main", true},
              {"spiffe://td/ns/*/sa/bot", "spiffe://td/ns/x/sa/bot", true},
              {"spiffe://td/ns/*/sa/bot", "spiffe://td/ns/x/y/sa/bot", false}};
  for (const auto& row : rows)
    EXPECT_EQ(mismatch(fmt::format("{{issuer: corp, subject: \"{}\"}}", row.pattern), token(row.subject)).empty(),
              row.fits)
        << row.pattern << ' ' << row.subject;
  EXPECT_EQ(mismatch(R"({issuer: corp, subject: [a, "b-*"]})", token("b-1")), "");
  std::string deep = "a";
  for (int i = 0; i < 100; ++i) deep += ":a";
  EXPECT_NE(mismatch(R"({issuer: corp, subject: "a:*"})", token(deep)), "");
  EXPECT_EQ(mismatch(R"({issuer: corp, subject: "**"})", token(deep)), "");
}

TEST(Token, ClaimsByNameOrPointer) {
  const std::string rule = R"({issuer: corp, claims: {groups: [billing, "ops-*"], /kubernetes.io/node/name: node-7}})";
  const model::Claim groups{"/groups", {"x", "ops-night"}}, node{"/kubernetes.io/node/name", {"node-7"}};
  EXPECT_EQ(mismatch(rule, token("s", {groups, node})), "");
  EXPECT_EQ(mismatch(rule, token("s", {groups}), What::claim),
            "its claim /kubernetes.io/node/name is missing, and Agent `bot` asks for `node-7`");
  EXPECT_EQ(mismatch(rule, token("s", {{"/groups", {"sales"}}, node}), What::claim),
            "its claim /groups is `sales`, and Agent `bot` asks for `billing`, `ops-*`");
  EXPECT_NE(mismatch(rule, token("s", {{"/groups", {}}, node}), What::claim), "");
  EXPECT_EQ(mismatch("{issuer: corp, claims: {a/b: x}}", token("s", {{"/a~1b", {"x"}}})), "");
  EXPECT_EQ(mismatch("{issuer: corp, claims: {admin: \"true\"}}", token("s", {{"/admin", {"true"}}})), "");
}

TEST(Token, OfAnotherIssuerOrForAnAgentThatAsksForNone) {
  model::Token other = token("s");
  other.issuer = "other";
  EXPECT_EQ(mismatch(R"({issuer: corp, subject: "**"})", other, What::issuer),
            "Agent `bot` takes tokens of Issuer `corp`, not of `other`");
  const auto policy = world("");
  EXPECT_EQ(policy->match_token(*policy->find_agent("bot"), other)->what, What::issuer);
}

std::string findings(const std::string& text) {
  auto loaded = load({{"p", text}}, kOptions);
  return all_findings(loaded ? loaded->warnings : loaded.error());
}

TEST(Token, WhatIsWrongIsSaidWhereItStands) {
  const struct {
    const char *token, *finding;
  } agents[] = {
      {"{issuer: corp}",
       "p:4:40: error: token has neither `subject` nor `claims`: whoever the issuer signs for would do; name the "
       "subject; write subject: \"**\" if that is meant\n"},
      {"{issuer: crop, subject: a}", "p:4:49: error: no Issuer is named `crop`; did you mean `corp`?\n"},
      {"{issuer: corp, subjct: a, claims: {a: b}}",
       "p:4:55: error: unknown key `subjct` in token; did you mean `subject`?\n"},
      {"{subject: a}", "p:4:40: error: token lacks `issuer`\n"},
      {"{issuer: corp, subject: \"a**\"}",
       "p:4:64: error: token.subject: `a**`: `**` stands alone between colons and slashes; write it as in "
       "`system:serviceaccount:bots:billing-*`\n"},
      {"{issuer: corp, subject: a, file: tokens/x}",
       "p:4:73: error: token.file is `tokens/x`, not an absolute path; begin it with `/`\n"},
      {"{issuer: corp, claims: {}}", "p:4:63: error: claims is an empty map; leave the key out, or fill it\n"},
  };
  for (const auto& row : agents) EXPECT_EQ(findings(agent_with(row.token) + kIssuer), row.finding) << row.token;
  const struct {
    const char *spec, *finding;
  } issuers[] = {
      {"audience: a", "p:5:7: error: spec of an Issuer lacks `url`\n"},
      {"url: \"https://a\"", "p:5:7: error: spec of an Issuer lacks `audience`\n"},
      {"url: \"http://a\", audience: a",
       "p:5:13: error: url is `http://a`, where no keys can be asked for; write https://HOST[/PATH], or name a file of "
       "keys with `jwks`\n"},
      {"url: \"https://a\", audience: a, algorithms: [HS256]",
       "p:5:52: error: algorithms cannot be `HS256`; did you mean `RS256`?\n"},
      {"url: \"https://a\", audience: a, skew: 10m", "p:5:45: error: skew is more than 300s; set the clocks instead\n"},
      {"url: a, audience: a, jwks: /k, ca: /c",
       "p:5:43: error: `ca` is for keys that are asked for, and `jwks` names a file; leave one of them out\n"},
  };
  for (const auto& row : issuers) EXPECT_EQ(findings(document("Issuer", "corp", row.spec)), row.finding) << row.spec;
  for (const char* url : {"https://", "https:///x", "https://a/?b", "https://a#b", "https://u@a", "https://a b", "a"})
    EXPECT_NE(findings(document("Issuer", "c", fmt::format("url: \"{}\", audience: a", url))), "") << url;
}

/// What is said of two Agents that select one workload and have these tokens.
std::string together(std::string_view first, std::string_view second) {
  return findings(document("Agent", "a", fmt::format("workload: [{{cgroup: /pool}}]{}", first)) +
                  document("Agent", "b", fmt::format("workload: [{{cgroup: /pool}}]{}", second)) + kIssuer +
                  document("Issuer", "other", "url: \"https://other.example.com\", audience: sallyport") +
                  document("Issuer", "same", "url: \"https://login.example.com\", audience: elsewhere"));
}

TEST(Token, TwoAgentsOfOneWorkloadMayBeToldApartByIt) {
  const auto token = [](std::string_view rest) { return fmt::format(", token: {{issuer: corp, {}}}", rest); };
  const struct {
    std::string first, second;
    bool apart;
  } rows[] = {
      {token("subject: a"), token("subject: b"), true},
      {token("subject: [a, b]"), token("subject: [c, b]"), false},
      {token("subject: a"), token("subject: a"), false},
      {token("subject: 'a:*'"), token("subject: 'a:b'"), false},
      {token("subject: 'a:*'"), token("subject: 'a:b:c'"), true},
      {token("subject: 'a:**'"), token("subject: 'a:b:c'"), false},
      {token("subject: 'x-*'"), token("subject: '*-y'"), false},
      {token("subject: 'x-*'"), token("subject: 'y-*'"), true},
      {token("subject: a, claims: {role: r}"), token("subject: a, claims: {role: w}"), true},
      {token("subject: a, claims: {role: r}"), token("subject: a, claims: {roles: w}"), false},
      {token("claims: {role: r}"), token("subject: a"), false},
      {token("subject: a"), ", token: {issuer: other, subject: a}", true},
      {token("subject: a"), ", token: {issuer: same, subject: a}", false},
      {token("subject: a"), "", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(together(row.first, row.second) == "", row.apart) << row.first << row.second;
    EXPECT_EQ(together(row.second, row.first) == "", row.apart) << row.first << row.second;
  }
  EXPECT_EQ(together(token("subject: a"), token("subject: '*'")),
            "p:10:28: error: duplicate workload `cgroup /pool`; the other one stands at p:5:28; their tokens do not "
            "tell them apart: let `subject`, or one of `claims`, have nothing in common\n");
}

TEST(Token, ATargetMayAskForItInsideTheProtocol) {
  const auto policy = load_text(
      document("Target", "db", "protocol: postgres, hosts: ['d:1'], credential: {file: /c}, token: {from: password}"));
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->find_target("db")->token_from, TokenFrom::password);
  const struct {
    const char *rest, *finding;
  } rows[] = {
      {"token: {from: password}",
       "the password is the agent's token, and the Target has no credential to log in with; write credential: {file: "
       "/path}\n"},
      {"credential: {verifier: /c}, token: {from: password}", "the Target has no credential to log in with"},
      {"credential: {file: /c}, token: {from: authorization}",
       "token.from authorization is of protocol http; write token: {from: password}\n"},
      {"credential: {file: /c}, token: {from: header, name: X-T}", "token.from header is of protocol http"},
      {"credential: {file: /c}, token: {from: header}", "token lacks `name`"},
      {"credential: {file: /c}, token: {from: header, name: 'X T'}", "`x t` is no name of a header"},
      {"credential: {file: /c}, token: {from: header, name: Cookie}", "header `cookie` has another use"},
      {"credential: {file: /c}, token: {from: password, name: X-T}", "`name` is a header's"},
      {"credential: {file: /c}, token: {from: file}", "token.from cannot be `file`"},
      {"credential: {file: /c}, token: {}", "token lacks `from`"},
  };
  for (const auto& row : rows) {
    const std::string said =
        findings(document("Target", "db", fmt::format("protocol: postgres, hosts: ['d:1'], {}", row.rest)));
    EXPECT_NE(said.find(row.finding), std::string::npos) << row.rest << ": " << said;
  }
}

TEST(Token, TargetsOfOneHostAgreeOnWhereItIsShown) {
  const auto two = [](std::string_view token) {
    constexpr std::string_view kTarget =
        "protocol: postgres, hosts: ['d:1'], databases: [{}], credential: {{file: /c}}{}";
    return document("Target", "db", fmt::format(kTarget, "a", ", token: {from: password}")) +
           document("Target", "crm", fmt::format(kTarget, "b", token));
  };
  EXPECT_EQ(findings(two(", token: {from: password}")), "");
  EXPECT_NE(findings(two("")).find("which differ in `token`"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::policy
