// SPDX-License-Identifier: Apache-2.0
// The packets before anything has a type byte: every kind whole and in pieces, every way of being malformed.
#include "sallyport/protocol/postgres/startup.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/protocol/check_decode.h"

namespace sallyport::postgres {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using sallyport::testing::check_decode;
using sallyport::testing::check_violation;
using sallyport::testing::Decoded;

std::string packet_of(std::string_view rest) {
  const size_t length = rest.size() + 4;
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(length >> shift & 0xff));
  return bytes.append(rest);
}

struct Describe {
  Decoded operator()(const SslRequest& packet) const { return message("ssl", packet.raw); }
  Decoded operator()(const GssEncRequest& packet) const { return message("gss", packet.raw); }
  Decoded operator()(const CancelRequest& packet) const {
    return message(fmt::format("cancel {} {}", packet.pid, packet.key), packet.raw);
  }
  Decoded operator()(const StartupMessage& packet) const {
    std::string text = fmt::format("startup {}.{}", packet.major, packet.minor);
    for (const auto& [name, value] : packet.parameters) text += fmt::format(" {}={}", name, value);
    return message(text, packet.raw);
  }
  Decoded operator()(const NeedMore& more) const { return {Decoded::Kind::need_more, "", 0, more.bytes_wanted}; }
  Decoded operator()(const Violation& bad) const { return {Decoded::Kind::violation, bad.why}; }

  static Decoded message(std::string text, std::string_view raw) {
    return {Decoded::Kind::message, std::move(text), raw.size()};
  }
};

Decoded decode(std::string_view input) { return std::visit(Describe{}, next_startup(input)); }

TEST(Startup, EncryptionRequests) {
  check_decode(decode, "\0\0\0\x08\x04\xd2\x16\x2f"sv, "ssl");
  check_decode(decode, "\0\0\0\x08\x04\xd2\x16\x30"sv, "gss");
  check_violation(decode, "\0\0\0\x09\x04\xd2\x16\x2fx"sv, "encryption request of length 9");
}

TEST(Startup, Messages) {
  check_decode(decode, packet_of("\0\3\0\0user\0al\0database\0db\0options\0-c a=b\0\0"sv),
               "startup 3.0 user=al database=db options=-c a=b");
  check_decode(decode, packet_of("\0\3\0\2user\0al\0_pq_.x\0\0\0"sv), "startup 3.2 user=al _pq_.x=");
  check_decode(decode, packet_of("\0\3\x27\x0fuser\0al\0\0"sv), "startup 3.9999 user=al");
  check_decode(decode, packet_of("\0\3\0\0\0"sv), "startup 3.0");
}

TEST(Startup, FindsParameters) {
  const std::string bytes = packet_of("\0\3\0\0user\0al\0database\0\0\0"sv);
  const auto message = std::get<StartupMessage>(next_startup(bytes));
  EXPECT_EQ(message.find("user"), "al");
  EXPECT_EQ(message.find("database"), "");
  EXPECT_FALSE(message.find("replication"));
  EXPECT_EQ(message.version(), kProtocol30);
}

TEST(Startup, RefusesWhatIsMalformed) {
  check_violation(decode, packet_of("\0\3\0\0user\0al\0"sv), "without terminator");
  check_violation(decode, packet_of("\0\3\0\0user"sv), "without terminator");
  check_violation(decode, packet_of("\0\3\0\0user\0al"sv), "has no value");
  check_violation(decode, packet_of("\0\3\0\0user\0al\0\0x"sv), "behind its terminator");
  check_violation(decode, packet_of("\0\3\0\0user\0al\0user\0eve\0\0"sv), "named twice");
  check_violation(decode, packet_of("\0\3\0\0"sv), "without terminator");
  check_violation(decode, packet_of("\0\2\0\0\0"sv), "protocol 2.0");
  check_violation(decode, packet_of("\x04\xd2\x16\x31"sv), "only 3.x is spoken");
}

TEST(Startup, BoundsTheLength) {
  check_violation(decode, "\0\0\0\0"sv, "length 0");
  check_violation(decode, "\0\0\0\7"sv, "length 7");
  check_violation(decode, "\x16\3\1\2"sv, "startup packet of length");
  std::string largest = "\0\3\0\0user\0"s;
  largest.append(limits::kPgStartupBytesMax - largest.size() - 2, 'a').append(2, '\0');
  EXPECT_EQ(decode(packet_of(largest)).kind, Decoded::Kind::message);
  EXPECT_EQ(decode(packet_of(largest + "x")).kind, Decoded::Kind::violation);
}

TEST(Startup, CancelKeys) {
  check_decode(decode,
               packet_of("\x04\xd2\x16\x2e\0\0\x01\x02"
                         "abcd"sv),
               "cancel 258 abcd");
  const std::string head = "\x04\xd2\x16\x2e\0\0\x01\x02"s;
  check_decode(decode, packet_of(head + std::string(256, 'k')), "cancel 258 " + std::string(256, 'k'));
  check_violation(decode, packet_of(head + "abc"), "CancelRequest of 15 bytes");
  check_violation(decode, packet_of(head + std::string(257, 'k')), "CancelRequest of 269 bytes");
}

}  // namespace
}  // namespace sallyport::postgres
