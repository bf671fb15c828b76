// SPDX-License-Identifier: Apache-2.0
// The kernel's decisions, as tables: the same functions that the BPF programs inline, compiled natively.
#include "lib/decide.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace {

constexpr __u64 kNetns = 42;
constexpr __u16 kListener = 15001;

void put(__u32 (&words_be)[4], const std::string& text) {
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1)
    sp_set_v4(words_be, v4.s_addr);
  else
    ASSERT_EQ(inet_pton(AF_INET6, text.c_str(), words_be), 1) << text;
}

sp_workload workload_with(__u32 flags) {
  sp_workload workload{};
  workload.cgroup_id = 7;
  workload.netns_cookie = kNetns;
  workload.flags = flags;
  workload.flow_quota = 10;
  workload.tcp_port_be = htons(kListener);
  put(workload.source_v4_be, "10.1.0.5");
  put(workload.source_v6_be, "fd00::5");
  return workload;
}

constexpr __u32 kReady = SP_WORKLOAD_READY | SP_WORKLOAD_GUARD | SP_WORKLOAD_UDP_PASS;
constexpr __u32 kDivertAll = kReady | SP_WORKLOAD_DIVERT_LOOPBACK;

struct ConnectRow {
  const char* what;
  const char* to;
  __u16 port;
  __u32 flags;
  __u32 action;
  __u32 counter;
  __u32 type = SP_SOCK_STREAM;
  __u32 protocol = SP_PROTO_TCP;
  __u64 netns = kNetns;
  __s64 in_flight = 0;
};

const ConnectRow kConnects[] = {
    {"the world", "203.0.113.9", 5432, kReady, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"the world, IPv6", "2001:db8::9", 5432, kReady, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"port of the listener elsewhere", "203.0.113.9", kListener, kReady, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"no workload yet", "203.0.113.9", 5432, 0, SP_REFUSE, SP_COUNTER_refused_not_ready},
    {"no workload yet, flags or not", "127.0.0.1", 5432, kReady & ~SP_WORKLOAD_READY, SP_REFUSE,
     SP_COUNTER_refused_not_ready},
    {"loopback stays", "127.0.0.1", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"all of 127/8 stays", "127.200.1.1", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"::1 stays", "::1", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"0.0.0.0 is loopback", "0.0.0.0", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {":: is loopback", "::", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"mapped loopback stays", "::ffff:127.0.0.1", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"own address stays", "10.1.0.5", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"own IPv6 address stays", "fd00::5", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local},
    {"a neighbour does not", "10.1.0.6", 5432, kReady, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"IPv4-compatible is not mapped", "::127.0.0.1", 5432, kReady, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"loopback diverted", "127.0.0.1", 5432, kDivertAll, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"::1 diverted", "::1", 5432, kDivertAll, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"own address diverted", "10.1.0.5", 5432, kDivertAll, SP_DIVERT, SP_COUNTER_connect_diverted},
    {"the listener itself", "127.0.0.1", kListener, kReady, SP_REFUSE, SP_COUNTER_refused_listener_dial},
    {"the listener, diverting", "::1", kListener, kDivertAll, SP_REFUSE, SP_COUNTER_refused_listener_dial},
    {"the listener by 0.0.0.0", "0.0.0.0", kListener, kReady, SP_REFUSE, SP_COUNTER_refused_listener_dial},
    {"another namespace", "203.0.113.9", 5432, kReady, SP_REFUSE, SP_COUNTER_refused_netns, SP_SOCK_STREAM,
     SP_PROTO_TCP, kNetns + 1},
    {"another namespace's loopback", "127.0.0.1", 5432, kReady, SP_REFUSE, SP_COUNTER_refused_netns, SP_SOCK_STREAM,
     SP_PROTO_TCP, kNetns + 1},
    {"last of the quota", "203.0.113.9", 5432, kReady, SP_DIVERT, SP_COUNTER_connect_diverted, SP_SOCK_STREAM,
     SP_PROTO_TCP, kNetns, 9},
    {"quota reached", "203.0.113.9", 5432, kReady, SP_REFUSE, SP_COUNTER_refused_quota, SP_SOCK_STREAM, SP_PROTO_TCP,
     kNetns, 10},
    {"quota does not count local", "127.0.0.1", 5432, kReady, SP_DIRECT, SP_COUNTER_connect_local, SP_SOCK_STREAM,
     SP_PROTO_TCP, kNetns, 10},
    {"udp passes for now", "203.0.113.9", 53, kReady, SP_DIRECT, SP_COUNTER_connect_udp_passed, SP_SOCK_DGRAM,
     SP_PROTO_UDP},
    {"udp when it is ours", "203.0.113.9", 53, SP_WORKLOAD_READY, SP_REFUSE, SP_COUNTER_refused_protocol, SP_SOCK_DGRAM,
     SP_PROTO_UDP},
    {"ping", "203.0.113.9", 0, kReady, SP_REFUSE, SP_COUNTER_refused_protocol, SP_SOCK_DGRAM, 1},
    {"sctp", "203.0.113.9", 1, kReady, SP_REFUSE, SP_COUNTER_refused_protocol, SP_SOCK_STREAM, 132},
    {"raw tcp", "203.0.113.9", 1, kReady, SP_REFUSE, SP_COUNTER_refused_protocol, 3, SP_PROTO_TCP},
};

TEST(Decide, Connect) {
  for (const auto& row : kConnects) {
    sp_workload workload = workload_with(row.flags);
    sp_connect call{};
    put(call.destination_be, row.to);
    call.port_be = htons(row.port);
    call.type = row.type;
    call.protocol = row.protocol;
    call.netns_cookie = row.netns;
    call.in_flight = row.in_flight;
    sp_verdict verdict = sp_decide_connect(&workload, &call);
    EXPECT_EQ(verdict.action, row.action) << row.what;
    EXPECT_EQ(verdict.counter, row.counter) << row.what;
  }
}

// A namespace without an address of its own: no destination is taken for it.
TEST(Decide, NoSourceMakesNothingLocal) {
  sp_workload workload = workload_with(kReady);
  std::memset(workload.source_v4_be, 0, sizeof(workload.source_v4_be));
  __u32 destination_be[4];
  put(destination_be, "10.1.0.5");
  EXPECT_FALSE(sp_is_local(&workload, destination_be));
}

TEST(Decide, Socket) {
  struct Row {
    __u32 family, type, protocol, action;
  };
  constexpr Row kRows[] = {
      {2, 1, 6, SP_DIRECT},   {10, 1, 6, SP_DIRECT},  {2, 2, 17, SP_DIRECT},  {10, 2, 17, SP_DIRECT},
      {2, 3, 1, SP_REFUSE},   {2, 3, 6, SP_REFUSE},   {2, 2, 1, SP_REFUSE},   {10, 2, 58, SP_REFUSE},
      {2, 1, 132, SP_REFUSE}, {2, 5, 132, SP_REFUSE}, {2, 1, 262, SP_REFUSE}, {2, 2, 136, SP_REFUSE},
      {2, 2, 115, SP_REFUSE}, {2, 1, 17, SP_REFUSE},  {17, 1, 6, SP_REFUSE},  {0, 0, 0, SP_REFUSE},
  };
  sp_workload guarded = workload_with(kReady);
  sp_workload observed = workload_with(SP_WORKLOAD_READY);
  sp_workload none{};
  for (const auto& row : kRows) {
    EXPECT_EQ(sp_decide_socket(&guarded, row.family, row.type, row.protocol).action, row.action)
        << row.family << " " << row.type << " " << row.protocol;
    EXPECT_EQ(sp_decide_socket(&observed, row.family, row.type, row.protocol).action, SP_DIRECT + 0u);
    EXPECT_EQ(sp_decide_socket(&none, row.family, row.type, row.protocol).action, SP_REFUSE + 0u);
  }
}

TEST(Decide, Bind) {
  sp_workload workload = workload_with(kReady);
  EXPECT_EQ(sp_decide_bind(&workload, htons(kListener)).action, SP_REFUSE + 0u);
  EXPECT_EQ(sp_decide_bind(&workload, htons(80)).action, SP_DIRECT + 0u);
  EXPECT_EQ(sp_decide_bind(&workload, 0).action, SP_DIRECT + 0u);  // any port; dns_port_be is 0 too
  workload.dns_port_be = htons(15053);
  EXPECT_EQ(sp_decide_bind(&workload, htons(15053)).action, SP_REFUSE + 0u);
  workload.flags &= ~SP_WORKLOAD_GUARD;
  EXPECT_EQ(sp_decide_bind(&workload, htons(kListener)).action, SP_DIRECT + 0u);
  workload.flags = 0;
  EXPECT_EQ(sp_decide_bind(&workload, htons(80)).action, SP_REFUSE + 0u);
}

TEST(Decide, Egress) {
  constexpr __u32 kLo = SP_LOOPBACK_IFINDEX;
  constexpr __u32 kWire = 2;
  constexpr __u32 kStrict = SP_WORKLOAD_READY | SP_WORKLOAD_GUARD;
  struct Row {
    sp_packet packet;
    __u32 flags, action, counter;
  };
  const Row kRows[] = {
      {{kLo, 6, 0, 1}, kReady, SP_DIRECT, SP_COUNTER_COUNT},
      {{kWire, 6, 0, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_tcp},
      {{kLo, 17, 0, 1}, kStrict, SP_DIRECT, SP_COUNTER_COUNT},
      {{kWire, 17, 0, 1}, kReady, SP_DIRECT, SP_COUNTER_COUNT},
      {{kWire, 17, 0, 1}, kStrict, SP_REFUSE, SP_COUNTER_dropped_egress_udp},
      {{kWire, 17, 1, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_options},
      {{kLo, 6, 1, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_options},
      {{kWire, 1, 0, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_protocol},
      {{kLo, 132, 0, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_protocol},
      {{kLo, 43, 0, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_protocol},   // IPv6 routing header
      {{kWire, 0, 0, 1}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_protocol},  // IPv6 hop-by-hop
      {{kLo, 6, 0, 0}, kReady, SP_REFUSE, SP_COUNTER_dropped_egress_malformed},
      {{kWire, 6, 1, 1}, SP_WORKLOAD_READY, SP_DIRECT, SP_COUNTER_COUNT},  // observe
      {{kLo, 6, 0, 1}, 0, SP_REFUSE, SP_COUNTER_refused_not_ready},
  };
  for (const auto& row : kRows) {
    sp_workload workload = workload_with(row.flags);
    sp_verdict verdict = sp_decide_egress(&workload, &row.packet);
    EXPECT_EQ(verdict.action, row.action) << row.packet.ifindex << " " << row.packet.protocol;
    EXPECT_EQ(verdict.counter, row.counter) << row.packet.ifindex << " " << row.packet.protocol;
  }
}

TEST(Decide, ListenerAddressFollowsTheFamilyOnTheWire) {
  struct Row {
    const char* to;
    const char* listener;
  };
  for (const Row& row : {Row{"203.0.113.9", "127.0.0.1"}, Row{"::ffff:203.0.113.9", "127.0.0.1"},
                         Row{"2001:db8::1", "::1"}, Row{"::", "::1"}, Row{"0.0.0.0", "127.0.0.1"}}) {
    __u32 destination_be[4], listener_be[4], expected_be[4];
    put(destination_be, row.to);
    put(expected_be, row.listener);
    sp_listener_address(listener_be, destination_be);
    EXPECT_TRUE(sp_equal(listener_be, expected_be)) << row.to;
  }
}

TEST(Decide, ShownSource) {
  struct Row {
    const char* local;
    const char* destination;
    const char* shown;  ///< empty: as it is
  };
  constexpr Row kRows[] = {
      {"127.0.0.1", "203.0.113.9", "10.1.0.5"},
      {"::1", "2001:db8::1", "fd00::5"},
      {"::ffff:127.0.0.1", "203.0.113.9", "10.1.0.5"},
      {"127.0.0.1", "127.0.0.1", ""},
      {"127.0.0.1", "0.0.0.0", ""},
      {"10.1.0.7", "203.0.113.9", ""},
      {"0.0.0.0", "203.0.113.9", ""},
  };
  sp_workload workload = workload_with(kReady);
  for (const auto& row : kRows) {
    sp_origin origin{};
    __u32 local_be[4];
    put(local_be, row.local);
    put(origin.flow.destination_be, row.destination);
    const __u32* shown = sp_shown_source(&workload, &origin, local_be);
    if (*row.shown == '\0') {
      EXPECT_EQ(shown, nullptr) << row.local << " " << row.destination;
      continue;
    }
    __u32 expected_be[4];
    put(expected_be, row.shown);
    ASSERT_NE(shown, nullptr) << row.local;
    EXPECT_TRUE(sp_equal(shown, expected_be)) << row.local;
  }
  std::memset(workload.source_v4_be, 0, sizeof(workload.source_v4_be));
  sp_origin origin{};
  __u32 local_be[4];
  put(local_be, "127.0.0.1");
  put(origin.flow.destination_be, "203.0.113.9");
  EXPECT_EQ(sp_shown_source(&workload, &origin, local_be), nullptr);
}

}  // namespace
