// SPDX-License-Identifier: Apache-2.0
// One name for a principal, everywhere.
#include "sallyport/model/principal.h"

#include <gtest/gtest.h>

namespace sallyport::model {
namespace {

TEST(Principal, IsNamedByAgentWorkloadTokenAndProcess) {
  Principal principal;
  EXPECT_EQ(describe(principal), "nobody");
  principal.agent = "billing-bot";
  EXPECT_EQ(describe(principal), "billing-bot");
  principal.workload = "docker:web";
  EXPECT_EQ(describe(principal), "billing-bot (docker:web)");
  principal.token.issuer = "corp";
  principal.token.subject = "system:serviceaccount:bots:billing-bot";
  principal.process.pid = 12;
  principal.process.command = "psql";
  EXPECT_EQ(describe(principal), "billing-bot (docker:web, corp/system:serviceaccount:bots:billing-bot, psql[12])");
  principal.process.unknown = "the process has gone";
  principal.token.issuer.clear();
  principal.agent.clear();
  EXPECT_EQ(describe(principal), "nobody (docker:web, unknown[12])");
}

TEST(Principal, AWorkloadGoesByTheNameThatPeopleKnow) {
  Workload workload;
  workload.cgroup.path = "/bots";
  EXPECT_EQ(name_of(workload), "cgroup:/bots");
  workload.cgroup.kind = WorkloadKind::docker;
  workload.cgroup.container_id = std::string(64, 'a');
  EXPECT_EQ(name_of(workload), "docker:aaaaaaaaaaaa");
  workload.name = "web";
  EXPECT_EQ(name_of(workload), "docker:web");
  workload.cgroup.kind = WorkloadKind::kubernetes;
  workload.cgroup.pod_uid = "0f3c";
  EXPECT_EQ(name_of(workload), "kubernetes:0f3c");
  workload.pod = "p";
  workload.pod_namespace = "n";
  EXPECT_EQ(name_of(workload), "kubernetes:n/p");
}

}  // namespace
}  // namespace sallyport::model
