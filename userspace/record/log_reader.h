// SPDX-License-Identifier: Apache-2.0
// Finds the entries of one segment, whatever has happened to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "record/log_format.h"
#include "record/segments.h"
#include "sallyport/record/reader.h"

namespace sallyport::record {

/// An entry as it lies there. `payload` holds until the next call to the reader.
struct RawEntry {
  EntryHeader header;
  std::string_view payload;  ///< salt and CBOR
  uint64_t offset = 0;       ///< of the header
  bool erased = false;
};

class LogReader {
 public:
  /// Both outlive the reader; `reporter` may be null. `segment` is for reports.
  LogReader(SegmentSource& source, std::string segment, Reporter* reporter, uint64_t offset = 0)
      : source_(source), segment_(std::move(segment)), reporter_(reporter), offset_(offset) {}

  /// The tag that begins every entry here; nullopt: this is no segment (reported, unless it is only
  /// too short yet).
  Result<std::optional<RunTag>> begin();

  /// The next entry, or nullopt at the end. After that it may be called again: entries written since
  /// are found. `with_payload` false: the payload is neither read nor checked.
  Result<std::optional<RawEntry>> next(bool with_payload = true);

  /// Where next() goes on.
  uint64_t offset() const { return offset_; }

 private:
  Result<std::string_view> view(uint64_t offset, size_t size);
  Result<std::optional<uint64_t>> find_tag(uint64_t from, uint64_t& end);
  Result<bool> resync(uint64_t from, std::string_view why);
  Result<std::optional<bool>> take(RawEntry& entry, bool with_payload);
  void report(uint64_t offset, uint64_t bytes, std::string_view why);

  SegmentSource& source_;
  std::string segment_;
  Reporter* reporter_;
  uint64_t offset_;
  std::optional<RunTag> tag_;
  std::string window_;
  uint64_t window_at_ = 0;
};

}  // namespace sallyport::record
