// SPDX-License-Identifier: Apache-2.0
// Frames of both directions: cut right however the bytes come, bounded by type, refused as early as can be.
#include "sallyport/protocol/postgres/frame.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/protocol/postgres/messages.h"
#include "tests/protocol/check_decode.h"

namespace sallyport::postgres {
namespace {

using namespace std::string_view_literals;
using sallyport::testing::check_decode;
using sallyport::testing::check_violation;
using sallyport::testing::Decoded;

std::string frame_of(char type, size_t length) {
  std::string bytes(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(length >> shift & 0xff));
  return bytes;
}

Decoded decode(Side side, std::string_view input) {
  auto result = FrameReader(side).next(input);
  if (auto* more = std::get_if<NeedMore>(&result)) return {Decoded::Kind::need_more, "", 0, more->bytes_wanted};
  if (auto* bad = std::get_if<Violation>(&result)) return {Decoded::Kind::violation, bad->why};
  if (auto* large = std::get_if<Large>(&result))
    return {Decoded::Kind::message, fmt::format("large {}", large->header.type), large->header.frame_bytes()};
  const Frame& frame = std::get<Frame>(result);
  EXPECT_EQ(frame.raw.data(), input.data()) << "a frame borrows, it does not copy";
  EXPECT_EQ(frame.raw.substr(kFrameHeaderBytes), frame.body);
  return {Decoded::Kind::message, fmt::format("{} {}", type_name(side, frame.type), frame.body), frame.raw.size()};
}
Decoded decode_agent(std::string_view input) { return decode(Side::agent, input); }
Decoded decode_server(std::string_view input) { return decode(Side::server, input); }

TEST(FrameReader, CutsFrames) {
  check_decode(decode_agent, "Q\0\0\0\x0dselect 1\0"sv, "Query select 1\0"sv);
  check_decode(decode_agent, "S\0\0\0\4"sv, "Sync ");
  check_decode(decode_server, "Z\0\0\0\5I"sv, "ReadyForQuery I");
  check_decode(decode_server, "D\0\0\0\x0b\0\1\0\0\0\1x"sv, "DataRow \0\1\0\0\0\1x"sv);
}

TEST(FrameReader, TheTwoSidesHaveTheirOwnTypes) {
  check_decode(decode_agent, "D\0\0\0\6S\0"sv, "Describe S\0"sv);
  check_decode(decode_server, "S\0\0\0\6a\0"sv, "ParameterStatus a\0"sv);
  check_violation(decode_agent, "Z", "0x5a, which does not exist");
  check_violation(decode_server, "Q", "0x51, which does not exist");
}

TEST(FrameReader, EveryByteIsATypeOrRefusedAtOnce) {
  for (int byte = 0; byte < 256; ++byte) {
    const char type = static_cast<char>(byte);
    for (const auto& [side, types] :
         {std::pair(Side::agent, frontend::kTypes), std::pair(Side::server, backend::kTypes)}) {
      const bool exists = types.find(type) != std::string_view::npos;
      const Decoded decoded = decode(side, std::string_view(&type, 1));
      EXPECT_EQ(decoded.kind, exists ? Decoded::Kind::need_more : Decoded::Kind::violation) << byte;
      EXPECT_EQ(frame_bytes_max(side, type) > 0, exists) << byte;
      EXPECT_EQ(type_name(side, type) != "unknown message", exists) << byte;
    }
  }
}

TEST(FrameReader, RefusesALengthThatLeavesNoRoomForItself) {
  for (size_t length = 0; length < 4; ++length)
    check_violation(decode_agent, frame_of('Q', length), "less than the length field itself");
  check_violation(decode_agent, frame_of('Q', 0xffffffff), "over the limit");
  check_violation(decode_server, frame_of('D', 0x80000000), "over the limit");
}

TEST(FrameReader, EveryTypeHasItsLimitAndReachesIt) {
  for (const auto& [side, types] :
       {std::pair(Side::agent, frontend::kTypes), std::pair(Side::server, backend::kTypes)}) {
    for (char type : types) {
      const size_t length_max = frame_bytes_max(side, type) - 1;
      EXPECT_NE(decode(side, frame_of(type, length_max)).kind, Decoded::Kind::violation) << type;
      EXPECT_EQ(decode(side, frame_of(type, length_max + 1)).kind, Decoded::Kind::violation) << type;
    }
  }
  EXPECT_EQ(frame_bytes_max(Side::agent, 'p'), limits::kPgAuthMessageBytesMax + kFrameHeaderBytes);
  EXPECT_EQ(frame_bytes_max(Side::agent, 'E'), limits::kPgSmallMessageBytesMax + kFrameHeaderBytes);
  EXPECT_EQ(frame_bytes_max(Side::agent, 'B'), limits::kPgMessageBytesMax + kFrameHeaderBytes);
}

TEST(FrameReader, WhatIsTooLargeToHoldIsSaidSoFromTheHeaderAlone) {
  const size_t held = limits::kPgBufferedMessageBytesMax + 4;
  EXPECT_EQ(decode_agent(frame_of('B', held)).kind, Decoded::Kind::need_more);
  EXPECT_EQ(decode_agent(frame_of('B', held + 1)).text, "large B");
  std::string whole = frame_of('d', held + 1);
  whole.append(held + 1 - 4, 'x');
  EXPECT_EQ(decode_server(whole).text, "large d") << "the same, though all of it is there";
}

TEST(PassThrough, CountsOffWhatBelongsToTheMessage) {
  PassThrough rest(7);
  EXPECT_EQ(rest.take("abc"), "abc");
  EXPECT_EQ(rest.take(""), "");
  EXPECT_EQ(rest.take("defgQQQ"), "defg");
  EXPECT_TRUE(rest.done());
  EXPECT_EQ(rest.take("QQQ"), "");
}

}  // namespace
}  // namespace sallyport::postgres
