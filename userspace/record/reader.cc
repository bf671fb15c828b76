// SPDX-License-Identifier: Apache-2.0
#include "sallyport/record/reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "record/log_reader.h"
#include "record/payload.h"
#include "record/segments.h"
#include "sallyport/record/session_id.h"

namespace sallyport::record {
namespace {

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

/// A filter made ready: compares headers, so that what it turns away is never decoded.
class HeaderFilter {
 public:
  explicit HeaderFilter(const Filter& filter) : prefix_(upper(filter.session_prefix)), filter_(filter) {}

  bool passes(const EntryHeader& header) const {
    if (filter_.since_wall_ns != 0 && header.wall_ns < filter_.since_wall_ns) return false;
    if (filter_.until_wall_ns != 0 && header.wall_ns >= filter_.until_wall_ns) return false;
    return prefix_.empty() || session_id_from_bytes(header.session).starts_with(prefix_);
  }

 private:
  std::string prefix_;
  const Filter& filter_;
};

struct Scan {
  const HeaderFilter& filter;
  const EntryCallback& callback;
  Reporter* reporter;
  std::string_view segment;
  Writer writer;
};

/// False: the callback wants no more.
bool deliver(const RawEntry& raw, const Scan& scan) {
  model::RecordEntry entry;
  entry.session = session_id_from_bytes(raw.header.session);
  entry.sequence = raw.header.sequence;
  entry.wall_ns = raw.header.wall_ns;
  if (raw.erased) {
    if (scan.reporter != nullptr) scan.reporter->erased(scan.segment, raw.offset, entry.session, entry.sequence);
    return true;
  }
  uint64_t whole = kEntryHeaderBytes + raw.header.payload_bytes;
  if (raw.header.encoding != kEncodingCbor1 || raw.payload.size() < kSaltBytes) {
    if (scan.reporter != nullptr) scan.reporter->dropped(scan.segment, raw.offset, whole, "payload encoding");
    return true;
  }
  auto body = read_body(raw.header.type, raw.payload.substr(kSaltBytes));
  if (!body) {
    if (scan.reporter != nullptr) scan.reporter->dropped(scan.segment, raw.offset, whole, body.error().what);
    return true;
  }
  entry.body = std::move(*body);
  return scan.callback(entry, Place{scan.segment, raw.offset, whole, scan.writer});
}

/// Reads a segment from where `reader` stands to its end. False: the callback wants no more.
Result<bool> read_rest(LogReader& reader, const Scan& scan) {
  for (;;) {
    auto raw = reader.next();
    if (!raw) return std::unexpected(raw.error());
    if (!*raw) return true;
    if (scan.filter.passes((*raw)->header) && !deliver(**raw, scan)) return false;
  }
}

/// The segments of a directory, and the runs that still write: a run lives if any of its segments is
/// locked, and only a worker's last one can be.
struct Directory {
  std::vector<SegmentName> segments;
  std::vector<RunTag> running;
};

Result<Directory> look_at(const std::string& path) {
  Directory directory;
  auto segments = list_segments(path);
  if (!segments) return std::unexpected(segments.error());
  directory.segments = std::move(*segments);
  for (size_t i = 0; i < directory.segments.size(); ++i) {
    bool last = i + 1 == directory.segments.size() || directory.segments[i + 1].worker != directory.segments[i].worker;
    if (!last) continue;
    auto source = open_segment(path, directory.segments[i].file);
    if (!source || !(*source)->being_written()) continue;
    LogReader reader(**source, directory.segments[i].file, nullptr);
    if (auto tag = reader.begin(); tag && *tag) directory.running.push_back(**tag);
  }
  return directory;
}

Writer writer_of(const Directory& directory, const std::optional<RunTag>& tag) {
  bool running = tag && std::ranges::find(directory.running, *tag) != directory.running.end();
  return running ? Writer::running : Writer::gone;
}

/// Reads the segment from `offset` on, which is moved to its end. False: no more is wanted.
Result<bool> read_segment(const std::string& path, const Directory& directory, const SegmentName& name,
                          const HeaderFilter& filter, const EntryCallback& callback, Reporter* reporter,
                          uint64_t& offset) {
  auto source = open_segment(path, name.file);
  if (!source) {
    // Removed since the directory was listed: retention is not damage, but it is told.
    if (reporter != nullptr) reporter->dropped(name.file, 0, 0, source.error().what);
    return true;
  }
  LogReader reader(**source, name.file, reporter, offset);
  auto tag = reader.begin();
  if (!tag) return std::unexpected(tag.error());
  if (!*tag) return true;
  auto wants_more = read_rest(reader, {filter, callback, reporter, name.file, writer_of(directory, *tag)});
  offset = reader.offset();
  return wants_more;
}

}  // namespace

Result<void> read_directory(const std::string& path, const Filter& filter, const EntryCallback& callback,
                            Reporter* reporter) {
  auto directory = look_at(path);
  if (!directory) return std::unexpected(directory.error());
  HeaderFilter headers(filter);
  for (const SegmentName& name : directory->segments) {
    uint64_t offset = 0;
    auto wants_more = read_segment(path, *directory, name, headers, callback, reporter, offset);
    if (!wants_more) return std::unexpected(wants_more.error());
    if (!*wants_more) break;
  }
  return {};
}

Result<void> Tail::poll(const EntryCallback& callback, Reporter* reporter) {
  auto directory = look_at(directory_);
  if (!directory) return std::unexpected(directory.error());
  HeaderFilter headers(filter_);
  for (const SegmentName& name : directory->segments) {
    auto wants_more = read_segment(directory_, *directory, name, headers, callback, reporter, offsets_[name.file]);
    if (!wants_more) return std::unexpected(wants_more.error());
    if (!*wants_more) break;
  }
  return {};
}

Result<void> Tail::from_now() {
  Filter none = filter_;
  none.until_wall_ns = 1;  // only headers are read
  std::swap(none, filter_);
  auto done = poll([](const model::RecordEntry&, const Place&) { return true; });
  std::swap(none, filter_);
  return done;
}

Result<void> erase_payload(const std::string& directory, const model::SessionId& session, uint64_t sequence) {
  auto wanted = session_id_bytes(session);
  auto segments = list_segments(directory);
  if (!segments) return std::unexpected(segments.error());
  for (const SegmentName& name : *segments) {
    auto source = open_segment(directory, name.file);
    if (!source) return std::unexpected(source.error());
    LogReader reader(**source, name.file, nullptr);
    for (;;) {
      auto raw = reader.next();
      if (!raw) return std::unexpected(raw.error());
      if (!*raw) break;
      const EntryHeader& header = (*raw)->header;
      if (!wanted || header.session != *wanted || header.sequence != sequence) continue;
      return overwrite_in_segment(directory, name.file, (*raw)->offset + kEntryHeaderBytes,
                                  std::string(header.payload_bytes, kErasedByte));
    }
  }
  return fail(fmt::format("session `{}` has no entry {}", session, sequence));
}

}  // namespace sallyport::record
