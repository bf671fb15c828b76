// SPDX-License-Identifier: Apache-2.0
// One side connection, as a state machine that never waits: it says which descriptor it wants to hear of and when it
// wants to be called, and is called. Each round is one read-only transaction with one snapshot:
//   snapshot -> (moved: fingerprint) -> (names wanted: the look-up, once for each search path) -> commit
// so the facts of a round hold under its fingerprint.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "edges/catalogue/connect.h"
#include "sallyport/flow/catalogue_question.h"
#include "sallyport/node/catalogues.h"

namespace sallyport::edges {

class SideConnection {
 public:
  using ReadCredential = std::function<Result<node::Credential>(const std::string& file)>;

  /// `catalogues` and `credential` outlive this. `key`: of the fingerprint, random, the same for the process.
  SideConnection(flow::CatalogueId id, node::Catalogues& catalogues, const ReadCredential& credential, uint64_t key);

  /// For poll(): -1 and 0 when there is nothing to hear.
  int descriptor() const;
  short events() const;
  /// Monotonic; when on_time() is due.
  int64_t wakes_at_ns() const { return wakes_at_ns_; }

  void on_ready(int64_t now_ns);
  void on_time(int64_t now_ns);
  /// A session looked at `used_ns`, or wants names: a round may be due earlier.
  void on_use(int64_t used_ns, int64_t now_ns);

 private:
  enum class Step : uint8_t { apart, connecting, settling, snapshot, fingerprint, facts, commit, resting };

  bool in_use(int64_t now_ns) const;
  void connect(int64_t now_ns);
  void poll_connect(int64_t now_ns);
  void begin_round(int64_t now_ns);
  void ask(Step step, const std::string& text, int64_t now_ns);
  void ask_facts(int64_t now_ns);
  void flush(int64_t now_ns);
  bool on_result(const PGresult& result, int64_t now_ns);
  void read_facts(const PGresult& result);
  void answered(int64_t now_ns);
  void end_round(int64_t now_ns);
  void fail(Error why, int64_t now_ns);

  const flow::CatalogueId id_;
  node::Catalogues& catalogues_;
  const ReadCredential& read_credential_;
  const std::string fingerprint_sql_;
  Connection connection_;
  Step step_ = Step::apart;
  PostgresPollingStatusType polling_ = PGRES_POLLING_FAILED;
  bool flushing_ = false;
  int64_t wakes_at_ns_ = 0;
  int64_t used_ns_ = 0;
  int64_t rested_at_ns_ = 0;  ///< a round may begin from here on

  std::string snapshot_;     ///< at which `fingerprint_` held; empty: unknown, or says nothing
  std::string fingerprint_;  ///< with the time of the last reload
  std::string logged_;       ///< the trouble that the log has already
  // Of this round:
  int64_t asked_ns_ = 0;
  std::string new_snapshot_, reload_time_, server_;
  std::vector<flow::CatalogueQuestion> questions_;
  size_t question_ = 0;
  bool question_failed_ = false;
  size_t fact_bytes_ = 0;
  node::CatalogueReading reading_;
};

}  // namespace sallyport::edges
