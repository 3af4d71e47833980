// The functions of pg_catalog that clients call, as macros. A `_` before a name: what a rewritten
// cast calls.
#include "pg/catalog_sql.h"

namespace millrace::pg {

const char* const kCatalogFunctions = R"sql(
CREATE MACRO regexp_full_match(s, p) AS regexp_matches(s, p);
CREATE MACRO version() AS 'PostgreSQL 15.0 (Millrace) on x86_64-pc-linux-gnu, 64-bit';
CREATE MACRO current_database() AS CAST('millrace' AS name);
CREATE MACRO current_schema() AS CAST('public' AS name);
CREATE MACRO current_schemas(implicit) AS CASE WHEN implicit THEN ['pg_catalog', 'public'] ELSE ['public'] END;
CREATE MACRO pg_is_in_recovery() AS false;
CREATE MACRO txid_current() AS CAST(1 AS BIGINT);
CREATE MACRO pg_current_xact_id() AS CAST(1 AS BIGINT);
CREATE MACRO pg_advisory_lock(k) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_advisory_unlock(k) AS true;
CREATE MACRO pg_advisory_unlock_all() AS CAST(NULL AS VARCHAR);
CREATE MACRO inet_server_addr() AS CAST(NULL AS VARCHAR);
CREATE MACRO inet_server_port() AS CAST(NULL AS INTEGER);
CREATE MACRO inet_client_addr() AS CAST(NULL AS VARCHAR);
CREATE MACRO inet_client_port() AS CAST(NULL AS INTEGER);

CREATE MACRO quote_ident(x) AS CASE WHEN regexp_matches(x, '^[a-z_][a-z0-9_$]*$') THEN CAST(x AS VARCHAR) ELSE '"' || replace(x, '"', '""') || '"' END;
CREATE MACRO _bare(x) AS replace(trim(regexp_replace(CAST(x AS VARCHAR), '^\s*("[^"]*"|[^".]+)\s*\.', '')), '"', '');
CREATE MACRO _regclass_oid(x) AS coalesce(TRY_CAST(x AS UINTEGER), (SELECT min(_c.oid) FROM (SELECT lower(_bare(x)) AS _v) AS _p JOIN pg_class AS _c ON lower(_c.relname) = _p._v));
CREATE MACRO _regclass(x) AS CASE WHEN TRY_CAST(x AS UINTEGER) IS NULL THEN CAST(x AS VARCHAR)
  ELSE coalesce((SELECT min(CASE WHEN _n.nspname IN ('public', 'pg_catalog') THEN '' ELSE quote_ident(_n.nspname) || '.' END || quote_ident(_c.relname))
                 FROM (SELECT TRY_CAST(x AS UINTEGER) AS _v) AS _p JOIN pg_class AS _c ON _c.oid = _p._v JOIN pg_namespace AS _n ON _n.oid = _c.relnamespace),
                CASE WHEN TRY_CAST(x AS UINTEGER) = 0 THEN '-' ELSE CAST(x AS VARCHAR) END) END;
CREATE MACRO _regtype_oid(x) AS coalesce(TRY_CAST(x AS UINTEGER),
  (SELECT min(_t.oid) FROM (SELECT lower(_bare(x)) AS _v) AS _p JOIN mr_type_names AS _t ON _p._v IN (_t.typname, _t.sql_name) OR
   (_p._v = 'int' AND _t.oid = 23) OR (_p._v = 'decimal' AND _t.oid = 1700) OR (_p._v = 'timestamp' AND _t.oid = 1114)));
CREATE MACRO _regtype(x) AS CASE WHEN TRY_CAST(x AS UINTEGER) IS NULL THEN CAST(x AS VARCHAR) ELSE format_type(TRY_CAST(x AS UINTEGER), NULL) END;
CREATE MACRO _regnamespace_oid(x) AS coalesce(TRY_CAST(x AS UINTEGER), (SELECT min(_n.oid) FROM (SELECT _bare(x) AS _v) AS _p JOIN pg_namespace AS _n ON _n.nspname = _p._v));
CREATE MACRO _regnamespace(x) AS coalesce((SELECT min(_n.nspname) FROM (SELECT TRY_CAST(x AS UINTEGER) AS _v) AS _p JOIN pg_namespace AS _n ON _n.oid = _p._v), CAST(x AS VARCHAR));
CREATE MACRO _regrole_oid(x) AS coalesce(TRY_CAST(x AS UINTEGER), (SELECT min(_r.oid) FROM (SELECT _bare(x) AS _v) AS _p JOIN pg_roles AS _r ON _r.rolname = _p._v));
CREATE MACRO _regrole(x) AS coalesce((SELECT min(_r.rolname) FROM (SELECT TRY_CAST(x AS UINTEGER) AS _v) AS _p JOIN pg_roles AS _r ON _r.oid = _p._v), CAST(x AS VARCHAR));
CREATE MACRO _regproc_oid(x) AS _bare(x);
CREATE MACRO _regproc(x) AS CAST(x AS VARCHAR);
CREATE MACRO to_regclass(x) AS _regclass_oid(x);
CREATE MACRO to_regtype(x) AS _regtype_oid(x);
CREATE MACRO to_regnamespace(x) AS _regnamespace_oid(x);
CREATE MACRO to_regrole(x) AS _regrole_oid(x);
CREATE MACRO to_regproc(x) AS CAST(NULL AS UINTEGER);

CREATE MACRO quote_literal(x) AS '''' || replace(CAST(x AS VARCHAR), '''', '''''') || '''';
CREATE MACRO quote_nullable(x) AS coalesce('''' || replace(CAST(x AS VARCHAR), '''', '''''') || '''', 'NULL');
CREATE MACRO parse_ident(x) AS list_transform(string_split(CAST(x AS VARCHAR), '.'), lambda p: replace(p, '"', ''));
CREATE MACRO array_lower(a, d) AS CASE WHEN len(a) > 0 AND d = 1 THEN 1 END;
CREATE MACRO array_upper(a, d) AS CASE WHEN len(a) > 0 AND d = 1 THEN len(a) END;
CREATE MACRO cardinality(a) AS len(a);
CREATE MACRO array_ndims(a) AS CASE WHEN len(a) > 0 THEN 1 END;
CREATE MACRO array_position(a, x) AS list_position(a, x);
CREATE MACRO array_append(a, x) AS list_append(a, x);
CREATE MACRO array_remove(a, x) AS list_filter(a, lambda e: e IS DISTINCT FROM x);
CREATE MACRO _pg_expandarray(a) AS unnest(list_transform(CAST(a AS BIGINT[]), lambda v, i: {'x': v, 'n': i}));

CREATE MACRO format_type(t, m) AS (CASE
  WHEN t IS NULL THEN NULL
  WHEN t = 1700 AND m > 4 THEN 'numeric(' || CAST((CAST(m AS INTEGER) - 4) >> 16 AS VARCHAR) || ',' || CAST((CAST(m AS INTEGER) - 4) & 65535 AS VARCHAR) || ')'
  ELSE coalesce((SELECT min(_t.sql_name) FROM (SELECT TRY_CAST(t AS UINTEGER) AS _v) AS _p JOIN mr_type_names AS _t ON _t.oid = _p._v), '???') END);
CREATE MACRO pg_get_expr(e, r) AS e, (e, r, pretty) AS e;
CREATE MACRO pg_get_userbyid(o) AS CAST(CASE WHEN o = 10 THEN 'millrace' ELSE 'unknown (OID=' || CAST(o AS VARCHAR) || ')' END AS name);
CREATE MACRO pg_get_indexdef(i) AS (SELECT min(_d.definition) FROM (SELECT _regclass_oid(i) AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v),
  (i, k, pretty) AS (CASE WHEN k = 0 THEN (SELECT min(_d.definition) FROM (SELECT _regclass_oid(i) AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v)
                     ELSE (SELECT min(_c.name) FROM (SELECT TRY_CAST(i AS UINTEGER) AS _v, k AS _k) AS _p JOIN mr_index_columns AS _c ON _c.oid = _p._v AND _c.position = _p._k) END);
CREATE MACRO pg_get_constraintdef(c) AS (SELECT min(_d.definition) FROM (SELECT c AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v),
  (c, pretty) AS (SELECT min(_d.definition) FROM (SELECT c AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v);
CREATE MACRO pg_get_viewdef(v) AS (SELECT min(_d.definition) FROM (SELECT _regclass_oid(v) AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v),
  (v, pretty) AS (SELECT min(_d.definition) FROM (SELECT _regclass_oid(v) AS _v) AS _p JOIN mr_definitions AS _d ON _d.oid = _p._v);
CREATE MACRO pg_get_function_result(f) AS (SELECT min(CASE WHEN _f.proretset THEN 'SETOF record' ELSE 'any' END) FROM (SELECT f AS _v) AS _p JOIN pg_proc AS _f ON _f.oid = _p._v);
CREATE MACRO pg_get_function_arguments(f) AS (SELECT min(array_to_string(_f.proargnames, ', ')) FROM (SELECT f AS _v) AS _p JOIN pg_proc AS _f ON _f.oid = _p._v);
CREATE MACRO pg_get_function_identity_arguments(f) AS (SELECT min(array_to_string(_f.proargnames, ', ')) FROM (SELECT f AS _v) AS _p JOIN pg_proc AS _f ON _f.oid = _p._v);
CREATE MACRO pg_get_functiondef(f) AS (SELECT min('CREATE MACRO ' || _f.proname || _f.prosrc) FROM (SELECT f AS _v) AS _p JOIN pg_proc AS _f ON _f.oid = _p._v);
CREATE MACRO pg_get_function_sqlbody(f) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_ruledef(r) AS CAST(NULL AS VARCHAR), (r, pretty) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_triggerdef(r) AS CAST(NULL AS VARCHAR), (r, pretty) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_partkeydef(r) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_statisticsobjdef_columns(r) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_serial_sequence(t, c) AS CAST(NULL AS VARCHAR);
CREATE MACRO pg_get_replica_identity_index(r) AS CAST(NULL AS UINTEGER);
CREATE MACRO pg_get_keywords() AS TABLE SELECT * FROM pg_keywords;
CREATE MACRO pg_partition_ancestors(r) AS TABLE SELECT CAST(NULL AS UINTEGER) AS relid WHERE false;
CREATE MACRO pg_partition_tree(r) AS TABLE SELECT CAST(NULL AS UINTEGER) AS relid WHERE false;
CREATE MACRO pg_options_to_table(o) AS TABLE SELECT CAST(NULL AS VARCHAR) AS option_name, CAST(NULL AS VARCHAR) AS option_value WHERE false;
CREATE MACRO aclexplode(a) AS TABLE SELECT CAST(NULL AS UINTEGER) AS grantor, CAST(NULL AS UINTEGER) AS grantee, CAST(NULL AS VARCHAR) AS privilege_type,
  CAST(NULL AS BOOLEAN) AS is_grantable WHERE false;
CREATE MACRO pg_table_is_visible(r) AS coalesce((SELECT min(_c.relnamespace) FROM (SELECT r AS _v) AS _p JOIN pg_class AS _c ON _c.oid = _p._v) IN (11, 2200), false);
CREATE MACRO pg_type_is_visible(t) AS true;
CREATE MACRO pg_function_is_visible(f) AS true;
CREATE MACRO pg_operator_is_visible(o) AS true;
CREATE MACRO pg_opclass_is_visible(o) AS true;
CREATE MACRO pg_collation_is_visible(o) AS true;
CREATE MACRO pg_conversion_is_visible(o) AS true;
CREATE MACRO pg_statistics_obj_is_visible(o) AS true;
CREATE MACRO pg_ts_config_is_visible(o) AS true;
CREATE MACRO pg_ts_dict_is_visible(o) AS true;
CREATE MACRO pg_relation_is_publishable(r) AS false;
CREATE MACRO pg_relation_is_updatable(r, t) AS 0;
CREATE MACRO pg_column_is_updatable(r, c, t) AS false;
CREATE MACRO pg_encoding_to_char(e) AS CAST(CASE WHEN e = 6 THEN 'UTF8' ELSE '' END AS name);
CREATE MACRO pg_char_to_encoding(e) AS CASE WHEN upper(e) IN ('UTF8', 'UTF-8') THEN 6 ELSE -1 END;
CREATE MACRO pg_relation_size(r) AS CAST(0 AS BIGINT), (r, f) AS CAST(0 AS BIGINT);
CREATE MACRO pg_table_size(r) AS CAST(0 AS BIGINT);
CREATE MACRO pg_indexes_size(r) AS CAST(0 AS BIGINT);
CREATE MACRO pg_total_relation_size(r) AS CAST(0 AS BIGINT);
CREATE MACRO pg_database_size(r) AS CAST(0 AS BIGINT);
CREATE MACRO pg_tablespace_size(r) AS CAST(0 AS BIGINT);
CREATE MACRO pg_tablespace_location(r) AS '';
CREATE MACRO pg_size_pretty(x) AS CASE WHEN x < 10240 THEN CAST(x AS VARCHAR) || ' bytes' WHEN x < 10485760 THEN CAST(x // 1024 AS VARCHAR) || ' kB'
  ELSE CAST(x // 1048576 AS VARCHAR) || ' MB' END;
CREATE MACRO pg_sequence_last_value(r) AS CAST(NULL AS BIGINT);
CREATE MACRO pg_jit_available() AS false;
CREATE MACRO pg_my_temp_schema() AS CAST(0 AS UINTEGER);
CREATE MACRO pg_is_other_temp_schema(o) AS false;
CREATE MACRO pg_stat_get_numscans(o) AS CAST(0 AS BIGINT);
CREATE MACRO pg_index_column_has_property(i, c, p) AS (p IN ('asc', 'orderable', 'nulls_last'));
CREATE MACRO pg_collation_for(x) AS CAST(NULL AS VARCHAR);
CREATE MACRO row_security_active(r) AS false;

CREATE MACRO obj_description(o) AS (SELECT min(_d.description) FROM (SELECT _regclass_oid(o) AS _v, 0 AS _s) AS _p JOIN pg_description AS _d ON _d.objoid = _p._v AND _d.objsubid = _p._s),
  (o, c) AS (SELECT min(_d.description) FROM (SELECT _regclass_oid(o) AS _v, 0 AS _s) AS _p JOIN pg_description AS _d ON _d.objoid = _p._v AND _d.objsubid = _p._s);
CREATE MACRO col_description(o, n) AS (SELECT min(_d.description) FROM (SELECT _regclass_oid(o) AS _v, n AS _s) AS _p JOIN pg_description AS _d ON _d.objoid = _p._v AND _d.objsubid = _p._s);
CREATE MACRO shobj_description(o, c) AS CAST(NULL AS VARCHAR);
CREATE MACRO current_setting(n) AS (SELECT min(_s.setting) FROM (SELECT lower(n) AS _v) AS _p JOIN pg_settings AS _s ON lower(_s.name) = _p._v),
  (n, missing_ok) AS (SELECT min(_s.setting) FROM (SELECT lower(n) AS _v) AS _p JOIN pg_settings AS _s ON lower(_s.name) = _p._v);

CREATE MACRO has_schema_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_table_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_column_privilege(a, b, c) AS true, (a, b, c, d) AS true;
CREATE MACRO has_any_column_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_database_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_function_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_sequence_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_tablespace_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_type_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_language_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_foreign_data_wrapper_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO has_server_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pg_has_role(a, b) AS true, (a, b, c) AS true;
CREATE MACRO to_char(x, f) AS CAST(x AS VARCHAR);
)sql";

}  // namespace millrace::pg
