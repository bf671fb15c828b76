/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sockops: ties the connection that the daemon will accept to its origin. TCP_CONNECT_CB runs when the source
 * port is known and the SYN not sent yet, so the entry is always there before accept(). */
#pragma once

#include "lib/count.bpf.h"
#include "lib/decide.h"

static __always_inline void sp_add_in_flight(__u32 index, __s64 change) {
  struct sp_in_flight* in_flight = bpf_map_lookup_elem(&sp_in_flight, &index);

  if (in_flight)
    __sync_fetch_and_add(&in_flight->count, change);
  else
    sp_count(SP_COUNTER_failed_in_flight);
}

/* Deleting succeeds for one of us only: daemon, close and replacement cannot count an entry twice. */
static __always_inline int sp_drop_flow(const struct sp_flow_key* key, __u32 index) {
  if (bpf_map_delete_elem(&sp_flows, key)) return 0;
  sp_add_in_flight(index, -1);
  return 1;
}

static __always_inline int sp_fill_source(struct bpf_sock_ops* ctx, struct sp_flow_key* key) {
  __u32 family = ctx->family;
  __u32 port = ctx->local_port; /* host byte order */

  if (port == 0 || port > 65535) return 0;
  key->source_port_be = SP_BE16((__u16)port);
  if (sp_is_v4(key->destination_be)) {
    sp_set_v4(key->source_be, ctx->local_ip4); /* of an IPv6 socket too: the kernel fills both */
    return 1;
  }
  if (family != SP_AF_INET6) return 0;
  key->source_be[0] = ctx->local_ip6[0];
  key->source_be[1] = ctx->local_ip6[1];
  key->source_be[2] = ctx->local_ip6[2];
  key->source_be[3] = ctx->local_ip6[3];
  return 1;
}

/* An entry of the same tuple is left over from a socket that is gone. */
static __always_inline long sp_write_flow(struct sp_origin* origin) {
  long error = bpf_map_update_elem(&sp_flows, &origin->key, &origin->flow, BPF_NOEXIST);
  struct sp_flow* old;

  if (error == -17 /* EEXIST */) {
    old = bpf_map_lookup_elem(&sp_flows, &origin->key);
    if (old && sp_drop_flow(&origin->key, old->workload)) sp_count(SP_COUNTER_flow_replaced);
    error = bpf_map_update_elem(&sp_flows, &origin->key, &origin->flow, BPF_NOEXIST);
  }
  return error;
}

/* Without an entry the daemon resets the connection, so every failure here is a refusal. */
static __always_inline void sp_on_connect(struct bpf_sock_ops* ctx, struct sp_origin* origin) {
  if (!sp_fill_source(ctx, &origin->key)) {
    sp_count(SP_COUNTER_failed_address);
    return;
  }
  if (bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG)) {
    sp_count(SP_COUNTER_failed_flow_callback);
    return;
  }
  if (sp_write_flow(origin)) {
    sp_count(SP_COUNTER_failed_flow_insert);
    return;
  }
  sp_add_in_flight(origin->flow.workload, 1);
  origin->tracked = 1;
  sp_count(SP_COUNTER_flow_written);
}

static __always_inline void sp_on_close(struct sp_origin* origin) {
  struct sp_flow* flow;

  if (!origin->tracked) return;
  origin->tracked = 0;
  flow = bpf_map_lookup_elem(&sp_flows, &origin->key);
  /* The tuple may be another socket's by now. */
  if (!flow || flow->socket_cookie != origin->flow.socket_cookie) return;
  if (sp_drop_flow(&origin->key, origin->flow.workload)) sp_count(SP_COUNTER_flow_closed_untaken);
}

SEC("sockops")
int sp_flow_track(struct bpf_sock_ops* ctx) {
  struct bpf_sock* sk = ctx->sk;
  struct sp_origin* origin;

  if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB && ctx->op != BPF_SOCK_OPS_STATE_CB) return 1;
  if (!sk) {
    sp_count(SP_COUNTER_failed_socket);
    return 1;
  }
  origin = bpf_sk_storage_get(&sp_origins, sk, 0, 0);
  if (!origin) return 1; /* let go, not diverted */
  if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
    sp_on_connect(ctx, origin);
  else if (ctx->args[1] == BPF_TCP_CLOSE)
    sp_on_close(origin);
  return 1;
}
