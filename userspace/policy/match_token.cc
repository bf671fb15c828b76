// SPDX-License-Identifier: Apache-2.0
// Whether a verified token is the one that an Agent asks for.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compile.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

std::vector<Pattern> compile_patterns(const std::vector<std::string>& texts) {
  std::vector<Pattern> out;
  for (const std::string& text : texts)
    if (auto pattern = parse_claim_pattern(text)) out.push_back(std::move(*pattern));
  return out;
}

bool any_matches(const std::vector<Pattern>& patterns, std::string_view value) {
  Part parts[limits::kPolicySegmentsMax];
  const size_t count = split_claim(value, parts);
  return std::ranges::any_of(patterns, [&](const Pattern& pattern) {
    // More parts than a pattern can have: only equality or anything at all can be meant.
    if (count == 0) return pattern.text == "**" || pattern.text == value;
    return pattern.matches(std::span(parts, count));
  });
}

std::string in_words(const std::vector<std::string>& list) {
  return list.empty() ? "nothing" : fmt::format("`{}`", printable(fmt::format("{}", fmt::join(list, "`, `"))));
}

}  // namespace

TokenRules compile_token(const Agent& agent) {
  TokenRules out;
  if (!agent.token) return out;
  out.subject = compile_patterns(agent.token->subject);
  for (const ClaimRule& claim : agent.token->claims) out.claims.push_back(compile_patterns(claim.any_of));
  return out;
}

bool told_apart(const Agent& a, const Agent& b, const std::vector<Issuer>& issuers) {
  if (!a.token || !b.token) return false;
  // Two Issuers of one url may both accept a token.
  const auto url = [&](const Agent& agent) -> std::string_view {
    const auto found = std::ranges::find(issuers, agent.token->issuer, &Issuer::name);
    return found == issuers.end() ? std::string_view() : std::string_view(found->url);
  };
  if (a.token->issuer != b.token->issuer && url(a) != url(b)) return true;
  const TokenRules of_a = compile_token(a), of_b = compile_token(b);
  const auto apart = [](const std::vector<Pattern>& x, const std::vector<Pattern>& y) {
    return !x.empty() && !y.empty() && std::ranges::none_of(x, [&](const Pattern& one) {
      return std::ranges::any_of(y, [&](const Pattern& other) { return one.overlaps(other); });
    });
  };
  if (apart(of_a.subject, of_b.subject)) return true;
  for (size_t i = 0; i < a.token->claims.size(); ++i)
    for (size_t j = 0; j < b.token->claims.size(); ++j)
      if (a.token->claims[i].pointer == b.token->claims[j].pointer && apart(of_a.claims[i], of_b.claims[j]))
        return true;
  return false;
}

std::optional<TokenMismatch> Policy::match_token(const Agent& agent, const model::Token& token) const {
  using What = TokenMismatch::What;
  if (!agent.token) return TokenMismatch{What::issuer, fmt::format("Agent `{}` asks for no token", agent.name)};
  const AgentToken& asked = *agent.token;
  if (asked.issuer != token.issuer)
    return TokenMismatch{What::issuer, fmt::format("Agent `{}` takes tokens of Issuer `{}`, not of `{}`", agent.name,
                                                   asked.issuer, token.issuer)};
  const TokenRules& rules = compiled_->token_rules[static_cast<size_t>(&agent - compiled_->agents.data())];
  if (!rules.subject.empty() && !any_matches(rules.subject, token.subject))
    return TokenMismatch{What::subject, fmt::format("its subject is `{}`, and Agent `{}` asks for {}",
                                                    printable(token.subject), agent.name, in_words(asked.subject))};
  for (size_t i = 0; i < asked.claims.size(); ++i) {
    const ClaimRule& rule = asked.claims[i];
    const auto claim = std::ranges::find(token.claims, rule.pointer, &model::Claim::pointer);
    const auto holds = [&](const std::string& value) { return any_matches(rules.claims[i], value); };
    if (claim != token.claims.end() && std::ranges::any_of(claim->values, holds)) continue;
    return TokenMismatch{What::claim,
                         fmt::format("its claim {} is {}, and Agent `{}` asks for {}", printable(rule.pointer),
                                     claim == token.claims.end() ? "missing" : in_words(claim->values), agent.name,
                                     in_words(rule.any_of))};
  }
  return std::nullopt;
}

}  // namespace sallyport::policy
