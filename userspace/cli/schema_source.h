// SPDX-License-Identifier: Apache-2.0
// What `policy explain` and `policy test` know of a database: nothing, a schema in a file, or that of a live server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/model/effect.h"
#include "sallyport/sql/schema_text.h"

namespace sallyport::cli {

class SchemaSource {
 public:
  /// `schema` is a file of SQL, "live", or empty. For "live" pg_dump is run against `dsn` (libpq's words or a URL;
  /// empty: what PGHOST and its kin say). What the schema's text leaves out is told on standard error.
  static Result<SchemaSource> open(const std::string& schema, const std::string& dsn);

  /// The effects of all statements in `text`, each once.
  Result<std::vector<model::Effect>> effects(std::string_view text) const;
  /// One line for people: what names were taken to mean.
  std::string note() const;

 private:
  std::string name_;  ///< empty: no schema
  std::optional<sql::SchemaText> schema_;
};

}  // namespace sallyport::cli
