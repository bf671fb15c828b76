/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cgroup/sock_create, cgroup/bind4|6, cgroup_skb/egress: shut the ways past the connect hooks. */
#pragma once

#include "lib/count.bpf.h"
#include "lib/decide.h"
#include "tripwire.bpf.h"

SEC("cgroup/sock_create")
int sp_sock_create(struct bpf_sock* ctx) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  struct sp_verdict verdict;

  if (!workload) {
    sp_count(SP_COUNTER_failed_workload);
    return 0;
  }
  verdict = sp_decide_socket(workload, ctx->family, ctx->type, ctx->protocol);
  sp_count(verdict.counter);
  if (verdict.action != SP_REFUSE) return sp_tell_tripwire(ctx, workload);
  /* Runtimes that try MPTCP or SCTP first fall back on this error, not on EPERM. */
  if (sp_set_retval_in_socket_hooks && ctx->type != 3 /* SOCK_RAW */ && bpf_set_retval(-SP_EPROTONOSUPPORT))
    sp_count(SP_COUNTER_failed_set_retval);
  return 0;
}

static __always_inline int sp_bind(struct bpf_sock_addr* ctx) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  __u32 port_be = ctx->user_port;
  struct sp_verdict verdict;

  if (!workload) {
    sp_count(SP_COUNTER_failed_workload);
    return 0;
  }
  verdict = sp_decide_bind(workload, (__u16)port_be);
  sp_count(verdict.counter);
  if (verdict.action != SP_REFUSE) return 1;
  if (sp_set_retval_in_address_hooks && bpf_set_retval(-SP_EADDRINUSE)) sp_count(SP_COUNTER_failed_set_retval);
  return 0;
}

SEC("cgroup/bind4")
int sp_bind4(struct bpf_sock_addr* ctx) { return sp_bind(ctx); }

SEC("cgroup/bind6")
int sp_bind6(struct bpf_sock_addr* ctx) { return sp_bind(ctx); }

static __always_inline void sp_read_packet(struct __sk_buff* skb, struct sp_packet* packet) {
  __u8 head[10]; /* up to IPv4's protocol */

  packet->ifindex = skb->ifindex;
  if (bpf_skb_load_bytes(skb, 0, head, sizeof(head))) return;
  if (head[0] >> 4 == 4) {
    packet->options = (head[0] & 15) != 5;
    packet->protocol = head[9];
    packet->valid = 1;
  } else if (head[0] >> 4 == 6) {
    packet->protocol = head[6];
    packet->valid = 1;
  }
}

SEC("cgroup_skb/egress")
int sp_egress(struct __sk_buff* skb) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  struct sp_packet packet = {};
  struct sp_verdict verdict;

  if (!workload) {
    sp_count(SP_COUNTER_failed_workload);
    return 0;
  }
  sp_read_packet(skb, &packet);
  verdict = sp_decide_egress(workload, &packet);
  sp_count(verdict.counter);
  return verdict.action != SP_REFUSE;
}
