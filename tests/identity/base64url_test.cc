// SPDX-License-Identifier: Apache-2.0
#include "identity/base64url.h"

#include <gtest/gtest.h>

#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

TEST(Base64url, DecodesWhatItEncodes) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64url(test::encode_base64url(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  // RFC 7515 appendix C
  EXPECT_EQ(decode_base64url("A-z_4ME"), std::string("\x03\xec\xff\xe0\xc1", 5));
}

TEST(Base64url, OnlyTheCanonicalForm) {
  for (const char* text :
       {"A", "AAAAA", "AA==", "AAA=", "AB", "AAB", "AA A", "AAA\n", "A+zA", "A/zA", "AA.A", "\xc3\xa4"})
    EXPECT_FALSE(decode_base64url(text)) << text;
  EXPECT_FALSE(decode_base64url(std::string_view("AA\0A", 4)));
}

}  // namespace
}  // namespace sallyport::identity
