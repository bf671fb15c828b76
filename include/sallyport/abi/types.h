/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-width types and assertions for headers that both the BPF programs and C++ include. */
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#include <stddef.h>
#endif

#ifdef __cplusplus
#define SP_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define SP_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define SP_ASSERT_SIZE(type, size) SP_STATIC_ASSERT(sizeof(struct type) == (size), #type " has another size")
#define SP_ASSERT_OFFSET(type, field, offset) \
  SP_STATIC_ASSERT(__builtin_offsetof(struct type, field) == (offset), #type "." #field " moved")
