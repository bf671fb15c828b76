// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/upstream_login.h"

#include <fmt/core.h>

#include "sallyport/protocol/postgres/encoder.h"

namespace sallyport::flow {

using Kind = postgres::Authentication::Kind;
using policy::AuthMethod;

AuthMethod method_of(Kind kind) {
  switch (kind) {
    case Kind::cleartext:
      return AuthMethod::password;
    case Kind::md5:
      return AuthMethod::md5;
    case Kind::sasl:
    case Kind::sasl_continue:
    case Kind::sasl_final:
      return AuthMethod::scram_sha_256;
    default:
      return AuthMethod::none;
  }
}

UpstreamLogin::UpstreamLogin(std::string user, Secret password, AuthMethod minimum, Channel channel)
    : user_(std::move(user)), password_(std::move(password)), minimum_(minimum), channel_(std::move(channel)) {}

UpstreamLogin::UpstreamLogin(std::string user, postgres::ScramVerifier verifier, Secret client_key, AuthMethod minimum,
                             Channel channel)
    : user_(std::move(user)),
      verifier_(std::move(verifier)),
      client_key_(std::move(client_key)),
      minimum_(minimum),
      channel_(std::move(channel)) {}

Result<std::string> UpstreamLogin::on_request(const postgres::Authentication& request, std::string_view nonce) {
  if (done_) return fail("server asked for authentication after it was over");
  if (request.kind == Kind::ok) return on_ok();
  const AuthMethod method = method_of(request.kind);
  if (method == AuthMethod::none)
    return fail("server asks for GSSAPI, SSPI or Kerberos, which a credential file cannot answer",
                "let pg_hba.conf ask for scram-sha-256");
  if (method < minimum_)
    return fail(
        fmt::format("server asks for {}, below auth.min {}", policy::to_string(method), policy::to_string(minimum_)),
        "raise the server to scram-sha-256, or lower auth.min of the Target");
  if (method != AuthMethod::scram_sha_256) {
    if (!channel_.proven)
      return fail(fmt::format("server asks for {} and has not proven to be the Target", policy::to_string(method)),
                  "use tls.mode verify-full, or let the server ask for scram-sha-256");
    if (verifier_) return fail("a verifier can answer scram-sha-256 only", "use credential.file");
  }
  used_ = method;
  std::string out;
  switch (request.kind) {
    case Kind::cleartext:
      postgres::append_password_message(out, password_.reveal());
      return out;
    case Kind::md5:
      postgres::append_password_message(out, postgres::md5_answer(user_, password_, request.md5_salt).reveal());
      return out;
    case Kind::sasl:
      return start_scram(request, nonce);
    case Kind::sasl_continue: {
      if (!scram_) return fail("server continues a SASL exchange that never began");
      auto answer = scram_->on_server_first(request.data);
      if (!answer) return std::unexpected(answer.error());
      postgres::append_sasl_response(out, *answer);
      return out;
    }
    case Kind::sasl_final: {
      if (!scram_) return fail("server ends a SASL exchange that never began");
      if (auto proven = scram_->on_server_final(request.data); !proven) return std::unexpected(proven.error());
      return out;
    }
    default:
      return fail("server asks for an authentication nobody knows");
  }
}

Result<std::string> UpstreamLogin::start_scram(const postgres::Authentication& request, std::string_view nonce) {
  if (scram_) return fail("server began SASL twice");
  postgres::ChannelBinding binding;
  const bool plus_offered = request.sasl_mechanisms.contains(postgres::kScramSha256Plus);
  if (channel_.secured && plus_offered && !channel_.end_point_digest.empty())
    binding = {postgres::ChannelBinding::Use::bound, channel_.end_point_digest};
  else if (!request.sasl_mechanisms.contains(postgres::kScramSha256))
    return fail("server offers no SASL mechanism that is known here");
  else if (channel_.secured && !plus_offered)
    binding.use = postgres::ChannelBinding::Use::offered;
  if (verifier_)
    scram_.emplace(client_key_, *verifier_, binding, nonce);
  else
    scram_.emplace(password_, binding, nonce);
  std::string out;
  postgres::append_sasl_initial_response(out, scram_->mechanism(), scram_->first_message());
  return out;
}

Result<std::string> UpstreamLogin::on_ok() {
  if (used_ < minimum_)
    return fail(
        fmt::format("server asks for {}, below auth.min {}", policy::to_string(used_), policy::to_string(minimum_)),
        "let pg_hba.conf ask for scram-sha-256, or set auth.min of the Target to none");
  if (scram_ && !scram_->server_proven()) return fail("server let us in without proving that it knows the password");
  done_ = true;
  return std::string();
}

}  // namespace sallyport::flow
