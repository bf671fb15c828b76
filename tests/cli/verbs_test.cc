// SPDX-License-Identifier: Apache-2.0
// The program itself, where no daemon is needed: exit codes, help, policy verbs, completion.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

using nlohmann::json;

constexpr const char* kPolicy = R"(apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bot}
spec: {workload: [{exec: bot}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: db}
spec: {protocol: postgres, hosts: ["db.internal:5432"], masks: [pii]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {name: pii}
spec: {columns: [{column: public.customers.email, with: partial}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: bot-db}
spec:
  agent: bot
  target: db
  allow: [{sql: {statements: [select], tables: [public.customers]}}]
)";

class VerbsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sptest-cli-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    write("bot.yaml", kPolicy);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  static Outcome run(const Arguments& words) {
    Arguments all{SALLYPORT, "--socket", "/nonexistent/control.sock"};
    all.insert(all.end(), words.begin(), words.end());
    return Running(::geteuid(), all, false).finish();
  }
  static Outcome shell(const std::string& script) {
    return Running(::geteuid(), {"bash", "-c", script}, false).finish();
  }
  Outcome explain(const std::string& sql, const Arguments& more = {}) const {
    Arguments all{"policy", "explain", "--policy", folder_, "--agent", "bot", "--target", "db", sql};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }

  std::filesystem::path folder_;
};

bool has(const Outcome& outcome, const std::string& text) { return outcome.out.find(text) != std::string::npos; }

TEST_F(VerbsTest, WrongUseIsTwoAndForExec125) {
  EXPECT_EQ(run({}).code(), 2);
  EXPECT_EQ(run({"fly"}).code(), 2);
  EXPECT_EQ(run({"policy"}).code(), 2);
  EXPECT_EQ(run({"status", "--colour"}).code(), 2);
  EXPECT_EQ(run({"-o", "xml", "status"}).code(), 2);
  EXPECT_EQ(run({"exec", "--", "true"}).code(), 125);
  EXPECT_EQ(run({"exec", "--agent", "bot"}).code(), 125);
  EXPECT_EQ(run({"exec", "--agent", "bot", "true"}).code(), 125);
  EXPECT_EQ(run({"daemon", "--role", "king=root"}).code(), 2);
  EXPECT_EQ(run({"daemon", "--role", "viewer=no-such-user"}).code(), 2);
}

TEST_F(VerbsTest, WithoutADaemonTheRemedyIsNamed) {
  for (const Arguments& words :
       {Arguments{"status"}, {"agents"}, {"sessions", "list"}, {"sessions", "show", "x"}, {"policy", "reload"}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code(), 1) << words[0];
    EXPECT_TRUE(has(outcome, "no daemon at `/nonexistent/control.sock`")) << outcome.out;
    EXPECT_TRUE(has(outcome, "sudo sallyport daemon")) << outcome.out;
  }
}

TEST_F(VerbsTest, EveryVerbHelpsWithAnExample) {
  for (const Arguments& verb : {Arguments{},
                                {"daemon"},
                                {"exec"},
                                {"status"},
                                {"agents"},
                                {"doctor"},
                                {"policy"},
                                {"policy", "new"},
                                {"policy", "check"},
                                {"policy", "test"},
                                {"policy", "explain"},
                                {"policy", "token"},
                                {"policy", "reload"},
                                {"sessions"},
                                {"sessions", "list"},
                                {"sessions", "show"},
                                {"sessions", "replay"},
                                {"completion"}}) {
    Arguments words = verb;
    words.push_back("--help");
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code(), 0);
    EXPECT_TRUE(has(outcome, "example: ")) << outcome.out;
  }
  EXPECT_EQ(run({"--version"}).out, "0.1.0\n");
}

TEST_F(VerbsTest, ANewPolicyIsValidAsItStands) {
  const Outcome fresh = run({"policy", "new", "--agent", "billing-bot", "--target", "postgres://db.internal/invoices"});
  EXPECT_EQ(fresh.code(), 0);
  write("bot.yaml", fresh.out);
  const Outcome checked = run({"policy", "check", folder_});
  EXPECT_EQ(checked.code(), 0) << checked.out;
  EXPECT_TRUE(checked.out.starts_with("ok: 1 agent, 1 target")) << checked.out;
  EXPECT_EQ(run({"policy", "new", "--agent", "bot", "--target", "mysql://x"}).code(), 2);
}

TEST_F(VerbsTest, CheckNamesFileLineColumnAndWord) {
  EXPECT_EQ(run({"policy", "check", "--policy", folder_}).code(), 0);
  write("bad.yaml",
        "apiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {name: b}\nspec: {workloads: [{exec: b}]}\n");
  const Outcome text = run({"policy", "check", folder_});
  EXPECT_EQ(text.code(), 1);
  EXPECT_TRUE(has(text, "bad.yaml:4:8: error: ")) << text.out;
  EXPECT_TRUE(has(text, "`workload`")) << text.out;
  const json found = json::parse(run({"policy", "check", folder_, "-o", "json"}).out);
  EXPECT_EQ(found["ok"], false);
  EXPECT_EQ(found["findings"][0]["line"], 4);
  EXPECT_EQ(found["findings"][0]["severity"], "error");
  EXPECT_EQ(run({"policy", "check", "/nonexistent"}).code(), 2);
}

TEST_F(VerbsTest, ExplainHasTheShapePromised) {
  const Outcome outcome = explain("SELECT email, id FROM customers", {"-o", "json"});
  EXPECT_EQ(outcome.code(), 0) << outcome.out;
  const json found = json::parse(outcome.out);
  EXPECT_EQ(found["decision"], "allow");
  EXPECT_EQ(found["causes"], json::array({"bot-db.allow[0]"}));
  EXPECT_EQ(found["operation"], json({{"kind", "sql"}}));
  EXPECT_EQ(
      found["effects"],
      json::array(
          {{{"class", "select"}, {"object", "public.customers"}, {"access", "read"}, {"columns", {"email", "id"}}}}));
  ASSERT_EQ(found["masks"].size(), 1u);
  EXPECT_EQ(found["masks"][0]["column"], "public.customers.email");
  EXPECT_EQ(found["masks"][0]["strategy"], "partial");
  EXPECT_TRUE(found["masks"][0].contains("because"));
  EXPECT_EQ(found["hint"], "");
}

TEST_F(VerbsTest, ExplainRefusesAndSaysWhatWouldAllow) {
  const Outcome json_answer = explain("DELETE FROM customers", {"-o", "json"});
  EXPECT_EQ(json_answer.code(), 1);
  const json found = json::parse(json_answer.out);
  EXPECT_EQ(found["decision"], "deny");
  EXPECT_TRUE(found["hint"].get<std::string>().find("delete") != std::string::npos);
  const json unknown = json::parse(explain("SELECT nobody_knows()", {"-o", "json"}).out);
  ASSERT_EQ(unknown["effects"].size(), 1U) << unknown;
  EXPECT_EQ(unknown["effects"][0]["class"], "unknown");
  const Outcome text = explain("DELETE FROM customers");
  EXPECT_TRUE(has(text, "relations are taken as plain tables")) << text.out;
  EXPECT_EQ(run({"policy", "explain", "--policy", folder_, "--agent", "nobody", "--target", "db", "SELECT 1"}).code(),
            2);
  EXPECT_EQ(explain("SELEKT").code(), 1);
  EXPECT_EQ(explain("SELECT " + std::string(40'000, '(') + "1").code(), 1);
}

TEST_F(VerbsTest, ExplainTakesWhoCallsAndNamesItAsEverywhere) {
  std::string narrowed = kPolicy;
  narrowed.replace(narrowed.find("]}}]\n", narrowed.find("public.customers]")), 5,
                   "]}, process: {exe: /usr/bin/psql, uid: 1000}}]\n");
  write("bot.yaml", narrowed);
  const Outcome allowed =
      explain("SELECT id FROM customers", {"--workload", "exec:bot", "--issuer", "corp", "--subject", "bot@corp",
                                           "--exe", "/usr/bin/psql", "--uid", "1000"});
  EXPECT_EQ(allowed.code(), 0) << allowed.out;
  EXPECT_TRUE(has(allowed, "allow\n  for      bot (exec:bot, corp/bot@corp, psql)\n")) << allowed.out;
  const Outcome other = explain("SELECT id FROM customers", {"--exe", "/tmp/psql", "--uid", "1000", "-o", "json"});
  EXPECT_EQ(other.code(), 1);
  const json found = json::parse(other.out);
  EXPECT_EQ(found["principal"], "bot (psql)");
  EXPECT_EQ(found["causes"], json::array({"bot-db.allow[0]"}));
  EXPECT_TRUE(found["hint"].get<std::string>().find("process: {exe: /tmp/psql, uid: 1000}") != std::string::npos);
  const Outcome half = explain("SELECT id FROM customers", {"--exe", "/usr/bin/psql"});
  EXPECT_EQ(half.code(), 1);
  EXPECT_TRUE(has(half, "its uid is not stated")) << half.out;
  const Outcome none = explain("SELECT id FROM customers");
  EXPECT_EQ(none.code(), 1);
  EXPECT_TRUE(has(none, "nobody can say which process it is (none is stated)")) << none.out;
  EXPECT_EQ(explain("SELECT 1", {"--subject", "bot"}).code(), 2) << "of which issuer?";
}

TEST_F(VerbsTest, PolicyTestsRun) {
  EXPECT_EQ(run({"policy", "test", folder_}).code(), 1);  // there are none
  write("bot.test.yaml", R"(cases:
  - name: reads customers
    agent: bot
    target: db
    sql: SELECT id FROM customers
    decision: allow
)");
  const Outcome good = run({"policy", "test", folder_});
  EXPECT_EQ(good.code(), 0) << good.out;
  EXPECT_EQ(good.out, "1 passed, 0 failed\n");
  write("wrong.test.yaml", R"(cases:
  - name: deletes customers
    agent: bot
    target: db
    sql: DELETE FROM customers
    decision: allow
)");
  const Outcome bad = run({"policy", "test", folder_});
  EXPECT_EQ(bad.code(), 1);
  EXPECT_TRUE(has(bad, "deletes customers")) << bad.out;
  const json found = json::parse(run({"policy", "test", folder_, "-o", "json"}).out);
  EXPECT_EQ(found["passed"], 1);
  EXPECT_EQ(found["failed"], 1);
}

TEST_F(VerbsTest, SessionsOfAFolder) {
  EXPECT_EQ(run({"sessions", "list", "--records", "/nonexistent"}).code(), 1);
  const Outcome empty = run({"sessions", "list", "--records", folder_, "-o", "json"});
  EXPECT_EQ(empty.code(), 0) << empty.out;
  EXPECT_EQ(empty.out, "[]\n");
  EXPECT_EQ(run({"sessions", "show", "--records", folder_, "01J"}).code(), 1);
}

TEST_F(VerbsTest, MaskTestShowsWhatWouldComeOut) {
  write("text", "na\xc3\xafve mail ann@example.com now\nnothing here\n");
  write("lines", "{\"note\": \"card 4111 1111 1111 1111\", \"id\": 7}\n");
  const std::string mask = std::string(SALLYPORT) + " mask test ";
  EXPECT_EQ(shell(mask + "< " + (folder_ / "text").string()).out, "na\xc3\xafve mail [redacted] now\nnothing here\n");
  EXPECT_EQ(json::parse(shell(mask + "< " + (folder_ / "lines").string()).out),
            json::parse(R"({"note": "card [redacted]", "id": 7})"));
  const json finding = json::parse(shell(mask + "-o json --detect email < " + (folder_ / "text").string()).out);
  EXPECT_EQ(finding["type"], "email");
  EXPECT_EQ(finding["line"], 1);
  EXPECT_EQ(finding["start"], 12);  // bytes: the third letter takes two
  EXPECT_EQ(finding["end"], 27);
  EXPECT_EQ(finding["strategy"], "redact");
  EXPECT_EQ(shell(mask + "--detect nonsense < /dev/null").code(), 2);
}

TEST_F(VerbsTest, DoctorSaysEachThingOnceAndWhatStaysOpen) {
  const Outcome outcome = run({"doctor", "-o", "json", "--policy", folder_, "--state", folder_});
  EXPECT_EQ(outcome.code(), 1);  // no daemon
  const json found = json::parse(outcome.out);
  EXPECT_EQ(found["ok"], false);
  bool policy_ok = false, daemon_missing = false;
  for (const json& check : found["checks"]) {
    policy_ok |= check["name"] == "policy" && check["ok"] == true;
    daemon_missing |= check["name"] == "daemon" && check["ok"] == false;
    EXPECT_NE(check["ok"].get<bool>(), check["remedy"] != "") << check;
  }
  EXPECT_TRUE(policy_ok && daemon_missing) << outcome.out;
  EXPECT_GE(found["open"].size(), 5u);
}

TEST_F(VerbsTest, CompletionKnowsVerbsAndOptions) {
  const std::string load = std::string("source <(") + SALLYPORT + " completion bash); ";
  auto complete = [&](const std::string& words, int at) {
    return shell(load + "COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) +
                 "; _sallyport; echo \"${COMPREPLY[*]}\"")
        .out;
  };
  EXPECT_EQ(complete("sallyport st", 1), "status\n");
  EXPECT_EQ(complete("sallyport policy e", 2), "explain\n");
  EXPECT_EQ(complete("sallyport policy explain --ag", 3), "--agent\n");
  EXPECT_EQ(complete("sallyport status -o j", 3), "json\n");
  EXPECT_EQ(shell(std::string(SALLYPORT) + " completion zsh | head -1").out, "#compdef sallyport\n");
  EXPECT_EQ(run({"completion", "fish"}).code(), 2);
}

}  // namespace
}  // namespace sallyport::testing
