/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cgroup/connect4|6 and cgroup/sock_create of a governed cgroup. Programs of an enrolled cgroup below run before these
 * and leave their word with the socket; a socket without it is of a cgroup that is nobody's (yet), and refused. */
#pragma once

#include "lib/count.bpf.h"
#include "lib/decide.h"

/* The word of the programs below, for a tripwire above. Whoever is not governed pays for none of it. */
static __always_inline int sp_tell_tripwire(struct bpf_sock* sk, const struct sp_workload* workload) {
  struct sp_judged* judged;

  if (!(workload->flags & SP_WORKLOAD_GOVERNED)) return 1;
  judged = bpf_sk_storage_get(&sp_judged, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!judged) {
    sp_count(SP_COUNTER_failed_judged);
    return 0;
  }
  judged->monotonic_ns = bpf_ktime_get_ns();
  return 1;
}

/* Taken, so that it counts once: a cgroup that is withdrawn leaves no socket with a word of its own. */
static __always_inline int sp_take_word(struct sp_judged* judged) {
  if (!judged || judged->monotonic_ns == 0) return 0;
  judged->monotonic_ns = 0;
  return 1;
}

static __always_inline int sp_tripwire_connect(struct bpf_sock_addr* ctx) {
  struct bpf_sock* sk = ctx->sk;

  if (sk && sp_take_word(bpf_sk_storage_get(&sp_judged, sk, 0, 0))) return 1;
  sp_count(SP_COUNTER_refused_nobodys_connect);
  if (sp_set_retval_in_address_hooks && bpf_set_retval(-SP_ECONNREFUSED)) sp_count(SP_COUNTER_failed_set_retval);
  return 0;
}

SEC("cgroup/connect4")
int sp_tripwire_connect4(struct bpf_sock_addr* ctx) { return sp_tripwire_connect(ctx); }

SEC("cgroup/connect6")
int sp_tripwire_connect6(struct bpf_sock_addr* ctx) { return sp_tripwire_connect(ctx); }

/* A TCP socket may be made: its connect is refused above, with an error that programs know. What has no connect hook
 * to refuse it (raw, datagrams that name their destination) may not. */
SEC("cgroup/sock_create")
int sp_tripwire_socket(struct bpf_sock* ctx) {
  if (sp_take_word(bpf_sk_storage_get(&sp_judged, ctx, 0, 0))) return 1;
  if (sp_decide_nobodys_socket(ctx->type, ctx->protocol)) return 1;
  sp_count(SP_COUNTER_refused_nobodys_socket);
  return 0;
}
