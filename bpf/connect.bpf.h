/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cgroup/connect4, cgroup/connect6: let go, refuse, or divert to the daemon's listener and remember where
 * the connection was going. Runs with the socket locked, before it gets a source port. */
#pragma once

#include "lib/count.bpf.h"
#include "lib/decide.h"
#include "tripwire.bpf.h"

static __always_inline int sp_refuse_connect(void) {
  if (sp_set_retval_in_address_hooks && bpf_set_retval(-SP_ECONNREFUSED)) sp_count(SP_COUNTER_failed_set_retval);
  return 0;
}

/* Whether the listener there is the daemon's own: anybody can listen on the port of a dead daemon, but only
 * the daemon can write the mark. Returns SP_COUNTER_COUNT, or the counter that says why not. */
static __always_inline __u32 sp_check_listener(struct bpf_sock_addr* ctx, const struct sp_flow_key* key) {
  struct bpf_sock_tuple tuple = {};
  struct sp_listener* listener;
  struct bpf_sock* sk;
  __u32 result = SP_COUNTER_refused_unmarked;

  if (sp_is_v4(key->destination_be)) {
    tuple.ipv4.daddr = key->destination_be[3];
    tuple.ipv4.dport = key->destination_port_be;
    sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
  } else {
    sp_copy(tuple.ipv6.daddr, key->destination_be);
    tuple.ipv6.dport = key->destination_port_be;
    sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
  }
  if (!sk) return SP_COUNTER_refused_no_listener;
  listener = bpf_sk_storage_get(&sp_listeners, sk, 0, 0);
  if (listener && listener->mark == SP_LISTENER_MARK && sk->state == BPF_TCP_LISTEN) result = SP_COUNTER_COUNT;
  bpf_sk_release(sk);
  return result;
}

/* Who calls: the thread group's leader, as /proc shows it. */
static __always_inline void sp_describe_caller(struct sp_flow* flow) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 ids = bpf_get_current_uid_gid();
  struct file* exe;

  flow->pid = bpf_get_current_pid_tgid() >> 32;
  flow->uid = (__u32)ids;
  flow->gid = ids >> 32;
  flow->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
  exe = BPF_CORE_READ(task, mm, exe_file);
  flow->executable_inode = exe ? BPF_CORE_READ(exe, f_inode, i_ino) : 0;
  flow->executable_device = exe ? BPF_CORE_READ(exe, f_inode, i_sb, s_dev) : 0;
}

static __always_inline int sp_remember(struct bpf_sock_addr* ctx, struct bpf_sock* sk,
                                       const struct sp_workload* workload, const struct sp_connect* call) {
  struct sp_origin* origin = bpf_sk_storage_get(&sp_origins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

  if (!origin) return 0;
  origin->flow.cgroup_id = workload->cgroup_id;
  origin->flow.workload = workload->index;
  origin->flow.birth_ns = workload->birth_ns;
  origin->flow.socket_cookie = bpf_get_socket_cookie(ctx);
  origin->flow.connect_monotonic_ns = bpf_ktime_get_ns();
  sp_copy(origin->flow.destination_be, call->destination_be);
  origin->flow.destination_port_be = call->port_be;
  sp_describe_caller(&origin->flow);
  origin->key.netns_cookie = call->netns_cookie;
  sp_listener_address(origin->key.destination_be, call->destination_be);
  origin->key.destination_port_be = workload->tcp_port_be;
  origin->tracked = 0;
  return 1;
}

/* A socket bound to a device would send its SYN to 127.0.0.1 out of that device. */
static __always_inline int sp_unbind_device(struct bpf_sock_addr* ctx, struct bpf_sock* sk) {
  char none[4] = {};

  if (sk->bound_dev_if == 0) return 1;
  return bpf_setsockopt(ctx, SP_SOL_SOCKET, SP_SO_BINDTODEVICE, none, sizeof(none)) == 0;
}

/* Everything but the rewrite. Returns SP_DIVERT when all is ready for it. */
static __always_inline __u32 sp_divert(struct bpf_sock_addr* ctx, struct bpf_sock* sk,
                                       const struct sp_workload* workload, const struct sp_connect* call) {
  struct sp_flow_key key = {};
  __u32 why;

  sp_listener_address(key.destination_be, call->destination_be);
  key.destination_port_be = workload->tcp_port_be;
  why = sp_check_listener(ctx, &key);
  if (why != SP_COUNTER_COUNT) {
    sp_count(why);
    return SP_REFUSE;
  }
  if (!sp_unbind_device(ctx, sk)) {
    sp_count(SP_COUNTER_failed_unbind_device);
    return SP_REFUSE;
  }
  if (!sp_remember(ctx, sk, workload, call)) {
    sp_count(SP_COUNTER_failed_origin_create);
    return SP_REFUSE;
  }
  sp_count(SP_COUNTER_connect_diverted);
  return SP_DIVERT;
}

/* enum sp_action for a call whose destination is filled in. */
static __always_inline __u32 sp_connect_action(struct bpf_sock_addr* ctx, struct sp_connect* call) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  struct bpf_sock* sk = ctx->sk;
  struct sp_in_flight* in_flight;
  struct sp_verdict verdict;
  __u32 index;
  long error;

  if (!workload || !sk) {
    sp_count(workload ? SP_COUNTER_failed_socket : SP_COUNTER_failed_workload);
    return SP_REFUSE;
  }
  /* A socket that was connected before (AF_UNSPEC, then again) must not keep its old origin. */
  error = bpf_sk_storage_delete(&sp_origins, sk);
  if (error && error != -2 /* ENOENT */) {
    sp_count(SP_COUNTER_failed_origin_clear);
    return SP_REFUSE;
  }
  index = workload->index;
  in_flight = bpf_map_lookup_elem(&sp_in_flight, &index);
  if (!in_flight) {
    sp_count(SP_COUNTER_failed_in_flight);
    return SP_REFUSE;
  }
  call->type = ctx->type;
  call->protocol = ctx->protocol;
  call->netns_cookie = bpf_get_netns_cookie(ctx);
  call->in_flight = in_flight->count;
  verdict = sp_decide_connect(workload, call);
  if (verdict.action != SP_REFUSE && !sp_tell_tripwire(sk, workload)) return SP_REFUSE;
  if (verdict.action == SP_DIVERT) return sp_divert(ctx, sk, workload, call);
  sp_count(verdict.counter);
  return verdict.action;
}

SEC("cgroup/connect4")
int sp_connect4(struct bpf_sock_addr* ctx) {
  struct sp_workload* workload;
  struct sp_connect call = {};
  __u32 port_be = ctx->user_port;
  __u32 action;

  sp_set_v4(call.destination_be, ctx->user_ip4);
  call.port_be = (__u16)port_be;
  action = sp_connect_action(ctx, &call);
  if (action == SP_REFUSE) return sp_refuse_connect();
  if (action == SP_DIRECT) return 1;
  workload = bpf_get_local_storage(&sp_workloads, 0);
  ctx->user_ip4 = SP_LOOPBACK_V4_BE;
  ctx->user_port = workload->tcp_port_be;
  return 1;
}

SEC("cgroup/connect6")
int sp_connect6(struct bpf_sock_addr* ctx) {
  struct sp_workload* workload;
  struct sp_connect call = {};
  __u32 port_be = ctx->user_port;
  __u32 action;

  call.destination_be[0] = ctx->user_ip6[0];
  call.destination_be[1] = ctx->user_ip6[1];
  call.destination_be[2] = ctx->user_ip6[2];
  call.destination_be[3] = ctx->user_ip6[3];
  call.port_be = (__u16)port_be;
  action = sp_connect_action(ctx, &call);
  if (action == SP_REFUSE) return sp_refuse_connect();
  if (action == SP_DIRECT) return 1;
  workload = bpf_get_local_storage(&sp_workloads, 0);
  if (sp_is_v4(call.destination_be)) {
    ctx->user_ip6[3] = SP_LOOPBACK_V4_BE;
  } else {
    ctx->user_ip6[0] = 0;
    ctx->user_ip6[1] = 0;
    ctx->user_ip6[2] = 0;
    ctx->user_ip6[3] = SP_BE32(1u);
  }
  ctx->user_port = workload->tcp_port_be;
  return 1;
}
