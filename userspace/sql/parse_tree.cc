// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string_view>

#include "sql/pg.h"

extern "C" {
// libpg_query keeps PostgreSQL's globals one for each thread; its own header of these is not installed
// in a form that agrees with the server's.
struct SpRawParse {
  List* tree;
  char* stderr_buffer;
  PgQueryError* error;
};
SpRawParse pg_query_raw_parse(const char* input);
void pg_query_free_error(PgQueryError* error);
MemoryContext pg_query_enter_memory_context();
void pg_query_exit_memory_context(MemoryContext context);
extern __thread bool standard_conforming_strings;
extern __thread bool escape_string_warning;
}

namespace sallyport::sql::pg {

ParseTree::ParseTree(const char* text, bool standard_strings) {
  context_ = pg_query_enter_memory_context();
  standard_conforming_strings = standard_strings;
  escape_string_warning = false;
  SpRawParse parsed = pg_query_raw_parse(text);
  standard_conforming_strings = true;
  std::free(parsed.stderr_buffer);
  tree_ = parsed.tree;
  if (parsed.error == nullptr) return;
  tree_ = nullptr;
  error_node_ = parsed.error;
  error_ = view(parsed.error->message);
  if (error_.empty()) error_ = "syntax error";
}

ParseTree::~ParseTree() {
  if (error_node_ != nullptr) pg_query_free_error(static_cast<PgQueryError*>(error_node_));
  pg_query_exit_memory_context(static_cast<MemoryContext>(context_));
}

}  // namespace sallyport::sql::pg
