// SPDX-License-Identifier: Apache-2.0
// Targets: hosts, TLS, credentials.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "doubts.h"
#include "keys.h"
#include "parse.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

constexpr std::string_view kWhat = "spec of a Target";

/// "db.internal", "10.2.0.0/16", "fd00::1" into the host part of `out`.
Result<> parse_host(std::string_view host, HostPattern& out) {
  if (auto prefix = model::Prefix::parse(host)) {
    out.prefix = *prefix;
    return {};
  } else if (host.find_first_of(":/") != std::string_view::npos ||
             host.find_first_not_of("0123456789.") == std::string_view::npos) {
    return fail(prefix.error().what);
  }
  if (host.find('*') != std::string_view::npos)
    return fail(fmt::format("`{}`: a host name cannot be a pattern", host), "list the names, or an address prefix");
  out.name = host;
  if (out.name.ends_with('.')) out.name.pop_back();
  for (char& c : out.name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  if (out.name.empty() || out.name.size() > 253 || !std::ranges::all_of(out.name, good) ||
      out.name.find("..") != std::string::npos || out.name.starts_with('.'))
    return fail(fmt::format("`{}` is not a host name", printable(host)));
  return {};
}

Result<> parse_endpoint(std::string_view text, HostPattern& out) {
  constexpr std::string_view kHint = "write db.internal:5432, 10.2.0.0/16:5432 or [fd00::1]:5432";
  const size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  std::string_view host = text.substr(0, colon == std::string_view::npos ? text.size() : colon);
  const bool has_port =
      colon != std::string_view::npos && (bracketed ? host.ends_with(']') : host.find(':') == std::string_view::npos);
  if (!has_port) return fail(fmt::format("`{}` lacks a port", printable(text)), std::string(kHint));
  const std::string_view digits = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65'535)
    return fail(fmt::format("`{}`: the port must be 1 to 65535", printable(text)), std::string(kHint));
  if (bracketed) host = host.substr(1, host.size() - 2);
  out.port = static_cast<uint16_t>(port);
  auto good = parse_host(host, out);
  if (!good && good.error().hint.empty()) good.error().hint = kHint;
  return good;
}

std::vector<Pattern> parse_patterns(const Node& node, std::string_view what, std::vector<std::string>& texts,
                                    Reader& reader) {
  std::vector<Pattern> out;
  for (const Node& item : reader.list(node, what)) {
    const std::string text = reader.text(item, what);
    if (text.empty()) continue;
    auto pattern = parse_sql_pattern(text, 0b10, "invoices");
    if (!pattern) {
      reader.wrong(item, fmt::format("{}: {}", what, pattern.error().what), pattern.error().hint);
      continue;
    }
    doubt_sql_name(item, what, text, reader);
    texts.push_back(text);
    out.push_back(std::move(*pattern));
  }
  return out;
}

void parse_tls(const Node& node, Target& target, Reader& reader) {
  if (!reader.is_map(node, "tls", keys::kTls)) return;
  if (const Node* mode = reader.get(node, "mode", "tls"))
    if (const auto index = reader.word(*mode, "tls.mode", keys::kTlsModes))
      target.tls_mode = static_cast<TlsMode>(*index);
  if (const Node* agent = reader.get(node, "agent", "tls"))
    if (const auto index = reader.word(*agent, "tls.agent", keys::kAgentTls))
      target.agent_tls = static_cast<AgentTls>(*index);
  if (const Node* ca = reader.get(node, "ca", "tls")) {
    target.tls_ca_file = reader.absolute_path(*ca, "tls.ca");
    if (target.tls_mode == TlsMode::disable)
      reader.wrong(*ca, "tls.ca is not used with tls.mode disable", "leave it out, or set mode: verify-full");
  }
}

void parse_credential(const Node& node, Target& target, Reader& reader) {
  if (!reader.is_map(node, "credential", keys::kCredential)) return;
  if (node.entries.size() != 1) {
    reader.wrong(node, "a credential has exactly one key",
                 "write credential: {file: /path} or credential: {verifier: /path}");
    return;
  }
  if (const Node* file = node.find("file")) target.credential_file = reader.absolute_path(*file, "credential.file");
  if (const Node* file = node.find("verifier"))
    target.verifier_file = reader.absolute_path(*file, "credential.verifier");
}

/// With TLS on both legs SCRAM's channel binding cannot pass through: libpq sees the proxy's certificate, the server
/// its own, and a libpq that could bind does not accept a server that could and was not offered to.
void check_login(const Node& at, const Target& target, Reader& reader) {
  const bool own_login = !target.credential_file.empty() || !target.verifier_file.empty();
  if (own_login || target.tls_mode < TlsMode::require || target.agent_tls == AgentTls::off) return;
  const Place place = reader.place(at);
  std::string hint =
      "give the Target a credential: {file: /path} or credential: {verifier: /path}, or set tls.agent: off (the "
      "agent's "
      "leg never leaves its network namespace)";
  if (target.agent_tls == AgentTls::require) {
    reader.findings().error(place, "TLS on both legs and no credential or verifier: stock libpq cannot log in",
                            std::move(hint));
  } else {
    reader.findings().warning(
        place, "TLS on both legs, when the agent asks for it, and no credential or verifier: stock libpq cannot log in",
        std::move(hint));
  }
}

void parse_hosts(const Node& node, Target& target, Reader& reader) {
  for (const Node& item : reader.list(node, "hosts")) {
    HostPattern host;
    host.text = reader.text(item, "hosts");
    host.where = reader.place(item);
    if (host.text.empty()) continue;
    if (const auto good = parse_endpoint(host.text, host); !good) {
      reader.wrong(item, fmt::format("hosts: {}", good.error().what), good.error().hint);
    } else {
      target.hosts.push_back(std::move(host));
    }
  }
}

/// `databases` or `users`, and the rule that decisions name for it.
void parse_names(const Node& spec, std::string_view key, const Target& target, std::vector<std::string>& texts,
                 std::vector<Pattern>& patterns, NamedRule& rule, Reader& reader) {
  rule = {fmt::format("{}.{}", target.name, key), fmt::format("{}: any", key), target.where.to_string()};
  const Node* node = reader.get(spec, key, kWhat);
  if (!node) return;
  patterns = parse_patterns(*node, key, texts, reader);
  rule.text = fmt::format("{}: {}", key, flow_text(*node));
  rule.where = reader.place(*node).to_string();
}

void parse_auth(const Node& spec, Target& target, Reader& reader) {
  const bool own_login = !target.credential_file.empty() || !target.verifier_file.empty();
  target.auth_min = own_login ? AuthMethod::scram_sha_256 : AuthMethod::none;
  const Node* auth = reader.get(spec, "auth", kWhat);
  if (!auth || !reader.is_map(*auth, "auth", keys::kAuth)) return;
  if (const Node* min = reader.get(*auth, "min", "auth", true))
    if (const auto index = reader.word(*min, "auth.min", keys::kAuthMethods))
      target.auth_min = static_cast<AuthMethod>(*index);
}

/// The side connection always speaks TLS. Under verify-full the certificate proves the server; else only SCRAM bound
/// to the certificate can, and whoever asks for anything else gets nothing.
void parse_catalogue(const Node& node, Target& target, Reader& reader) {
  if (!reader.is_map(node, "catalogue", keys::kCatalogue)) return;
  const Node* credential = reader.get(node, "credential", "catalogue", true);
  if (!credential || !reader.is_map(*credential, "catalogue.credential", keys::kCatalogueCredential)) return;
  if (const Node* file = reader.get(*credential, "file", "catalogue.credential", true))
    target.catalogue_credential_file = reader.absolute_path(*file, "catalogue.credential.file");
  if (target.tls_mode == TlsMode::verify_full || target.catalogue_credential_file.empty()) return;
  const bool may_be_clear = target.tls_mode < TlsMode::require;
  reader.findings().warning(
      reader.place(node),
      fmt::format("with tls.mode {} the catalogue's credential goes only to a server that {}asks for scram-sha-256 "
                  "with channel binding",
                  to_string(target.tls_mode), may_be_clear ? "speaks TLS and " : ""),
      "set tls: {mode: verify-full}; where the server cannot do this, the agent's connection is asked instead");
}

void parse_record(const Node& node, Target& target, Reader& reader) {
  constexpr uint64_t kRowsMax = 1'000'000;
  if (!reader.is_map(node, "record", keys::kRecord)) return;
  if (const Node* rows = reader.get(node, "rows", "record", true))
    target.record_rows_max = static_cast<uint32_t>(reader.number(*rows, "record.rows", kRowsMax).value_or(0));
}

/// RFC 9110 section 5.6.2: the characters of a field name.
bool is_field_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

/// Headers that carry something else, or that say how the message is to be read.
bool is_taken(std::string_view header) {
  constexpr std::string_view kTaken[] = {"authorization",
                                         "connection",
                                         "content-encoding",
                                         "content-length",
                                         "content-type",
                                         "cookie",
                                         "date",
                                         "expect",
                                         "host",
                                         "http2-settings",
                                         "keep-alive",
                                         "proxy-authorization",
                                         "proxy-connection",
                                         "te",
                                         "trailer",
                                         "transfer-encoding",
                                         "upgrade"};
  return std::ranges::find(kTaken, header) != std::end(kTaken);
}

void parse_token_header(const Node& node, Target& target, Reader& reader) {
  const Node* name = reader.get(node, "name", "token", target.token_from == TokenFrom::header);
  if (!name) return;
  if (target.token_from != TokenFrom::header)
    return reader.wrong(*name, "`name` is a header's", "write token: {from: header, name: X-Agent-Token}");
  target.token_header = reader.text(*name, "token.name");
  for (char& c : target.token_header)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (target.token_header.empty()) return;
  if (!is_field_name(target.token_header))
    reader.wrong(*name, fmt::format("`{}` is no name of a header", printable(target.token_header)));
  else if (is_taken(target.token_header))
    reader.wrong(*name, fmt::format("header `{}` has another use", target.token_header),
                 target.token_header == "authorization" ? "write token: {from: authorization}"
                                                        : "take one of its own, as in X-Agent-Token");
}

/// Where agents show their tokens. A password is the agent's token, so that of the server must come from elsewhere.
void parse_shown_token(const Node& node, Target& target, Reader& reader) {
  if (!reader.is_map(node, "token", keys::kTargetToken)) return;
  const Node* from = reader.get(node, "from", "token", true);
  const auto index = from ? reader.word(*from, "token.from", keys::kTokenFrom) : std::nullopt;
  if (!index) return;
  target.token_from = static_cast<TokenFrom>(*index + 1);
  parse_token_header(node, target, reader);
  const bool in_password = target.token_from == TokenFrom::password;
  const std::string_view wanted = in_password ? "postgres" : "http";
  if (!target.protocol.empty() && target.protocol != wanted)
    reader.wrong(
        *from, fmt::format("token.from {} is of protocol {}", keys::kTokenFrom[*index], wanted),
        target.protocol == "postgres" ? "write token: {from: password}" : "write token: {from: authorization}");
  if (in_password && target.credential_file.empty())
    reader.wrong(node, "the password is the agent's token, and the Target has no credential to log in with",
                 "write credential: {file: /path}");
}

void parse_spec(const Node& spec, ParsedTarget& parsed, Reader& reader) {
  Target& target = parsed.target;
  TargetRules& rules = parsed.rules;
  if (const Node* word = reader.get(spec, "protocol", kWhat, true))
    if (const auto index = reader.word(*word, "protocol", keys::kProtocols)) target.protocol = keys::kProtocols[*index];
  if (const Node* hosts = reader.get(spec, "hosts", kWhat, true)) parse_hosts(*hosts, target, reader);
  parse_names(spec, "databases", target, target.databases, rules.databases, rules.database_rule, reader);
  parse_names(spec, "users", target, target.users, rules.users, rules.user_rule, reader);
  if (const Node* tls = reader.get(spec, "tls", kWhat)) parse_tls(*tls, target, reader);
  if (const Node* credential = reader.get(spec, "credential", kWhat)) parse_credential(*credential, target, reader);
  parse_auth(spec, target, reader);
  if (const Node* catalogue = reader.get(spec, "catalogue", kWhat)) parse_catalogue(*catalogue, target, reader);
  if (const Node* masks = reader.get(spec, "masks", kWhat))
    for (const Node& item : reader.list(*masks, "masks"))
      parsed.masks.push_back({reader.text(item, "masks"), reader.place(item)});
  for (const Reference& mask : parsed.masks) target.masks.push_back(mask.name);
  if (const Node* token = reader.get(spec, "token", kWhat)) parse_shown_token(*token, target, reader);
  if (const Node* record = reader.get(spec, "record", kWhat)) parse_record(*record, target, reader);
  if (target.protocol == "http") return check_http_target(spec, target, reader);
  const Node* tls = spec.find("tls");
  check_login(tls ? *tls : spec, target, reader);
}

}  // namespace

void parse_target(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  ParsedTarget parsed;
  parsed.target.name = name;
  parsed.target.where = where;
  if (reader.is_map(spec, kWhat, keys::kTarget)) parse_spec(spec, parsed, reader);
  out.targets.push_back(std::move(parsed));
}

}  // namespace sallyport::policy
