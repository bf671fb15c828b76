// SPDX-License-Identifier: Apache-2.0
// A session survives the way through the daemon's JSON: it prints as if read from the log.
#include "cli/session_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sallyport/base/clock.h"
#include "sallyport/record/render.h"

namespace sallyport::cli {
namespace {

record::SessionDetail example() {
  record::SessionDetail session;
  record::SessionSummary& summary = session.summary;
  summary.id = "01KATWHJ6Z5S6Q5A6T7Z8W9X0Y";
  summary.state = record::SessionState::closed;
  summary.opened_wall_ns = 1'795'500'000'123 * kNanosPerMilli;
  summary.closed_wall_ns = summary.last_wall_ns = summary.opened_wall_ns + 5 * kNanosPerSecond;
  summary.close_reason = "agent closed";
  summary.operations = 2;
  summary.denied = 1;
  summary.errors = 1;
  summary.rows = 3;
  summary.bytes_to_agent = 4'096;
  summary.bytes_to_target = 99;
  summary.masked_values = 6;
  summary.missing = 1;
  model::SessionOpened opened;
  opened.flow = 17;
  opened.principal.agent = "billing-bot";
  opened.principal.workload = "exec:billing-bot";
  opened.principal.cgroup_path = "/sallyport.slice/billing-bot-1.scope";
  opened.principal.process = {4242, 1000, 1001, 77, "psql", "/usr/bin/psql"};
  opened.source = {*model::IpAddress::parse("127.0.0.1"), 40'000};
  opened.destination = {*model::IpAddress::parse("fd00::1"), 5432};
  opened.target = "invoices-db";
  opened.protocol = "postgres";
  opened.node = "node-1";
  summary.opened = opened;

  record::RecordedOperation operation;
  operation.decided_wall_ns = summary.opened_wall_ns + kNanosPerSecond;
  operation.decided.id = 1;
  operation.decided.kind = "sql";
  operation.decided.statement = "select email from customers where id = $1";
  operation.decided.shape = "select email from customers where id = $1";
  operation.decided.parameters = {"7"};
  operation.decided.outcome = model::Outcome::allow;
  operation.decided.causes = {{"billing-bot-invoices.allow[0]", "allow: …", "billing.yaml:3:5"}};
  operation.decided.masks = {"public.customers.email partial"};
  model::Effect effect;
  effect.statement_class = "select";
  effect.kind = model::ObjectKind::relation;
  effect.object = "public.customers";
  effect.columns = {"email", "id"};
  operation.decided.effects = {effect};
  effect.columns.clear();
  effect.all_columns = true;
  effect.kind = model::ObjectKind::unknown;
  effect.access = model::Access::execute;
  effect.because = "dynamic";
  operation.decided.effects.push_back(effect);
  operation.rows = {{1, {"email"}, {{std::string("a***@x")}, {std::nullopt}}}};
  operation.ended = model::OperationEnded{1, 5'000'000, 2, 100, 50, 2, "SELECT 2", "42501", "no"};
  operation.ended_wall_ns = operation.decided_wall_ns + 5 * kNanosPerMilli;
  session.operations.push_back(operation);
  operation.decided.id = 2;
  operation.decided.outcome = model::Outcome::deny;
  operation.ended.reset();
  operation.ended_wall_ns = 0;
  session.operations.push_back(operation);
  session.cut = true;
  return session;
}

TEST(SessionJsonTest, ThereAndBackItPrintsTheSame) {
  const record::SessionDetail session = example();
  const nlohmann::json sent = record::to_json(session);
  const record::SessionDetail received = detail_from_json(sent);
  EXPECT_EQ(record::to_json(received).dump(2), sent.dump(2));
  EXPECT_EQ(record::render_show(received), record::render_show(session));
  EXPECT_EQ(record::render_list({received.summary}), record::render_list({session.summary}));
  const auto steps = record::render_replay(session), again = record::render_replay(received);
  ASSERT_EQ(again.size(), steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(again[i].text, steps[i].text);
    EXPECT_EQ(again[i].wait_ns, steps[i].wait_ns);
  }
}

TEST(SessionJsonTest, AnythingElseIsHarmless) {
  for (const char* text : {"null", "7", "[]", R"({"id":7,"log":{"x":1},"opened":"yesterday","state":"odd"})",
                           R"({"agent":"a","log":[{"effects":[7],"results":[{"rows":[[1],7]}],"ended":[]},null]})"}) {
    const record::SessionDetail session = detail_from_json(nlohmann::json::parse(text));
    EXPECT_EQ(session.summary.id, "") << text;
    EXPECT_EQ(session.summary.opened_wall_ns, 0) << text;
    EXPECT_FALSE(record::render_show(session).empty()) << text;
  }
}

}  // namespace
}  // namespace sallyport::cli
