// SPDX-License-Identifier: Apache-2.0
// HTTP in policy: paths normalised, rules matched, requests decided, and what a Target of protocol http cannot have.
#include "sallyport/policy/http.h"

#include "policy/match_http.h"
#include "sallyport/policy/author.h"
#include "sallyport/policy/explain.h"
#include "tests/policy/world.h"

namespace sallyport::policy::test {
namespace {

constexpr std::string_view kWeb = R"(
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bot}
spec: {workload: [{exec: bot}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: api}
spec: {protocol: http, hosts: ["api.internal:8080", "10.0.0.0/8:8080"]}
)";

std::string on_api(std::string_view rest) {
  return document("Entitlement", "e", fmt::format("agent: bot, target: api, {}", rest));
}

model::Decision request(const Policy& policy, std::string_view method, std::string_view path) {
  auto normal = normalise_path(path);
  EXPECT_TRUE(normal) << path;
  model::Operation operation;
  operation.target = "api";
  operation.body = model::Http{std::string(method), "", normal ? normal->path : "", ""};
  return policy.decide(agent(), operation, 0);
}

/// "allow: e.allow[0]" for METHOD PATH under the rules of one Entitlement.
std::string judged(std::string_view rules, std::string_view method, std::string_view path) {
  auto policy = load_text(std::string(kWeb) + on_api(rules));
  return policy ? in_words(request(*policy, method, path)) : "";
}

std::string errors_of(const std::string& text) {
  auto loaded = load({{"p.yaml", text}}, kOptions);
  return loaded ? "" : all_findings(loaded.error());
}

// ---------------------------------------------------------------- paths

TEST(HttpPath, IsDecodedOnce) {
  const auto path = [](std::string_view target) { return normalise_path(target).value_or(HttpPath{"?", ""}).path; };
  EXPECT_EQ(path("/"), "/");
  EXPECT_EQ(path("*"), "*");
  EXPECT_EQ(path("/v1/invoices/"), "/v1/invoices/");
  EXPECT_EQ(path("/%76%31/a%20b%3Fc"), "/v1/a b?c");
  EXPECT_EQ(path("/a%252Fb"), "/a%2Fb");
  EXPECT_EQ(path("/caf%C3%A9"), "/caf\xc3\xa9");
  EXPECT_EQ(path("/a//b"), "/a//b");
  EXPECT_EQ(path("/..."), "/...");
  EXPECT_EQ(normalise_path("/a?b=%2F&c=/../")->query, "b=%2F&c=/../");
  EXPECT_EQ(normalise_path("/a?b?c")->query, "b?c");
}

TEST(HttpPath, WhatServersReadInDifferentWaysIsRefused) {
  for (const char* target :
       {"",      "a",    "http://x/", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%00",        "/a%0a",  "/a%0D",   "/%7f",
        "/%",    "/%4",  "/%zz",      "/%4g",   "/.",     "/..",    "/../a",        "/a/./b", "/a/..",   "/%2e%2e/a",
        "/.%2E", "/a#b", "/a\\b",     "/a b",   "/a\"b",  "/<a>",   "/caf\xc3\xa9", "/a?b c", "/a?b\x7f"})
    EXPECT_FALSE(normalise_path(target)) << target;
  EXPECT_FALSE(normalise_path(std::string_view("/a\0b", 4)));
}

TEST(HttpHostField, IsTakenApart) {
  const auto host = [](std::string_view text) {
    auto parsed = parse_http_host(text);
    return parsed ? fmt::format("{} {}", parsed->name, parsed->port) : std::string("no");
  };
  EXPECT_EQ(host("API.Internal.:8080"), "api.internal 8080");
  EXPECT_EQ(host("api.internal"), "api.internal 0");
  EXPECT_EQ(host("10.0.0.5:80"), "10.0.0.5 80");
  EXPECT_EQ(host("[fd00::1]:80"), "fd00::1 80");
  EXPECT_EQ(host("[fd00::1]"), "fd00::1 0");
  for (const char* bad : {"", ":80", "a:", "a:0", "a:65536", "a:8a", "a:80:80", "user@a", "a/b", "a b", "[fd00::1",
                          "fd00::1", "[a]", "[10.0.0.5]", "[fd00::1]80", "a,b", "a\tb"})
    EXPECT_EQ(host(bad), "no") << bad;
}

TEST(HttpHostField, LeadsToATargetByItsNamesAndByAddress) {
  const auto policy = load_text(std::string(kWeb) + on_api("allow: [{http: {}}]"));
  const HostAddresses resolved{{"api.internal", {model::IpAddress::v4(10, 0, 0, 9)}}};
  const auto leads = [&](std::string_view host) {
    return leads_to(*policy, resolved, *policy->find_target("api"), *parse_http_host(host), 8080);
  };
  EXPECT_TRUE(leads("api.internal"));
  EXPECT_TRUE(leads("api.internal:8080"));
  EXPECT_TRUE(leads("10.1.2.3"));
  EXPECT_FALSE(leads("api.internal:80"));
  EXPECT_FALSE(leads("other.internal"));
  EXPECT_FALSE(leads("x.api.internal"));
  EXPECT_FALSE(leads("11.1.2.3"));
  EXPECT_FALSE(leads("10.1.2.3:80"));
}

// ---------------------------------------------------------------- rules

TEST(HttpRules, Decide) {
  struct Row {
    const char* rules;
    const char* method;
    const char* path;
    const char* decision;
  };
  const Row rows[] = {
      {"allow: [{http: {}}]", "DELETE", "/x", "allow: e.allow[0]"},
      {"allow: [{http: {}}]", "OPTIONS", "*", "allow: e.allow[0]"},
      {"allow: [{http: {methods: [GET]}}]", "GET", "/x", "allow: e.allow[0]"},
      {"allow: [{http: {methods: [GET]}}]", "HEAD", "/x", "allow: e.allow[0]"},
      {"allow: [{http: {methods: [HEAD]}}]", "GET", "/x", "deny: no rule"},
      {"allow: [{http: {methods: [GET]}}]", "get", "/x", "deny: no rule"},
      {"allow: [{http: {methods: [GET]}}]", "POST", "/x", "deny: no rule"},
      {"allow: [{http: {methods: ['*']}}]", "POST", "/x", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/invoices]}}]", "GET", "/v1/invoices", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/invoices]}}]", "GET", "/v1/invoices/", "deny: no rule"},
      {"allow: [{http: {paths: [/v1/invoices/]}}]", "GET", "/v1/invoices/", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/invoices]}}]", "GET", "/V1/invoices", "deny: no rule"},
      {"allow: [{http: {paths: [/v1/invoices]}}]", "GET", "/%761/invoices?a=b", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/]}}]", "GET", "/", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/]}}]", "GET", "/x", "deny: no rule"},
      {"allow: [{http: {paths: [/v1/*]}}]", "GET", "/v1/a", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/*]}}]", "GET", "/v1/a/b", "deny: no rule"},
      {"allow: [{http: {paths: [/v1/**]}}]", "GET", "/v1/a/b", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/**]}}]", "GET", "/v1", "deny: no rule"},
      {"allow: [{http: {paths: [/v1/*.json]}}]", "GET", "/v1/a.json", "allow: e.allow[0]"},
      {"allow: [{http: {paths: [/v1/**]}}]", "OPTIONS", "*", "deny: no rule"},
      {"allow: [{http: {paths: [/v1, /v2]}}]", "GET", "/v2", "allow: e.allow[0]"},
      {"allow: [{http: {}}], deny: [{http: {paths: [/admin/**]}}]", "GET", "/admin/a", "deny: e.deny[0]"},
      {"allow: [{http: {}}], deny: [{http: {paths: [/admin/**]}}]", "GET", "/a", "allow: e.allow[0]"},
      {"allow: [{http: {}}], deny: [{http: {methods: [GET]}}]", "HEAD", "/a", "deny: e.deny[0]"},
      {"hold: [{http: {methods: [POST]}}], allow: [{http: {}}]", "POST", "/a", "hold: e.hold[0]"},
      {"hold: [{http: {methods: [POST]}}]", "POST", "/a", "hold: e.hold[0]"},
      {"hold: [{http: {methods: [POST]}}]", "GET", "/a", "deny: no rule"},
  };
  for (const Row& row : rows) EXPECT_EQ(judged(row.rules, row.method, row.path), row.decision) << row.rules << row.path;
}

TEST(HttpRules, APathThatServersReadInDifferentWaysIsCoveredByNoPatternAndTouchedByAll) {
  for (const char* path : {"/v1//a", "//v1/a", "/v1/a;b", "/v1/a%2525", "/v1/%ff", "/v1/%c0%af", "/v1/%ed%a0%80"}) {
    EXPECT_EQ(judged("allow: [{http: {paths: [/v1/**, /*/*, /*/*/*]}}]", "GET", path), "deny: no rule") << path;
    EXPECT_EQ(judged("allow: [{http: {paths: ['/**']}}]", "GET", path), "allow: e.allow[0]") << path;
    EXPECT_EQ(judged("allow: [{http: {}}], deny: [{http: {paths: [/other]}}]", "GET", path), "deny: e.deny[0]") << path;
    EXPECT_EQ(judged("allow: [{http: {}}], hold: [{http: {paths: [/other]}}]", "GET", path), "hold: e.hold[0]") << path;
  }
}

TEST(HttpRules, HintsAllowWhatWasRefused) {
  const auto hint = [](std::string_view method, std::string_view path) {
    const auto policy = load_text(std::string(kWeb) + on_api("allow: [{http: {paths: [/nothing]}}]"));
    return request(*policy, method, path).hint;
  };
  EXPECT_EQ(hint("POST", "/v1/a"), "allow: [{http: {methods: [POST], paths: [/v1/a]}}]  # Entitlement e");
  EXPECT_EQ(hint("HEAD", "/v1/a?b"), "allow: [{http: {methods: [GET], paths: [/v1/a]}}]  # Entitlement e");
  EXPECT_EQ(hint("GET", "/v1//a"), "allow: [{http: {methods: [GET]}}]  # Entitlement e");
  EXPECT_EQ(hint("GET", "/v1/*"), "allow: [{http: {methods: [GET]}}]  # Entitlement e");
  // What a hint says does allow it, whatever the path.
  for (const char* path : {"/v1/a", "/", "/a/", "/a%20b", "/a%3Ab", "/a//b", "/a;b", "/a%25", "/'", "/a%3Fb", "/%23"}) {
    const std::string rule = hint("PUT", path);
    EXPECT_EQ(judged(rule.substr(0, rule.find("  #")), "PUT", path), "allow: e.allow[0]") << rule;
  }
}

TEST(HttpRules, WithoutEntitlementTheHintIsAWholeOne) {
  const auto policy = load_text(std::string(kWeb));
  EXPECT_NE(request(*policy, "GET", "/v1").hint.find("allow: [{http: {methods: [GET], paths: [/v1]}}]"),
            std::string::npos);
}

TEST(HttpRules, ExplainNamesTheRequest) {
  const auto policy = load_text(std::string(kWeb) + on_api("allow: [{http: {}}]"));
  model::Operation operation;
  operation.target = "api";
  operation.body = model::Http{"GET", "", "/v1", ""};
  const std::string text = explain_text(policy->decide(agent(), operation, 0), operation);
  EXPECT_NE(text.find("  request  GET /v1\n"), std::string::npos) << text;
}

// ---------------------------------------------------------------- documents

TEST(HttpDocuments, MistakesAreNamed) {
  const auto target = [](std::string_view rest) {
    return document("Target", "t", fmt::format("protocol: http, hosts: ['b:80'], {}", rest));
  };
  const std::pair<std::string, const char*> rows[] = {
      {on_api("allow: [{sql: {}}]"), "a rule about sql, but Target `api` is of protocol http"},
      {on_api("allow: [{http: {}, sql: {}}]"), "exactly one protocol key"},
      {on_api("allow: [{http: {methods: [get]}}]"), "methods are written in capitals: GET"},
      {on_api("allow: [{http: {method: [GET]}}]"), "unknown key `method`"},
      {on_api("allow: [{http: {paths: [v1]}}]"), "not an absolute path"},
      {on_api("allow: [{http: {paths: ['/a//b']}}]"), "empty, `.` and `..` parts"},
      {on_api("allow: [{http: {paths: ['/a/../b']}}]"), "empty, `.` and `..` parts"},
      {on_api("allow: [{http: {paths: ['/a%20b']}}]"), "matched as decoded"},
      {on_api("allow: [{http: {paths: ['/a?b']}}]"), "without its query"},
      {on_api("allow: [{http: {paths: ['/a**']}}]"), "`**` stands alone"},
      {on_api("allow: [{http: {paths: [/a]}}], deny: [{http: {methods: [GET], paths: ['/**']}}, {http: {}}]"),
       "unreachable"},
      {on_api("allow: [{http: {}}], limits: [{count: rows, max: 1, per: 1h}]"), "HTTP has no rows to count"},
      {on_api("allow: [{http: {}}], masks: [m]") + document("Mask", "m", "detect: [{type: email, with: redact}]"),
       "nothing reads bodies of protocol http"},
      {target("masks: [m]") + document("Mask", "m", "detect: [{type: email, with: redact}]"),
       "nothing reads bodies of protocol http"},
      {target("databases: [a]"), "databases is for protocol postgres"},
      {target("users: [a]"), "users is for protocol postgres"},
      {target("credential: {file: /a}"), "credential is for protocol postgres"},
      {target("record: {rows: 1}"), "record is for protocol postgres"},
      {target("token: {from: password}"), "token.from password is of protocol postgres"},
      {target("tls: {mode: prefer}"), "tls.mode prefer is for protocol postgres"},
      {target("tls: {ca: /a}"), "tls.ca is not used"},
      {document("Target", "t", "protocol: http, hosts: ['api.internal:8080']"), "is listed twice"},
  };
  for (const auto& [text, expected] : rows) {
    const std::string found = errors_of(std::string(kWeb) + text);
    EXPECT_NE(found.find(expected), std::string::npos) << text << "\n" << found;
  }
  EXPECT_NE(errors_of(std::string(kAgentAndTarget) + entitlement("e", "allow: [{http: {}}]")).find("a rule about http"),
            std::string::npos);
}

TEST(HttpDocuments, TlsIsOffUnlessItIsAskedFor) {
  const auto mode = [](std::string_view rest) {
    const auto policy = load_text(document("Target", "t", fmt::format("protocol: http, hosts: ['b:80']{}", rest)));
    return policy ? policy->find_target("t")->tls_mode : TlsMode::allow;
  };
  EXPECT_EQ(mode(""), TlsMode::disable);
  EXPECT_EQ(mode(", tls: {mode: verify-full}"), TlsMode::verify_full);
  EXPECT_EQ(mode(", tls: {agent: require}"), TlsMode::disable);
}

TEST(HttpDocuments, ATargetTakesTokensInRequests) {
  const auto policy =
      load_text(document("Target", "a", "protocol: http, hosts: ['a:80'], token: {from: authorization}") +
                document("Target", "b", "protocol: http, hosts: ['b:80'], token: {from: header, name: X-T}"));
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->find_target("a")->token_from, TokenFrom::authorization);
  EXPECT_EQ(policy->find_target("b")->token_from, TokenFrom::header);
}

TEST(HttpDocuments, TestFilesHaveRequests) {
  const auto policy = load_text(std::string(kWeb) + on_api("allow: [{http: {methods: [GET], paths: [/v1/**]}}]"));
  const auto none = [](std::string_view) -> Result<std::vector<model::Effect>> { return fail("no SQL here"); };
  const auto run = [&](std::string_view cases) {
    return run_tests(*policy, {"a.test.yaml", fmt::format("agent: bot\ntarget: api\ncases: [{}]", cases)}, none, 0);
  };
  const auto ran =
      run("{http: {method: GET, path: '/v1/a?b=c'}, decision: allow, causes: ['e.allow[0]']}, "
          "{http: {method: POST, path: /v1/a}, decision: deny}, "
          "{http: {method: POST, path: /v1/a}, decision: allow}");
  ASSERT_TRUE(ran) << all_findings(ran.error());
  EXPECT_TRUE((*ran)[0].passed) << (*ran)[0].message;
  EXPECT_TRUE((*ran)[1].passed) << (*ran)[1].message;
  EXPECT_FALSE((*ran)[2].passed);
  EXPECT_FALSE(run("{http: {method: GET, path: '/a%2Fb'}, decision: deny}"));
  EXPECT_FALSE(run("{http: {method: GET}, decision: deny}"));
}

}  // namespace
}  // namespace sallyport::policy::test
