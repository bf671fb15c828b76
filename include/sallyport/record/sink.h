// SPDX-License-Identifier: Apache-2.0
// Where record entries go. Entries are gathered by append() and accepted by flush(), once per loop
// turn, before that turn's sends (DESIGN.md 9). One sink per worker thread; not thread-safe.
#pragma once

#include "sallyport/base/result.h"
#include "sallyport/model/session.h"

namespace sallyport::record {

class Sink {
 public:
  virtual ~Sink() = default;

  /// Takes the entry into memory. Fails when limits::kRecordPendingBytesMax are waiting because
  /// flush() could not write, or when the session id is no ULID: the entry is then not taken, and
  /// what it was to record must not happen.
  virtual Result<void> append(const model::RecordEntry& entry) = 0;

  /// Everything appended is accepted (the write returned; with fsync set, also durable), or an
  /// error: then nothing of what was pending may be acted on. It stays pending, and each later
  /// flush() tries again, so the log holds it once space or directory is back.
  virtual Result<void> flush() = 0;
};

}  // namespace sallyport::record
