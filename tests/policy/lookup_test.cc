// SPDX-License-Identifier: Apache-2.0
// Which agent a workload is, which target a destination: the most specific one, or nobody.
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

TEST(Agents, ByExecNameAndCaller) {
  const auto policy = load_text(
      document("Agent", "billing", "workload: [{exec: billing-bot}, {exec: {name: shared, users: [deploy, '1001']}}]"));
  const struct {
    std::string_view name, user;
    uint32_t uid;
    std::string_view error;  // empty: found
  } kRows[] = {
      {"billing-bot", "root", 0, ""},
      {"billing-bot", "deploy", 1000, "user `deploy` may not become agent `billing`"},
      {"shared", "deploy", 1000, ""},
      {"shared", "", 1001, ""},
      {"shared", "root", 0, ""},
      {"shared", "eve", 1002, "user `eve` may not become agent `billing`"},
      {"shared", "", 1002, "uid 1002 may not become agent `billing`"},
      {"billing", "root", 0, "no Agent has the workload exec `billing`"},
  };
  for (const auto& row : kRows) {
    const auto found = policy->agent_for_exec(row.name, row.user, row.uid);
    EXPECT_EQ(found ? "" : found.error().what, row.error) << row.name << " " << row.uid;
    EXPECT_EQ(found ? (*found)->name : "billing", "billing");
  }
  EXPECT_EQ(policy->agent_for_exec("sharred", "root", 0).error().hint, "did you mean `shared`?");
}

TEST(Agents, Defaults) {
  const auto policy = load_text(
      document("Agent", "a", "workload: [{exec: a}]") +
      document("Agent", "b", "workload: [{exec: b}], loopback: divert, minLevel: guarded, owner: x@example.com"));
  EXPECT_EQ(policy->find_agent("a")->min_level, Level::enforce);
  EXPECT_EQ(policy->find_agent("a")->loopback, Loopback::local);
  EXPECT_EQ(policy->find_agent("b")->min_level, Level::guarded);
  EXPECT_EQ(policy->find_agent("b")->loopback, Loopback::divert);
  EXPECT_EQ(policy->find_agent("b")->owner, "x@example.com");
  EXPECT_EQ(policy->find_agent("c"), nullptr);
}

TEST(Targets, Defaults) {
  const auto policy =
      load_text(document("Target", "a", "protocol: postgres, hosts: ['a.example:5432']") +
                document("Target", "b",
                         "protocol: postgres, hosts: ['b.example:5432'], credential: {file: /run/b}, "
                         "tls: {mode: verify-full, ca: /ca.pem}, catalogue: {credential: {file: /run/c}}") +
                document("Target", "c",
                         "protocol: postgres, hosts: ['c.example:5432'], credential: {verifier: "
                         "/run/c}, auth: {min: md5}, tls: {agent: require}"));
  const Target* a = policy->find_target("a");
  EXPECT_EQ(a->tls_mode, TlsMode::prefer);
  EXPECT_EQ(a->agent_tls, AgentTls::allow);
  EXPECT_EQ(a->auth_min, AuthMethod::none);
  EXPECT_EQ(a->protocol, "postgres");
  EXPECT_EQ(a->catalogue_credential_file, "");
  const Target* b = policy->find_target("b");
  EXPECT_EQ(b->tls_mode, TlsMode::verify_full);
  EXPECT_EQ(b->tls_ca_file, "/ca.pem");
  EXPECT_EQ(b->credential_file, "/run/b");
  EXPECT_EQ(b->catalogue_credential_file, "/run/c");
  EXPECT_EQ(b->auth_min, AuthMethod::scram_sha_256);
  const Target* c = policy->find_target("c");
  EXPECT_EQ(c->verifier_file, "/run/c");
  EXPECT_EQ(c->auth_min, AuthMethod::md5);
  EXPECT_EQ(c->agent_tls, AgentTls::require);
}

class TargetMatching : public testing::Test {
 protected:
  std::string match(std::string_view address, uint16_t port = 5432) const {
    const auto found = policy_->match_target({*model::IpAddress::parse(address), port}, resolved_);
    if (!found.target) return "none";
    return found.target->name + " by " + found.host->text + (found.others.empty() ? "" : " of " + found.names());
  }

  std::shared_ptr<const Policy> policy_ =
      load_text(document("Target", "wide", "protocol: postgres, hosts: ['10.0.0.0/8:5432', '[fd00::/8]:5432']") +
                document("Target", "net", "protocol: postgres, hosts: ['10.2.0.0/16:5432']") +
                document("Target", "one", "protocol: postgres, hosts: ['10.2.0.7:5432', '[fd00::1]:5432']") +
                document("Target", "named", "protocol: postgres, hosts: ['DB.internal.:5432', '10.2.0.9:5432']") +
                document("Target", "twin", "protocol: postgres, hosts: ['twin.internal:5432']"));
  HostAddresses resolved_ = {
      {"db.internal", {model::IpAddress::v4(10, 2, 0, 8), model::IpAddress::v4(10, 2, 0, 9)}},
      {"twin.internal", {model::IpAddress::v4(10, 2, 0, 10), model::IpAddress::v4(10, 2, 0, 7)}}};
};

TEST_F(TargetMatching, TheMostSpecificWins) {
  EXPECT_EQ(match("10.1.1.1"), "wide by 10.0.0.0/8:5432");
  EXPECT_EQ(match("10.2.1.1"), "net by 10.2.0.0/16:5432");
  EXPECT_EQ(match("10.2.0.8"), "named by DB.internal.:5432");
  EXPECT_EQ(match("10.2.0.10"), "twin by twin.internal:5432");
  EXPECT_EQ(match("fd00::1"), "one by [fd00::1]:5432");
  EXPECT_EQ(match("fd00::2"), "wide by [fd00::/8]:5432");
  EXPECT_EQ(match("10.2.1.1", 5433), "none") << "another port";
  EXPECT_EQ(match("11.0.0.1"), "none");
  EXPECT_EQ(match("::ffff:10.2.1.1"), "net by 10.2.0.0/16:5432") << "a v4-mapped address is the IPv4 one";
}

TEST_F(TargetMatching, WithinATargetANameSaysMore) { EXPECT_EQ(match("10.2.0.9"), "named by DB.internal.:5432"); }

TEST_F(TargetMatching, TwoThatFitEquallyAreBothNamed) {
  EXPECT_EQ(match("10.2.0.7"), "one by 10.2.0.7:5432 of `one` and `twin`");
}

TEST(Targets, OfTheSameHostAreToldApartByDatabaseAndUser) {
  const auto policy = load_text(
      document("Target", "a", "protocol: postgres, hosts: ['10.0.0.5:5432'], databases: [shop, 'a_*']") +
      document("Target", "b", "protocol: postgres, hosts: ['db:5432', '10.0.0.5:5432'], databases: [crm, a_two]") +
      document("Target", "c", "protocol: postgres, hosts: ['10.0.0.5:5432'], databases: [crm], users: [auditor]"));
  const HostAddresses resolved = {{"db", {model::IpAddress::v4(10, 0, 0, 5)}}};
  const auto match = [&](const TargetSelector& selector) {
    const auto found = policy->match_target({model::IpAddress::v4(10, 0, 0, 5), 5432}, resolved, selector);
    return found.names() + " by " + found.host->text;
  };
  const std::string all = "`a` and `b` and `c` by 10.0.0.5:5432";
  EXPECT_EQ(match({}), all) << "nothing said yet";
  EXPECT_EQ(match({.database = "shop", .user = "app"}), "`a` by 10.0.0.5:5432");
  EXPECT_EQ(match({.database = "a_one", .user = "app"}), "`a` by 10.0.0.5:5432");
  EXPECT_EQ(match({.database = "crm", .user = "app"}), "`b` by db:5432");
  EXPECT_EQ(match({.database = "a_two", .user = "app"}), all) << "two fit";
  EXPECT_EQ(match({.database = "crm", .user = "auditor"}), all) << "two fit";
  EXPECT_EQ(match({.database = "other", .user = "app"}), all) << "none fits";
  EXPECT_EQ(match({.name = "c"}), "`c` by 10.0.0.5:5432");
}

TEST_F(TargetMatching, NamesToResolve) {
  EXPECT_EQ(policy_->host_names(), (std::vector<std::string>{"db.internal", "twin.internal"}));
}

TEST(Masks, PredicatesMustBeAllowedByEachThatNamesTheColumn) {
  const auto allowed = [](std::string_view first, std::string_view second) {
    const auto mask = [](std::string_view name, std::string_view rest) {
      return document("Mask", name, fmt::format("columns: [{{column: public.t.a, with: redact{}}}]", rest));
    };
    const auto policy =
        load_text(mask("m", first) + mask("n", second) + document("Agent", "bot", "workload: [{exec: bot}]") +
                  document("Target", "db", "protocol: postgres, hosts: ['1.2.3.4:5432'], masks: [m, n]") +
                  entitlement("e", "allow: [{sql: {}}]"));
    return policy->judge("bot", "db", {}, 0).obligations->columns.at(0).predicates;
  };
  EXPECT_TRUE(allowed(", predicates: allow", ", predicates: allow"));
  EXPECT_FALSE(allowed(", predicates: allow", ""));
  EXPECT_FALSE(allowed(", predicates: refuse", ", predicates: allow"));
}

TEST(Masks, KeysAndStrategies) {
  const auto policy =
      load_text(document("Mask", "m",
                         "keys: [{name: k1, file: /etc/sallyport/k1}], columns: [{column: Public.Customers.Email, "
                         "with: {hash: {key: k1}}}, "
                         "{column: 'public.\"Users\".\"Last.Name\"', with: {partial: {keepLast: 2}}}, {column: "
                         "public.t.a, with: {fixed: ''}}, {column: public.t.b, with: 'null'}]") +
                document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "db", "protocol: postgres, hosts: ['1.2.3.4:5432'], masks: [m]") +
                entitlement("e", "allow: [{sql: {}}]"));
  ASSERT_EQ(policy->mask_keys().size(), 1u);
  EXPECT_EQ(policy->mask_keys()[0].file, "/etc/sallyport/k1");
  const auto decision = decide(*policy, {});
  const auto& columns = decision.obligations.columns;
  ASSERT_EQ(columns.size(), 4u);
  EXPECT_EQ(columns[0].relation, "public.Users");
  EXPECT_EQ(columns[0].column, "Last.Name");
  EXPECT_EQ(columns[0].with.keep_last, 2u);
  EXPECT_EQ(columns[1].relation, "public.customers");
  EXPECT_EQ(columns[1].column, "email");
  EXPECT_EQ(columns[1].with.key, "k1");
  EXPECT_EQ(columns[2].with.strategy, model::MaskStrategy::fixed);
  EXPECT_EQ(columns[2].with.fixed, "");
  EXPECT_EQ(columns[3].with.strategy, model::MaskStrategy::null);
}

}  // namespace
}  // namespace sallyport::policy
