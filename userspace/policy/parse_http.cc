// SPDX-License-Identifier: Apache-2.0
// `http:` rules, and what a Target of protocol http can have.
#include <fmt/core.h>

#include <algorithm>

#include "keys.h"
#include "parse.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

/// A token of RFC 9110 section 5.6.2 in capitals, as all registered methods are.
bool is_method(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

void parse_methods(const Node& node, HttpRule& rule, Reader& reader) {
  rule.any_method = false;
  for (const Node& item : reader.list(node, "methods")) {
    const std::string text = reader.text(item, "methods");
    if (text == "*") {
      rule.any_method = true;
    } else if (is_method(text)) {
      if (!text.empty()) rule.methods.push_back(text);
    } else {
      std::string capitals = text;
      for (char& c : capitals)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      reader.wrong(item, fmt::format("methods: `{}` is no method", printable(text)),
                   is_method(capitals) ? fmt::format("methods are written in capitals: {}", capitals)
                                       : "write GET, POST …, or `*` for any");
    }
  }
}

void parse_paths(const Node& node, HttpRule& rule, Reader& reader) {
  rule.any_path = false;
  for (const Node& item : reader.list(node, "paths")) {
    const std::string text = reader.text(item, "paths");
    if (text.empty()) continue;
    auto pattern = parse_http_path_pattern(text);
    if (!pattern) {
      reader.wrong(item, fmt::format("paths: {}", pattern.error().what), pattern.error().hint);
      continue;
    }
    rule.any_path |= text == "/**";
    rule.paths.push_back(std::move(*pattern));
  }
}

}  // namespace

HttpRule parse_http_rule(const Node& node, Reader& reader) {
  HttpRule rule;
  if (!reader.is_map(node, "an http rule", keys::kHttpRule)) return rule;
  if (const Node* methods = reader.get(node, "methods", "an http rule")) parse_methods(*methods, rule, reader);
  if (const Node* paths = reader.get(node, "paths", "an http rule")) parse_paths(*paths, rule, reader);
  return rule;
}

void check_http_target(const Node& spec, Target& target, Reader& reader) {
  for (std::string_view key : {"databases", "users", "credential", "auth", "catalogue", "record"})
    if (const Node* node = spec.find(key))
      reader.wrong(*node, fmt::format("{} is for protocol postgres", key), "leave it out");
  if (const Node* masks = spec.find("masks"))
    reader.wrong(*masks, "masks: nothing reads bodies of protocol http yet, so values would pass unmasked",
                 "leave it out and allow only paths whose answers may be seen");
  const Node* tls = spec.find("tls");
  const Node* mode = tls ? tls->find("mode") : nullptr;
  if (!mode) {
    target.tls_mode = TlsMode::disable;
    if (!target.tls_ca_file.empty()) reader.wrong(*tls, "tls.ca is not used without tls.mode", "add mode: verify-full");
  } else if (target.tls_mode == TlsMode::allow || target.tls_mode == TlsMode::prefer) {
    reader.wrong(*mode,
                 fmt::format("tls.mode {} is for protocol postgres: an HTTP server cannot be asked for TLS",
                             to_string(target.tls_mode)),
                 "write disable, require, verify-ca or verify-full");
  }
}

}  // namespace sallyport::policy
