// SPDX-License-Identifier: Apache-2.0
// The whole table, written down a second time by hand: each phase × each of the 256 bytes, in both directions.
#include "sallyport/protocol/postgres/state.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace sallyport::postgres {
namespace {

using enum Phase;

/// "Qready": type byte, arrow, next phase; all others must be violations.
struct Row {
  Phase phase;
  std::map<Phase, std::string_view> agent;
  std::map<Phase, std::string_view> server;
};

const Row kRows[] = {
    {startup, {}, {{closed, "E"}}},
    {authentication, {{authentication, "p"}, {closed, "X"}}, {{authentication, "Rv"}, {closed, "E"}}},
    {settling, {{closed, "X"}}, {{settling, "KNS"}, {ready, "Z"}, {closed, "E"}}},
    {ready, {{in_query, "BCDEFPQS"}, {ready, "Hcdf"}, {closed, "X"}}, {{ready, "ANS"}, {closed, "E"}}},
    {in_query,
     {{in_query, "BCDEFHPQScdf"}, {closed, "X"}},
     {{in_query, "123ACDEINSTVnst"}, {copy_in, "G"}, {copy_out, "H"}, {copy_both, "W"}, {ready, "Z"}}},
    {copy_in, {{copy_in, "HSd"}, {in_query, "cf"}, {closed, "X"}}, {{copy_in, "ANS"}, {in_query, "E"}}},
    {copy_out, {{copy_out, "BCDEFHPQScdf"}, {closed, "X"}}, {{copy_out, "ANSd"}, {in_query, "Ec"}}},
    {copy_both, {{copy_both, "cd"}, {closed, "X"}}, {{copy_both, "ANScd"}, {in_query, "CET"}}},
    {skip_to_sync,
     {{skip_to_sync, "BCDEFHPQcdf"}, {in_query, "S"}, {closed, "X"}},
     {{skip_to_sync, "ANS"}, {closed, "E"}}},
    {closed, {}, {{closed, "123ACDEGHIKNRSTVWZcdnstv"}}},
};

std::optional<Phase> written_down(const std::map<Phase, std::string_view>& row, char type) {
  for (const auto& [next, types] : row) {
    if (types.find(type) != std::string_view::npos) return next;
  }
  return std::nullopt;
}

std::string show(std::optional<Phase> phase) { return phase ? std::string(to_string(*phase)) : "violation"; }

TEST(State, EveryPhaseHasAnAnswerForEveryByte) {
  ASSERT_EQ(std::size(kRows), kPhases.size());
  for (const Row& row : kRows) {
    for (int byte = 0; byte < 256; ++byte) {
      const char type = static_cast<char>(byte);
      EXPECT_EQ(show(after_agent(row.phase, type)), show(written_down(row.agent, type)))
          << "agent, " << to_string(row.phase) << ", " << byte;
      EXPECT_EQ(show(after_server(row.phase, type)), show(written_down(row.server, type)))
          << "server, " << to_string(row.phase) << ", " << byte;
    }
  }
}

TEST(State, NoRowKnowsATypeThatDoesNotExist) {
  for (Phase phase : kPhases) {
    for (int byte = 0; byte < 256; ++byte) {
      const char type = static_cast<char>(byte);
      if (legal_from_agent(phase, type)) {
        EXPECT_GT(frame_bytes_max(Side::agent, type), 0u) << byte;
      }
      if (legal_from_server(phase, type)) {
        EXPECT_GT(frame_bytes_max(Side::server, type), 0u) << byte;
      }
    }
  }
}

TEST(State, NothingLeavesClosedAndNothingReturnsToStartup) {
  for (Phase phase : kPhases) {
    for (int byte = 0; byte < 256; ++byte) {
      const char type = static_cast<char>(byte);
      for (const auto next : {after_agent(phase, type), after_server(phase, type)}) {
        if (!next) continue;
        EXPECT_NE(*next, startup);
        if (phase == closed) {
          EXPECT_EQ(*next, closed);
        }
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::postgres
