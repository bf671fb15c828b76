/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map. All are pinned under /sys/fs/bpf/sallyport/v<SP_ABI_VERSION>/maps. */
#pragma once

#include "lib/compat.bpf.h"
#include "sallyport/abi/kernel.h"

/* Enrolled cgroup → its workload; written by the daemon, read by the programs attached to that cgroup.
 * The key without an attach type shares one value among all of them. Zero until the daemon writes it. */
struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct sp_workload);
} sp_workloads SEC(".maps");

/* An agent's diverted socket → where it was going; lives and dies with the socket. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sp_origin);
} sp_origins SEC(".maps");

/* An enrolled agent's socket below a governed cgroup → its own programs let it go. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sp_judged);
} sp_judged SEC(".maps");

/* The daemon's listening socket → its mark; written by the daemon only. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sp_listener);
} sp_listeners SEC(".maps");

/* Connection → origin, from the SYN to the daemon's accept or the agent's close. Never an LRU: one workload
 * could push out another's entries. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, SP_FLOWS_MAX);
  __type(key, struct sp_flow_key);
  __type(value, struct sp_flow);
} sp_flows SEC(".maps");

/* Workload index → its entries of sp_flows. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SP_WORKLOADS_MAX);
  __type(key, __u32);
  __type(value, struct sp_in_flight);
} sp_in_flight SEC(".maps");

/* enum sp_counter → how often, per CPU. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SP_COUNTER_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} sp_counters SEC(".maps");
