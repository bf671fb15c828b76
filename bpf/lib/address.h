/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses as four words in network byte order, IPv4 held v4-mapped. Pure: also compiled natively. */
#pragma once

#include "sallyport/abi/types.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SP_BE16(x) __builtin_bswap16(x)
#define SP_BE32(x) __builtin_bswap32(x)
#else
#define SP_BE16(x) (x)
#define SP_BE32(x) (x)
#endif

#define SP_MAPPED_BE SP_BE32(0x0000ffffu)      /* third word of ::ffff:0:0/96 */
#define SP_LOOPBACK_V4_BE SP_BE32(0x7f000001u) /* 127.0.0.1 */

static inline int sp_is_v4(const __u32 address_be[4]) {
  return address_be[0] == 0 && address_be[1] == 0 && address_be[2] == SP_MAPPED_BE;
}

static inline int sp_is_zero(const __u32 address_be[4]) {
  return address_be[0] == 0 && address_be[1] == 0 && address_be[2] == 0 && address_be[3] == 0;
}

static inline int sp_equal(const __u32 a_be[4], const __u32 b_be[4]) {
  return a_be[0] == b_be[0] && a_be[1] == b_be[1] && a_be[2] == b_be[2] && a_be[3] == b_be[3];
}

/* 127.0.0.0/8 and ::1. */
static inline int sp_is_loopback(const __u32 address_be[4]) {
  if (sp_is_v4(address_be)) return (address_be[3] & SP_BE32(0xff000000u)) == SP_BE32(0x7f000000u);
  return address_be[0] == 0 && address_be[1] == 0 && address_be[2] == 0 && address_be[3] == SP_BE32(1u);
}

/* 0.0.0.0 and ::, which connect() takes for the loopback address. */
static inline int sp_is_unspecified(const __u32 address_be[4]) {
  return sp_is_zero(address_be) || (sp_is_v4(address_be) && address_be[3] == 0);
}

static inline void sp_set_v4(__u32 address_be[4], __u32 v4_be) {
  address_be[0] = 0;
  address_be[1] = 0;
  address_be[2] = SP_MAPPED_BE;
  address_be[3] = v4_be;
}

static inline void sp_copy(__u32 to_be[4], const __u32 from_be[4]) {
  to_be[0] = from_be[0];
  to_be[1] = from_be[1];
  to_be[2] = from_be[2];
  to_be[3] = from_be[3];
}

/* The listener's address in the family that a connection to `destination` has on the wire. */
static inline void sp_listener_address(__u32 to_be[4], const __u32 destination_be[4]) {
  if (sp_is_v4(destination_be)) {
    sp_set_v4(to_be, SP_LOOPBACK_V4_BE);
  } else {
    to_be[0] = 0;
    to_be[1] = 0;
    to_be[2] = 0;
    to_be[3] = SP_BE32(1u);
  }
}
