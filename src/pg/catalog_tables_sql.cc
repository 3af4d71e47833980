// pg_catalog's tables, with PostgreSQL 15's columns. Tables that are empty here are those of things
// that Millrace has not: clients ask for them all the same.
#include "pg/catalog_sql.h"

namespace millrace::pg {

const char* const kCatalogTables = R"sql(
CREATE TYPE pgoid AS UINTEGER;
CREATE TYPE name AS VARCHAR;
CREATE TYPE pgchar AS VARCHAR;
CREATE TYPE xid AS UINTEGER;
CREATE TYPE int2vector AS SMALLINT[];
CREATE TYPE oidvector AS UINTEGER[];

CREATE TABLE pg_namespace(oid pgoid, nspname name, nspowner pgoid, nspacl VARCHAR[]);
INSERT INTO pg_namespace VALUES (11, 'pg_catalog', 10, NULL), (2200, 'public', 10, NULL), (13000, 'information_schema', 10, NULL), (13001, 'millrace', 10, NULL);

CREATE TABLE pg_class(oid pgoid, relname name, relnamespace pgoid, reltype pgoid, reloftype pgoid, relowner pgoid, relam pgoid, relfilenode pgoid,
  reltablespace pgoid, relpages INTEGER, reltuples FLOAT, relallvisible INTEGER, reltoastrelid pgoid, relhasindex BOOLEAN, relisshared BOOLEAN,
  relpersistence pgchar, relkind pgchar, relnatts SMALLINT, relchecks SMALLINT, relhasrules BOOLEAN, relhastriggers BOOLEAN, relhassubclass BOOLEAN,
  relrowsecurity BOOLEAN, relforcerowsecurity BOOLEAN, relispopulated BOOLEAN, relreplident pgchar, relispartition BOOLEAN, relrewrite pgoid,
  relfrozenxid xid, relminmxid xid, relacl VARCHAR[], reloptions VARCHAR[], relpartbound VARCHAR, relhasoids BOOLEAN);
CREATE TABLE pg_attribute(attrelid pgoid, attname name, atttypid pgoid, attstattarget INTEGER, attlen SMALLINT, attnum SMALLINT, attndims INTEGER,
  attcacheoff INTEGER, atttypmod INTEGER, attbyval BOOLEAN, attalign pgchar, attstorage pgchar, attcompression pgchar, attnotnull BOOLEAN,
  atthasdef BOOLEAN, atthasmissing BOOLEAN, attidentity pgchar, attgenerated pgchar, attisdropped BOOLEAN, attislocal BOOLEAN, attinhcount INTEGER,
  attcollation pgoid, attacl VARCHAR[], attoptions VARCHAR[], attfdwoptions VARCHAR[], attmissingval VARCHAR);
CREATE TABLE pg_attrdef(oid pgoid, adrelid pgoid, adnum SMALLINT, adbin VARCHAR);
CREATE TABLE pg_index(indexrelid pgoid, indrelid pgoid, indnatts SMALLINT, indnkeyatts SMALLINT, indisunique BOOLEAN, indnullsnotdistinct BOOLEAN,
  indisprimary BOOLEAN, indisexclusion BOOLEAN, indimmediate BOOLEAN, indisclustered BOOLEAN, indisvalid BOOLEAN, indcheckxmin BOOLEAN,
  indisready BOOLEAN, indislive BOOLEAN, indisreplident BOOLEAN, indkey int2vector, indcollation oidvector, indclass oidvector, indoption int2vector,
  indexprs VARCHAR, indpred VARCHAR);
CREATE TABLE pg_constraint(oid pgoid, conname name, connamespace pgoid, contype pgchar, condeferrable BOOLEAN, condeferred BOOLEAN,
  convalidated BOOLEAN, conrelid pgoid, contypid pgoid, conindid pgoid, conparentid pgoid, confrelid pgoid, confupdtype pgchar, confdeltype pgchar,
  confmatchtype pgchar, conislocal BOOLEAN, coninhcount INTEGER, connoinherit BOOLEAN, conkey SMALLINT[], confkey SMALLINT[], conpfeqop BIGINT[],
  conppeqop BIGINT[], conffeqop BIGINT[], confdelsetcols SMALLINT[], conexclop BIGINT[], conbin VARCHAR);
CREATE TABLE pg_description(objoid pgoid, classoid pgoid, objsubid INTEGER, description VARCHAR);
CREATE TABLE pg_type(oid pgoid, typname name, typnamespace pgoid, typowner pgoid, typlen SMALLINT, typbyval BOOLEAN, typtype pgchar,
  typcategory pgchar, typispreferred BOOLEAN, typisdefined BOOLEAN, typdelim pgchar, typrelid pgoid, typsubscript name, typelem pgoid,
  typarray pgoid, typinput name, typoutput name, typreceive name, typsend name, typmodin name, typmodout name, typanalyze name, typalign pgchar,
  typstorage pgchar, typnotnull BOOLEAN, typbasetype pgoid, typtypmod INTEGER, typndims INTEGER, typcollation pgoid, typdefaultbin VARCHAR,
  typdefault VARCHAR, typacl VARCHAR[]);
CREATE TABLE pg_proc(oid pgoid, proname name, pronamespace pgoid, proowner pgoid, prolang pgoid, procost FLOAT, prorows FLOAT, provariadic pgoid,
  prosupport name, prokind pgchar, prosecdef BOOLEAN, proleakproof BOOLEAN, proisstrict BOOLEAN, proretset BOOLEAN, provolatile pgchar,
  proparallel pgchar, pronargs SMALLINT, pronargdefaults SMALLINT, prorettype pgoid, proargtypes oidvector, proallargtypes BIGINT[],
  proargmodes VARCHAR[], proargnames VARCHAR[], proargdefaults VARCHAR, protrftypes BIGINT[], prosrc VARCHAR, probin VARCHAR, prosqlbody VARCHAR,
  proconfig VARCHAR[], proacl VARCHAR[]);
CREATE TABLE pg_enum(oid pgoid, enumtypid pgoid, enumsortorder FLOAT, enumlabel name);
CREATE TABLE pg_settings(name VARCHAR, setting VARCHAR, unit VARCHAR, category VARCHAR, short_desc VARCHAR, extra_desc VARCHAR, context VARCHAR,
  vartype VARCHAR, source VARCHAR, min_val VARCHAR, max_val VARCHAR, enumvals VARCHAR[], boot_val VARCHAR, reset_val VARCHAR, sourcefile VARCHAR,
  sourceline INTEGER, pending_restart BOOLEAN);

-- What the functions say of relations, indexes and constraints.
CREATE TABLE mr_definitions(oid pgoid, definition VARCHAR);
CREATE TABLE mr_index_columns(oid pgoid, position INTEGER, name VARCHAR);
CREATE TABLE mr_type_names(oid pgoid, typname VARCHAR, sql_name VARCHAR);

CREATE TABLE pg_am(oid pgoid, amname name, amhandler name, amtype pgchar);
INSERT INTO pg_am VALUES (2, 'heap', 'heap_tableam_handler', 't'), (403, 'btree', 'bthandler', 'i');
CREATE TABLE pg_database(oid pgoid, datname name, datdba pgoid, encoding INTEGER, datlocprovider pgchar, datistemplate BOOLEAN, datallowconn BOOLEAN,
  datconnlimit INTEGER, datfrozenxid xid, datminmxid xid, dattablespace pgoid, datcollate VARCHAR, datctype VARCHAR, daticulocale VARCHAR,
  datcollversion VARCHAR, datacl VARCHAR[], datlastsysoid pgoid);
INSERT INTO pg_database VALUES (16000, 'millrace', 10, 6, 'c', false, true, -1, 0, 0, 1663, 'C', 'C.UTF-8', NULL, NULL, NULL, 12000);
CREATE TABLE pg_roles(rolname name, rolsuper BOOLEAN, rolinherit BOOLEAN, rolcreaterole BOOLEAN, rolcreatedb BOOLEAN, rolcanlogin BOOLEAN,
  rolreplication BOOLEAN, rolconnlimit INTEGER, rolpassword VARCHAR, rolvaliduntil TIMESTAMPTZ, rolbypassrls BOOLEAN, rolconfig VARCHAR[], oid pgoid);
INSERT INTO pg_roles VALUES ('millrace', true, true, true, true, true, false, -1, '********', NULL, true, NULL, 10);
CREATE TABLE pg_collation(oid pgoid, collname name, collnamespace pgoid, collowner pgoid, collprovider pgchar, collisdeterministic BOOLEAN,
  collencoding INTEGER, collcollate VARCHAR, collctype VARCHAR, colliculocale VARCHAR, collversion VARCHAR);
INSERT INTO pg_collation VALUES (100, 'default', 11, 10, 'd', true, -1, NULL, NULL, NULL, NULL), (950, 'C', 11, 10, 'c', true, -1, 'C', 'C', NULL, NULL);
CREATE TABLE pg_language(oid pgoid, lanname name, lanowner pgoid, lanispl BOOLEAN, lanpltrusted BOOLEAN, lanplcallfoid pgoid, laninline pgoid,
  lanvalidator pgoid, lanacl VARCHAR[]);
INSERT INTO pg_language VALUES (14, 'sql', 10, false, true, 0, 0, 0, NULL);
CREATE TABLE pg_tablespace(oid pgoid, spcname name, spcowner pgoid, spcacl VARCHAR[], spcoptions VARCHAR[]);
INSERT INTO pg_tablespace VALUES (1663, 'pg_default', 10, NULL, NULL);
CREATE TABLE pg_opclass(oid pgoid, opcmethod pgoid, opcname name, opcnamespace pgoid, opcowner pgoid, opcfamily pgoid, opcintype pgoid,
  opcdefault BOOLEAN, opckeytype pgoid);
INSERT INTO pg_opclass VALUES (1978, 403, 'int4_ops', 11, 10, 1976, 23, true, 0);

CREATE TABLE pg_extension(oid pgoid, extname name, extowner pgoid, extnamespace pgoid, extrelocatable BOOLEAN, extversion VARCHAR, extconfig BIGINT[],
  extcondition VARCHAR[]);
CREATE TABLE pg_available_extensions(name name, default_version VARCHAR, installed_version VARCHAR, comment VARCHAR);
CREATE TABLE pg_range(rngtypid pgoid, rngsubtype pgoid, rngmultitypid pgoid, rngcollation pgoid, rngsubopc pgoid, rngcanonical name, rngsubdiff name);
CREATE TABLE pg_inherits(inhrelid pgoid, inhparent pgoid, inhseqno INTEGER, inhdetachpending BOOLEAN);
CREATE TABLE pg_partitioned_table(partrelid pgoid, partstrat pgchar, partnatts SMALLINT, partdefid pgoid, partattrs int2vector, partclass oidvector,
  partcollation oidvector, partexprs VARCHAR);
CREATE TABLE pg_policy(oid pgoid, polname name, polrelid pgoid, polcmd pgchar, polpermissive BOOLEAN, polroles BIGINT[], polqual VARCHAR,
  polwithcheck VARCHAR);
CREATE TABLE pg_publication(oid pgoid, pubname name, pubowner pgoid, puballtables BOOLEAN, pubinsert BOOLEAN, pubupdate BOOLEAN, pubdelete BOOLEAN,
  pubtruncate BOOLEAN, pubviaroot BOOLEAN);
CREATE TABLE pg_publication_rel(oid pgoid, prpubid pgoid, prrelid pgoid, prqual VARCHAR, prattrs int2vector);
CREATE TABLE pg_publication_namespace(oid pgoid, pnpubid pgoid, pnnspid pgoid);
CREATE TABLE pg_publication_tables(pubname name, schemaname name, tablename name, attnames VARCHAR[], rowfilter VARCHAR);
CREATE TABLE pg_subscription(oid pgoid, subdbid pgoid, subname name, subowner pgoid, subenabled BOOLEAN);
CREATE TABLE pg_statistic_ext(oid pgoid, stxrelid pgoid, stxname name, stxnamespace pgoid, stxowner pgoid, stxstattarget INTEGER, stxkeys int2vector,
  stxkind VARCHAR[], stxexprs VARCHAR);
CREATE TABLE pg_sequence(seqrelid pgoid, seqtypid pgoid, seqstart BIGINT, seqincrement BIGINT, seqmax BIGINT, seqmin BIGINT, seqcache BIGINT,
  seqcycle BOOLEAN);
CREATE TABLE pg_sequences(schemaname name, sequencename name, sequenceowner name, data_type VARCHAR, start_value BIGINT, min_value BIGINT,
  max_value BIGINT, increment_by BIGINT, cycle BOOLEAN, cache_size BIGINT, last_value BIGINT);
CREATE TABLE pg_trigger(oid pgoid, tgrelid pgoid, tgparentid pgoid, tgname name, tgfoid pgoid, tgtype SMALLINT, tgenabled pgchar, tgisinternal BOOLEAN,
  tgconstrrelid pgoid, tgconstrindid pgoid, tgconstraint pgoid, tgdeferrable BOOLEAN, tginitdeferred BOOLEAN, tgnargs SMALLINT, tgattr int2vector,
  tgargs BLOB, tgqual VARCHAR, tgoldtable name, tgnewtable name);
CREATE TABLE pg_event_trigger(oid pgoid, evtname name, evtevent name, evtowner pgoid, evtfoid pgoid, evtenabled pgchar, evttags VARCHAR[]);
CREATE TABLE pg_rewrite(oid pgoid, rulename name, ev_class pgoid, ev_type pgchar, ev_enabled pgchar, is_instead BOOLEAN, ev_qual VARCHAR,
  ev_action VARCHAR);
CREATE TABLE pg_rules(schemaname name, tablename name, rulename name, definition VARCHAR);
CREATE TABLE pg_depend(classid pgoid, objid pgoid, objsubid INTEGER, refclassid pgoid, refobjid pgoid, refobjsubid INTEGER, deptype pgchar);
CREATE TABLE pg_shdepend(dbid pgoid, classid pgoid, objid pgoid, objsubid INTEGER, refclassid pgoid, refobjid pgoid, deptype pgchar);
CREATE TABLE pg_shdescription(objoid pgoid, classoid pgoid, description VARCHAR);
CREATE TABLE pg_seclabel(objoid pgoid, classoid pgoid, objsubid INTEGER, provider VARCHAR, label VARCHAR);
CREATE TABLE pg_foreign_table(ftrelid pgoid, ftserver pgoid, ftoptions VARCHAR[]);
CREATE TABLE pg_foreign_server(oid pgoid, srvname name, srvowner pgoid, srvfdw pgoid, srvtype VARCHAR, srvversion VARCHAR, srvacl VARCHAR[],
  srvoptions VARCHAR[]);
CREATE TABLE pg_foreign_data_wrapper(oid pgoid, fdwname name, fdwowner pgoid, fdwhandler pgoid, fdwvalidator pgoid, fdwacl VARCHAR[],
  fdwoptions VARCHAR[]);
CREATE TABLE pg_user_mapping(oid pgoid, umuser pgoid, umserver pgoid, umoptions VARCHAR[]);
CREATE TABLE pg_auth_members(roleid pgoid, member pgoid, grantor pgoid, admin_option BOOLEAN);
CREATE TABLE pg_db_role_setting(setdatabase pgoid, setrole pgoid, setconfig VARCHAR[]);
CREATE TABLE pg_default_acl(oid pgoid, defaclrole pgoid, defaclnamespace pgoid, defaclobjtype pgchar, defaclacl VARCHAR[]);
CREATE TABLE pg_operator(oid pgoid, oprname name, oprnamespace pgoid, oprowner pgoid, oprkind pgchar, oprcanmerge BOOLEAN, oprcanhash BOOLEAN,
  oprleft pgoid, oprright pgoid, oprresult pgoid, oprcom pgoid, oprnegate pgoid, oprcode name, oprrest name, oprjoin name);
CREATE TABLE pg_opfamily(oid pgoid, opfmethod pgoid, opfname name, opfnamespace pgoid, opfowner pgoid);
CREATE TABLE pg_amop(oid pgoid, amopfamily pgoid, amoplefttype pgoid, amoprighttype pgoid, amopstrategy SMALLINT, amoppurpose pgchar, amopopr pgoid,
  amopmethod pgoid, amopsortfamily pgoid);
CREATE TABLE pg_amproc(oid pgoid, amprocfamily pgoid, amproclefttype pgoid, amprocrighttype pgoid, amprocnum SMALLINT, amproc name);
CREATE TABLE pg_aggregate(aggfnoid pgoid, aggkind pgchar, aggnumdirectargs SMALLINT);
CREATE TABLE pg_cast(oid pgoid, castsource pgoid, casttarget pgoid, castfunc pgoid, castcontext pgchar, castmethod pgchar);
CREATE TABLE pg_conversion(oid pgoid, conname name, connamespace pgoid, conowner pgoid, conforencoding INTEGER, contoencoding INTEGER, conproc name,
  condefault BOOLEAN);
CREATE TABLE pg_ts_config(oid pgoid, cfgname name, cfgnamespace pgoid, cfgowner pgoid, cfgparser pgoid);
CREATE TABLE pg_ts_dict(oid pgoid, dictname name, dictnamespace pgoid, dictowner pgoid, dicttemplate pgoid, dictinitoption VARCHAR);
CREATE TABLE pg_ts_parser(oid pgoid, prsname name, prsnamespace pgoid);
CREATE TABLE pg_ts_template(oid pgoid, tmplname name, tmplnamespace pgoid);
CREATE TABLE pg_transform(oid pgoid, trftype pgoid, trflang pgoid, trffromsql pgoid, trftosql pgoid);
CREATE TABLE pg_largeobject_metadata(oid pgoid, lomowner pgoid, lomacl VARCHAR[]);
CREATE TABLE pg_locks(locktype VARCHAR, "database" pgoid, relation pgoid, pid INTEGER, "mode" VARCHAR, granted BOOLEAN);
CREATE TABLE pg_prepared_xacts(transaction xid, gid VARCHAR, prepared TIMESTAMPTZ, owner name, "database" name);
CREATE TABLE pg_prepared_statements(name VARCHAR, statement VARCHAR, prepare_time TIMESTAMPTZ, parameter_types VARCHAR[], from_sql BOOLEAN);
CREATE TABLE pg_cursors(name VARCHAR, statement VARCHAR, is_holdable BOOLEAN, is_binary BOOLEAN, is_scrollable BOOLEAN, creation_time TIMESTAMPTZ);
CREATE TABLE pg_stat_activity(datid pgoid, datname name, pid INTEGER, leader_pid INTEGER, usesysid pgoid, usename name, application_name VARCHAR,
  client_addr VARCHAR, client_hostname VARCHAR, client_port INTEGER, backend_start TIMESTAMPTZ, xact_start TIMESTAMPTZ, query_start TIMESTAMPTZ,
  state_change TIMESTAMPTZ, wait_event_type VARCHAR, wait_event VARCHAR, state VARCHAR, backend_xid xid, backend_xmin xid, query_id BIGINT,
  query VARCHAR, backend_type VARCHAR);
CREATE TABLE pg_stat_ssl(pid INTEGER, ssl BOOLEAN, version VARCHAR, cipher VARCHAR, bits INTEGER);
CREATE TABLE pg_stat_replication(pid INTEGER, usesysid pgoid, usename name, application_name VARCHAR, state VARCHAR);
CREATE TABLE pg_replication_slots(slot_name name, plugin name, slot_type VARCHAR, datoid pgoid, "database" name, temporary BOOLEAN, active BOOLEAN);
CREATE TABLE pg_stats(schemaname name, tablename name, attname name, inherited BOOLEAN, null_frac FLOAT, avg_width INTEGER, n_distinct FLOAT,
  correlation FLOAT);
CREATE TABLE pg_keywords(word VARCHAR, catcode VARCHAR, barelabel BOOLEAN, catdesc VARCHAR, baredesc VARCHAR);
)sql";

const char* const kCatalogViews = R"sql(
CREATE VIEW pg_tables AS SELECT n.nspname AS schemaname, c.relname AS tablename, CAST('millrace' AS name) AS tableowner, CAST(NULL AS name) AS tablespace,
  c.relhasindex AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
CREATE VIEW pg_views AS SELECT n.nspname AS schemaname, c.relname AS viewname, CAST('millrace' AS name) AS viewowner, d.definition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN mr_definitions d ON d.oid = c.oid WHERE c.relkind = 'v';
CREATE VIEW pg_matviews AS SELECT n.nspname AS schemaname, c.relname AS matviewname, CAST('millrace' AS name) AS matviewowner,
  CAST(NULL AS name) AS tablespace, c.relhasindex AS hasindexes, true AS ispopulated, d.definition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN mr_definitions d ON d.oid = c.oid WHERE c.relkind = 'm';
CREATE VIEW pg_indexes AS SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname, CAST(NULL AS name) AS tablespace,
  d.definition AS indexdef FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN mr_definitions d ON d.oid = i.oid;
CREATE VIEW pg_authid AS SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
  rolconnlimit, CAST(NULL AS VARCHAR) AS rolpassword, rolvaliduntil FROM pg_roles;
CREATE VIEW pg_user AS SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, rolreplication AS userepl,
  rolbypassrls AS usebypassrls, rolpassword AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig FROM pg_roles;
CREATE VIEW pg_group AS SELECT rolname AS groname, oid AS grosysid, CAST([] AS BIGINT[]) AS grolist FROM pg_roles WHERE false;
CREATE VIEW pg_stat_user_tables AS SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, CAST(0 AS BIGINT) AS seq_scan, CAST(0 AS BIGINT) AS seq_tup_read,
  CAST(0 AS BIGINT) AS idx_scan, CAST(0 AS BIGINT) AS idx_tup_fetch, CAST(0 AS BIGINT) AS n_tup_ins, CAST(0 AS BIGINT) AS n_tup_upd,
  CAST(0 AS BIGINT) AS n_tup_del, CAST(0 AS BIGINT) AS n_live_tup, CAST(0 AS BIGINT) AS n_dead_tup, CAST(NULL AS TIMESTAMPTZ) AS last_vacuum,
  CAST(NULL AS TIMESTAMPTZ) AS last_autovacuum, CAST(NULL AS TIMESTAMPTZ) AS last_analyze, CAST(NULL AS TIMESTAMPTZ) AS last_autoanalyze
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND n.nspname = 'public';
CREATE VIEW pg_stat_all_tables AS FROM pg_stat_user_tables;
CREATE VIEW pg_statio_user_tables AS SELECT relid, schemaname, relname, CAST(0 AS BIGINT) AS heap_blks_read, CAST(0 AS BIGINT) AS heap_blks_hit
  FROM pg_stat_user_tables;
CREATE VIEW pg_stat_database AS SELECT oid AS datid, datname, 1 AS numbackends, CAST(0 AS BIGINT) AS xact_commit, CAST(0 AS BIGINT) AS xact_rollback
  FROM pg_database;
)sql";

}  // namespace millrace::pg
