// SPDX-License-Identifier: Apache-2.0
#include "edges/catalogue/change_token.h"

#include <fmt/core.h>

#include "sallyport/flow/catalogue_question.h"

namespace sallyport::edges {
namespace {

constexpr const char* kNotTemporary = "NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')";
constexpr const char* kNotInTemporary = "NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_')";

struct Counted {
  const char* catalogue;
  const char* column;  ///< that tells what belongs to temporary objects; nullptr: nothing does
  const char* filter;
};
// pg_depend is not here: what facts read of it changes only together with the definitions it ties.
constexpr Counted kCounted[] = {
    {"pg_class", "relpersistence", "<> 't'"},
    {"pg_attribute", "attrelid", kNotTemporary},
    {"pg_attrdef", "adrelid", kNotTemporary},
    {"pg_constraint", "conrelid", kNotTemporary},
    {"pg_index", "indrelid", kNotTemporary},
    {"pg_inherits", "inhrelid", kNotTemporary},
    {"pg_rewrite", "ev_class", kNotTemporary},
    {"pg_trigger", "tgrelid", kNotTemporary},
    {"pg_policy", "polrelid", kNotTemporary},
    {"pg_partitioned_table", "partrelid", kNotTemporary},
    {"pg_statistic_ext", "stxrelid", kNotTemporary},
    {"pg_type", "typnamespace", kNotInTemporary},
    {"pg_namespace", "oid", kNotInTemporary},
    {"pg_proc", nullptr, nullptr},
    {"pg_aggregate", nullptr, nullptr},
    {"pg_operator", nullptr, nullptr},
    {"pg_opclass", nullptr, nullptr},
    {"pg_amop", nullptr, nullptr},
    {"pg_amproc", nullptr, nullptr},
    {"pg_cast", nullptr, nullptr},
    {"pg_range", nullptr, nullptr},
    {"pg_enum", nullptr, nullptr},
    {"pg_language", nullptr, nullptr},
    {"pg_extension", nullptr, nullptr},
    {"pg_foreign_table", nullptr, nullptr},
    {"pg_foreign_server", nullptr, nullptr},
    {"pg_foreign_data_wrapper", nullptr, nullptr},
    {"pg_event_trigger", nullptr, nullptr},
    {"pg_auth_members", nullptr, nullptr},
    {"pg_database", nullptr, nullptr},
};

}  // namespace

std::string snapshot_sql() {
  return fmt::format("SELECT txid_current_snapshot()::text, pg_is_in_recovery()::text, pg_conf_load_time()::text, {}",
                     flow::server_identity_sql());
}

std::string fingerprint_sql(uint64_t key) {
  const auto seed = static_cast<int64_t>(key >> 1);
  std::string out = "SELECT pg_catalog.concat_ws(' '";
  for (const Counted& each : kCounted)
    out += fmt::format(", (SELECT concat(count(*), '/', sum(hashtextextended(xmin::text, {}))) FROM {}{})", seed,
                       each.catalogue, each.column ? fmt::format(" WHERE {} {}", each.column, each.filter) : "");
  // pg_authid is for superusers; its view has no xmin, and few rows.
  out += fmt::format(", (SELECT concat(count(*), '/', sum(hashtextextended(r::text, {}))) FROM pg_roles r))", seed);
  return out;
}

std::vector<std::string> fingerprinted_catalogues() {
  std::vector<std::string> out;
  for (const Counted& each : kCounted) out.emplace_back(each.catalogue);
  return out;
}

}  // namespace sallyport::edges
