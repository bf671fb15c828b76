// SPDX-License-Identifier: Apache-2.0
// `policy token`: what a token says, which Agent it leads to, and why not. The token itself and its signature are
// never printed: they would be proof of an identity on somebody's screen.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/verbs.h"
#include "daemon/issuer_rule.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/base/secret.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/policy/author.h"

namespace sallyport::cli {
namespace {

using identity::Fault;
using identity::Refusal;
using nlohmann::json;

/// "-": standard input. Bounded: one byte more than fits tells that there is more.
Result<Secret> read_bounded(const std::string& path, size_t bytes_max) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& in = path == "-" ? std::cin : file;
  std::string text(bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (path != "-" && !file.is_open())) return fail(fmt::format("cannot read {}", path));
  text.resize(static_cast<size_t>(in.gcount()));
  return Secret(std::move(text));
}

/// Keys of files: the one that the command line names, for every Issuer, or each Issuer's own.
class FileKeys final : public identity::KeySet {
 public:
  FileKeys(const policy::Policy& policy, const std::string& jwks) {
    for (const policy::Issuer& issuer : policy.issuers()) {
      const std::string& path = jwks.empty() ? issuer.jwks_file : jwks;
      sets_.emplace(issuer.name,
                    path.empty() ? fail("they are asked for by the daemon, not here; give --jwks FILE") : read(path));
    }
  }
  Result<std::shared_ptr<const identity::Jwks>> keys(std::string_view issuer) override {
    const auto found = sets_.find(issuer);
    return found == sets_.end() ? fail("no such Issuer") : found->second;
  }
  void miss(std::string_view, std::string_view) override {}

 private:
  static Result<std::shared_ptr<const identity::Jwks>> read(const std::string& path) {
    auto text = read_bounded(path, limits::kJwksBytesMax);
    if (!text) return std::unexpected(text.error());
    auto set = identity::parse_jwks(text->reveal());
    if (!set) return fail_within(path, set.error());
    return std::make_shared<const identity::Jwks>(std::move(*set));
  }
  std::map<std::string, Result<std::shared_ptr<const identity::Jwks>>, std::less<>> sets_;
};

struct Finding {
  std::optional<Refusal> refusal;  ///< nothing: verified, and an Agent is found
  model::Token token;              ///< as verified, or what it claims
  std::string issuer_url;
  bool verified = false;
  std::vector<std::string> agents;
  std::vector<std::pair<std::string, std::string>> others;  ///< Agent -> why it is not the one
};

void find_agents(const policy::Policy& policy, Finding& out) {
  using What = policy::TokenMismatch::What;
  for (const policy::Agent& agent : policy.agents()) {
    if (!agent.token || agent.token->issuer != out.token.issuer) continue;
    const auto mismatch = policy.match_token(agent, out.token);
    if (!mismatch) {
      out.agents.push_back(agent.name);
      continue;
    }
    out.others.emplace_back(agent.name, mismatch->text);
    if (!out.refusal)
      out.refusal = Refusal{mismatch->what == What::claim ? Fault::claim : Fault::subject, mismatch->text};
  }
  if (!out.agents.empty())
    out.refusal.reset();
  else if (!out.refusal)
    out.refusal = Refusal{Fault::subject, fmt::format("no Agent takes tokens of Issuer `{}`", out.token.issuer)};
  else if (out.others.size() > 1)
    out.refusal->text =
        fmt::format("it is no Agent's: {} take tokens of its issuer, none takes this one", out.others.size());
}

/// Tries each Issuer that the token may be of: those of its `iss`, or, where none is, all: to say what they ask for.
Finding examine(std::string_view compact, const policy::Policy& policy, identity::KeySet& keys, int64_t wall_ns) {
  Finding out;
  if (const auto shown = identity::read_unverified(compact)) {
    out.token = shown->claims;
    out.issuer_url = shown->issuer;
  }
  for (const policy::Issuer& issuer : policy.issuers()) {
    if (!out.issuer_url.empty() && issuer.url != out.issuer_url) continue;
    auto token = identity::verify_token(compact, daemon::issuer_rule(issuer), keys, wall_ns);
    if (!token) {
      if (!out.verified && !out.refusal) out.refusal = std::move(token.error());
      continue;
    }
    out.verified = true;
    out.refusal.reset();
    out.token = std::move(*token);
    find_agents(policy, out);
    if (!out.refusal) return out;
  }
  if (out.refusal || out.verified) return out;
  const auto jws = identity::parse_jws(compact);
  out.refusal = !jws ? jws.error()
                     : Refusal{Fault::issuer, policy.issuers().empty() ? "policy has no Issuer"
                                                                       : fmt::format("no Issuer has the url `{}`",
                                                                                     printable(out.issuer_url))};
  return out;
}

json to_json(const Finding& finding) {
  const model::Token& token = finding.token;
  json out = {{"verified", finding.verified}, {"issuer", token.issuer},   {"iss", finding.issuer_url},
              {"sub", token.subject},         {"aud", token.audience},    {"algorithm", token.algorithm},
              {"kid", token.key_id},          {"claims", json::object()}, {"agents", finding.agents},
              {"not", json::object()}};
  if (token.expires_wall_ns != 0) out["expires"] = format_time(token.expires_wall_ns);
  for (const model::Claim& claim : token.claims) out["claims"][claim.pointer] = claim.values;
  for (const auto& [agent, why] : finding.others) out["not"][agent] = why;
  if (finding.refusal)
    out["refused"] = {{"reason", identity::to_string(finding.refusal->fault)}, {"text", finding.refusal->text}};
  return out;
}

void print_claims(const Finding& finding) {
  const model::Token& token = finding.token;
  const auto line = [](std::string_view name, const std::string& value) {
    if (!value.empty()) print(fmt::format("{:<11}{}\n", name, printable(value)));
  };
  line("issuer", token.issuer.empty() ? finding.issuer_url : fmt::format("{} ({})", token.issuer, finding.issuer_url));
  line("subject", token.subject);
  line("audience", fmt::format("{}", fmt::join(token.audience, ", ")));
  if (token.expires_wall_ns != 0) line("expires", format_time(token.expires_wall_ns));
  if (!token.algorithm.empty()) line("key", fmt::format("{} {}", token.algorithm, token.key_id));
  if (const auto& bound = token.kubernetes)
    line("bound to",
         fmt::format("pod {}/{} uid {} node {}", bound->name_space, bound->pod, bound->pod_uid, bound->node));
  for (const model::Claim& claim : token.claims)
    line("claim", fmt::format("{}: {}", claim.pointer, fmt::join(claim.values, ", ")));
}

void print_text(const Finding& finding) {
  print_claims(finding);
  print(fmt::format("{:<11}{}\n", "verified", finding.verified ? "yes" : "no, so nothing above is proven"));
  if (!finding.agents.empty())
    print(fmt::format("{:<11}{}\n", "agent", fmt::join(finding.agents, finding.agents.size() > 1 ? " or " : "")));
  for (const auto& [agent, why] : finding.others) print(fmt::format("{:<11}{}: {}\n", "not", agent, why));
  if (finding.refusal)
    print(fmt::format("{:<11}{}: {}\n", "refused", identity::to_string(finding.refusal->fault), finding.refusal->text));
}

/// "2026-11-24T13:00:00Z", or seconds since 1970.
std::optional<int64_t> time_of(const std::string& text) {
  if (text.empty()) return read_clocks().wall_ns;
  int64_t seconds = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seconds);
  if (error == std::errc() && stop == end && seconds >= 0 && seconds < 9'000'000'000) return seconds * kNanosPerSecond;
  return policy::parse_time(text);
}

}  // namespace

int run_policy_token(const Common& common, const TokenArguments& arguments) {
  const auto files = read_policy_files(arguments.policy);
  const auto text = read_bounded(arguments.file, limits::kTokenBytesMax + 2);
  const auto wall_ns = time_of(arguments.now);
  if (!files || !text || !wall_ns) {
    print_error(!files  ? files.error()
                : !text ? text.error()
                        : Error{fmt::format("`{}` is no time", printable(arguments.now)),
                                "write 2026-11-01T09:30:00Z or seconds since 1970"});
    return kUsage;
  }
  const auto loaded = policy::load(files->documents, {.check_pattern = mask::check_pattern});
  if (!loaded) {
    for (const policy::Diagnostic& each : loaded.error()) fmt::print(stderr, "{}\n", each.to_string());
    return kUsage;
  }
  FileKeys keys(*loaded->policy, arguments.jwks);
  const Finding finding = examine(identity::trim_token(text->reveal()), *loaded->policy, keys, *wall_ns);
  common.json ? print_json(to_json(finding)) : print_text(finding);
  return finding.refusal ? kFound : kDone;
}

}  // namespace sallyport::cli
