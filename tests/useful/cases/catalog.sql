--# catalog/pg-tables
select schemaname, tablename, tableowner, hasindexes from pg_tables where schemaname !~ '^pg_' and schemaname <> 'information_schema' order by 1, 2;

--# catalog/pg-views
select schemaname, viewname from pg_views where schemaname = 'reporting' order by 2;

--# catalog/pg-indexes
select schemaname, tablename, indexname, indexdef from pg_indexes where schemaname in ('clinic', 'stock') order by 3;

--# catalog/sizes
select relname, pg_relation_size(c.oid) >= 0, pg_size_pretty(pg_total_relation_size(c.oid)) is not null from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'stock' and relkind = 'r' order by 1;

--# catalog/row-estimates
select n.nspname, c.relname, c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and n.nspname in ('stock', 'billing') order by 1, 2;

--# catalog/to-regclass
select to_regclass('stock.items') is not null, to_regclass('stock.nothing'), 'clinic.patients'::regclass::text;

--# catalog/format-type
select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(a.attrelid, a.attnum) from pg_attribute a where a.attrelid = 'org.people'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum;

--# catalog/obj-description
select obj_description('org.people'::regclass, 'pg_class'), obj_description('stock.reorder_point'::regproc);

--# catalog/constraints
select conname, contype, pg_get_constraintdef(oid, true) from pg_constraint where conrelid in ('stock.levels'::regclass, 'billing.claims'::regclass) order by 1;

--# catalog/indexdef
select i.relname, pg_get_indexdef(x.indexrelid, 0, true), x.indisunique, x.indisprimary from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = 'billing.claims'::regclass order by 1;

--# catalog/privilege-functions
select has_schema_privilege('stock', 'usage'), has_table_privilege('stock.items', 'select'), has_table_privilege(current_user, 'clinic.patients', 'delete'), has_database_privilege(current_database(), 'temp');

--# catalog/settings
select name, setting, unit, category, short_desc from pg_settings where name in ('server_version', 'work_mem', 'timezone', 'max_connections') order by 1;

--# catalog/databases
select datname, pg_encoding_to_char(encoding), datcollate, datallowconn from pg_database where not datistemplate order by 1;

--# catalog/roles
select rolname, rolsuper, rolcanlogin, rolcreatedb from pg_roles where rolname !~ '^pg_' order by 1;

--# catalog/extensions
select e.extname, e.extversion, n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace order by 1;

--# catalog/enums
select t.typname, e.enumlabel from pg_type t join pg_enum e on e.enumtypid = t.oid join pg_namespace n on n.oid = t.typnamespace where n.nspname = 'billing' order by 1, e.enumsortorder;

--# catalog/partitions
select i.inhparent::regclass::text, i.inhrelid::regclass::text, pg_get_expr(c.relpartbound, c.oid) from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relispartition order by 2;

--# catalog/sequences
select schemaname, sequencename, increment_by, cache_size from pg_sequences where schemaname = 'stock' order by 2;

--# catalog/function-definitions
select p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.provolatile from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang where n.nspname = 'stock' order by 1;

--# catalog/function-source
select pg_get_functiondef('stock.reorder_point'::regproc);

--# catalog/triggers
select tgname, tgrelid::regclass, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1;

--# catalog/dependencies
select distinct classid::regclass::text, refobjid::regclass::text, deptype from pg_depend where refobjid = 'stock.items'::regclass order by 1, 2, 3;

--# catalog/identity-columns
select a.attname, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid) as default_value, pg_get_serial_sequence('stock.movements', a.attname)
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = 'stock.movements'::regclass and a.attnum > 0 order by a.attnum;

--# catalog/timezones
select count(*) > 100 from pg_timezone_names;
select name, abbrev from pg_timezone_names where name in ('UTC', 'Europe/Berlin') order by 1;

--# catalog/collations
select collname, collprovider from pg_collation where collname in ('C', 'POSIX', 'default') order by 1;

--# catalog/table-statistics-counts
select schemaname, relname, n_live_tup >= 0, seq_scan >= 0 from pg_stat_user_tables where schemaname = 'stock' order by 2;

--# catalog/own-connection
select datname, usename, state from pg_stat_activity where pid = pg_backend_pid();
