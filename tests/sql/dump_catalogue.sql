-- SPDX-License-Identifier: Apache-2.0
-- Prints the facts of a database, one JSON object a line: psql -X -At -f dump_catalogue.sql DB
-- The same expressions serve a look-up of single names (docs/sql.md says what each field must hold).
WITH RECURSIVE up AS (
  SELECT inhrelid AS relation, inhparent AS kin FROM pg_inherits
  UNION SELECT up.relation, i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.kin),
-- Functions outside pg_catalog that something depends on: built-in ones are pinned and leave no row.
calls AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_proc p ON d.refobjid = p.oid
  WHERE d.refclassid = 'pg_proc'::regclass AND p.pronamespace <> 'pg_catalog'::regnamespace),
-- What values of types outside pg_catalog call without being named: casts, comparison, not in C.
unasked AS (
  SELECT t.oid AS typ, pn.nspname AS nsp, p.proname AS name FROM pg_type t CROSS JOIN LATERAL (
    SELECT s.amproc::oid FROM pg_opclass o JOIN pg_amproc s ON s.amprocfamily = o.opcfamily WHERE o.opcintype = t.oid
    UNION SELECT x.oprcode FROM pg_opclass o JOIN pg_amop s ON s.amopfamily = o.opcfamily
      JOIN pg_operator x ON x.oid = s.amopopr WHERE o.opcintype = t.oid
    UNION SELECT castfunc FROM pg_cast WHERE t.oid IN (castsource, casttarget) AND castcontext IN ('i', 'a')) f(oid)
  JOIN pg_proc p ON p.oid = f.oid JOIN pg_namespace pn ON pn.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  WHERE t.oid >= 16384 AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')),
-- Types that hold a value of a domain whose check calls such a function.
checked AS (
  SELECT k.contypid AS typ FROM pg_constraint k JOIN calls ON classid = 'pg_constraint'::regclass AND objid = k.oid
  WHERE k.contypid <> 0
  UNION
  SELECT m.whole FROM checked JOIN (
    SELECT typbasetype, oid FROM pg_type UNION ALL SELECT typelem, oid FROM pg_type
    UNION ALL SELECT rngsubtype, rngtypid FROM pg_range UNION ALL SELECT rngsubtype, rngmultitypid FROM pg_range
    UNION ALL SELECT atttypid, reltype FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE attnum > 0 AND NOT attisdropped AND relkind = 'c') AS m(part, whole) ON m.part = typ),
own AS (
  SELECT c.oid AS relation,
    CASE WHEN c.relrowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)
      THEN 15 ELSE 0 END
    | COALESCE((SELECT bit_or(CASE ev_type WHEN '1' THEN 1 WHEN '2' THEN 4 WHEN '3' THEN 2 ELSE 8 END)
        FROM pg_rewrite WHERE ev_class = c.oid AND NOT (rulename = '_RETURN' AND c.relkind IN ('v', 'm'))), 0)
    | COALESCE((SELECT bit_or((CASE WHEN tgtype & 4 <> 0 THEN 2 ELSE 0 END)
        | (CASE WHEN tgtype & 16 <> 0 THEN 4 ELSE 0 END)
        | (CASE WHEN tgtype & 8 <> 0 THEN 8 ELSE 0 END) | (CASE WHEN tgtype & 32 <> 0 THEN 16 ELSE 0 END))
        FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal), 0)
    | COALESCE((SELECT bit_or((CASE WHEN confdeltype IN ('c', 'n', 'd') THEN 8 ELSE 0 END)
        | (CASE WHEN confupdtype IN ('c', 'n', 'd') THEN 4 ELSE 0 END) | 64)
        FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f'), 0)
    | CASE WHEN EXISTS (SELECT FROM pg_attrdef a JOIN calls ON classid = 'pg_attrdef'::regclass AND objid = a.oid
             WHERE adrelid = c.oid)
        OR EXISTS (SELECT FROM pg_constraint k JOIN calls ON classid = 'pg_constraint'::regclass AND objid = k.oid
             WHERE k.conrelid = c.oid)
        OR EXISTS (SELECT FROM pg_index i JOIN calls ON classid = 'pg_class'::regclass AND objid = i.indexrelid
             WHERE indrelid = c.oid)
      THEN 38 ELSE 0 END
    | CASE WHEN EXISTS (SELECT FROM pg_attribute JOIN checked ON typ = atttypid WHERE attrelid = c.oid) THEN 166 ELSE 0 END
    | CASE WHEN EXISTS (SELECT FROM pg_attribute JOIN pg_type t ON t.oid = atttypid JOIN unasked ON typ = t.oid
             WHERE attrelid = c.oid) THEN 175 ELSE 0 END
    | CASE WHEN EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid AND stxexprs IS NOT NULL)
      THEN 32 ELSE 0 END
    | CASE WHEN EXISTS (SELECT FROM pg_partitioned_table WHERE partexprs IS NOT NULL
             AND partrelid IN (SELECT c.oid UNION SELECT kin FROM up WHERE relation = c.oid)) THEN 38 ELSE 0 END AS hidden
  FROM pg_class c)
SELECT json_build_object(
  'oid', c.oid::int8,
  'schema', CASE WHEN c.relpersistence = 't' THEN 'pg_temp' ELSE n.nspname END,
  'name', c.relname,
  'kind', c.relkind,
  'hidden', (SELECT bit_or(hidden) FROM own WHERE relation = c.oid
     OR relation IN (SELECT u.relation FROM up u WHERE u.kin = c.oid)),
  'columns', COALESCE((SELECT json_agg(CASE WHEN attisdropped THEN '' ELSE attname END ORDER BY attnum)
     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0), '[]'),
  'family', COALESCE((SELECT json_agg(DISTINCT kn.nspname || '.' || k.relname) FROM up u JOIN pg_class k
     ON k.oid = CASE WHEN u.relation = c.oid THEN u.kin ELSE u.relation END
     JOIN pg_namespace kn ON kn.oid = k.relnamespace
     WHERE c.oid IN (u.relation, u.kin)), '[]'),
  'descendants', COALESCE((SELECT json_agg(kn.nspname || '.' || k.relname) FROM up u JOIN pg_class k
     ON k.oid = u.relation
     JOIN pg_namespace kn ON kn.oid = k.relnamespace WHERE u.kin = c.oid), '[]'),
  'references', COALESCE((SELECT json_agg(DISTINCT fn.nspname || '.' || f.relname) FROM pg_constraint k
     JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
     WHERE k.conrelid = c.oid AND k.contype = 'f'), '[]'),
  'sequences', COALESCE((SELECT json_agg(DISTINCT sn.nspname || '.' || s.relname) FROM pg_depend d JOIN pg_class s
     ON s.oid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE d.refobjid END AND s.relkind = 'S'
     JOIN pg_namespace sn ON sn.oid = s.relnamespace
     WHERE (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid))
        OR (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
            AND d.deptype = 'i')), '[]'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c') AND n.nspname <> 'pg_toast';

-- What lies behind relations (sql::BehindFact).
WITH RECURSIVE unasked AS (
  SELECT t.oid AS typ, pn.nspname AS nsp, p.proname AS name FROM pg_type t CROSS JOIN LATERAL (
    SELECT s.amproc::oid FROM pg_opclass o JOIN pg_amproc s ON s.amprocfamily = o.opcfamily WHERE o.opcintype = t.oid
    UNION SELECT x.oprcode FROM pg_opclass o JOIN pg_amop s ON s.amopfamily = o.opcfamily
      JOIN pg_operator x ON x.oid = s.amopopr WHERE o.opcintype = t.oid
    UNION SELECT castfunc FROM pg_cast WHERE t.oid IN (castsource, casttarget) AND castcontext IN ('i', 'a')) f(oid)
  JOIN pg_proc p ON p.oid = f.oid JOIN pg_namespace pn ON pn.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  WHERE t.oid >= 16384 AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')),
below(top, oid) AS (
  SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION SELECT b.top, h.inhrelid FROM pg_inherits h JOIN below b ON h.inhparent = b.oid),
runs(top, bits, what, nsp, name, code) AS (
  SELECT b.top, CASE WHEN tgtype & 4 <> 0 THEN 2 ELSE 0 END | CASE WHEN tgtype & 16 <> 0 THEN 4 ELSE 0 END
    | CASE WHEN tgtype & 8 <> 0 THEN 8 ELSE 0 END | CASE WHEN tgtype & 32 <> 0 THEN 16 ELSE 0 END,
    'trigger ' || tgname, n.nspname, p.proname, CASE WHEN tgqual IS NULL THEN '' ELSE pg_get_triggerdef(t.oid) END
  FROM below b JOIN pg_trigger t ON tgrelid = b.oid AND NOT tgisinternal JOIN pg_proc p ON p.oid = tgfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
  UNION ALL
  SELECT b.top, 38, 'default', '', '', pg_get_expr(adbin, adrelid) FROM below b JOIN pg_attrdef ON adrelid = b.oid
  WHERE pg_get_expr(adbin, adrelid) ~ '[(]' AND NOT (pg_get_expr(adbin, adrelid) ~ '^nextval[(]''([^'']|'''')+''::regclass[)]$'
    AND NOT EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = pg_attrdef.oid
      AND p.refclassid <> 'pg_class'::regclass))
  UNION ALL
  SELECT b.top, 38, 'check', '', '', pg_get_expr(conbin, conrelid) FROM below b JOIN pg_constraint ON conrelid = b.oid
    AND contype = 'c'
  UNION ALL
  SELECT b.top, 38, 'index', '', '', concat_ws(', ', pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid))
  FROM below b JOIN pg_index ON indrelid = b.oid WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
  UNION ALL
  SELECT b.top, 15, 'policy', '', '', concat_ws(', ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  FROM below b JOIN pg_class c ON c.oid = b.oid AND relrowsecurity JOIN pg_policy ON polrelid = b.oid
  UNION ALL
  SELECT b.top, 175, 'a type of its columns', nsp, name, ''
  FROM below b JOIN pg_attribute ON attrelid = b.oid JOIN unasked ON typ = atttypid
  UNION ALL
  SELECT b.top, 32, 'statistics', '', '', pg_get_expr(stxexprs, stxrelid)
  FROM below b JOIN pg_statistic_ext ON stxrelid = b.oid WHERE stxexprs IS NOT NULL
  UNION ALL
  SELECT b.top, 38, 'partition key', '', '', pg_get_expr(partexprs, partrelid)
  FROM (SELECT top, oid FROM below UNION SELECT c.oid, a FROM pg_class c CROSS JOIN pg_partition_ancestors(c.oid) a) b
  JOIN pg_partitioned_table ON partrelid = b.oid WHERE partexprs IS NOT NULL
  UNION ALL
  SELECT b.top, CASE ev_type WHEN '2' THEN 4 WHEN '3' THEN 2 ELSE 8 END, 'rule ' || rulename, '', '', pg_get_ruledef(r.oid)
  FROM below b JOIN pg_rewrite r ON ev_class = b.oid WHERE rulename <> '_RETURN'
  UNION ALL
  SELECT b.top, 166, 'type', '', '', 'NULL::' || format_type(atttypid, NULL)
  FROM below b JOIN pg_attribute ON attrelid = b.oid AND attnum > 0 AND NOT attisdropped
  JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_type e ON e.oid = t.typelem
  WHERE t.oid >= 16384 AND (t.typtype IN ('c', 'd', 'r', 'm') OR e.typtype IN ('c', 'd', 'r', 'm')))
SELECT json_build_object('q', 'b', 'schema', CASE WHEN c.relpersistence = 't' THEN 'pg_temp' ELSE n.nspname END,
  'name', c.relname,
  'hidden', 0,
  'runs', COALESCE((SELECT json_agg(json_build_array(bits, what, nsp, name, code)) FROM runs WHERE top = c.oid), '[]'),
  'cascades', COALESCE((SELECT json_agg(json_build_array(v.bits, fn.nspname, f.relname, v.removes))
    FROM below b JOIN pg_constraint k ON confrelid = b.oid AND contype = 'f'
    CROSS JOIN LATERAL (VALUES (4, confupdtype, false), (8, confdeltype, confdeltype = 'c'),
      (64, 'c', true)) v(bits, does, removes)
    JOIN pg_class f ON f.oid = conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
    WHERE b.top = c.oid AND v.does IN ('c', 'n', 'd')), '[]'),
  'foreign', (SELECT json_build_object('server', srvname, 'handler', p.prosrc, 'options', ftoptions)
    FROM pg_foreign_table JOIN pg_foreign_server s ON s.oid = ftserver JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw
    JOIN pg_proc p ON p.oid = fdwhandler WHERE ftrelid = c.oid),
  'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (SELECT top FROM below);

-- Event triggers, as what lies behind pg_event_trigger.
SELECT json_build_object('q', 'b', 'schema', 'pg_catalog', 'name', 'pg_event_trigger', 'hidden', 0, 'cascades', '[]'::json,
  'foreign', NULL, 'definition', '', 'runs', COALESCE(json_agg(json_build_array(255, 'event trigger ' || evtname, n.nspname,
    p.proname, '')), '[]'))
FROM pg_event_trigger JOIN pg_proc p ON p.oid = evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE evtenabled <> 'D';

-- Routines (sql::Routine), one a line.
SELECT json_build_object('q', 'f', 'schema', n.nspname, 'name', p.proname, 'owner', pg_get_userbyid(p.proowner),
  'kind', p.prokind, 'volatility', p.provolatile, 'definer', p.prosecdef, 'language', l.lanname,
  'library', COALESCE(p.probin, ''), 'settings', COALESCE(p.proconfig, '{}'),
  'parameters', COALESCE(p.proargnames, '{}'), 'defaults', COALESCE(pg_get_expr(p.proargdefaults, 0), ''),
  'definition', l.lanname = 'sql' AND p.prosrc = '',
  'source', CASE WHEN l.lanname = 'sql' AND p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END,
  'types', COALESCE((SELECT json_agg(json_build_array(tn.nspname, t.typname))
    FROM (SELECT unnest(COALESCE(p.proallargtypes, p.proargtypes::oid[]) || p.prorettype)
      UNION SELECT unnest(ARRAY[aggtranstype, aggmtranstype]) FROM pg_aggregate WHERE aggfnoid = p.oid) u(oid)
    JOIN pg_type t ON t.oid = u.oid JOIN pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN pg_type e ON e.oid = t.typelem
    WHERE tn.nspname <> 'pg_catalog' AND (t.typtype IN ('d', 'c', 'r', 'm') OR e.typtype IN ('d', 'c', 'r', 'm'))), '[]'),
  'parts', COALESCE((SELECT json_agg(json_build_array(fn.nspname, f.proname)) FROM pg_aggregate a
    JOIN pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, (SELECT oprcode FROM pg_operator WHERE oid = a.aggsortop))
    JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE a.aggfnoid = p.oid), '[]'))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema');

-- Types (sql::TypeFact).
WITH RECURSIVE made(i, oid) AS (
  SELECT t.oid, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname <> 'pg_toast'
  UNION
  SELECT m.i, x.oid FROM made m JOIN pg_type t ON t.oid = m.oid CROSS JOIN LATERAL (
    SELECT t.typbasetype UNION ALL SELECT t.typelem UNION ALL SELECT rngsubtype FROM pg_range
      WHERE t.oid IN (rngtypid, rngmultitypid)
    UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped) x(oid)
  WHERE x.oid <> 0),
behind(i, oid) AS (
  SELECT m.i, f.oid FROM made m JOIN pg_type t ON t.oid = m.oid CROSS JOIN LATERAL
    unnest(ARRAY[t.typinput::oid, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout]) f(oid)
  UNION SELECT m.i, castfunc FROM made m JOIN pg_cast ON casttarget = m.oid
  UNION SELECT m.i, r.f FROM made m JOIN pg_range ON rngtypid = m.oid
    CROSS JOIN LATERAL unnest(ARRAY[rngcanonical::oid, rngsubdiff]) r(f))
SELECT json_build_object('q', 't', 'schema', n.nspname, 'name', t.typname,
  'checks', COALESCE((SELECT json_agg(pg_get_expr(conbin, 0)) FROM made d JOIN pg_constraint ON contypid = d.oid
    WHERE d.i = t.oid), '[]'),
  'functions', COALESCE((SELECT json_agg(json_build_array(pn.nspname, p.proname)) FROM behind b
    JOIN pg_proc p ON p.oid = b.oid JOIN pg_namespace pn ON pn.oid = p.pronamespace
    WHERE b.i = t.oid AND pn.nspname <> 'pg_catalog'), '[]'))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname <> 'pg_toast';

-- Operators outside pg_catalog (sql::OperatorFact).
SELECT json_build_object('q', 'x', 'schema', n.nspname, 'name', o.oprname,
  'functions', json_agg(json_build_array(pn.nspname, p.proname)))
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_proc p ON p.oid = o.oprcode
JOIN pg_namespace pn ON pn.oid = p.pronamespace
WHERE n.nspname <> 'pg_catalog' GROUP BY n.nspname, o.oprname;
