// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/verbs.h"
#include "sallyport/base/clock.h"
#include "sallyport/control/client.h"
#include "sallyport/kernel/kernel.h"
#include "sallyport/launch/ability.h"
#include "sallyport/mask/detector_set.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;

struct Check {
  std::string name;
  bool ok = false;
  bool required = true;
  std::string detail;
  std::string remedy;
};

/// A name that kernel and sandbox both try is shown once.
void add_host_checks(std::vector<Check>& checks) {
  std::set<std::string> seen;
  if (::geteuid() == 0) {
    for (const kernel::ProbeResult& probe : kernel::probe()) {
      if (seen.insert(probe.name).second)
        checks.push_back({probe.name, probe.ok, probe.required, probe.detail, probe.remedy});
    }
  } else {
    checks.push_back({"kernel programs", false, false, "not tried: needs root", "sudo sallyport doctor"});
  }
  for (const launch::Ability& ability : launch::probe_abilities()) {
    if (seen.insert(ability.name).second)
      checks.push_back({"exec: " + ability.name, ability.ok, ability.required, ability.detail, ability.remedy});
  }
}

Check policy_check(const std::string& path) {
  const auto files = read_policy_files(path);
  if (!files) return {"policy", false, true, files.error().what, files.error().hint};
  const auto loaded =
      policy::load(files->documents, {.wall_ns = read_clocks().wall_ns, .check_pattern = mask::check_pattern});
  if (!loaded)
    return {"policy", false, true, loaded.error().front().to_string(), fmt::format("sallyport policy check {}", path)};
  return {
      "policy", true, true,
      fmt::format("{}: {} agents, {} targets", path, loaded->policy->agents().size(), loaded->policy->targets().size()),
      ""};
}

Check records_check(const std::string& state) {
  const std::string path = state + "/records";
  // The daemon makes what is missing, so the nearest folder that is there decides.
  std::filesystem::path there = path;
  std::error_code error;
  while (!std::filesystem::exists(there, error) && there.has_parent_path() && there != there.root_path())
    there = there.parent_path();
  const auto space = std::filesystem::space(there, error);
  if (::access(there.c_str(), W_OK | X_OK) != 0)
    return {"records", false, ::geteuid() == 0, fmt::format("`{}` is not writable", there.string()),
            ::geteuid() == 0 ? "make it writable for the daemon, or choose another --state" : "sudo sallyport doctor"};
  return {"records", true, true, fmt::format("{}, {} MiB free", path, space.available >> 20), ""};
}

/// What says what its containers are; labels of podman's only its socket does.
Check runtime_check(const json& runtime) {
  const std::string name = text_of(runtime, "runtime"), way = text_of(runtime, "way"),
                    error = runtime.value("error", ""), socket = text_of(runtime, "socket");
  Check out{"containers: " + name, error.empty(), false, way + (error.empty() ? "" : ": " + error), ""};
  if (out.ok && name == "podman" && way == "files") {
    out.ok = false;
    out.detail += ", so labels are not known: no socket at " + socket;
    out.remedy = "systemctl enable --now podman.socket";
  }
  return out;
}

void add_daemon_checks(const std::string& socket, std::vector<Check>& checks, std::vector<std::string>& open) {
  const auto answer = control::Client(socket).get("/v1/doctor");
  if (!answer) {
    checks.push_back({"daemon", false, true, answer.error().what, answer.error().hint});
    return;
  }
  checks.push_back({"daemon", true, true, "answers at " + socket, ""});
  checks.push_back({"level", true, true, text_of(*answer, "level"), ""});
  for (const json& vector : answer->value("vectors", json::array())) {
    if (!vector.value("closed", false))
      open.push_back(fmt::format("{}: {}", text_of(vector, "name"), text_of(vector, "detail")));
  }
  for (const json& runtime : answer->value("runtimes", json::array())) checks.push_back(runtime_check(runtime));
  const json policy = answer->value("policy", json::object());
  const std::string error = text_of(policy, "error");
  if (!policy.value("loaded", false) || error != "-")
    checks.push_back({"policy in force", false, true, error, "fix it, then `sallyport policy reload`"});
}

json checks_json(const std::vector<Check>& checks, const std::vector<std::string>& open, bool ok) {
  json list = json::array();
  for (const Check& check : checks)
    list.push_back({{"name", check.name},
                    {"ok", check.ok},
                    {"required", check.required},
                    {"detail", check.detail},
                    {"remedy", check.remedy}});
  return {{"ok", ok}, {"checks", std::move(list)}, {"open", open}};
}

void print_checks(const std::vector<Check>& checks, const std::vector<std::string>& open) {
  for (const Check& check : checks) {
    const char* word = check.ok ? "ok" : check.required ? "FAIL" : "note";
    print(fmt::format("{:<5} {:<28} {}", word, check.name, check.detail));
    print(check.remedy.empty() ? "\n" : fmt::format(" -> {}\n", check.remedy));
  }
  print("\nwhat stays open:\n");
  for (const std::string& each : open) print(fmt::format("  - {}\n", each));
}

}  // namespace

int run_doctor(const Common& common, const DoctorArguments& arguments) {
  std::vector<Check> checks;
  std::vector<std::string> open;
  add_host_checks(checks);
  checks.push_back(policy_check(arguments.policy));
  checks.push_back(records_check(arguments.state));
  add_daemon_checks(common.socket, checks, open);
  std::ranges::move(launch::remaining_openings(), std::back_inserter(open));
  const bool ok = std::ranges::all_of(checks, [](const Check& check) { return check.ok || !check.required; });
  if (common.json) {
    print_json(checks_json(checks, open, ok));
  } else {
    print_checks(checks, open);
  }
  return ok ? kDone : kFound;
}

}  // namespace sallyport::cli
