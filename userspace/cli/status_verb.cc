// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/verbs.h"
#include "sallyport/control/client.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;

std::string list_text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->empty()) return "none";
  std::string out;
  for (const json& each : *found) {
    if (each.is_string()) out.append(out.empty() ? "" : ", ").append(each.get<std::string>());
  }
  return out;
}

/// "db: side connection to 10.0.0.5:5432, database shop (validated 0.3 s ago)"
std::string catalogue_text(const json& each) {
  std::string out = text_of(each, "target") + ": " + text_of(each, "way");
  if (!each.value("configured", false)) return out;
  if (!each.contains("server")) return out + " (made when a session asks)";
  const std::string where = text_of(each, "server") + ", database " + text_of(each, "database");
  if (const std::string error = each.value("error", ""); !error.empty()) {
    const std::string hint = each.value("hint", "");
    return out + " (side connection to " + where + ": " + error + (hint.empty() ? ")" : "; " + hint + ")");
  }
  if (!each.contains("validated_ms_ago")) return out + " (side connection to " + where + " is being made)";
  return out + fmt::format(" to {} (validated {:.1f} s ago)", where, each.value("validated_ms_ago", 0.0) / 1000);
}

/// "podman: files and socket /run/podman/podman.sock; 2 containers wait for its answer: …"
std::string runtime_text(const json& each) {
  std::string out = text_of(each, "runtime") + ": " + text_of(each, "way");
  if (out.ends_with("socket")) out += " " + text_of(each, "socket");
  if (const uint64_t waiting = each.value("waiting", uint64_t{0}); waiting != 0)
    out += fmt::format("; {} containers wait for an answer of {}", waiting, text_of(each, "socket"));
  const std::string error = each.value("error", "");
  return error.empty() ? out : out + ": " + error;
}

/// "proven until 2026-11-24T15:00:00Z", "pending", "refused"; "-": policy asks for none.
std::string token_text(const json& workload) {
  const json token = workload.value("token", json());
  if (!token.is_object()) return "-";
  const std::string until = text_of(token, "until");
  return text_of(token, "state") + (until == "-" ? "" : " until " + until);
}

/// Of all workloads of an agent: how many stand how, and when the first proof ends. "proven until T", "2 proven until
/// T, 1 refused", "-".
std::string tokens_text(const json& agent) {
  std::map<std::string, std::pair<size_t, std::string>> by_state;
  size_t asked = 0;
  for (const json& workload : agent.value("workloads", json::array())) {
    const json token = workload.value("token", json());
    if (!token.is_object()) continue;
    ++asked;
    auto& [count, until] = by_state[text_of(token, "state")];
    ++count;
    const std::string own = text_of(token, "until");
    if (own != "-" && (until.empty() || own < until)) until = own;
  }
  std::string out;
  for (const auto& [state, of] : by_state)
    out += fmt::format("{}{}{}{}", out.empty() ? "" : ", ", asked == 1 ? "" : fmt::format("{} ", of.first), state,
                       of.second.empty() ? "" : " until " + of.second);
  return out.empty() ? "-" : out;
}

void print_status(const json& status) {
  auto line = [](std::string_view name, const std::string& value) { print(fmt::format("{:<10}{}\n", name, value)); };
  line("version", text_of(status, "version"));
  line("daemon", "pid " + text_of(status, "pid") + ", since " + text_of(status, "started"));
  line("level", text_of(status, "level") + "; open: " + list_text(status, "open"));
  const json policy = status.value("policy", json::object());
  line("policy", text_of(policy, "directory") +
                     (policy.value("loaded", false)
                          ? ", epoch " + text_of(policy, "epoch") + " of " + text_of(policy, "loaded_at")
                          : ", not loaded: agents are refused"));
  if (const std::string error = text_of(policy, "error"); error != "-") line("", "last reload failed: " + error);
  line("workloads", text_of(status, "workloads"));
  line("flows", text_of(status, "flows"));
  std::string label = "runtimes";
  for (const json& each : status.value("runtimes", json::array())) line(std::exchange(label, ""), runtime_text(each));
  label = "catalogue";
  for (const json& each : status.value("catalogues", json::array()))
    line(std::exchange(label, ""), catalogue_text(each));
  line("records", text_of(status, "records"));
  if (const std::string error = text_of(status, "record_error"); error != "-")
    line("", "cannot be written, agents are refused: " + error);
}

}  // namespace

int run_status(const Common& common) {
  const auto status = control::Client(common.socket).get("/v1/status");
  if (!status) {
    print_error(status.error());
    return kFound;
  }
  if (common.json) {
    print_json(*status);
  } else {
    print_status(*status);
  }
  const json policy = status->value("policy", json::object());
  const bool well = text_of(policy, "error") == "-" && text_of(*status, "record_error") == "-";
  return policy.value("loaded", false) && well ? kDone : kFound;
}

int run_agents(const Common& common) {
  const auto agents = control::Client(common.socket).get("/v1/agents");
  if (!agents) {
    print_error(agents.error());
    return kFound;
  }
  if (common.json) {
    print_json(*agents);
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const json& agent : *agents) {
    const auto workloads = agent.find("workloads");
    rows.push_back({text_of(agent, "name"), text_of(agent, "owner"), text_of(agent, "min_level"),
                    workloads == agent.end() ? "-" : std::to_string(workloads->size()), tokens_text(agent),
                    text_of(agent, "flows"), text_of(agent, "last_seen")});
  }
  print_table({"AGENT", "OWNER", "MIN LEVEL", "WORKLOADS", "TOKEN", "FLOWS", "LAST SEEN"}, rows);
  return kDone;
}

int run_agent_show(const Common& common, const std::string& name) {
  const auto agent = control::Client(common.socket).get("/v1/agents/" + name);
  if (!agent) {
    print_error(agent.error());
    return kFound;
  }
  if (common.json) {
    print_json(*agent);
    return kDone;
  }
  auto line = [](std::string_view what, const std::string& value) { print(fmt::format("{:<10}{}\n", what, value)); };
  line("agent", text_of(*agent, "name") + "  of " + text_of(*agent, "owner"));
  line("flows", text_of(*agent, "flows") + ", last seen " + text_of(*agent, "last_seen"));
  bool refused = false;
  for (const json& workload : agent->value("workloads", json::array())) {
    line("workload", text_of(workload, "workload") + "  " + text_of(workload, "cgroup"));
    const std::string refusal = workload.value("refusal", "");
    if (!refusal.empty()) line("", "refused: " + refusal);
    const json token = workload.value("token", json());
    const bool token_refused = token.is_object() && text_of(token, "state") == "refused";
    if (token.is_object()) line("", "token " + token_text(workload));
    if (token_refused) line("", text_of(token, "why"));
    if (token.is_object() && token.contains("subject"))
      line("", fmt::format("{}/{}", text_of(token, "issuer"), text_of(token, "subject")));
    refused |= !refusal.empty() || token_refused;
  }
  for (const json& near : agent->value("near", json::array())) {
    line("not its", text_of(near, "workload") + "  " + text_of(near, "cgroup"));
    for (const json& each : near.value("mismatches", json::array()))
      line("",
           fmt::format("{}: {}; wanted {}", text_of(each, "fact"), text_of(each, "found"), text_of(each, "wanted")));
  }
  return refused ? kFound : kDone;
}

}  // namespace sallyport::cli
