// SPDX-License-Identifier: Apache-2.0
#include "mask/pg_types.h"

#include <algorithm>
#include <iterator>

namespace sallyport::mask {
namespace {

// Sorted by oid.
constexpr PgType kTypes[] = {
    {16, 1000, TypeClass::boolean},       {17, 1001, TypeClass::bytea},      {18, 1002, TypeClass::char1},
    {19, 1003, TypeClass::text},          {20, 1016, TypeClass::int8},       {21, 1005, TypeClass::int2},
    {23, 1007, TypeClass::int4},          {25, 1009, TypeClass::text},       {26, 1028, TypeClass::oid},
    {114, 199, TypeClass::json},          {142, 143, TypeClass::text},       {650, 651, TypeClass::cidr},
    {700, 1021, TypeClass::float4},       {701, 1022, TypeClass::float8},    {705, 0, TypeClass::text},
    {774, 775, TypeClass::macaddr8},      {790, 791, TypeClass::money},      {829, 1040, TypeClass::macaddr},
    {869, 1041, TypeClass::inet},         {1042, 1014, TypeClass::text},     {1043, 1015, TypeClass::text},
    {1082, 1182, TypeClass::date},        {1083, 1183, TypeClass::time},     {1114, 1115, TypeClass::timestamp},
    {1184, 1185, TypeClass::timestamptz}, {1186, 1187, TypeClass::interval}, {1266, 1270, TypeClass::timetz},
    {1700, 1231, TypeClass::numeric},     {2275, 1263, TypeClass::text},     {2950, 2951, TypeClass::uuid},
    {3802, 3807, TypeClass::jsonb},
};
static_assert(std::ranges::is_sorted(kTypes, {}, &PgType::oid));

}  // namespace

const PgType* find_type(uint32_t oid) {
  const PgType* found = std::ranges::lower_bound(kTypes, oid, {}, &PgType::oid);
  return found != std::end(kTypes) && found->oid == oid ? found : nullptr;
}

const PgType* find_element(uint32_t array_oid) {
  if (array_oid == 0) return nullptr;
  const PgType* found = std::ranges::find(kTypes, array_oid, &PgType::array_oid);
  return found != std::end(kTypes) ? found : nullptr;
}

}  // namespace sallyport::mask
