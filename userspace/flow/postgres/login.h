// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL flow from its first byte until the server is ready for queries: TLS towards the agent,
// the StartupMessage and its judgement, the dial, TLS towards the server, authentication, cancel keys.
// Nothing is dialled before operation zero and the StartupMessage are both released.
// PG protocol: Message Flow (Start-up, Canceling Requests, SSL Session Encryption).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "flow/postgres/connection.h"
#include "flow/postgres/upstream_login.h"
#include "sallyport/protocol/postgres/startup.h"

namespace sallyport::flow {

class Login {
 public:
  explicit Login(PostgresConnection& connection) : connection_(connection) {}

  void on_event(const Event& event, Turn& turn);
  /// ReadyForQuery has been relayed; what else has come stands in the connection's buffers.
  bool ready() const { return state_ == State::ready; }

 private:
  enum class State : uint8_t {
    startup,         ///< SSLRequest, GSSENCRequest, CancelRequest or StartupMessage
    securing_agent,  ///< TLS handshake with the agent
    showing_token,   ///< the agent is asked for its token as a password, or that is being verified
    held,            ///< the connection or its StartupMessage waits for a human
    proving_agent,   ///< SCRAM with the agent, by the role's verifier
    dialling,
    ssl_asked,  ///< SSLRequest sent to the server
    securing_server,
    authenticating,
    settling,  ///< AuthenticationOk came: parameters, cancel key
    ready,
    cancelling,  ///< a CancelRequest was passed on; the server closes
  };

  // startup.cc: the agent's first packets
  void read_startup(Turn& turn);
  void on_ssl_request(const postgres::SslRequest& request, Turn& turn);
  void on_cancel_request(const postgres::CancelRequest& request, Turn& turn);
  void on_startup(const postgres::StartupMessage& startup, Turn& turn);
  void ask_token(Turn& turn);
  void read_token(Turn& turn);
  void after_token(Turn& turn);
  void judge_startup(Turn& turn);
  void after_judgement(Turn& turn);
  bool refuse_wrong_tls(Turn& turn);
  void start_direct_tls(Turn& turn);
  void secure_agent(std::string alpn, std::string unread, Turn& turn);
  bool takes_no_tls() const;
  void refuse_for_want_of_target(LiveOperation& connect);
  bool refuse_if_denied(const LiveOperation* live, Turn& turn);

  // login.cc: the server's side
  void on_changed(Turn& turn);
  void on_tick(Turn& turn);
  void prove_agent(Turn& turn);
  void read_proof(Turn& turn);
  void dial(Turn& turn);
  void on_dialled(Turn& turn);
  void read_ssl_answer(Turn& turn);
  void on_server_secured(Turn& turn);
  void send_startup(Turn& turn);
  Result<> prepare_credential();
  void read_server(Turn& turn);
  bool on_server_frame(const postgres::Frame& frame, Turn& turn);
  void on_authentication(const postgres::Frame& frame, Turn& turn);
  void pass_authentication(const postgres::Authentication& request, const postgres::Frame& frame, Turn& turn);
  bool retry_with_tls(Turn& turn);
  void read_passed_password(Turn& turn);
  void server_went(std::string reason, Turn& turn);

  void refuse(std::string sqlstate, std::string message, std::string hint, Turn& turn);
  void violation(std::string why, Turn& turn);

  PostgresConnection& connection_;
  State state_ = State::startup;
  bool agent_secured_ = false;
  bool ssl_answered_ = false;
  bool gss_answered_ = false;
  std::string agent_digest_;
  bool must_use_tls_ = false;  ///< second try of tls.mode allow
  UpstreamLogin::Channel channel_;
  std::string startup_raw_;
  std::optional<postgres::StartupMessage> startup_;
  std::string cancel_raw_;
  model::OperationId startup_operation_ = 0;
  std::optional<postgres::ScramServer> agent_scram_;
  std::optional<postgres::ScramVerifier> verifier_;
  bool proof_begun_ = false;
  std::optional<UpstreamLogin> own_login_;
  policy::AuthMethod passed_method_ = policy::AuthMethod::none;  ///< what the server asked the agent for
  bool password_expected_ = false;  ///< a passed-through request waits for the agent's answer
  int64_t deadline_ns_ = 0;
  int64_t token_deadline_ns_ = 0;  ///< for the shown token to be verified
};

}  // namespace sallyport::flow
