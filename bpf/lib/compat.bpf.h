/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that differs between kernels, each with the version that brought it. */
#pragma once

/* libbpf's headers need the types first. */
/* clang-format off */
#include "sallyport/abi/types.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

/* Set by the loader after a probe; the verifier removes what is switched off.
 * bpf_set_retval: 5.18, in socket and address hooks 6.0 (69fd337a975c). */
const volatile __u8 sp_set_retval_in_address_hooks = 0;
const volatile __u8 sp_set_retval_in_socket_hooks = 0;

#define SP_EPERM 1
#define SP_EPROTONOSUPPORT 93
#define SP_EADDRINUSE 98
#define SP_ECONNREFUSED 111

/* Socket options; vmlinux.h has types only. */
#define SP_SOL_SOCKET 1
#define SP_SO_BINDTODEVICE 25
