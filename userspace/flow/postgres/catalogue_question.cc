// SPDX-License-Identifier: Apache-2.0
#include "sallyport/flow/catalogue_question.h"

#include "flow/postgres/catalogue_cache.h"
#include "flow/postgres/lookup_sql.h"

namespace sallyport::flow {

struct CatalogueQuestion::State {
  SearchPath path;
  CatalogueCache::Question question;
  CatalogueCache answer;
};

CatalogueQuestion::CatalogueQuestion(SearchPath path, sql::Missing names)
    : state_(std::make_unique<State>(State{.path = std::move(path)})) {
  LookupRequest request{.facts = std::move(names)};
  state_->question = CatalogueCache::question(request, &state_->path);
  state_->answer.begin(std::move(request));
}

CatalogueQuestion::~CatalogueQuestion() = default;
CatalogueQuestion::CatalogueQuestion(CatalogueQuestion&&) noexcept = default;

const std::string& CatalogueQuestion::text() const { return state_->question.text; }
const std::vector<std::string>& CatalogueQuestion::parameters() const { return state_->question.parameters; }
const std::vector<uint32_t>& CatalogueQuestion::types() const { return state_->question.types; }

bool CatalogueQuestion::add_row(std::string_view json) { return state_->answer.add_row(json); }

sql::Catalogue CatalogueQuestion::finish() {
  state_->answer.finish(0, {});
  return state_->answer.view();
}

const SearchPath& CatalogueQuestion::path() const { return state_->path; }

std::string_view server_identity_sql() { return kServerIdentity; }

}  // namespace sallyport::flow
