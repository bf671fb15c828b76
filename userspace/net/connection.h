// SPDX-License-Identifier: Apache-2.0
// A live flow with its legs: hands it events, and carries its actions out (the one visitor of flow's
// action list).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/wire.h"
#include "sallyport/flow/flow.h"
#include "sallyport/net/worker.h"

namespace sallyport::net {

class Connection {
 public:
  Connection(Loop& loop, Accepted accepted) : loop_(loop), accepted_(std::move(accepted)) {}

  model::FlowId id() const { return accepted_.origin.id; }

  /// Makes the flow and starts it on the accepted socket.
  void start(UniqueFd agent, const model::Endpoint& peer);
  void deliver(const flow::Event& event);
  void on_ready(Wire& wire, uint32_t events);
  void on_unread(flow::Leg leg);
  void on_timer(int64_t at_ns);

  // --- commit: the flow is not called ---
  /// Appends this turn's records. True: some were, and whether they are accepted the flush will say.
  bool append_records(Recorder& recorder);
  bool has_records() const { return has_records_; }
  /// The recorder did not take this turn's records: nothing of this turn leaves, and the flow is told.
  void refuse(const std::string& reason);
  /// What the flow answered to RecordFailed, apart from all else: records as far as they go; of the
  /// rest only what the agent hears, so that nothing unrecorded goes upstream.
  void commit_refusal(Recorder& recorder);
  /// Carries out this turn's actions.
  void commit();

  /// An event is on its way in the loop's list of carried-over ones; delivered() counts it off.
  void delivered_carried() { --carried_; }
  bool is_done() const;
  /// One last write, then every socket is closed.
  void end();

 private:
  struct Visitor;

  Wire* open_wire(flow::Leg leg);
  void add_wire(flow::Leg leg, UniqueFd fd, Wire::State state, const model::Endpoint& peer);
  /// Delivers at once, or in the next turn when this one is being committed.
  void emit(flow::Event event);

  void finish_dial(Wire& wire);
  void read_wire(Wire& wire);
  void read_plaintext(Wire& wire, std::string_view ciphertext);
  void peer_ended(Wire& wire);
  void fail_wire(Wire& wire, std::string reason);
  void wire_gone(Wire& wire);
  void flush_wire(Wire& wire);
  void balance();
  void finish();
  void finish_wire(Wire& wire);
  void arm();

  void carry_out(flow::Actions& actions);
  void dial(const flow::Dial& action);
  void secure(flow::Secure& action);

  Loop& loop_;
  const Accepted accepted_;
  std::unique_ptr<flow::Flow> flow_;
  std::unique_ptr<flow::Actions> actions_;  ///< of this turn; null: none yet
  std::vector<std::unique_ptr<Wire>> wires_;
  int64_t wake_at_ns_ = 0;
  int64_t finish_until_ns_ = 0;
  int64_t armed_at_ns_ = 0;  ///< the earliest timer in the heap for this flow; 0: none
  size_t carried_ = 0;       ///< events that wait for the next turn
  bool finishing_ = false;
  bool finish_wanted_ = false;  ///< Finish came in a turn whose records were refused
  bool refusing_ = false;       ///< in commit_refusal()
  bool has_records_ = false;    ///< of this turn
};

}  // namespace sallyport::net
