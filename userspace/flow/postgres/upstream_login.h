// SPDX-License-Identifier: Apache-2.0
// Sallyport logging in to a server with a credential that the agent never sees. A credential goes only
// to a server proven to be the Target: over TLS verified against the Target's name, or by SCRAM whose
// server signature is checked (DESIGN.md 8). PG protocol: Message Flow, Start-up.
#pragma once

#include <optional>
#include <string>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"
#include "sallyport/policy/document.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/protocol/postgres/scram.h"

namespace sallyport::flow {

/// How strong a request for authentication is, for `auth.min`.
policy::AuthMethod method_of(postgres::Authentication::Kind kind);

class UpstreamLogin {
 public:
  /// What the upstream leg is.
  struct Channel {
    bool secured = false;
    bool proven = false;           ///< TLS verified against the Target's own name
    std::string end_point_digest;  ///< of the server's certificate; empty: no channel binding
  };

  UpstreamLogin(std::string user, Secret password, policy::AuthMethod minimum, Channel channel);
  /// With what a SCRAM exchange with the agent gave: the role's verifier and ClientKey.
  UpstreamLogin(std::string user, postgres::ScramVerifier verifier, Secret client_key, policy::AuthMethod minimum,
                Channel channel);

  /// Answers one AuthenticationXXX: bytes to send, empty when there is nothing to say. `nonce` is
  /// postgres::kScramNonceBytes fresh random bytes. An error ends the flow.
  Result<std::string> on_request(const postgres::Authentication& request, std::string_view nonce);
  /// AuthenticationOk was accepted.
  bool done() const { return done_; }

 private:
  Result<std::string> start_scram(const postgres::Authentication& request, std::string_view nonce);
  Result<std::string> on_ok();

  std::string user_;
  Secret password_;
  std::optional<postgres::ScramVerifier> verifier_;
  Secret client_key_;
  policy::AuthMethod minimum_;
  Channel channel_;
  std::optional<postgres::ScramClient> scram_;
  policy::AuthMethod used_ = policy::AuthMethod::none;
  bool done_ = false;
};

}  // namespace sallyport::flow
