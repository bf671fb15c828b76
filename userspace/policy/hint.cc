// SPDX-License-Identifier: Apache-2.0
#include "hint.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "keys.h"
#include "reader.h"
#include "sallyport/base/limits.h"
#include "yaml.h"

namespace sallyport::policy {
namespace {

using model::Effect;
using model::ObjectKind;

/// ", process: {exe: /usr/bin/psql}"
std::string beside(std::string_view process) { return process.empty() ? "" : fmt::format(", process: {}", process); }

/// One rule in the making: effects that differ in nothing but their columns, or in their tables only.
struct Proposal {
  std::string statement;
  ObjectKind kind = ObjectKind::unknown;
  model::Access access = model::Access::read;
  std::vector<std::string> objects;  ///< patterns
  std::set<std::string> columns;     ///< patterns; empty: all
  bool say_access = false;

  std::string to_string(std::string_view process) const {
    std::string out = fmt::format("statements: [{}]", statement);
    if (!objects.empty()) out += fmt::format(", {}: {}", kSqlKeys[static_cast<size_t>(key_of(kind))], list(objects));
    if (!columns.empty()) out += fmt::format(", columns: {}", list(columns));
    if (say_access) out += fmt::format(", access: [{}]", model::to_string(access));
    return fmt::format("{{sql: {{{}}}{}}}", out, beside(process));
  }

 private:
  static std::string list(const auto& patterns) {
    std::string out;
    for (const std::string& pattern : patterns) out += (out.empty() ? "" : ", ") + flow_scalar(pattern);
    return '[' + out + ']';
  }
};

/// The pattern that matches this object and no other; empty: there is none.
std::string object_pattern(const Effect& effect) {
  switch (effect.kind) {
    case ObjectKind::unknown:
      return {};
    case ObjectKind::file:
    case ObjectKind::program:
    case ObjectKind::other:
      return effect.object;
    default:
      break;
  }
  const SqlEffect sql(effect);
  std::vector<std::string> parts;
  for (const Part& part : sql.parts()) parts.push_back(quote_identifier(part.text));
  return fmt::format("{}", fmt::join(parts, "."));
}

Proposal propose(const Effect& effect) {
  Proposal out;
  out.statement = effect.kind == ObjectKind::unknown ? std::string(model::kUnknownClass) : effect.statement_class;
  out.kind = effect.kind;
  out.access = effect.access;
  const std::string object = object_pattern(effect);
  if (!object.empty()) out.objects.push_back(object);
  if (!effect.all_columns)
    for (const std::string& column : effect.columns) out.columns.insert(quote_identifier(column));
  return out;
}

/// Whether `more` went into `into`.
bool merge(Proposal& into, const Proposal& more) {
  if (into.statement != more.statement || into.kind != more.kind) return false;
  if (into.objects == more.objects) {
    if (into.access != more.access) {
      if (into.columns == more.columns && !into.say_access) return true;
      into.say_access = true;
      return false;
    }
    if (into.columns.empty() || more.columns.empty()) {
      into.columns.clear();
    } else {
      into.columns.insert(more.columns.begin(), more.columns.end());
    }
    return true;
  }
  if (!into.columns.empty() || !more.columns.empty() || into.access != more.access || more.objects.empty())
    return false;
  for (const std::string& object : more.objects)
    if (std::ranges::find(into.objects, object) == into.objects.end()) into.objects.push_back(object);
  return true;
}

std::string shortened_name(std::string_view a, std::string_view b) {
  constexpr size_t kHalf = 30;
  std::string out = fmt::format("{}-{}", a.substr(0, kHalf), b.substr(0, kHalf));
  while (out.ends_with('-')) out.pop_back();
  return out;
}

std::string document(std::string_view kind, std::string_view name, std::string spec) {
  return fmt::format("{{apiVersion: {}, kind: {}, metadata: {{name: {}}}, spec: {{{}}}}}", keys::kApiVersion, kind,
                     name, spec);
}

}  // namespace

std::string smallest_allow(const Effects& effects, std::string_view process) {
  if (effects.empty()) return first_allow("postgres", process);
  std::vector<Proposal> proposals;
  for (const Effect* effect : effects) {
    Proposal next = propose(*effect);
    bool merged = false;
    for (Proposal& earlier : proposals) {
      if ((merged = merge(earlier, next))) break;
      next.say_access |= earlier.say_access && earlier.objects == next.objects && earlier.statement == next.statement;
    }
    if (!merged) proposals.push_back(std::move(next));
  }
  std::string out;
  for (const Proposal& proposal : proposals) out += (out.empty() ? "" : ", ") + proposal.to_string(process);
  return fmt::format("allow: [{}]", out);
}

std::string smallest_allow(const model::Http& http, std::string_view process) {
  std::string rule = rule_for(http);
  rule.insert(rule.size() - 1, beside(process));
  return fmt::format("allow: [{}]", rule);
}

std::string first_allow(std::string_view protocol, std::string_view process) {
  const std::string_view rule = protocol == "http" ? "http: {methods: [GET], paths: [/path/**]}"
                                                   : "sql: {statements: [select], tables: [public.table_name]}";
  return fmt::format("allow: [{{{}{}}}]", rule, beside(process));
}

std::string hint_rule(std::string_view allow, const Entitlement& into) {
  return fmt::format("{}  # Entitlement {}", allow, into.name);
}

std::string hint_entitlement(std::string_view agent, std::string_view target, std::string_view allow) {
  return document("Entitlement", shortened_name(agent, target),
                  fmt::format("agent: {}, target: {}, {}", agent, target, allow));
}

std::string hint_target(std::string_view agent, const model::Endpoint& destination) {
  const bool web = destination.port == 80 || destination.port == 443 || destination.port == 8080;
  const std::string_view protocol = web ? "http" : "postgres";
  std::string name = (web ? "web-" : "db-") + destination.to_string();
  for (char& c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = '-';
  name.resize(std::unique(name.begin(), name.end(), [](char a, char b) { return a == '-' && b == '-'; }) -
              name.begin());
  return fmt::format("--- {}\n--- {}",
                     document("Target", name,
                              fmt::format("protocol: {}, hosts: ['{}']{}", protocol, destination.to_string(),
                                          destination.port == 443 ? ", tls: {mode: verify-full}" : "")),
                     hint_entitlement(agent, name, first_allow(protocol)));
}

}  // namespace sallyport::policy
