// SPDX-License-Identifier: Apache-2.0
#include "cli/session_json.h"

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "sallyport/base/clock.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;
using namespace sallyport::model;

template <class T>
void take(const json& object, const char* key, T& into) {
  if (!object.is_object()) return;
  const auto found = object.find(key);
  if (found == object.end()) return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) into = found->get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) into = found->get<bool>();
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    if (!found->is_array()) return;
    for (const json& each : *found) {
      if (each.is_string()) into.push_back(each.get<std::string>());
    }
  } else {
    if (found->is_number_integer()) into = found->get<T>();
  }
}

const json& member(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

/// Its elements, none when it is no array.
const json& list(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const json& value = member(object, key);
  return value.is_array() ? value : kEmpty;
}

/// The inverse of format_time(); 0 for anything else.
int64_t time_of(const json& object, const char* key) {
  std::string text;
  take(object, key, text);
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return 0;
  int64_t millis = 0;
  if (*rest == '.') std::from_chars(rest + 1, text.c_str() + text.size(), millis);
  return ::timegm(&parts) * kNanosPerSecond + millis * kNanosPerMilli;
}

/// The member of an enum that prints as the text says.
template <class E>
void take_enum(const json& object, const char* key, E last, E& into) {
  std::string text;
  take(object, key, text);
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (to_string(static_cast<E>(i)) == text) into = static_cast<E>(i);
  }
}

Endpoint endpoint_of(const json& object, const char* key) {
  std::string text;
  take(object, key, text);
  Endpoint endpoint;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return endpoint;
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (auto address = IpAddress::parse(host)) endpoint.address = *address;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), endpoint.port);
  return endpoint;
}

SessionOpened opened_of(const json& value) {
  SessionOpened opened;
  Principal& principal = opened.principal;
  take(value, "agent", principal.agent);
  take(value, "workload", principal.workload);
  take(value, "cgroup", principal.cgroup_path);
  const json& process = member(value, "process");
  take(process, "pid", principal.process.pid);
  take(process, "uid", principal.process.uid);
  take(process, "gid", principal.process.gid);
  take(process, "start_ticks", principal.process.start_ticks);
  take(process, "command", principal.process.command);
  take(process, "executable", principal.process.executable);
  take(process, "executable_device", principal.process.executable_device);
  take(process, "executable_inode", principal.process.executable_inode);
  take(process, "executable_doubt", principal.process.executable_doubt);
  take(process, "sha256", principal.process.sha256);
  take(process, "sha256_missing", principal.process.sha256_missing);
  take(process, "arguments", principal.process.arguments);
  take(process, "directory", principal.process.directory);
  take(process, "unknown", principal.process.unknown);
  for (const json& parent : member(process, "parents")) {
    Ancestor& out = principal.process.parents.emplace_back();
    take(parent, "pid", out.pid);
    take(parent, "command", out.command);
  }
  take(value, "issuer", principal.token.issuer);
  take(value, "subject", principal.token.subject);
  opened.source = endpoint_of(value, "source");
  opened.destination = endpoint_of(value, "destination");
  take(value, "target", opened.target);
  take(value, "protocol", opened.protocol);
  take(value, "node", opened.node);
  take(value, "flow", opened.flow);
  return opened;
}

Effect effect_of(const json& value) {
  Effect effect;
  take(value, "class", effect.statement_class);
  take_enum(value, "kind", ObjectKind::unknown, effect.kind);
  take(value, "object", effect.object);
  take_enum(value, "access", Access::execute, effect.access);
  take(value, "columns", effect.columns);
  effect.all_columns = effect.columns == std::vector<std::string>{"*"};
  if (effect.all_columns) effect.columns.clear();
  take(value, "because", effect.because);
  return effect;
}

RowsReturned rows_of(const json& value) {
  RowsReturned returned;
  take(value, "columns", returned.columns);
  for (const json& row : list(value, "rows")) {
    auto& cells = returned.rows.emplace_back();
    for (const json& cell : row)
      cells.push_back(cell.is_string() ? std::optional(cell.get<std::string>()) : std::nullopt);
  }
  return returned;
}

OperationEnded ended_of(const json& value) {
  OperationEnded ended;
  take(value, "duration_ns", ended.duration_ns);
  take(value, "rows", ended.rows);
  take(value, "bytes_to_agent", ended.bytes_to_agent);
  take(value, "bytes_to_target", ended.bytes_to_target);
  take(value, "masked_values", ended.masked_values);
  take(value, "tag", ended.tag);
  take(member(value, "error"), "sqlstate", ended.sqlstate);
  take(member(value, "error"), "message", ended.error);
  return ended;
}

record::RecordedOperation operation_of(const json& value) {
  record::RecordedOperation operation;
  OperationDecided& decided = operation.decided;
  take(value, "id", decided.id);
  take(value, "parent", decided.parent);
  take(value, "kind", decided.kind);
  operation.decided_wall_ns = time_of(value, "at");
  take_enum(value, "decision", Outcome::deny, decided.outcome);
  take(value, "statement", decided.statement);
  take(value, "shape", decided.shape);
  take(value, "parameters", decided.parameters);
  take(value, "masks", decided.masks);
  const json& principal = member(value, "principal");
  take(principal, "agent", decided.agent);
  take(principal, "issuer", decided.issuer);
  take(principal, "subject", decided.subject);
  for (const json& each : list(value, "causes")) {
    Cause& cause = decided.causes.emplace_back();
    take(each, "rule", cause.rule);
    take(each, "text", cause.text);
    take(each, "where", cause.where);
  }
  for (const json& each : list(value, "effects")) decided.effects.push_back(effect_of(each));
  for (const json& each : list(value, "results")) operation.rows.push_back(rows_of(each));
  if (const json& ended = member(value, "ended"); ended.is_object()) {
    operation.ended = ended_of(ended);
    operation.ended->id = decided.id;
    operation.ended_wall_ns = time_of(ended, "at");
  }
  return operation;
}

}  // namespace

record::SessionSummary summary_from_json(const json& value) {
  record::SessionSummary session;
  take(value, "id", session.id);
  take_enum(value, "state", record::SessionState::interrupted, session.state);
  session.opened_wall_ns = time_of(value, "opened");
  session.closed_wall_ns = time_of(value, "closed");
  session.last_wall_ns = time_of(value, "last");
  take(value, "close_reason", session.close_reason);
  take(value, "operations", session.operations);
  take(value, "denied", session.denied);
  take(value, "errors", session.errors);
  take(value, "rows", session.rows);
  take(value, "bytes_to_agent", session.bytes_to_agent);
  take(value, "bytes_to_target", session.bytes_to_target);
  take(value, "masked_values", session.masked_values);
  take(value, "missing", session.missing);
  if (value.is_object() && value.contains("agent")) session.opened = opened_of(value);
  return session;
}

record::SessionDetail detail_from_json(const json& value) {
  record::SessionDetail session;
  session.summary = summary_from_json(value);
  for (const json& each : list(value, "log")) session.operations.push_back(operation_of(each));
  take(value, "cut", session.cut);
  return session;
}

}  // namespace sallyport::cli
