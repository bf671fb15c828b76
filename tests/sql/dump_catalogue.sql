-- SPDX-License-Identifier: Apache-2.0
-- Prints the RelationFacts of a database, one JSON object a line: psql -X -At -f dump_catalogue.sql DB
-- The same expressions serve a look-up of single names (docs/sql.md says what each field must hold).
WITH RECURSIVE up AS (
  SELECT inhrelid AS relation, inhparent AS kin FROM pg_inherits
  UNION SELECT up.relation, i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.kin),
-- Functions outside pg_catalog that something depends on: built-in ones are pinned and leave no row.
calls AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_proc p ON d.refobjid = p.oid
  WHERE d.refclassid = 'pg_proc'::regclass AND p.pronamespace <> 'pg_catalog'::regnamespace),
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
        | (CASE WHEN confupdtype IN ('c', 'n', 'd') THEN 4 ELSE 0 END))
        FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f'), 0)
    | CASE WHEN EXISTS (SELECT FROM pg_attrdef a JOIN calls ON classid = 'pg_attrdef'::regclass AND objid = a.oid
             WHERE adrelid = c.oid)
        OR EXISTS (SELECT FROM pg_constraint k JOIN calls ON classid = 'pg_constraint'::regclass AND objid = k.oid
             WHERE k.conrelid = c.oid OR k.contypid <> 0 AND k.contypid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = c.oid))
        OR EXISTS (SELECT FROM pg_index i JOIN calls ON classid = 'pg_class'::regclass AND objid = i.indexrelid
             WHERE indrelid = c.oid)
      THEN 6 ELSE 0 END AS hidden
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
  'sequences', COALESCE((SELECT json_agg(DISTINCT sn.nspname || '.' || s.relname) FROM pg_depend d JOIN pg_class s
     ON s.oid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE d.refobjid END AND s.relkind = 'S'
     JOIN pg_namespace sn ON sn.oid = s.relnamespace
     WHERE (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid))
        OR (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
            AND d.deptype = 'i')), '[]'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c') AND n.nspname <> 'pg_toast';
