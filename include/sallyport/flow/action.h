// SPDX-License-Identifier: Apache-2.0
// Everything a flow can ask for. Closed list: net/ carries them out in order, after the recorder has
// accepted every Record of the same turn.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sallyport/flow/event.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/session.h"

namespace sallyport::flow {

struct Send {
  Leg leg;
  std::string bytes;
};
/// Send what is queued, then FIN.
struct Shut {
  Leg leg;
};
/// Drop the leg at once: RST, queue discarded.
struct Abort {
  Leg leg;
};
/// Turn reading of a leg on or off (on by default).
struct Read {
  Leg leg;
  bool on;
};
/// Open an upstream connection in the agent's network namespace.
struct Dial {
  Leg leg;
  model::Endpoint to;
};
/// Start TLS on a leg once everything queued before has gone out in clear.
struct Secure {
  enum class Role : uint8_t { server, client };
  enum class Verify : uint8_t { none, ca, full };
  Leg leg;
  Role role;
  std::string server_name;  ///< server: the name the minted leaf carries; client: SNI and verified name
  Verify verify = Verify::none;
  std::string ca_file;  ///< client: PEM roots; empty: the system's
  std::string alpn;     ///< offered or demanded protocol; empty: none
  std::string unread;   ///< bytes already read that belong to the handshake (direct TLS)
};
/// An entry for the session log.
struct Record {
  Record(model::RecordEntry whole) : entry(std::move(whole)) {}
  /// With an empty Body, to be filled in place: entries are large.
  template <class Body>
  Record(const model::SessionId& session, uint64_t sequence, int64_t wall_ns, std::in_place_type_t<Body> body)
      : entry{session, sequence, wall_ns, model::RecordBody(body)} {}
  model::RecordEntry entry;
};
/// An operation is held for a human; the answer comes as Answered.
struct Ask {
  model::OperationId operation;
  model::Decision decision;
};
/// Wants a Tick at or after this monotonic time; the earliest wish counts.
struct Wake {
  int64_t at_monotonic_ns;
};
/// The flow is over: all legs end after their queues are sent, then the flow is destroyed.
struct Finish {};

using Action = std::variant<Send, Shut, Abort, Read, Dial, Secure, Record, Ask, Wake, Finish>;

/// Actions of one turn, in order. Neighbouring sends to one leg share a buffer.
class Actions {
 public:
  /// The bytes to be appended to for `leg`; valid until the next call of any kind.
  std::string& send(Leg leg) {
    if (!list_.empty()) {
      if (auto* last = std::get_if<Send>(&list_.back()); last && last->leg == leg) return last->bytes;
    }
    return std::get<Send>(list_.emplace_back(Send{leg, {}})).bytes;
  }
  void add(Action action) { list_.push_back(std::move(action)); }
  /// A Record whose body is yet to be filled; valid until the next call of any kind.
  template <class Body>
  Body& record(const model::SessionId& session, uint64_t sequence, int64_t wall_ns) {
    Action& action =
        list_.emplace_back(std::in_place_type<Record>, session, sequence, wall_ns, std::in_place_type<Body>);
    return std::get<Body>(std::get<Record>(action).entry.body);
  }
  std::vector<Action>& list() { return list_; }
  const std::vector<Action>& list() const { return list_; }
  void clear() { list_.clear(); }

 private:
  std::vector<Action> list_;
};

}  // namespace sallyport::flow
