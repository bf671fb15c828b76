-- SPDX-License-Identifier: Apache-2.0
-- Prints builtin_names.cc from the catalogue of a freshly made PostgreSQL 15:
--   psql -X -At -f builtin_names.sql > builtin_names.cc
-- A function name counts as pure only if no overload of it fails. Immutable and stable ones are taken
-- but for those named here, volatile ones are left out but for those named here. Type input and output
-- functions (cstring, internal) are left out: domain_in runs the domain's checks.
\pset pager off
CREATE TEMP TABLE pure AS
WITH judged AS (
  SELECT proname::text AS name,
    CASE WHEN provolatile = 'v' THEN proname IN (
        'clock_timestamp', 'current_query', 'gen_random_uuid', 'lastval', 'pg_collation_actual_version',
        'pg_database_collation_actual_version', 'pg_database_size', 'pg_indexes_size', 'pg_is_in_recovery',
        'pg_jit_available', 'pg_partition_ancestors', 'pg_partition_tree', 'pg_relation_size', 'pg_table_size',
        'pg_tablespace_size', 'pg_total_relation_size', 'pg_xact_status', 'random', 'setseed', 'timeofday',
        'txid_status')
      ELSE proname !~ '(_to_xml|_to_xmlschema|_and_xmlschema)' AND proname !~ '^pg_stat_get_' AND
           proname !~ '^(lo_|pg_ls_|pg_read_|pg_logical|pg_replication|binary_upgrade|fmgr_)' AND
           proname !~ '_populate_record' AND
           proname NOT IN ('pg_config', 'pg_get_replication_slots', 'pg_export_snapshot', 'pg_cursor')
    END AS harmless,
    EXISTS (SELECT FROM unnest(proargtypes || prorettype) t JOIN pg_type y ON y.oid = t
            WHERE y.typname IN ('internal', 'cstring', 'trigger', 'event_trigger', 'language_handler',
              'index_am_handler', 'table_am_handler', 'tsm_handler', 'fdw_handler')) AS inner_works
  FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w'))
SELECT name FROM judged GROUP BY name
HAVING bool_and(harmless OR inner_works) AND bool_or(harmless AND NOT inner_works);

CREATE FUNCTION pg_temp.wrapped(names text) RETURNS text LANGUAGE sql AS
  $$ SELECT regexp_replace(names, '(.{1,110})( |$)', E'\\1\n', 'g') $$;
\echo '// SPDX-License-Identifier: Apache-2.0'
\echo '// Names of pg_catalog in PostgreSQL 15, printed by builtin_names.sql: do not edit.'
\echo '#include "sql/builtin_names.h"'
\echo
\echo 'namespace sallyport::sql {'
\echo
\echo 'const std::string_view kPureFunctionNames = R"('
SELECT pg_temp.wrapped(string_agg(name, ' ' ORDER BY name COLLATE "C")) FROM pure;
\echo ')";'
\echo
\echo '// Functions of pg_catalog that are not pure: "(x).name" may call one.'
\echo 'const std::string_view kImpureFunctionNames = R"('
SELECT pg_temp.wrapped(string_agg(DISTINCT proname::text, ' ' ORDER BY proname::text)) FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname NOT IN (SELECT name FROM pure);
\echo ')";'
\echo
\echo '// Base, range and pseudo-types; domains and composite types are left out: a cast to them may run code.'
\echo 'const std::string_view kTypeNames = R"('
SELECT pg_temp.wrapped(string_agg(typname, ' ' ORDER BY typname COLLATE "C")) FROM pg_type
WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm', 'p')
  AND NOT EXISTS (SELECT FROM pg_class c WHERE c.reltype = typelem AND typelem <> 0);
\echo ')";'
\echo
\echo 'const std::string_view kOperatorNames = R"('
SELECT pg_temp.wrapped(string_agg(DISTINCT oprname, ' ' ORDER BY oprname)) FROM pg_operator
WHERE oprnamespace = 'pg_catalog'::regnamespace;
\echo ')";'
\echo
\echo 'const std::string_view kSystemRelationNames = R"('
SELECT pg_temp.wrapped(string_agg(relname, ' ' ORDER BY relname COLLATE "C")) FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v');
\echo ')";'
\echo
\echo '}  // namespace sallyport::sql'
