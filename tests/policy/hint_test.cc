// SPDX-License-Identifier: Apache-2.0
// A refusal's hint is YAML on one line, as small as it can be; and put where it says, it allows what was refused.
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Access;
using model::ObjectKind;

const std::vector<std::pair<std::vector<model::Effect>, std::string_view>>& refusals() {
  static const std::vector<std::pair<std::vector<model::Effect>, std::string_view>> kRows = {
      {{effect("update", "public.invoices", {"amount"}, Access::write)},
       "allow: [{sql: {statements: [update], tables: [public.invoices], columns: [amount]}}]"},
      {{effect("update", "public.invoices", {"amount"}, Access::write),
        effect("update", "public.invoices", {"id"}, Access::read)},
       "allow: [{sql: {statements: [update], tables: [public.invoices], columns: [amount], access: [write]}}, "
       "{sql: {statements: [update], tables: [public.invoices], columns: [id], access: [read]}}]"},
      {{effect("select", "public.invoices", {"*"})},
       "allow: [{sql: {statements: [select], tables: [public.invoices]}}]"},
      {{effect("select", "public.a", {"*"}), effect("select", "public.b", {"*"}), effect("select", "public.a", {"*"})},
       "allow: [{sql: {statements: [select], tables: [public.a, public.b]}}]"},
      {{effect("select", "public.a", {"x", "Y z"})},
       "allow: [{sql: {statements: [select], tables: [public.a], columns: ['\"Y z\"', x]}}]"},
      {{effect("insert", "public.a", {"x"}, Access::write), effect("select", "public.b", {"x"})},
       "allow: [{sql: {statements: [insert], tables: [public.a], columns: [x]}}, {sql: {statements: [select], tables: "
       "[public.b], columns: [x]}}]"},
      {{effect("delete", "public.O'Neill", {}, Access::write)},
       "allow: [{sql: {statements: [delete], tables: [\"public.\\\"O'Neill\\\"\"]}}]"},
      {{effect("select", "public.a*", {"*"})}, "allow: [{sql: {statements: [select], tables: ['public.\"a*\"']}}]"},
      {{effect("select", "public.a\"b", {"*"})},
       "allow: [{sql: {statements: [select], tables: ['public.\"a\"\"b\"']}}]"},
      {{effect("select", "public.new\nline", {"*"})},
       "allow: [{sql: {statements: [select], tables: [\"public.\\\"new\\x0aline\\\"\"]}}]"},
      {{effect_on(ObjectKind::function, "select", "public.pay")},
       "allow: [{sql: {statements: [select], functions: [public.pay]}}]"},
      {{effect_on(ObjectKind::setting, "set", "search_path", Access::write)},
       "allow: [{sql: {statements: [set], settings: [search_path]}}]"},
      {{effect_on(ObjectKind::file, "copy", "/tmp/x.csv", Access::write)},
       "allow: [{sql: {statements: [copy], files: [/tmp/x.csv]}}]"},
      {{effect_on(ObjectKind::other, "create", "extension dblink")},
       "allow: [{sql: {statements: [create], objects: ['extension dblink']}}]"},
      {{effect_on(ObjectKind::role, "create", "Admin")},
       "allow: [{sql: {statements: [create], roles: ['\"Admin\"']}}]"},
      {{unknown()}, "allow: [{sql: {statements: [unknown]}}]"},
  };
  return kRows;
}

TEST(Hints, TheSmallestRule) {
  const auto policy = world(entitlement("e", "allow: [{sql: {tables: [public.zzz]}}]"));
  for (const auto& [effects, expected] : refusals())
    EXPECT_EQ(decide(*policy, effects).hint, fmt::format("{}  # Entitlement e", expected));
}

TEST(Hints, PutWhereItSaysItAllowsWhatWasRefused) {
  for (const auto& [effects, text] : refusals()) {
    const auto refused = decide(*world(entitlement("e", "baseline: none")), effects);
    const auto policy = world(
        "---\napiVersion: sallyport.dev/v1alpha1\nkind: Entitlement\nmetadata: {name: e}\nspec:\n  agent: bot\n  "
        "target: db\n  " +
        refused.hint + "\n");
    ASSERT_TRUE(policy) << refused.hint;
    EXPECT_EQ(decide(*policy, effects).outcome, model::Outcome::allow) << text;
  }
}

TEST(Hints, OnlyWhatIsLeftOver) {
  const auto policy = world(entitlement("e", "allow: [{sql: {tables: [public.a]}}]"));
  EXPECT_EQ(decide(*policy, {effect("select", "public.a", {"x"}), effect("select", "public.b", {"y"})}).hint,
            "allow: [{sql: {statements: [select], tables: [public.b], columns: [y]}}]  # Entitlement e");
}

TEST(Hints, ADenyIsNotLiftedByAnAllow) {
  const auto policy = world(entitlement("e", "allow: [{sql: {}}], deny: [{sql: {tables: [public.secret]}}]"));
  EXPECT_EQ(decide(*policy, {effect("select", "public.secret", {"x"})}).hint,
            "# no allow lifts a deny: narrow or remove e.deny[0] (p.yaml:15:59)");
}

TEST(Hints, WithoutAnEntitlementAWholeOne) {
  const auto policy = world("");
  const auto refused = policy->decide(agent(), sql({effect("select", "public.t", {"a"})}), 0);
  EXPECT_EQ(refused.hint,
            "{apiVersion: sallyport.dev/v1alpha1, kind: Entitlement, metadata: {name: bot-db}, spec: {agent: bot, "
            "target: db, "
            "allow: [{sql: {statements: [select], tables: [public.t], columns: [a]}}]}}");
  const auto mended = world("---\n" + refused.hint + "\n");
  EXPECT_EQ(mended->decide(agent(), sql({effect("select", "public.t", {"a"})}), 0).outcome, model::Outcome::allow);
}

TEST(Hints, WithoutATargetBoth) {
  const auto policy = world("");
  const auto refused = policy->decide(agent(), connect_to(""), 0);
  EXPECT_EQ(refused.causes[0].text, "10.0.0.9:5432 is no Target");
  EXPECT_EQ(refused.hint,
            "--- {apiVersion: sallyport.dev/v1alpha1, kind: Target, metadata: {name: db-10-0-0-9-5432}, spec: "
            "{protocol: postgres, hosts: ['10.0.0.9:5432']}}\n"
            "--- {apiVersion: sallyport.dev/v1alpha1, kind: Entitlement, metadata: {name: bot-db-10-0-0-9-5432}, spec: "
            "{agent: bot, target: db-10-0-0-9-5432, "
            "allow: [{sql: {statements: [select], tables: [public.table_name]}}]}}");
  const auto mended = world(refused.hint + "\n");
  ASSERT_TRUE(mended);
  EXPECT_EQ(mended->decide(agent(), connect_to("db-10-0-0-9-5432"), 0).outcome, model::Outcome::allow);
  model::Operation six = connect_to("");
  six.body = model::Connect{{*model::IpAddress::parse("fd00::1"), 5432}};
  EXPECT_TRUE(world(policy->decide(agent(), six, 0).hint + "\n"));
}

}  // namespace
}  // namespace sallyport::policy
