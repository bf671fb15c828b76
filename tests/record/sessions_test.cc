// SPDX-License-Identifier: Apache-2.0
// Goal: sessions come out of the log as they went in, and printing them is safe. Method: sessions
// written through a file sink; the rendered text is compared whole.
#include "sallyport/record/sessions.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sallyport/base/limits.h"
#include "sallyport/record/file_sink.h"
#include "sallyport/record/render.h"
#include "tests/record/entries.h"
#include "tests/record/memory_segments.h"

namespace sallyport::record {
namespace {

namespace fs = std::filesystem;

class SessionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char made[] = "/tmp/sallyport-sessions-XXXXXX";
    ASSERT_NE(::mkdtemp(made), nullptr);
    directory_ = made;
    sink_ = *make_file_sink({directory_, "w0"});
  }
  void TearDown() override {
    sink_.reset();
    fs::remove_all(directory_);
  }
  void write(const std::vector<model::RecordEntry>& entries) {
    for (const model::RecordEntry& entry : entries) ASSERT_TRUE(sink_->append(entry));
    ASSERT_TRUE(sink_->flush());
  }
  std::vector<std::string> listed(const SessionFilter& filter) {
    std::vector<std::string> ids;
    auto sessions = list_sessions(directory_, filter);
    EXPECT_TRUE(sessions);
    for (const SessionSummary& session : *sessions) ids.push_back(session.id);
    return ids;
  }

  std::string directory_;
  std::unique_ptr<Sink> sink_;
};

TEST_F(SessionsTest, ASummaryCounts) {
  write(whole_session(session_id(1)));
  auto sessions = list_sessions(directory_, {});
  ASSERT_TRUE(sessions);
  ASSERT_EQ(sessions->size(), 1U);
  const SessionSummary& session = sessions->front();
  EXPECT_EQ(session.id, session_id(1));
  EXPECT_EQ(session.state, SessionState::closed);
  EXPECT_EQ(session.opened->principal.agent, "billing-bot");
  EXPECT_EQ(session.operations, 2U);
  EXPECT_EQ(session.denied, 1U);
  EXPECT_EQ(session.errors, 1U);
  EXPECT_EQ(session.rows, 2U);
  EXPECT_EQ(session.bytes_to_agent, 900U);
  EXPECT_EQ(session.masked_values, 2U);
  EXPECT_EQ(session.missing, 0U);
  EXPECT_EQ(session.close_reason, "agent closed");
}

TEST_F(SessionsTest, LiveAndInterrupted) {
  auto entries = whole_session(session_id(1));
  entries.pop_back();
  write(entries);
  EXPECT_EQ(list_sessions(directory_, {})->front().state, SessionState::live);
  EXPECT_EQ(listed({.live_only = true}).size(), 1U);
  sink_.reset();
  EXPECT_EQ(list_sessions(directory_, {})->front().state, SessionState::interrupted);
  sink_ = *make_file_sink({directory_, "w0"});  // the next daemon does not bring it back to life
  EXPECT_EQ(list_sessions(directory_, {})->front().state, SessionState::interrupted);
  EXPECT_TRUE(listed({.live_only = true}).empty());
}

TEST_F(SessionsTest, ASessionLivesAcrossSegments) {
  sink_ = *make_file_sink({directory_, "w1", false, 0, 2'000});
  auto entries = whole_session(session_id(1));
  auto closed = entries.back();
  entries.pop_back();
  write(entries);
  write(whole_session(session_id(2)));
  auto sessions = *list_sessions(directory_, {});
  ASSERT_EQ(sessions.size(), 2U);
  EXPECT_EQ(sessions[0].state, SessionState::live);
  EXPECT_EQ(sessions[1].state, SessionState::closed);
  write({closed});
  EXPECT_EQ(list_sessions(directory_, {})->front().state, SessionState::closed);
}

TEST_F(SessionsTest, Filters) {
  write(whole_session(session_id(1)));
  auto other = whole_session(make_session_id(kWall + 1'000'000'000, {}));
  std::get<model::SessionOpened>(other[0].body).principal.agent = "other-bot";
  std::get<model::SessionOpened>(other[0].body).target = "other-db";
  std::get<model::OperationDecided>(other[5].body).outcome = model::Outcome::allow;
  for (auto& entry : other) entry.wall_ns += 1'000'000'000;
  write(other);
  std::string first = session_id(1), second = other[0].session;
  using Ids = std::vector<std::string>;
  EXPECT_EQ(listed({}), (Ids{first, second}));
  EXPECT_EQ(listed({.agent = "other-bot"}), (Ids{second}));
  EXPECT_EQ(listed({.target = "invoices-db"}), (Ids{first}));
  EXPECT_EQ(listed({.since_wall_ns = kWall + 1}), (Ids{second}));
  EXPECT_EQ(listed({.until_wall_ns = kWall + 1}), (Ids{first}));
  EXPECT_EQ(listed({.denied_only = true}), (Ids{first}));
  EXPECT_EQ(listed({.newest = 1}), (Ids{second}));
  EXPECT_EQ(listed({.id_prefix = "7"}), Ids{});
}

TEST_F(SessionsTest, WhatAnEntryLeavesToAnotherIsFilledIn) {
  auto entries = whole_session(session_id(1));
  const auto full = std::get<model::OperationDecided>(entries[2].body);
  const model::OperationDecided same{
      .id = 3, .kind = "sql", .parameters = {"8"}, .outcome = model::Outcome::allow, .same_as = 1};
  const model::OperationDecided own_text{
      .id = 4, .kind = "sql", .statement = "select 2", .outcome = model::Outcome::allow, .same_as = 1};
  const model::OperationDecided lost{.id = 5, .kind = "sql", .outcome = model::Outcome::allow, .same_as = 99};
  entries.pop_back();
  for (const auto& body : {same, own_text, lost})
    entries.push_back({session_id(1), entries.size(), kWall + 1'000'000'000, body});
  write(entries);
  auto session = load_session(directory_, session_id(1));
  ASSERT_TRUE(session);
  ASSERT_EQ(session->operations.size(), 6u);  // the connection first
  const model::OperationDecided& filled = session->operations[3].decided;
  EXPECT_EQ(filled.statement, full.statement);
  EXPECT_EQ(filled.shape, full.shape);
  EXPECT_EQ(filled.effects, full.effects);
  EXPECT_EQ(filled.causes[0].rule, full.causes[0].rule);
  EXPECT_EQ(filled.masks, full.masks);
  EXPECT_EQ(filled.parameters, std::vector<std::string>{"8"});
  EXPECT_EQ(session->operations[4].decided.statement, "select 2");
  EXPECT_EQ(session->operations[5].decided.statement, "");
}

TEST_F(SessionsTest, LoadByPrefix) {
  write(whole_session(session_id(1)));
  write(whole_session(session_id(2)));
  EXPECT_TRUE(load_session(directory_, session_id(2)));
  std::string lower = session_id(2);
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(load_session(directory_, lower)->summary.id, session_id(2));
  auto ambiguous = load_session(directory_, session_id(1).substr(0, 20));
  ASSERT_FALSE(ambiguous);
  EXPECT_NE(ambiguous.error().hint.find(session_id(2)), std::string::npos);
  EXPECT_FALSE(load_session(directory_, "7ZZZ"));
  EXPECT_FALSE(load_session(directory_, ""));
  EXPECT_FALSE(load_session(directory_ + "/none", session_id(1)));
}

TEST_F(SessionsTest, EntriesSeenTwiceCountOnceAndGapsAreTold) {
  auto entries = whole_session(session_id(1));
  write(entries);
  write(entries);  // as after a flush that failed when its segment was given up
  EXPECT_EQ(list_sessions(directory_, {})->front().operations, 2U);
  auto gap = whole_session(session_id(2));
  gap.erase(gap.begin() + 3, gap.begin() + 5);
  write(gap);
  auto loaded = load_session(directory_, session_id(2));
  EXPECT_EQ(loaded->summary.missing, 2U);
  EXPECT_FALSE(loaded->operations[1].ended);
}

constexpr const char* kShown = R"(session    @ID@
state      closed: agent closed
agent      billing-bot (exec:billing-bot, corp/system:serviceaccount:bots:billing-bot, psql[1234])
process    pid 1234 uid 1000 gid 1001  /usr/bin/psql  sha256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  in /srv
           psql -h db
           started by bash[12], by init[1]
cgroup     /sallyport.slice/billing-bot
target     invoices-db  postgres
where      10.0.0.5:43122 -> [fd00::1]:5432 on node1
opened     2026-09-21T14:13:20.123Z
closed     2026-09-21T14:13:20.193Z
lasted     70.0 ms
totals     2 operations, 1 denied, 1 error, 2 rows, 900 B to the agent, 300 B to the target, 2 values masked
)";

constexpr const char* kOperation =
    R"(#1    14:13:20.143 sql      allow  1.2 ms, 2 rows, 340 B to the agent, 2 values masked  SELECT 2
      select id, email
      from customers
      $1 = 7
      $2 = \xff not utf-8
      $3 = 
      cause   billing-bot-invoices.allow[0]: select on public.customers  policy.yaml:3:7
      effect  select read relation public.customers (email, id)
      effect  unknown execute unknown f() (*)  because dynamic
      mask    public.customers.email partial
)";

TEST_F(SessionsTest, Show) {
  write(whole_session(session_id(1)));
  std::string shown = render_show(*load_session(directory_, session_id(1)));
  std::string head = kShown;
  head.replace(head.find("@ID@"), 4, session_id(1));
  EXPECT_TRUE(shown.starts_with(head)) << shown;
  EXPECT_NE(shown.find(kOperation), std::string::npos) << shown;
  EXPECT_NE(shown.find("      error   42501 not allowed: `update`\n"), std::string::npos) << shown;
}

TEST_F(SessionsTest, List) {
  EXPECT_EQ(render_list({}), "no sessions\n");
  write(whole_session(session_id(1)));
  EXPECT_EQ(render_list(*list_sessions(directory_, {})),
            "SESSION                     STATE   OPENED               LASTED   TARGET       OPERATIONS  DENIED  ROWS  "
            "PRINCIPAL\n" +
                session_id(1) +
                "  closed  2026-09-21T14:13:20  70.0 ms  invoices-db  2           1       2     billing-bot "
                "(exec:billing-bot, "
                "corp/system:serviceaccount:bots:billing-bot, psql[1234])\n");
}

TEST_F(SessionsTest, Replay) {
  write(whole_session(session_id(1)));
  auto steps = render_replay(*load_session(directory_, session_id(1)));
  std::string text;
  int64_t waited = 0;
  for (size_t i = 1; i < steps.size(); ++i) {
    text += steps[i].text;
    waited += steps[i].wait_ns;
  }
  EXPECT_EQ(waited, 70'000'000);
  EXPECT_NE(text.find("14:13:20.143 >\n    select id, email\n    from customers\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  id | email\n  1  | a***@example.com\n  2  | \n  SELECT 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  deny: billing-bot-invoices.allow[0], select on public.customers\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("  ERROR 42501 not allowed: `update`\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("14:13:20.193 closed: agent closed\n")) << text;
}

/// A session whose connection and login stay open to its end, with statements that have no rows to tell of.
TEST_F(SessionsTest, ReplayTellsWhatHappenedWhereThereWereNoRows) {
  std::vector<model::RecordEntry> entries;
  const auto add = [&](model::RecordBody body) {
    entries.push_back({session_id(1), entries.size(), kWall, std::move(body)});
  };
  const auto decided = [&](uint32_t id, std::string kind, std::string statement, model::Outcome outcome) {
    model::OperationDecided body{
        .id = id, .kind = std::move(kind), .statement = std::move(statement), .outcome = outcome};
    body.causes = {{"rule", "why", ""}};
    add(std::move(body));
  };
  add(opened_body());
  decided(0, "connect", "connect 10.0.0.5:5432", model::Outcome::allow);
  decided(1, "sql", "user=app", model::Outcome::allow);
  decided(2, "sql", "SELECT 1", model::Outcome::allow);
  add(model::OperationEnded{.id = 2, .duration_ns = 1'000'000, .tag = "parsed"});
  decided(3, "sql", "SELECT 2", model::Outcome::allow);
  decided(4, "connect", "connect 10.0.0.6:5432", model::Outcome::deny);
  add(model::OperationEnded{.id = 4});
  add(model::OperationEnded{.id = 3, .duration_ns = 2'000'000, .rows = 5, .error = "agent closed"});
  add(model::OperationEnded{.id = 1, .duration_ns = 70'000'000, .tag = "logged in", .error = "agent closed"});
  add(model::OperationEnded{.id = 0, .duration_ns = 71'000'000, .error = "agent closed"});
  write(entries);
  std::string text;
  for (const ReplayStep& step : render_replay(*load_session(directory_, session_id(1)))) text += step.text;
  EXPECT_EQ(text.find("  0 rows\n"), std::string::npos) << text;
  for (std::string_view expected :
       {"connect connect 10.0.0.5:5432\n  ended after 71.0 ms: agent closed\n",
        "> user=app\n  logged in, ended after 70.0 ms: agent closed\n", "> SELECT 1\n  parsed\n",
        "> SELECT 2\n  5 rows, ended after 2.0 ms: agent closed  (0 rows of 5 in the record)\n",
        "connect connect 10.0.0.6:5432\n  deny: rule, why\n"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "in\n" << text;
}

TEST_F(SessionsTest, PrintingARecordCannotDriveATerminal) {
  auto entries = whole_session(session_id(1));
  const std::string hostile =
      "\x1b]0;owned\x07\x1b[2J \xc2\x9b"
      "31m \xe2\x80\xae txt \x7f \r\xff";
  auto& opened = std::get<model::SessionOpened>(entries[0].body);
  opened.principal.process.command = opened.principal.process.executable = opened.target = hostile;
  auto& decided = std::get<model::OperationDecided>(entries[2].body);
  decided.statement = decided.causes[0].text = decided.effects[0].object = decided.parameters[0] = hostile;
  auto& rows = std::get<model::RowsReturned>(entries[3].body);
  rows.columns[0] = hostile;
  rows.rows[0][0] = hostile;
  std::get<model::OperationEnded>(entries[6].body).error = hostile;
  std::get<model::SessionClosed>(entries[7].body).reason = hostile;
  write(entries);
  auto loaded = *load_session(directory_, session_id(1));
  std::string printed = render_show(loaded) + render_list({loaded.summary});
  for (const ReplayStep& step : render_replay(loaded)) printed += step.text;
  for (char c : printed) ASSERT_TRUE(c == '\n' || static_cast<uint8_t>(c) >= 0x20) << int(c);
  for (const char* sign : {"\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xff"})
    EXPECT_EQ(printed.find(sign), std::string::npos);
  EXPECT_NE(printed.find("\\x1b]0;owned\\x07"), std::string::npos);
  EXPECT_NO_THROW(static_cast<void>(to_json(loaded).dump()));
}

TEST_F(SessionsTest, Json) {
  write(whole_session(session_id(1)));
  auto json = to_json(*load_session(directory_, session_id(1)));
  EXPECT_EQ(json["id"], session_id(1));
  EXPECT_EQ(json["state"], "closed");
  EXPECT_EQ(json["agent"], "billing-bot");
  EXPECT_EQ(json["process"]["pid"], 1234);
  EXPECT_EQ(json["process"]["parents"][1]["command"], "init");
  EXPECT_EQ(json["subject"], "system:serviceaccount:bots:billing-bot");
  EXPECT_EQ(json["log"][1]["decision"], "allow");
  EXPECT_EQ(json["log"][1]["effects"][0]["columns"], nlohmann::json::array({"email", "id"}));
  EXPECT_EQ(json["log"][1]["effects"][1]["columns"], nlohmann::json::array({"*"}));
  EXPECT_EQ(json["log"][1]["results"][0]["rows"][1][1], nullptr);
  EXPECT_EQ(json["log"][2]["ended"]["error"]["sqlstate"], "42501");
  EXPECT_EQ(to_json(*list_sessions(directory_, {})).size(), 1U);
}

TEST_F(SessionsTest, TheListIsBounded) {
  for (size_t i = 0; i <= limits::kRecordSessionsListedMax; ++i) {
    model::SessionId id = make_session_id(kWall + static_cast<int64_t>(i) * 1'000'000, {});
    ASSERT_TRUE(sink_->append({id, 0, kWall, model::SessionClosed{}}));
  }
  ASSERT_TRUE(sink_->flush());
  auto sessions = list_sessions(directory_, {});
  ASSERT_TRUE(sessions);
  EXPECT_EQ(sessions->size(), limits::kRecordSessionsListedMax);
  EXPECT_EQ(sessions->front().id, make_session_id(kWall + 1'000'000, {}));  // the oldest is left out
}

TEST_F(SessionsTest, ALoadedSessionIsBounded) {
  constexpr size_t kStatementBytes = 900'000;
  size_t most = limits::kRecordSessionBytesMax / kStatementBytes;
  for (size_t i = 0; i <= most; ++i) {
    auto body = decided_body(static_cast<uint32_t>(i), std::string(kStatementBytes, 'x'));
    ASSERT_TRUE(sink_->append({session_id(1), i, kWall, body}));
  }
  ASSERT_TRUE(sink_->flush());
  auto loaded = load_session(directory_, session_id(1));
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->cut);
  EXPECT_EQ(loaded->operations.size(), most);
  EXPECT_EQ(loaded->summary.operations, most + 1);
  EXPECT_NE(render_show(*loaded).find("longer than can be shown"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::record
