// SPDX-License-Identifier: Apache-2.0
// The types whose values can be masked type-correctly. Source: PostgreSQL 15,
// src/include/catalog/pg_type.dat; these OIDs never change.
#pragma once

#include <cstdint>

namespace sallyport::mask {

/// Types that share their I/O form share a class.
enum class TypeClass : uint8_t {
  text,  // text, varchar, bpchar, name, xml, unknown, cstring: the same bytes in both formats
  char1,
  boolean,
  int2,
  int4,
  int8,
  oid,
  float4,
  float8,
  numeric,
  money,
  date,
  time,
  timetz,
  timestamp,
  timestamptz,
  interval,
  uuid,
  json,
  jsonb,
  bytea,
  inet,
  cidr,
  macaddr,
  macaddr8,
};

struct PgType {
  uint32_t oid;
  uint32_t array_oid;  ///< 0: has none
  TypeClass type;
};

/// Null when the type is not known. `find_element` goes by the array type's OID.
const PgType* find_type(uint32_t oid);
const PgType* find_element(uint32_t array_oid);

}  // namespace sallyport::mask
