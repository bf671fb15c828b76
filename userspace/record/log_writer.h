// SPDX-License-Identifier: Apache-2.0
// Frames entries and writes them in batches. Pure but for its SegmentStore.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "record/log_format.h"
#include "record/segments.h"
#include "sallyport/record/sink.h"

namespace sallyport::record {

/// Frames one entry after another: payload, salt, digest, header.
class EntryEncoder {
 public:
  explicit EntryEncoder(const RunTag& tag) : tag_(tag) {}
  EntryEncoder(const EntryEncoder&) = delete;
  EntryEncoder& operator=(const EntryEncoder&) = delete;

  /// Appends header and payload to `out`. Fails when the session id is no ULID.
  Result<void> append(const model::RecordEntry& entry, std::string& out);

 private:
  struct KnownSession {
    model::SessionId id;
    std::array<uint8_t, 16> bytes{};
  };
  const KnownSession* session(const model::SessionId& id);
  void append_salt(std::string& out);

  RunTag tag_;
  std::string salts_;                            // random bytes not yet used
  std::array<KnownSession, 64> known_sessions_;  // by the last letters of their ids
};

/// SHA-256, for readers.
Digest payload_digest(std::string_view payload);

class LogWriter final : public Sink {
 public:
  LogWriter(std::unique_ptr<SegmentStore> store, size_t segment_bytes_max, bool sync);

  Result<void> append(const model::RecordEntry& entry) override;
  Result<void> flush() override;

  /// Begins the first segment now, so that a directory that cannot be written shows at once.
  Result<void> begin(int64_t wall_ns);

 private:
  Result<void> write_batch();
  Result<void> write_all(std::string_view bytes);
  void cut_tail();
  size_t batch_entries(size_t& bytes) const;

  std::unique_ptr<SegmentStore> store_;
  size_t segment_bytes_max_;
  bool sync_;
  RunTag tag_;
  EntryEncoder encoder_;
  std::string pending_;
  std::vector<uint32_t> lengths_;  // of the entries in pending_ that are not accepted yet
  size_t written_ = 0;             // of pending_, already accepted
  int64_t last_wall_ns_ = 0;
  int64_t checked_wall_ns_ = 0;  // when the segment was last seen in its place
  bool open_ = false;      // a segment is begun and its header accepted
  bool failed_ = false;    // the last flush failed
  uint64_t accepted_ = 0;  // bytes of the segment that are
};

}  // namespace sallyport::record
