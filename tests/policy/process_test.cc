// SPDX-License-Identifier: Apache-2.0
// `process` narrows a rule: it never grants, and what nobody can tell of a process speaks against the operation.
#include "policy/match_process.h"
#include "sallyport/policy/author.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Outcome;

const std::string kDigest(64, 'a');
const std::string kOther(64, 'b');

model::Process psql() {
  model::Process out;
  out.pid = 4711;
  out.uid = 1000;
  out.gid = 100;
  out.command = "psql";
  out.executable = "/usr/bin/psql";
  out.sha256 = kDigest;
  return out;
}

model::Process with(const std::function<void(model::Process&)>& change) {
  model::Process out = psql();
  change(out);
  return out;
}

model::Process gone() {
  return with([](model::Process& p) {
    p.unknown = "the process has gone";
    p.command = p.executable = p.sha256 = "";
  });
}

/// The decision, checked against judge() on the way.
model::Decision decide_for(const Policy& policy, const model::Process& process, std::vector<model::Effect> effects) {
  model::Principal principal = agent();
  principal.process = process;
  EXPECT_EQ(policy.judge("bot", "db", effects, 0, process).outcome, policy.decide(principal, sql(effects), 0).outcome);
  return policy.decide(principal, sql(std::move(effects)), 0);
}

model::Decision connect_for(const Policy& policy, const model::Process& process) {
  model::Principal principal = agent();
  principal.process = process;
  return policy.decide(principal, connect_to("db"), 0);
}

const std::vector<model::Effect> kRead = {effect("select", "public.t", {"a"})};

std::shared_ptr<const Policy> allowing(std::string_view process) {
  return world(entitlement("e", fmt::format("allow: [{{sql: {{statements: [select]}}, process: {}}}]", process)));
}

TEST(Process, KeysAreAndedAndListValuesOred) {
  const struct {
    std::string_view rule;
    model::Process process;
    Outcome expected;
  } kRows[] = {
      {"{exe: /usr/bin/psql}", psql(), Outcome::allow},
      {"{exe: [/bin/a, /usr/bin/psql]}", psql(), Outcome::allow},
      {"{exe: /usr/*/psql}", psql(), Outcome::allow},
      {"{exe: '/usr/**'}", psql(), Outcome::allow},
      {"{exe: /usr/psql}", psql(), Outcome::deny},
      {"{exe: /usr/bin/psql}", with([](auto& p) { p.executable = "/tmp/usr/bin/psql"; }), Outcome::deny},
      {"{exe: /usr/bin/psql}", with([](auto& p) { p.executable = "/usr/bin/psql (deleted)"; }), Outcome::deny},
      {"{uid: 1000}", psql(), Outcome::allow},
      {"{uid: [0, 1000], gid: 100}", psql(), Outcome::allow},
      {"{uid: 1000, gid: [0, 1]}", psql(), Outcome::deny},
      {"{exe: /usr/bin/psql, uid: 0}", psql(), Outcome::deny},
  };
  for (const auto& row : kRows) {
    const auto policy = allowing(row.rule);
    ASSERT_TRUE(policy);
    EXPECT_EQ(decide_for(*policy, row.process, kRead).outcome, row.expected) << row.rule;
  }
  const auto by_digest = allowing(fmt::format("{{sha256: [{}, '{}']}}", kOther, std::string(64, 'A')));
  EXPECT_EQ(decide_for(*by_digest, psql(), kRead).outcome, Outcome::allow) << "in whatever case it is written";
  EXPECT_EQ(decide_for(*by_digest, with([](auto& p) { p.sha256 = std::string(64, 'c'); }), kRead).outcome,
            Outcome::deny);
}

TEST(Process, ThatNobodyCanTellSatisfiesNoAllow) {
  const auto exe = allowing("{exe: '/**'}");
  const auto digest = allowing(fmt::format("{{sha256: {}}}", kDigest));
  const auto uid = allowing("{uid: 1000}");
  for (const auto& policy : {exe, digest, uid}) {
    EXPECT_EQ(decide_for(*policy, gone(), kRead).outcome, Outcome::deny);
    EXPECT_EQ(decide_for(*policy, {}, kRead).outcome, Outcome::deny) << "no process at all";
  }
  const auto doubtful = with([](auto& p) {
    p.executable_doubt = p.sha256_missing = "its executable is on fuse";
    p.sha256 = "";
  });
  EXPECT_EQ(decide_for(*exe, doubtful, kRead).outcome, Outcome::deny);
  EXPECT_EQ(decide_for(*digest, doubtful, kRead).outcome, Outcome::deny);
  EXPECT_EQ(decide_for(*uid, doubtful, kRead).outcome, Outcome::allow) << "the uid is the kernel's own word";
  const auto own_mounts = with([](auto& p) { p.executable_doubt = "its mounts are its own"; });
  EXPECT_EQ(decide_for(*exe, own_mounts, kRead).outcome, Outcome::deny);
  EXPECT_EQ(decide_for(*digest, own_mounts, kRead).outcome, Outcome::allow) << "what it is, wherever it lies";
}

TEST(Process, OfADenyIsRuledOutOnlyForSure) {
  const auto policy = world(entitlement(
      "e", "allow: [{sql: {}}], deny: [{sql: {tables: [public.t]}, process: {exe: /usr/bin/psql, uid: 1000}}]"));
  ASSERT_TRUE(policy);
  EXPECT_EQ(in_words(decide_for(*policy, psql(), kRead)), "deny: e.deny[0]");
  EXPECT_EQ(decide_for(*policy, with([](auto& p) { p.executable = "/usr/bin/pg_dump"; }), kRead).outcome,
            Outcome::allow);
  EXPECT_EQ(decide_for(*policy, {}, kRead).outcome, Outcome::deny);
  const auto decision = decide_for(*policy, gone(), kRead);
  EXPECT_EQ(decision.outcome, Outcome::deny);
  EXPECT_NE(decision.causes.at(0).text.find(
                "refuses select public.t (a) (it may be such a process: nobody can say which process it is (the "
                "process has gone))"),
            std::string::npos)
      << decision.causes[0].text;
  EXPECT_EQ(decide_for(*policy, with([](auto& p) {
              p = gone();
              p.uid = 7;
            }),
                       kRead)
                .outcome,
            Outcome::allow)
      << "whatever it runs, its uid is another: the kernel says so";
  EXPECT_EQ(decide_for(*policy, psql(), {effect("select", "public.u", {"a"})}).outcome, Outcome::allow);
}

TEST(Process, OfAHoldCoversForSureAndHoldsInDoubt) {
  const auto alone = world(entitlement("e", "hold: [{sql: {statements: [select]}, process: {exe: /usr/bin/psql}}]"));
  EXPECT_EQ(decide_for(*alone, psql(), kRead).outcome, Outcome::hold);
  EXPECT_EQ(decide_for(*alone, gone(), kRead).outcome, Outcome::deny) << "it covers nothing then";
  const auto beside = world(
      entitlement("e", "allow: [{sql: {}}], hold: [{sql: {statements: [select]}, process: {exe: /usr/bin/psql}}]"));
  EXPECT_EQ(decide_for(*beside, psql(), kRead).outcome, Outcome::hold);
  EXPECT_EQ(decide_for(*beside, gone(), kRead).outcome, Outcome::hold);
  EXPECT_EQ(decide_for(*beside, with([](auto& p) { p.executable = "/bin/x"; }), kRead).outcome, Outcome::allow);
}

TEST(Process, WithoutARuleOfItsOwnMayNotConnectNorUseTheBaseline) {
  const auto policy = allowing("{exe: /usr/bin/psql}");
  EXPECT_EQ(connect_for(*policy, psql()).outcome, Outcome::allow);
  const auto other = with([](auto& p) { p.executable = "/tmp/psql"; });
  const auto refused = connect_for(*policy, other);
  EXPECT_EQ(in_words(refused), "deny: e.allow[0]");
  EXPECT_EQ(refused.causes[0].text,
            "`allow: [{sql: {statements: [select]}, process: {exe: /usr/bin/psql}}]` is for another process: its "
            "executable is /tmp/psql, not /usr/bin/psql");
  const auto begin = effect_on(model::ObjectKind::other, "transaction", "BEGIN");
  EXPECT_EQ(decide_for(*policy, psql(), {begin}).outcome, Outcome::allow);
  EXPECT_EQ(decide_for(*policy, other, {begin}).outcome, Outcome::deny);
  EXPECT_EQ(policy->judge("bot", "db", {}, 0, other).obligations, nullptr);
}

TEST(Process, ARefusalNamesItAndProposesTheRule) {
  const auto policy = world(entitlement(
      "e", fmt::format("allow: [{{sql: {{statements: [show]}}}}, {{sql: {{statements: [select]}}, process: {{exe: "
                       "/usr/bin/psql, sha256: {}, uid: [0, 1]}}}}]",
                       kDigest)));
  const auto refused = decide_for(*policy, with([](auto& p) { p.executable = "/tmp/psql"; }), kRead);
  EXPECT_EQ(in_words(refused), "deny: e.allow[1]");
  EXPECT_EQ(refused.hint,
            fmt::format("allow: [{{sql: {{statements: [select], tables: [public.t], columns: [a]}}, process: {{exe: "
                        "/tmp/psql, sha256: \"{}\", uid: 1000}}}}]  # Entitlement e",
                        kDigest));
  const auto mended = world(entitlement("e", refused.hint.substr(0, refused.hint.find("  #"))));
  ASSERT_TRUE(mended);
  EXPECT_EQ(decide_for(*mended, with([](auto& p) { p.executable = "/tmp/psql"; }), kRead).outcome, Outcome::allow);
  const auto unknown = decide_for(*policy, gone(), kRead);
  EXPECT_TRUE(unknown.hint.starts_with("# no rule can name this process")) << unknown.hint;
  const auto pending = with([](auto& p) {
    p.sha256 = "";
    p.sha256_missing = "its executable is still being digested";
    p.digesting = true;
    p.uid = 1;
  });
  EXPECT_NE(decide_for(*policy, pending, kRead)
                .causes.at(0)
                .text.find("the SHA-256 of its executable is not known: its executable is still being digested"),
            std::string::npos);
  EXPECT_EQ(in_words(decide_for(*policy, gone(), {effect("update", "public.t", {"a"}, model::Access::write)})),
            "deny: no rule")
      << "no rule would cover it for any process";
}

TEST(Process, NarrowsRulesOfHttpAlike) {
  const auto policy = world(document("Target", "api", "protocol: http, hosts: ['10.0.0.6:80']") +
                            document("Entitlement", "h",
                                     "agent: bot, target: api, allow: [{http: {methods: [GET]}, process: {exe: "
                                     "/usr/bin/curl}}, {http: {methods: [PUT]}}], deny: [{http: {paths: [/secret]}, "
                                     "process: {exe: /usr/bin/wget}}]"));
  ASSERT_TRUE(policy);
  const auto decide_http = [&](std::string_view method, std::string_view path, const model::Process& process) {
    model::Principal principal = agent();
    principal.process = process;
    model::Operation request;
    request.target = "api";
    model::Http http;
    http.method = method;
    http.path = path;
    request.body = http;
    return policy->decide(principal, request, 0);
  };
  const auto curl = with([](auto& p) { p.executable = "/usr/bin/curl"; });
  EXPECT_EQ(in_words(decide_http("GET", "/v1", curl)), "allow: h.allow[0]");
  const auto refused = decide_http("GET", "/v1", psql());
  EXPECT_EQ(in_words(refused), "deny: h.allow[0]");
  EXPECT_NE(refused.hint.find("paths: [/v1]}, process: {exe: /usr/bin/psql}}]"), std::string::npos) << refused.hint;
  EXPECT_EQ(in_words(decide_http("GET", "/v1", gone())), "deny: h.allow[0]");
  EXPECT_EQ(decide_http("PUT", "/secret", psql()).outcome, Outcome::allow);
  EXPECT_EQ(in_words(decide_http("PUT", "/secret", gone())), "deny: h.deny[0]");
}

TEST(Process, OfARuleKeepsOthersFromBeingTransparent) {
  const auto policy =
      world(entitlement("e", "allow: [{sql: {}}, {sql: {statements: [unknown]}, process: {exe: /usr/bin/psql}}]"));
  EXPECT_TRUE(policy->passes_everything("bot", "db", 0, psql()));
  EXPECT_FALSE(policy->passes_everything("bot", "db", 0, gone()));
  EXPECT_FALSE(policy->passes_everything("bot", "db", 0));
}

TEST(Process, OnlyRulesWithADigestAreWaitedFor) {
  EXPECT_FALSE(allowing("{exe: /usr/bin/psql}")->asks_for_digest("bot"));
  EXPECT_TRUE(allowing(fmt::format("{{sha256: {}}}", kDigest))->asks_for_digest("bot"));
  EXPECT_FALSE(allowing(fmt::format("{{sha256: {}}}", kDigest))->asks_for_digest("other"));
}

std::string findings(const std::string& documents) {
  auto loaded = load({{"p.yaml", std::string(kAgentAndTarget) + documents}}, kOptions);
  return all_findings(loaded ? loaded->warnings : loaded.error());
}

TEST(Process, WhatIsWrittenWrongIsSaid) {
  const struct {
    std::string_view process, expected;
  } kRows[] = {
      {"{}", "error: process is an empty map; leave the key out, or name the executable"},
      {"{path: /bin/x}", "error: unknown key `path` in process; known: exe, sha256, uid, gid"},
      {"{exe: psql}", "error: process.exe: "},
      {"{sha256: abc}", "error: process.sha256: `abc` is not 64 hex digits; take what `sha256sum FILE` prints"},
      {"{uid: root}", "error: process.uid is `root`, not a whole number from 0 to 4294967294"},
      {"{uid: 4294967295}", "error: process.uid is `4294967295`, not a whole number"},
      {"{exe: /usr/bin/python3.11}", "warning: `/usr/bin/python3.11` runs scripts: whatever it runs is this process"},
  };
  for (const auto& row : kRows) {
    const std::string found =
        findings(entitlement("e", fmt::format("allow: [{{sql: {{}}, process: {}}}]", row.process)));
    EXPECT_NE(found.find(row.expected), std::string::npos) << row.process << "\n" << found;
  }
  EXPECT_EQ(findings(entitlement("e", "allow: [{sql: {}, process: {exe: /usr/bin/psql}}]")), "");
  EXPECT_NE(findings(entitlement("e", "allow: [{process: {exe: /usr/bin/psql}}]")).find("exactly one protocol key"),
            std::string::npos)
      << "a process is no ground by itself";
  EXPECT_NE(findings(entitlement("e", "allow: [{sql: {}}], deny: [{sql: {}, process: {exe: /usr/bin/psql}}]"))
                .find("warning: a copy of the executable, or one byte more in it, gets around this deny"),
            std::string::npos);
}

TEST(Process, WhatDoesNotHoldInAContainerIsWarnedOf) {
  const std::string container = document("Agent", "web", "workload: [{docker: {name: web}}]");
  const auto rule = [](std::string_view process) {
    return document("Entitlement", "w",
                    fmt::format("agent: web, target: db, allow: [{{sql: {{}}, process: {}}}]", process));
  };
  EXPECT_NE(findings(container + rule("{exe: /usr/bin/psql}"))
                .find("warning: `w.allow[0]`: what lies at /usr/bin/psql in a container is the container's own word; "
                      "name the file's `sha256` too"),
            std::string::npos);
  EXPECT_EQ(findings(container + rule(fmt::format("{{exe: /usr/bin/psql, sha256: {}}}", kDigest))), "");
}

TEST(Process, IsStatedInTests) {
  const auto policy = allowing(fmt::format("{{exe: /usr/bin/psql, uid: 1000, sha256: {}}}", kDigest));
  const std::string tests = fmt::format(R"(
agent: bot
target: db
process: {{exe: /usr/bin/psql, uid: 1000, sha256: {}}}
cases:
  - {{name: its own, connect: true, decision: allow}}
  - {{name: another, connect: true, process: {{exe: /tmp/psql}}, decision: deny, causes: ["e.allow[0]"]}}
  - {{name: a uid that is not stated is not root's, connect: true, process: {{exe: /usr/bin/psql, sha256: {}}}, decision: deny}}
)",
                                        kDigest, kDigest);
  const auto results = run_tests(*policy, {"p.test.yaml", tests}, {}, 0);
  ASSERT_TRUE(results) << all_findings(results.error());
  ASSERT_EQ(results->size(), 3u);
  for (const TestResult& result : *results) EXPECT_TRUE(result.passed) << result.name << "\n" << result.message;
}

}  // namespace
}  // namespace sallyport::policy
