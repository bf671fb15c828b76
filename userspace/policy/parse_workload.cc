// SPDX-License-Identifier: Apache-2.0
// `workload` of an Agent: what `exec` starts, and what the kernel, the runtime or a token say of a cgroup.
#include <fmt/core.h>

#include <algorithm>

#include "keys.h"
#include "parse.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

using model::WorkloadKind;

ExecWorkload parse_exec(const Node& node, Reader& reader) {
  ExecWorkload out;
  out.where = reader.place(node);
  if (node.kind == Node::Kind::scalar) {
    out.name = reader.name(node, "exec");
    return out;
  }
  if (!reader.is_map(node, "exec", keys::kExec)) return out;
  if (const Node* name = reader.get(node, "name", "exec", true)) out.name = reader.name(*name, "exec.name");
  if (const Node* users = reader.get(node, "users", "exec")) out.users = reader.texts(*users, "exec.users");
  return out;
}

std::string_view source_of(std::string_view fact) {
  if (fact == "serviceAccount") return kFromToken;
  constexpr std::string_view kByRuntime[] = {"namespace", "pod", "name", "image"};
  const bool runtime = std::ranges::find(kByRuntime, fact) != std::end(kByRuntime) || fact.starts_with("labels.");
  return runtime ? kFromRuntime : kFromCgroup;
}

/// A pattern, or a list of which any may fit.
void parse_fact(const Node& node, std::string name, WorkloadSelector& out, Reader& reader) {
  WorkloadFact fact{std::move(name), {}, ""};
  fact.source = source_of(fact.name);
  const auto take = [&](const Node& item) {
    const std::string text = reader.text(item, fact.name);
    if (text.empty()) return;
    if (auto pattern = parse_fact_pattern(fact.name, text); !pattern) {
      reader.wrong(item, fmt::format("{}: {}", fact.name, pattern.error().what), pattern.error().hint);
    } else {
      fact.any_of.push_back(text);
    }
  };
  if (node.kind == Node::Kind::list) {
    const auto items = reader.list(node, fact.name);
    if (items.size() > limits::kPolicyWorkloadFactsMax)
      reader.wrong(node, fmt::format("{} has more than {} patterns", fact.name, limits::kPolicyWorkloadFactsMax));
    for (const Node& item : items) take(item);
  } else {
    take(node);
  }
  if (!fact.any_of.empty()) out.facts.push_back(std::move(fact));
}

void parse_labels(const Node& node, WorkloadSelector& out, Reader& reader) {
  if (node.kind != Node::Kind::map || node.entries.empty()) {
    reader.wrong(node, fmt::format("labels is {}, not a map", node.in_words()), "write {app: web}");
    return;
  }
  for (const Entry& entry : node.entries) parse_fact(entry.value, "labels." + entry.key.text, out, reader);
}

WorkloadSelector parse_selector(const Node& node, WorkloadKind kind, Reader::Words facts, Reader& reader) {
  WorkloadSelector out{kind, {}, reader.place(node)};
  const std::string_view what = model::to_string(kind);
  if (!reader.is_map(node, what, facts)) return out;
  if (node.entries.empty()) reader.wrong(node, fmt::format("{} says nothing", what), "it would be every one there is");
  for (std::string_view fact : facts) {
    const Node* value = reader.get(node, fact, what);
    if (!value) continue;
    if (fact == "labels") {
      parse_labels(*value, out, reader);
    } else {
      parse_fact(*value, std::string(fact), out, reader);
    }
  }
  return out;
}

WorkloadSelector parse_cgroup(const Node& node, Reader& reader) {
  WorkloadSelector out{WorkloadKind::other, {}, reader.place(node)};
  const std::string path = reader.absolute_path(node, "cgroup");
  if (path.empty()) return out;
  if (auto pattern = parse_path_pattern(path); !pattern) {
    reader.wrong(node, fmt::format("cgroup cannot be `{}`", printable(path)),
                 "write a path below the cgroup2 root, as in /bots.slice/billing.service or /bots/*");
  } else {
    out.facts.push_back({"cgroup", {path}, kFromCgroup});
  }
  return out;
}

}  // namespace

void parse_workload(const Node& node, Agent& agent, Reader& reader) {
  for (const Node& item : reader.list(node, "workload")) {
    if (!reader.is_map(item, "a workload", keys::kWorkload)) continue;
    if (item.entries.size() != 1) {
      reader.wrong(item, "a workload has exactly one key", "write - exec: NAME or - docker: {name: NAME}");
      continue;
    }
    const Node& value = item.entries[0].value;
    WorkloadSelector selector;
    if (item.find("exec")) agent.exec.push_back(parse_exec(value, reader));
    if (item.find("cgroup")) selector = parse_cgroup(value, reader);
    if (item.find("kubernetes")) selector = parse_selector(value, WorkloadKind::kubernetes, keys::kKubernetes, reader);
    if (item.find("docker")) selector = parse_selector(value, WorkloadKind::docker, keys::kContainer, reader);
    if (item.find("podman")) selector = parse_selector(value, WorkloadKind::podman, keys::kContainer, reader);
    if (item.find("systemd")) selector = parse_selector(value, WorkloadKind::systemd, keys::kSystemd, reader);
    if (!selector.facts.empty()) agent.workloads.push_back(std::move(selector));
  }
}

}  // namespace sallyport::policy
