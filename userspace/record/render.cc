// SPDX-License-Identifier: Apache-2.0
#include "sallyport/record/render.h"

#include <fmt/core.h>

#include <algorithm>

#include "record/terminal.h"
#include "sallyport/base/clock.h"

namespace sallyport::record {
namespace {

using namespace sallyport::model;

constexpr size_t kCellColumnsMax = 60;  // a cell of a replayed row is padded to no more
constexpr size_t kNameBytesMax = 40;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : one_line(text, kNameBytesMax); }

std::string plural(uint64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string lasted(const SessionSummary& session) {
  return format_duration(std::max<int64_t>(0, session.last_wall_ns - session.opened_wall_ns));
}

/// "12:00:01.123" of a time whose day is known from the head.
std::string clock_of(int64_t wall_ns) { return format_time(wall_ns).substr(11, 12); }

std::string line(std::string_view name, std::string_view value) { return fmt::format("{:<11}{}\n", name, value); }

std::string columns_text(const Effect& effect) {
  if (effect.all_columns) return " (*)";
  std::string text;
  for (const std::string& column : effect.columns) text.append(text.empty() ? " (" : ", ").append(one_line(column));
  return text.empty() ? text : text + ")";
}

/// "pid 12 uid 1000 gid 1000  /usr/bin/psql  sha256 ab12…  in /home/bot", or why nobody can say.
std::string process_text(const Process& process) {
  std::string out = fmt::format("pid {} uid {} gid {}  ", process.pid, process.uid, process.gid);
  if (!process.unknown.empty()) return out + "unknown: " + one_line(process.unknown);
  out += one_line(process.executable.empty() ? process.command : process.executable);
  if (!process.executable_doubt.empty()) out += " (" + one_line(process.executable_doubt) + ")";
  if (!process.sha256.empty()) out += "  sha256 " + one_line(process.sha256);
  if (!process.sha256_missing.empty()) out += "  no sha256: " + one_line(process.sha256_missing);
  if (!process.directory.empty()) out += "  in " + one_line(process.directory);
  return out;
}

std::string arguments_text(const Process& process) {
  std::string out;
  for (const std::string& argument : process.arguments) out.append(out.empty() ? "" : " ").append(one_line(argument));
  return out;
}

std::string parents_text(const Process& process) {
  std::string out = "started by ";
  for (const Ancestor& parent : process.parents)
    out += fmt::format("{}{}[{}]", &parent == &process.parents.front() ? "" : ", by ", one_line(parent.command),
                       parent.pid);
  return out;
}

std::string render_head(const SessionSummary& session) {
  std::string state(to_string(session.state));
  if (!session.close_reason.empty()) state += ": " + one_line(session.close_reason);
  std::string out = line("session", session.id) + line("state", state);
  if (session.opened) {
    const SessionOpened& opened = *session.opened;
    const Process& process = opened.principal.process;
    out += line("agent", one_line(describe(opened.principal)));
    out += line("process", process_text(process));
    if (!process.arguments.empty()) out += line("", arguments_text(process));
    if (!process.parents.empty()) out += line("", parents_text(process));
    out += line("cgroup", one_line(opened.principal.cgroup_path));
    out += line("target", or_dash(opened.target) + "  " + one_line(opened.protocol));
    out += line("where", fmt::format("{} -> {} on {}", opened.source.to_string(), opened.destination.to_string(),
                                     or_dash(opened.node)));
  }
  out += line("opened", format_time(session.opened_wall_ns));
  if (session.closed_wall_ns != 0) out += line("closed", format_time(session.closed_wall_ns));
  out += line("lasted", lasted(session));
  out += line("totals",
              fmt::format("{}, {} denied, {}, {}, {} to the agent, {} to the target, {} masked",
                          plural(session.operations, "operation"), session.denied, plural(session.errors, "error"),
                          plural(session.rows, "row"), format_bytes(session.bytes_to_agent),
                          format_bytes(session.bytes_to_target), plural(session.masked_values, "value")));
  if (session.missing != 0) out += line("missing", plural(session.missing, "entry") + " lost or erased");
  return out;
}

std::string outcome_line(const RecordedOperation& operation) {
  std::string out = fmt::format("#{:<4} {} {:<8} {:<5}", operation.decided.id, clock_of(operation.decided_wall_ns),
                                operation.decided.kind.empty() ? "(lost)" : one_line(operation.decided.kind),
                                operation.decided.kind.empty() ? "" : to_string(operation.decided.outcome));
  if (!operation.ended) return out + "\n";
  const OperationEnded& ended = *operation.ended;
  out += fmt::format("  {}, {}, {} to the agent", format_duration(ended.duration_ns), plural(ended.rows, "row"),
                     format_bytes(ended.bytes_to_agent));
  if (ended.masked_values != 0) out += fmt::format(", {} masked", plural(ended.masked_values, "value"));
  if (!ended.tag.empty()) out.append("  ").append(one_line(ended.tag));
  return out + "\n";
}

/// Whose operation it is, where that is not the session's own agent.
std::string who(const OperationDecided& decided) {
  if (decided.issuer.empty()) return one_line(decided.agent);
  return fmt::format("{} ({}/{})", one_line(decided.agent), one_line(decided.issuer), one_line(decided.subject));
}

std::string render_operation(const RecordedOperation& operation) {
  const OperationDecided& decided = operation.decided;
  std::string out = outcome_line(operation);
  out += indented(decided.statement, "      ");
  for (size_t i = 0; i < decided.parameters.size(); ++i)
    out += fmt::format("      ${} = {}\n", i + 1, one_line(decided.parameters[i]));
  if (!decided.agent.empty()) out += fmt::format("      agent   {}\n", who(decided));
  for (const Cause& cause : decided.causes) {
    out += fmt::format("      cause   {}: {}", one_line(cause.rule), one_line(cause.text));
    out += cause.where.empty() ? "\n" : fmt::format("  {}\n", one_line(cause.where));
  }
  for (const Effect& effect : decided.effects) {
    out += fmt::format("      effect  {} {} {} {}{}", one_line(effect.statement_class), to_string(effect.access),
                       to_string(effect.kind), one_line(effect.object), columns_text(effect));
    out += effect.because.empty() ? "\n" : fmt::format("  because {}\n", one_line(effect.because));
  }
  for (const std::string& mask : decided.masks) out += fmt::format("      mask    {}\n", one_line(mask));
  if (operation.ended && !operation.ended->sqlstate.empty()) {
    out += fmt::format("      error   {} {}\n", one_line(operation.ended->sqlstate), one_line(operation.ended->error));
  }
  return out;
}

std::string render_rows(const RowsReturned& returned) {
  std::vector<std::vector<std::string>> table;
  if (!returned.columns.empty()) {
    auto& head = table.emplace_back();
    for (const std::string& column : returned.columns) head.push_back(one_line(column));
  }
  for (const auto& row : returned.rows) {
    auto& cells = table.emplace_back();
    for (const auto& value : row) cells.push_back(value ? one_line(*value) : "");
  }
  return indented(format_table(table, " | ", kCellColumnsMax), "  ");
}

std::string render_end(const RecordedOperation& operation) {
  const OperationEnded& ended = *operation.ended;
  if (!ended.sqlstate.empty()) return fmt::format("  ERROR {} {}\n", one_line(ended.sqlstate), one_line(ended.error));
  uint64_t shown = 0;
  for (const RowsReturned& rows : operation.rows) shown += rows.rows.size();
  // Without tag and rows it is no statement that came to its end: a connection, a login, something cut off.
  std::string out = !ended.tag.empty() ? one_line(ended.tag) : ended.rows != 0 ? plural(ended.rows, "row") : "";
  if (!ended.error.empty())
    out += fmt::format("{}ended after {}: {}", out.empty() ? "" : ", ", format_duration(ended.duration_ns),
                       one_line(ended.error));
  if (out.empty()) return operation.decided.outcome == Outcome::deny ? "" : "  done\n";
  out.insert(0, "  ");
  if (shown < ended.rows) out += fmt::format("  ({} of {} in the record)", plural(shown, "row"), ended.rows);
  return out + "\n";
}

/// A step with the time at which it happened.
struct Moment {
  int64_t wall_ns;
  std::string text;
};

Moment decided_moment(const RecordedOperation& operation) {
  const OperationDecided& decided = operation.decided;
  std::string text = clock_of(operation.decided_wall_ns) + (decided.kind == "connect" ? " connect" : " >");
  bool single = decided.statement.find('\n') == std::string::npos;
  if (!decided.agent.empty()) text.append(" ").append(one_line(decided.agent)).append(":");
  text += single ? fmt::format(" {}\n", one_line(decided.statement))
                 : fmt::format("\n{}", indented(decided.statement, "    "));
  for (size_t i = 0; i < decided.parameters.size(); ++i)
    text += fmt::format("    ${} = {}\n", i + 1, one_line(decided.parameters[i]));
  if (decided.outcome != Outcome::allow) {
    text += fmt::format("  {}", to_string(decided.outcome));
    for (const Cause& cause : decided.causes)
      text += fmt::format(": {}, {}", one_line(cause.rule), one_line(cause.text));
    text += "\n";
  }
  return {operation.decided_wall_ns, std::move(text)};
}

}  // namespace

std::string render_list(const std::vector<SessionSummary>& sessions) {
  if (sessions.empty()) return "no sessions\n";
  std::vector<std::vector<std::string>> rows = {
      {"SESSION", "STATE", "OPENED", "LASTED", "TARGET", "OPERATIONS", "DENIED", "ROWS", "PRINCIPAL"}};
  for (const SessionSummary& session : sessions) {
    const SessionOpened opened = session.opened.value_or(SessionOpened{});
    rows.push_back({session.id, std::string(to_string(session.state)),
                    format_time(session.opened_wall_ns).substr(0, 19), lasted(session), or_dash(opened.target),
                    std::to_string(session.operations), std::to_string(session.denied), std::to_string(session.rows),
                    session.opened ? one_line(describe(opened.principal)) : "-"});
  }
  return format_table(rows, "  ");
}

std::string render_show(const SessionDetail& session) {
  std::string out = render_head(session.summary);
  for (const RecordedOperation& operation : session.operations) out.append("\n").append(render_operation(operation));
  if (session.cut) out += "\nthe session is longer than can be shown at once; later operations are left out\n";
  return out;
}

std::vector<ReplayStep> render_replay(const SessionDetail& session) {
  std::vector<Moment> moments;
  for (const RecordedOperation& operation : session.operations) {
    moments.push_back(decided_moment(operation));
    std::string answer;
    for (const RowsReturned& rows : operation.rows) answer += render_rows(rows);
    if (operation.ended) answer += render_end(operation);
    if (!answer.empty())
      moments.push_back({std::max(operation.ended_wall_ns, operation.decided_wall_ns), std::move(answer)});
  }
  std::ranges::stable_sort(moments, {}, &Moment::wall_ns);
  std::vector<ReplayStep> steps;
  const SessionSummary& summary = session.summary;
  steps.push_back({0, render_head(summary) + "\n"});
  int64_t before = summary.opened_wall_ns;
  for (Moment& moment : moments) {
    steps.push_back({std::max<int64_t>(0, moment.wall_ns - before), std::move(moment.text)});
    before = std::max(before, moment.wall_ns);
  }
  if (summary.closed_wall_ns != 0) {
    steps.push_back({std::max<int64_t>(0, summary.closed_wall_ns - before),
                     clock_of(summary.closed_wall_ns) + " closed: " + one_line(summary.close_reason) + "\n"});
  }
  return steps;
}

}  // namespace sallyport::record
