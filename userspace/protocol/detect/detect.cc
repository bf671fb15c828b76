// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/detect.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace sallyport::detect {
namespace {

/// A prefix either is a protocol's, cannot be, or is too short to say.
enum class Fit : uint8_t { no, maybe, yes };

/// Which values one byte may have.
struct ByteRange {
  uint8_t low;
  uint8_t high;
};

Fit fit_bytes(std::string_view bytes, std::initializer_list<ByteRange> pattern) {
  size_t at = 0;
  for (const ByteRange& range : pattern) {
    if (at == bytes.size()) return Fit::maybe;
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    if (byte < range.low || byte > range.high) return Fit::no;
  }
  return Fit::yes;
}

Fit fit_word(std::string_view bytes, std::string_view word) {
  const size_t common = std::min(bytes.size(), word.size());
  if (bytes.substr(0, common) != word.substr(0, common)) return Fit::no;
  return common == word.size() ? Fit::yes : Fit::maybe;
}

Fit either(Fit a, Fit b) { return std::max(a, b); }

// PG protocol "Message Formats": a length of 8 to 10,004, then 3.x or one of three request codes 1234.5678 to 5680.
Fit fit_postgres(std::string_view bytes) {
  const Fit startup = fit_bytes(bytes, {{0, 0}, {0, 0}, {0, 0x27}, {0, 0xff}, {0, 0}, {3, 3}, {0, 0xff}, {0, 0xff}});
  const Fit request =
      fit_bytes(bytes, {{0, 0}, {0, 0}, {0, 1}, {8, 0xff}, {0x04, 0x04}, {0xd2, 0xd2}, {0x16, 0x16}, {0x2e, 0x30}});
  return either(startup, request);
}

// RFC 8446 5.1 and 4: handshake record of a legacy version, not longer than 2^14 bytes, holding a ClientHello.
Fit fit_tls(std::string_view bytes) {
  return fit_bytes(bytes, {{0x16, 0x16}, {3, 3}, {0, 4}, {0, 0x40}, {0, 0xff}, {1, 1}});
}

// RFC 9110 9.1 and 5789: the methods in use, and RFC 9113 3.4: PRI, of the HTTP/2 preface.
Fit fit_http(std::string_view bytes) {
  static constexpr std::array<std::string_view, 10> kMethods = {
      "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI * HTTP/2"};
  Fit best = Fit::no;
  for (std::string_view method : kMethods) best = either(best, fit_word(bytes, method));
  return best;
}

// RFC 4253 4.2; a client may speak first.
Fit fit_ssh(std::string_view bytes) { return fit_word(bytes, "SSH-"); }

}  // namespace

Protocol detect(std::string_view first_bytes) {
  struct Candidate {
    Protocol protocol;
    Fit (*fit)(std::string_view);
  };
  static constexpr std::array<Candidate, 4> kCandidates = {
      Candidate{Protocol::postgres, fit_postgres}, Candidate{Protocol::tls, fit_tls},
      Candidate{Protocol::http, fit_http}, Candidate{Protocol::ssh, fit_ssh}};
  bool open = false;
  for (const Candidate& candidate : kCandidates) {
    const Fit fit = candidate.fit(first_bytes.substr(0, kDetectBytesMax));
    if (fit == Fit::yes) return candidate.protocol;
    open |= fit == Fit::maybe;
  }
  return open ? Protocol::need_more : Protocol::unknown;
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::need_more:
      return "need more";
    case Protocol::postgres:
      return "postgres";
    case Protocol::tls:
      return "tls";
    case Protocol::http:
      return "http";
    case Protocol::ssh:
      return "ssh";
    case Protocol::unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace sallyport::detect
