/* SPDX-License-Identifier: Apache-2.0 */
/* Structs that cross between the BPF programs and the daemon. One definition for both; a test compares
 * the built object's BTF with it. Members fall in size, padding is explicit and zero (hash maps compare
 * raw bytes), names carry byte order and unit. Addresses are IPv6 in network byte order; IPv4 is held
 * v4-mapped (::ffff:a.b.c.d). A change here bumps SP_ABI_VERSION, which is part of the pinned path. */
#pragma once

#include "sallyport/abi/types.h"

#define SP_ABI_VERSION 2

/* Workloads, and so slots of sp_in_flight. */
#define SP_WORKLOADS_MAX 65536
/* Diverted connects not yet taken by the daemon, all workloads together (preallocated: 10 MiB). */
#define SP_FLOWS_MAX 65536
/* The loopback interface has this index in every network namespace. */
#define SP_LOOPBACK_IFINDEX 1
/* The value of sp_listeners that a listener of the daemon carries: "sallypor". */
#define SP_LISTENER_MARK 0x726f70796c6c6173ULL

/* Flags of struct sp_workload. */
#define SP_WORKLOAD_READY 1u           /* the value is complete; without it everything is refused */
#define SP_WORKLOAD_GUARD 2u           /* sock_create, egress and bind refuse what is not allowed */
#define SP_WORKLOAD_DIVERT_LOOPBACK 4u /* destinations on this host are diverted like all others */
#define SP_WORKLOAD_UDP_PASS 8u        /* UDP is not ours yet: connect and egress let it go */
#define SP_WORKLOAD_GOVERNED 16u       /* a tripwire above waits for our word: sp_judged */

/* sp_workloads: cgroup id → this. Cgroup storage: each program instance finds the value of the cgroup
 * that it is attached to, so nested cgroups share their enrolled ancestor's. */
struct sp_workload {
  __u64 cgroup_id;
  __u64 netns_cookie; /* sockets of other network namespaces are refused */
  __u64 birth_ns;     /* when it was enrolled, monotonic: tells it from a later one of the same id */
  __u32 flags;
  __u32 index;           /* slot of sp_in_flight */
  __u32 flow_quota;      /* most entries of sp_flows at a time */
  __u16 tcp_port_be;     /* the daemon's listener on 127.0.0.1 and ::1 */
  __u16 dns_port_be;     /* 0: DNS is not ours yet */
  __u32 source_v4_be[4]; /* v4-mapped address of the namespace, or zero */
  __u32 source_v6_be[4]; /* the like for IPv6 */
};
SP_ASSERT_SIZE(sp_workload, 72);
SP_ASSERT_OFFSET(sp_workload, birth_ns, 16);
SP_ASSERT_OFFSET(sp_workload, tcp_port_be, 36);
SP_ASSERT_OFFSET(sp_workload, source_v6_be, 56);

/* sp_flows: this → struct sp_flow. The accepted connection as both ends name it. */
struct sp_flow_key {
  __u64 netns_cookie;
  __u32 source_be[4];
  __u32 destination_be[4]; /* the listener's address, not the original */
  __u16 source_port_be;
  __u16 destination_port_be;
  __u32 pad;
};
SP_ASSERT_SIZE(sp_flow_key, 48);
SP_ASSERT_OFFSET(sp_flow_key, source_port_be, 40);

/* Written by the connect hook for the calling task, moved to sp_flows when the source port is known. */
struct sp_flow {
  __u64 cgroup_id;     /* the enrolled cgroup */
  __u64 socket_cookie; /* of the agent's socket */
  __u64 start_boottime_ns;
  __u64 connect_monotonic_ns;
  __u64 birth_ns;         /* of the workload */
  __u64 executable_inode; /* of the process; 0: it has none */
  __u32 workload;
  __u32 pid; /* thread group, initial pid namespace */
  __u32 uid; /* initial user namespace */
  __u32 gid;
  __u32 destination_be[4]; /* original */
  __u16 destination_port_be;
  __u16 pad16;
  __u32 executable_device; /* the kernel's dev_t: major << 20 | minor */
};
SP_ASSERT_SIZE(sp_flow, 88);
SP_ASSERT_OFFSET(sp_flow, executable_inode, 40);
SP_ASSERT_OFFSET(sp_flow, workload, 48);
SP_ASSERT_OFFSET(sp_flow, destination_port_be, 80);
SP_ASSERT_OFFSET(sp_flow, executable_device, 84);

/* sp_origins: socket storage of an agent's diverted socket; absent on any other. */
struct sp_origin {
  struct sp_flow flow;
  struct sp_flow_key key; /* complete once `tracked` is set; before that only netns_cookie */
  __u32 tracked;          /* 1: sp_flows was written under `key` */
  __u32 pad;
};
SP_ASSERT_SIZE(sp_origin, 144);
SP_ASSERT_OFFSET(sp_origin, key, 88);
SP_ASSERT_OFFSET(sp_origin, tracked, 136);

/* sp_judged: socket storage of a socket whose cgroup is enrolled below a governed one: written by its own programs,
 * which run first, and taken by the tripwire. Without it the socket is nobody's. */
struct sp_judged {
  __u64 monotonic_ns;
};
SP_ASSERT_SIZE(sp_judged, 8);

/* sp_listeners: socket storage of the daemon's listeners, written from userspace only. */
struct sp_listener {
  __u64 mark; /* SP_LISTENER_MARK */
};
SP_ASSERT_SIZE(sp_listener, 8);

/* sp_in_flight: workload index → entries of sp_flows. Mapped by the daemon, changed atomically by both. */
struct sp_in_flight {
  __s64 count;
};
SP_ASSERT_SIZE(sp_in_flight, 8);

/* sp_counters: one slot each, in this order; names are shown as written. `failed_*` counts a helper
 * that failed at the site named, and what it failed for was refused. */
#define SP_COUNTERS(X)        \
  X(connect_diverted)         \
  X(connect_local)            \
  X(connect_udp_passed)       \
  X(refused_not_ready)        \
  X(refused_protocol)         \
  X(refused_netns)            \
  X(refused_listener_dial)    \
  X(refused_quota)            \
  X(refused_no_listener)      \
  X(refused_unmarked)         \
  X(refused_socket_family)    \
  X(refused_socket_type)      \
  X(refused_nobodys_connect)  \
  X(refused_nobodys_socket)   \
  X(refused_bind)             \
  X(dropped_egress_tcp)       \
  X(dropped_egress_udp)       \
  X(dropped_egress_protocol)  \
  X(dropped_egress_options)   \
  X(dropped_egress_malformed) \
  X(flow_written)             \
  X(flow_replaced)            \
  X(flow_closed_untaken)      \
  X(failed_workload)          \
  X(failed_socket)            \
  X(failed_origin_clear)      \
  X(failed_origin_create)     \
  X(failed_in_flight)         \
  X(failed_unbind_device)     \
  X(failed_flow_insert)       \
  X(failed_flow_callback)     \
  X(failed_address)           \
  X(failed_judged)            \
  X(failed_set_retval)

#define SP_COUNTER_ENUM(name) SP_COUNTER_##name,
enum sp_counter { SP_COUNTERS(SP_COUNTER_ENUM) SP_COUNTER_COUNT };
#undef SP_COUNTER_ENUM
