// SPDX-License-Identifier: Apache-2.0
// First bytes as real clients send them, each growing byte by byte: the answer comes late rather than wrong, and
// once given never changes.
#include "sallyport/protocol/detect.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::detect {
namespace {

using namespace std::string_view_literals;

/// The answer once all of `bytes` are there; on the way only need_more or that answer.
Protocol detect_growing(std::string_view bytes) {
  Protocol answer = Protocol::need_more;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const Protocol now = detect(std::string(bytes.substr(0, size)));
    if (answer != Protocol::need_more) {
      EXPECT_EQ(now, answer) << "changed its mind at byte " << size;
    }
    answer = now;
  }
  return answer;
}

TEST(Detect, PostgresStartupPackets) {
  EXPECT_EQ(detect_growing("\0\0\0\x08\x04\xd2\x16\x2f"sv), Protocol::postgres) << "SSLRequest";
  EXPECT_EQ(detect_growing("\0\0\0\x08\x04\xd2\x16\x30"sv), Protocol::postgres) << "GSSENCRequest";
  EXPECT_EQ(detect_growing("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1abcd"sv), Protocol::postgres) << "CancelRequest";
  EXPECT_EQ(detect_growing("\0\0\0\x17\0\3\0\0user\0postgres\0\0"sv), Protocol::postgres) << "3.0";
  EXPECT_EQ(detect_growing("\0\0\0\x17\0\3\0\2user\0postgres\0\0"sv), Protocol::postgres) << "3.2";
  EXPECT_EQ(detect_growing("\0\0\0\x17\0\2\0\0"sv), Protocol::unknown) << "2.0";
}

TEST(Detect, Tls) {
  EXPECT_EQ(detect_growing("\x16\3\1\2\0\1\0\1\xfc\3\3"sv), Protocol::tls) << "ClientHello";
  EXPECT_EQ(detect_growing("\x16\3\1\2\0\2\0\1\xfc\3\3"sv), Protocol::unknown) << "ServerHello from a client";
  EXPECT_EQ(detect_growing("\x16\3\1\x60\0\1"sv), Protocol::unknown) << "record too long";
  EXPECT_EQ(detect_growing("\x15\3\1\0\2\1\0"sv), Protocol::unknown) << "alert";
}

TEST(Detect, Http) {
  EXPECT_EQ(detect_growing("GET / HTTP/1.1\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("POST /v1/pay HTTP/1.1\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("PUT /x HTTP/1.1\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("PATCH /x HTTP/1.1\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("CONNECT db:5432 HTTP/1.1\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv), Protocol::http);
  EXPECT_EQ(detect_growing("GETS / HTTP/1.1\r\n"sv), Protocol::unknown);
}

TEST(Detect, SshAndTheRest) {
  EXPECT_EQ(detect_growing("SSH-2.0-OpenSSH_9.2\r\n"sv), Protocol::ssh);
  EXPECT_EQ(detect_growing("EHLO example.com\r\n"sv), Protocol::unknown);
  EXPECT_EQ(detect_growing("\xff\xff\xff\xff"sv), Protocol::unknown);
  EXPECT_EQ(detect(""), Protocol::need_more);
}

TEST(Detect, NeverWaitsBeyondItsLimit) {
  // Every first byte, followed by every other byte in turn: kDetectBytesMax bytes always suffice.
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string bytes(kDetectBytesMax, static_cast<char>(second));
      bytes[0] = static_cast<char>(first);
      ASSERT_NE(detect(bytes), Protocol::need_more) << first << " " << second;
    }
  }
}

}  // namespace
}  // namespace sallyport::detect
