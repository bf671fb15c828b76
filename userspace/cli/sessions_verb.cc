// SPDX-License-Identifier: Apache-2.0
// Sessions come from the daemon (role viewer), or with --records from a folder: a stopped node's, or a
// copy of its log.
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/output.h"
#include "cli/session_json.h"
#include "cli/verbs.h"
#include "sallyport/control/client.h"
#include "sallyport/record/render.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;
using Summaries = std::vector<record::SessionSummary>;

constexpr uint64_t kPage = 1'000;  // operations asked for at a time

std::string escaped(std::string_view text) {
  std::string out;
  for (const char each : text) {
    const bool plain = (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') ||
                       each == '-' || each == '.' || each == '_';
    out += plain ? std::string(1, each) : fmt::format("%{:02X}", static_cast<unsigned char>(each));
  }
  return out;
}

/// Says what damage was met on the way.
class ToStderr : public record::Reporter {
 public:
  void dropped(std::string_view segment, uint64_t offset, uint64_t bytes, std::string_view why) override {
    fmt::print(stderr, "sallyport: {}: {} bytes at {} left out: {}\n", segment, bytes, offset, why);
  }
  void erased(std::string_view, uint64_t, const model::SessionId&, uint64_t) override {}
};

Result<Summaries> find_sessions(const Common& common, const SessionsArguments& arguments) {
  if (!arguments.records.empty()) {
    ToStderr reporter;
    return record::list_sessions(arguments.records,
                                 {.agent = arguments.agent,
                                  .target = arguments.target,
                                  .denied_only = arguments.denied_only,
                                  .newest = arguments.limit},
                                 &reporter);
  }
  const auto answer = control::Client(common.socket)
                          .get(fmt::format("/v1/sessions?agent={}&target={}&limit={}", escaped(arguments.agent),
                                           escaped(arguments.target), arguments.limit));
  if (!answer) return std::unexpected(answer.error());
  Summaries found;
  for (const json& each : *answer) {
    record::SessionSummary session = summary_from_json(each);
    if (!arguments.denied_only || session.denied > 0) found.push_back(std::move(session));
  }
  return found;
}

Result<record::SessionDetail> find_session(const Common& common, const SessionsArguments& arguments) {
  if (!arguments.records.empty()) {
    ToStderr reporter;
    return record::load_session(arguments.records, arguments.id, &reporter);
  }
  const control::Client client(common.socket);
  record::SessionDetail whole;
  for (uint64_t from = 0;; from += kPage) {
    const auto answer = client.get(fmt::format("/v1/sessions/{}?from={}&limit={}", escaped(arguments.id), from, kPage));
    if (!answer) return std::unexpected(answer.error());
    record::SessionDetail page = detail_from_json(*answer);
    const size_t count = page.operations.size();
    whole.summary = std::move(page.summary);
    whole.cut = page.cut;
    std::ranges::move(page.operations, std::back_inserter(whole.operations));
    if (count < kPage) return whole;
  }
}

/// A missing folder or daemon is found out, not used wrongly.
int refused(const Error& error) {
  print_error(error);
  return kFound;
}

}  // namespace

int run_sessions_list(const Common& common, const SessionsArguments& arguments) {
  const auto sessions = find_sessions(common, arguments);
  if (!sessions) return refused(sessions.error());
  if (common.json) {
    print_json(record::to_json(*sessions));
  } else {
    print(record::render_list(*sessions));
  }
  return kDone;
}

int run_sessions_show(const Common& common, const SessionsArguments& arguments) {
  const auto session = find_session(common, arguments);
  if (!session) return refused(session.error());
  if (common.json) {
    print_json(record::to_json(*session));
  } else {
    print(record::render_show(*session));
  }
  return kDone;
}

int run_sessions_replay(const Common& common, const SessionsArguments& arguments) {
  const auto session = find_session(common, arguments);
  if (!session) return refused(session.error());
  if (common.json) {
    print_json(record::to_json(*session));
    return kDone;
  }
  for (const record::ReplayStep& step : record::render_replay(*session)) {
    if (arguments.speed > 0)
      std::this_thread::sleep_for(
          std::chrono::nanoseconds(std::llround(static_cast<double>(step.wait_ns) / arguments.speed)));
    print(step.text);
    std::fflush(stdout);
  }
  return kDone;
}

}  // namespace sallyport::cli
