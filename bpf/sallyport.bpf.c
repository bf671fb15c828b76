// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The programs that are attached to an agent's cgroup, as one object: they share maps and one workload value.
#include "connect.bpf.h"
#include "flow_track.bpf.h"
#include "guard.bpf.h"
#include "names.bpf.h"
#include "tripwire.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
