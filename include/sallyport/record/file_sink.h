// SPDX-License-Identifier: Apache-2.0
// The log on disk: segments `<worker>-<number>.sprec` in one directory, format in
// docs/formats/record.md. A segment is only ever appended to, by one process, and never re-opened
// for writing: each start begins a new one. Files are 0600, the directory 0700.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "sallyport/base/limits.h"
#include "sallyport/record/sink.h"

namespace sallyport::record {

struct FileSinkOptions {
  std::string directory;
  std::string worker = "w0";  ///< [a-z0-9]+, one sink at a time per name and directory
  bool fsync = false;         ///< fdatasync before flush() returns: durable, not only accepted
  int64_t now_wall_ns = 0;    ///< noted in the first segment's header
  size_t segment_bytes_max = limits::kRecordSegmentBytesMax;
};

/// Makes the directory if it is missing and proves that a segment can be begun there. After a write
/// fails (disk full, I/O error, segment or directory removed) the half-written tail is cut off; if
/// even that fails the segment is given up, and the next flush begins another.
Result<std::unique_ptr<Sink>> make_file_sink(FileSinkOptions options);

}  // namespace sallyport::record
