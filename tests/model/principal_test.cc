// SPDX-License-Identifier: Apache-2.0
// One name for a principal, everywhere.
#include "sallyport/model/principal.h"

#include <gtest/gtest.h>

namespace sallyport::model {
namespace {

using namespace std::string_literals;

TEST(Principal, IsNamedByAgentWorkloadTokenAndProcess) {
  Principal principal;
  EXPECT_EQ(describe(principal), "nobody");
  principal.agent = "billing-bot"s;
  EXPECT_EQ(describe(principal), "billing-bot");
  principal.workload = "docker:web"s;
  EXPECT_EQ(describe(principal), "billing-bot (docker:web)");
  principal.token.issuer = "corp"s;
  principal.token.subject = "system:serviceaccount:bots:billing-bot"s;
  principal.process.pid = 12;
  principal.process.command = "psql"s;
  EXPECT_EQ(describe(principal), "billing-bot (docker:web, corp/system:serviceaccount:bots:billing-bot, psql[12])");
  principal.process.unknown = "the process has gone"s;
  principal.token.issuer.clear();
  principal.agent.clear();
  EXPECT_EQ(describe(principal), "nobody (docker:web, unknown[12])");
  principal.process = {};
  principal.process.command = "psql"s;
  EXPECT_EQ(describe(principal), "nobody (docker:web, psql)") << "stated, not seen";
}

TEST(Principal, AWorkloadGoesByTheNameThatPeopleKnow) {
  Workload workload;
  workload.cgroup.path = "/bots"s;
  EXPECT_EQ(name_of(workload), "cgroup:/bots");
  workload.cgroup.kind = WorkloadKind::docker;
  workload.cgroup.container_id = std::string(64, 'a');
  EXPECT_EQ(name_of(workload), "docker:aaaaaaaaaaaa");
  workload.name = "web"s;
  EXPECT_EQ(name_of(workload), "docker:web");
  workload.cgroup.kind = WorkloadKind::kubernetes;
  workload.cgroup.pod_uid = "0f3c"s;
  EXPECT_EQ(name_of(workload), "kubernetes:0f3c");
  workload.pod = "p"s;
  workload.pod_namespace = "n"s;
  EXPECT_EQ(name_of(workload), "kubernetes:n/p");
}

}  // namespace
}  // namespace sallyport::model
