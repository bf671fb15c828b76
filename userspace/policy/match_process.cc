// SPDX-License-Identifier: Apache-2.0
#include "match_process.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "yaml.h"

namespace sallyport::policy {
namespace {

/// uid_t's -1, which is nobody's id: it is not stated (`policy test`, `policy explain`).
constexpr uint32_t kNoId = ~0u;

/// A number or, where a test or `explain` states it, a name. Without either nobody has looked at it.
bool is_there(const model::Process& process) { return process.pid != 0 || !process.command.empty(); }

/// Of the whole: what /proc says counts only where it stands.
bool is_known(const model::Process& process) { return is_there(process) && process.unknown.empty(); }

Fit fit_exe(const ProcessRule& rule, const model::Process& process) {
  if (rule.exe.empty()) return Fit::yes;
  if (!process.executable_doubt.empty() || process.executable.empty()) return Fit::unknown;
  Part parts[limits::kPolicySegmentsMax];
  const auto name = std::span(parts).first(split_path(process.executable, parts));
  const bool fits =
      !name.empty() && std::ranges::any_of(rule.exe, [&](const Pattern& pattern) { return pattern.matches(name); });
  return fits ? Fit::yes : Fit::no;
}

Fit fit_sha256(const ProcessRule& rule, const model::Process& process) {
  if (rule.sha256.empty()) return Fit::yes;
  if (process.sha256.empty()) return Fit::unknown;
  return std::ranges::find(rule.sha256, process.sha256) == rule.sha256.end() ? Fit::no : Fit::yes;
}

/// The kernel's own word, true of a process that has gone too.
Fit fit_id(const std::vector<uint32_t>& ids, uint32_t id, const model::Process& process) {
  if (ids.empty()) return Fit::yes;
  if (!is_there(process) || id == kNoId) return Fit::unknown;
  return std::ranges::find(ids, id) == ids.end() ? Fit::no : Fit::yes;
}

std::string texts(const std::vector<Pattern>& patterns) {
  std::vector<std::string_view> out;
  for (const Pattern& pattern : patterns) out.push_back(pattern.text);
  return fmt::format("{}", fmt::join(out, " or "));
}

std::string unknown_process(const model::Process& process) {
  return fmt::format("nobody can say which process it is ({})",
                     process.unknown.empty() ? "none is stated" : printable(process.unknown));
}

}  // namespace

Fit fit(const ProcessRule& rule, const model::Process& process) {
  const Fit whole = is_known(process) ? Fit::yes : Fit::unknown;
  return std::min({whole, fit_exe(rule, process), fit_sha256(rule, process), fit_id(rule.uid, process.uid, process),
                   fit_id(rule.gid, process.gid, process)});
}

std::string why_not(const ProcessRule& rule, const model::Process& process) {
  // What surely does not fit says more than what nobody knows.
  const Fit overall = fit(rule, process);
  if (overall == Fit::yes) return {};
  if (overall == Fit::unknown && !is_known(process)) return unknown_process(process);
  if (fit_exe(rule, process) == overall) {
    if (overall == Fit::no)
      return fmt::format("its executable is {}, not {}", printable(process.executable), texts(rule.exe));
    return process.executable.empty() ? "its executable is not known"
                                      : fmt::format("its path proves nothing: {}", printable(process.executable_doubt));
  }
  if (fit_sha256(rule, process) == overall) {
    if (overall == Fit::no) return fmt::format("the SHA-256 of its executable is {}", printable(process.sha256));
    return fmt::format("the SHA-256 of its executable is not known: {}",
                       process.sha256_missing.empty() ? "it is not stated" : printable(process.sha256_missing));
  }
  const bool by_uid = fit_id(rule.uid, process.uid, process) == overall;
  const std::string_view word = by_uid ? "uid" : "gid";
  if (overall == Fit::unknown) return fmt::format("its {} is not stated", word);
  return fmt::format("its {} is {}, not {}", word, by_uid ? process.uid : process.gid,
                     fmt::join(by_uid ? rule.uid : rule.gid, " or "));
}

std::string process_hint(const ProcessRule& rule, const model::Process& process) {
  if (!is_known(process)) return {};
  std::string out;
  const auto add = [&](std::string_view key, const std::string& value) {
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", key, value);
  };
  if (!rule.exe.empty()) {
    if (fit_exe(rule, process) == Fit::unknown || process.executable.find('*') != std::string::npos) return {};
    add("exe", flow_scalar(process.executable));
  }
  if (!rule.sha256.empty()) {
    if (process.sha256.empty()) return {};
    // In quotes: digits alone would be a number.
    add("sha256", fmt::format("\"{}\"", process.sha256));
  }
  if (!rule.uid.empty()) add("uid", std::to_string(process.uid));
  if (!rule.gid.empty()) add("gid", std::to_string(process.gid));
  return fmt::format("{{{}}}", out);
}

}  // namespace sallyport::policy
