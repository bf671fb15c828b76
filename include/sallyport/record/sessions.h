// SPDX-License-Identifier: Apache-2.0
// The log seen as sessions: what `sallyport sessions list|show|replay` prints. Read by going
// through the log; an index may come before this later without changing it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/session.h"
#include "sallyport/record/reader.h"

namespace sallyport::record {

/// `interrupted`: never closed, and the process that recorded it is gone.
enum class SessionState : uint8_t { live, closed, interrupted };
std::string_view to_string(SessionState state);

/// Empty, zero or false means any.
struct SessionFilter {
  std::string id_prefix;
  std::string agent;
  std::string target;
  int64_t since_wall_ns = 0;  ///< sessions opened at or after
  int64_t until_wall_ns = 0;  ///< sessions opened before
  bool live_only = false;
  bool denied_only = false;  ///< with at least one denied operation
  size_t newest = 0;         ///< only so many, the newest; 0: limits::kRecordSessionsListedMax
};

struct SessionSummary {
  model::SessionId id;
  SessionState state = SessionState::interrupted;
  std::optional<model::SessionOpened> opened;  ///< absent when that entry was lost
  int64_t opened_wall_ns = 0;                  ///< when the first entry was written
  int64_t closed_wall_ns = 0;                  ///< 0: not closed
  int64_t last_wall_ns = 0;                    ///< the newest entry
  std::string close_reason;
  uint64_t operations = 0;  ///< the connection itself not counted
  uint64_t denied = 0;      ///< held ones not counted; the connection counts when it was denied
  uint64_t errors = 0;      ///< ended with a SQLSTATE
  uint64_t rows = 0;
  uint64_t bytes_to_agent = 0;
  uint64_t bytes_to_target = 0;
  uint64_t masked_values = 0;
  uint64_t missing = 0;  ///< entries known to be lost or erased: gaps in the sequence
};

struct RecordedOperation {
  int64_t decided_wall_ns = 0;
  model::OperationDecided decided;
  std::vector<model::RowsReturned> rows;  ///< in order
  std::optional<model::OperationEnded> ended;
  int64_t ended_wall_ns = 0;
};

struct SessionDetail {
  SessionSummary summary;
  std::vector<RecordedOperation> operations;  ///< in the order decided
  bool cut = false;                           ///< over limits::kRecordSessionBytesMax: later entries were left out
};

/// Fills in what `decided` says by its `same_as`: `same` is the entry of that operation, complete itself.
void complete(model::OperationDecided& decided, const model::OperationDecided& same);

/// Oldest first. What the reader leaves out goes to `reporter` (may be null).
Result<std::vector<SessionSummary>> list_sessions(const std::string& directory, const SessionFilter& filter,
                                                  Reporter* reporter = nullptr);

/// By id or a prefix that only one session has, either case. The error of an ambiguous prefix names
/// some of the sessions that have it.
Result<SessionDetail> load_session(const std::string& directory, std::string_view id_or_prefix,
                                   Reporter* reporter = nullptr);

}  // namespace sallyport::record
