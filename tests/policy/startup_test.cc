// SPDX-License-Identifier: Apache-2.0
// The StartupMessage as an operation: database, user, settings, replication.
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Access;
using model::ObjectKind;

std::vector<model::Effect> startup(std::string_view database, std::string_view user,
                                   std::vector<std::string_view> settings = {}) {
  std::vector<model::Effect> out = {effect_on(ObjectKind::database, "startup", database, Access::write),
                                    effect_on(ObjectKind::role, "startup", user, Access::write)};
  for (std::string_view name : settings) out.push_back(effect_on(ObjectKind::setting, "startup", name, Access::write));
  return out;
}

std::shared_ptr<const Policy> with_target(std::string_view target_rest, std::string_view rules) {
  return load_text(
      document("Agent", "bot", "workload: [{exec: bot}]") +
      document("Target", "db", fmt::format("protocol: postgres, hosts: ['10.0.0.5:5432']{}", target_rest)) +
      entitlement("e", rules));
}

TEST(Startup, TheTargetsListsBind) {
  const auto policy = with_target(", databases: [invoices, 'test_*'], users: [billing]", "allow: [{sql: {}}]");
  EXPECT_EQ(in_words(decide(*policy, startup("invoices", "billing"))), "allow: e.allow[0]");
  EXPECT_EQ(in_words(decide(*policy, startup("test_1", "billing"))), "allow: e.allow[0]");
  const auto refused = decide(*policy, startup("postgres", "billing"));
  EXPECT_EQ(in_words(refused), "deny: db.databases");
  EXPECT_EQ(refused.causes[0].text, "`databases: [invoices, 'test_*']` refuses startup database postgres");
  EXPECT_EQ(refused.causes[0].where, "p.yaml:10:65");
  EXPECT_EQ(refused.hint, "databases: [postgres]  # one more in Target db");
  EXPECT_EQ(in_words(decide(*policy, startup("invoices", "postgres"))), "deny: db.users");
  EXPECT_EQ(in_words(decide(*policy, startup("Invoices", "billing"))), "deny: db.databases")
      << "startup names do not fold";
}

TEST(Startup, AnAbsentListMeansAny) {
  const auto policy = with_target("", "allow: [{sql: {statements: [select], tables: [public.t]}}]");
  EXPECT_EQ(in_words(decide(*policy, startup("x", "y"))), "allow: db.databases, db.users");
}

TEST(Startup, ADenyRuleCanNarrowOneAgent) {
  const auto policy = with_target(
      "", "allow: [{sql: {tables: [public.t]}}], deny: [{sql: {statements: [startup], databases: [postgres]}}]");
  EXPECT_EQ(in_words(decide(*policy, startup("x", "y"))), "allow: db.databases, db.users");
  EXPECT_EQ(in_words(decide(*policy, startup("postgres", "y"))), "deny: e.deny[0]");
}

TEST(Startup, SettingsAreOfTheBaselineOrOfARule) {
  const std::string_view table_only = "allow: [{sql: {tables: [public.t]}}]";
  EXPECT_EQ(decide(*with_target("", table_only),
                   startup("x", "y", {"application_name", "client_encoding", "DateStyle", "TimeZone"}))
                .outcome,
            model::Outcome::allow);
  const auto refused = decide(*with_target("", table_only), startup("x", "y", {"search_path"}));
  EXPECT_EQ(in_words(refused), "deny: no rule");
  EXPECT_EQ(refused.hint, "allow: [{sql: {statements: [startup], settings: [search_path]}}]  # Entitlement e");
  EXPECT_EQ(in_words(decide(*with_target("", "allow: [{sql: {settings: [search_path]}}]"),
                            startup("x", "y", {"search_path"}))),
            "allow: db.databases, db.users, e.allow[0]");
  EXPECT_EQ(in_words(decide(*with_target("", "allow: [{sql: {tables: [public.t]}}], baseline: none"),
                            startup("x", "y", {"timezone"}))),
            "deny: no rule");
}

TEST(Startup, ReplicationNeedsItsOwnRule) {
  auto effects = startup("x", "y");
  effects.push_back(effect_on(ObjectKind::other, "replication", "replication connection", Access::read));
  EXPECT_EQ(in_words(decide(*with_target("", "allow: [{sql: {}}, {sql: {statements: [unknown]}}]"), effects)),
            "deny: no rule");
  EXPECT_EQ(in_words(decide(*with_target("", "allow: [{sql: {statements: [replication]}}]"), effects)),
            "allow: db.databases, db.users, e.allow[0]");
}

}  // namespace
}  // namespace sallyport::policy
