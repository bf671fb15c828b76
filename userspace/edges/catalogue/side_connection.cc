// SPDX-License-Identifier: Apache-2.0
#include "edges/catalogue/side_connection.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <limits>

#include "edges/catalogue/change_token.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::edges {
namespace {

// With an empty search path only pg_catalog is seen, and what the server prints of definitions bears its schemas.
constexpr const char* kSettings =
    "SET search_path = ''; SET statement_timeout = '2s'; SET lock_timeout = '1s'; SET jit = off; "
    "SET max_parallel_workers_per_gather = 0; SET idle_in_transaction_session_timeout = '10s'; "
    "SET standard_conforming_strings = on; SET default_transaction_read_only = on";

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t after(int64_t now_ns, int64_t ms) { return now_ns + ms * kNanosPerMilli; }

std::string text_of(const PGresult& result, int column) { return PQgetvalue(&result, 0, column); }

}  // namespace

SideConnection::SideConnection(flow::CatalogueId id, node::Catalogues& catalogues, const ReadCredential& credential,
                               uint64_t key)
    : id_(std::move(id)),
      catalogues_(catalogues),
      read_credential_(credential),
      fingerprint_sql_(fingerprint_sql(key)) {}

int SideConnection::descriptor() const { return connection_ ? PQsocket(connection_.get()) : -1; }

short SideConnection::events() const {
  if (step_ == Step::connecting) return polling_ == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
  return flushing_ ? POLLIN | POLLOUT : POLLIN;
}

void SideConnection::on_use(int64_t used_ns, int64_t now_ns) {
  used_ns_ = std::max(used_ns_, used_ns);
  if (step_ != Step::resting) return;
  for (auto& [path, names] : catalogues_.take_wanted(id_)) questions_.emplace_back(path, std::move(names));
  if (!questions_.empty() || (wakes_at_ns_ == kNever && in_use(now_ns))) wakes_at_ns_ = std::max(now_ns, rested_at_ns_);
}

bool SideConnection::in_use(int64_t now_ns) const {
  return now_ns - used_ns_ <= limits::kCatalogueUnusedMs * kNanosPerMilli;
}

void SideConnection::on_time(int64_t now_ns) {
  if (now_ns < wakes_at_ns_) return;
  switch (step_) {
    case Step::apart:
      return connect(now_ns);
    case Step::resting:
      if (!in_use(now_ns) && questions_.empty())
        wakes_at_ns_ = kNever;
      else
        begin_round(now_ns);
      return;
    default:
      return fail({.what = fmt::format("{} did not answer in time", id_.server.to_string()),
                   .hint = "see that the server is up and not overloaded"},
                  now_ns);
  }
}

void SideConnection::connect(int64_t now_ns) {
  auto credential = read_credential_(id_.credential_file);
  if (!credential) return fail(credential.error(), now_ns);
  auto begun = begin_connect(id_, *credential);
  if (!begun) return fail(begun.error(), now_ns);
  connection_ = std::move(*begun);
  step_ = Step::connecting;
  polling_ = PGRES_POLLING_WRITING;
  wakes_at_ns_ = after(now_ns, limits::kCatalogueConnectTimeoutMs);
}

void SideConnection::poll_connect(int64_t now_ns) {
  polling_ = PQconnectPoll(connection_.get());
  if (polling_ == PGRES_POLLING_FAILED) return fail(connection_error(connection_.get(), id_), now_ns);
  if (polling_ != PGRES_POLLING_OK) return;
  if (!PQsslInUse(connection_.get())) return fail({.what = "libpq connected without TLS"}, now_ns);
  PQsetnonblocking(connection_.get(), 1);
  spdlog::info("catalogue of {}: side connection to {}, database {}", id_.target, id_.server.to_string(),
               printable(id_.database));
  ask(Step::settling, kSettings, now_ns);
}

void SideConnection::begin_round(int64_t now_ns) {
  asked_ns_ = now_ns;
  reading_ = {.asked_ns = now_ns};
  question_ = 0;
  fact_bytes_ = 0;
  ask(Step::snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; " + snapshot_sql(), now_ns);
}

void SideConnection::ask(Step step, const std::string& text, int64_t now_ns) {
  step_ = step;
  wakes_at_ns_ = after(now_ns, limits::kCatalogueAnswerTimeoutMs);
  if (!PQsendQuery(connection_.get(), text.c_str())) return fail(connection_error(connection_.get(), id_), now_ns);
  flush(now_ns);
}

void SideConnection::ask_facts(int64_t now_ns) {
  const flow::CatalogueQuestion& question = questions_[question_];
  std::vector<const char*> values;
  for (const std::string& text : question.parameters()) values.push_back(text.c_str());
  step_ = Step::facts;
  question_failed_ = false;
  wakes_at_ns_ = after(now_ns, limits::kCatalogueAnswerTimeoutMs);
  if (!PQsendQueryParams(connection_.get(), question.text().c_str(), static_cast<int>(values.size()),
                         question.types().data(), values.data(), nullptr, nullptr, /*resultFormat=*/0) ||
      !PQsetSingleRowMode(connection_.get()))
    return fail(connection_error(connection_.get(), id_), now_ns);
  flush(now_ns);
}

void SideConnection::flush(int64_t now_ns) {
  const int left = PQflush(connection_.get());
  if (left < 0) return fail(connection_error(connection_.get(), id_), now_ns);
  flushing_ = left > 0;
}

void SideConnection::on_ready(int64_t now_ns) {
  if (step_ == Step::apart) return;
  if (step_ == Step::connecting) return poll_connect(now_ns);
  if (!PQconsumeInput(connection_.get())) return fail(connection_error(connection_.get(), id_), now_ns);
  if (flushing_) flush(now_ns);
  while (connection_ && step_ != Step::resting && !PQisBusy(connection_.get())) {
    const QueryResult result(PQgetResult(connection_.get()));
    if (!result)
      answered(now_ns);
    else if (!on_result(*result, now_ns))
      return;
  }
}

/// False: the connection is gone.
bool SideConnection::on_result(const PGresult& result, int64_t now_ns) {
  const ExecStatusType status = PQresultStatus(&result);
  if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
    fail(connection_error(connection_.get(), id_), now_ns);
    return false;
  }
  if (step_ == Step::facts) {
    if (status == PGRES_SINGLE_TUPLE) read_facts(result);
    return true;
  }
  if (status != PGRES_TUPLES_OK || PQntuples(&result) != 1) return true;
  if (step_ == Step::snapshot) {
    // On a standby the snapshot does not say who runs: it never counts as unmoved.
    new_snapshot_ = text_of(result, 1) == "true" ? "" : text_of(result, 0) + " " + text_of(result, 2);
    reload_time_ = text_of(result, 2);
    server_ = text_of(result, 3);
  } else if (step_ == Step::fingerprint) {
    fingerprint_ = reload_time_ + " " + text_of(result, 0);
  }
  return true;
}

/// One row. An answer that makes no sense, or is too long, gives no facts; sessions then ask for themselves.
void SideConnection::read_facts(const PGresult& row) {
  fact_bytes_ += static_cast<size_t>(PQgetlength(&row, 0, 0));
  if (fact_bytes_ > limits::kCatalogueAnswerBytesMax || PQnfields(&row) != 1 ||
      !questions_[question_].add_row(PQgetvalue(&row, 0, 0)))
    question_failed_ = true;
}

/// All results of a step have come.
void SideConnection::answered(int64_t now_ns) {
  switch (step_) {
    case Step::settling:
      return begin_round(now_ns);
    case Step::snapshot:
      if (new_snapshot_.empty() || new_snapshot_ != snapshot_) return ask(Step::fingerprint, fingerprint_sql_, now_ns);
      break;
    case Step::fingerprint:
      snapshot_ = new_snapshot_;
      break;
    case Step::facts:
      if (!question_failed_) reading_.facts[questions_[question_].path()] = questions_[question_].finish();
      ++question_;
      break;
    case Step::commit:
      return end_round(now_ns);
    default:
      return;
  }
  if (question_ < questions_.size()) return ask_facts(now_ns);
  ask(Step::commit, "COMMIT", now_ns);
}

void SideConnection::end_round(int64_t now_ns) {
  reading_.server = server_;
  reading_.fingerprint = fingerprint_;
  reading_.bytes = fact_bytes_;
  catalogues_.validated(id_, std::move(reading_));
  logged_.clear();
  questions_.clear();
  step_ = Step::resting;
  rested_at_ns_ = now_ns + limits::kCatalogueRestPerWork * (now_ns - asked_ns_);
  wakes_at_ns_ = std::max(after(asked_ns_, limits::kCatalogueValidateMs), rested_at_ns_);
}

void SideConnection::fail(Error why, int64_t now_ns) {
  if (std::exchange(logged_, why.what) != why.what)
    spdlog::warn("catalogue of {}: {}{}{}; sessions ask on their own connections", id_.target, why.what,
                 why.hint.empty() ? "" : "; ", why.hint);
  catalogues_.failed(id_, std::move(why));
  connection_.reset();
  questions_.clear();
  snapshot_.clear();
  flushing_ = false;
  step_ = Step::apart;
  wakes_at_ns_ = after(now_ns, limits::kCatalogueRetryMs);
}

}  // namespace sallyport::edges
