// SPDX-License-Identifier: Apache-2.0
#include "baseline_sql.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "sallyport/base/check.h"

namespace sallyport::policy {
namespace {

/// Settings that change how values look or how long things may take, never what a name means or who may do what.
/// Not here on purpose: search_path and role (what a name means, who asks), session_replication_role, and everything
/// that loads code. Read-only and row_security are not what holds an agent back: its rules are. The values that would
/// change how text is lexed (client_encoding, standard_conforming_strings) are judged by the analysis, not here.
constexpr std::string_view kSettings =
    "application_name, bytea_output, check_function_bodies, client_encoding, client_min_messages, constraints, "
    "datestyle, "
    "default_transaction_deferrable, default_transaction_isolation, default_transaction_read_only, extra_float_digits, "
    "geqo, idle_in_transaction_session_timeout, idle_session_timeout, intervalstyle, jit, lc_monetary, lc_numeric, "
    "lc_time, lock_timeout, quote_all_identifiers, row_security, standard_conforming_strings, statement_timeout, "
    "synchronize_seqscans, timezone, \"transaction characteristics\", transaction_deferrable, transaction_isolation, "
    "transaction_read_only, "
    "transaction_timeout, xmloption";

/// Views and tables of the system schemas that hold other people's data, statements, passwords or files.
constexpr std::string_view kSecrets =
    "pg_catalog.pg_authid, pg_catalog.pg_shadow, pg_catalog.pg_stats*, pg_catalog.pg_statistic, "
    "pg_catalog.pg_statistic_ext_data, "
    "pg_catalog.pg_stat_activity, pg_catalog.pg_stat_statements*, pg_catalog.pg_stat_replication, "
    "pg_catalog.pg_stat_wal_receiver, pg_catalog.pg_stat_subscription*, pg_catalog.pg_largeobject, "
    "pg_catalog.pg_user_mapping, pg_catalog.pg_user_mappings, pg_catalog.pg_subscription, "
    "pg_catalog.pg_file_settings, pg_catalog.pg_hba_file_rules, pg_catalog.pg_ident_file_mappings, "
    "pg_catalog.pg_db_role_setting, pg_catalog.pg_prepared_xacts, information_schema.user_mapping_options, "
    "information_schema._pg_user_mappings";

constexpr BaselineRow kRows[] = {
    {"baseline.transaction", "transaction", "", SqlKey::objects, "", "",
     "BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin"},
    {"baseline.show", "show", "", SqlKey::settings, "**", "", "SHOW"},
    {"baseline.discard", "discard", "", SqlKey::objects, "", "", "DISCARD ALL, PLANS, SEQUENCES, TEMP"},
    {"baseline.prepared", "prepare, execute, deallocate, declare, fetch, close, explain", "", SqlKey::objects, "", "",
     "the shell of a prepared statement, cursor or EXPLAIN; what it runs is judged by itself"},
    {"baseline.unlisten", "unlisten", "", SqlKey::channels, "**", "", "UNLISTEN"},
    {"baseline.settings", "set, reset, startup", "", SqlKey::settings, kSettings, "",
     "SET, RESET, set_config() and startup parameters of harmless settings"},
    {"baseline.reset", "reset", "", SqlKey::settings, "all", "", "RESET ALL"},
    {"baseline.role", "set, reset", "", SqlKey::roles, "none", "", "RESET ROLE: back to the login's own"},
    {"baseline.catalogue", "select, fetch, copy, lock", "read", SqlKey::tables, "pg_catalog.*, information_schema.*",
     kSecrets, "reads of the system catalogues, without those that hold data or secrets"},
};

struct CompiledRow {
  NamedRule rule;
  SqlRule match;
  std::vector<Pattern> except;
};

std::vector<std::string_view> split_list(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const size_t comma = list.find(", ");
    out.push_back(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 2);
  }
  return out;
}

std::vector<Pattern> compile_patterns(std::string_view list) {
  std::vector<Pattern> out;
  for (std::string_view text : split_list(list)) {
    auto pattern = parse_sql_pattern(text, 0b110, "");
    SP_CHECK(pattern.has_value());
    out.push_back(std::move(*pattern));
  }
  return out;
}

CompiledRow compile(const BaselineRow& row) {
  CompiledRow out{{std::string(row.name), std::string(row.why), ""}, {}, compile_patterns(row.except)};
  out.match.any_statement = false;
  for (std::string_view word : split_list(row.statements)) out.match.statements.emplace_back(word);
  if (row.access == "read") out.match.access = 1u << static_cast<unsigned>(model::Access::read);
  if (!row.objects.empty()) {
    out.match.present = static_cast<uint16_t>(1u << static_cast<unsigned>(row.key));
    out.match.patterns[static_cast<size_t>(row.key)] = compile_patterns(row.objects);
  }
  return out;
}

const std::vector<CompiledRow>& compiled_rows() {
  static const std::vector<CompiledRow> rows = [] {
    std::vector<CompiledRow> out;
    for (const BaselineRow& row : kRows) out.push_back(compile(row));
    return out;
  }();
  return rows;
}

}  // namespace

std::span<const BaselineRow> baseline_rows() { return kRows; }

const NamedRule* baseline_covers(const SqlEffect& effect) {
  if (effect.opaque()) return nullptr;
  for (const CompiledRow& row : compiled_rows()) {
    if (covers(row.match, effect) != Cover::all) continue;
    const bool excepted =
        std::ranges::any_of(row.except, [&](const Pattern& pattern) { return pattern.matches(effect.parts()); });
    if (!excepted) return &row.rule;
  }
  return nullptr;
}

}  // namespace sallyport::policy
