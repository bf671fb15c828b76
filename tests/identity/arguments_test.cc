// SPDX-License-Identifier: Apache-2.0
// What of a command line a record may keep.
#include "sallyport/identity/arguments.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"

namespace sallyport::identity {
namespace {

std::string masked(const std::vector<std::string>& arguments) {
  std::string cmdline;
  for (const std::string& each : arguments) cmdline += each + '\0';
  return fmt::format("{}", fmt::join(masked_arguments(cmdline), " | "));
}

TEST(Arguments, SecretsAreMaskedAndTheRestStays) {
  const struct {
    std::vector<std::string> arguments;
    std::string expected;
  } kRows[] = {
      {{"psql", "-h", "db.internal", "-c", "SELECT '078-05-1120'", "invoices"},
       "psql | -h | db.internal | -c | <text of 20 bytes> | invoices"},
      {{"/usr/bin/psql", "postgres://bot:hunter2@db:5432/x"}, "/usr/bin/psql | postgres://bot:<secret>@db:5432/x"},
      {{"psql", "postgres://bot@db/x"}, "psql | postgres://bot@db/x"},
      {{"psql", "host=db password=hunter2 user=bot"}, "psql | <text of 33 bytes>"},
      {{"mysql", "--password=x", "--user=bot"}, "mysql | --password=<secret> | --user=bot"},
      {{"tool", "--token", "abc", "rest"}, "tool | --token | <secret> | rest"},
      {{"tool", "--api-key", "--verbose"}, "tool | --api-key | --verbose"},
      {{"env", "PGPASSWORD=x", "psql"}, "env | PGPASSWORD=<secret> | psql"},
      {{"curl", "-HX-Api-Key:abc", "https://x.io/?token=1&a=b"},
       "curl | -HX-Api-Key:<secret> | https://x.io/?token=<secret>&a=b"},
      {{"bot", "ghp_aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW2xYz"}, "bot | <secret>"},
      {{"find", "--ssn=078-05-1120", "4111111111111111", "--port=5432", "10.20.30.40"},
       "find | --ssn=<number> | <number> | --port=5432 | 10.20.30.40"},
      {{"python3", "/srv/bots/billing/production/run_everything.py"},
       "python3 | /srv/bots/billing/production/run_everything.py"},
      {{}, ""},
  };
  for (const auto& row : kRows) EXPECT_EQ(masked(row.arguments), row.expected);
}

TEST(Arguments, AreBounded) {
  std::vector<std::string> many(5'000, "word");
  const std::string out = masked(many);
  EXPECT_LE(out.size(), limits::kProcessArgumentsBytesMax * 2);
  EXPECT_TRUE(out.ends_with("…"));
  EXPECT_LE(masked({std::string(1 << 20, 'a')}).size(), limits::kProcessArgumentsBytesMax);
  EXPECT_EQ(masked_arguments("no end").size(), 1u);
}

}  // namespace
}  // namespace sallyport::identity
