// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/state.h"

namespace sallyport::postgres {
namespace {

constexpr int8_t kViolation = -1;

/// phase × type byte → phase, or kViolation. One per direction.
class Table {
 public:
  constexpr Table() {
    for (auto& row : next_) row.fill(kViolation);
  }
  constexpr Table& on(Phase phase, std::string_view types, Phase next) {
    for (char type : types) next_[static_cast<size_t>(phase)][static_cast<size_t>(type)] = static_cast<int8_t>(next);
    return *this;
  }
  constexpr std::optional<Phase> after(Phase phase, char type) const {
    const auto index = static_cast<uint8_t>(type);
    if (index >= kTypeCount) return std::nullopt;
    const int8_t next = next_[static_cast<size_t>(phase)][index];
    if (next == kViolation) return std::nullopt;
    return static_cast<Phase>(next);
  }

 private:
  static constexpr size_t kTypeCount = 128;
  std::array<std::array<int8_t, kTypeCount>, kPhases.size()> next_{};
};

using enum Phase;

// What asks for an answer: Query, Parse, Bind, Describe, Execute, Close, FunctionCall, Sync.
constexpr std::string_view kRequests = "QPBDECFS";
// Outside of COPY the server ignores these: the agent may not know yet that its COPY failed.
constexpr std::string_view kCopyFromAgent = "dcf";
// NoticeResponse, ParameterStatus, NotificationResponse: at any time once settled.
constexpr std::string_view kAsynchronous = "NSA";

constexpr Table kFromAgent = Table()
                                 .on(authentication, "p", authentication)
                                 .on(authentication, "X", closed)
                                 .on(settling, "X", closed)
                                 .on(ready, kRequests, in_query)
                                 .on(ready, kCopyFromAgent, ready)
                                 .on(ready, "H", ready)
                                 .on(ready, "X", closed)
                                 .on(in_query, kRequests, in_query)
                                 .on(in_query, kCopyFromAgent, in_query)
                                 .on(in_query, "H", in_query)
                                 .on(in_query, "X", closed)
                                 .on(copy_in, "dHS", copy_in)
                                 .on(copy_in, "cf", in_query)
                                 .on(copy_in, "X", closed)
                                 .on(copy_out, kRequests, copy_out)
                                 .on(copy_out, kCopyFromAgent, copy_out)
                                 .on(copy_out, "H", copy_out)
                                 .on(copy_out, "X", closed)
                                 .on(copy_both, "dc", copy_both)
                                 .on(copy_both, "X", closed)
                                 .on(skip_to_sync, kRequests, skip_to_sync)
                                 .on(skip_to_sync, kCopyFromAgent, skip_to_sync)
                                 .on(skip_to_sync, "H", skip_to_sync)
                                 .on(skip_to_sync, "S", in_query)
                                 .on(skip_to_sync, "X", closed);

constexpr Table kFromServer = Table()
                                  .on(startup, "E", closed)  // "too many connections", before anything was asked
                                  .on(authentication, "Rv", authentication)
                                  .on(authentication, "E", closed)
                                  .on(settling, "NSK", settling)
                                  .on(settling, "Z", ready)
                                  .on(settling, "E", closed)
                                  .on(ready, kAsynchronous, ready)
                                  .on(ready, "E", closed)  // shutdown, timeouts: the server's farewell
                                  .on(in_query, kAsynchronous, in_query)
                                  .on(in_query, "123CDEIVnstT", in_query)
                                  .on(in_query, "G", copy_in)
                                  .on(in_query, "H", copy_out)
                                  .on(in_query, "W", copy_both)
                                  .on(in_query, "Z", ready)
                                  .on(copy_in, kAsynchronous, copy_in)
                                  .on(copy_in, "E", in_query)
                                  .on(copy_out, kAsynchronous, copy_out)
                                  .on(copy_out, "d", copy_out)
                                  .on(copy_out, "cE", in_query)
                                  .on(copy_both, kAsynchronous, copy_both)
                                  .on(copy_both, "dc", copy_both)
                                  .on(copy_both, "CET", in_query)  // T: the next timeline, as a result set
                                  .on(skip_to_sync, kAsynchronous, skip_to_sync)
                                  .on(skip_to_sync, "E", closed)
                                  .on(closed, backend::kTypes, closed);  // what was still under way

}  // namespace

std::string_view to_string(Phase phase) {
  static constexpr std::array<std::string_view, kPhases.size()> kNames = {
      "startup", "authentication", "settling",  "ready",        "in_query",
      "copy_in", "copy_out",       "copy_both", "skip_to_sync", "closed"};
  return kNames[static_cast<size_t>(phase)];
}

std::optional<Phase> after_agent(Phase phase, char type) { return kFromAgent.after(phase, type); }

std::optional<Phase> after_server(Phase phase, char type) { return kFromServer.after(phase, type); }

}  // namespace sallyport::postgres
