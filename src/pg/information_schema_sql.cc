// information_schema, as views over pg_catalog. It lies in a schema of another name, since DuckDB
// has one of its own.
#include "pg/catalog_sql.h"

namespace millrace::pg {

const char* const kInformationSchema = R"sql(
CREATE SCHEMA information_schema_;
CREATE VIEW information_schema_.schemata AS SELECT 'millrace' AS catalog_name, nspname AS schema_name, CAST('millrace' AS name) AS schema_owner,
  CAST(NULL AS name) AS default_character_set_catalog, CAST(NULL AS name) AS default_character_set_schema,
  CAST(NULL AS name) AS default_character_set_name, CAST(NULL AS VARCHAR) AS sql_path FROM main.pg_namespace;
CREATE VIEW information_schema_.information_schema_catalog_name AS SELECT CAST('millrace' AS name) AS catalog_name;
CREATE VIEW information_schema_.tables AS SELECT CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
  CASE WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type, CAST(NULL AS name) AS self_referencing_column_name,
  CAST(NULL AS VARCHAR) AS reference_generation, CAST(NULL AS name) AS user_defined_type_catalog, CAST(NULL AS name) AS user_defined_type_schema,
  CAST(NULL AS name) AS user_defined_type_name, CASE WHEN c.relkind = 'r' THEN 'YES' ELSE 'NO' END AS is_insertable_into, 'NO' AS is_typed,
  CAST(NULL AS VARCHAR) AS commit_action
  FROM main.pg_class c JOIN main.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm');
CREATE VIEW information_schema_.views AS SELECT CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
  d.definition AS view_definition, 'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable,
  'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into
  FROM main.pg_class c JOIN main.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN main.mr_definitions d ON d.oid = c.oid WHERE c.relkind = 'v';
CREATE VIEW information_schema_.columns AS SELECT CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
  a.attname AS column_name, CAST(a.attnum AS INTEGER) AS ordinal_position, d.adbin AS column_default,
  CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
  CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN 'ARRAY' WHEN t.typtype = 'e' THEN 'USER-DEFINED' ELSE tn.sql_name END AS data_type,
  CAST(NULL AS INTEGER) AS character_maximum_length, CASE WHEN t.typcategory = 'S' THEN 1073741824 END AS character_octet_length,
  CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
    WHEN 1700 THEN CASE WHEN a.atttypmod > 4 THEN (a.atttypmod - 4) >> 16 END END AS numeric_precision,
  CASE WHEN a.atttypid IN (21, 23, 20, 700, 701) THEN 2 WHEN a.atttypid = 1700 THEN 10 END AS numeric_precision_radix,
  CASE WHEN a.atttypid IN (21, 23, 20) THEN 0 WHEN a.atttypid = 1700 AND a.atttypmod > 4 THEN (a.atttypmod - 4) & 65535 END AS numeric_scale,
  CASE WHEN a.atttypid = 1082 THEN 0 WHEN a.atttypid IN (1083, 1114, 1184, 1266, 1186) THEN 6 END AS datetime_precision,
  CAST(NULL AS VARCHAR) AS interval_type, CAST(NULL AS INTEGER) AS interval_precision, CAST(NULL AS name) AS character_set_catalog,
  CAST(NULL AS name) AS character_set_schema, CAST(NULL AS name) AS character_set_name, CAST(NULL AS name) AS collation_catalog,
  CAST(NULL AS name) AS collation_schema, CAST(NULL AS name) AS collation_name, CAST(NULL AS name) AS domain_catalog,
  CAST(NULL AS name) AS domain_schema, CAST(NULL AS name) AS domain_name, CAST('millrace' AS name) AS udt_catalog,
  CAST(CASE WHEN t.typnamespace = 2200 THEN 'public' ELSE 'pg_catalog' END AS name) AS udt_schema, t.typname AS udt_name, CAST(NULL AS name) AS scope_catalog, CAST(NULL AS name) AS scope_schema,
  CAST(NULL AS name) AS scope_name, CAST(NULL AS INTEGER) AS maximum_cardinality, CAST(a.attnum AS VARCHAR) AS dtd_identifier,
  'NO' AS is_self_referencing, 'NO' AS is_identity, CAST(NULL AS VARCHAR) AS identity_generation, CAST(NULL AS VARCHAR) AS identity_start,
  CAST(NULL AS VARCHAR) AS identity_increment, CAST(NULL AS VARCHAR) AS identity_maximum, CAST(NULL AS VARCHAR) AS identity_minimum,
  'NO' AS identity_cycle, 'NEVER' AS is_generated, CAST(NULL AS VARCHAR) AS generation_expression,
  CASE WHEN c.relkind = 'r' THEN 'YES' ELSE 'NO' END AS is_updatable
  FROM main.pg_attribute a JOIN main.pg_class c ON c.oid = a.attrelid JOIN main.pg_namespace n ON n.oid = c.relnamespace
  JOIN main.pg_type t ON t.oid = a.atttypid JOIN main.mr_type_names tn ON tn.oid = a.atttypid
  LEFT JOIN main.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attnum > 0 AND c.relkind IN ('r', 'v', 'm');
CREATE VIEW information_schema_.table_constraints AS SELECT CAST('millrace' AS name) AS constraint_catalog, n.nspname AS constraint_schema,
  o.conname AS constraint_name, CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
  CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'c' THEN 'CHECK' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY' END AS constraint_type,
  'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced, 'YES' AS nulls_distinct
  FROM main.pg_constraint o JOIN main.pg_class c ON c.oid = o.conrelid JOIN main.pg_namespace n ON n.oid = c.relnamespace;
CREATE VIEW information_schema_.key_column_usage AS SELECT CAST('millrace' AS name) AS constraint_catalog, n.nspname AS constraint_schema,
  o.conname AS constraint_name, CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
  a.attname AS column_name, CAST(o.position AS INTEGER) AS ordinal_position, CAST(NULL AS INTEGER) AS position_in_unique_constraint
  FROM (SELECT conname, conrelid, contype, unnest(conkey) AS attnum, generate_subscripts(conkey, 1) AS position FROM main.pg_constraint) o
  JOIN main.pg_class c ON c.oid = o.conrelid JOIN main.pg_namespace n ON n.oid = c.relnamespace
  JOIN main.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.attnum WHERE o.contype IN ('p', 'u', 'f');
CREATE VIEW information_schema_.constraint_column_usage AS SELECT table_catalog, table_schema, table_name, column_name, constraint_catalog,
  constraint_schema, constraint_name FROM information_schema_.key_column_usage;
CREATE VIEW information_schema_.constraint_table_usage AS SELECT DISTINCT table_catalog, table_schema, table_name, constraint_catalog,
  constraint_schema, constraint_name FROM information_schema_.key_column_usage;
CREATE VIEW information_schema_.check_constraints AS SELECT CAST('millrace' AS name) AS constraint_catalog, n.nspname AS constraint_schema,
  o.conname AS constraint_name, o.conbin AS check_clause FROM main.pg_constraint o JOIN main.pg_namespace n ON n.oid = o.connamespace
  WHERE o.contype = 'c';
CREATE VIEW information_schema_.referential_constraints AS SELECT CAST(NULL AS name) AS constraint_catalog, CAST(NULL AS name) AS constraint_schema,
  CAST(NULL AS name) AS constraint_name, CAST(NULL AS name) AS unique_constraint_catalog, CAST(NULL AS name) AS unique_constraint_schema,
  CAST(NULL AS name) AS unique_constraint_name, CAST(NULL AS VARCHAR) AS match_option, CAST(NULL AS VARCHAR) AS update_rule,
  CAST(NULL AS VARCHAR) AS delete_rule WHERE false;
CREATE VIEW information_schema_.table_privileges AS SELECT CAST('millrace' AS name) AS grantor, CAST('millrace' AS name) AS grantee,
  CAST('millrace' AS name) AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, p.privilege AS privilege_type, 'YES' AS is_grantable,
  'NO' AS with_hierarchy FROM main.pg_class c JOIN main.pg_namespace n ON n.oid = c.relnamespace,
  (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) p(privilege)
  WHERE c.relkind = 'r' OR (c.relkind IN ('v', 'm') AND p.privilege = 'SELECT');
CREATE VIEW information_schema_.role_table_grants AS FROM information_schema_.table_privileges;
CREATE VIEW information_schema_.column_privileges AS SELECT p.grantor, p.grantee, p.table_catalog, p.table_schema, p.table_name, c.column_name,
  p.privilege_type, p.is_grantable FROM information_schema_.table_privileges p
  JOIN information_schema_.columns c ON c.table_schema = p.table_schema AND c.table_name = p.table_name WHERE p.privilege_type <> 'DELETE';
CREATE VIEW information_schema_.role_column_grants AS FROM information_schema_.column_privileges;
CREATE VIEW information_schema_.routines AS SELECT CAST('millrace' AS name) AS specific_catalog, CAST('public' AS name) AS specific_schema,
  CAST(proname || '_' || CAST(oid AS VARCHAR) AS name) AS specific_name, CAST('millrace' AS name) AS routine_catalog,
  CAST('public' AS name) AS routine_schema, proname AS routine_name, 'FUNCTION' AS routine_type, 'record' AS data_type, 'SQL' AS routine_body,
  prosrc AS routine_definition, 'SQL' AS external_language FROM main.pg_proc WHERE pronamespace = 2200;
CREATE VIEW information_schema_.parameters AS SELECT CAST(NULL AS name) AS specific_catalog, CAST(NULL AS name) AS specific_schema,
  CAST(NULL AS name) AS specific_name, CAST(NULL AS INTEGER) AS ordinal_position, CAST(NULL AS VARCHAR) AS parameter_mode,
  CAST(NULL AS name) AS parameter_name, CAST(NULL AS VARCHAR) AS data_type WHERE false;
CREATE VIEW information_schema_.sequences AS SELECT CAST(NULL AS name) AS sequence_catalog, CAST(NULL AS name) AS sequence_schema,
  CAST(NULL AS name) AS sequence_name, CAST(NULL AS VARCHAR) AS data_type WHERE false;
CREATE VIEW information_schema_.triggers AS SELECT CAST(NULL AS name) AS trigger_catalog, CAST(NULL AS name) AS trigger_schema,
  CAST(NULL AS name) AS trigger_name, CAST(NULL AS VARCHAR) AS event_manipulation, CAST(NULL AS name) AS event_object_schema,
  CAST(NULL AS name) AS event_object_table, CAST(NULL AS VARCHAR) AS action_statement, CAST(NULL AS VARCHAR) AS action_timing WHERE false;
CREATE VIEW information_schema_.domains AS SELECT CAST(NULL AS name) AS domain_catalog, CAST(NULL AS name) AS domain_schema,
  CAST(NULL AS name) AS domain_name, CAST(NULL AS VARCHAR) AS data_type WHERE false;
CREATE VIEW information_schema_.element_types AS SELECT CAST(NULL AS name) AS object_catalog, CAST(NULL AS name) AS object_schema,
  CAST(NULL AS name) AS object_name, CAST(NULL AS VARCHAR) AS object_type, CAST(NULL AS VARCHAR) AS collection_type_identifier,
  CAST(NULL AS VARCHAR) AS data_type WHERE false;
CREATE VIEW information_schema_.enabled_roles AS SELECT rolname AS role_name FROM main.pg_roles;
CREATE VIEW information_schema_.applicable_roles AS SELECT rolname AS grantee, rolname AS role_name, 'NO' AS is_grantable FROM main.pg_roles;
CREATE VIEW information_schema_.character_sets AS SELECT CAST(NULL AS name) AS character_set_catalog, CAST(NULL AS name) AS character_set_schema,
  CAST('UTF8' AS name) AS character_set_name, CAST('UCS' AS name) AS character_repertoire, CAST('UTF8' AS name) AS form_of_use,
  CAST('millrace' AS name) AS default_collate_catalog, CAST('pg_catalog' AS name) AS default_collate_schema, CAST('C' AS name) AS default_collate_name;
CREATE VIEW information_schema_.view_table_usage AS SELECT CAST(NULL AS name) AS view_catalog, CAST(NULL AS name) AS view_schema,
  CAST(NULL AS name) AS view_name, CAST(NULL AS name) AS table_catalog, CAST(NULL AS name) AS table_schema, CAST(NULL AS name) AS table_name WHERE false;
)sql";

}  // namespace millrace::pg
