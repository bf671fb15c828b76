// SPDX-License-Identifier: Apache-2.0
// `policy new`: a first policy that is valid and grants as little as it can.
#include <fmt/core.h>

#include <charconv>

#include "pattern.h"
#include "reader.h"
#include "sallyport/base/log.h"
#include "sallyport/model/address.h"
#include "sallyport/policy/author.h"
#include "yaml.h"

namespace sallyport::policy {
namespace {

constexpr std::string_view kTemplate = R"(# A first policy: agent {agent} on {where}.
# Check it with `sallyport policy check --policy DIR`, try a statement with
# `sallyport policy explain --policy DIR --agent {agent} --target {target} 'SELECT 1'`.

# Who: what runs as `sallyport exec --agent {agent} -- CMD`. Only root may start it so;
# to let others: exec: {{name: {agent}, users: [deploy]}}
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {{name: {agent}}}
spec:
  workload:
    - exec: {agent}
  minLevel: enforce        # guarded, where the kernel offers no more (see `sallyport doctor`)
---
# What: the server. The agent keeps its own login unless a credential is named here.
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {{name: {target}}}
spec:
  protocol: postgres
  hosts: [{host}]
{databases}  masks: [{target}-personal]
---
# What is never seen in clear, whoever asks. Name your columns: {{column: public.customers.email, with: partial}}
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {{name: {target}-personal}}
spec:
  detect:
    - {{type: email, with: partial}}
    - {{type: payment-card, with: redact}}
    - {{type: api-key, with: redact}}
---
# What the agent may do there. As it stands: log in, look at the catalogue, read no table.
# Name the tables it needs in place of public.table_name; every refusal proposes the rule it lacked.
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {{name: {entitlement}}}
spec:
  agent: {agent}
  target: {target}
  allow:
    - sql: {{statements: [select], tables: [public.table_name]}}
)";

std::string name_from(std::string_view text) {
  constexpr size_t kNameMax = 40;
  std::string out;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (good || (!out.empty() && out.back() != '-')) out += good ? c : '-';
  }
  out.resize(std::min(out.size(), kNameMax));
  while (out.ends_with('-')) out.pop_back();
  return out;
}

/// "%41" to "A" (RFC 3986 section 2.1); nothing on a broken escape.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return {};
    const auto [end, error] = std::from_chars(&text[i + 1], &text[i + 3], value, 16);
    if (error != std::errc() || end != &text[i + 3]) return {};
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

Result<> parse_authority(std::string_view authority, TargetAddress& out) {
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (authority.substr(0, at).find(':') != std::string_view::npos)
      return fail("the URL has a password in it", "leave it out: the agent logs in as before");
    authority.remove_prefix(at + 1);
  }
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = authority.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0)
      return fail(fmt::format("`{}` is not a port", printable(digits)));
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool plain = host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
                     std::string_view::npos;
  if (host.empty() || !plain) return fail(fmt::format("`{}` is not a host", printable(host)));
  out.host = host;
  return {};
}

}  // namespace

Result<TargetAddress> parse_target_url(std::string_view url) {
  constexpr std::string_view kHint = "write postgres://db.internal:5432/invoices";
  std::string_view rest = url;
  for (std::string_view scheme : {"postgres://", "postgresql://"})
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  if (rest.size() == url.size())
    return fail(fmt::format("`{}` is not a postgres:// URL", printable(url)), std::string(kHint));
  rest = rest.substr(0, rest.find('?'));
  const size_t slash = rest.find('/');
  TargetAddress out;
  if (auto good = parse_authority(rest.substr(0, slash), out); !good) {
    if (good.error().hint.empty()) good.error().hint = kHint;
    return std::unexpected(good.error());
  }
  const auto database = percent_decode(slash == std::string_view::npos ? "" : rest.substr(slash + 1));
  if (!database) return fail(fmt::format("`{}` has a broken % escape", printable(url)));
  out.database = *database;
  return out;
}

Result<std::string> render_new(std::string_view agent, const TargetAddress& target) {
  if (!valid_name(agent))
    return fail(fmt::format("`{}` cannot be an agent's name", printable(agent)),
                "names are lower-case letters, digits and inner hyphens, at most 63");
  const bool brackets = target.host.find(':') != std::string::npos;
  const std::string host = fmt::format("{}{}{}:{}", brackets ? "[" : "", target.host, brackets ? "]" : "", target.port);
  std::string name = name_from(target.database.empty() ? target.host : target.database);
  name = name.empty() ? "database" : name + "-db";
  const std::string databases =
      target.database.empty() ? "" : fmt::format("  databases: [{}]\n", flow_scalar(quote_identifier(target.database)));
  const std::string text =
      fmt::format(fmt::runtime(kTemplate), fmt::arg("agent", agent), fmt::arg("where", printable(host)),
                  fmt::arg("target", name), fmt::arg("host", flow_scalar(host)), fmt::arg("databases", databases),
                  fmt::arg("entitlement", name_from(fmt::format("{}-{}", agent.substr(0, 20), name))));
  // What we hand out must load: a host that is no host shows here.
  if (const auto loaded = load({{"new.yaml", text}}); !loaded)
    return fail(fmt::format("cannot write a policy for `{}`: {}", printable(host), loaded.error()[0].message),
                loaded.error()[0].hint);
  return text;
}

}  // namespace sallyport::policy
