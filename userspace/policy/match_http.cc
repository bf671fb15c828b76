// SPDX-License-Identifier: Apache-2.0
#include "match_http.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/log.h"
#include "yaml.h"

namespace sallyport::policy {
namespace {

/// Length of the UTF-8 sequence at the front of `text` (RFC 3629 section 4); 0: none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
  const auto tail = [&](size_t at) { return (byte(at) & 0xc0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first < 0xf0 || first > 0xf4 || (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return tail(1) && tail(2) && tail(3) ? 4 : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool names_method(const HttpRule& rule, std::string_view method) {
  if (rule.any_method) return true;
  const std::string_view asked = method == "HEAD" ? "GET" : method;
  return std::ranges::any_of(rule.methods, [&](const std::string& each) { return each == method || each == asked; });
}

bool any_path_matches(const HttpRule& rule, const HttpCall& call) {
  return std::ranges::any_of(rule.paths, [&](const Pattern& pattern) { return pattern.matches(call.parts()); });
}

}  // namespace

Result<Pattern> parse_http_path_pattern(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(fmt::format("`{}`: {}", printable(text), why), "write it as in `/v1/invoices/**`");
  };
  if (!text.starts_with('/')) return wrong("not an absolute path");
  if (text.find_first_of("%?#;\\") != std::string_view::npos)
    return wrong("a path is matched as decoded, without its query: no `%`, `?`, `#`, `;` or backslash");
  Pattern out{std::string(text), {}};
  for (size_t at = 0; at != std::string_view::npos;) {
    const size_t end = text.find('/', at + 1);
    const std::string_view part = text.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    if (part == "." || part == ".." || (part.empty() && end != std::string_view::npos))
      return wrong("empty, `.` and `..` parts are not allowed");
    if (part != "**" && part.find("**") != std::string_view::npos) return wrong("`**` stands alone between slashes");
    if (out.segments.size() >= limits::kPolicySegmentsMax) return wrong("too many parts");
    if (part == "**")
      out.segments.push_back({Segment::Kind::deep, {}});
    else if (part == "*")
      out.segments.push_back({Segment::Kind::any, {}});
    else
      out.segments.push_back(
          {part.find('*') == std::string_view::npos ? Segment::Kind::literal : Segment::Kind::glob, std::string(part)});
    at = end;
  }
  return out;
}

HttpCall::HttpCall(const model::Http& http) : http_(http) {
  const std::string_view path = http.path;
  plain_ = path.starts_with('/') && path.find_first_of(";%") == std::string_view::npos && is_utf8(path);
  for (size_t at = 0; plain_ && at != std::string_view::npos;) {
    const size_t end = path.find('/', at + 1);
    const std::string_view part = path.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    plain_ = count_ < parts_.size() && (!part.empty() || end == std::string_view::npos);
    if (plain_) parts_[count_++] = {part, Part::Kind::plain};
    at = end;
  }
}

bool covers(const HttpRule& rule, const HttpCall& call) {
  if (!names_method(rule, call.http().method)) return false;
  return rule.any_path || (call.plain() && any_path_matches(rule, call));
}

bool touches(const HttpRule& rule, const HttpCall& call) {
  if (!names_method(rule, call.http().method)) return false;
  return rule.any_path || !call.plain() || any_path_matches(rule, call);
}

bool shadows(const HttpRule& deny, const HttpRule& allow) {
  if (!deny.any_method) {
    if (allow.any_method) return false;
    for (const std::string& method : allow.methods)
      if (!names_method(deny, method) || (method == "GET" && !names_method(deny, "HEAD"))) return false;
  }
  if (deny.any_path) return true;
  if (allow.any_path) return false;
  return std::ranges::all_of(allow.paths, [&](const Pattern& narrow) {
    return std::ranges::any_of(deny.paths, [&](const Pattern& wide) { return wide.includes(narrow); });
  });
}

std::string describe(const model::Http& http) {
  return fmt::format("{} {}", printable(http.method), printable(http.path));
}

std::string rule_for(const model::Http& http) {
  const std::string method = http.method == "HEAD" ? "GET" : http.method;
  std::string out = fmt::format("{{http: {{methods: [{}]", flow_scalar(method));
  // A path that no pattern can be sure of, or that would be one itself, is covered by a rule about all paths only.
  const HttpCall call(http);
  if (call.plain() && parse_http_path_pattern(http.path) && http.path.find('*') == std::string::npos)
    out += fmt::format(", paths: [{}]", flow_scalar(http.path));
  return out + "}}";
}

}  // namespace sallyport::policy
