// SPDX-License-Identifier: Apache-2.0
// The shipped policies load without a warning, and their tests pass with the real analysis: what `policy test` does.
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

std::vector<Source> read_directory(const std::filesystem::path& directory, bool tests) {
  std::vector<Source> out;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".yaml" || is_test_file(entry.path().string()) != tests) continue;
    std::ifstream file(entry.path());
    out.push_back({entry.path().string(), {std::istreambuf_iterator<char>(file), {}}});
  }
  return out;
}

TEST(Shipped, PoliciesLoadAndTheirTestsPass) {
  size_t directories = 0, cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SALLYPORT_SOURCE_DIR "/policies")) {
    if (!entry.is_directory()) continue;
    ++directories;
    const auto loaded = load(read_directory(entry.path(), false), {.wall_ns = 1'793'491'200'000'000'000});
    ASSERT_TRUE(loaded) << all_findings(loaded.error());
    EXPECT_EQ(all_findings(loaded->warnings), "");
    for (const Source& source : read_directory(entry.path(), true)) {
      const auto results = run_tests(*loaded->policy, source, analyse, 0);
      ASSERT_TRUE(results) << all_findings(results.error());
      for (const TestResult& result : *results) {
        ++cases;
        EXPECT_TRUE(result.passed) << result.where.to_string() << ": " << result.name << "\n" << result.message;
      }
    }
  }
  EXPECT_GE(directories, 1u);
  EXPECT_GE(cases, 10u);
}

TEST(Shipped, TheRefusedUpdateNamesItsEntitlementAndTheWayOut) {
  const auto loaded = load(read_directory(SALLYPORT_SOURCE_DIR "/policies/quickstart", false));
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
