// SPDX-License-Identifier: Apache-2.0
// The look-up that sessions make on their own connections, as text and rows for whoever asks it elsewhere: the side
// connection. Pure: it sends nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/flow/shared_catalogue.h"

namespace sallyport::flow {

class CatalogueQuestion {
 public:
  /// What `names` mean to a session that resolves names by `path` and has no temporary objects.
  CatalogueQuestion(SearchPath path, sql::Missing names);
  ~CatalogueQuestion();
  CatalogueQuestion(CatalogueQuestion&&) noexcept;

  /// One statement; every name in it has its schema. Its parameters in order, in text format, and their types.
  const std::string& text() const;
  const std::vector<std::string>& parameters() const;
  const std::vector<uint32_t>& types() const;
  /// The one column of one row. False: not what was asked for; the whole answer is then worthless.
  bool add_row(std::string_view json);
  /// Facts for all names; what did not come does not exist.
  sql::Catalogue finish();
  const SearchPath& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What tells one start of a server, and the database, from all others: an expression that gives the same text
/// on every connection.
std::string_view server_identity_sql();

}  // namespace sallyport::flow
