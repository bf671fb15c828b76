// SPDX-License-Identifier: Apache-2.0
// One thing an operation does. Policy judges effects, never text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::model {

enum class Access : uint8_t { read, write, execute };
std::string_view to_string(Access access);

/// What kind of thing `Effect::object` names. Rules have one key for each kind they can speak of.
enum class ObjectKind : uint8_t {
  relation,  ///< table, view, sequence …: "public.customers"
  function,  ///< "public.pay"
  schema,    ///< "app"
  type,      ///< "public.mood"
  database,  ///< "invoices"
  role,      ///< "admin"
  setting,   ///< "search_path"
  file,      ///< path on the server
  program,   ///< command line on the server
  channel,   ///< LISTEN / NOTIFY
  other,     ///< named in words: "extension dblink", "large object 42"
  unknown,   ///< nobody can say; the class is then "unknown" too
};
std::string_view to_string(ObjectKind kind);

/// The class of an effect whose object or meaning cannot be told. It passes only by a rule that
/// names it.
inline constexpr std::string_view kUnknownClass = "unknown";

struct Effect {
  std::string statement_class;  ///< of the innermost statement causing it: "select", "update", "unknown"
  ObjectKind kind = ObjectKind::unknown;
  std::string object;  ///< a name as it is: "schema.name", never quoted
  Access access = Access::read;
  std::vector<std::string> columns;  ///< the columns touched, sorted, unique
  bool all_columns = false;          ///< `*` or not known which: no column can be ruled out
  std::string because;               ///< for unknown: what could not be told, in words

  /// Reached by way of this relation, which the operation names: a partition, a child, the sequence of a default.
  /// Who may do it there may do it here, as in PostgreSQL; deny and hold rules count for it all the same.
  std::string through;

  bool operator==(const Effect&) const = default;
};

}  // namespace sallyport::model
