// SPDX-License-Identifier: Apache-2.0
// Who holds which role, and which cgroup paths count as an agent's: pure functions, as tables.
#include "control/peer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sallyport::control {
namespace {

TEST(PeerTest, Cgroup2PathIsTheLineOfHierarchyZero) {
  EXPECT_EQ(cgroup2_path_of("5:devices:/x\n0::/user.slice/a b\n"), "/user.slice/a b");
  EXPECT_EQ(cgroup2_path_of("0::/"), "/");
  EXPECT_EQ(cgroup2_path_of("12:pids:/0::/x\n1:name=systemd:/y\n"), "");
  EXPECT_EQ(cgroup2_path_of(""), "");
}

TEST(PeerTest, OnlyPathsThatAreSurelyElsewhereArePassed) {
  for (const char* inside : {"/sallyport.slice", "/sallyport.slice/bot-1.scope", "/sallyport.slice/a/b", "", "x",
                             "/../sallyport.slice/bot-1.scope", "/..", "/user.slice (deleted)"})
    EXPECT_TRUE(in_slice_or_unknown(inside)) << inside;
  for (const char* outside : {"/", "/user.slice", "/sallyport.slice.d", "/x/sallyport.slice"})
    EXPECT_FALSE(in_slice_or_unknown(outside)) << outside;
}

TEST(PeerTest, RolesGoByUidGidAndSupplementaryGroup) {
  const Roles roles = {{Role::viewer, {1000}, {50}}, {Role::operate, {1001}, {}}, {Role::admin, {}, {60}}};
  Peer root, viewer, by_group, by_extra_group, operates, admin, nobody;
  viewer.uid = 1000;
  by_group.uid = by_extra_group.uid = admin.uid = nobody.uid = 2000;
  by_group.gid = 50;
  by_extra_group.gid = admin.gid = nobody.gid = viewer.gid = operates.gid = 2000;
  by_extra_group.groups = {7, 50};
  admin.groups = {60};
  operates.uid = 1001;
  struct Row {
    const Peer& peer;
    bool view, operate, approve, administer;
  };
  for (const Row& row : {Row{root, true, true, true, true}, Row{viewer, true, false, false, false},
                         Row{by_group, true, false, false, false}, Row{by_extra_group, true, false, false, false},
                         Row{operates, true, true, false, false}, Row{admin, true, true, true, true},
                         Row{nobody, false, false, false, false}}) {
    EXPECT_EQ(holds(roles, row.peer, Role::viewer), row.view) << row.peer.uid;
    EXPECT_EQ(holds(roles, row.peer, Role::operate), row.operate) << row.peer.uid;
    EXPECT_EQ(holds(roles, row.peer, Role::approver), row.approve) << row.peer.uid;
    EXPECT_EQ(holds(roles, row.peer, Role::admin), row.administer) << row.peer.uid;
  }
}

TEST(PeerTest, RoleNamesAreRead) {
  for (Role role : {Role::viewer, Role::operate, Role::approver, Role::admin}) {
    Role read = Role::viewer;
    EXPECT_TRUE(parse_role(to_string(role), read));
    EXPECT_EQ(read, role);
  }
  Role untouched = Role::admin;
  EXPECT_FALSE(parse_role("root", untouched));
}

TEST(PeerTest, ThePeerIsNamed) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  auto self = identify_peer(pair[0]);  // the creator of a socketpair is the peer of both ends
  ASSERT_TRUE(self) << self.error().what;
  EXPECT_EQ(self->peer.pid, ::getpid());
  EXPECT_EQ(self->peer.uid, ::geteuid());
  EXPECT_TRUE(self->peer.cgroup_path.starts_with('/'));
  EXPECT_TRUE(peer_alive(self->peer));
  ::close(pair[0]);
  ::close(pair[1]);

  Peer nobody;
  EXPECT_FALSE(peer_alive(nobody));
}

}  // namespace
}  // namespace sallyport::control
