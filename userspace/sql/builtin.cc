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
