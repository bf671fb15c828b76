// SPDX-License-Identifier: Apache-2.0
#include "flow/front/front.h"

#include <fmt/core.h>

#include "sallyport/base/limits.h"
#include "sallyport/base/stream_buffer.h"
#include "sallyport/protocol/detect.h"

namespace sallyport::flow {
namespace {

class Front final : public Flow {
 public:
  Front(const Origin& origin, Services& services, const Layers& layers) : life_(origin, services), layers_(layers) {}

  void start(const Now& now, Actions& actions) override {
    Turn turn{now, actions};
    begin_waiting_ns_ = now.monotonic_ns;
    if (!must_wait(now)) return begin(turn);
    // Nothing of the agent's is read before anybody knows whose it is.
    waiting_ = true;
    actions.add(Read{kAgentLeg, false});
    actions.add(Wake{next_look_ns(now)});
  }

  void on_event(const Event& event, const Now& now, Actions& actions) override {
    Turn turn{now, actions};
    if (over_) return;
    if (waiting_) return wait_on(event, turn);
    if (layer_) return layer_->on_event(event, turn);
    if (const auto* bytes = std::get_if<Bytes>(&event)) {
      first_bytes_.append(bytes->bytes);
      refuse_unlisted(turn);
    } else if (std::holds_alternative<Eof>(event) || std::holds_alternative<Failed>(event)) {
      close("agent closed", turn);
    } else if (const auto* failed = std::get_if<RecordFailed>(&event)) {
      life_.record_failed(failed->reason);
    } else if (std::holds_alternative<Tick>(event) && now.monotonic_ns >= detect_deadline_ns_) {
      reset("refused: nothing listed", turn);
    }
  }

 private:
  /// Its workload's first token is being read, or the SHA-256 that policy asks for is being made.
  bool must_wait(const Now& now) {
    const int64_t waited_ns = now.monotonic_ns - begin_waiting_ns_;
    const bool by_token = waited_ns < limits::kTokenWaitMs * kNanosPerMilli && life_.must_wait();
    return awaits_digest(waited_ns) || by_token;
  }

  bool awaits_digest(int64_t waited_ns) {
    model::Process& process = life_.own().origin.principal.process;
    if (!process.digesting || !life_.services().facts()->policy->asks_for_digest(life_.origin().principal.agent))
      return false;
    if (auto known = life_.services().process_again(life_.origin())) process = std::move(*known);
    return process.digesting && waited_ns < limits::kDigestWaitMs * kNanosPerMilli;
  }

  /// A token's arrival is told by a Changed, a digest's by nobody.
  int64_t next_look_ns(const Now& now) const {
    if (life_.origin().principal.process.digesting) return now.monotonic_ns + limits::kDigestLookMs * kNanosPerMilli;
    return begin_waiting_ns_ + limits::kTokenWaitMs * kNanosPerMilli;
  }

  void wait_on(const Event& event, Turn& turn) {
    if (std::holds_alternative<Failed>(event)) {
      over_ = true;
      turn.actions.add(Finish{});
      return;
    }
    if (must_wait(turn.now)) return turn.actions.add(Wake{next_look_ns(turn.now)});
    waiting_ = false;
    turn.actions.add(Read{kAgentLeg, true});
    begin(turn);
  }

  void begin(Turn& turn) {
    const Now& now = turn.now;
    Actions& actions = turn.actions;
    life_.open_session(now, actions);
    const model::Endpoint& destination = life_.origin().destination;
    LiveOperation& connect = life_.open(model::Connect{destination}, 0, now);
    if (!life_.awaits_token())
      life_.judge(connect, life_.decide(*connect.operation, now), {.statement = "connect " + destination.to_string()},
                  now, actions);
    if (life_.match().target) {
      layer_ = make_layer(life_.match().target->protocol);
      // Its deadlines run from now on, whether or not the agent ever says a word.
      if (layer_) layer_->on_event(Tick{}, turn);
    } else {
      detect_deadline_ns_ = now.monotonic_ns + limits::kDetectTimeoutMs * kNanosPerMilli;
      actions.add(Wake{detect_deadline_ns_});
    }
  }

  std::unique_ptr<Layer> make_layer(std::string_view protocol) {
    auto found = layers_.find(protocol);
    return found == layers_.end() ? nullptr : found->second(life_);
  }

  void refuse_unlisted(Turn& turn) {
    switch (detect::detect(first_bytes_.readable())) {
      case detect::Protocol::need_more:
        return;
      case detect::Protocol::postgres:
        layer_ = make_layer("postgres");
        return layer_->on_event(Bytes{kAgentLeg, first_bytes_.readable()}, turn);
      case detect::Protocol::http: {
        const Refusal refusal = render_refusal(*life_.find(0), life_.origin());
        const std::string body = fmt::format("{}\n{}\n{}\n", refusal.message, refusal.detail, refusal.hint);
        turn.actions.send(kAgentLeg) += fmt::format(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
            "Connection: close\r\n\r\n{}",
            body.size(), body);
        return close("refused by policy", turn);
      }
      default:
        return reset("refused: nothing listed", turn);
    }
  }

  void reset(std::string reason, Turn& turn) {
    turn.actions.add(Abort{kAgentLeg});
    close(std::move(reason), turn);
  }

  void close(std::string reason, Turn& turn) {
    over_ = true;
    life_.close_session(std::move(reason), turn.now, turn.actions);
    turn.actions.add(Finish{});
  }

  OperationLife life_;
  const Layers& layers_;
  std::unique_ptr<Layer> layer_;
  StreamBuffer first_bytes_;
  int64_t detect_deadline_ns_ = 0;
  int64_t begin_waiting_ns_ = 0;
  bool waiting_ = false;  ///< for what operation zero is judged by
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Flow> make_flow(const Origin& origin, Services& services, const Layers& layers) {
  return std::make_unique<Front>(origin, services, layers);
}

}  // namespace sallyport::flow
