// SPDX-License-Identifier: Apache-2.0
// load() and run_tests() on broken texts: whatever comes in, they answer, and each finding has a place. Seeded.
#include <fstream>
#include <iterator>
#include <random>

#include "sallyport/policy/author.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

std::string read_file(const char* path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) change(text);
    return text;
  }

 private:
  static constexpr std::string_view kPieces[] = {"[",
                                                 "]",
                                                 "{",
                                                 "}",
                                                 ": ",
                                                 "- ",
                                                 "\n",
                                                 "---\n",
                                                 "&a ",
                                                 "*a",
                                                 "!!str ",
                                                 "\"",
                                                 "'",
                                                 "|\n",
                                                 ">-\n",
                                                 "? ",
                                                 "# ",
                                                 "%YAML 1.2\n",
                                                 "\t",
                                                 "~",
                                                 ",",
                                                 "\xff",
                                                 std::string_view("\0", 1),
                                                 "<<: ",
                                                 "null",
                                                 "2026-11-01",
                                                 "**",
                                                 "\"\"",
                                                 "[[[[[[["};

  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

  void change(std::string& text) {
    const size_t at = below(text.size()), length = 1 + below(std::min<size_t>(40, text.size() - at));
    switch (below(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, length));
        break;
      case 4:
        text.resize(at);
        break;
      default:
        std::swap(text[at], text[below(text.size())]);
        break;
    }
  }

  std::mt19937 random_;
};

class Mutations : public testing::TestWithParam<const char*> {};

TEST_P(Mutations, NeverEndTheProcess) {
  const std::string whole = read_file(GetParam());
  size_t loaded_ones = 0;
  for (uint32_t seed = 0; seed < 3'000; ++seed) {
    const std::string text = Mutator(seed).mutate(whole);
    const auto loaded = load({{"p.yaml", text}}, test::kOptions);
    loaded_ones += loaded.has_value();
    if (loaded) continue;
    ASSERT_FALSE(loaded.error().empty());
    for (const Diagnostic& finding : loaded.error()) {
      ASSERT_TRUE(finding.path == "p.yaml" && finding.line >= 1 && finding.column >= 1)
          << "seed " << seed << ": " << finding.to_string();
      ASSERT_FALSE(finding.message.empty());
      ASSERT_EQ(finding.to_string().find('\n'), std::string::npos) << "seed " << seed;
    }
  }
  EXPECT_LT(loaded_ones, 3'000u);
}

INSTANTIATE_TEST_SUITE_P(Policies, Mutations,
                         testing::Values(SALLYPORT_SOURCE_DIR "/policies/quickstart/quickstart.yaml",
                                         SALLYPORT_SOURCE_DIR "/docs/schema/policy.schema.json"));

TEST(TestFileMutations, NeverEndTheProcess) {
  const auto policy = test::world(test::entitlement("e", "allow: [{sql: {}}]"));
  const std::string whole = read_file(SALLYPORT_SOURCE_DIR "/policies/quickstart/quickstart.test.yaml");
  size_t ran = 0;
  for (uint32_t seed = 0; seed < 2'000; ++seed) {
    const auto results = run_tests(
        *policy, {"t.test.yaml", Mutator(seed).mutate(whole)},
        [](std::string_view) { return std::vector<model::Effect>{}; }, 0);
    ran += results.has_value();
    ASSERT_TRUE(results || !results.error().empty());
  }
  EXPECT_GT(ran, 0u);
}

}  // namespace
}  // namespace sallyport::policy
