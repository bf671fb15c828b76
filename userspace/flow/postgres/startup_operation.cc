// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/startup_operation.h"

#include <algorithm>
#include <vector>

#include "sallyport/base/log.h"

namespace sallyport::flow {
namespace {

using model::Access;
using model::Effect;
using model::ObjectKind;

Effect setting(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return c < 0x80 ? std::tolower(c) : c; });
  std::ranges::replace(name, '-', '_');
  return {
      .statement_class = "startup", .kind = ObjectKind::setting, .object = std::move(name), .access = Access::write};
}

Effect unknown(std::string because) {
  return {.statement_class = std::string(model::kUnknownClass),
          .kind = ObjectKind::unknown,
          .access = Access::execute,
          .all_columns = true,
          .because = std::move(because)};
}

/// As PostgreSQL's pg_split_opts: blanks separate, a backslash takes the next byte as it is.
std::vector<std::string> split_options(std::string_view options) {
  std::vector<std::string> out;
  bool in_word = false;
  for (size_t i = 0; i < options.size(); ++i) {
    char c = options[i];
    const bool blank = c == ' ' || (c >= '\t' && c <= '\r');
    if (blank) {
      in_word = false;
      continue;
    }
    if (!in_word) out.emplace_back();
    in_word = true;
    if (c == '\\' && ++i < options.size()) c = options[i];
    if (i < options.size()) out.back().push_back(c);
  }
  return out;
}

/// The `options` parameter holds command-line switches of `postgres`; -c and --name set settings.
void add_options(std::string_view options, std::vector<Effect>& effects) {
  const std::vector<std::string> words = split_options(options);
  for (size_t i = 0; i < words.size(); ++i) {
    std::string assignment;
    if (words[i] == "-c" && i + 1 < words.size())
      assignment = words[++i];
    else if (words[i].starts_with("-c") || words[i].starts_with("--"))
      assignment = words[i].substr(2);
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
      effects.push_back(unknown("startup option " + printable(words[i])));
    else
      effects.push_back(setting(assignment.substr(0, equals)));
  }
}

}  // namespace

bool asks_for_replication(const postgres::StartupMessage& startup) {
  auto value = startup.find("replication");
  if (!value) return false;
  // parse_bool() takes any prefix of these words; what it would not take is an error to the server.
  static constexpr std::string_view kNo[] = {"false", "off", "no", "0"};
  std::string lower(*value);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::none_of(
      kNo, [&](std::string_view no) { return !lower.empty() && no.starts_with(lower) && lower != "o"; });
}

model::Sql startup_operation(const postgres::StartupMessage& startup) {
  model::Sql out{.source = model::Sql::Source::startup, .text = describe_startup(startup)};
  const std::string user(startup.find("user").value_or(""));
  std::string_view database = startup.find("database").value_or("");
  if (database.empty()) database = user;
  out.effects.push_back({.statement_class = "startup",
                         .kind = ObjectKind::database,
                         .object = std::string(database),
                         .access = Access::read});
  out.effects.push_back(
      {.statement_class = "startup", .kind = ObjectKind::role, .object = user, .access = Access::execute});
  if (asks_for_replication(startup))
    out.effects.push_back({.statement_class = "replication",
                           .kind = ObjectKind::other,
                           .object = "replication connection",
                           .access = Access::read});
  for (const auto& [name, value] : startup.parameters) {
    if (name == "user" || name == "database" || name == "replication" || name.starts_with("_pq_.")) continue;
    if (name == "options")
      add_options(value, out.effects);
    else
      out.effects.push_back(setting(name));
  }
  return out;
}

std::string describe_startup(const postgres::StartupMessage& startup) {
  std::string out;
  for (const auto& [name, value] : startup.parameters) {
    if (!out.empty()) out += ' ';
    out += printable(name, 64) + '=' + printable(value, 200);
  }
  return out;
}

}  // namespace sallyport::flow
