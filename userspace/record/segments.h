// SPDX-License-Identifier: Apache-2.0
// All that the log needs of a file system, so that the rest of it is pure. On disk: file_sink.cc; in
// memory: tests/record/memory_segments.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::record {

/// The segment being written by one worker, and the way to the next.
class SegmentStore {
 public:
  virtual ~SegmentStore() = default;
  /// Gives the present segment up and begins the next, empty. Its number.
  virtual Result<uint64_t> begin() = 0;
  /// Removes the segment begun last, in which nothing was accepted.
  virtual void discard() = 0;
  /// Appends all of `bytes`, at least one, or none of them. A reader sees the first byte last: zero until the rest is
  /// there.
  virtual Result<void> write(std::string_view bytes) = 0;
  virtual Result<void> truncate(uint64_t size) = 0;
  virtual Result<void> sync() = 0;
  /// Is the segment still where a reader finds it?
  virtual Result<void> check() = 0;
};

/// One segment to be read.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  /// Up to `size` bytes from `offset` into `out`, which is replaced; fewer only at the end.
  virtual Result<void> read(uint64_t offset, size_t size, std::string& out) = 0;
  /// Does a process hold it open for writing?
  virtual bool being_written() = 0;
};

/// `<worker>-<number>.sprec`
struct SegmentName {
  std::string worker;
  uint64_t number = 0;
  std::string file;
};

std::string segment_file_name(std::string_view worker, uint64_t number);
/// False: not a segment's name.
bool parse_segment_file_name(std::string_view file, SegmentName& name);

// --- Directories (file_sink.cc) ---

/// By worker, then number.
Result<std::vector<SegmentName>> list_segments(const std::string& directory);
Result<std::unique_ptr<SegmentSource>> open_segment(const std::string& directory, const std::string& file);
/// Overwrites bytes of a finished or live segment in place.
Result<void> overwrite_in_segment(const std::string& directory, const std::string& file, uint64_t offset,
                                  std::string_view bytes);

}  // namespace sallyport::record
