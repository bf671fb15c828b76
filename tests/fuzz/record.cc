// SPDX-License-Identifier: Apache-2.0
// One segment of the log, of any bytes and of real entries that were damaged. Oracles: what was read and what was
// reported lost lies in the segment, in order; an entry comes out as it was written or not at all; those that the
// damage did not touch all come out; a reader that stops before each entry sees the same.
#include <cstring>

#include "record/log_reader.h"
#include "record/log_writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/record/entries.h"
#include "tests/record/memory_segments.h"

namespace record = sallyport::record;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

struct Found {
  uint64_t offset, bytes;
  std::string payload;
};

std::vector<Found> read_all(const std::string& segment, record::Reports& reports, bool with_payload = true) {
  record::MemorySource source(segment);
  record::LogReader reader(source, "w-1.sprec", &reports);
  std::vector<Found> out;
  uint64_t at = 0;
  while (true) {
    auto entry = reader.next(with_payload);
    must(entry.has_value(), "a segment in memory cannot be read");
    if (!*entry) break;
    const uint64_t bytes = record::kEntryHeaderBytes + (*entry)->header.payload_bytes;
    must((*entry)->offset >= at, "entries overlap");
    at = (*entry)->offset + bytes;
    must(!with_payload || at <= segment.size(), "an entry ends behind the segment");
    out.push_back({(*entry)->offset, bytes, std::string((*entry)->payload)});
    must(out.size() <= segment.size() / record::kEntryHeaderBytes, "more entries than fit");
  }
  for (const auto& drop : reports.drops) must(drop.offset + drop.bytes <= segment.size(), "lost what was not there");
  return out;
}

/// A real segment; its tag is fixed, so that an input means the same each time.
const std::string& written() {
  static const std::string made = [] {
    const record::RunTag tag = {'r', 'u', 'n', 't', 'a', 'g', '0', '1'};
    std::string out;
    record::append_segment_header({tag, 1, record::kWall}, out);
    record::EntryEncoder encoder(tag);
    for (const auto& entry : record::whole_session(record::session_id(1)))
      must(encoder.append(entry, out).has_value(), "cannot write");
    return out;
  }();
  return made;
}

void damaged(Choices& choices) {
  record::Reports none;
  static const std::vector<Found> whole = read_all(written(), none);
  std::string segment = written();
  const size_t cut =
      choices.choose(4) == 1 ? segment.size() - choices.choose(256) * 8 % segment.size() : segment.size();
  std::string untouched(segment.size(), '\1');
  for (int count = 0; count < 16 && !choices.empty(); ++count) {
    const size_t at = (choices.choose(256) * 256 + choices.choose(256)) % segment.size();
    const auto byte = static_cast<char>(choices.choose(256));
    untouched[at] = segment[at] == byte ? untouched[at] : '\0';
    segment[at] = byte;
  }
  segment.resize(cut);
  untouched.resize(cut);
  record::Reports reports;
  const std::vector<Found> found = read_all(segment, reports);
  // Without a header the tag is taken from the first entry: if both are damaged nothing can be found.
  const bool header = record::read_segment_header(segment).has_value();
  const bool readable = header || (!found.empty() || untouched.find('\0', 64) == std::string::npos);
  for (const Found& entry : whole) {
    const bool intact = entry.offset + entry.bytes <= cut &&
                        untouched.substr(entry.offset, entry.bytes).find('\0') == std::string::npos;
    bool there = false;
    for (const Found& each : found) {
      if (each.offset != entry.offset) continue;
      there = true;
      must(each.payload == entry.payload || each.payload.find_first_not_of(record::kErasedByte) == std::string::npos,
           "an entry came out otherwise than it was written");
    }
    must(there || !intact || !readable, "an entry that nothing touched was lost");
  }
}

/// Any bytes behind a header that is right, with entries whose checksums are right where the input asks for them.
void forged(Choices& choices) {
  const std::string_view input = choices.rest();
  const record::RunTag tag = {'r', 'u', 'n', 't', 'a', 'g', '0', '1'};
  std::string segment;
  record::append_segment_header({tag, 1, record::kWall}, segment);
  for (size_t at = 0; at < input.size();) {
    const size_t length = std::min<size_t>(static_cast<uint8_t>(input[at]), input.size() - at - 1);
    const std::string_view bytes = input.substr(at + 1, length);
    at += 1 + length;
    if (length % 2 == 0) {
      segment += bytes;
      continue;
    }
    record::EntryHeader header{.tag = tag, .type = static_cast<uint8_t>(bytes[0]), .sequence = at};
    header.payload_bytes = static_cast<uint32_t>(length + (length % 16 == 1 ? 1000 : 0));  // some lie
    header.payload_digest = record::payload_digest(bytes);
    const size_t begin = segment.size();
    segment.resize(begin + record::kEntryHeaderBytes);
    record::put_entry_header(header, segment, begin);
    segment += bytes;
  }
  record::Reports reports, headers_only;
  read_all(segment, reports);
  read_all(segment, headers_only, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  record::Reports reports;
  switch (choices.choose(3)) {
    case 0:
      damaged(choices);
      break;
    case 1:
      forged(choices);
      break;
    default:
      read_all(std::string(choices.rest()), reports);
  }
  return 0;
}
