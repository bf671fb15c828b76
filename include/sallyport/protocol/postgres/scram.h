// SPDX-License-Identifier: Apache-2.0
// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as PostgreSQL speaks them, both ends, and PostgreSQL's MD5 passwords.
// Pure: nonces come from the caller, who must take them from a good source of randomness. Secrets are `Secret`
// and are wiped. Sources: RFC 5802, RFC 7677, RFC 5929 section 4 (tls-server-end-point); PostgreSQL
// documentation "SASL Authentication".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/base/limits.h"
#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"

namespace sallyport::postgres {

inline constexpr std::string_view kScramSha256 = "SCRAM-SHA-256";
inline constexpr std::string_view kScramSha256Plus = "SCRAM-SHA-256-PLUS";
inline constexpr uint32_t kScramIterationsDefault = 4096;
inline constexpr size_t kScramKeyBytes = 32;
inline constexpr size_t kScramNonceBytes = 18;  ///< random bytes to hand in; PostgreSQL's SCRAM_RAW_NONCE_LEN

/// What pg_authid.rolpassword holds: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (base64).
struct ScramVerifier {
  uint32_t iterations = 0;
  std::string salt;  ///< raw bytes
  Secret stored_key;
  Secret server_key;
};
/// Strict. Iterations over kScramIterationsMax are refused.
Result<ScramVerifier> parse_verifier(std::string_view text);
/// The verifier of a password, e.g. for tests: salt given raw.
Result<ScramVerifier> make_verifier(const Secret& password, std::string_view salt, uint32_t iterations);
std::string to_string(const ScramVerifier& verifier);
/// A verifier that no password fits, always the same for one user and node secret: so that a role which does not
/// exist looks like one that does (PostgreSQL: mock authentication).
ScramVerifier mock_verifier(std::string_view user, const Secret& node_secret);

/// SASLprep (RFC 4013) as PostgreSQL applies it to passwords: what is not UTF-8, holds a prohibited or unassigned
/// character or comes out empty is used as it stands, never refused.
Secret saslprep(const Secret& password);

/// How the exchange is tied to the TLS connection around it.
struct ChannelBinding {
  enum class Use : uint8_t {
    none,     ///< no TLS on this leg ("n")
    offered,  ///< client: TLS, but the server offered no -PLUS ("y"); server: not used
    bound,    ///< -PLUS ("p=tls-server-end-point")
  };
  Use use = Use::none;
  std::string end_point_digest;  ///< bound: hash of the server's certificate, RFC 5929 section 4.1
};

/// The client's end: Sallyport logging in to a server. One use; calls in the order below.
class ScramClient {
 public:
  /// From a password. `nonce`: kScramNonceBytes fresh random bytes.
  ScramClient(const Secret& password, ChannelBinding binding, std::string_view nonce);
  /// From a ClientKey that ScramServer recovered, and the role's verifier, whose salt, iterations and ServerKey
  /// must be the server's too.
  ScramClient(Secret client_key, ScramVerifier verifier, ChannelBinding binding, std::string_view nonce);

  std::string_view mechanism() const;
  /// For SASLInitialResponse.
  std::string first_message() const;
  /// AuthenticationSASLContinue's data in, SASLResponse's data out. Iterations are bounded by kScramIterationsMax.
  Result<std::string> on_server_first(std::string_view data);
  /// AuthenticationSASLFinal's data in. Success proves that the server knows the verifier: only then is it the
  /// server it should be. An AuthenticationOk without this must be treated as a failure.
  Result<> on_server_final(std::string_view data);
  bool server_proven() const { return proven_; }

 private:
  std::string gs2_header() const;

  Secret password_;
  Secret client_key_;
  std::optional<ScramVerifier> verifier_;
  ChannelBinding binding_;
  std::string nonce_;
  std::string server_signature_;
  bool proven_ = false;
};

/// The server's end: Sallyport ending the agent's authentication. One use; calls in the order below. Every failure
/// must reach the agent as the same words, whatever `what` says.
class ScramServer {
 public:
  /// `binding.use`: none (agent's leg in clear: only SCRAM-SHA-256 was offered) or bound (TLS: both were offered,
  /// with the digest of the certificate we showed). `nonce`: kScramNonceBytes fresh random bytes.
  ScramServer(ScramVerifier verifier, ChannelBinding binding, std::string_view nonce);

  /// SASLInitialResponse in, AuthenticationSASLContinue's data out. Refused: a mechanism not offered, "y" though
  /// -PLUS was offered (a downgrade), authzid, mandatory extensions.
  Result<std::string> on_client_first(std::string_view mechanism, std::string_view data);
  /// SASLResponse in, AuthenticationSASLFinal's data out; an error if the proof is wrong.
  Result<std::string> on_client_final(std::string_view data);
  /// After success: the ClientKey behind the proof, with which ScramClient logs in as the same role.
  const Secret& client_key() const { return client_key_; }

 private:
  Result<> read_gs2_header(bool plus, std::string_view data);

  ScramVerifier verifier_;
  ChannelBinding binding_;
  std::string nonce_;
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
  Secret client_key_;
};

/// What PasswordMessage carries for AuthenticationMD5Password: "md5" and 32 hex digits. `salt`: 4 bytes.
Secret md5_answer(std::string_view user, const Secret& password, std::string_view salt);
/// The same from what pg_authid holds ("md5" and 32 hex digits).
Secret md5_answer_from_stored(std::string_view stored, std::string_view salt);

}  // namespace sallyport::postgres
