// SPDX-License-Identifier: Apache-2.0
#include "cli/schema_source.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sallyport/base/limits.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::cli {
namespace {

/// A password on a command line is read by everybody on the machine.
bool has_password(std::string_view dsn) {
  if (dsn.find("password") != std::string_view::npos) return true;
  const size_t scheme = dsn.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view authority = dsn.substr(scheme + 3, dsn.find('/', scheme + 3) - scheme - 3);
  const size_t at = authority.rfind('@');
  return at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos;
}

/// All that the descriptor gives, up to one byte more than a schema may have.
std::string read_all(int fd) {
  std::string text;
  char buffer[64 << 10];
  ssize_t count;
  while (text.size() <= sql::kSchemaTextBytesMax &&
         ((count = ::read(fd, buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)))
    if (count > 0) text.append(buffer, static_cast<size_t>(count));
  return text;
}

Result<std::string> dump(const std::string& dsn) {
  if (has_password(dsn))
    return fail("a password in --dsn would be seen by everybody on this machine", "use ~/.pgpass or PGPASSWORD");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  std::vector<std::string> words{"pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--no-password"};
  if (!dsn.empty()) words.push_back("--dbname=" + dsn);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to.get(), STDOUT_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, "pg_dump", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  to.reset();
  if (error != 0) return fail(fmt::format("pg_dump: {}", std::strerror(error)), "install postgresql-client");
  std::string text = read_all(from.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool cut = text.size() > sql::kSchemaTextBytesMax;  // then it was ended by our leaving
  if (!cut && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
    return fail("pg_dump could not read the schema", "it said why above; its role must own the tables or read them");
  return text;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(fmt::format("read `{}`", path), "--schema takes a file of SQL, or `live`");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::variant<sql::Analysis, sql::Missing> analyse(std::string_view text, const std::optional<sql::SchemaText>& schema) {
  sql::Catalogue catalogue;
  catalogue.assume_plain = !schema;
  const sql::Settings settings{.creation_schema = "public"};
  for (int round = 0;; ++round) {
    auto answer = sql::analyse(text, settings, catalogue, sql::NoSessionNames{});
    const auto* missing = std::get_if<sql::Missing>(&answer);
    if (missing == nullptr || !schema || round == limits::kFactRoundsMax) return answer;
    schema->answer(*missing, catalogue);
  }
}

}  // namespace

Result<SchemaSource> SchemaSource::open(const std::string& schema, const std::string& dsn) {
  SchemaSource source;
  if (schema.empty()) return source;
  auto text = schema == "live" ? dump(dsn) : read_file(schema);
  if (!text) return std::unexpected(text.error());
  auto read = sql::SchemaText::read(*text);
  if (!read) return fail_within(schema, read.error());
  for (const std::string& each : read->not_understood()) fmt::print(stderr, "{}: left out: {}\n", schema, each);
  source.name_ = schema == "live" ? "the server's schema" : schema;
  source.schema_ = std::move(*read);
  return source;
}

Result<std::vector<model::Effect>> SchemaSource::effects(std::string_view text) const {
  const auto answer = analyse(text, schema_);
  const auto* analysis = std::get_if<sql::Analysis>(&answer);
  if (analysis == nullptr) return fail("the statement cannot be told without a server");
  std::vector<model::Effect> effects;
  for (const sql::Statement& statement : analysis->statements) {
    for (const model::Effect& effect : statement.effects) {
      if (std::ranges::find(effects, effect) == effects.end()) effects.push_back(effect);
    }
  }
  return effects;
}

std::string SchemaSource::note() const {
  if (schema_) return fmt::format("note: names are those of {}, unqualified ones as with search_path public\n", name_);
  return "note: no server was asked; relations are taken as plain tables, unqualified names as in schema public;\n"
         "      --schema FILE.sql or --schema live tells what they are\n";
}

}  // namespace sallyport::cli
