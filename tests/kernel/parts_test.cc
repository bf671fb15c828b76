// SPDX-License-Identifier: Apache-2.0
// The parts of the loader that need neither root nor BPF.
#include <gtest/gtest.h>

#include "kernel/mounts.h"
#include "kernel/pins.h"
#include "sallyport/kernel/kernel.h"

namespace sallyport::kernel {
namespace {

using Points = std::vector<std::string>;

TEST(MountPoints, FindsTheTypeAtItsOwnRoot) {
  constexpr const char* kText =
      "23 28 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n"
      "42 31 0:38 /inner /mnt/part rw - cgroup2 cgroup2 rw\n"
      "43 31 0:38 / /mnt/with\\040space rw - cgroup2 none rw\n"
      "broken line\n"
      "44 31 0:38 / /mnt/cut rw\n";
  EXPECT_EQ(mount_points(kText, "cgroup2"), (Points{"/sys/fs/cgroup/unified", "/mnt/with space"}));
  EXPECT_EQ(mount_points(kText, "bpf"), Points{});
  EXPECT_EQ(mount_points("", "cgroup2"), Points{});
}

TEST(PinPaths, CarryTheAbiVersion) {
  PinPaths paths("/sys/fs/bpf/sallyport");
  EXPECT_EQ(paths.maps, "/sys/fs/bpf/sallyport/v2/maps");
  EXPECT_EQ(paths.cgroup(4711), "/sys/fs/bpf/sallyport/v2/cgroups/4711");
}

TEST(Levels, HaveTheWordsOfTheDocs) {
  EXPECT_EQ(to_string(Level::observe), "observe");
  EXPECT_EQ(to_string(Level::guarded), "guarded");
  EXPECT_EQ(to_string(Level::enforce), "enforce");
  EXPECT_LT(Level::observe, Level::guarded);
  EXPECT_LT(Level::guarded, Level::enforce);
}

TEST(RemovePins, OnlyFromABpfFileSystem) {
  EXPECT_TRUE(remove_pins("/nonexistent/sallyport"));
  EXPECT_FALSE(remove_pins("/tmp"));
}

}  // namespace
}  // namespace sallyport::kernel
