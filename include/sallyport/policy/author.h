// SPDX-License-Identifier: Apache-2.0
// What policy authors need beside load(): a first policy (`policy new`) and tests (`policy test`).
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/effect.h"
#include "sallyport/policy/explain.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {

/// Where a new policy's Target is: the parts of postgres://host:port/database.
struct TargetAddress {
  std::string host;
  uint16_t port = 5432;
  std::string database;  ///< empty: any
};

/// Reads postgres://[user@]host[:port][/database]; a password in it is an error (it would land in a shell's history
/// and is never needed here).
Result<TargetAddress> parse_target_url(std::string_view url);

/// A commented first policy for one agent on one database: valid as it stands, least privilege (the baseline and
/// nothing else can be read until a table is named). `agent` must be a valid name.
Result<std::string> render_new(std::string_view agent, const TargetAddress& target);

/// Tells a statement's effects; handed in, so that policy does not depend on sql. An Error fails the case.
using Analyse = std::function<Result<std::vector<model::Effect>>(std::string_view sql)>;

/// Column masks of the statement told of last, by its lineage; it may turn a decision into a denial. Handed in alike.
using MasksOf = std::function<std::vector<ShownMask>(model::Decision& decision)>;

struct TestResult {
  std::string name;  ///< of the case, or "case 3"
  Place where;
  bool passed = false;
  std::string message;  ///< when failed: what was expected and what came, several lines
};

/// "2026-11-01" (its first moment, UTC), "2026-11-01T09:30:00Z" or with "+01:00": nanoseconds since 1970 UTC; nothing:
/// not such a time.
std::optional<int64_t> parse_time(std::string_view text);

/// True for the paths that run_tests() reads and load() must not be given: "*.test.yaml", "*.test.yml", "*.test.json".
bool is_test_file(std::string_view path);

/// Runs the cases of one `*.test.yaml`; format in docs/policy.md. A file that cannot be read as tests gives
/// diagnostics. `wall_ns` is the time at which cases without `at` are judged.
std::expected<std::vector<TestResult>, std::vector<Diagnostic>> run_tests(const Policy& policy, const Source& tests,
                                                                          const Analyse& analyse, int64_t wall_ns,
                                                                          const MasksOf& masks = {});

}  // namespace sallyport::policy
