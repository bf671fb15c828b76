// SPDX-License-Identifier: Apache-2.0
// The log's bytes: constants, and the two headers. docs/formats/record.md has the grammar and says
// why. All integers are big-endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::record {

inline constexpr std::string_view kSegmentMagic{"SPREC\r\n\x1a", 8};
inline constexpr uint16_t kSegmentVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 64;

inline constexpr size_t kEntryHeaderBytes = 192;
inline constexpr size_t kTagBytes = 8;
inline constexpr size_t kDigestBytes = 32;
inline constexpr size_t kSignatureBytes = 64;
inline constexpr size_t kSaltBytes = 16;
inline constexpr uint8_t kEncodingCbor1 = 1;
inline constexpr char kErasedByte = '\xf7';  ///< CBOR "undefined": no payload of ours begins with it
inline constexpr std::string_view kSegmentSuffix = ".sprec";

/// Random, drawn once by each process that writes. Begins every entry, so that no bytes of an agent,
/// who cannot know it, can pose as one.
using RunTag = std::array<char, kTagBytes>;
using Digest = std::array<char, kDigestBytes>;

enum class EntryType : uint8_t {
  session_opened = 1,
  operation_decided = 2,
  rows_returned = 3,
  operation_ended = 4,
  session_closed = 5,
};

struct SegmentHeader {
  RunTag tag{};
  uint64_t number = 0;
  int64_t created_wall_ns = 0;
};

struct EntryHeader {
  RunTag tag{};
  uint8_t type = 0;  ///< an EntryType, or one of a later version
  uint8_t encoding = kEncodingCbor1;
  uint32_t payload_bytes = 0;
  std::array<uint8_t, 16> session{};
  uint64_t sequence = 0;
  int64_t wall_ns = 0;
  Digest payload_digest{};
};

void append_segment_header(const SegmentHeader& header, std::string& out);
/// nullopt: not a segment of a version that is known, or damaged.
std::optional<SegmentHeader> read_segment_header(std::string_view bytes);

/// Writes kEntryHeaderBytes at `out[at]`, which are there.
void put_entry_header(const EntryHeader& header, std::string& out, size_t at);
/// nullopt: fewer than kEntryHeaderBytes, checksum wrong, or payload longer than the limit.
std::optional<EntryHeader> read_entry_header(std::string_view bytes);

}  // namespace sallyport::record
