// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "flow/operation/layer.h"

namespace sallyport::flow {

Refusal render_refusal(const LiveOperation& live, const Origin& origin) {
  Refusal out;
  const std::string agent = origin.principal.agent.empty() ? "nobody" : origin.principal.agent;
  const model::Decision& decision = live.decision;
  out.message = fmt::format("refused by policy for agent {}: {}", agent,
                            decision.causes.empty() ? "no rule allows it" : decision.causes.back().text);
  for (const model::Cause& cause : decision.causes) {
    if (!out.detail.empty()) out.detail += "; ";
    out.detail += fmt::format("rule {}", cause.rule);
    if (!cause.where.empty()) out.detail += fmt::format(" ({})", cause.where);
    if (&cause != &decision.causes.back()) out.detail += fmt::format(": {}", cause.text);
  }
  out.hint = decision.hint;
  return out;
}

}  // namespace sallyport::flow
