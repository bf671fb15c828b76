// SPDX-License-Identifier: Apache-2.0
// Cuts PL/pgSQL code into the SQL that it holds (pl_gram.y and pl_scanner.c of PostgreSQL). What the code does with
// the results (loops, branches, assignments) does not matter: every piece counts as run. Code that does not read
// as PL/pgSQL is not understood; no piece of text is passed over.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::sql {

struct PlpgsqlPiece {
  enum Kind : uint8_t {
    statement,   ///< an SQL command, without its INTO
    expression,  ///< one or several, with commas between them
    dynamic,     ///< an expression whose value is run as SQL
    type,        ///< of a variable
  };
  Kind kind = statement;
  std::string text;
};

struct PlpgsqlCode {
  bool understood = false;
  std::string_view why;  ///< static; what was not
  std::vector<PlpgsqlPiece> pieces;
  std::vector<std::string> variables;
};

PlpgsqlCode cut_plpgsql(std::string_view code, bool standard_conforming_strings);

}  // namespace sallyport::sql
