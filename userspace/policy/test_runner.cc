// SPDX-License-Identifier: Apache-2.0
// `*.test.yaml`: cases of operation -> decision and causes, for policy authors.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <set>

#include "explain_masks.h"
#include "keys.h"
#include "match_sql.h"
#include "reader.h"
#include "sallyport/base/limits.h"
#include "sallyport/policy/author.h"
#include "sallyport/policy/explain.h"
#include "sallyport/policy/http.h"

namespace sallyport::policy {
namespace {

using keys::Word;
using model::Effect;
using model::ObjectKind;

constexpr std::array<Word, 5> kFile = {"agent", "target", "at", "process", "cases"};
constexpr std::array<Word, 15> kCase = {"name",     "agent",   "target",  "at",      "process",
                                        "sql",      "effects", "startup", "connect", "http",
                                        "decision", "causes",  "hint",    "masks",   "limits"};
constexpr std::array<Word, 5> kOperations = {"sql", "effects", "startup", "connect", "http"};
constexpr std::array<Word, 2> kHttp = {"method", "path"};
constexpr std::array<Word, 6> kEffect = {"class", "kind", "object", "access", "columns", "because"};
constexpr std::array<Word, 12> kObjectKinds = {"relation", "function", "schema",  "type",    "database", "role",
                                               "setting",  "file",     "program", "channel", "other",    "unknown"};
constexpr std::array<Word, 4> kStartup = {"database", "user", "settings", "replication"};
constexpr std::array<Word, 3> kOutcomes = {"allow", "hold", "deny"};
constexpr std::array<Word, 2> kTruth = {"false", "true"};

/// A case as written.
struct Case {
  std::string name, agent, target, sql;
  Place where;
  int64_t wall_ns = 0;
  model::Process process;  ///< without a number: none is stated
  bool has_sql = false;
  model::Operation operation;
  model::Outcome outcome = model::Outcome::deny;
  std::optional<std::set<std::string>> causes, masks, limits;
  std::optional<std::string> hint;
};

Effect parse_effect(const Node& node, Reader& reader) {
  Effect out;
  if (!reader.is_map(node, "an effect", kEffect)) return out;
  if (const Node* word = reader.get(node, "class", "an effect", true))
    out.statement_class = reader.text(*word, "class");
  const bool unknown = out.statement_class == model::kUnknownClass;
  out.kind = unknown ? ObjectKind::unknown : ObjectKind::relation;
  if (const Node* kind = reader.get(node, "kind", "an effect"))
    out.kind = static_cast<ObjectKind>(reader.word(*kind, "kind", kObjectKinds).value_or(0));
  if (const Node* object = reader.get(node, "object", "an effect", !unknown))
    out.object = reader.text(*object, "object");
  if (const Node* access = reader.get(node, "access", "an effect"))
    out.access = static_cast<model::Access>(reader.word(*access, "access", keys::kAccess).value_or(0));
  if (const Node* because = reader.get(node, "because", "an effect")) out.because = reader.text(*because, "because");
  if (const Node* columns = reader.get(node, "columns", "an effect")) {
    if (columns->kind == Node::Kind::list && columns->items.empty()) return out;
    out.columns = reader.texts(*columns, "columns");
    std::ranges::sort(out.columns);
    out.all_columns = std::erase(out.columns, "*") > 0;
  }
  return out;
}

std::vector<Effect> parse_startup(const Node& node, Reader& reader) {
  std::vector<Effect> out;
  const auto add = [&](Word statement, ObjectKind kind, std::string object) {
    out.push_back({std::string(statement), kind, std::move(object), model::Access::write, {}, false, ""});
  };
  if (!reader.is_map(node, "startup", kStartup)) return out;
  if (const Node* value = reader.get(node, "database", "startup"))
    add(kStartupClass, ObjectKind::database, reader.text(*value, "database"));
  if (const Node* value = reader.get(node, "user", "startup"))
    add(kStartupClass, ObjectKind::role, reader.text(*value, "user"));
  if (const Node* value = reader.get(node, "settings", "startup"))
    for (std::string& setting : reader.texts(*value, "settings"))
      add(kStartupClass, ObjectKind::setting, std::move(setting));
  if (const Node* value = reader.get(node, "replication", "startup");
      value && reader.word(*value, "replication", kTruth) == 1u)
    add(kReplicationClass, ObjectKind::other, "replication connection");
  return out;
}

/// The path is written as an agent sends it, with its query if it likes.
model::Http parse_http(const Node& node, Reader& reader) {
  model::Http out;
  if (!reader.is_map(node, "http", kHttp)) return out;
  if (const Node* method = reader.get(node, "method", "http", true)) out.method = reader.text(*method, "method");
  const Node* path = reader.get(node, "path", "http", true);
  if (!path) return out;
  auto normal = normalise_path(reader.text(*path, "path"));
  if (!normal) {
    reader.wrong(*path, normal.error().what, normal.error().hint);
    return out;
  }
  out.path = std::move(normal->path);
  out.query = std::move(normal->query);
  return out;
}

void parse_operation(const Node& node, Case& out, Reader& reader) {
  size_t operations = 0;
  for (Word key : kOperations) operations += node.find(key) != nullptr;
  if (operations != 1) return reader.wrong(node, "a case has exactly one of sql, effects, startup, connect, http");
  if (const Node* sql = node.find("sql")) {
    out.sql = reader.text(*sql, "sql");
    out.has_sql = true;
    out.operation.body = model::Sql{model::Sql::Source::query, out.sql, {}};
  } else if (const Node* effects = node.find("effects")) {
    model::Sql body;
    for (const Node& item : reader.list(*effects, "effects")) body.effects.push_back(parse_effect(item, reader));
    out.operation.body = std::move(body);
  } else if (const Node* startup = node.find("startup")) {
    out.operation.body = model::Sql{model::Sql::Source::startup, "", parse_startup(*startup, reader)};
  } else if (const Node* http = node.find("http")) {
    out.operation.body = parse_http(*http, reader);
  } else {
    reader.word(*node.find("connect"), "connect", std::span(kTruth).last(1));
    out.operation.body = model::Connect{};
  }
}

std::set<std::string> parse_set(const Node& node, std::string_view what, Reader& reader) {
  if (node.kind == Node::Kind::list && node.items.empty()) return {};
  const auto list = reader.texts(node, what);
  return {list.begin(), list.end()};
}

model::Process parse_process(const Node& node, Reader& reader) {
  constexpr uint32_t kNotStated = ~0u;
  model::Process out;
  out.pid = 1;
  out.uid = out.gid = kNotStated;
  if (!reader.is_map(node, "process", keys::kProcess)) return out;
  const auto id = [&](std::string_view key, uint32_t& to) {
    if (const Node* value = reader.get(node, key, "process"))
      to = static_cast<uint32_t>(reader.number(*value, key, kNotStated - 1).value_or(kNotStated));
  };
  if (const Node* value = reader.get(node, "exe", "process")) out.executable = reader.absolute_path(*value, "exe");
  if (const Node* value = reader.get(node, "sha256", "process")) out.sha256 = reader.text(*value, "sha256");
  id("uid", out.uid);
  id("gid", out.gid);
  return out;
}

Case parse_case(const Node& node, Case out, Reader& reader) {
  out.where = reader.place(node);
  if (!reader.is_map(node, "a case", kCase)) return out;
  if (const Node* value = reader.get(node, "name", "a case")) out.name = reader.text(*value, "name");
  if (const Node* value = reader.get(node, "agent", "a case", out.agent.empty()))
    out.agent = reader.text(*value, "agent");
  if (const Node* value = reader.get(node, "target", "a case", out.target.empty()))
    out.target = reader.text(*value, "target");
  if (const Node* value = reader.get(node, "at", "a case")) out.wall_ns = reader.time(*value, "at").value_or(0);
  if (const Node* value = reader.get(node, "process", "a case")) out.process = parse_process(*value, reader);
  parse_operation(node, out, reader);
  if (const Node* value = reader.get(node, "decision", "a case", true))
    out.outcome = static_cast<model::Outcome>(reader.word(*value, "decision", kOutcomes).value_or(0));
  if (const Node* value = reader.get(node, "causes", "a case")) out.causes = parse_set(*value, "causes", reader);
  if (const Node* value = reader.get(node, "masks", "a case")) out.masks = parse_set(*value, "masks", reader);
  if (const Node* value = reader.get(node, "limits", "a case")) out.limits = parse_set(*value, "limits", reader);
  if (const Node* value = reader.get(node, "hint", "a case")) out.hint = reader.text(*value, "hint");
  out.operation.target = out.target;
  return out;
}

std::vector<Case> parse_file(const Source& tests, int64_t wall_ns, Reader& reader) {
  std::vector<Case> out;
  size_t nodes_left = limits::kPolicyNodesMax;
  reader.findings().enter(tests.path);
  for (const Node& document : read_yaml(tests.text, reader.findings(), nodes_left)) {
    if (document.is_null() || !reader.is_map(document, "a test file", kFile)) continue;
    Case common;
    common.wall_ns = wall_ns;
    if (const Node* value = reader.get(document, "agent", "a test file")) common.agent = reader.text(*value, "agent");
    if (const Node* value = reader.get(document, "target", "a test file"))
      common.target = reader.text(*value, "target");
    if (const Node* value = reader.get(document, "at", "a test file"))
      common.wall_ns = reader.time(*value, "at").value_or(0);
    if (const Node* value = reader.get(document, "process", "a test file"))
      common.process = parse_process(*value, reader);
    const Node* cases = reader.get(document, "cases", "a test file", true);
    if (!cases) continue;
    for (const Node& node : reader.list(*cases, "cases")) {
      out.push_back(parse_case(node, common, reader));
      if (out.back().name.empty()) out.back().name = fmt::format("case {}", out.size());
    }
  }
  return out;
}

std::string compare_sets(std::string_view what, const std::optional<std::set<std::string>>& wanted,
                         const std::set<std::string>& got) {
  if (!wanted || *wanted == got) return {};
  return fmt::format("  {}: expected [{}]\n  {}: got      [{}]\n", what, fmt::join(*wanted, ", "), what,
                     fmt::join(got, ", "));
}

/// What differs; empty: nothing.
std::string compare(const Case& test, const model::Decision& decision, const std::vector<ShownMask>* columns) {
  std::string out;
  if (decision.outcome != test.outcome)
    out += fmt::format("  decision: expected {}, got {}\n", model::to_string(test.outcome),
                       model::to_string(decision.outcome));
  std::set<std::string> causes, masks, limits;
  for (const model::Cause& cause : decision.causes) causes.insert(cause.rule);
  for (const ShownMask& mask : masks_shown(decision, test.operation, columns))
    masks.insert(fmt::format("{} {}", mask.column, mask.strategy));
  out += compare_sets("causes", test.causes, causes);
  for (const model::Limit& limit : decision.obligations.limits) limits.insert(limit_shown(limit));
  out += compare_sets("masks", test.masks, masks);
  out += compare_sets("limits", test.limits, limits);
  const std::string rule = decision.hint.substr(0, decision.hint.find("  #"));
  if (test.hint && *test.hint != decision.hint && *test.hint != rule)
    out += fmt::format("  hint: expected {}\n  hint: got      {}\n", *test.hint, decision.hint);
  if (!out.empty())
    for (const model::Cause& cause : decision.causes) out += fmt::format("  because {}: {}\n", cause.rule, cause.text);
  return out;
}

TestResult run_case(const Policy& policy, Case test, const Analyse& analyse, const MasksOf& masks_of) {
  TestResult out{test.name, test.where, false, ""};
  if (test.has_sql) {
    auto effects = analyse(test.sql);
    if (!effects) {
      out.message = fmt::format("  cannot analyse the statement: {}\n", effects.error().what);
      return out;
    }
    std::get<model::Sql>(test.operation.body).effects = std::move(*effects);
  }
  model::Principal principal;
  principal.agent = test.agent;
  principal.process = test.process;
  model::Decision decision = policy.decide(principal, test.operation, test.wall_ns);
  std::optional<std::vector<ShownMask>> columns;
  if (test.has_sql && masks_of) columns = masks_of(decision);
  out.message = compare(test, decision, columns ? &*columns : nullptr);
  out.passed = out.message.empty();
  return out;
}

}  // namespace

bool is_test_file(std::string_view path) {
  return path.ends_with(".test.yaml") || path.ends_with(".test.yml") || path.ends_with(".test.json");
}

std::expected<std::vector<TestResult>, std::vector<Diagnostic>> run_tests(const Policy& policy, const Source& tests,
                                                                          const Analyse& analyse, int64_t wall_ns,
                                                                          const MasksOf& masks) {
  try {
    Findings findings;
    Reader reader(findings);
    std::vector<Case> cases = parse_file(tests, wall_ns, reader);
    if (!findings.has_errors() && cases.empty()) findings.error_at(1, 1, "no cases");
    if (findings.has_errors()) return std::unexpected(findings.take());
    std::vector<TestResult> out;
    for (Case& test : cases) out.push_back(run_case(policy, std::move(test), analyse, masks));
    return out;
  } catch (const std::exception& e) {
    return std::unexpected(
        std::vector<Diagnostic>{{tests.path, 1, 1, fmt::format("cannot run the tests: {}", e.what()), "", true}});
  }
}

}  // namespace sallyport::policy
