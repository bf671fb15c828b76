// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "record/terminal.h"
#include "sallyport/base/clock.h"
#include "sallyport/record/render.h"

namespace sallyport::record {
namespace {

using nlohmann::json;
using namespace sallyport::model;

json strings(const std::vector<std::string>& values) {
  json list = json::array();
  for (const std::string& value : values) list.push_back(valid_utf8(value));
  return list;
}

json time(int64_t wall_ns) { return wall_ns == 0 ? json() : json(format_time(wall_ns)); }

json process_json(const Process& process) {
  json parents = json::array();
  for (const Ancestor& parent : process.parents)
    parents.push_back({{"pid", parent.pid}, {"command", valid_utf8(parent.command)}});
  return {{"pid", process.pid},
          {"uid", process.uid},
          {"gid", process.gid},
          {"start_ticks", process.start_ticks},
          {"command", valid_utf8(process.command)},
          {"executable", valid_utf8(process.executable)},
          {"executable_device", process.executable_device},
          {"executable_inode", process.executable_inode},
          {"executable_doubt", valid_utf8(process.executable_doubt)},
          {"sha256", valid_utf8(process.sha256)},
          {"sha256_missing", valid_utf8(process.sha256_missing)},
          {"arguments", strings(process.arguments)},
          {"directory", valid_utf8(process.directory)},
          {"parents", std::move(parents)},
          {"unknown", valid_utf8(process.unknown)}};
}

void add_opened(json& out, const SessionOpened& opened) {
  out["agent"] = valid_utf8(opened.principal.agent);
  out["workload"] = valid_utf8(opened.principal.workload);
  out["cgroup"] = valid_utf8(opened.principal.cgroup_path);
  out["principal"] = valid_utf8(describe(opened.principal));
  out["issuer"] = valid_utf8(opened.principal.token.issuer);
  out["subject"] = valid_utf8(opened.principal.token.subject);
  out["process"] = process_json(opened.principal.process);
  out["source"] = opened.source.to_string();
  out["destination"] = opened.destination.to_string();
  out["target"] = valid_utf8(opened.target);
  out["protocol"] = valid_utf8(opened.protocol);
  out["node"] = valid_utf8(opened.node);
  out["flow"] = opened.flow;
}

json effect_json(const Effect& effect) {
  json out = {{"class", valid_utf8(effect.statement_class)},
              {"kind", to_string(effect.kind)},
              {"object", valid_utf8(effect.object)},
              {"access", to_string(effect.access)},
              {"columns", effect.all_columns ? json::array({"*"}) : strings(effect.columns)}};
  if (!effect.because.empty()) out["because"] = valid_utf8(effect.because);
  return out;
}

json rows_json(const std::vector<RowsReturned>& rows) {
  json list = json::array();
  for (const RowsReturned& returned : rows) {
    json table = json::array();
    for (const auto& row : returned.rows) {
      json cells = json::array();
      for (const auto& value : row) cells.push_back(value ? json(valid_utf8(*value)) : json());
      table.push_back(std::move(cells));
    }
    list.push_back({{"columns", strings(returned.columns)}, {"rows", std::move(table)}});
  }
  return list;
}

json ended_json(const OperationEnded& ended, int64_t wall_ns) {
  json out = {{"at", time(wall_ns)},
              {"duration_ns", ended.duration_ns},
              {"rows", ended.rows},
              {"bytes_to_agent", ended.bytes_to_agent},
              {"bytes_to_target", ended.bytes_to_target},
              {"masked_values", ended.masked_values},
              {"tag", valid_utf8(ended.tag)}};
  if (!ended.sqlstate.empty() || !ended.error.empty())
    out["error"] = {{"sqlstate", valid_utf8(ended.sqlstate)}, {"message", valid_utf8(ended.error)}};
  return out;
}

json operation_json(const RecordedOperation& operation) {
  const OperationDecided& decided = operation.decided;
  json causes = json::array();
  for (const Cause& cause : decided.causes)
    causes.push_back(
        {{"rule", valid_utf8(cause.rule)}, {"text", valid_utf8(cause.text)}, {"where", valid_utf8(cause.where)}});
  json effects = json::array();
  for (const Effect& effect : decided.effects) effects.push_back(effect_json(effect));
  json out = {{"id", decided.id},
              {"parent", decided.parent},
              {"kind", valid_utf8(decided.kind)},
              {"at", time(operation.decided_wall_ns)},
              {"decision", to_string(decided.outcome)},
              {"statement", valid_utf8(decided.statement)},
              {"shape", valid_utf8(decided.shape)},
              {"parameters", strings(decided.parameters)},
              {"causes", std::move(causes)},
              {"effects", std::move(effects)},
              {"masks", strings(decided.masks)},
              {"results", rows_json(operation.rows)}};
  if (!decided.agent.empty())
    out["principal"] = {{"agent", valid_utf8(decided.agent)},
                        {"issuer", valid_utf8(decided.issuer)},
                        {"subject", valid_utf8(decided.subject)}};
  if (operation.ended) out["ended"] = ended_json(*operation.ended, operation.ended_wall_ns);
  return out;
}

}  // namespace

json to_json(const SessionSummary& session) {
  json out = {{"id", session.id},
              {"state", to_string(session.state)},
              {"opened", time(session.opened_wall_ns)},
              {"closed", time(session.closed_wall_ns)},
              {"last", time(session.last_wall_ns)},
              {"operations", session.operations},
              {"denied", session.denied},
              {"errors", session.errors},
              {"rows", session.rows},
              {"bytes_to_agent", session.bytes_to_agent},
              {"bytes_to_target", session.bytes_to_target},
              {"masked_values", session.masked_values},
              {"missing", session.missing}};
  if (!session.close_reason.empty()) out["close_reason"] = valid_utf8(session.close_reason);
  if (session.opened) add_opened(out, *session.opened);
  return out;
}

json to_json(const std::vector<SessionSummary>& sessions) {
  json list = json::array();
  for (const SessionSummary& session : sessions) list.push_back(to_json(session));
  return list;
}

json to_json(const SessionDetail& session) {
  json out = to_json(session.summary);
  json operations = json::array();
  for (const RecordedOperation& operation : session.operations) operations.push_back(operation_json(operation));
  out["log"] = std::move(operations);
  out["cut"] = session.cut;
  return out;
}

}  // namespace sallyport::record
