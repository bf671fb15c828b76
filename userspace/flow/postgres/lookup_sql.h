// SPDX-License-Identifier: Apache-2.0
// The questions asked on the agent's own upstream connection. Everything is written with its schema,
// operators too: the agent may have put its own in the search path.
#pragma once

namespace sallyport::flow {

/// $1 schemas ('' = unqualified), $2 relations, $3 schemas and $4 names of functions, $5 function OIDs.
/// One text column, one JSON object a row:
///   {"q":"r","i":1,"oid":…,"schema":…,"name":…,"kind":"r","temp":false,"rules":false,
///    "columns":["id",null,…],"family":["public.parent"]}
///   {"q":"f","i":1,"shadowed":false}
///   {"q":"o","oid":…,"schema":…,"name":…}
/// A relation is the one that PostgreSQL would choose now: the first in the session's own search
/// path. No to_regclass(): it raises on schemas without USAGE, which would end the transaction.
inline constexpr const char* kLookupSql = R"sql(
SELECT pg_catalog.json_build_object('q', 'r', 'i', q.i, 'oid', c.oid, 'schema', c.nspname, 'name', c.relname,
  'kind', c.relkind, 'temp', c.relpersistence OPERATOR(pg_catalog.=) 't',
  'rules', c.relhasrules OR c.relhastriggers OR c.relrowsecurity,
  'columns', (SELECT pg_catalog.json_agg(CASE WHEN NOT a.attisdropped THEN a.attname END ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
              WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0),
  'family', (WITH RECURSIVE up(oid) AS (
               SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid
               UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i, up
                     WHERE i.inhrelid OPERATOR(pg_catalog.=) up.oid),
             down(oid) AS (
               SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid
               UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i, down
                     WHERE i.inhparent OPERATOR(pg_catalog.=) down.oid)
             SELECT pg_catalog.json_agg(pg_catalog.json_build_array(fn.nspname, f.relname))
             FROM (SELECT up.oid FROM up UNION SELECT down.oid FROM down) x
             JOIN pg_catalog.pg_class f ON f.oid OPERATOR(pg_catalog.=) x.oid
             JOIN pg_catalog.pg_namespace fn ON fn.oid OPERATOR(pg_catalog.=) f.relnamespace))::pg_catalog.text
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
       WITH ORDINALITY AS q(s, r, i)
CROSS JOIN LATERAL (
  SELECT k.*, n.nspname FROM pg_catalog.pg_class k
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) k.relnamespace
  WHERE k.relname OPERATOR(pg_catalog.=) q.r::pg_catalog.name
    AND CASE q.s WHEN '' THEN n.nspname OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(true))
                 WHEN 'pg_temp' THEN n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
                 ELSE n.nspname OPERATOR(pg_catalog.=) q.s::pg_catalog.name END
  ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) LIMIT 1) c
UNION ALL
SELECT pg_catalog.json_build_object('q', 'f', 'i', q.i, 'shadowed', EXISTS (
  SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE p.proname OPERATOR(pg_catalog.=) q.r::pg_catalog.name
    AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
    AND n.nspname OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(true))))::pg_catalog.text
FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[]))
       WITH ORDINALITY AS q(s, r, i)
UNION ALL
SELECT pg_catalog.json_build_object('q', 'o', 'oid', p.oid, 'schema', n.nspname, 'name', p.proname)::pg_catalog.text
FROM pg_catalog.unnest($5::pg_catalog.oid[]) AS q(o)
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) q.o
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
)sql";

}  // namespace sallyport::flow
