// SPDX-License-Identifier: Apache-2.0
// Oracles: a prefix of a packet wants more, never decides otherwise than the whole; what was decoded encodes to the
// same bytes.
#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/protocol/postgres/startup.h"
#include "tests/fuzz/fuzz.h"

namespace postgres = sallyport::postgres;
using sallyport::fuzzing::must;

namespace {

struct Encode {
  std::string operator()(const postgres::SslRequest& packet) const { return std::string(packet.raw); }
  std::string operator()(const postgres::GssEncRequest& packet) const { return std::string(packet.raw); }
  std::string operator()(const postgres::CancelRequest& packet) const {
    std::string out;
    postgres::append_cancel_request(out, packet.pid, packet.key);
    must(out == packet.raw, "CancelRequest encodes to other bytes");
    return out;
  }
  std::string operator()(const postgres::StartupMessage& packet) const {
    std::string out;
    postgres::append_startup_message(out, packet.version(), packet.parameters);
    must(out == packet.raw, "StartupMessage encodes to other bytes");
    return out;
  }
  std::string operator()(const postgres::NeedMore&) const { return "need more"; }
  std::string operator()(const postgres::Violation& bad) const { return bad.why; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string whole = std::visit(Encode{}, postgres::next_startup(sallyport::fuzzing::view(data, size)));
  for (size_t length = 0; length < size; ++length) {
    const std::vector<char> prefix(data, data + length);
    const auto result = postgres::next_startup(std::string_view(prefix.data(), prefix.size()));
    if (const auto* more = std::get_if<postgres::NeedMore>(&result)) {
      must(more->bytes_wanted > length, "wants what is already there");
      continue;
    }
    must(std::visit(Encode{}, result) == whole, "the answer changed when bytes were added");
  }
  return 0;
}
