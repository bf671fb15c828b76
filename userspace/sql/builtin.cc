// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "sallyport/sql/analysis.h"
#include "sql/builtin_names.h"

namespace sallyport::sql {
namespace {

using NameSet = std::unordered_set<std::string_view>;

NameSet set_of(std::string_view names) {
  NameSet set;
  size_t at = 0;
  while ((at = names.find_first_not_of(" \n", at)) != std::string_view::npos) {
    size_t end = std::min(names.find_first_of(" \n", at), names.size());
    set.insert(names.substr(at, end - at));
    at = end;
  }
  return set;
}

}  // namespace

bool is_builtin_pure_function(std::string_view name) {
  static const NameSet set = set_of(kPureFunctionNames);
  return set.contains(name);
}

bool is_builtin_impure_function(std::string_view name) {
  static const NameSet set = set_of(kImpureFunctionNames);
  return set.contains(name);
}

bool is_builtin_type(std::string_view name) {
  static const NameSet set = set_of(kTypeNames);
  return set.contains(name);
}

bool is_builtin_operator(std::string_view name) {
  static const NameSet set = set_of(kOperatorNames);
  return set.contains(name);
}

bool returns_set(std::string_view name) {
  // SELECT proname FROM pg_proc WHERE proretset AND pronamespace = 'pg_catalog'::regnamespace, those with arguments.
  static const NameSet set = set_of(R"(aclexplode generate_series generate_subscripts json_array_elements
json_array_elements_text json_each json_each_text json_object_keys json_populate_recordset json_to_recordset
jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys jsonb_path_query
jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset pg_get_multixact_members pg_get_publication_tables
pg_mcv_list_items pg_options_to_table pg_partition_ancestors pg_partition_tree pg_snapshot_xip
pg_tablespace_databases regexp_matches regexp_split_to_table string_to_table ts_debug ts_parse ts_stat ts_token_type
txid_snapshot_xip unnest)");
  return set.contains(name);
}

bool shows_anything(std::string_view name) {
  static const NameSet set = set_of(R"(pg_cursor pg_lock_status pg_prepared_statement pg_read_binary_file pg_read_file
pg_read_file_old pg_stat_get_activity pg_stat_get_backend_activity)");
  return set.contains(name);
}

bool does_something(std::string_view name) {
  static const NameSet set = set_of(R"(nextval pg_current_xact_id random setseed setval set_config pg_notify
txid_current)");
  return set.contains(name);
}

bool is_system_relation(std::string_view name) {
  static const NameSet set = set_of(kSystemRelationNames);
  return set.contains(name);
}

const std::vector<std::string_view>& statement_classes() {
  static const std::vector<std::string_view> classes = {
      "alter",    "analyze",  "call",       "checkpoint",  "close",         "cluster",  "comment",
      "copy",     "create",   "deallocate", "declare",     "delete",        "discard",  "do",
      "drop",     "execute",  "explain",    "fetch",       "function_call", "grant",    "import_foreign_schema",
      "insert",   "listen",   "load",       "lock",        "merge",         "notify",   "prepare",
      "reassign", "refresh",  "reindex",    "replication", "reset",         "revoke",   "security_label",
      "select",   "set",      "show",       "startup",     "transaction",   "truncate", "two_phase",
      "unknown",  "unlisten", "update",     "vacuum",
  };
  return classes;
}

}  // namespace sallyport::sql
