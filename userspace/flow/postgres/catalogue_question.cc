// SPDX-License-Identifier: Apache-2.0
#include "sallyport/flow/catalogue_question.h"

#include "flow/postgres/catalogue_cache.h"
#include "flow/postgres/lookup_sql.h"

namespace sallyport::flow {

struct CatalogueQuestion::State {
  SearchPath path;
  LookupRequest request;
  CatalogueCache answer;
};

CatalogueQuestion::CatalogueQuestion(SearchPath path, sql::Missing names)
    : state_(std::make_unique<State>(State{.path = std::move(path)})) {
  state_->request = {.relations = std::move(names.relations), .functions = std::move(names.functions)};
  state_->answer.begin(state_->request);
}

CatalogueQuestion::~CatalogueQuestion() = default;
CatalogueQuestion::CatalogueQuestion(CatalogueQuestion&&) noexcept = default;

const std::string& CatalogueQuestion::text() { return lookup_sql_with_path(); }

std::vector<std::string> CatalogueQuestion::parameters() const {
  return CatalogueCache::parameters(state_->request, &state_->path);
}

bool CatalogueQuestion::add_row(std::string_view json) { return state_->answer.add_row(json); }

sql::Catalogue CatalogueQuestion::finish() {
  state_->answer.finish({});
  return state_->answer.view();
}

const SearchPath& CatalogueQuestion::path() const { return state_->path; }

std::string_view server_identity_sql() { return kServerIdentity; }

}  // namespace sallyport::flow
