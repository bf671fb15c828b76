// SPDX-License-Identifier: Apache-2.0
// Issuers, and what an Agent asks of a token.
#include <fmt/core.h>

#include <algorithm>

#include "keys.h"
#include "parse.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

/// One text or a list of them.
std::vector<std::string> one_or_more(const Node& node, std::string_view what, Reader& reader) {
  if (node.kind != Node::Kind::scalar) return reader.texts(node, what);
  const std::string text = reader.text(node, what);
  return text.empty() ? std::vector<std::string>() : std::vector{text};
}

/// The same of patterns; what is none is a finding.
std::vector<std::string> patterns(const Node& node, std::string_view what, Reader& reader) {
  std::vector<std::string> out = one_or_more(node, what, reader);
  for (const std::string& text : out) {
    if (text.empty()) continue;
    if (auto pattern = parse_claim_pattern(text); !pattern)
      reader.wrong(node, fmt::format("{}: {}", what, pattern.error().what), pattern.error().hint);
  }
  return out;
}

/// RFC 8414 section 2 and OpenID Connect Discovery section 3: https, no query, no fragment. Keys asked for over less
/// would be anybody's.
void check_discovery_url(const Node& node, const std::string& url, Reader& reader) {
  constexpr std::string_view kScheme = "https://";
  const bool bare = url.starts_with(kScheme) && url.size() > kScheme.size() && url[kScheme.size()] != '/' &&
                    std::ranges::none_of(url, [](unsigned char c) { return c <= ' ' || c >= 0x7f; }) &&
                    url.find_first_of("?#@\\") == std::string::npos;
  if (!bare)
    reader.wrong(node, fmt::format("url is `{}`, where no keys can be asked for", printable(url)),
                 "write https://HOST[/PATH], or name a file of keys with `jwks`");
}

void parse_algorithms(const Node& node, Issuer& issuer, Reader& reader) {
  for (const Node& item : reader.list(node, "algorithms"))
    if (const auto index = reader.word(item, "algorithms", keys::kAlgorithms))
      issuer.algorithms.emplace_back(keys::kAlgorithms[*index]);
}

/// A claim's name, or where it lies deeper its JSON pointer (RFC 6901), as the latter.
std::string pointer_of(std::string_view key) {
  if (key.starts_with('/')) return std::string(key);
  std::string out(1, '/');
  for (char c : key) {
    if (c == '~' || c == '/') out.push_back('~');
    out.push_back(c == '~' ? '0' : c == '/' ? '1' : c);
  }
  return out;
}

void parse_claims(const Node& node, AgentToken& token, Reader& reader) {
  if (node.kind != Node::Kind::map) {
    reader.wrong(node, fmt::format("claims is {}, not a map", node.in_words()), "write {groups: [billing]}");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    const std::string pointer = pointer_of(key.text);
    token.claims.push_back({pointer, patterns(value, fmt::format("claims.{}", printable(key.text, 40)), reader)});
  }
  if (node.entries.empty()) reader.wrong(node, "claims is an empty map", "leave the key out, or fill it");
}

}  // namespace

void parse_issuer(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  Issuer issuer;
  issuer.name = name;
  issuer.where = where;
  if (reader.is_map(spec, "spec of an Issuer", keys::kIssuer)) {
    const Node* url = reader.get(spec, "url", "spec of an Issuer", true);
    const Node* audience = reader.get(spec, "audience", "spec of an Issuer", true);
    if (url) issuer.url = reader.text(*url, "url");
    if (audience) issuer.audience = one_or_more(*audience, "audience", reader);
    if (const Node* jwks = reader.get(spec, "jwks", "")) issuer.jwks_file = reader.absolute_path(*jwks, "jwks");
    if (const Node* ca = reader.get(spec, "ca", "")) issuer.ca_file = reader.absolute_path(*ca, "ca");
    if (const Node* list = reader.get(spec, "algorithms", "")) parse_algorithms(*list, issuer, reader);
    if (const Node* keep = reader.get(spec, "keepKeys", ""))
      issuer.keep_ns = reader.duration(*keep, "keepKeys").value_or(issuer.keep_ns);
    if (const Node* skew = reader.get(spec, "skew", "")) {
      issuer.skew_ns = reader.duration(*skew, "skew").value_or(issuer.skew_ns);
      if (issuer.skew_ns > limits::kTokenSkewMaxS * kNanosPerSecond)
        reader.wrong(*skew, fmt::format("skew is more than {}s", limits::kTokenSkewMaxS), "set the clocks instead");
    }
    if (url && issuer.jwks_file.empty() && !issuer.url.empty()) check_discovery_url(*url, issuer.url, reader);
    if (!issuer.jwks_file.empty() && !issuer.ca_file.empty())
      reader.wrong(*reader.get(spec, "ca", ""), "`ca` is for keys that are asked for, and `jwks` names a file",
                   "leave one of them out");
  }
  out.issuers.push_back(std::move(issuer));
  if (out.issuers.size() == limits::kIssuersMax + 1)
    reader.wrong(spec, fmt::format("more than {} Issuers", limits::kIssuersMax));
}

AgentToken parse_token(const Node& node, Reader& reader) {
  AgentToken out;
  out.where = reader.place(node);
  if (!reader.is_map(node, "token", keys::kToken)) return out;
  if (const Node* issuer = reader.get(node, "issuer", "token", true)) {
    out.issuer = reader.name(*issuer, "token.issuer");
    out.issuer_where = reader.place(*issuer);
  }
  const Node* subject = reader.get(node, "subject", "token");
  const Node* claims = reader.get(node, "claims", "token");
  if (!subject && !claims)
    reader.wrong(node, "token has neither `subject` nor `claims`: whoever the issuer signs for would do",
                 "name the subject; write subject: \"**\" if that is meant");
  if (subject) out.subject = patterns(*subject, "token.subject", reader);
  if (claims) parse_claims(*claims, out, reader);
  if (const Node* file = reader.get(node, "file", "token")) out.file = reader.absolute_path(*file, "token.file");
  return out;
}

}  // namespace sallyport::policy
