// SPDX-License-Identifier: Apache-2.0
#include "record/log_format.h"

#include <algorithm>
#include <cstring>

#include "record/crc32c.h"
#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"

namespace sallyport::record {
namespace {

constexpr size_t kCrcBytes = 4;

template <class Array>
void fill(Array& array, std::string_view bytes) {
  if (bytes.size() == array.size()) std::memcpy(array.data(), bytes.data(), bytes.size());
}

std::string_view view(const auto& array) { return {reinterpret_cast<const char*>(array.data()), array.size()}; }

bool checksum_right(std::string_view header) {
  ByteReader crc(header.substr(header.size() - kCrcBytes));
  return crc.u32() == crc32c(header.substr(0, header.size() - kCrcBytes));
}

}  // namespace

void append_segment_header(const SegmentHeader& header, std::string& out) {
  size_t begin = out.size();
  ByteWriter writer(out);
  writer.bytes(kSegmentMagic);
  writer.u16(kSegmentVersion);
  writer.u16(kSegmentHeaderBytes);
  writer.u32(0);  // flags
  writer.bytes(view(header.tag));
  writer.u64(header.number);
  writer.u64(static_cast<uint64_t>(header.created_wall_ns));
  out.resize(begin + kSegmentHeaderBytes - kCrcBytes, '\0');
  writer.u32(crc32c(std::string_view(out).substr(begin)));
}

std::optional<SegmentHeader> read_segment_header(std::string_view bytes) {
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  if (bytes.size() != kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic) || !checksum_right(bytes)) return {};
  ByteReader reader(bytes.substr(kSegmentMagic.size()));
  SegmentHeader header;
  if (reader.u16() != kSegmentVersion || reader.u16() != kSegmentHeaderBytes) return {};
  reader.u32();
  fill(header.tag, reader.take(kTagBytes));
  header.number = reader.u64();
  header.created_wall_ns = static_cast<int64_t>(reader.u64());
  return header;
}

void put_entry_header(const EntryHeader& header, std::string& out, size_t at) {
  std::string bytes;
  bytes.reserve(kEntryHeaderBytes);
  ByteWriter writer(bytes);
  writer.bytes(view(header.tag));
  writer.u16(kEntryHeaderBytes);
  writer.u8(header.type);
  writer.u8(header.encoding);
  writer.u32(header.payload_bytes);
  writer.bytes(view(header.session));
  writer.u64(header.sequence);
  writer.u64(static_cast<uint64_t>(header.wall_ns));
  writer.bytes(view(header.payload_digest));
  bytes.resize(kEntryHeaderBytes - kCrcBytes, '\0');  // previous digest, signature, reserved
  writer.u32(crc32c(bytes));
  out.replace(at, kEntryHeaderBytes, bytes);
}

std::optional<EntryHeader> read_entry_header(std::string_view bytes) {
  bytes = bytes.substr(0, kEntryHeaderBytes);
  if (bytes.size() != kEntryHeaderBytes || !checksum_right(bytes)) return {};
  ByteReader reader(bytes);
  EntryHeader header;
  fill(header.tag, reader.take(kTagBytes));
  if (reader.u16() != kEntryHeaderBytes) return {};
  header.type = reader.u8();
  header.encoding = reader.u8();
  header.payload_bytes = reader.u32();
  fill(header.session, reader.take(header.session.size()));
  header.sequence = reader.u64();
  header.wall_ns = static_cast<int64_t>(reader.u64());
  fill(header.payload_digest, reader.take(kDigestBytes));
  if (header.payload_bytes > limits::kRecordPayloadBytesMax) return {};
  return header;
}

}  // namespace sallyport::record
