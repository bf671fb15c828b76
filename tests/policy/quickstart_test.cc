// SPDX-License-Identifier: Apache-2.0
// The shipped policies load without a warning and say what the quickstart shows.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sallyport/policy/author.h"
#include "sallyport/sql/analysis.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

Result<std::vector<model::Effect>> analyse(std::string_view text) {
  sql::Catalogue catalogue;
  catalogue.assume_plain = true;
  const auto answer = sql::analyse(text, {}, catalogue, sql::NoSessionNames());
  const auto* analysis = std::get_if<sql::Analysis>(&answer);
  if (!analysis) return fail("facts are lacking");
  if (!analysis->parsed) return fail(analysis->parse_error);
  std::vector<model::Effect> out;
  for (const sql::Statement& statement : analysis->statements)
    out.insert(out.end(), statement.effects.begin(), statement.effects.end());
  return out;
}

std::vector<Source> read_directory(const std::filesystem::path& directory) {
  std::vector<Source> out;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".yaml" || is_test_file(entry.path().string())) continue;
    std::ifstream file(entry.path());
    out.push_back({entry.path().string(), {std::istreambuf_iterator<char>(file), {}}});
  }
  return out;
}

// Their own tests are run by the program: see policy_tests_of_policies in tests/cli.
TEST(Shipped, PoliciesLoadWithoutAWarning) {
  size_t directories = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SALLYPORT_SOURCE_DIR "/policies")) {
    if (!entry.is_directory()) continue;
    ++directories;
    const auto loaded = load(read_directory(entry.path()), {.wall_ns = 1'793'491'200'000'000'000});
    ASSERT_TRUE(loaded) << all_findings(loaded.error());
    EXPECT_EQ(all_findings(loaded->warnings), "");
  }
  EXPECT_GE(directories, 1u);
}

TEST(Shipped, TheRefusedUpdateNamesItsEntitlementAndTheWayOut) {
  const auto loaded = load(read_directory(SALLYPORT_SOURCE_DIR "/policies/quickstart"));
  ASSERT_TRUE(loaded);
  model::Operation operation = sql(*analyse("UPDATE customers SET email = 'x' WHERE id = 1"));
  operation.target = "quickstart-db";
  const auto decision = loaded->policy->decide(agent("support-bot"), operation, 0);
  EXPECT_EQ(decision.outcome, model::Outcome::deny);
  EXPECT_EQ(
      decision.causes[0].text.find("no rule of Entitlement support-bot-quickstart allows update public.customers"), 0u)
      << decision.causes[0].text;
  EXPECT_NE(decision.hint.find("# Entitlement support-bot-quickstart"), std::string::npos) << decision.hint;
}

}  // namespace
}  // namespace sallyport::policy
