// SPDX-License-Identifier: Apache-2.0
// The life of an operation, written once for every protocol:
//
//   opened -> judged -> held -> released | refused
//                    -> released | refused          released -> running -> ended | cut
//
// A protocol opens operations, attaches what it learns, and renders refusals on its wire. Every
// decision becomes a Record action before anything that follows from it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/operation/limit_leases.h"
#include "flow/operation/recycled_map.h"
#include "sallyport/flow/services.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"
#include "sallyport/model/session.h"

namespace sallyport::flow {

/// The cause of a refusal whose caller has not proven to be the agent.
inline constexpr std::string_view kTokenMismatch = "token-mismatch";
/// And of one whose workload is not the agent's any more.
inline constexpr std::string_view kWorkloadLost = "workload";

enum class Stage : uint8_t { opened, held, released, refused };

/// How a statement reads in the record: literals that must not be seen already replaced.
struct RecordText {
  std::string statement;
  std::string shape;
  std::vector<std::string> parameters;
  /// An operation of the same effects and decision whose entry stands in the record: its text is not repeated. 0: none.
  model::OperationId same_as = 0;
};

/// Whom operations are judged for: the flow's own caller, and where a Target lets agents show tokens inside its
/// protocol, each one that showed one.
struct Caller {
  Caller(const Origin& from, Services& services) : origin(from), limits(origin, services) {}
  Caller(const Caller&) = delete;

  Origin origin;                            ///< with agent and token as proven; no agent: not known (yet)
  std::shared_ptr<const ShownToken> shown;  ///< null: the workload's own standing counts
  std::shared_ptr<const Standing> standing;
  LimitLeases limits;
};

struct LiveOperation {
  model::OperationId id = 0;
  model::OperationId parent = 0;                      ///< 0: the connection
  Caller* caller = nullptr;                           ///< never null once opened
  std::shared_ptr<const model::Operation> operation;  ///< what it does; others that do the same share it
  std::shared_ptr<const model::Decision> decision;    ///< null until judged; shared likewise, see own_decision()
  Stage stage = Stage::opened;
  int64_t opened_monotonic_ns = 0;
  int64_t hold_deadline_ns = 0;  ///< monotonic; 0: not held
  uint64_t statements = 0;       ///< how many it counts as when it is released; 0: limits do not concern it
  bool holds_lifted = false;     ///< a human approved it
  model::OperationEnded result;  ///< grows while it runs

  /// Its decision, to be changed.
  model::Decision& own_decision() {
    auto own = decision ? std::make_shared<model::Decision>(*decision) : std::make_shared<model::Decision>();
    decision = own;
    return *own;
  }
};

class OperationLife {
 public:
  /// `services` outlives this.
  OperationLife(const Origin& origin, Services& services) : services_(services), own_(origin, services) {}

  /// Nobody can say yet who is calling, and it will be known without a word of the agent's.
  bool must_wait() const;
  /// Takes the first reading of the facts, opens the session record.
  void open_session(const Now& now, Actions& actions);
  /// Closes the session record once; later calls do nothing.
  void close_session(std::string reason, const Now& now, Actions& actions);

  /// What the protocol says that may tell Targets apart which fit equally well; before it is said, target() is null
  /// where there are several. A Target that is known by this goes into the record.
  void choose_target(policy::TargetSelector selector, const Now& now, Actions& actions);
  /// Why target() is null.
  model::Cause no_target() const;

  /// Agents must show a token inside the protocol: nothing is allowed before, and operation zero is opened but not
  /// judged. Once the flow's own caller has shown one it no longer awaits it.
  bool awaits_token() const { return awaits_token_; }
  /// Where, if it does.
  policy::TokenFrom token_from() const;
  /// The flow's own caller shows a token: for protocols that say once who is calling. Its standing may be pending: a
  /// Changed event comes.
  void show_own_token(std::string_view token);
  /// One of several callers on a flow; the same token is the same caller. Where limits::kShownTokensPerFlowMax have
  /// operations open, another one is refused. The reference holds while it has an operation open.
  Caller& show_token(std::string_view token, const Now& now);
  /// The flow's own caller is `agent`, who is known by something that only a live flow of this agent can tell.
  void act_as(const std::string& agent);
  /// Operation zero, for who is known by now; recorded, with the session's opening once more.
  void judge_connect(Caller& caller, const Now& now, Actions& actions);
  Caller& own() { return own_; }

  /// Opens an operation of `caller` (null: the flow's own); the reference holds until it is ended.
  LiveOperation& open(std::shared_ptr<const model::Operation> operation, model::OperationId parent, const Now& now,
                      Caller* caller = nullptr);
  LiveOperation& open(model::OperationBody body, model::OperationId parent, const Now& now, Caller* caller = nullptr) {
    return open(make_operation(std::move(body)), parent, now, caller);
  }
  /// An operation on this flow's target.
  std::shared_ptr<const model::Operation> make_operation(model::OperationBody body) const {
    return std::make_shared<model::Operation>(model::Operation{.target = target_name_, .body = std::move(body)});
  }
  /// Decides by the current facts. Pure: nothing is opened or recorded.
  model::Decision decide(const model::Operation& operation, const Now& now) const {
    return decide(operation, now, own_);
  }
  model::Decision decide(const model::Operation& operation, const Now& now, const Caller& caller) const;
  /// The limits in force from now on.
  void set_limits(std::span<const model::Limit> limits, const Now& now) { set_limits(limits, now, own_); }
  void set_limits(std::span<const model::Limit> limits, const Now& now, Caller& caller) {
    caller.limits.set(limits, target_name_, now);
  }
  /// Counts part of a running operation's result. False: a limit is used up, and the decision says which: cut it.
  bool spend(LiveOperation& live, uint64_t rows, uint64_t bytes, const Now& now, Actions& actions) {
    LimitLeases& limits = live.caller->limits;
    if (limits.empty()) return true;
    auto used_up = limits.spend(rows, bytes, live.holds_lifted, now, actions);
    if (used_up) refuse_by_limit(live, std::move(*used_up));
    return live.decision->outcome == model::Outcome::allow;
  }
  /// At every Tick.
  void give_back_leases(const Now& now, Actions& actions);

  /// Gives an operation its decision and records it. One that is allowed and counts is held or denied all the same
  /// when a limit is used up. An outcome of hold asks a human and sets a deadline.
  void judge(LiveOperation& live, std::shared_ptr<const model::Decision> decision, RecordText text, const Now& now,
             Actions& actions);
  void judge(LiveOperation& live, model::Decision decision, RecordText text, const Now& now, Actions& actions) {
    judge(live, std::make_shared<model::Decision>(std::move(decision)), std::move(text), now, actions);
  }
  /// A human's answer or the deadline: held becomes released or refused, and is recorded.
  void answer(LiveOperation& live, bool approved, const std::string& by, const Now& now, Actions& actions);
  /// Writes the outcome and forgets the operation.
  void end(LiveOperation& live, const Now& now, Actions& actions);
  /// Forgets one of which there is nothing to tell but its decision.
  void forget(const LiveOperation& live) { live_.erase(live.id); }

  /// Newer facts and standings of the callers, if there are any. True when one of them moved.
  bool refresh();
  /// Judges every released operation again; the ones that may no longer run.
  std::vector<LiveOperation*> no_longer_allowed(const Now& now);

  LiveOperation* find(model::OperationId id);
  template <class Body>
  void append(Body body, const Now& now, Actions& actions) {
    if (record_trouble_.empty()) actions.record<Body>(session_, sequence_++, now.wall_ns) = std::move(body);
  }
  /// The recorder refused an entry: nothing is recorded any more, everything is denied from here on.
  void record_failed(std::string reason) { record_trouble_ = std::move(reason); }
  const std::string& record_trouble() const { return record_trouble_; }

  /// The earlier of `wall_ns` (0: never) and the end of what the caller has proven.
  int64_t no_later_than_standing(int64_t wall_ns) const { return no_later_than_standing(wall_ns, own_); }
  static int64_t no_later_than_standing(int64_t wall_ns, const Caller& caller) {
    const int64_t until = caller.standing ? caller.standing->until_wall_ns : 0;
    return until != 0 && (wall_ns == 0 || until < wall_ns) ? until : wall_ns;
  }
  const Facts& facts() const { return *facts_; }
  const Origin& origin() const { return own_.origin; }
  Services& services() { return services_; }
  const model::SessionId& session() const { return session_; }
  /// Null when nothing listed fits, two fit equally well, or policy gave the destination to another. Lives as long as
  /// the facts do.
  const policy::Target* target() const { return match_.others.empty() && !moved_ ? match_.target : nullptr; }
  const policy::TargetMatch& match() const { return match_; }
  uint64_t& bytes_to_agent() { return bytes_to_agent_; }
  uint64_t& bytes_to_target() { return bytes_to_target_; }

 private:
  void find_target();
  bool read_standing(Caller& caller);
  void identify(Caller& caller);
  static std::optional<model::Decision> refuse_caller(const Caller& caller, const Now& now);
  model::Decision decide_by_policy(const model::Operation& operation, const Now& now, const Caller& caller) const;
  void record_decision(const LiveOperation& live, bool changed, RecordText text, const Now& now, Actions& actions);
  void record_opened(const model::Principal& principal, const Now& now, Actions& actions);
  void admit(LiveOperation& live, const Now& now, Actions& actions);
  static void refuse_by_limit(LiveOperation& live, LimitLeases::UsedUp used_up);

  Services& services_;
  Caller own_;
  std::vector<std::unique_ptr<Caller>> callers_;  ///< who showed tokens, least recently first
  std::unique_ptr<Caller> one_too_many_;
  bool awaits_token_ = false;
  std::shared_ptr<const Facts> facts_;
  policy::TargetMatch match_;
  policy::TargetSelector selector_;
  std::string target_name_;  ///< once it is known; a flow never changes its Target
  bool moved_ = false;
  std::string record_trouble_;
  model::SessionId session_;
  uint64_t sequence_ = 0;
  model::OperationId next_id_ = 0;
  RecycledMap<model::OperationId, LiveOperation> live_;
  uint64_t bytes_to_agent_ = 0;
  uint64_t bytes_to_target_ = 0;
  bool closed_ = false;
};

}  // namespace sallyport::flow
