// SPDX-License-Identifier: Apache-2.0
// The question asked on the agent's own upstream connection. The agent may have put functions and
// operators of its own in the search path, so every name has its schema; operators get theirs from
// lookup_sql(), which is why none may hide in IN or CASE x WHEN, and each stands between blanks.
#pragma once

namespace sallyport::flow {

/// $1 schemas ('' = unqualified) and $2 names of relations, $3 and $4 of functions, $5 function OIDs, $6 and $7 of
/// types, $8 and $9 of operators, $10 and $11 of relations to look behind.
/// One text column, one JSON object a row:
///   {"q":"r","i":1,"oid":"16384","schema":…,"name":…,"kind":"r","temp":false,"hidden":6,
///    "columns":["id",null],"generated":[["head",""],["head","iban"]],"sequences":null,"keys":[["public","target"]],
///    "up":[["public","parent"]],"down":null}
///   {"q":"f","i":1,"more":false,"schema":…,"name":…,"source":…, … as sql::Routine} one for each routine
///   {"q":"t","i":1,"checks":null,"functions":[["public","f"]],"builtin":false}   {"q":"x","i":1,"functions":null}
///   {"q":"b","i":1,"triggers":null,"code":null,"unasked":null,"cascades":null,"definition":null,"foreign":null,
///    "options":null}
///   {"q":"o","oid":"870","schema":…,"name":…}
///   {"q":"s","schema":"public","path":["pg_catalog","public"],"temp":false,"server":"…","frozen":false,
///    "snapshot":"740:740: 1790…"}
///     current_schema(), current_schemas(true), whether the session has temporary objects, whether all statements of a
///     transaction see the catalogues as of its first one, and what changes whenever a transaction with an id ends or
///     the server reads its configuration again; null where the session could not see it
/// A relation is the one that PostgreSQL would choose now: the first in the session's own search
/// path. No to_regclass(): it raises on schemas without USAGE, which would end the transaction.
/// `hidden` are the bits of sql::RelationFact::Hidden. What a relation runs is in "triggers" [bits, what, schema,
/// function, definition], "code" [bits, what, expression or rule] (defaults that are constants or only advance a
/// sequence are left out), "unasked" [bits, what, schema, function] and "cascades" [bits, schema, relation, removes];
/// behind pg_catalog.pg_event_trigger "triggers" are the event triggers. Code longer than 64 KiB
/// does not come, nor more than 32 routines of a name. What BEGIN ATOMIC made is asked of pg_get_functiondef(), which
/// every version has. A part of the question: what it needs in WITH, and its rows.
struct LookupPart {
  const char* with;
  const char* rows;
};

/// Functions outside pg_catalog that values of a type call without being named, by the type (0: those of an operator
/// class for a built-in type), and the operator class: casts that are implicit or made in assignments, comparison and
/// support functions of operator classes. What is written in C is trusted there: only a superuser makes an operator
/// class. A cast between built-in types belongs to both, any other to those of its types that are not built in.
inline constexpr LookupPart kLookupUnasked = {R"sql(
called(typ, opc, nsp, name, oid) AS (
  SELECT v.typ, v.opc, n.nspname, p.proname, p.oid
  FROM (SELECT CASE WHEN 16384::pg_catalog.oid <= o.opcintype THEN o.opcintype ELSE 0::pg_catalog.oid END, o.oid,
               s.amproc::pg_catalog.oid
        FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_amproc s ON s.amprocfamily = o.opcfamily
        UNION
        SELECT CASE WHEN 16384::pg_catalog.oid <= o.opcintype THEN o.opcintype ELSE 0::pg_catalog.oid END, o.oid,
               x.oprcode::pg_catalog.oid
        FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_amop s ON s.amopfamily = o.opcfamily
        JOIN pg_catalog.pg_operator x ON x.oid = s.amopopr
        UNION
        SELECT y.typ, 0::pg_catalog.oid, k.castfunc FROM pg_catalog.pg_cast k
        CROSS JOIN LATERAL (VALUES (k.castsource, k.casttarget), (k.casttarget, k.castsource)) AS y(typ, other)
        WHERE 16384::pg_catalog.oid <= y.typ OR y.other <= 16383::pg_catalog.oid
          AND k.castcontext = ANY ('{i,a}'::pg_catalog."char"[])) AS v(typ, opc, f)
  JOIN pg_catalog.pg_proc p ON p.oid = v.f JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE 16384::pg_catalog.oid <= v.f AND NOT (l.lanname = ANY ('{c,internal}'::pg_catalog.name[])
                                              AND (v.opc <> 0::pg_catalog.oid OR p.provolatile = 'i'))),
unasked(typ, opc, nsp, name, oid) AS (
  SELECT c.typ, c.opc, c.nsp, c.name, c.oid FROM called c
  UNION
  SELECT m.whole, 0::pg_catalog.oid, k.nsp, k.name, k.oid
  FROM unasked k JOIN (
    SELECT t.typbasetype, t.oid FROM pg_catalog.pg_type t
    UNION ALL SELECT t.typelem, t.oid FROM pg_catalog.pg_type t
    UNION ALL SELECT r.rngsubtype, r.rngtypid FROM pg_catalog.pg_range r
    UNION ALL SELECT r.rngsubtype, r.rngmultitypid FROM pg_catalog.pg_range r
    UNION ALL SELECT a.atttypid, c.reltype FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'c') AS m(part, whole) ON m.part = k.typ
  WHERE k.typ <> 0::pg_catalog.oid))sql",
                                              ""};

/// What the relations in `from` call unasked, by their columns' types and those of the keys that foreign keys compare
/// with them, and by the operator classes of their indexes and partition keys. A macro, for literals are put together
/// by the preprocessor alone; `keyed` holds `from` and their parents. The planner must find all of this cheap, or it
/// compiles the question (JIT), for seconds.
#define SALLYPORT_UNASKED_OF(from, keyed)                                                            \
  "SELECT d.i, 175, u.nsp, u.name FROM " from                                                        \
  " d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped " \
  "JOIN unasked u ON u.typ = a.atttypid\n"                                                           \
  "UNION SELECT d.i, 47, u.nsp, u.name FROM " from                                                   \
  " d JOIN pg_catalog.pg_constraint f ON f.conrelid = d.oid AND f.contype = 'f' "                    \
  "JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = ANY (f.confkey) "       \
  "JOIN unasked u ON u.typ = a.atttypid\n"                                                           \
  "UNION SELECT d.i, 47, u.nsp, u.name FROM " from                                                   \
  " d JOIN pg_catalog.pg_constraint f ON f.confrelid = d.oid AND f.contype = 'f' "                   \
  "JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey) "         \
  "JOIN unasked u ON u.typ = a.atttypid\n"                                                           \
  "UNION SELECT d.i, 47, u.nsp, u.name FROM " from                                                   \
  " d JOIN pg_catalog.pg_index x ON d.oid = ANY (ARRAY[x.indrelid, x.indexrelid]) "                  \
  "JOIN unasked u ON u.opc = ANY (x.indclass) WHERE u.opc <> 0::pg_catalog.oid\n"                    \
  "UNION SELECT d.i, 47, u.nsp, u.name FROM " keyed                                                  \
  " d JOIN pg_catalog.pg_partitioned_table x ON x.partrelid = d.oid "                                \
  "JOIN unasked u ON u.opc = ANY (x.partclass) WHERE u.opc <> 0::pg_catalog.oid"

/// What the default `a` is matched with, and must hold, if it only advances a sequence: pg_catalog's nextval and
/// regclass are pinned and leave no trace, others of these names do.
#define SALLYPORT_ADVANCES                                                              \
  "'^nextval[(]''([^'']|'''')+''::regclass[)]$' AND NOT EXISTS ("                       \
  "SELECT FROM pg_catalog.pg_depend p "                                                 \
  "WHERE p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = a.oid " \
  "AND p.refclassid <> 'pg_catalog.pg_class'::pg_catalog.regclass)"

inline constexpr LookupPart kLookupRelations = {
    R"sql(
wanted(i, oid, relname, relkind, temp, nspname) AS (
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
keyed(i, oid) AS (SELECT d.i, d.oid FROM down d UNION SELECT u.i, u.oid FROM up u),
runs_code(i, bits) AS (
  SELECT d.i, CASE WHEN r.ev_type = '1' THEN 1 WHEN r.ev_type = '3' THEN 2 WHEN r.ev_type = '2' THEN 4 ELSE 8 END
  FROM down d JOIN pg_catalog.pg_rewrite r ON r.ev_class = d.oid
  WHERE r.rulename <> '_RETURN'
  UNION ALL
  SELECT k.i, k.bits FROM ()sql" SALLYPORT_UNASKED_OF("down", "keyed") R"sql() AS k(i, bits, nsp, name)
  UNION ALL
  SELECT d.i, (ARRAY[0,2,8,10,4,6,12,14,16,18,24,26,20,22,28,30])[((t.tgtype >> 2) & 15) + 1]
  FROM down d JOIN pg_catalog.pg_trigger t ON t.tgrelid = d.oid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT d.i, CASE WHEN f.confupdtype = ANY ('{c,n,d}'::pg_catalog."char"[]) THEN 4 ELSE 0 END
            | CASE WHEN f.confdeltype = ANY ('{c,n,d}'::pg_catalog."char"[]) THEN 8 ELSE 0 END | 64
  FROM down d JOIN pg_catalog.pg_constraint f ON f.confrelid = d.oid AND f.contype = 'f'
  UNION ALL
  SELECT d.i, 15 FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid WHERE c.relrowsecurity AND EXISTS (
    SELECT FROM pg_catalog.pg_policy y WHERE y.polrelid = d.oid)
  UNION ALL
  SELECT d.i, 38 FROM keyed d JOIN pg_catalog.pg_partitioned_table x ON x.partrelid = d.oid
  WHERE x.partexprs IS NOT NULL
  UNION ALL
  SELECT d.i, 32 FROM down d JOIN pg_catalog.pg_statistic_ext x ON x.stxrelid = d.oid WHERE x.stxexprs IS NOT NULL
  UNION ALL
  SELECT d.i, 38 FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid WHERE c.relchecks <> 0
    OR EXISTS (SELECT FROM pg_catalog.pg_attrdef a CROSS JOIN LATERAL pg_catalog.pg_get_expr(a.adbin, a.adrelid) AS e
               WHERE a.adrelid = d.oid AND e ~ '[(]' AND NOT (e ~ )sql" SALLYPORT_ADVANCES R"sql())
    OR EXISTS (SELECT FROM pg_catalog.pg_index x
               WHERE d.oid = ANY (ARRAY[x.indrelid, x.indexrelid])
                 AND (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL))
  UNION ALL
  SELECT d.i, 166 FROM down d WHERE
    EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
               LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
               WHERE a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped
                 AND 16384::pg_catalog.oid <= t.oid
                 AND (t.typtype = ANY ('{c,d,r,m}'::pg_catalog."char"[])
                   OR e.typtype = ANY ('{c,d,r,m}'::pg_catalog."char"[])))))sql",
    R"sql(
SELECT pg_catalog.json_build_object('q', 'r', 'i', w.i, 'oid', w.oid, 'schema', w.nspname, 'name', w.relname,
  'kind', w.relkind, 'temp', w.temp,
  'hidden', (SELECT pg_catalog.bit_or(b.bits) FROM runs_code b WHERE b.i = w.i),
  'columns', (SELECT pg_catalog.json_agg(CASE WHEN NOT a.attisdropped THEN a.attname END ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0),
  'generated', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.made, x.part)) FROM (
         SELECT k.attname, ''::pg_catalog.name FROM pg_catalog.pg_attribute k
         WHERE k.attrelid = w.oid AND k.attgenerated <> '' AND NOT k.attisdropped
         UNION ALL SELECT g.attname, s.attname
         FROM pg_catalog.pg_attribute g
         JOIN pg_catalog.pg_attrdef d ON d.adrelid = g.attrelid AND d.adnum = g.attnum
         JOIN pg_catalog.pg_depend p
           ON p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.refobjid = g.attrelid
         JOIN pg_catalog.pg_attribute s ON s.attrelid = g.attrelid AND s.attnum = p.refobjsubid AND s.attnum > 0
         WHERE g.attrelid = w.oid AND g.attgenerated <> '' AND s.attnum <> g.attnum AND (
           p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid
           OR p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND p.objid = g.attrelid AND p.objsubid = g.attnum)) AS x(made, part)),
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
  'keys', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(n.nspname, c.relname))
           FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.confrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE f.conrelid = w.oid AND f.contype = 'f'),
  'up', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
         FROM up u JOIN pg_catalog.pg_class c ON c.oid = u.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE u.i = w.i AND u.oid <> w.oid),
  'down', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname))
           FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE d.i = w.i AND d.oid <> w.oid))::pg_catalog.text
FROM wanted w)sql"};

inline constexpr LookupPart kLookupBehind = {R"sql(
looked(i, oid, relkind) AS (
  SELECT q.i, c.oid, c.relkind
  FROM ROWS FROM (pg_catalog.unnest($10::pg_catalog.text[]), pg_catalog.unnest($11::pg_catalog.text[]))
         WITH ORDINALITY AS q(s, r, i)
  JOIN pg_catalog.pg_namespace n ON CASE WHEN q.s = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
                                         ELSE n.nspname = q.s::pg_catalog.name END
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = q.r::pg_catalog.name),
below(i, oid) AS (
  SELECT l.i, l.oid FROM looked l
  UNION SELECT b.i, h.inhrelid FROM pg_catalog.pg_inherits h JOIN below b ON h.inhparent = b.oid),
above(i, oid) AS (
  SELECT b.i, b.oid FROM below b UNION
  SELECT l.i, a.relid::pg_catalog.oid FROM looked l
  CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(l.oid) AS a(relid)),
unasked_below(i, bits, nsp, name) AS ()sql" SALLYPORT_UNASKED_OF("below", "above") R"sql(),
triggers(i, bits, what, nsp, name, code) AS (
  SELECT d.i, (ARRAY[0,2,8,10,4,6,12,14,16,18,24,26,20,22,28,30])[((t.tgtype >> 2) & 15) + 1],
    'trigger ' || t.tgname, n.nspname, p.proname,
    CASE WHEN t.tgqual IS NULL THEN '' ELSE pg_catalog.pg_get_triggerdef(t.oid) END
  FROM below d JOIN pg_catalog.pg_trigger t ON t.tgrelid = d.oid
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
  UNION ALL
  SELECT l.i, 255, 'event trigger ' || e.evtname, n.nspname, p.proname, ''
  FROM looked l JOIN pg_catalog.pg_event_trigger e ON e.evtenabled <> 'D'
  JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE l.oid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass::pg_catalog.oid),
code(i, bits, what, text) AS (
  SELECT d.i, 38, 'default or value of column ' || c.attname, pg_catalog.pg_get_expr(a.adbin, a.adrelid)
  FROM below d JOIN pg_catalog.pg_attrdef a ON a.adrelid = d.oid
  JOIN pg_catalog.pg_attribute c ON c.attrelid = d.oid AND c.attnum = a.adnum
  WHERE NOT (pg_catalog.pg_get_expr(a.adbin, a.adrelid) ~ )sql" SALLYPORT_ADVANCES R"sql()
  UNION ALL
  SELECT d.i, 38, 'check ' || k.conname, pg_catalog.pg_get_expr(k.conbin, k.conrelid)
  FROM below d JOIN pg_catalog.pg_constraint k ON k.conrelid = d.oid AND k.contype = 'c'
  UNION ALL
  SELECT d.i, 38, 'index ' || x.indexrelid::pg_catalog.text, pg_catalog.concat_ws(
    ', ', pg_catalog.pg_get_expr(x.indexprs, x.indrelid), pg_catalog.pg_get_expr(x.indpred, x.indrelid))
  FROM below d JOIN pg_catalog.pg_index x ON d.oid = ANY (ARRAY[x.indrelid, x.indexrelid])
  WHERE x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
  UNION ALL
  SELECT d.i, 38, 'partition key of ' || x.partrelid::pg_catalog.text, pg_catalog.pg_get_expr(x.partexprs, x.partrelid)
  FROM above d JOIN pg_catalog.pg_partitioned_table x ON x.partrelid = d.oid WHERE x.partexprs IS NOT NULL
  UNION ALL
  SELECT d.i, 32, 'statistics ' || x.stxname, pg_catalog.pg_get_expr(x.stxexprs, x.stxrelid)
  FROM below d JOIN pg_catalog.pg_statistic_ext x ON x.stxrelid = d.oid WHERE x.stxexprs IS NOT NULL
  UNION ALL
  SELECT d.i, CASE WHEN r.ev_type = '3' THEN 2 WHEN r.ev_type = '2' THEN 4 ELSE 8 END, 'rule ' || r.rulename,
    pg_catalog.pg_get_ruledef(r.oid)
  FROM below d JOIN pg_catalog.pg_rewrite r ON r.ev_class = d.oid
  WHERE r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'
  UNION ALL
  SELECT d.i, 15, 'policy ' || y.polname, pg_catalog.concat_ws(
    ', ', pg_catalog.pg_get_expr(y.polqual, y.polrelid), pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid))
  FROM below d JOIN pg_catalog.pg_class c ON c.oid = d.oid AND c.relrowsecurity
  JOIN pg_catalog.pg_policy y ON y.polrelid = d.oid
  UNION ALL
  SELECT d.i, 166, 'type of column ' || a.attname, 'NULL::' || pg_catalog.format_type(a.atttypid, NULL)
  FROM below d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
  WHERE 16384::pg_catalog.oid <= t.oid AND (t.typtype = ANY ('{c,d,r,m}'::pg_catalog."char"[])
                                            OR e.typtype = ANY ('{c,d,r,m}'::pg_catalog."char"[]))),
cascades(i, bits, nsp, name, removes) AS (
  SELECT d.i, v.bits, CASE WHEN c.relpersistence = 't' THEN 'pg_temp' ELSE n.nspname END, c.relname, v.removes
  FROM below d JOIN pg_catalog.pg_constraint f ON f.confrelid = d.oid AND f.contype = 'f'
  CROSS JOIN LATERAL (VALUES (4, f.confupdtype, false),
                             (8, f.confdeltype, f.confdeltype = 'c'),
                             (64, 'c', true)) AS v(bits, does, removes)
  JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE v.does = ANY ('{c,n,d}'::pg_catalog."char"[])))sql",
                                             R"sql(
SELECT pg_catalog.json_build_object('q', 'b', 'i', w.i,
  'triggers', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(t.bits, t.what, t.nsp, t.name, t.code))
               FROM triggers t WHERE t.i = w.i),
  'code', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(k.bits, k.what, k.text))
           FROM code k WHERE k.i = w.i AND k.text ~ '[(]|^NULL::|^CREATE RULE '),
  'unasked', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(
                u.bits, 'a comparison or cast', u.nsp, u.name))
              FROM unasked_below u WHERE u.i = w.i),
  'cascades', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(k.bits, k.nsp, k.name, k.removes))
               FROM cascades k WHERE k.i = w.i),
  'definition', CASE WHEN (w.relkind = 'v' OR w.relkind = 'm') THEN pg_catalog.pg_get_viewdef(w.oid) END,
  'foreign', (SELECT pg_catalog.json_build_object('server', s.srvname, 'handler', p.prosrc, 'options', t.ftoptions)
              FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
              JOIN pg_catalog.pg_foreign_data_wrapper f ON f.oid = s.srvfdw
              JOIN pg_catalog.pg_proc p ON p.oid = f.fdwhandler
              JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'c'
              WHERE t.ftrelid = w.oid),
  'options', (SELECT pg_catalog.to_json(c.reloptions) FROM pg_catalog.pg_class c WHERE c.oid = w.oid))::pg_catalog.text
FROM looked w)sql"};

inline constexpr LookupPart kLookupRoutines = {R"sql(
routines(i, n, oid) AS (
  SELECT q.i, c.n, c.oid
  FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[]))
         WITH ORDINALITY AS q(s, r, i)
  CROSS JOIN LATERAL (
    SELECT p.oid, pg_catalog.row_number() OVER () AS n FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proname = q.r::pg_catalog.name AND n.nspname <> 'pg_catalog'
      AND CASE WHEN q.s = '' THEN n.nspname = ANY (pg_catalog.current_schemas(false))
               WHEN q.s = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
               ELSE n.nspname = q.s::pg_catalog.name END LIMIT 33) c))sql",

                                               R"sql(
SELECT pg_catalog.json_build_object('q', 'f', 'i', r.i, 'more', r.n > 32,
  'schema', CASE WHEN n.oid = pg_catalog.pg_my_temp_schema() THEN 'pg_temp' ELSE n.nspname END, 'name', p.proname,
  'owner', pg_catalog.pg_get_userbyid(p.proowner), 'kind', p.prokind, 'volatility', p.provolatile,
  'definer', p.prosecdef, 'language', l.lanname, 'library', p.probin, 'settings', p.proconfig,
  'parameters', p.proargnames, 'defaults', pg_catalog.pg_get_expr(p.proargdefaults, 0::pg_catalog.oid),
  'definition', l.lanname = 'sql' AND p.prosrc = '',
  'source', CASE WHEN l.lanname = 'sql' AND p.prosrc = '' AND p.prokind <> 'a'
                   THEN pg_catalog.pg_get_functiondef(p.oid)
                 WHEN pg_catalog.octet_length(p.prosrc) <= 65536 THEN p.prosrc END,
  'parts', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(f.nsp, f.name)) FROM (
            SELECT fn.nspname, f.proname
            FROM pg_catalog.pg_aggregate a
            JOIN pg_catalog.pg_proc f ON f.oid = ANY (ARRAY[a.aggtransfn::pg_catalog.oid, a.aggfinalfn, a.aggcombinefn,
              a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn,
              (SELECT x.oprcode FROM pg_catalog.pg_operator x WHERE x.oid = a.aggsortop)])
            JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace
            WHERE a.aggfnoid::pg_catalog.oid = p.oid
            UNION
            SELECT u.nsp, u.name FROM unasked u
            WHERE u.typ = ANY (COALESCE(p.proallargtypes, p.proargtypes::pg_catalog.oid[])
                             || p.prorettype)) AS f(nsp, name)),
  'types', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(tn.nspname, t.typname))
            FROM (SELECT v.oid FROM pg_catalog.unnest(COALESCE(p.proallargtypes, p.proargtypes::pg_catalog.oid[])
                                                      || p.prorettype) AS v(oid)
                  UNION ALL SELECT v.oid FROM pg_catalog.pg_aggregate a
                  CROSS JOIN LATERAL (VALUES (a.aggtranstype), (a.aggmtranstype)) AS v(oid)
                  WHERE a.aggfnoid::pg_catalog.oid = p.oid) AS u(oid)
            JOIN pg_catalog.pg_type t ON t.oid = u.oid
            JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
            LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
            WHERE tn.nspname <> 'pg_catalog' AND (t.typtype = ANY ('{d,c,r,m}'::pg_catalog."char"[])
              OR e.typtype = ANY ('{d,c,r,m}'::pg_catalog."char"[]))))::pg_catalog.text
FROM routines r JOIN pg_catalog.pg_proc p ON p.oid = r.oid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang)sql"};

inline constexpr LookupPart kLookupTypes = {R"sql(
meant(i, oid, builtin) AS (
  SELECT q.i, c.oid, c.nspname = 'pg_catalog'
  FROM ROWS FROM (pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::pg_catalog.text[]))
         WITH ORDINALITY AS q(s, r, i)
  CROSS JOIN LATERAL (
    SELECT t.oid, n.nspname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typname = q.r::pg_catalog.name
      AND CASE WHEN q.s = '' THEN n.nspname = ANY (pg_catalog.current_schemas(true))
               WHEN q.s = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
               ELSE n.nspname = q.s::pg_catalog.name END
    ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) LIMIT 1) c),
made(i, oid) AS (
  SELECT m.i, m.oid FROM meant m
  UNION
  SELECT m.i, x.oid FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype UNION ALL SELECT t.typelem
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid = ANY (ARRAY[r.rngtypid, r.rngmultitypid])
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x(oid)
  WHERE x.oid <> 0),
behind(i, oid) AS (
  SELECT m.i, f.oid FROM made m JOIN pg_catalog.pg_type t ON t.oid = m.oid
  CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[t.typinput::pg_catalog.oid, t.typoutput, t.typreceive, t.typsend,
                                             t.typmodin, t.typmodout]) AS f(oid)
  UNION SELECT m.i, c.castfunc FROM made m JOIN pg_catalog.pg_cast c ON c.casttarget = m.oid
    AND c.castsource <= 16383::pg_catalog.oid
  UNION SELECT m.i, u.oid FROM made m JOIN unasked u ON u.typ = m.oid
  UNION SELECT m.i, r.rngcanonical FROM made m JOIN pg_catalog.pg_range r ON r.rngtypid = m.oid
  UNION SELECT m.i, r.rngsubdiff FROM made m JOIN pg_catalog.pg_range r ON r.rngtypid = m.oid))sql",
                                            R"sql(
SELECT pg_catalog.json_build_object('q', 't', 'i', m.i,
  'checks', (SELECT pg_catalog.json_agg(pg_catalog.pg_get_expr(k.conbin, 0::pg_catalog.oid))
             FROM made d JOIN pg_catalog.pg_constraint k ON k.contypid = d.oid WHERE d.i = m.i),
  'functions', (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(n.nspname, p.proname))
                FROM behind b JOIN pg_catalog.pg_proc p ON p.oid = b.oid
                JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                WHERE b.i = m.i AND n.nspname <> 'pg_catalog'),
  'builtin', m.builtin)::pg_catalog.text
FROM meant m)sql"};

/// Functions of pg_catalog count as well: CREATE OPERATOR takes any.
inline constexpr LookupPart kLookupOperators = {"", R"sql(
SELECT pg_catalog.json_build_object('q', 'x', 'i', q.i, 'functions', (
  SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(pn.nspname, p.proname))
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  JOIN pg_catalog.pg_operator x ON x.oid = ANY (ARRAY[o.oid, o.oprcom, o.oprnegate])
  JOIN pg_catalog.pg_proc p ON p.oid = x.oprcode::pg_catalog.oid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
  WHERE o.oprname = q.r::pg_catalog.name AND n.nspname <> 'pg_catalog'
    AND CASE WHEN q.s = '' THEN n.nspname = ANY (pg_catalog.current_schemas(false))
             WHEN q.s = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
             ELSE n.nspname = q.s::pg_catalog.name END))::pg_catalog.text
FROM ROWS FROM (pg_catalog.unnest($8::pg_catalog.text[]), pg_catalog.unnest($9::pg_catalog.text[]))
       WITH ORDINALITY AS q(s, r, i))sql"};

inline constexpr LookupPart kLookupFunctionOids = {"", R"sql(
SELECT pg_catalog.json_build_object('q', 'o', 'oid', p.oid, 'schema', n.nspname, 'name', p.proname)::pg_catalog.text
FROM pg_catalog.unnest($5::pg_catalog.oid[]) AS q(o)
JOIN pg_catalog.pg_proc p ON p.oid = q.o
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace)sql"};

inline constexpr LookupPart kLookupSession = {"", R"sql(
SELECT pg_catalog.json_build_object('q', 's', 'schema', pg_catalog.current_schema(),
  'path', pg_catalog.current_schemas(true), 'temp', pg_catalog.pg_my_temp_schema() <> 0::pg_catalog.oid,
  'server', $server, 'frozen',
  pg_catalog.current_setting('transaction_isolation') = ANY ('{"repeatable read",serializable}'::pg_catalog.text[]),
  'snapshot',
  CASE WHEN pg_catalog.current_setting('transaction_isolation') = 'read committed'
            AND NOT pg_catalog.pg_is_in_recovery()
       THEN pg_catalog.concat_ws(' ', pg_catalog.txid_current_snapshot(),
                                 pg_catalog.date_part('epoch', pg_catalog.pg_conf_load_time())) END
  )::pg_catalog.text)sql"};

/// What `$server` stands for: tells this start of this server, and the database, from all others, in numbers that no
/// setting changes.
inline constexpr const char* kServerIdentity = R"sql(pg_catalog.concat_ws('/',
  pg_catalog.int8(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())),
  pg_catalog.int8(pg_catalog.date_part('microseconds', pg_catalog.pg_postmaster_start_time())),
  (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())))sql";

#undef SALLYPORT_UNASKED_OF
#undef SALLYPORT_ADVANCES

}  // namespace sallyport::flow
