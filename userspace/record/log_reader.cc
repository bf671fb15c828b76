// SPDX-License-Identifier: Apache-2.0
#include "record/log_reader.h"

#include <algorithm>

#include "record/log_writer.h"
#include "sallyport/base/limits.h"

namespace sallyport::record {
namespace {

constexpr size_t kWindowBytes = 256 << 10;

std::string_view bytes_of(const RunTag& tag) { return {tag.data(), tag.size()}; }

bool is_erased(std::string_view payload) { return payload.find_first_not_of(kErasedByte) == std::string_view::npos; }

}  // namespace

void LogReader::report(uint64_t offset, uint64_t bytes, std::string_view why) {
  if (reporter_ != nullptr && bytes > 0) reporter_->dropped(segment_, offset, bytes, why);
}

/// Up to `size` bytes from `offset`; fewer at the end. Valid until the next call.
Result<std::string_view> LogReader::view(uint64_t offset, size_t size) {
  bool held = offset >= window_at_ && offset + size <= window_at_ + window_.size();
  if (!held) {
    if (auto read = source_.read(offset, std::max(size, kWindowBytes), window_); !read)
      return std::unexpected(read.error());
    window_at_ = offset;
  }
  return std::string_view(window_).substr(offset - window_at_, size);
}

Result<std::optional<RunTag>> LogReader::begin() {
  auto head = view(0, kSegmentHeaderBytes + kEntryHeaderBytes);
  if (!head) return std::unexpected(head.error());
  if (head->size() < kSegmentHeaderBytes) return std::optional<RunTag>();
  if (auto header = read_segment_header(*head)) {
    tag_ = header->tag;
  } else if (auto first = read_entry_header(head->substr(kSegmentHeaderBytes))) {
    report(0, kSegmentHeaderBytes, "segment header");
    tag_ = first->tag;  // the first entry knows it too
  } else if (head->front() == '\0') {
    return std::optional<RunTag>();  // reserved, and not written yet
  } else {
    auto rest = view(0, kWindowBytes);
    report(0, rest ? rest->size() : head->size(), "not a segment, or of a version that is not known");
    return std::optional<RunTag>();
  }
  offset_ = std::max<uint64_t>(offset_, kSegmentHeaderBytes);
  return tag_;
}

/// Where the tag stands next at or behind `from`; nullopt: nowhere yet. `end` is then the end of the file.
Result<std::optional<uint64_t>> LogReader::find_tag(uint64_t from, uint64_t& end) {
  for (uint64_t at = from;;) {
    auto bytes = view(at, kWindowBytes);
    if (!bytes) return std::unexpected(bytes.error());
    const size_t found = bytes->find(bytes_of(*tag_));
    if (found != std::string_view::npos) return at + found;
    end = at + bytes->size();
    if (bytes->size() < kWindowBytes) return std::optional<uint64_t>();
    at += kWindowBytes - (kTagBytes - 1);
  }
}

/// Moves on to the next place at or behind `from` where the tag stands. False: there is none yet;
/// the reader then waits where it could begin.
Result<bool> LogReader::resync(uint64_t from, std::string_view why) {
  uint64_t end = 0;
  const auto found = find_tag(from, end);
  if (!found) return std::unexpected(found.error());
  const uint64_t dropped_from = offset_;
  offset_ = *found ? **found : std::max(from, end - std::min<uint64_t>(end, kTagBytes - 1));
  report(dropped_from, offset_ - dropped_from, why);
  return found->has_value();
}

/// Reads the entry at offset_. True: it is there; false: skipped a damaged place, try again;
/// nullopt: the end, or an entry not yet whole.
Result<std::optional<bool>> LogReader::take(RawEntry& entry, bool with_payload) {
  auto bytes = view(offset_, kEntryHeaderBytes);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() < kEntryHeaderBytes) return std::optional<bool>();
  auto again = [&](uint64_t from, std::string_view why) -> Result<std::optional<bool>> {
    auto found = resync(from, why);
    if (!found) return std::unexpected(found.error());
    return *found ? std::optional<bool>(false) : std::nullopt;
  };
  if (bytes->front() == '\0' && tag_->front() != '\0') {
    // Space reserved and not written yet, unless entries follow.
    uint64_t end = 0;
    const auto found = find_tag(offset_, end);
    if (!found) return std::unexpected(found.error());
    return *found ? again(**found, "no entry here") : std::optional<bool>();
  }
  auto header = read_entry_header(*bytes);
  if (!bytes->starts_with(bytes_of(*tag_)) || !header) {
    return again(offset_ + 1, bytes->starts_with(bytes_of(*tag_)) ? "header checksum" : "no entry here");
  }
  uint64_t payload_at = offset_ + kEntryHeaderBytes;
  entry = {*header, {}, offset_, false};
  size_t wanted = with_payload ? header->payload_bytes : 0;
  auto payload = view(payload_at, wanted);
  if (!payload) return std::unexpected(payload.error());
  if (payload->size() < wanted) {
    // Not all there. If another entry follows nevertheless, bytes are missing in between.
    if (payload->find(bytes_of(*tag_)) == std::string_view::npos) return std::optional<bool>();
    return again(payload_at, "payload cut short");
  }
  if (with_payload) {
    entry.payload = *payload;
    if (payload_digest(*payload) != header->payload_digest) {
      if (!is_erased(*payload)) return again(payload_at, "payload digest");
      entry.erased = true;
    }
  }
  offset_ = payload_at + header->payload_bytes;
  return std::optional<bool>(true);
}

Result<std::optional<RawEntry>> LogReader::next(bool with_payload) {
  if (!tag_) {
    auto tag = begin();
    if (!tag) return std::unexpected(tag.error());
    if (!*tag) return std::optional<RawEntry>();
  }
  bool fresh = false;
  for (;;) {
    RawEntry entry;
    auto taken = take(entry, with_payload);
    if (!taken) return std::unexpected(taken.error());
    if (*taken && **taken) return std::optional<RawEntry>(entry);
    if (*taken) continue;
    if (fresh) return std::optional<RawEntry>();
    fresh = true;  // what is held in memory may be older than the file
    window_.clear();
  }
}

}  // namespace sallyport::record
