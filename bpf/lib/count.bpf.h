/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One accessor for the counters. */
#pragma once

#include "lib/compat.bpf.h"
#include "maps.bpf.h"

static __always_inline void sp_count(__u32 counter) {
  __u64* value;

  if (counter >= SP_COUNTER_COUNT) return;
  value = bpf_map_lookup_elem(&sp_counters, &counter);
  if (value) *value += 1;
}
