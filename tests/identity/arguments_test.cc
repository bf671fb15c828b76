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
      {{"psql", "-h", "db.internal", "-c", "SELECT 1", "invoices"},
       "psql | -h | db.internal | -c | SELECT 1 | invoices"},
      {{"/usr/bin/psql", "postgres://bot:hunter2@db:5432/x"}, "/usr/bin/psql | postgres://bot:<secret>@db:5432/x"},
      {{"psql", "postgres://bot@db/x"}, "psql | postgres://bot@db/x"},
      {{"psql", "host=db password=hunter2 user=bot"}, "psql | host=db password=<secret> user=bot"},
      {{"psql", "password='hun ter2' user=bot"}, "psql | password=<secret>' user=bot"},
      {{"mysql", "--password=x", "--user=bot"}, "mysql | --password=<secret> | --user=bot"},
      {{"tool", "--token", "abc", "rest"}, "tool | --token | <secret> | rest"},
      {{"tool", "--api-key", "--verbose"}, "tool | --api-key | --verbose"},
      {{"env", "PGPASSWORD=x", "psql"}, "env | PGPASSWORD=<secret> | psql"},
      {{"curl", "-H", "Authorization: Bearer abc.def"}, "curl | -H | Authorization: <secret>"},
      {{"curl", "-H", "X-Api-Key: abc", "https://x.io/?token=1&a=b"},
       "curl | -H | X-Api-Key: <secret> | https://x.io/?token=<secret>&a=b"},
      {{"bot", "ghp_aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW2xYz"}, "bot | <secret>"},
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
