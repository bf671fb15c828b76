// SPDX-License-Identifier: Apache-2.0
// The question asked on the agent's own upstream connection. The agent may have put functions and
// operators of its own in the search path, so every name has its schema; operators get theirs from
// lookup_sql(), which is why none may hide in IN or CASE x WHEN, and each stands between blanks.
#pragma once

#include <string>

namespace sallyport::flow {

/// $1 schemas ('' = unqualified) and $2 names of relations, $3 names of functions, $4 function OIDs.
/// One text column, one JSON object a row:
///   {"q":"r","i":1,"oid":"16384","schema":…,"name":…,"kind":"r","temp":false,"hidden":6,
///    "columns":["id",null],"sequences":null,"up":[["public","parent"]],"down":null}
///   {"q":"f","i":1,"shadowed":false}    {"q":"o","oid":"870","schema":…,"name":…}
///   {"q":"s","schema":"public","path":["pg_catalog","public"],"temp":false,"server":"…"}  current_schema(),
///                                       current_schemas(true), whether the session has temporary objects
/// A relation is the one that PostgreSQL would choose now: the first in the session's own search
/// path. No to_regclass(): it raises on schemas without USAGE, which would end the transaction.
/// `hidden` are the bits of sql::RelationFact::Hidden.
inline constexpr const char* kLookupText = R"sql(
WITH RECURSIVE wanted(i, oid, relname, relkind, temp, nspname) AS (
  SELECT q.i, c.oid, c.relname, c.relkind, c.relpersistence = 't', c.nspname
  FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
         WITH ORDINALITY AS q(s, r, i)
  CROSS JOIN LATERAL (
    SELECT k.oid, k.relname, k.relkind, k.relpersistence, n.nspname FROM pg_catalog.pg_class k
    JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
    WHERE k.relname = q.r::pg_catalog.name
      AND CASE WHEN q.s = '' THEN n.nspname = ANY (pg_catalog.current_schemas(true))
                   WHEN q.s = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
                   ELSE n.nspname = q.s::pg_catalog.name END
    ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) LIMIT 1) c),
down(i, oid) AS (
  SELECT w.i, w.oid FROM wanted w
  UNION SELECT d.i, h.inhrelid FROM pg_catalog.pg_inherits h JOIN down d ON h.inhparent = d.oid),
up(i, oid) AS (
  SELECT w.i, w.oid FROM wanted w
  UNION SELECT u.i, h.inhparent FROM pg_catalog.pg_inherits h JOIN up u ON h.inhrelid = u.oid),
runs_code(i, bits) AS (
  SELECT d.i, CASE WHEN r.ev_type = '1' THEN 1 WHEN r.ev_type = '3' THEN 2 WHEN r.ev_type = '2' THEN 4 ELSE 8 END
  FROM down d JOIN pg_catalog.pg_rewrite r ON r.ev_class = d.oid
  WHERE r.rulename <> '_RETURN'
  UNION ALL
  SELECT d.i, (ARRAY[0,2,8,10,4,6,12,14,16,18,24,26,20,22,28,30])[((t.tgtype >> 2) & 15) + 1]
  FROM down d JOIN pg_catalog.pg_trigger t ON t.tgrelid = d.oid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT d.i, CASE WHEN f.confupdtype = ANY ('{c,n,d}'::pg_catalog."char"[]) THEN 4 ELSE 0 END
            | CASE WHEN f.confdeltype = ANY ('{c,n,d}'::pg_catalog."char"[]) THEN 8 ELSE 0 END
  FROM down d JOIN pg_catalog.pg_constraint f ON f.confrelid = d.oid AND f.contype = 'f'
  UNION ALL
  SELECT d.i, 15 FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid WHERE c.relrowsecurity AND EXISTS (
    SELECT FROM pg_catalog.pg_policy y WHERE y.polrelid = d.oid)
  UNION ALL
  SELECT d.i, 6 FROM down d WHERE EXISTS (
    SELECT FROM pg_catalog.pg_depend p
    WHERE p.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND (
      p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
        AND p.objid = ANY (SELECT a.oid FROM pg_catalog.pg_attrdef a WHERE a.adrelid = d.oid)
      OR p.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
        AND p.objid = ANY (SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = d.oid)
      OR p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND p.objid = ANY (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = d.oid))))
SELECT pg_catalog.json_build_object('q', 'r', 'i', w.i, 'oid', w.oid, 'schema', w.nspname, 'name', w.relname,
  'kind', w.relkind, 'temp', w.temp,
  'hidden', (SELECT pg_catalog.bit_or(b.bits) FROM runs_code b WHERE b.i = w.i),
  'columns', (SELECT pg_catalog.json_agg(CASE WHEN NOT a.attisdropped THEN a.attname END ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0),
  'sequences', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, s.relname))
         FROM pg_catalog.pg_depend p
         JOIN pg_catalog.pg_class s ON s.relkind = 'S' AND s.oid =
           CASE WHEN p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                THEN p.objid ELSE p.refobjid END
         JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
         WHERE p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND (
           p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
             AND p.objid = ANY (
               SELECT a.oid FROM pg_catalog.pg_attrdef a WHERE a.adrelid = w.oid)
           OR p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND p.refobjid = w.oid AND p.deptype = 'i')),
  'up', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
         FROM up u JOIN pg_catalog.pg_class c ON c.oid = u.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE u.i = w.i AND u.oid <> w.oid),
  'down', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
           FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE d.i = w.i AND d.oid <> w.oid))::pg_catalog.text
FROM wanted w
UNION ALL
SELECT pg_catalog.json_build_object('q', 'f', 'i', q.i, 'shadowed', EXISTS (
  SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE p.proname = q.r::pg_catalog.name AND n.nspname <> 'pg_catalog'
    AND n.nspname = ANY (pg_catalog.current_schemas(true))))::pg_catalog.text
FROM pg_catalog.unnest($3::pg_catalog.text[]) WITH ORDINALITY AS q(r, i)
UNION ALL
SELECT pg_catalog.json_build_object('q', 'o', 'oid', p.oid, 'schema', n.nspname, 'name', p.proname)::pg_catalog.text
FROM pg_catalog.unnest($4::pg_catalog.oid[]) AS q(o)
JOIN pg_catalog.pg_proc p ON p.oid = q.o
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
UNION ALL
SELECT pg_catalog.json_build_object('q', 's', 'schema', pg_catalog.current_schema(),
  'path', pg_catalog.current_schemas(true), 'temp', pg_catalog.pg_my_temp_schema() <> 0::pg_catalog.oid,
  'server', $server)::pg_catalog.text
)sql";

/// What `$server` above stands for: this start of this server, and the database, in numbers that no setting changes.
inline constexpr const char* kServerIdentity = R"sql(pg_catalog.concat_ws('/',
  pg_catalog.int8(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())),
  pg_catalog.int8(pg_catalog.date_part('microseconds', pg_catalog.pg_postmaster_start_time())),
  (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())))sql";

/// kLookupText with `=` written OPERATOR(pg_catalog.=), and so on.
const std::string& lookup_sql();
/// The same question about a search path that is given, instead of the connection's own: its schemas and the one to
/// create in are two more parameters.
const std::string& lookup_sql_with_path();

}  // namespace sallyport::flow
