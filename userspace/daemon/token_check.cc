// SPDX-License-Identifier: Apache-2.0
#include "daemon/token_check.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "daemon/issuer_rule.h"
#include "sallyport/base/log.h"

namespace sallyport::daemon {

using flow::Standing;
using identity::Fault;

namespace {

std::shared_ptr<const Standing> make_standing(Standing::Is is, std::string why, std::string hint = {}) {
  return std::make_shared<Standing>(Standing{.is = is, .why = std::move(why), .hint = std::move(hint)});
}

}  // namespace

std::string agents_in_words(const TokenHolder& holder) {
  return fmt::format("{} {}", holder.agents.size() == 1 ? "agent" : "agents", fmt::join(holder.agents, " and "));
}

identity::Checked<model::Token> verify(std::string_view text, const policy::Issuer& issuer, identity::KeySet& keys,
                                       int64_t wall_ns) {
  return identity::verify_token(identity::trim_token(text), issuer_rule(issuer), keys, wall_ns);
}

identity::Checked<> check_fit(const model::Token& token, const TokenHolder& holder, const policy::Policy& policy,
                              const policy::Agent& agent) {
  using What = policy::TokenMismatch::What;
  if (const auto mismatch = policy.match_token(agent, token))
    return identity::refuse(mismatch->what == What::claim ? Fault::claim : Fault::subject, mismatch->text);
  const std::string& pod_uid = holder.facts.cgroup.pod_uid;
  model::Workload facts = holder.facts;
  if (const auto& bound = token.kubernetes) {
    if (!bound->pod_uid.empty() && bound->pod_uid != pod_uid)
      return identity::refuse(
          Fault::place, fmt::format("it is bound to pod {}/{} (uid {}), and this workload is {}",
                                    printable(bound->name_space), printable(bound->pod), printable(bound->pod_uid),
                                    pod_uid.empty() ? "in no pod" : fmt::format("in the pod of uid {}", pod_uid)));
    facts.service_account = bound->service_account;
  }
  if (holder.by_exec) return {};
  const auto mismatches = policy.mismatches(agent, facts);
  if (mismatches.empty()) return {};
  return identity::refuse(Fault::place,
                          fmt::format("with it the workload's {} is {}, and Agent `{}` selects {}", mismatches[0].fact,
                                      printable(mismatches[0].found), agent.name, printable(mismatches[0].wanted)));
}

std::shared_ptr<const Standing> pending(std::string why) {
  return make_standing(Standing::Is::pending, std::move(why));
}

std::shared_ptr<const Standing> refused(std::string why) {
  return make_standing(Standing::Is::refused, std::move(why),
                       "sallyport policy token FILE shows what a token says and which Agent it leads to");
}

std::shared_ptr<const Standing> refused(const identity::Refusal& refusal) {
  return refused(
      fmt::format("{}{}", refusal.fault == Fault::missing ? "" : "its token is not accepted: ", refusal.text));
}

std::shared_ptr<const Standing> lost(std::string why) {
  return make_standing(Standing::Is::lost, std::move(why), "sallyport agents show NAME says what an Agent selects");
}

std::shared_ptr<const Standing> proven(const std::string& agent, const model::Token& token) {
  auto out = std::make_shared<Standing>();
  out->agent = agent;
  out->token.issuer = token.issuer;
  out->token.subject = token.subject;
  out->token.expires_wall_ns = token.expires_wall_ns;
  out->until_wall_ns = token.valid_until_wall_ns;
  return out;
}

std::shared_ptr<const Standing> not_asked(const std::string& agent) {
  auto out = std::make_shared<Standing>();
  out->agent = agent;
  return out;
}

bool same(const Standing& a, const Standing& b) {
  return a.is == b.is && a.agent == b.agent && a.token == b.token && a.until_wall_ns == b.until_wall_ns &&
         a.why == b.why;
}

}  // namespace sallyport::daemon
