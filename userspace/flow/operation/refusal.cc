// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "flow/operation/layer.h"

namespace sallyport::flow {

namespace {

/// "rule NAME (file:line:column): what it says"; "no rule (…)" stays as it is.
std::string describe(const model::Cause& cause, bool with_text) {
  std::string out = cause.rule.starts_with("no ") ? cause.rule : "rule " + cause.rule;
  if (!cause.where.empty()) out += fmt::format(" ({})", cause.where);
  if (with_text) out += ": " + cause.text;
  return out;
}

}  // namespace

Refusal render_refusal(const LiveOperation& live, const Origin& origin) {
  Refusal out;
  const model::Principal& principal = live.caller ? live.caller->origin.principal : origin.principal;
  const std::string agent = principal.agent.empty() ? "nobody" : principal.agent;
  const model::Decision& decision = *live.decision;
  // What happened last to a held operation explains its end best; else the first cause does.
  const bool held = !decision.causes.empty() && decision.causes.back().rule == "hold";
  const model::Cause unexplained{.rule = "no rule", .text = "no rule allows it"};
  const model::Cause& main = decision.causes.empty() ? unexplained
                             : held                  ? decision.causes.back()
                                                     : decision.causes.front();
  out.message = fmt::format("refused by policy for agent {}: {}", agent, main.text);
  for (const model::Cause& cause : decision.causes) {
    if (!out.detail.empty()) out.detail += "; ";
    out.detail += describe(cause, &cause != &main);
  }
  if (!principal.workload.empty())
    out.detail += fmt::format("{}principal: {}", out.detail.empty() ? "" : "; ", model::describe(principal));
  out.hint = decision.hint;
  return out;
}

}  // namespace sallyport::flow
