// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/scram.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <array>

#include "protocol/postgres/scram_text.h"
#include "sallyport/base/check.h"

namespace sallyport::postgres {
namespace {

constexpr std::string_view kBindingType = "tls-server-end-point";
constexpr size_t kMockSaltBytes = 16;  // PostgreSQL's SCRAM_DEFAULT_SALT_LEN

// RFC 5802 section 3.
Secret client_key_of(const Secret& salted) { return Secret(hmac_sha256(salted.reveal(), "Client Key")); }
Secret server_key_of(const Secret& salted) { return Secret(hmac_sha256(salted.reveal(), "Server Key")); }

/// The GS2 header, and when bound the channel's digest: what `c=` must say.
std::string binding_attribute(std::string_view gs2_header, const ChannelBinding& binding) {
  std::string input(gs2_header);
  if (gs2_header.starts_with('p')) input += binding.end_point_digest;
  return base64_encode(input);
}

}  // namespace

// ---------------------------------------------------------------- verifiers

Result<ScramVerifier> parse_verifier(std::string_view text) {
  // Never quotes the text: it is as good as a password.
  const auto malformed = [] {
    return fail("the SCRAM verifier is malformed",
                "it must read SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, as in pg_authid");
  };
  const auto take_to = [&](char end) {
    const size_t at = text.find(end);
    if (at == std::string_view::npos) return std::string_view();
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(at + 1);
    return part;
  };
  if (take_to('$') != kScramSha256) return malformed();
  const auto iterations = parse_iterations(take_to(':'));
  auto salt = base64_decode(take_to('$'));
  auto stored_key = base64_decode(take_to(':'));
  auto server_key = base64_decode(text);
  if (!iterations || !salt || salt->empty() || !stored_key || !server_key) return malformed();
  if (stored_key->size() != kScramKeyBytes || server_key->size() != kScramKeyBytes) return malformed();
  return ScramVerifier{*iterations, std::move(*salt), Secret(std::move(*stored_key)), Secret(std::move(*server_key))};
}

Result<ScramVerifier> make_verifier(const Secret& password, std::string_view salt, uint32_t iterations) {
  if (salt.empty() || iterations == 0 || iterations > limits::kScramIterationsMax)
    return fail("a SCRAM verifier needs a salt and 1 to 1000000 iterations");
  const Secret salted = salted_password(password, salt, iterations);
  return ScramVerifier{iterations, std::string(salt), Secret(sha256(client_key_of(salted).reveal())),
                       server_key_of(salted)};
}

std::string to_string(const ScramVerifier& verifier) {
  return fmt::format("{}${}:{}${}:{}", kScramSha256, verifier.iterations, base64_encode(verifier.salt),
                     base64_encode(verifier.stored_key.reveal()), base64_encode(verifier.server_key.reveal()));
}

ScramVerifier mock_verifier(std::string_view user, const Secret& node_secret) {
  const auto derive = [&](std::string_view what) {
    return hmac_sha256(node_secret.reveal(), fmt::format("{}:{}", what, user));
  };
  return {kScramIterationsDefault, derive("salt").substr(0, kMockSaltBytes), Secret(derive("stored key")),
          Secret(derive("server key"))};
}

// ---------------------------------------------------------------- client

ScramClient::ScramClient(const Secret& password, ChannelBinding binding, std::string_view nonce)
    : password_(password), binding_(std::move(binding)), nonce_(base64_encode(nonce)) {}

ScramClient::ScramClient(Secret client_key, ScramVerifier verifier, ChannelBinding binding, std::string_view nonce)
    : client_key_(std::move(client_key)),
      verifier_(std::move(verifier)),
      binding_(std::move(binding)),
      nonce_(base64_encode(nonce)) {}

std::string_view ScramClient::mechanism() const {
  return binding_.use == ChannelBinding::Use::bound ? kScramSha256Plus : kScramSha256;
}

std::string ScramClient::gs2_header() const {
  switch (binding_.use) {
    case ChannelBinding::Use::bound:
      return fmt::format("p={},,", kBindingType);
    case ChannelBinding::Use::offered:
      return "y,,";
    case ChannelBinding::Use::none:
      break;
  }
  return "n,,";
}

std::string ScramClient::first_message() const {
  // The user name is empty: PostgreSQL goes by the StartupMessage and ignores this one.
  return fmt::format("{}n=,r={}", gs2_header(), nonce_);
}

Result<std::string> ScramClient::on_server_first(std::string_view data) {
  AttributeReader reader(data);
  const auto nonce = reader.next('r');
  const auto salt_text = reader.next('s');
  const auto iterations_text = reader.next('i');
  if (!nonce || !salt_text || !iterations_text || !reader.at_end())
    return fail("server sent a malformed SCRAM challenge");
  if (!is_nonce(*nonce) || !nonce->starts_with(nonce_) || nonce->size() == nonce_.size())
    return fail("server sent a SCRAM challenge with a nonce that does not continue ours");
  const auto salt = base64_decode(*salt_text);
  const auto iterations = parse_iterations(*iterations_text);
  if (!salt || salt->empty() || !iterations)
    return fail("server sent a SCRAM challenge with a bad salt or iteration count");

  Secret server_key;
  if (verifier_) {
    if (verifier_->iterations != *iterations || verifier_->salt != *salt)
      return fail("the server's SCRAM verifier of this role is not the one configured",
                  "copy rolpassword from pg_authid again: the password was changed");
    server_key = verifier_->server_key;
  } else {
    const Secret salted = salted_password(password_, *salt, *iterations);
    client_key_ = client_key_of(salted);
    server_key = server_key_of(salted);
  }
  const std::string without_proof = fmt::format("c={},r={}", binding_attribute(gs2_header(), binding_), *nonce);
  const std::string auth_message = fmt::format("n=,r={},{},{}", nonce_, data, without_proof);
  server_signature_ = hmac_sha256(server_key.reveal(), auth_message);
  const std::string signature = hmac_sha256(sha256(client_key_.reveal()), auth_message);
  return fmt::format("{},p={}", without_proof, base64_encode(xor_bytes(client_key_.reveal(), signature)));
}

Result<> ScramClient::on_server_final(std::string_view data) {
  AttributeReader reader(data);
  if (data.starts_with('e')) return fail("server refused the SCRAM proof");
  const auto text = reader.next('v');
  const auto signature = text ? base64_decode(*text) : std::nullopt;
  if (!signature || !reader.at_end()) return fail("server sent a malformed SCRAM outcome");
  if (server_signature_.empty() || !equal_secretly(*signature, server_signature_))
    return fail("server could not prove that it knows this role's SCRAM verifier",
                "something else may be standing in the server's place");
  proven_ = true;
  return {};
}

// ---------------------------------------------------------------- server

ScramServer::ScramServer(ScramVerifier verifier, ChannelBinding binding, std::string_view nonce)
    : verifier_(std::move(verifier)), binding_(std::move(binding)), nonce_(base64_encode(nonce)) {}

Result<> ScramServer::read_gs2_header(bool plus, std::string_view data) {
  const bool plus_offered = binding_.use == ChannelBinding::Use::bound;
  const size_t first_comma = data.find(',');
  if (first_comma == std::string_view::npos || data.size() < first_comma + 2)
    return fail("agent sent a malformed SCRAM message");
  const std::string_view flag = data.substr(0, first_comma);
  if (flag == "y" && plus_offered)
    return fail("agent believes that SCRAM channel binding was not offered, though it was",
                "something between the agent and Sallyport may have downgraded the connection");
  const bool binds = flag.starts_with("p=");
  if (!binds && flag != "n" && flag != "y") return fail("agent sent a malformed SCRAM message");
  if (binds != plus) return fail("agent's SCRAM mechanism and channel binding flag disagree");
  if (binds && flag.substr(2) != kBindingType) return fail("agent asked for a channel binding type not spoken here");
  if (data[first_comma + 1] == 'a') return fail("agent asked for a SCRAM authorization identity", "not supported");
  if (data[first_comma + 1] != ',') return fail("agent sent a malformed SCRAM message");
  gs2_header_ = data.substr(0, first_comma + 2);
  client_first_bare_ = data.substr(first_comma + 2);
  return {};
}

Result<std::string> ScramServer::on_client_first(std::string_view mechanism, std::string_view data) {
  const bool plus = mechanism == kScramSha256Plus;
  const bool offered = mechanism == kScramSha256 || (plus && binding_.use == ChannelBinding::Use::bound);
  if (!offered) return fail("agent chose a SASL mechanism that was not offered");
  if (auto header = read_gs2_header(plus, data); !header) return std::unexpected(header.error());

  AttributeReader reader(client_first_bare_);
  const auto user = reader.next('n');  // ignored, as PostgreSQL does: the StartupMessage names the role
  const auto nonce = reader.next('r');
  if (!user || !nonce || !is_nonce(*nonce)) return fail("agent sent a malformed SCRAM message");
  while (!reader.at_end()) {
    if (!reader.skip_optional()) return fail("agent sent a SCRAM message with an extension not known here");
  }
  nonce_ = std::string(*nonce) + nonce_;
  server_first_ = fmt::format("r={},s={},i={}", nonce_, base64_encode(verifier_.salt), verifier_.iterations);
  return server_first_;
}

Result<std::string> ScramServer::on_client_final(std::string_view data) {
  if (server_first_.empty()) return fail("agent sent a SCRAM proof before its first message");
  const size_t proof_at = data.rfind(",p=");
  if (proof_at == std::string_view::npos) return fail("agent sent a malformed SCRAM proof");
  const std::string_view without_proof = data.substr(0, proof_at);
  AttributeReader reader(without_proof);
  const auto binding = reader.next('c');
  const auto nonce = reader.next('r');
  if (!binding || !nonce) return fail("agent sent a malformed SCRAM proof");
  while (!reader.at_end()) {
    if (!reader.skip_optional()) return fail("agent sent a SCRAM proof with an extension not known here");
  }
  if (*binding != binding_attribute(gs2_header_, binding_))
    return fail("agent's SCRAM channel binding does not fit this connection",
                "the agent's TLS connection may end somewhere else");
  if (*nonce != nonce_) return fail("agent sent a SCRAM proof for another nonce");
  const auto proof = base64_decode(data.substr(proof_at + 3));
  if (!proof || proof->size() != kScramKeyBytes) return fail("agent sent a malformed SCRAM proof");

  const std::string auth_message = fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
  Secret client_key(xor_bytes(*proof, hmac_sha256(verifier_.stored_key.reveal(), auth_message)));
  if (!equal_secretly(sha256(client_key.reveal()), verifier_.stored_key.reveal()))
    return fail("agent's SCRAM proof is wrong");
  client_key_ = std::move(client_key);
  return "v=" + base64_encode(hmac_sha256(verifier_.server_key.reveal(), auth_message));
}

// ---------------------------------------------------------------- MD5

namespace {

std::string md5_hex(std::string_view a, std::string_view b) {
  std::string input = std::string(a).append(b);
  std::array<unsigned char, 16> digest{};
  SP_CHECK(EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_md5(), nullptr) == 1);
  wipe(input);
  std::string hex;
  for (unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace

Secret md5_answer(std::string_view user, const Secret& password, std::string_view salt) {
  const Secret stored("md5" + md5_hex(password.reveal(), user));
  return md5_answer_from_stored(stored.reveal(), salt);
}

Secret md5_answer_from_stored(std::string_view stored, std::string_view salt) {
  return Secret("md5" + md5_hex(stored.substr(stored.starts_with("md5") ? 3 : 0), salt));
}

}  // namespace sallyport::postgres
