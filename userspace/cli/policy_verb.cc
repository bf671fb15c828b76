// SPDX-License-Identifier: Apache-2.0
// The policy verbs work on files alone; no daemon is asked but by `reload`.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/lineage_masks.h"
#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/schema_source.h"
#include "cli/verbs.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"
#include "sallyport/control/client.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/policy/author.h"
#include "sallyport/policy/explain.h"
#include "sallyport/policy/http.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;
using policy::Diagnostic;

json diagnostics_json(const std::vector<Diagnostic>& found) {
  json list = json::array();
  for (const Diagnostic& each : found)
    list.push_back({{"path", each.path},
                    {"line", each.line},
                    {"column", each.column},
                    {"severity", each.error ? "error" : "warning"},
                    {"message", each.message},
                    {"hint", each.hint}});
  return list;
}

void print_diagnostics(const std::vector<Diagnostic>& found) {
  std::fflush(stdout);
  for (const Diagnostic& each : found) fmt::print(stderr, "{}\n", each.to_string());
}

/// The policy of the files, or nothing after its errors were printed.
std::shared_ptr<const policy::Policy> load_or_report(const PolicyFiles& files) {
  auto loaded = policy::load(files.documents, {.wall_ns = read_clocks().wall_ns, .check_pattern = mask::check_pattern});
  if (loaded) return loaded->policy;
  print_diagnostics(loaded.error());
  return nullptr;
}

std::string plural(size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

/// The agent and target must be in policy: an unknown name would only explain itself.
Result<> known(const policy::Policy& policy, const PolicyArguments& arguments) {
  auto names = [](const auto& list) {
    std::string out;
    for (const auto& each : list) out.append(out.empty() ? "there is: " : ", ").append(each.name);
    return out;
  };
  if (policy.find_agent(arguments.agent) == nullptr)
    return fail(fmt::format("no Agent `{}` in policy", arguments.agent), names(policy.agents()));
  if (policy.find_target(arguments.target) == nullptr)
    return fail(fmt::format("no Target `{}` in policy", arguments.target), names(policy.targets()));
  return {};
}

/// Who calls, as far as the options say it. What they do not say of the process nobody can tell.
model::Principal stated_principal(const PolicyArguments& arguments) {
  model::Principal out;
  out.agent = arguments.agent;
  out.workload = arguments.workload;
  out.token.issuer = arguments.issuer;
  out.token.subject = arguments.subject;
  model::Process& process = out.process;
  process.executable = arguments.exe;
  process.sha256 = arguments.sha256;
  process.uid = arguments.uid.value_or(~0u);
  process.gid = arguments.gid.value_or(~0u);
  const bool stated = !arguments.exe.empty() || !arguments.sha256.empty() || arguments.uid || arguments.gid;
  if (stated) process.command = arguments.exe.empty() ? "process" : arguments.exe.substr(arguments.exe.rfind('/') + 1);
  return out;
}

/// Per Agent who tells what its workloads ask for, where that is not the cgroup alone.
json workload_sources(const policy::Policy& policy) {
  json out = json::object();
  for (const policy::Agent& agent : policy.agents())
    for (const policy::WorkloadSelector& selector : agent.workloads)
      for (const policy::WorkloadFact& fact : selector.facts)
        out[agent.name][std::string(fact.source)].push_back(
            fmt::format("{}.{}", model::to_string(selector.kind), fact.name));
  return out;
}

/// "agent billing-bot: kubernetes.namespace by the runtime, kubernetes.serviceAccount by a token"
void print_sources(const json& sources) {
  for (const auto& [agent, by] : sources.items()) {
    std::string line;
    for (const auto& [source, facts] : by.items())
      for (const json& fact : facts)
        if (source != "the cgroup")
          line += fmt::format("{}{} by {}", line.empty() ? "" : ", ", fact.get<std::string>(), source);
    if (!line.empty()) print(fmt::format("agent {}: {}\n", agent, line));
  }
}

json test_json(const policy::TestResult& result) {
  return {{"name", result.name},
          {"where", result.where.to_string()},
          {"passed", result.passed},
          {"message", result.message}};
}

}  // namespace

int run_policy_new(const PolicyArguments& arguments) {
  auto address = policy::parse_target_url(arguments.target);
  auto text = address ? policy::render_new(arguments.agent, *address) : std::unexpected(address.error());
  if (!text) {
    print_error(text.error());
    return kUsage;
  }
  print(*text);
  return kDone;
}

int run_policy_check(const Common& common, const PolicyArguments& arguments) {
  const auto files = read_policy_files(arguments.path);
  if (!files) {
    print_error(files.error());
    return kUsage;
  }
  const auto loaded =
      policy::load(files->documents, {.wall_ns = read_clocks().wall_ns, .check_pattern = mask::check_pattern});
  const std::vector<Diagnostic>& found = loaded ? loaded->warnings : loaded.error();
  if (common.json) {
    json out = {{"ok", loaded.has_value()}, {"findings", diagnostics_json(found)}};
    if (loaded) out["workload_facts"] = workload_sources(*loaded->policy);
    print_json(out);
    return loaded ? kDone : kFound;
  }
  print_diagnostics(found);
  if (!loaded) {
    const auto errors = static_cast<size_t>(std::ranges::count_if(found, &Diagnostic::error));
    fmt::print(stderr, "{}\n", plural(errors, "error"));
    return kFound;
  }
  print_sources(workload_sources(*loaded->policy));
  print(fmt::format("ok: {}, {}, {}\n", plural(loaded->policy->agents().size(), "agent"),
                    plural(loaded->policy->targets().size(), "target"), plural(found.size(), "warning")));
  return kDone;
}

int run_policy_test(const Common& common, const PolicyArguments& arguments) {
  const auto files = read_policy_files(arguments.path);
  if (!files) {
    print_error(files.error());
    return kUsage;
  }
  const auto schema = SchemaSource::open(arguments.schema, arguments.dsn);
  if (!schema) {
    print_error(schema.error());
    return kUsage;
  }
  const auto policy = load_or_report(*files);
  if (!policy) return kFound;
  std::optional<sql::Analysis> analysed;  // of the case that runs
  const auto effects = [&](std::string_view text) -> Result<std::vector<model::Effect>> {
    auto analysis = schema->analysis(text);
    if (!analysis) return std::unexpected(analysis.error());
    analysed = std::move(*analysis);
    return effects_of(*analysed);
  };
  const auto masks = [&](model::Decision& decision) { return masks_by_lineage(*analysed, decision); };
  std::vector<policy::TestResult> results;
  for (const policy::Source& tests : files->tests) {
    auto ran = policy::run_tests(*policy, tests, effects, read_clocks().wall_ns, masks);
    if (!ran) {
      print_diagnostics(ran.error());
      return kFound;
    }
    std::ranges::move(*ran, std::back_inserter(results));
  }
  const auto failed = static_cast<size_t>(std::ranges::count(results, false, &policy::TestResult::passed));
  if (common.json) {
    json list = json::array();
    for (const policy::TestResult& each : results) list.push_back(test_json(each));
    print_json({{"passed", results.size() - failed}, {"failed", failed}, {"cases", std::move(list)}});
  } else {
    for (const policy::TestResult& each : results) {
      if (!each.passed) print(fmt::format("FAIL {}: {}\n{}\n", each.where.to_string(), each.name, each.message));
    }
    print(fmt::format("{} passed, {} failed\n", results.size() - failed, failed));
  }
  if (results.empty()) print_error({fmt::format("no tests in `{}`", arguments.path), "name them *.test.yaml"});
  return failed == 0 && !results.empty() ? kDone : kFound;
}

namespace {

/// "GET /v1/invoices?year=2026"
Result<model::Http> request_of(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == 0 || space == std::string_view::npos)
    return fail(fmt::format("`{}` is no request", printable(text)), "write it as in \"GET /v1/invoices\"");
  auto path = policy::normalise_path(text.substr(space + 1));
  if (!path) return std::unexpected(path.error());
  return model::Http{std::string(text.substr(0, space)), "", std::move(path->path), std::move(path->query)};
}

int explain_request(const Common& common, const PolicyArguments& arguments, const policy::Policy& policy) {
  const auto names = known(policy, arguments);
  auto request = names ? request_of(arguments.http) : std::unexpected(names.error());
  if (!request) {
    print_error(request.error());
    return kUsage;
  }
  const model::Operation operation{1, 0, arguments.target, std::move(*request)};
  const model::Principal principal = stated_principal(arguments);
  const model::Decision decision = policy.decide(principal, operation, read_clocks().wall_ns);
  if (common.json) {
    print_json(policy::explain_json(decision, operation, nullptr, &principal));
  } else {
    print(policy::explain_text(decision, operation, nullptr, &principal));
  }
  return decision.outcome == model::Outcome::allow ? kDone : kFound;
}

}  // namespace

int run_policy_explain(const Common& common, const PolicyArguments& arguments) {
  const auto files = read_policy_files(arguments.path);
  if (!files) {
    print_error(files.error());
    return kUsage;
  }
  const auto schema = SchemaSource::open(arguments.schema, arguments.dsn);
  if (!schema) {
    print_error(schema.error());
    return kUsage;
  }
  const auto policy = load_or_report(*files);
  if (!policy) return kFound;
  if (!arguments.http.empty()) return explain_request(common, arguments, *policy);
  if (arguments.sql.empty()) {
    print_error({"there is nothing to explain", "give SQL text, or --http \"GET /v1/invoices\""});
    return kUsage;
  }
  const auto names = known(*policy, arguments);
  const auto analysis = names ? schema->analysis(arguments.sql) : std::unexpected(names.error());
  if (!analysis) {
    print_error(analysis.error());
    return kUsage;
  }
  const model::Operation operation{1, 0, arguments.target,
                                   model::Sql{model::Sql::Source::query, arguments.sql, effects_of(*analysis)}};
  const model::Principal principal = stated_principal(arguments);
  model::Decision decision = policy->decide(principal, operation, read_clocks().wall_ns);
  const auto masks = masks_by_lineage(*analysis, decision);
  if (common.json) {
    print_json(policy::explain_json(decision, operation, &masks, &principal));
  } else {
    print(policy::explain_text(decision, operation, &masks, &principal));
    print(schema->note());
  }
  return decision.outcome == model::Outcome::allow ? kDone : kFound;
}

int run_policy_reload(const Common& common) {
  const auto answer = control::Client(common.socket).post("/v1/policy/reload", json::object());
  if (!answer) {
    print_error(answer.error());
    return kFound;
  }
  if (common.json) {
    print_json(*answer);
  } else {
    print(fmt::format("{} is in force, epoch {}\n", text_of(*answer, "directory"), text_of(*answer, "epoch")));
  }
  return kDone;
}

}  // namespace sallyport::cli
