// SPDX-License-Identifier: Apache-2.0
// Everything that can happen to a live flow. Closed list: net/ makes these, flow/ reacts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "sallyport/model/address.h"
#include "sallyport/model/operation.h"

namespace sallyport::flow {

/// 0 is the agent's connection, 1..n are upstream.
using Leg = uint8_t;
inline constexpr Leg kAgentLeg = 0;
inline constexpr Leg kUpstreamLeg = 1;

/// Plaintext arrived. The view holds until on_event() returns.
struct Bytes {
  Leg leg;
  std::string_view bytes;
};
/// The peer will send no more (FIN or close_notify).
struct Eof {
  Leg leg;
};
/// The leg is gone: reset, dial failed, TLS failed. `reason` is one line for record and log.
struct Failed {
  Leg leg;
  std::string reason;
};
/// The leg's send queue fell under its low-water mark after it had been over the limit.
struct Drained {
  Leg leg;
};
/// A Dial ended well.
struct Dialled {
  Leg leg;
  model::Endpoint peer;
};
/// A TLS handshake ended well.
struct Secured {
  Leg leg;
  std::string alpn;              ///< empty: none agreed
  std::string sni;               ///< what an agent asked for; never proof of anything
  std::string end_point_digest;  ///< tls-server-end-point channel binding, RFC 5929 section 4
  bool proven = false;           ///< the server's certificate was verified against the Target's name
};
/// The recorder could not take this flow's entries: nothing sent in this turn has left.
struct RecordFailed {
  std::string reason;
};
/// A held operation was decided by a human.
struct Answered {
  model::OperationId operation;
  bool approved = false;
  std::string by;
};
/// Policy, identity or grants have a new epoch: judge again what is open.
struct Changed {};
/// The time asked for by a Wake, or later.
struct Tick {};

using Event = std::variant<Bytes, Eof, Failed, Drained, Dialled, Secured, RecordFailed, Answered, Changed, Tick>;

}  // namespace sallyport::flow
