// SPDX-License-Identifier: Apache-2.0
// The self-test reaches a level by trying, and doctor's probes agree that the programs load.
#include <fmt/ranges.h>

#include <algorithm>

#include "fixture.h"

namespace sallyport::kernel::test {
namespace {

class LevelTest : public KernelTest {};

TEST_F(LevelTest, SelfTestReachesGuardedAndNamesWhatStaysOpen) {
  auto report = kernel_->self_test();
  ASSERT_TRUE(report) << report.error().what;
  for (const auto& vector : report->vectors) RecordProperty(vector.name, vector.detail);
  fmt::print("level reached: {}; open: {}\n", to_string(report->level), fmt::join(report->open, ", "));
  EXPECT_EQ(to_string(report->level), "guarded");
  EXPECT_EQ(report->open, (std::vector<std::string>{"udp", "packet socket", "socket made elsewhere"}));
  EXPECT_TRUE(kernel_->enrolments().value().empty());
}

TEST_F(LevelTest, EveryRequiredProbeIsFine) {
  for (const auto& result : probe()) {
    EXPECT_TRUE(result.ok || !result.required) << result.name << ": " << result.detail;
    EXPECT_EQ(result.ok, result.remedy.empty()) << result.name;
  }
}

}  // namespace
}  // namespace sallyport::kernel::test
