// SPDX-License-Identifier: Apache-2.0
// The program, the published schema, the reference page and the SQL analysis know the same words.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "policy/baseline_sql.h"
#include "policy/keys.h"
#include "policy/match_sql.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/sql/analysis.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using nlohmann::json;
using Words = std::set<std::string>;

std::string read_file(const std::string& path) {
  std::ifstream file(SALLYPORT_SOURCE_DIR "/" + path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

Words words(std::span<const std::string_view> list) { return {list.begin(), list.end()}; }

Words properties(const json& object) {
  Words out;
  for (const auto& [key, value] : object.at("properties").items()) out.insert(key);
  return out;
}

Words enumerated(const json& node) {
  Words out;
  for (const auto& value : node.at("enum")) out.insert(value.get<std::string>());
  return out;
}

class Schema : public testing::Test {
 protected:
  const json schema_ = json::parse(read_file("docs/schema/policy.schema.json"));
  const json& spec(const char* kind, const char* key) const { return schema_["$defs"][kind]["properties"][key]; }
};

TEST_F(Schema, Keys) {
  const json& defs = schema_["$defs"];
  EXPECT_EQ(properties(schema_), words(keys::kDocument));
  EXPECT_EQ(properties(schema_["properties"]["metadata"]), words(keys::kMetadata));
  EXPECT_EQ(enumerated(schema_["properties"]["kind"]), words(keys::kKinds));
  EXPECT_EQ(schema_["properties"]["apiVersion"]["const"], keys::kApiVersion);
  EXPECT_EQ(properties(defs["Agent"]), words(keys::kAgent));
  EXPECT_EQ(properties(defs["Issuer"]), words(keys::kIssuer));
  EXPECT_EQ(properties(spec("Agent", "token")), words(keys::kToken));
  EXPECT_EQ(properties(defs["Target"]), words(keys::kTarget));
  EXPECT_EQ(properties(defs["Mask"]), words(keys::kMask));
  EXPECT_EQ(properties(defs["Entitlement"]), words(keys::kEntitlement));
  EXPECT_EQ(properties(defs["Detector"]), words(keys::kDetector));
  EXPECT_EQ(properties(spec("Detector", "patterns")["items"]), words(keys::kPattern));
  EXPECT_EQ(properties(defs["rule"]), words(keys::kRule));
  EXPECT_EQ(properties(defs["rule"]["properties"]["process"]), words(keys::kProcess));
  EXPECT_EQ(properties(defs["rule"]["properties"]["sql"]), words(kSqlKeys));
  EXPECT_EQ(properties(defs["rule"]["properties"]["http"]), words(keys::kHttpRule));
  EXPECT_EQ(properties(spec("Agent", "workload")["items"]["oneOf"][0]["properties"]["exec"]["anyOf"][1]),
            words(keys::kExec));
  const json& workload = spec("Agent", "workload")["items"]["oneOf"];
  Words kinds;
  for (const json& each : workload) kinds.merge(properties(each));
  EXPECT_EQ(kinds, words(keys::kWorkload));
  EXPECT_EQ(properties(workload[2]["properties"]["kubernetes"]), words(keys::kKubernetes));
  EXPECT_EQ(properties(workload[3]["properties"]["docker"]), words(keys::kContainer));
  EXPECT_EQ(properties(workload[4]["properties"]["podman"]), words(keys::kContainer));
  EXPECT_EQ(properties(workload[5]["properties"]["systemd"]), words(keys::kSystemd));
  EXPECT_EQ(properties(spec("Target", "tls")), words(keys::kTls));
  EXPECT_EQ(properties(spec("Target", "credential")), words(keys::kCredential));
  EXPECT_EQ(properties(spec("Target", "auth")), words(keys::kAuth));
  EXPECT_EQ(properties(spec("Target", "catalogue")), words(keys::kCatalogue));
  EXPECT_EQ(properties(spec("Target", "catalogue")["properties"]["credential"]), words(keys::kCatalogueCredential));
  EXPECT_EQ(properties(spec("Target", "record")), words(keys::kRecord));
  EXPECT_EQ(properties(spec("Target", "token")), words(keys::kTargetToken));
  EXPECT_EQ(properties(spec("Mask", "columns")["items"]), words(keys::kMaskColumn));
  EXPECT_EQ(properties(spec("Mask", "detect")["items"]), words(keys::kMaskDetect));
  EXPECT_EQ(properties(spec("Mask", "keys")["items"]), words(keys::kMaskKey));
  EXPECT_EQ(properties(spec("Entitlement", "limits")["items"]), words(keys::kLimit));
  EXPECT_EQ(properties(spec("Entitlement", "window")), words(keys::kWindow));
  EXPECT_EQ(properties(spec("Entitlement", "review")), words(keys::kReview));
}

TEST_F(Schema, ClosedLists) {
  const json& sql = schema_["$defs"]["rule"]["properties"]["sql"]["properties"];
  EXPECT_EQ(enumerated(sql["statements"]["items"]), words(statement_words()));
  EXPECT_EQ(enumerated(sql["access"]["items"]), words(keys::kAccess));
  EXPECT_EQ(enumerated(spec("Agent", "minLevel")), words(keys::kLevels));
  EXPECT_EQ(enumerated(spec("Agent", "loopback")), words(keys::kLoopback));
  EXPECT_EQ(enumerated(spec("Issuer", "algorithms")["items"]), words(keys::kAlgorithms));
  EXPECT_EQ(enumerated(spec("Target", "protocol")), words(keys::kProtocols));
  EXPECT_EQ(enumerated(spec("Target", "tls")["properties"]["mode"]), words(keys::kTlsModes));
  EXPECT_EQ(enumerated(spec("Target", "tls")["properties"]["agent"]), words(keys::kAgentTls));
  EXPECT_EQ(enumerated(spec("Target", "auth")["properties"]["min"]), words(keys::kAuthMethods));
  EXPECT_EQ(enumerated(spec("Target", "token")["properties"]["from"]), words(keys::kTokenFrom));
  EXPECT_EQ(enumerated(spec("Mask", "detect")["items"]["properties"]["type"]["anyOf"][0]), words(keys::kDetectors));
  EXPECT_EQ(enumerated(spec("Entitlement", "limits")["items"]["properties"]["count"]), words(keys::kCounts));
  EXPECT_EQ(enumerated(spec("Entitlement", "limits")["items"]["properties"]["over"]), words(keys::kOver));
  EXPECT_EQ(enumerated(spec("Entitlement", "limits")["items"]["properties"]["then"]), words(keys::kThen));
  EXPECT_EQ(enumerated(spec("Entitlement", "baseline")), words(keys::kBaseline));
}

TEST(Vocabulary, StatementClassesAreThoseOfTheAnalysis) {
  Words ours = words(statement_words());
  EXPECT_EQ(ours.erase("*"), 1u);
  const auto& theirs = sql::statement_classes();
  EXPECT_EQ(ours, Words(theirs.begin(), theirs.end()));
}

/// Every word in the reference, as `word`.
TEST(Reference, NamesEveryKeyAndWord) {
  const std::string page = read_file("docs/policy.md");
  const auto names = [&](std::span<const std::string_view> list) {
    for (std::string_view word : list) EXPECT_NE(page.find(fmt::format("`{}`", word)), std::string::npos) << word;
  };
  for (auto list : {std::span<const std::string_view>(keys::kIssuer),
                    std::span<const std::string_view>(keys::kToken),
                    std::span<const std::string_view>(keys::kAlgorithms),
                    std::span<const std::string_view>(keys::kKinds),
                    std::span<const std::string_view>(keys::kAgent),
                    std::span<const std::string_view>(keys::kWorkload),
                    std::span<const std::string_view>(keys::kExec),
                    std::span<const std::string_view>(keys::kKubernetes),
                    std::span<const std::string_view>(keys::kContainer),
                    std::span<const std::string_view>(keys::kSystemd),
                    std::span<const std::string_view>(keys::kLevels),
                    std::span<const std::string_view>(keys::kTarget),
                    std::span<const std::string_view>(keys::kTls),
                    std::span<const std::string_view>(keys::kTlsModes),
                    std::span<const std::string_view>(keys::kAgentTls),
                    std::span<const std::string_view>(keys::kCredential),
                    std::span<const std::string_view>(keys::kAuthMethods),
                    std::span<const std::string_view>(keys::kMask),
                    std::span<const std::string_view>(keys::kMaskDetect),
                    std::span<const std::string_view>(keys::kDetector),
                    std::span<const std::string_view>(keys::kPattern),
                    std::span<const std::string_view>(keys::kStrategies),
                    std::span<const std::string_view>(keys::kEntitlement),
                    std::span<const std::string_view>(keys::kLimit),
                    std::span<const std::string_view>(keys::kWindow),
                    std::span<const std::string_view>(keys::kReview),
                    std::span<const std::string_view>(keys::kTargetToken),
                    std::span<const std::string_view>(keys::kTokenFrom),
                    std::span<const std::string_view>(keys::kProtocols),
                    std::span<const std::string_view>(keys::kHttpRule),
                    std::span<const std::string_view>(kSqlKeys),
                    std::span<const std::string_view>(keys::kProcess),
                    statement_words()})
    names(list);
}

TEST(Reference, ListsTheBaselineAsItIs) {
  const std::string page = read_file("docs/policy.md");
  for (const BaselineRow& row : baseline_rows()) {
    const auto code = [](std::string_view list) {
      std::string out;
      for (size_t comma; !list.empty(); list.remove_prefix(std::min(comma + 2, list.size()))) {
        comma = std::min(list.find(", "), list.size());
        out += fmt::format("{}`{}`", out.empty() ? "" : ", ", list.substr(0, comma));
      }
      return out;
    };
    const std::string line = fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name, code(row.statements),
                                         row.objects.empty() ? "any" : code(row.objects),
                                         row.except.empty() ? "" : code(row.except), row.why);
    EXPECT_NE(page.find(line), std::string::npos) << "docs/policy.md lacks:\n" << line;
  }
}

/// The types that policy takes are those that there are, and docs/masking.md tells of each.
TEST(Vocabulary, DetectorTypesAreThoseOfTheMasks) {
  const auto types = mask::detector_types();
  EXPECT_EQ(words(types), words(keys::kDetectors));
  EXPECT_TRUE(std::ranges::is_sorted(keys::kDetectors));
  const std::string page = read_file("docs/masking.md");
  for (std::string_view type : types) EXPECT_NE(page.find(fmt::format("`{}`", type)), std::string::npos) << type;
}

/// The yaml blocks of the reference that begin with `apiVersion` are whole policies.
TEST(Reference, ItsExamplesLoad) {
  const std::string page = read_file("docs/policy.md");
  size_t examples = 0;
  for (size_t at = 0; (at = page.find("```yaml\napiVersion", at)) != std::string::npos; ++at) {
    const size_t begin = at + 8, end = page.find("```", begin);
    ASSERT_NE(end, std::string::npos);
    const auto loaded = load({{"docs/policy.md", page.substr(begin, end - begin)}});
    EXPECT_TRUE(loaded) << test::all_findings(loaded.error());
    ++examples;
  }
  EXPECT_GE(examples, 1u);
}

}  // namespace
}  // namespace sallyport::policy
