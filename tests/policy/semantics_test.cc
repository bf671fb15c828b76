// SPDX-License-Identifier: Apache-2.0
// Each sentence of DESIGN.md 6 about judging has a test here; effects are given as the analysis gives them.
#include <algorithm>

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Access;
using model::ObjectKind;
using model::Outcome;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
/// 2026-11-01T00:00:00Z
constexpr int64_t kNovember = 1'793'491'200 * kSecond;

/// One row: rules in, an effect, what comes out.
struct Row {
  std::string_view why, spec;
  std::vector<model::Effect> effects;
  std::string_view expected;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto policy = world(entitlement("e", row.spec));
    ASSERT_TRUE(policy);
    EXPECT_EQ(in_words(decide(*policy, row.effects)), row.expected) << row.why << "\n  " << row.spec;
  }
}

TEST(Judging, ARuleCoversWhatItsKeysSay) {
  const auto read = effect("select", "public.invoices", {"id"});
  check({
      {"every key must match",
       "allow: [{sql: {statements: [select], tables: [public.invoices]}}]",
       {read},
       "allow: e.allow[0]"},
      {"another class", "allow: [{sql: {statements: [update], tables: [public.invoices]}}]", {read}, "deny: no rule"},
      {"another table", "allow: [{sql: {statements: [select], tables: [public.orders]}}]", {read}, "deny: no rule"},
      {"list values are ored",
       "allow: [{sql: {statements: [update, select], tables: [app.*, public.invoices]}}]",
       {read},
       "allow: e.allow[0]"},
      {"an absent key matches anything", "allow: [{sql: {tables: [public.invoices]}}]", {read}, "allow: e.allow[0]"},
      {"no key at all", "allow: [{sql: {}}]", {read}, "allow: e.allow[0]"},
      {"a star", "allow: [{sql: {statements: ['*']}}]", {read}, "allow: e.allow[0]"},
      {"access narrows", "allow: [{sql: {access: [read]}}]", {read}, "allow: e.allow[0]"},
      {"access narrows", "allow: [{sql: {access: [write, execute]}}]", {read}, "deny: no rule"},
      {"quoted names are kept",
       "allow: [{sql: {tables: ['public.\"Users\"']}}]",
       {effect("select", "public.Users", {"id"})},
       "allow: e.allow[0]"},
      {"unquoted names fold", "allow: [{sql: {tables: [Public.INVOICES]}}]", {read}, "allow: e.allow[0]"},
  });
}

TEST(Judging, AKeyForAnotherKindOfObjectDoesNotMatch) {
  const auto call = effect_on(ObjectKind::function, "select", "public.pay");
  check({
      {"tables say nothing of functions", "allow: [{sql: {tables: ['**']}}]", {call}, "deny: no rule"},
      {"columns neither", "allow: [{sql: {columns: ['*']}}]", {call}, "deny: no rule"},
      {"its own key", "allow: [{sql: {functions: [public.pay]}}]", {call}, "allow: e.allow[0]"},
      {"keys of two kinds speak of both",
       "allow: [{sql: {tables: [public.t], functions: [public.pay]}}]",
       {call, effect("select", "public.t")},
       "allow: e.allow[0]"},
      {"a function is no table",
       "allow: [{sql: {functions: ['**']}}]",
       {effect("select", "public.t")},
       "deny: no rule"},
  });
  const struct {
    ObjectKind kind;
    std::string_view object, key, pattern, other;
  } kKinds[] = {
      {ObjectKind::schema, "app", "schemas", "app", "web"},
      {ObjectKind::type, "public.mood", "types", "public.mood", "public.m"},
      {ObjectKind::database, "my.db", "databases", "'\"my.db\"'", "my"},
      {ObjectKind::role, "admin", "roles", "ad*", "user"},
      {ObjectKind::setting, "Search_Path", "settings", "search_path", "role"},
      {ObjectKind::setting, "app.user", "settings", "app.*", "app"},
      {ObjectKind::file, "/tmp/a/b.csv", "files", "/tmp/**", "/tmp/*"},
      {ObjectKind::program, "gzip -c", "programs", "'gzip *'", "gzip"},
      {ObjectKind::channel, "jobs", "channels", "jobs", "job"},
      {ObjectKind::other, "extension dblink", "objects", "extension *", "extension"},
  };
  for (const auto& row : kKinds) {
    const auto subject = effect_on(row.kind, "create", row.object);
    check(
        {{row.key, fmt::format("allow: [{{sql: {{{}: [{}]}}}}]", row.key, row.pattern), {subject}, "allow: e.allow[0]"},
         {row.key, fmt::format("allow: [{{sql: {{{}: [{}]}}}}]", row.key, row.other), {subject}, "deny: no rule"},
         {row.key,
          fmt::format("allow: [{{sql: {{}}}}], deny: [{{sql: {{{}: [{}]}}}}]", row.key, row.pattern),
          {subject},
          "deny: e.deny[0]"}});
  }
}

TEST(Judging, ADenyRefusesWhatItMatchesOrCannotRuleOut) {
  const std::string spec =
      "allow: [{sql: {}}, {sql: {statements: [unknown]}}], deny: [{sql: {columns: [public.customers.ssn]}}]";
  const std::string only_unknown_lost = "deny: e.deny[0]";
  const auto policy = world(entitlement("e", "allow: [{sql: {}}], deny: [{sql: {columns: [public.customers.ssn]}}]"));
  ASSERT_TRUE(policy);
  const struct {
    std::string_view why;
    model::Effect effect;
    std::string_view expected;
  } kRows[] = {
      {"the column", effect("select", "public.customers", {"ssn"}), "deny: e.deny[0]"},
      {"among others", effect("select", "public.customers", {"id", "ssn"}), "deny: e.deny[0]"},
      {"another column", effect("select", "public.customers", {"id"}), "allow: e.allow[0]"},
      {"no column", effect("select", "public.customers"), "allow: e.allow[0]"},
      {"an unexpanded star", effect("select", "public.customers", {"*"}), "deny: e.deny[0]"},
      {"a star of another table", effect("select", "public.orders", {"*"}), "allow: e.allow[0]"},
      {"a table without a schema", effect("select", "customers", {"ssn"}), "deny: e.deny[0]"},
      {"a table without a schema, any column", effect("select", "customers", {"*"}), "deny: e.deny[0]"},
      {"something unknown", unknown(), "deny: e.deny[0]"},
      {"replication reads everything", effect_on(ObjectKind::other, "replication", "replication connection"),
       "deny: e.deny[0]"},
      {"a function", effect_on(ObjectKind::function, "select", "public.f"), "allow: e.allow[0]"},
  };
  for (const auto& row : kRows) EXPECT_EQ(in_words(decide(*policy, {row.effect})), row.expected) << row.why;
}

TEST(Judging, ADenyBeatsEveryAllow) {
  check({{"deny first",
          "allow: [{sql: {tables: [public.t]}}, {sql: {}}], deny: [{sql: {tables: [public.secret]}}]",
          {effect("select", "public.t"), effect("select", "public.secret")},
          "deny: e.deny[0]"},
         {"a hold neither",
          "allow: [{sql: {}}], hold: [{sql: {statements: [update]}}], deny: [{sql: {tables: [public.secret]}}]",
          {effect("update", "public.t", {"a"}, Access::write), effect("select", "public.secret")},
          "deny: e.deny[0]"},
         {"a baseline neither",
          "allow: [{sql: {}}], deny: [{sql: {tables: [pg_catalog.pg_class]}}]",
          {effect("select", "pg_catalog.pg_class", {"oid"})},
          "deny: e.deny[0]"}});
}

TEST(Judging, EveryEffectMustBeCovered) {
  const std::string_view spec =
      "allow: [{sql: {statements: [insert], tables: [public.a]}}, {sql: {statements: [select], tables: [public.b]}}]";
  const auto write = effect("insert", "public.a", {"x"}, Access::write);
  const auto read = effect("select", "public.b", {"x"});
  check({
      {"INSERT INTO a SELECT x FROM b: two rules together", spec, {write, read}, "allow: e.allow[0], e.allow[1]"},
      {"not the other way round",
       spec,
       {effect("insert", "public.b", {"x"}, Access::write), effect("select", "public.a", {"x"})},
       "deny: no rule, no rule"},
      {"one left over denies", spec, {write, read, effect("select", "public.c", {"x"})}, "deny: no rule"},
      {"nothing to cover", spec, {}, "allow: baseline.nothing"},
  });
  const auto policy = world(entitlement("e", spec));
  const auto decision = decide(*policy, {write, effect("select", "public.c", {"x"})});
  EXPECT_EQ(decision.causes[0].text, "no rule of Entitlement e allows select public.c (x)")
      << "what is left over is named";
}

TEST(Judging, AColumnListCoversOnlyThoseColumns) {
  const std::string_view two = "allow: [{sql: {tables: [public.t], columns: [a]}}, {sql: {columns: [public.t.b]}}]";
  const std::string_view star = "allow: [{sql: {tables: [public.t], columns: ['*']}}]";
  check({
      {"listed", two, {effect("select", "public.t", {"a"})}, "allow: e.allow[0]"},
      {"each by its own rule", two, {effect("select", "public.t", {"a", "b"})}, "allow: e.allow[0], e.allow[1]"},
      {"one is not", two, {effect("select", "public.t", {"a", "c"})}, "deny: no rule"},
      {"same name elsewhere", two, {effect("select", "public.u", {"b"})}, "deny: no rule"},
      {"all columns are more than two", two, {effect("select", "public.t", {"*"})}, "deny: no rule"},
      {"all columns, all allowed", star, {effect("select", "public.t", {"*"})}, "allow: e.allow[0]"},
      {"all columns of the table",
       "allow: [{sql: {columns: [public.t.*]}}]",
       {effect("select", "public.t", {"*"})},
       "allow: e.allow[0]"},
      {"of another table",
       "allow: [{sql: {columns: [public.u.*]}}]",
       {effect("select", "public.t", {"*"})},
       "deny: no rule"},
      {"count(*) tells no more than a column", two, {effect("select", "public.t")}, "allow: e.allow[0]"},
      {"count(*) of another table", two, {effect("select", "public.u")}, "deny: no rule"},
      {"DELETE is about rows, not columns", two, {effect("delete", "public.t", {}, Access::write)}, "deny: no rule"},
      {"DROP too", two, {effect("drop", "public.t", {}, Access::write)}, "deny: no rule"},
      {"no list",
       "allow: [{sql: {tables: [public.t]}}]",
       {effect("delete", "public.t", {}, Access::write)},
       "allow: e.allow[0]"},
  });
}

TEST(Judging, AHoldHoldsTheWholeOperation) {
  const std::string_view spec =
      "allow: [{sql: {statements: [select]}}, {sql: {statements: [update], columns: [public.t.note]}}],"
      "hold: [{sql: {statements: [update], columns: [public.t.amount]}}]";
  check({
      {"covers and holds", spec, {effect("update", "public.t", {"amount"}, Access::write)}, "hold: e.hold[0]"},
      {"with what is allowed",
       spec,
       {effect("select", "public.u", {"x"}), effect("update", "public.t", {"amount"}, Access::write)},
       "hold: e.hold[0]"},
      {"one column of two", spec, {effect("update", "public.t", {"amount", "note"}, Access::write)}, "hold: e.hold[0]"},
      {"a column that is nobody's",
       spec,
       {effect("update", "public.t", {"amount", "other"}, Access::write)},
       "deny: no rule"},
      {"untouched", spec, {effect("update", "public.t", {"note"}, Access::write)}, "allow: e.allow[1]"},
      {"a hold beats an allow",
       "allow: [{sql: {}}], hold: [{sql: {statements: [update]}}]",
       {effect("update", "public.t", {"a"}, Access::write)},
       "hold: e.hold[0]"},
      {"all columns touch it",
       "allow: [{sql: {}}], hold: [{sql: {columns: [public.t.a]}}]",
       {effect("select", "public.t", {"*"})},
       "hold: e.hold[0]"},
      {"what cannot be ruled out is held",
       "allow: [{sql: {statements: [unknown]}}], hold: [{sql: {statements: [update]}}]",
       {unknown()},
       "hold: e.hold[0]"},
  });
}

TEST(Judging, APartitionGoesWithTheTableItIsReachedBy) {
  auto partition = effect("select", "public.sales_2026", {"id"});
  partition.through = "public.sales";
  auto dark = unknown();
  dark.through = "public.sales";
  const auto table = effect("select", "public.sales", {"id"});
  const std::string_view spec = "allow: [{sql: {tables: [public.sales]}}]";
  check({
      {"covered with it", spec, {table, partition}, "allow: e.allow[0]"},
      {"not alone", spec, {effect("select", "public.sales_2026", {"id"})}, "deny: no rule"},
      {"nothing unknown comes along", spec, {table, dark}, "deny: no rule"},
      {"a deny of the partition counts",
       "allow: [{sql: {tables: [public.sales]}}], deny: [{sql: {tables: [public.sales_2026]}}]",
       {table, partition},
       "deny: e.deny[0]"},
      {"a hold too",
       "allow: [{sql: {tables: [public.sales]}}], hold: [{sql: {tables: [public.sales_2026]}}]",
       {table, partition},
       "hold: e.hold[0]"},
  });
}

TEST(Judging, UnknownPassesOnlyByItsOwnRule) {
  model::Effect unknown_function = effect_on(ObjectKind::function, "unknown", "public.f");
  check({
      {"not by an empty rule", "allow: [{sql: {}}]", {unknown()}, "deny: no rule"},
      {"not by a star", "allow: [{sql: {statements: ['*']}}]", {unknown()}, "deny: no rule"},
      {"by name", "allow: [{sql: {statements: [unknown]}}]", {unknown()}, "allow: e.allow[0]"},
      {"by name among others",
       "allow: [{sql: {statements: [select, unknown]}}]",
       {unknown(), effect("select", "public.t")},
       "allow: e.allow[0]"},
      {"and then nothing else",
       "allow: [{sql: {statements: [unknown]}}]",
       {effect("select", "public.t")},
       "deny: no rule"},
      {"pass everything",
       "allow: [{sql: {}}, {sql: {statements: [unknown]}}]",
       {unknown(), effect("drop", "public.t", {}, Access::write)},
       "allow: e.allow[1], e.allow[0]"},
      {"an object nobody knows is not in a list",
       "allow: [{sql: {statements: [unknown], tables: ['**']}}]",
       {unknown()},
       "deny: no rule"},
      {"a known object of unknown meaning",
       "allow: [{sql: {statements: [unknown], functions: [public.f]}}]",
       {unknown_function},
       "allow: e.allow[0]"},
      {"a known object of unknown meaning",
       "allow: [{sql: {functions: [public.f]}}]",
       {unknown_function},
       "deny: no rule"},
      {"access is a key too", "allow: [{sql: {statements: [unknown], access: [read]}}]", {unknown()}, "deny: no rule"},
      {"an unknown object under a known class",
       "allow: [{sql: {statements: [select]}}]",
       {effect_on(ObjectKind::unknown, "select", "x")},
       "deny: no rule"},
  });
}

TEST(Judging, ADenyOfOneClassStillStopsTheUnknown) {
  const auto policy = world(entitlement(
      "a", "allow: [{sql: {}}, {sql: {statements: [select, unknown]}}], deny: [{sql: {statements: [drop]}}]"));
  EXPECT_EQ(in_words(decide(*policy, {unknown()})), "deny: a.deny[0]");
}

TEST(Judging, EntitlementsCountTogetherAndOrderNeverMatters) {
  const std::vector<std::string> parts = {
      entitlement("c-deny", "deny: [{sql: {tables: [public.secret]}}]"),
      entitlement("a-read", "allow: [{sql: {statements: [select]}}]"),
      entitlement("b-write",
                  "allow: [{sql: {statements: [insert], tables: [public.t]}}], hold: [{sql: {statements: [delete]}}]"),
      document("Mask", "m", "detect: [{type: email, with: redact}]"),
  };
  const std::vector<std::vector<model::Effect>> questions = {
      {effect("select", "public.t")},
      {effect("select", "public.secret")},
      {effect("insert", "public.t", {"a"}, Access::write), effect("select", "public.u")},
      {effect("delete", "public.t", {}, Access::write)},
      {effect("update", "public.t", {"a"}, Access::write)},
  };
  std::vector<size_t> order = {0, 1, 2, 3};
  std::vector<std::string> first;
  do {
    std::string text(kAgentAndTarget);
    for (size_t part : order) text += parts[part];
    const auto policy = load_text(text);
    ASSERT_TRUE(policy);
    std::vector<std::string> answers;
    for (const auto& effects : questions) answers.push_back(in_words(decide(*policy, effects)));
    if (first.empty()) first = answers;
    EXPECT_EQ(answers, first);
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(first, (std::vector<std::string>{"allow: a-read.allow[0]", "deny: c-deny.deny[0]",
                                             "allow: b-write.allow[0], a-read.allow[0]", "hold: b-write.hold[0]",
                                             "deny: no rule"}));
}

TEST(Judging, ObligationsAddUp) {
  const auto policy =
      load_text(document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "db",
                         "protocol: postgres, hosts: ['10.0.0.5:5432'], masks: [pii, cards], record: {rows: 20}") +
                document("Mask", "pii",
                         "columns: [{column: public.c.email, with: partial}, {column: public.c.ssn, with: redact}]") +
                document("Mask", "cards", "detect: [{type: payment-card, with: redact}]") +
                document("Mask", "strict",
                         "columns: [{column: public.c.email, with: 'null'}], detect: [{type: payment-card, with: "
                         "{partial: {keepLast: 4}}}]") +
                entitlement("a",
                            "allow: [{sql: {}}], masks: [strict], limits: [{count: rows, max: 100, per: 1h}, {count: "
                            "bytes, max: 9, per: 1d, over: flow}]") +
                entitlement("b", "allow: [{sql: {}}], limits: [{count: rows, max: 50, per: 1h, then: hold}]"));
  ASSERT_TRUE(policy);
  const auto decision = decide(*policy, {effect("select", "public.c", {"email"})});
  const auto& got = decision.obligations;
  ASSERT_EQ(got.columns.size(), 2u);
  EXPECT_EQ(got.columns[0].column, "email");
  EXPECT_EQ(got.columns[0].with.strategy, model::MaskStrategy::null) << "where two masks meet, the one that shows less";
  EXPECT_EQ(got.columns[0].mask, "strict");
  EXPECT_EQ(got.columns[1].column, "ssn");
  ASSERT_EQ(got.detect.size(), 1u);
  EXPECT_EQ(got.detect[0].with.strategy, model::MaskStrategy::redact);
  EXPECT_EQ(got.record_rows_max, 20u);
  ASSERT_EQ(got.limits.size(), 2u);
  EXPECT_EQ(got.limits[0].max, 50u) << "the least limit";
  EXPECT_EQ(got.limits[0].rule, "b.limits[0]");
  EXPECT_EQ(got.limits[0].then, Outcome::hold);
  EXPECT_EQ(got.limits[1].count, model::Limit::Count::bytes);
  EXPECT_EQ(got.limits[1].then, Outcome::deny);
  EXPECT_EQ(got.limits[1].per_ns, kDay);
}

TEST(Judging, RevealLiftsATargetsMaskByName) {
  const std::string base =
      document("Agent", "bot", "workload: [{exec: bot}]") +
      document("Target", "db", "protocol: postgres, hosts: ['10.0.0.5:5432'], masks: [pii, cards]") +
      document("Mask", "pii", "columns: [{column: public.c.email, with: partial}]") +
      document("Mask", "cards", "detect: [{type: payment-card, with: redact}]");
  const auto masks = [&](const std::string& entitlements, int64_t now = 0) {
    const auto policy = load_text(base + entitlements);
    std::string out;
    if (!policy) return out;
    const auto decision = decide(*policy, {effect("select", "public.c", {"email"})}, now);
    for (const auto& mask : decision.obligations.columns) out += mask.mask + " ";
    for (const auto& mask : decision.obligations.detect) out += mask.mask + " ";
    return out;
  };
  const std::string allow = "allow: [{sql: {}}]";
  EXPECT_EQ(masks(entitlement("a", allow)), "pii cards ");
  EXPECT_EQ(masks(entitlement("a", allow + ", reveal: [pii]")), "cards ");
  EXPECT_EQ(masks(entitlement("a", allow + ", reveal: [pii]") + entitlement("b", "masks: [pii]")), "pii cards ")
      << "what an Entitlement adds is not lifted by another";
  EXPECT_EQ(masks(entitlement("a", allow) +
                      entitlement("b", "allow: [{sql: {}}], reveal: [pii], window: {until: 2026-11-01}"),
                  kNovember),
            "pii cards ")
      << "past its window it lifts nothing";
}

TEST(Judging, OutsideItsWindowAnEntitlementGrantsNothing) {
  const auto policy =
      world(entitlement("e", "allow: [{sql: {}}], window: {from: 2026-11-01, until: 2026-11-02T00:00:00+01:00}"));
  const auto read = effect("select", "public.t");
  const struct {
    int64_t at;
    std::string_view expected;
    int64_t expires;
  } kRows[] = {
      {kNovember - 1, "deny: e.window", kNovember},
      {kNovember, "allow: e.allow[0]", kNovember + 23 * 3600 * kSecond},
      {kNovember + 23 * 3600 * kSecond - 1, "allow: e.allow[0]", kNovember + 23 * 3600 * kSecond},
      {kNovember + 23 * 3600 * kSecond, "deny: e.window", 0},
  };
  for (const auto& row : kRows) {
    const auto decision = decide(*policy, {read}, row.at);
    EXPECT_EQ(in_words(decision), row.expected) << row.at;
    EXPECT_EQ(decision.expires_wall_ns, row.expires) << "the next edge";
    EXPECT_EQ(in_words(policy->decide(agent(), connect_to("db"), row.at)), row.expected) << "so the connection itself";
    EXPECT_EQ(policy->decide(agent(), connect_to("db"), row.at).expires_wall_ns, row.expires);
  }
}

TEST(Judging, PastItsReviewDeniesAndMasksStay) {
  const auto policy =
      load_text(document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "db", "protocol: postgres, hosts: ['10.0.0.5:5432']") +
                document("Mask", "m", "detect: [{type: email, with: redact}]") +
                entitlement("old",
                            "allow: [{sql: {tables: [public.old]}}], hold: [{sql: {statements: [delete]}}], deny: "
                            "[{sql: {tables: [public.secret]}}],"
                            "masks: [m], review: {by: s@example.com, at: 2026-10-01, expires: 2026-11-01}") +
                entitlement("new", "allow: [{sql: {tables: [public.new, public.s*]}}]"));
  const int64_t before = kNovember - 1, after = kNovember;
  EXPECT_EQ(in_words(decide(*policy, {effect("select", "public.old")}, before)), "allow: old.allow[0]");
  EXPECT_EQ(in_words(decide(*policy, {effect("select", "public.old")}, after)), "deny: no rule");
  EXPECT_EQ(in_words(decide(*policy, {effect("select", "public.secret")}, after)), "deny: old.deny[0]");
  EXPECT_EQ(decide(*policy, {effect("select", "public.new")}, after).obligations.detect.size(), 1u);
  EXPECT_EQ(in_words(decide(*policy, {effect("delete", "public.new", {}, Access::write)}, before)),
            "hold: old.hold[0]");
  EXPECT_EQ(in_words(decide(*policy, {effect("delete", "public.new", {}, Access::write)}, after)), "hold: old.hold[0]")
      << "an end never widens what another Entitlement allows";
  EXPECT_EQ(in_words(decide(*policy, {effect("delete", "public.other", {}, Access::write)}, after)), "deny: no rule");
}

TEST(Judging, ALapsedReviewIsNamedAsTheCause) {
  const auto policy =
      world(entitlement("e", "allow: [{sql: {}}], review: {by: s@example.com, at: 2026-10-01, expires: 2026-11-01}"));
  const auto decision = decide(*policy, {effect("select", "public.t")}, kNovember + kDay);
  EXPECT_EQ(in_words(decision), "deny: e.review");
  EXPECT_EQ(decision.causes[0].text, "its review expired at 2026-11-01T00:00:00.000Z: review it again");
  EXPECT_TRUE(decision.hint.starts_with("# e.review: its review expired")) << decision.hint;
}

TEST(Judging, CausesNameTheRuleItsPlaceAndWords) {
  const auto policy = load_text(std::string(kAgentAndTarget) + R"(---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: billing-bot-invoices}
spec:
  agent: bot
  target: db
  allow:
    - sql: {statements: [select]}
  deny:
    - sql: {columns: [public.customers.ssn]}
)");
  const auto allowed = decide(*policy, {effect("select", "public.t")});
  EXPECT_EQ(allowed.causes[0].where, "p.yaml:19:7");
  EXPECT_EQ(allowed.causes[0].text, "allow: [{sql: {statements: [select]}}]");
  const auto refused = decide(*policy, {effect("select", "public.customers", {"*"})});
  EXPECT_EQ(refused.causes[0].rule, "billing-bot-invoices.deny[0]");
  EXPECT_EQ(refused.causes[0].where, "p.yaml:21:7");
  EXPECT_EQ(refused.causes[0].text,
            "`deny: [{sql: {columns: [public.customers.ssn]}}]` refuses select public.customers (*)");
}

TEST(Judging, SeveralRulesAreAllNamed) {
  const auto policy =
      world(entitlement("e", "allow: [{sql: {}}], deny: [{sql: {tables: [public.a]}}, {sql: {tables: [public.b]}}]"));
  EXPECT_EQ(in_words(decide(*policy, {effect("select", "public.a"), effect("select", "public.b")})),
            "deny: e.deny[0], e.deny[1]");
}

TEST(Judging, CausesAreBounded) {
  std::string rules;
  std::vector<model::Effect> effects;
  for (int i = 0; i < 40; ++i) {
    rules += fmt::format("{{sql: {{tables: [public.t{}]}}}}, ", i);
    effects.push_back(effect("select", fmt::format("public.t{}", i)));
  }
  const auto policy = world(entitlement("e", fmt::format("allow: [{}]", rules)));
  EXPECT_EQ(decide(*policy, effects).causes.size(), Judgement::kCausesMax);
  for (auto& e : effects) e.statement_class = "update", e.object += "x";
  const auto refused = decide(*policy, effects);
  EXPECT_EQ(refused.outcome, Outcome::deny);
  EXPECT_EQ(refused.causes.size(), 8u);
  EXPECT_LT(refused.hint.size(), 2000u);
}

TEST(Baseline, IsOpenWhereverARuleIsInForce) {
  const std::string_view any = "allow: [{sql: {tables: [public.t]}}]";
  const auto setting = [](std::string_view statement, std::string_view name) {
    return effect_on(ObjectKind::setting, statement, name, statement == "show" ? Access::read : Access::write);
  };
  check({
      {"transaction",
       any,
       {effect_on(ObjectKind::other, "transaction", "transaction", Access::execute)},
       "allow: baseline.transaction"},
      {"show", any, {setting("show", "search_path")}, "allow: baseline.show"},
      {"set of the list", any, {setting("set", "client_encoding")}, "allow: baseline.settings"},
      {"in any case", any, {setting("set", "DateStyle")}, "allow: baseline.settings"},
      {"not search_path: it says what names mean", any, {setting("set", "search_path")}, "deny: no rule"},
      {"not role", any, {setting("set", "role")}, "deny: no rule"},
      {"discard", any, {effect_on(ObjectKind::other, "discard", "all", Access::write)}, "allow: baseline.discard"},
      {"catalogue", any, {effect("select", "pg_catalog.pg_class", {"*"})}, "allow: baseline.catalogue"},
      {"information_schema",
       any,
       {effect("select", "information_schema.tables", {"table_name"})},
       "allow: baseline.catalogue"},
      {"not writes", any, {effect("update", "pg_catalog.pg_class", {"relname"}, Access::write)}, "deny: no rule"},
      {"beside a rule",
       any,
       {effect("select", "pg_catalog.pg_class", {"oid"}), effect("select", "public.t")},
       "allow: baseline.catalogue, e.allow[0]"},
      {"off",
       "allow: [{sql: {tables: [public.t]}}], baseline: none",
       {effect("select", "pg_catalog.pg_class", {"*"})},
       "deny: no rule"},
      {"off, yet by rule",
       "allow: [{sql: {tables: [pg_catalog.*]}}], baseline: none",
       {effect("select", "pg_catalog.pg_class", {"*"})},
       "allow: e.allow[0]"},
      {"no rule, no baseline",
       "deny: [{sql: {tables: [public.t]}}]",
       {effect("select", "pg_catalog.pg_class", {"*"})},
       "deny: no rule"},
      {"nothing unknown", any, {unknown()}, "deny: no rule"},
  });
}

TEST(Baseline, WithoutWhatHoldsDataOrSecrets) {
  const auto policy = world(entitlement("e", "allow: [{sql: {tables: [public.t]}}]"));
  for (std::string_view name :
       {"pg_authid", "pg_shadow", "pg_stats", "pg_stats_ext", "pg_statistic", "pg_statistic_ext_data",
        "pg_stat_activity", "pg_stat_statements", "pg_largeobject", "pg_user_mapping", "pg_user_mappings",
        "pg_hba_file_rules", "pg_file_settings", "pg_subscription"}) {
    EXPECT_EQ(in_words(decide(*policy, {effect("select", fmt::format("pg_catalog.{}", name), {"*"})})), "deny: no rule")
        << name;
    EXPECT_EQ(in_words(decide(*policy, {effect("select", fmt::format("pg_catalog.{}", name), {"*"})})), "deny: no rule")
        << name;
  }
  EXPECT_EQ(in_words(decide(*policy, {effect("select", "information_schema.user_mapping_options")})), "deny: no rule");
  for (std::string_view name :
       {"pg_roles", "pg_settings", "pg_database", "pg_proc", "pg_stat_user_tables", "pg_largeobject_metadata"})
    EXPECT_EQ(decide(*policy, {effect("select", fmt::format("pg_catalog.{}", name), {"*"})}).outcome, Outcome::allow)
        << name;
}

TEST(Baseline, OneNoneTurnsItOffForTheScope) {
  const auto policy = world(entitlement("a", "allow: [{sql: {tables: [public.t]}}]") +
                            entitlement("b", "baseline: none, window: {until: 2020-01-01}"));
  EXPECT_EQ(decide(*policy, {effect("select", "pg_catalog.pg_class")}, kNovember).outcome, Outcome::deny);
}

TEST(Connecting, NeedsAGrantInForce) {
  const auto policy = world(document("Agent", "other", "workload: [{exec: other}]") +
                            document("Agent", "denied", "workload: [{exec: denied}]") +
                            entitlement("e", "allow: [{sql: {statements: [select]}}]") +
                            document("Entitlement", "d", "agent: denied, target: db, deny: [{sql: {}}]"));
  const auto allowed = policy->decide(agent(), connect_to("db"), 0);
  EXPECT_EQ(in_words(allowed), "allow: e.allow[0]");
  EXPECT_EQ(in_words(policy->decide(agent("other"), connect_to("db"), 0)), "deny: no entitlement");
  EXPECT_EQ(in_words(policy->decide(agent("denied"), connect_to("db"), 0)), "deny: no rule") << "a deny grants nothing";
  EXPECT_EQ(in_words(policy->decide(agent("ghost"), connect_to("db"), 0)), "deny: no agent");
  EXPECT_EQ(in_words(policy->decide(agent(""), connect_to("db"), 0)), "deny: no agent");
  EXPECT_EQ(in_words(policy->decide(agent(), connect_to(""), 0)), "deny: no target");
  EXPECT_EQ(in_words(policy->decide(agent(), connect_to("gone"), 0)), "deny: no target");
}

TEST(Connecting, ADeclaredHoldLetsTheConnectionOpen) {
  const auto policy = world(entitlement("e", "hold: [{sql: {statements: [update]}}]"));
  EXPECT_EQ(in_words(policy->decide(agent(), connect_to("db"), 0)), "allow: e.hold[0]");
}

TEST(Connecting, WhatNobodyDecodesIsRefused) {
  const auto policy = world(entitlement("e", "allow: [{sql: {}}, {sql: {statements: [unknown]}}]"));
  model::Operation opaque;
  opaque.target = "db";
  opaque.body = model::Opaque{};
  EXPECT_EQ(in_words(policy->decide(agent(), opaque, 0)), "deny: no rule");
}

}  // namespace
}  // namespace sallyport::policy
