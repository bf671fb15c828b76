// SPDX-License-Identifier: Apache-2.0
// Oracles: nothing that the fuzzer can think of logs in, nor proves a server; a verifier that parses prints the same.
#include "sallyport/protocol/postgres/scram.h"
#include "tests/fuzz/fuzz.h"

namespace postgres = sallyport::postgres;
using sallyport::Secret;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

const std::string kNonce = "0123456789abcdefgh";

postgres::ScramVerifier verifier() {
  static const postgres::ScramVerifier made = *postgres::make_verifier(Secret("pencil"), "salt", 1);
  return made;
}

/// The input up to a newline, which is taken too.
std::string_view take_line(std::string_view& input) {
  const size_t end = input.find('\n');
  const std::string_view line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

void as_server(Choices& choices) {
  using Use = postgres::ChannelBinding::Use;
  postgres::ScramServer server(verifier(), {choices.flip() ? Use::bound : Use::none, "digest"}, kNonce);
  const auto mechanism = choices.flip() ? postgres::kScramSha256Plus : postgres::kScramSha256;
  std::string_view input = choices.rest();
  const auto first = server.on_client_first(mechanism, take_line(input));
  const auto final = server.on_client_final(input);
  must(!final && server.client_key().empty(), "logged in without the password");
}

/// With a recovered key, so that the server's choice of iterations costs nothing here.
void as_client(Choices& choices) {
  postgres::ScramClient client(Secret(std::string(32, 'k')), verifier(), {}, kNonce);
  std::string_view input = choices.rest();
  // The fuzzer cannot guess our nonce: it is given it, and the verifier's salt.
  const std::string challenge = "r=" + client.first_message().substr(8) + std::string(take_line(input));
  const auto answer = client.on_server_first(challenge);
  must(!client.on_server_final(input) && !client.server_proven(), "a server was proven that knows nothing");
}

void read_verifier(Choices& choices) {
  const auto parsed = postgres::parse_verifier(choices.rest());
  if (parsed) must(postgres::to_string(*parsed) == choices.rest(), "a verifier prints otherwise than it was read");
}

void prepare(Choices& choices) {
  const Secret once = postgres::saslprep(Secret(std::string(choices.rest())));
  must(once.empty() == choices.rest().empty(), "a password became empty");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  switch (choices.choose(4)) {
    case 0:
      as_server(choices);
      break;
    case 1:
      as_client(choices);
      break;
    case 2:
      read_verifier(choices);
      break;
    default:
      prepare(choices);
  }
  return 0;
}
