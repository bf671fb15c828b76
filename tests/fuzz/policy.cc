// SPDX-License-Identifier: Apache-2.0
// Policy and test files of any text. Oracles: load() gives a policy or says where it is wrong, in lines that the text
// has; a policy that loads decides the same when loaded again, and denies the agent that it does not know.
#include "sallyport/policy/policy.h"

#include <algorithm>

#include "sallyport/base/limits.h"
#include "sallyport/policy/author.h"
#include "sallyport/policy/explain.h"
#include "tests/fuzz/fuzz.h"

namespace policy = sallyport::policy;
namespace model = sallyport::model;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

constexpr int64_t kNow = 1'795'000'000'000'000'000;

void check_findings(std::string_view text, const std::vector<policy::Diagnostic>& findings) {
  const auto lines = std::count(text.begin(), text.end(), '\n') + std::count(text.begin(), text.end(), '\r') + 2;
  must(findings.size() <= sallyport::limits::kPolicyFindingsMax + 1, "more findings than the limit");
  for (const policy::Diagnostic& finding : findings) {
    must(finding.line >= 0 && finding.line <= lines, "a finding lies outside the text");
    must(!finding.to_string().empty(), "a finding without words");
  }
}

std::vector<model::Effect> effects() {
  return {{"select", model::ObjectKind::relation, "public.customers", model::Access::read, {"email"}},
          {"unknown", model::ObjectKind::unknown, "f()", model::Access::execute, {}, true, "dynamic"}};
}

std::string decided(const policy::Policy& loaded) {
  std::string out;
  for (const policy::Target& target : loaded.targets()) {
    const model::Operation operation{.target = target.name, .body = model::Sql{.effects = effects()}};
    for (const policy::Agent& agent : loaded.agents()) {
      model::Principal principal;
      principal.agent = agent.name;
      out += policy::explain_text(loaded.decide(principal, operation, kNow), operation);
    }
    model::Principal nobody;
    nobody.agent = "nobody knows me";
    must(loaded.decide(nobody, operation, kNow).outcome == model::Outcome::deny, "a stranger was not denied");
  }
  return out;
}

void check_load(const std::string& text) {
  const policy::LoadOptions options{.wall_ns = kNow, .epoch = 1};
  const auto loaded = policy::load({{"p.yaml", text}}, options);
  if (!loaded) {
    must(!loaded.error().empty(), "no policy and no word why");
    return check_findings(text, loaded.error());
  }
  check_findings(text, loaded->warnings);
  const std::string before = decided(*loaded->policy);
  const auto again = policy::load({{"p.yaml", text}}, options);
  must(again && decided(*again->policy) == before, "the same text decides otherwise the second time");
}

void check_tests(const std::string& text) {
  static const auto loaded = policy::load({{"p.yaml",
                                            "{apiVersion: sallyport.dev/v1alpha1, kind: Agent, metadata: {name: bot}, "
                                            "spec: {workload: [{exec: bot}]}}\n---\n"
                                            "{apiVersion: sallyport.dev/v1alpha1, kind: Target, metadata: {name: db}, "
                                            "spec: {protocol: postgres, hosts: ['10.0.0.5:5432']}}\n"}});
  const auto analyse = [](std::string_view) -> sallyport::Result<std::vector<model::Effect>> { return effects(); };
  const auto results = policy::run_tests(*loaded->policy, {"p.test.yaml", text}, analyse, kNow);
  if (!results) return check_findings(text, results.error());
  for (const policy::TestResult& result : *results)
    must(result.passed == result.message.empty(), "a failed case says nothing");
}

}  // namespace

/// libfyaml 0.7.12 forgets its input buffer behind some syntax errors.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfyaml"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  const bool tests = choices.choose(4) == 1;
  const std::string text(choices.rest());
  tests ? check_tests(text) : check_load(text);
  return 0;
}
