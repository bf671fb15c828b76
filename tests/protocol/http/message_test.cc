// SPDX-License-Identifier: Apache-2.0
// Heads and bodies of HTTP/1.1: whole, split at every byte, and everything that two parsers could read differently.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "sallyport/protocol/http/body.h"
#include "tests/protocol/check_decode.h"

namespace sallyport::http {
namespace {

using sallyport::testing::check_decode;
using sallyport::testing::check_violation;
using sallyport::testing::Decoded;
using Kind = Framing::Kind;

std::string in_words(const Framing& framing) {
  switch (framing.kind) {
    case Kind::none:
      return "none";
    case Kind::length:
      return fmt::format("length {}", framing.length);
    case Kind::chunked:
      return "chunked";
    case Kind::until_close:
      return "until close";
  }
  return "?";
}

std::string in_words(std::span<const Field> fields) {
  std::string out;
  for (const Field& field : fields) out += fmt::format("|{}={}", field.name, field.value);
  return out;
}

/// How much a head still wants is not known before its end is seen: one byte more, always.
Decoded wants_more(std::string_view input) {
  return {.kind = Decoded::Kind::need_more, .text = "", .bytes_wanted = input.size() + 1};
}

Decoded request(std::string_view input) {
  auto next = next_request(input);
  if (std::holds_alternative<NeedMore>(next)) return wants_more(input);
  if (auto* wrong = std::get_if<Violation>(&next))
    return {.kind = Decoded::Kind::violation, .text = fmt::format("{} {}", wrong->status, wrong->why)};
  const auto& head = std::get<RequestHead>(next);
  return {.kind = Decoded::Kind::message,
          .text = fmt::format("{} {} 1.{}{} {}", head.method, head.target, head.minor, in_words(head.fields),
                              in_words(head.body)),
          .consumed = head.raw.size()};
}

Decoded response_to(std::string_view input, bool to_head) {
  auto next = next_response(input, to_head);
  if (std::holds_alternative<NeedMore>(next)) return wants_more(input);
  if (auto* wrong = std::get_if<Violation>(&next))
    return {.kind = Decoded::Kind::violation, .text = fmt::format("{} {}", wrong->status, wrong->why)};
  const auto& head = std::get<ResponseHead>(next);
  return {.kind = Decoded::Kind::message,
          .text = fmt::format("{} {} 1.{}{} {}", head.status, head.reason, head.minor, in_words(head.fields),
                              in_words(head.body)),
          .consumed = head.raw.size()};
}
Decoded response(std::string_view input) { return response_to(input, false); }

TEST(HttpRequestHead, IsTakenApart) {
  check_decode(request, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1|Host=a none");
  check_decode(request, "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 none");
  check_decode(request, "\r\nGET /a?b=c HTTP/1.1\r\nHost:a\r\nX: \t b  c \t\r\nY:\r\n\r\n",
               "GET /a?b=c 1.1|Host=a|X=b  c|Y= none");
  check_decode(request, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "POST / 1.1|Content-Length=5 length 5");
  check_decode(request, "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "POST / 1.1|content-length=0 none");
  check_decode(request, "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
               "POST / 1.1|Transfer-Encoding=Chunked chunked");
  check_decode(request, "OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1.1 none");
  check_decode(request, "CONNECT a:443 HTTP/1.1\r\n\r\n", "CONNECT a:443 1.1 none");
  check_decode(request, "GET http://a/ HTTP/1.1\r\nX: caf\xc3\xa9\r\n\r\n", "GET http://a/ 1.1|X=caf\xc3\xa9 none");
}

TEST(HttpResponseHead, IsTakenApart) {
  check_decode(response, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "200 OK 1.1|Content-Length=3 length 3");
  check_decode(response, "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n",
               "200  1.1|Transfer-Encoding=chunked chunked");
  check_decode(response, "HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found 1.0 until close");
  check_decode(response, "HTTP/1.1 100 Continue\r\n\r\n", "100 Continue 1.1 none");
  check_decode(response, "HTTP/1.1 204 No Content\r\n\r\n", "204 No Content 1.1 none");
  check_decode(response, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
               "304 Not Modified 1.1|Content-Length=9 none");
  check_decode([](std::string_view input) { return response_to(input, true); },
               "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "200 OK 1.1|Content-Length=9 none");
}

/// Everything here is read in another way by some server or proxy that was found in the field.
TEST(HttpSmuggling, IsRefused) {
  const std::pair<const char*, const char*> rows[] = {
      // two framings, or none that is sure
      {"Content-Length: 5\r\nTransfer-Encoding: chunked", "400"},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5", "400"},
      {"Content-Length: 5\r\nContent-Length: 5", "two Content-Length"},
      {"Content-Length: 5\r\nContent-Length: 6", "400"},
      {"Content-Length: 5, 5", "no number"},
      {"Content-Length: +5", "400"},
      {"Content-Length: -5", "400"},
      {"Content-Length: 0x5", "400"},
      {"Content-Length: 5a", "400"},
      {"Content-Length: ", "400"},
      {"Content-Length: 5 5", "400"},
      {"Content-Length: 99999999999999999999", "400"},
      {"Content-Length: 1000000000000000000", "no number"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "400"},
      {"Transfer-Encoding: gzip, chunked", "501 a Transfer-Encoding other than chunked"},
      {"Transfer-Encoding: chunked, identity", "501"},
      {"Transfer-Encoding: xchunked", "501"},
      {"Transfer-Encoding: identity", "501"},
      {"Transfer-Encoding: ", "501"},
      {"Transfer-Encoding: \"chunked\"", "501"},
      {"Transfer-Encoding: chunked;q=1", "501"},
      {"Transfer-Encoding: xchunked\r\nContent-Length: 5", "both Content-Length and Transfer-Encoding"},
      {"Transfer_Encoding: chunked", "a field named Transfer_Encoding"},
      {"content_length: 5", "a field named content_length"},
      {"Ho_st: a", nullptr},
      // names and lines
      {"Transfer-Encoding : chunked", "400"},
      {"Content-Length : 5", "400"},
      {" Host: a", "a folded header line"},
      {"X: a\r\n b", "a folded header line"},
      {"X: a\r\n\tTransfer-Encoding: chunked", "a folded header line"},
      {": a", "400"},
      {"X", "400"},
      {"X\xc3: a", "400"},
      {"X(: a", "400"},
      {"X: a\nY: b", "a line that ends without CR"},
      {"X: a\rY: b", "a CR without LF"},
      {"X: a\r\r\nY: b", "a CR without LF"},
      {"X: a\x01", "a control character"},
      {"X: a\x7f", "a control character"},
      {"X\x0b: a", "a control character"},
  };
  for (const auto& [fields, why] : rows) {
    const std::string text = fmt::format("POST / HTTP/1.1\r\n{}\r\n\r\n", fields);
    if (why)
      check_violation(request, text, why);
    else
      EXPECT_EQ(request(text).kind, Decoded::Kind::message) << text;
  }
  check_violation(request, std::string_view("POST / HTTP/1.1\r\nX: a\0b\r\n\r\n", 27), "a control character");
  check_violation(request, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0");
}

TEST(HttpSmuggling, StartLinesHaveOneReading) {
  const std::pair<const char*, const char*> rows[] = {
      {"GET / HTTP/2.0", "505"},  {"PRI * HTTP/2.0", "505"},    {"GET / HTTP/1.2", "505"},  {"GET / http/1.1", "505"},
      {"GET /", "400"},           {"GET  / HTTP/1.1", "400"},   {"GET /  HTTP/1.1", "505"}, {"GET\t/ HTTP/1.1", "400"},
      {"GET / HTTP/1.1 ", "505"}, {" GET / HTTP/1.1", "400"},   {"G@T / HTTP/1.1", "400"},  {"GET / HTTP/1.10", "505"},
      {"GET / HTTP/01.1", "505"}, {"GET /a b HTTP/1.1", "505"}, {"GET / HTTP/1,1", "505"},
  };
  for (const auto& [line, why] : rows) check_violation(request, fmt::format("{}\r\nHost: a\r\n\r\n", line), why);
  check_violation(request, "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "400");
  check_violation(request, "\nGET / HTTP/1.1\r\n\r\n", "without CR");
  check_violation(request, "\x16\x03\x01", "control character");
  for (const char* line : {"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/2 200 OK", "HTTP/1.1 099 A",
                           "HTTP/1.1 200", "ICY 200 OK", " HTTP/1.1 200 OK"})
    EXPECT_EQ(response(fmt::format("{}\r\n\r\n", line)).kind, Decoded::Kind::violation) << line;
  check_violation(response, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "without a body");
  check_violation(response, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400");
  check_violation(response, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400");
}

TEST(HttpLimits, OfHeads) {
  const std::string start = "GET / HTTP/1.1\r\n";
  const std::string long_head = start + "X: " + std::string(limits::kHttpHeadBytesMax, 'a');
  check_violation(request, long_head, "431 more bytes");
  std::string fits = start + "X: ";
  fits.resize(limits::kHttpHeadBytesMax - 4, 'a');
  EXPECT_EQ(request(fits + "\r\n\r\n").kind, Decoded::Kind::message);
  std::string fields = start;
  for (size_t i = 0; i < limits::kHttpFieldsMax; ++i) fields += "X: a\r\n";
  EXPECT_EQ(request(fields + "\r\n").kind, Decoded::Kind::message);
  check_violation(request, fields + "X: a\r\n\r\n", "431 more header fields");
  const std::string target(limits::kHttpTargetBytesMax, '/');
  EXPECT_EQ(request("GET " + target + " HTTP/1.1\r\n\r\n").kind, Decoded::Kind::message);
  check_violation(request, "GET " + target + "/ HTTP/1.1\r\n\r\n", "414");
}

// ---------------------------------------------------------------- bodies

/// What a reader makes of `bytes` given in steps of `step` bytes: data, trailers, "!" and why, and the rest in <>.
std::string read_body(Framing framing, std::string_view bytes, size_t step) {
  BodyReader reader(framing);
  std::string data, buffer, given(bytes);
  bool last = false;
  for (size_t at = 0; !last && (at < given.size() || (at == 0 && given.empty()));) {
    buffer += given.substr(at, step);
    at += step;
    while (!last) {
      const std::string copy(buffer);  // fresh, so that a sanitizer sees any read past the end
      auto next = reader.next(copy);
      if (std::holds_alternative<NeedMore>(next)) break;
      if (auto* wrong = std::get_if<Violation>(&next)) return data + "!" + wrong->why;
      const auto& piece = std::get<BodyReader::Piece>(next);
      data += piece.data;
      last = piece.last;
      data += in_words(piece.trailers);
      if (piece.consumed == 0 && !last) return data + "!stands still";
      buffer.erase(0, piece.consumed);
      if (last) data += "<" + buffer + given.substr(std::min(at, given.size())) + ">";
    }
  }
  return data + (last ? "" : "...");
}

void check_body(Framing framing, std::string_view bytes, std::string_view expected) {
  for (size_t step = 1; step <= bytes.size() + 1; ++step) EXPECT_EQ(read_body(framing, bytes, step), expected) << step;
}

constexpr Framing kChunked{Kind::chunked, 0};

TEST(HttpBody, EndsWhereItsFramingSays) {
  check_body({Kind::none, 0}, "", "<>");
  check_body({Kind::length, 5}, "helloGET", "hello<GET>");
  check_body({Kind::length, 5}, "hell", "hell...");
  check_body({Kind::until_close, 0}, "hello", "hello...");
  check_body(kChunked, "5\r\nhello\r\n0\r\n\r\nGET", "hello<GET>");
  check_body(kChunked, "0\r\n\r\n", "<>");
  check_body(kChunked, "00000\r\n\r\n", "<>");
  check_body(kChunked, "A;a=\"b\"\r\n0123456789\r\n1 \r\n", "0123456789!a chunk size that is no number");
  check_body(kChunked, "a;x\r\n0123456789\r\n1;y=z\r\nb\r\n0;end\r\n\r\n", "0123456789b<>");
  check_body(kChunked, "1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", "a|X=y|Z=<>");
  check_body(kChunked, "5\r\nhel", "hel...");
}

TEST(HttpBody, ChunksThatTwoParsersReadDifferentlyAreRefused) {
  const std::pair<const char*, const char*> rows[] = {
      {"x\r\n", "!a chunk size that is no number"},
      {"\r\n", "!a chunk size that is no number"},
      {" 5\r\n", "!a chunk size that is no number"},
      {"+5\r\n", "!a chunk size that is no number"},
      {"-1\r\n", "!a chunk size that is no number"},
      {"0x5\r\n", "!a chunk size that is no number"},
      {"5\n", "!a chunk size that is no number"},
      {"5_0\r\n", "!a chunk size that is no number"},
      {"5\rhello", "!a CR without LF behind a chunk size"},
      {"5;a\nhello", "!a control character in a chunk extension"},
      {"5;a\rb\r\n", "!a CR without LF behind a chunk size"},
      {"fffffffffffffffff\r\n", "!a chunk size that is too large"},
      {"ffffffffffffffff\r\n", "!a chunk size that is too large"},
      {"00000000000000005\r\n", "!a chunk size that is too large"},
      {"5\r\nhello5\r\n", "hello!a chunk longer than its size"},
      {"5\r\nhello\n5\r\n", "hello!a chunk longer than its size"},
      {"5\r\nhello\r0\r\n", "hello!a CR without LF behind a chunk"},
      {"0\r\nContent-Length: 5\r\n\r\n", "!Content-Length in a trailer"},
      {"0\r\nTransfer-Encoding: chunked\r\n\r\n", "!Transfer-Encoding in a trailer"},
      {"0\r\nHost: a\r\n\r\n", "!Host in a trailer"},
      {"0\r\nAuthorization: Bearer a\r\n\r\n", "!Authorization in a trailer"},
      {"0\r\n X: a\r\n\r\n", "!a folded header line"},
      {"0\r\nX: a\n\r\n", "!a line that ends without CR"},
  };
  for (const auto& [bytes, expected] : rows) check_body(kChunked, bytes, expected);
}

TEST(HttpLimits, OfBodies) {
  const std::string extension(limits::kHttpChunkExtensionBytesMax, 'a');
  EXPECT_EQ(read_body(kChunked, "1;" + extension + "\r\na\r\n", 4096), "!more chunk extensions than are allowed");
  // All chunks of a body together.
  std::string many;
  for (size_t i = 0; i < limits::kHttpChunkExtensionBytesMax; ++i) many += "1;x\r\na\r\n";
  EXPECT_TRUE(read_body(kChunked, many, 4096).ends_with("!more chunk extensions than are allowed"));
  EXPECT_EQ(read_body(kChunked, "0\r\nX: " + std::string(limits::kHttpTrailerBytesMax, 'a'), 4096),
            "!more bytes in its header than are allowed");
}

TEST(HttpBody, IsFramedAgain) {
  std::string out;
  append_chunk(out, "hello");
  append_chunk(out, "");
  append_chunk(out, std::string(300, 'x'));
  append_last_chunk(out, std::vector<Field>{{"X", "y"}});
  EXPECT_EQ(read_body(kChunked, out + "rest", 7), "hello" + std::string(300, 'x') + "|X=y<rest>");
}

// ---------------------------------------------------------------- fields

TEST(HttpFields, ConnectionSaysWhatIsNotRelayed) {
  const std::vector<Field> fields = {{"Connection", "Close, x-a ,"}, {"connection", "X-B"}};
  const auto connection = read_connection(fields);
  ASSERT_TRUE(connection);
  EXPECT_TRUE(connection->close);
  for (const char* name : {"Connection", "KEEP-ALIVE", "te", "Upgrade", "Transfer-Encoding", "X-A", "x-b"})
    EXPECT_TRUE(is_hop_by_hop(name, *connection)) << name;
  for (const char* name : {"Host", "Content-Length", "X-C", "Trailer"})
    EXPECT_FALSE(is_hop_by_hop(name, *connection)) << name;
  for (const char* name : {"Content-Length", "host", "Authorization", "close, Transfer-Encoding"})
    EXPECT_FALSE(read_connection(std::vector<Field>{{"Connection", name}})) << name;
}

TEST(HttpFields, PersistenceFollowsVersionAndConnection) {
  EXPECT_TRUE(persists({}, 1));
  EXPECT_FALSE(persists({}, 0));
  EXPECT_TRUE(persists({.keep_alive = true}, 0));
  EXPECT_FALSE(persists({.close = true, .keep_alive = true}, 1));
}

TEST(HttpFields, AreFound) {
  const std::vector<Field> fields = {{"A", "1"}, {"a", "2"}, {"B", "x, Y"}, {"C", "3"}};
  EXPECT_EQ(find_only(fields, "c"), "3");
  EXPECT_EQ(find_only(fields, "A"), std::nullopt);
  EXPECT_EQ(find_only(fields, "D"), std::nullopt);
  EXPECT_TRUE(has_field(fields, "a"));
  EXPECT_TRUE(lists_token(fields, "b", "y"));
  EXPECT_FALSE(lists_token(fields, "b", "x, y"));
}

}  // namespace
}  // namespace sallyport::http
