// SPDX-License-Identifier: Apache-2.0
// One entry of every type, with every field set.
#pragma once

#include <string>
#include <vector>

#include "sallyport/model/session.h"
#include "sallyport/record/session_id.h"

namespace sallyport::record {

inline constexpr int64_t kWall = 1'790'000'000'123'000'000;

inline model::SessionId session_id(uint8_t last) { return make_session_id(kWall, {1, 2, 3, 4, 5, 6, 7, 8, 9, last}); }

inline model::SessionOpened opened_body() {
  model::SessionOpened body;
  body.flow = 77;
  body.principal.agent = "billing-bot";
  body.principal.workload = "exec:billing-bot";
  body.principal.cgroup_id = 4242;
  body.principal.cgroup_path = "/sallyport.slice/billing-bot";
  body.principal.token = {.issuer = "corp", .subject = "system:serviceaccount:bots:billing-bot"};
  body.principal.process = {.pid = 1234,
                            .uid = 1000,
                            .gid = 1001,
                            .start_ticks = 555'666,
                            .command = "psql",
                            .executable = "/usr/bin/psql",
                            .executable_device = 2049,
                            .executable_inode = 4711,
                            .sha256 = std::string(64, 'a'),
                            .arguments = {"psql", "-h", "db"},
                            .directory = "/srv",
                            .parents = {{.pid = 12, .command = "bash"}, {.pid = 1, .command = "init"}},
                            .unknown = ""};
  body.source = {model::IpAddress::v4(10, 0, 0, 5), 43'122};
  body.destination = {*model::IpAddress::parse("fd00::1"), 5'432};
  body.target = "invoices-db";
  body.protocol = "postgres";
  body.node = "node1";
  return body;
}

inline model::OperationDecided decided_body(uint32_t id, std::string statement,
                                            model::Outcome outcome = model::Outcome::allow) {
  model::OperationDecided body;
  body.id = id;
  body.parent = 0;
  body.kind = "sql";
  body.shape = "select $1";
  body.statement = std::move(statement);
  body.parameters = {"7", "\xff not utf-8", ""};
  model::Effect effect{"select", model::ObjectKind::relation, "public.customers", model::Access::read, {"email", "id"}};
  model::Effect unknown{"unknown", model::ObjectKind::unknown, "f()", model::Access::execute, {}, true, "dynamic"};
  body.effects = {effect, unknown};
  body.outcome = outcome;
  body.causes = {{"billing-bot-invoices.allow[0]", "select on public.customers", "policy.yaml:3:7"}};
  body.masks = {"public.customers.email partial"};
  return body;
}

inline model::RowsReturned rows_body(uint32_t id) {
  model::RowsReturned body;
  body.id = id;
  body.columns = {"id", "email"};
  body.rows = {{"1", "a***@example.com"}, {"2", std::nullopt}};
  return body;
}

inline model::OperationEnded ended_body(uint32_t id) { return {id, 1'234'567, 2, 340, 60, 2, "SELECT 2", "", ""}; }

/// A whole session, in order.
inline std::vector<model::RecordEntry> whole_session(const model::SessionId& id) {
  model::OperationDecided connect = decided_body(0, "");
  connect.kind = "connect";
  model::OperationEnded refused{2, 5'000, 0, 120, 0, 0, "", "42501", "not allowed: `update`"};
  std::vector<model::RecordBody> bodies = {opened_body(),
                                           connect,
                                           decided_body(1, "select id, email\nfrom customers"),
                                           rows_body(1),
                                           ended_body(1),
                                           decided_body(2, "update invoices set amount = 0", model::Outcome::deny),
                                           refused,
                                           model::SessionClosed{"agent closed", 900, 300}};
  std::vector<model::RecordEntry> entries;
  for (size_t i = 0; i < bodies.size(); ++i)
    entries.push_back({id, i, kWall + static_cast<int64_t>(i) * 10'000'000, bodies[i]});
  return entries;
}

}  // namespace sallyport::record
