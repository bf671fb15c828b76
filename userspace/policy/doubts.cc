// SPDX-License-Identifier: Apache-2.0
#include "doubts.h"

#include <fmt/core.h>

#include <algorithm>

namespace sallyport::policy {
namespace {

/// The classes whose effects can have a function as their object (docs/sql.md).
constexpr std::string_view kFunctionClasses[] = {"alter", "call",          "comment", "create",  "drop",
                                                 "grant", "function_call", "revoke",  "unknown", "security_label"};

struct Written {
  std::string text;
  bool quoted = false;
};

/// The parts of a name that parse_sql_pattern() took, as they stand there.
std::vector<Written> written_parts(std::string_view text) {
  std::vector<Written> parts(1);
  bool inside = false;
  for (const char c : text) {
    if (c == '.' && !inside) {
      parts.emplace_back();
      continue;
    }
    if (c == '"') {
      inside = !inside;
      parts.back().quoted = true;
    }
    parts.back().text += c;
  }
  return parts;
}

bool has_capital(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string joined(const std::vector<Written>& parts, std::string (*form)(const Written&)) {
  std::string out;
  for (const Written& part : parts) out.append(out.empty() ? "" : ".").append(form(part));
  return out;
}

std::string folded(const Written& part) {
  std::string out = part.text;
  if (!part.quoted)
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string with_quotes(const Written& part) {
  return !part.quoted && has_capital(part.text) ? fmt::format("\"{}\"", part.text) : part.text;
}

std::string without_quotes(const Written& part) {
  std::string out = part.text;
  std::erase(out, '"');
  return out;
}

}  // namespace

void doubt_sql_name(const Node& item, std::string_view what, std::string_view text, Reader& reader) {
  const std::vector<Written> parts = written_parts(text);
  const auto warn = [&](std::string_view why, std::string hint) {
    reader.findings().warning(reader.place(item), fmt::format("{}: `{}`: {}", what, text, why), std::move(hint));
  };
  if (std::ranges::any_of(parts, [](const Written& part) { return !part.quoted && has_capital(part.text); }))
    return warn(fmt::format("capitals without quotes mean {}, as in PostgreSQL", joined(parts, folded)),
                fmt::format("write that, or {} for the name with capitals", joined(parts, with_quotes)));
  for (const Written& part : parts) {
    if (!part.quoted) continue;
    if (part.text.find('.') != std::string::npos && parts.size() == 1 && what == "columns")
      return warn("dots in quotes are part of one name", fmt::format("write {}", joined(parts, without_quotes)));
    if (part.text.find('*') != std::string::npos)
      return warn("a star in quotes is a star and no pattern", fmt::format("write {}", joined(parts, without_quotes)));
  }
}

void doubt_functions(const Node& sql, const SqlRule& rule, model::Outcome outcome, Reader& reader) {
  if (!rule.has(SqlKey::functions)) return;
  const Node* key = sql.find("functions");
  const auto warn = [&](std::string why, std::string hint) {
    reader.findings().warning(reader.place(*key), std::move(why), std::move(hint));
  };
  if (!rule.any_statement &&
      std::ranges::none_of(kFunctionClasses, [&](std::string_view word) { return rule.names(word); }))
    return warn("functions: never matches, since no listed statement has a function as its object",
                "calls are of class call where the function's code is understood, else unknown; write statements: "
                "[call, unknown]");
  if (rule.any_statement && outcome != model::Outcome::deny && !rule.names(model::kUnknownClass))
    warn("functions: calls whose code is not understood are of class unknown, which this rule does not name",
         "write statements: [call, unknown] to have them called, or statements: [create, alter, drop] if definitions "
         "are meant");
}

}  // namespace sallyport::policy
