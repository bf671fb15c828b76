// SPDX-License-Identifier: Apache-2.0
// Reads the log, live or finished, whole or damaged. A damaged place costs what stands there and no
// more: the reader finds the next entry, says what it left out, and goes on. An entry that ends
// behind the end of the file is not damage: it is being written, or its writer died.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/model/session.h"

namespace sallyport::record {

/// Told about what could not be read.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// `bytes` from `offset` on were left out. `why`: "header checksum", "payload digest", …
  virtual void dropped(std::string_view segment, uint64_t offset, uint64_t bytes, std::string_view why) = 0;
  /// The payload was erased on purpose: header and digest are still valid.
  virtual void erased(std::string_view segment, uint64_t offset, const model::SessionId& session,
                      uint64_t sequence) = 0;
};

/// Empty or zero means any.
struct Filter {
  std::string session_prefix;  ///< letters of an id, either case
  int64_t since_wall_ns = 0;   ///< entries written at or after
  int64_t until_wall_ns = 0;   ///< entries written before
};

/// Is the process that wrote an entry still writing?
enum class Writer : uint8_t { running, gone };

/// What is known about an entry besides its content; views hold during the callback.
struct Place {
  std::string_view segment;  ///< file name
  uint64_t offset = 0;
  uint64_t bytes = 0;  ///< header and payload
  Writer writer = Writer::gone;
};

/// Return false to stop.
using EntryCallback = std::function<bool(const model::RecordEntry& entry, const Place& place)>;

/// Every entry that the filter lets through, worker by worker, each worker's in the order written.
/// Entries of one session are always in order. Fails only when the directory cannot be read.
/// `reporter` may be null.
Result<void> read_directory(const std::string& directory, const Filter& filter, const EntryCallback& callback,
                            Reporter* reporter = nullptr);

/// Follows a log that is being written: each poll() gives what came since the last.
class Tail {
 public:
  Tail(std::string directory, Filter filter) : directory_(std::move(directory)), filter_(std::move(filter)) {}

  /// Gives what came since; from_now() first leaves out what is already there.
  Result<void> poll(const EntryCallback& callback, Reporter* reporter = nullptr);
  Result<void> from_now();

 private:
  std::string directory_;
  Filter filter_;
  std::map<std::string, uint64_t, std::less<>> offsets_;  ///< by segment: first byte not yet read
};

/// Overwrites the payload of one entry, keeping header and digest valid: erasure. Fails when there
/// is no such entry. The bytes are gone from the file, not from backups or the disk's spare blocks.
Result<void> erase_payload(const std::string& directory, const model::SessionId& session, uint64_t sequence);

}  // namespace sallyport::record
