// SPDX-License-Identifier: Apache-2.0
// One helper that checks a decoder the four ways a stream can hurt it: whole, byte by byte, split anywhere, and
// with bytes of something else behind. Used by every codec test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>

namespace sallyport::testing {

/// What a decoder said about an input, in words, so that any decoder fits and a mismatch reads well.
struct Decoded {
  enum class Kind { message, need_more, violation };
  Kind kind = Kind::violation;
  std::string text;         ///< message: what it is; violation: why
  size_t consumed = 0;      ///< message: bytes it takes
  size_t bytes_wanted = 0;  ///< need_more
};
using Decode = std::function<Decoded(std::string_view)>;

/// `bytes` are exactly one message that decodes to `expected`.
inline void check_decode(const Decode& decode, std::string_view bytes, std::string_view expected) {
  const Decoded whole = decode(bytes);
  ASSERT_EQ(whole.kind, Decoded::Kind::message) << whole.text;
  EXPECT_EQ(whole.text, expected);
  EXPECT_EQ(whole.consumed, bytes.size());

  // Every prefix, hence byte by byte and every split in two: need more, wanting no more than there will be.
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of its own, so that a sanitizer sees any read past the end.
    const std::string prefix(bytes.substr(0, size));
    const Decoded part = decode(prefix);
    ASSERT_EQ(part.kind, Decoded::Kind::need_more) << "after " << size << " bytes: " << part.text;
    ASSERT_GT(part.bytes_wanted, size);
    ASSERT_LE(part.bytes_wanted, bytes.size());
  }

  for (std::string_view trailing :
       {std::string_view("\0", 1), std::string_view("Q\0\0\0\5x", 6), std::string_view("\xff")}) {
    const std::string longer = std::string(bytes).append(trailing);
    const Decoded front = decode(longer);
    ASSERT_EQ(front.kind, Decoded::Kind::message) << front.text;
    EXPECT_EQ(front.text, expected);
    EXPECT_EQ(front.consumed, bytes.size()) << "trailing bytes are somebody else's";
  }
}

/// `bytes` must be refused for a reason that contains `why`, and stay refused whatever follows.
inline void check_violation(const Decode& decode, std::string_view bytes, std::string_view why) {
  for (std::string_view trailing : {std::string_view(), std::string_view("\0\0\0\0", 4)}) {
    const Decoded decoded = decode(std::string(bytes).append(trailing));
    ASSERT_EQ(decoded.kind, Decoded::Kind::violation) << decoded.text;
    EXPECT_NE(decoded.text.find(why), std::string::npos) << decoded.text;
  }
}

}  // namespace sallyport::testing
