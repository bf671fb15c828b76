// SPDX-License-Identifier: Apache-2.0
#include "record/log_format.h"

#include <algorithm>
#include <array>
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
  std::array<char, kEntryHeaderBytes> bytes{};  // previous digest, signature, reserved stay zero
  char* next = bytes.data();
  const auto put_bytes = [&](const auto& array) {
    std::memcpy(next, array.data(), array.size());
    next += array.size();
  };
  const auto put = [&](uint64_t value, int width) {
    for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) *next++ = static_cast<char>(value >> shift & 0xff);
  };
  put_bytes(header.tag);
  put(kEntryHeaderBytes, 2);
  put(header.type, 1);
  put(header.encoding, 1);
  put(header.payload_bytes, 4);
  put_bytes(header.session);
  put(header.sequence, 8);
  put(static_cast<uint64_t>(header.wall_ns), 8);
  put_bytes(header.payload_digest);
  next = bytes.data() + kEntryHeaderBytes - kCrcBytes;
  put(crc32c({bytes.data(), kEntryHeaderBytes - kCrcBytes}), 4);
  out.replace(at, kEntryHeaderBytes, bytes.data(), kEntryHeaderBytes);
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
