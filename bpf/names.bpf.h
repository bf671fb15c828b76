/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cgroup/getpeername4|6, cgroup/getsockname4|6: a diverted socket goes on seeing the connection it asked
 * for. They change an answer, never a connection, so what cannot be told is left as it is. */
#pragma once

#include "lib/count.bpf.h"
#include "lib/decide.h"

static __always_inline struct sp_origin* sp_origin_of(struct bpf_sock_addr* ctx) {
  struct bpf_sock* sk = ctx->sk;

  return sk ? bpf_sk_storage_get(&sp_origins, sk, 0, 0) : 0;
}

SEC("cgroup/getpeername4")
int sp_getpeername4(struct bpf_sock_addr* ctx) {
  struct sp_origin* origin = sp_origin_of(ctx);
  __u32 port_be = ctx->user_port;

  if (!origin || !sp_peer_is_listener(origin, (__u16)port_be)) return 1;
  ctx->user_ip4 = origin->flow.destination_be[3];
  ctx->user_port = origin->flow.destination_port_be;
  return 1;
}

SEC("cgroup/getpeername6")
int sp_getpeername6(struct bpf_sock_addr* ctx) {
  struct sp_origin* origin = sp_origin_of(ctx);
  __u32 port_be = ctx->user_port;

  if (!origin || !sp_peer_is_listener(origin, (__u16)port_be)) return 1;
  ctx->user_ip6[0] = origin->flow.destination_be[0];
  ctx->user_ip6[1] = origin->flow.destination_be[1];
  ctx->user_ip6[2] = origin->flow.destination_be[2];
  ctx->user_ip6[3] = origin->flow.destination_be[3];
  ctx->user_port = origin->flow.destination_port_be;
  return 1;
}

SEC("cgroup/getsockname4")
int sp_getsockname4(struct bpf_sock_addr* ctx) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  struct sp_origin* origin = sp_origin_of(ctx);
  const __u32* source_be;
  __u32 local_be[4];

  if (!workload || !origin) return 1;
  sp_set_v4(local_be, ctx->user_ip4);
  source_be = sp_shown_source(workload, origin, local_be);
  if (source_be) ctx->user_ip4 = source_be[3];
  return 1;
}

SEC("cgroup/getsockname6")
int sp_getsockname6(struct bpf_sock_addr* ctx) {
  struct sp_workload* workload = bpf_get_local_storage(&sp_workloads, 0);
  struct sp_origin* origin = sp_origin_of(ctx);
  const __u32* source_be;
  __u32 local_be[4];

  if (!workload || !origin) return 1;
  local_be[0] = ctx->user_ip6[0];
  local_be[1] = ctx->user_ip6[1];
  local_be[2] = ctx->user_ip6[2];
  local_be[3] = ctx->user_ip6[3];
  source_be = sp_shown_source(workload, origin, local_be);
  if (!source_be) return 1;
  ctx->user_ip6[0] = source_be[0];
  ctx->user_ip6[1] = source_be[1];
  ctx->user_ip6[2] = source_be[2];
  ctx->user_ip6[3] = source_be[3];
  return 1;
}
