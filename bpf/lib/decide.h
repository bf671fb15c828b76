/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel says to a socket, a connect, a bind and a packet of an agent. Pure functions over plain
 * structs, also compiled natively for table tests. Zero is refusal everywhere. */
#pragma once

#include "lib/address.h"
#include "sallyport/abi/kernel.h"

#define SP_AF_INET 2u
#define SP_AF_INET6 10u
#define SP_SOCK_STREAM 1u
#define SP_SOCK_DGRAM 2u
#define SP_PROTO_TCP 6u
#define SP_PROTO_UDP 17u

enum sp_action { SP_REFUSE = 0, SP_DIRECT = 1, SP_DIVERT = 2 };

struct sp_verdict {
  __u32 action;  /* enum sp_action */
  __u32 counter; /* enum sp_counter, or SP_COUNTER_COUNT: not worth counting */
};

static inline struct sp_verdict sp_verdict_of(__u32 action, __u32 counter) {
  struct sp_verdict verdict;
  verdict.action = action;
  verdict.counter = counter;
  return verdict;
}

struct sp_connect {
  __u64 netns_cookie; /* of the socket */
  __s64 in_flight;
  __u32 type;
  __u32 protocol;
  __u32 destination_be[4];
  __u16 port_be;
};

/* A destination that cannot leave the network namespace: it is delivered locally, whatever the routes. */
static inline int sp_is_local(const struct sp_workload* workload, const __u32 destination_be[4]) {
  if (sp_is_loopback(destination_be) || sp_is_unspecified(destination_be)) return 1;
  if (sp_is_v4(destination_be)) return sp_equal(destination_be, workload->source_v4_be);
  return sp_equal(destination_be, workload->source_v6_be);
}

static inline struct sp_verdict sp_decide_connect(const struct sp_workload* workload, const struct sp_connect* call) {
  int local;

  if (!(workload->flags & SP_WORKLOAD_READY)) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_not_ready);
  if (call->type == SP_SOCK_DGRAM && call->protocol == SP_PROTO_UDP && (workload->flags & SP_WORKLOAD_UDP_PASS))
    return sp_verdict_of(SP_DIRECT, SP_COUNTER_connect_udp_passed);
  if (call->type != SP_SOCK_STREAM || call->protocol != SP_PROTO_TCP)
    return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_protocol);
  if (call->netns_cookie != workload->netns_cookie) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_netns);
  local = sp_is_local(workload, call->destination_be);
  if (local && call->port_be == workload->tcp_port_be)
    return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_listener_dial);
  if (local && !(workload->flags & SP_WORKLOAD_DIVERT_LOOPBACK))
    return sp_verdict_of(SP_DIRECT, SP_COUNTER_connect_local);
  if (call->in_flight >= (__s64)workload->flow_quota) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_quota);
  return sp_verdict_of(SP_DIVERT, SP_COUNTER_connect_diverted);
}

/* Allow-list: what is neither TCP nor UDP has no hook that could divert it (MPTCP and SMC fall back). */
static inline struct sp_verdict sp_decide_socket(const struct sp_workload* workload, __u32 family, __u32 type,
                                                 __u32 protocol) {
  if (!(workload->flags & SP_WORKLOAD_READY)) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_not_ready);
  if (!(workload->flags & SP_WORKLOAD_GUARD)) return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
  if (family != SP_AF_INET && family != SP_AF_INET6) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_socket_family);
  if (type == SP_SOCK_STREAM && protocol == SP_PROTO_TCP) return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
  if (type == SP_SOCK_DGRAM && protocol == SP_PROTO_UDP) return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
  return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_socket_type);
}

/* A cgroup that is nobody's, below a governed one. */
static inline int sp_decide_nobodys_socket(__u32 type, __u32 protocol) {
  return type == SP_SOCK_STREAM && protocol == SP_PROTO_TCP;
}

/* The daemon's ports stay free for the daemon. */
static inline struct sp_verdict sp_decide_bind(const struct sp_workload* workload, __u16 port_be) {
  if (!(workload->flags & SP_WORKLOAD_READY)) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_not_ready);
  if (!(workload->flags & SP_WORKLOAD_GUARD) || port_be == 0) return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
  if (port_be == workload->tcp_port_be || port_be == workload->dns_port_be)
    return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_bind);
  return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
}

struct sp_packet {
  __u32 ifindex;  /* the device it leaves by, not the one its socket is bound to */
  __u32 protocol; /* IPv4 protocol, IPv6 first next header */
  __u32 options;  /* 1: IPv4 options; IPv6 extension headers show in `protocol` */
  __u32 valid;    /* 0: not IPv4 or IPv6, or shorter than its header */
};

/* The real header counts, not what the connect hook saw: source routes (IPv4 LSRR, IPv6 SRH) and pinned
 * devices are out. Anything but plain TCP and UDP is out on loopback too, where a routing header would
 * be forwarded. */
static inline struct sp_verdict sp_decide_egress(const struct sp_workload* workload, const struct sp_packet* packet) {
  int loopback = packet->ifindex == SP_LOOPBACK_IFINDEX;

  if (!(workload->flags & SP_WORKLOAD_READY)) return sp_verdict_of(SP_REFUSE, SP_COUNTER_refused_not_ready);
  if (!(workload->flags & SP_WORKLOAD_GUARD)) return sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT);
  if (!packet->valid) return sp_verdict_of(SP_REFUSE, SP_COUNTER_dropped_egress_malformed);
  if (packet->options) return sp_verdict_of(SP_REFUSE, SP_COUNTER_dropped_egress_options);
  if (packet->protocol == SP_PROTO_TCP)
    return loopback ? sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT)
                    : sp_verdict_of(SP_REFUSE, SP_COUNTER_dropped_egress_tcp);
  if (packet->protocol == SP_PROTO_UDP)
    return loopback || (workload->flags & SP_WORKLOAD_UDP_PASS)
               ? sp_verdict_of(SP_DIRECT, SP_COUNTER_COUNT)
               : sp_verdict_of(SP_REFUSE, SP_COUNTER_dropped_egress_udp);
  return sp_verdict_of(SP_REFUSE, SP_COUNTER_dropped_egress_protocol);
}

/* What a diverted socket shows as its peer: the original, as long as the kernel's answer is the listener. */
static inline int sp_peer_is_listener(const struct sp_origin* origin, __u16 peer_port_be) {
  return origin->key.destination_port_be == peer_port_be;
}

/* The address a diverted socket shows as its own, or 0 to leave it: a connection to the world does not come
 * from 127.0.0.1. */
static inline const __u32* sp_shown_source(const struct sp_workload* workload, const struct sp_origin* origin,
                                           const __u32 local_be[4]) {
  const __u32* source_be = sp_is_v4(local_be) ? workload->source_v4_be : workload->source_v6_be;

  if (!sp_is_loopback(local_be) || sp_is_loopback(origin->flow.destination_be) ||
      sp_is_unspecified(origin->flow.destination_be))
    return 0;
  return sp_is_zero(source_be) ? 0 : source_be;
}
