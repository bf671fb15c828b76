// SPDX-License-Identifier: Apache-2.0
// What policy authors use: `policy new` and `policy test`.
#include "sallyport/policy/author.h"

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

TEST(NewPolicy, LoadsAsItStandsAndGrantsNoTable) {
  for (const TargetAddress& address : std::vector<TargetAddress>{
           {"db.internal", 5432, "invoices"}, {"10.0.0.5", 6432, ""}, {"fd00::1", 5432, "My DB"}}) {
    const auto text = render_new("billing-bot", address);
    ASSERT_TRUE(text) << text.error().what;
    const auto policy = load_text(*text);
    ASSERT_TRUE(policy);
    ASSERT_EQ(policy->targets().size(), 1u);
    const Target& target = policy->targets()[0];
    model::Operation operation = sql({effect("select", "public.invoices", {"id"})});
    operation.target = target.name;
    EXPECT_EQ(policy->decide(agent("billing-bot"), connect_to(target.name), 0).outcome, model::Outcome::allow);
    const auto refused = policy->decide(agent("billing-bot"), operation, 0);
    EXPECT_EQ(refused.outcome, model::Outcome::deny);
    EXPECT_NE(refused.hint.find("allow: [{sql: {statements: [select], tables: [public.invoices], columns: [id]}}]"),
              std::string::npos);
    EXPECT_EQ(target.databases.empty(), address.database.empty());
  }
}

TEST(NewPolicy, SaysWhatItCannotWrite) {
  EXPECT_FALSE(render_new("Billing Bot", {"db", 5432, ""}));
  EXPECT_FALSE(render_new("bot", {"not a host", 5432, ""}));
  EXPECT_FALSE(render_new("bot", {"x\n---\nkind: Agent", 5432, ""}));
}

TEST(TargetUrl, Parts) {
  const struct {
    std::string_view url, host;
    int port;
    std::string_view database;
  } kGood[] = {
      {"postgres://db.internal/invoices", "db.internal", 5432, "invoices"},
      {"postgresql://me@db:6432/a%20b?sslmode=require", "db", 6432, "a b"},
      {"postgres://[fd00::1]:5433/x", "fd00::1", 5433, "x"},
      {"postgres://[fd00::1]", "fd00::1", 5432, ""},
      {"postgres://10.0.0.5", "10.0.0.5", 5432, ""},
  };
  for (const auto& row : kGood) {
    const auto address = parse_target_url(row.url);
    ASSERT_TRUE(address) << row.url;
    EXPECT_EQ(address->host, row.host);
    EXPECT_EQ(address->port, row.port);
    EXPECT_EQ(address->database, row.database);
  }
  for (std::string_view url : {"", "mysql://db/x", "db/x", "postgres://", "postgres:///x", "postgres://db:0/x",
                               "postgres://db:port/x", "postgres://db/%4", "postgres://db/%zz", "postgres://a b/x"})
    EXPECT_FALSE(parse_target_url(url)) << url;
  EXPECT_EQ(parse_target_url("postgres://me:secret@db/x").error().what, "the URL has a password in it");
}

TEST(TestFiles, AreKnownByTheirNames) {
  EXPECT_TRUE(is_test_file("a/quickstart.test.yaml"));
  EXPECT_TRUE(is_test_file("x.test.json"));
  EXPECT_FALSE(is_test_file("a/test.yaml"));
  EXPECT_FALSE(is_test_file("a.test.yaml.bak"));
}

class Runner : public testing::Test {
 protected:
  std::string run(std::string_view text) {
    // The analysis of these cases: a statement is known by heart, or it fails.
    const Analyse analyse = [](std::string_view sql) -> Result<std::vector<model::Effect>> {
      if (sql == "SELECT a FROM t") return std::vector<model::Effect>{effect("select", "public.t", {"a"})};
      return fail("syntax error");
    };
    const auto results = run_tests(*policy_, {"t.test.yaml", std::string(text)}, analyse, 0);
    if (!results) return all_findings(results.error());
    std::string out;
    for (const TestResult& result : *results)
      out += fmt::format("{} {}:{} {}\n{}", result.passed ? "pass" : "FAIL", result.where.line, result.where.column,
                         result.name, result.message);
    return out;
  }

  std::shared_ptr<const Policy> policy_ =
      load_text(document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "db", "protocol: postgres, hosts: ['10.0.0.5:5432'], databases: [app], masks: [m]") +
                document("Mask", "m", "columns: [{column: public.t.a, with: redact}]") +
                entitlement("e",
                            "allow: [{sql: {statements: [select], tables: [public.t]}}], hold: [{sql: {statements: "
                            "[delete]}}], window: {from: 2026-11-01}, limits: [{count: rows, max: 9, per: 1h}]"));
};

TEST_F(Runner, PassesWhatIsAsWritten) {
  EXPECT_EQ(run(R"(
agent: bot
target: db
at: 2026-12-01
cases:
  - {name: reads, sql: SELECT a FROM t, decision: allow, causes: ['e.allow[0]'], masks: [public.t.a redact]}
  - {effects: [{class: delete, object: public.t, access: write}], decision: hold, causes: ['e.hold[0]']}
  - {name: hint, effects: [{class: update, object: public.t, access: write, columns: [a]}],
    decision: deny, causes: [no rule], hint: 'allow: [{sql: {statements: [update], tables: [public.t], columns: [a]}}]'}
  - {name: unknown, effects: [{class: unknown, because: DO}], decision: deny}
  - {effects: [{class: select, object: public.t, columns: ['*']}], decision: allow, masks: [public.t.a redact]}
  - {name: connects, connect: true, decision: allow, limits: [9 rows per 1h over agent then deny]}
  - {name: too early, at: 2026-10-01, connect: true, decision: deny, causes: [e.window]}
  - {name: starts, startup: {database: app, user: x, settings: [timezone]}, decision: allow}
  - {name: elsewhere, startup: {database: other, user: x}, decision: deny, causes: [db.databases]}
  - {name: replicates, startup: {database: app, user: x, replication: true}, decision: deny}
  - {name: another agent, agent: ghost, connect: true, decision: deny, causes: [no agent]}
)"),
            "pass 6:5 reads\npass 7:5 case 2\npass 8:5 hint\npass 10:5 unknown\npass 11:5 case 5\npass 12:5 "
            "connects\npass 13:5 too early\n"
            "pass 14:5 starts\npass 15:5 elsewhere\npass 16:5 replicates\npass 17:5 another agent\n");
}

TEST_F(Runner, ARightDecisionForTheWrongReasonFails) {
  EXPECT_EQ(run("agent: bot\ntarget: db\nat: 2026-12-01\ncases:\n  - {name: x, sql: SELECT a FROM t, decision: allow, "
                "causes: [baseline.show], masks: [], limits: []}\n"),
            "FAIL 5:5 x\n"
            "  causes: expected [baseline.show]\n"
            "  causes: got      [e.allow[0]]\n"
            "  masks: expected []\n"
            "  masks: got      [public.t.a redact]\n"
            "  limits: expected []\n"
            "  limits: got      [9 rows per 1h over agent then deny]\n"
            "  because e.allow[0]: allow: [{sql: {statements: [select], tables: [public.t]}}]\n");
}

TEST_F(Runner, SaysWhatCameInstead) {
  EXPECT_EQ(run("agent: bot\ntarget: db\nat: 2026-12-01\ncases:\n  - {name: x, sql: SELECT a FROM t, decision: deny}\n "
                " - {name: y, sql: SELEC, decision: deny}\n"),
            "FAIL 5:5 x\n  decision: expected deny, got allow\n  because e.allow[0]: allow: [{sql: {statements: "
            "[select], tables: [public.t]}}]\n"
            "FAIL 6:5 y\n  cannot analyse the statement: syntax error\n");
}

TEST_F(Runner, MistakesInATestFile) {
  EXPECT_EQ(run(""), "t.test.yaml:1:1: error: no cases\n");
  EXPECT_EQ(run("cases: []"), "t.test.yaml:1:8: error: cases is an empty list; leave the key out, or fill it\n");
  EXPECT_EQ(run("cases:\n  - {sql: x, decison: allow}\n"),
            "t.test.yaml:2:5: error: a case lacks `agent`\nt.test.yaml:2:5: error: a case lacks "
            "`target`\nt.test.yaml:2:5: error: a case lacks `decision`\n"
            "t.test.yaml:2:14: error: unknown key `decison` in a case; did you mean `decision`?\n");
  EXPECT_EQ(run("agent: bot\ntarget: db\ncases:\n  - {sql: x, connect: true, decision: allow}\n"),
            "t.test.yaml:4:5: error: a case has exactly one of sql, effects, startup, connect, http\n");
  EXPECT_EQ(run("agent: bot\ntarget: db\ncases:\n  - {effects: [{class: select, objekt: t}], decision: allow}\n"),
            "t.test.yaml:4:16: error: an effect lacks `object`\nt.test.yaml:4:32: error: unknown key `objekt` in an "
            "effect; did you mean `object`?\n");
}

}  // namespace
}  // namespace sallyport::policy
