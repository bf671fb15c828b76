// SPDX-License-Identifier: Apache-2.0
// The smallest parts: bounded reading, the input buffer, secrets that do not print.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/base/bytes.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"
#include "sallyport/base/secret.h"
#include "sallyport/base/stream_buffer.h"

namespace sallyport {
namespace {

using namespace std::string_view_literals;

TEST(ByteReader, ReadsNetworkOrderAndFailsForGood) {
  ByteReader reader("\x01\x02\x03\x04" "ab\0z"sv);
  EXPECT_EQ(reader.u32(), 0x01020304u);
  EXPECT_EQ(reader.c_string(), "ab");
  EXPECT_EQ(reader.u16(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0u) << "a failed reader gives nothing, though a byte was left";
}

TEST(ByteWriter, PatchesALengthLater) {
  std::string out;
  ByteWriter writer(out);
  writer.u32(0);
  writer.c_string("hi");
  writer.patch_u32(0, static_cast<uint32_t>(out.size()));
  EXPECT_EQ(out, "\0\0\0\x07hi\0"sv);
}

TEST(StreamBuffer, ConsumesFromTheFront) {
  StreamBuffer buffer;
  buffer.append("abcdef");
  buffer.consume(4);
  EXPECT_EQ(buffer.readable(), "ef");
  buffer.append("gh");
  EXPECT_EQ(buffer.readable(), "efgh");
  buffer.consume(4);
  buffer.release_if_empty();
  EXPECT_TRUE(buffer.empty());
}

TEST(Secret, PrintsAsAWord) {
  const Secret secret("hunter2");
  EXPECT_EQ(fmt::format("{}", secret), "<secret>");
  EXPECT_TRUE(secret.equals("hunter2"));
  EXPECT_FALSE(secret.equals("hunter3"));
}

TEST(Secret, MoveLeavesNothingBehind) {
  Secret from("short");
  Secret to(std::move(from));
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(to.reveal(), "short");
}

TEST(Secret, IsWipedAtItsEnd) {
  alignas(Secret) char place[sizeof(Secret)];
  auto* secret = new (place) Secret("hunter2");  // short enough to lie within the object
  ASSERT_NE(std::string_view(place, sizeof place).find("hunter2"), std::string_view::npos);
  secret->~Secret();
  EXPECT_EQ(std::string_view(place, sizeof place).find("hunter2"), std::string_view::npos);
  EXPECT_EQ(std::string_view(place, sizeof place).find("unter2"), std::string_view::npos);

  std::string heap(100, 's');
  const std::string_view was = heap;
  wipe(heap);
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(was.find('s'), std::string_view::npos) << "the buffer is kept, its bytes are not";
}

TEST(Log, EscapesWhatAPeerSent) {
  EXPECT_EQ(printable("a\x1b[31m\"\n"), "a\\x1b[31m\\\"\\x0a");
  EXPECT_EQ(printable("abcdef", 3), "abc... (6 bytes)");
}

TEST(Clock, FormatsUtc) { EXPECT_EQ(format_time(1'700'000'000'123'000'000), "2023-11-14T22:13:20.123Z"); }

}  // namespace
}  // namespace sallyport
