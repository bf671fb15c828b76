// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_handler.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "sallyport/base/log.h"
#include "sallyport/record/render.h"
#include "sallyport/record/sessions.h"

namespace sallyport::daemon {

using nlohmann::json;

namespace {

/// What is known of a workload, without what is empty.
json facts_json(const model::Workload& workload) {
  const model::CgroupFacts& cgroup = workload.cgroup;
  json out = {{"kind", model::to_string(cgroup.kind)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("pod_uid", cgroup.pod_uid);
  add("qos", cgroup.qos);
  add("id", cgroup.container_id);
  add("runtime", cgroup.runtime);
  add("unit", cgroup.unit);
  add("name", workload.name);
  add("image", workload.image);
  add("namespace", workload.pod_namespace);
  add("pod", workload.pod);
  add("service_account", workload.service_account);
  if (cgroup.user) out["user"] = *cgroup.user;
  if (!cgroup.slices.empty()) out["slices"] = cgroup.slices;
  if (!workload.labels.empty()) out["labels"] = workload.labels;
  return out;
}

/// Null: none is asked for.
json token_json(const flow::Standing& standing) {
  using Is = flow::Standing::Is;
  if (standing.is == Is::pending) return {{"state", "pending"}};
  if (standing.is != Is::proven) return {{"state", "refused"}, {"why", standing.why}};
  if (standing.token.issuer.empty()) return nullptr;
  return {{"state", "proven"},
          {"issuer", standing.token.issuer},
          {"subject", standing.token.subject},
          {"expires", format_time(standing.token.expires_wall_ns)},
          {"until", standing.until_wall_ns == 0 ? json() : json(format_time(standing.until_wall_ns))}};
}

}  // namespace

json ControlHandler::status() {
  json counters = json::object();
  for (const kernel::Counter& counter : kernel_.counters()) counters[counter.name] = counter.value;
  return {{"version", SALLYPORT_VERSION},
          {"pid", getpid()},
          {"started", format_time(started_wall_ns_)},
          {"level", std::string(kernel::to_string(level_.level))},
          {"open", level_.open},
          {"policy", policy()},
          {"workloads", workloads_.size()},
          {"cgroups", recogniser_.size()},
          {"flows", registry_.count()},
          {"identify_us", identify_times()},
          {"runtimes", runtimes()},
          {"catalogues", catalogues()},
          {"records", record_directory_},
          {"issuers", issuers()},
          {"record_error", record_error()},
          {"kernel", std::move(counters)}};
}

/// Docker and podman, where there is something of them: what says what their containers are.
json ControlHandler::runtimes() const {
  json out = json::array();
  for (const edges::RuntimeStatus& each : recogniser_.runtimes()) {
    const bool any = each.files || each.socket || each.waiting != 0 || !each.trouble.empty();
    if (!any) continue;
    const char* way = each.files && each.socket ? "files and socket"
                      : each.files              ? "files"
                      : each.socket             ? "socket"
                                                : "none";
    out.push_back({{"runtime", each.runtime},
                   {"way", way},
                   {"socket", each.socket_path},
                   {"waiting", each.waiting},
                   {"error", each.trouble}});
  }
  return out;
}

/// From accept to a known principal, of the last flows.
json ControlHandler::identify_times() const {
  const std::vector<uint32_t> sorted = identify_times_.sorted_ns();
  const auto at = [&](double share) {
    return sorted.empty() ? 0.0 : sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))] / 1'000.0;
  };
  return {{"flows", identify_times_.count()}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
}

json ControlHandler::issuers() {
  json out = json::array();
  for (const edges::IssuerStatus& issuer : tokens_.issuers())
    out.push_back({{"issuer", issuer.name},
                   {"keys", issuer.keys},
                   {"fetched", issuer.fetched_wall_ns == 0 ? "" : format_time(issuer.fetched_wall_ns)},
                   {"error", issuer.trouble}});
  return out;
}

/// What a worker met when it wrote; before any has written again, whether there is a directory at all.
std::string ControlHandler::record_error() const {
  std::string trouble = record_health_.trouble();
  if (trouble.empty() && access(record_directory_.c_str(), W_OK | X_OK) != 0)
    trouble = fail_errno(record_directory_).error().what;
  return trouble;
}

/// For each Target, who says what names mean there: a side connection, or each session's own.
json ControlHandler::catalogues() {
  json out = json::array();
  const auto facts = policy_.facts();
  if (!facts) return out;
  const int64_t now_ns = read_clocks().monotonic_ns;
  const auto known = catalogues_.status();
  for (const policy::Target& target : facts->policy->targets()) {
    const bool configured = !target.catalogue_credential_file.empty();
    size_t found = 0;
    for (const node::CatalogueStatus& each : known) {
      // Those of an older policy stay until they have been idle for a while.
      if (!configured || each.id.target != target.name || each.id.credential_file != target.catalogue_credential_file ||
          each.id.tls_mode != target.tls_mode || each.id.ca_file != target.tls_ca_file)
        continue;
      ++found;
      const bool in_use = each.validated_ns != 0 && each.trouble.what.empty();
      out.push_back({{"target", target.name},
                     {"configured", true},
                     {"way", in_use ? "side connection" : "agent's connection"},
                     {"server", each.id.server.to_string()},
                     {"database", each.id.database},
                     {"names", each.names},
                     {"error", each.trouble.what},
                     {"hint", each.trouble.hint}});
      if (each.validated_ns != 0) out.back()["validated_ms_ago"] = (now_ns - each.validated_ns) / kNanosPerMilli;
    }
    if (found != 0) continue;
    out.push_back({{"target", target.name},
                   {"configured", configured},
                   {"way", configured ? "side connection" : "agent's connection"}});
  }
  return out;
}

/// A process of an agent's, or of a cgroup that may become one's.
bool ControlHandler::governed(const control::Peer& peer) {
  const std::string& path = peer.cgroup_path;
  if (path == fmt::format("/{}", control::kSlice) || path.starts_with(fmt::format("/{}/", control::kSlice)) ||
      workloads_.holds(path) || recogniser_.is_governed(path))
    return true;
  model::Workload workload;
  workload.cgroup = identity::read_cgroup_path(path);
  const auto facts = policy_.facts();
  return facts && !facts->policy->match_workload(workload).empty();
}

json ControlHandler::agent_json(const std::string& name, const policy::Agent* agent) const {
  json workloads = json::array();
  for (const Workload& workload : workloads_.list())
    if (const auto standing = tokens_.standing(workload.cgroup_id, name))
      workloads.push_back({{"workload", workload.recognised_as},
                           {"cgroup", workload.cgroup_path},
                           {"refusal", workload.refusal},
                           {"token", token_json(*standing)},
                           {"facts", facts_json(workload.facts)}});
  const int64_t seen_ns = registry_.last_seen(name);
  return {{"name", name},
          {"owner", agent ? agent->owner : ""},
          {"in_policy", agent != nullptr},
          {"min_level", agent ? std::string(policy::to_string(agent->min_level)) : ""},
          {"workloads", std::move(workloads)},
          {"flows", registry_.count_of(name)},
          {"last_seen", seen_ns == 0 ? json() : json(format_time(seen_ns))}};
}

json ControlHandler::agents() {
  json out = json::array();
  const auto facts = policy_.facts();
  std::set<std::string> listed;
  auto add = [&](const std::string& name, const policy::Agent* agent) {
    if (!name.empty() && listed.insert(name).second) out.push_back(agent_json(name, agent));
  };
  if (facts)
    for (const policy::Agent& agent : facts->policy->agents()) add(agent.name, &agent);
  for (const Workload& workload : workloads_.list())
    for (const std::string& name : workload.agents) add(name, nullptr);
  return out;
}

/// With what keeps workloads that are nobody's from being this agent's: those of the right kind, the nearest first.
Result<json> ControlHandler::agent(const std::string& name) {
  constexpr size_t kLookedThrough = 10'000, kShown = 20;
  const auto facts = policy_.facts();
  const policy::Agent* agent = facts ? facts->policy->find_agent(name) : nullptr;
  if (!agent) return fail(fmt::format("no Agent is named `{}`", printable(name)), "see `sallyport agents`");
  json out = agent_json(name, agent);
  std::vector<std::pair<size_t, json>> near;
  for (const model::Workload& workload : recogniser_.nobodys(kLookedThrough)) {
    std::map<const policy::WorkloadSelector*, json> by_selector;
    for (const policy::WorkloadMismatch& each : facts->policy->mismatches(*agent, workload))
      by_selector[each.selector].push_back({{"fact", each.fact}, {"wanted", each.wanted}, {"found", each.found}});
    const json* best = nullptr;
    for (const auto& [selector, list] : by_selector)
      if (list[0]["fact"] != "kind" && list[0]["fact"] != "cgroup" && (!best || list.size() < best->size()))
        best = &list;
    if (best)
      near.emplace_back(
          best->size(),
          json{{"workload", model::name_of(workload)}, {"cgroup", workload.cgroup.path}, {"mismatches", *best}});
  }
  std::ranges::stable_sort(near, {}, [](const auto& each) { return each.first; });
  out["near"] = json::array();
  for (size_t i = 0; i < std::min(near.size(), kShown); ++i) out["near"].push_back(std::move(near[i].second));
  return out;
}

json ControlHandler::flows() {
  json out = json::array();
  for (const node::LiveFlow& flow : registry_.list())
    out.push_back({{"flow", flow.flow},
                   {"session", flow.session},
                   {"agent", flow.principal.agent},
                   {"principal", model::describe(flow.principal)},
                   {"workload", flow.principal.workload},
                   {"pid", flow.principal.process.pid},
                   {"source", flow.source.to_string()},
                   {"destination", flow.destination.to_string()},
                   {"target", flow.target},
                   {"protocol", flow.protocol},
                   {"opened", format_time(flow.opened_wall_ns)}});
  return out;
}

json ControlHandler::policy() {
  const auto facts = policy_.facts();
  json out = {{"directory", policy_.directory()}, {"loaded", facts != nullptr}, {"error", policy_.last_error()}};
  if (!facts) return out;
  out["epoch"] = facts->epoch;
  out["loaded_at"] = format_time(policy_.loaded_wall_ns());
  out["agents"] = facts->policy->agents().size();
  out["targets"] = facts->policy->targets().size();
  return out;
}

Result<json> ControlHandler::reload_policy() {
  if (auto done = policy_.reload(); !done) return std::unexpected(done.error());
  return policy();
}

json ControlHandler::doctor() {
  json vectors = json::array();
  for (const kernel::VectorResult& vector : level_.vectors)
    vectors.push_back({{"name", vector.name}, {"closed", vector.closed}, {"detail", vector.detail}});
  return {{"level", std::string(kernel::to_string(level_.level))},
          {"vectors", std::move(vectors)},
          {"runtimes", runtimes()},
          {"policy", policy()}};
}

Result<json> ControlHandler::sessions(const control::SessionQuery& query) {
  auto found =
      record::list_sessions(record_directory_, {.agent = query.agent, .target = query.target, .newest = query.limit});
  if (!found) return std::unexpected(found.error());
  return record::to_json(*found);
}

/// The whole session as `sessions show -o json` prints it; `from` and `limit` choose among its operations.
Result<json> ControlHandler::session(const std::string& id, uint64_t from, uint32_t limit) {
  auto found = record::load_session(record_directory_, id);
  if (!found) return std::unexpected(found.error());
  auto& operations = found->operations;
  operations.erase(operations.begin(),
                   operations.begin() + static_cast<long>(std::min<uint64_t>(from, operations.size())));
  if (operations.size() > limit) operations.resize(limit);
  return record::to_json(*found);
}

}  // namespace sallyport::daemon
