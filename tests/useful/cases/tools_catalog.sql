--# pgadmin/connect
set datestyle = iso;
set client_min_messages = notice;
set client_encoding = 'UTF8';
select version();
select db.oid as did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) as server_encoding, has_database_privilege(db.oid, 'CREATE') as may_create, datistemplate
  from pg_catalog.pg_database db where db.datname = current_database();
select roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser, roles.rolcreaterole or roles.rolsuper as can_create_role, roles.rolcreatedb or roles.rolsuper as can_create_db
  from pg_catalog.pg_roles as roles where rolname = current_user;

--# pgadmin/schema-tree
select nsp.oid, nsp.nspname as name, has_schema_privilege(nsp.oid, 'CREATE') as can_create, has_schema_privilege(nsp.oid, 'USAGE') as has_usage, des.description
  from pg_catalog.pg_namespace nsp left outer join pg_catalog.pg_description des on (des.objoid = nsp.oid and des.classoid = 'pg_namespace'::regclass)
 where nsp.nspname not like 'pg\_%' and nsp.nspname <> 'information_schema' order by nspname;

--# pgadmin/table-tree
select rel.oid, rel.relname as name, (select count(*) from pg_catalog.pg_trigger where tgrelid = rel.oid and tgisinternal = false) as triggercount,
       (select count(*) from pg_catalog.pg_inherits where inhrelid = rel.oid limit 1) as is_inherits, (select count(*) from pg_catalog.pg_inherits where inhparent = rel.oid limit 1) as is_inherited,
       (rel.relkind = 'p') as is_partitioned
  from pg_catalog.pg_class rel where rel.relkind in ('r', 's', 't', 'p') and rel.relnamespace = 'stock'::regnamespace and not rel.relispartition order by rel.relname;

--# pgadmin/columns
select col.attnum, col.attname, col.attndims, col.atttypmod, col.attacl, col.attnotnull, col.attstattarget, col.attstorage, col.attidentity, pg_catalog.pg_get_expr(df.adbin, df.adrelid) as default_value,
       pg_catalog.format_type(ty.oid, null) as plain_type, pg_catalog.format_type(ty.oid, col.atttypmod) as shown_type, coalesce(nullif(ty.typelem, 0), ty.oid) as element, home.nspname as type_schema, el.typname as element_type, de.description,
       case when co.collname is not null and cn.nspname is not null then pg_catalog.concat(pg_catalog.quote_ident(cn.nspname), '.', pg_catalog.quote_ident(co.collname)) else '' end as collation_name
  from pg_catalog.pg_attribute col join pg_catalog.pg_class rel on rel.oid = col.attrelid join pg_catalog.pg_type ty on ty.oid = col.atttypid join pg_catalog.pg_namespace home on home.oid = ty.typnamespace
  left outer join pg_catalog.pg_type el on el.oid = ty.typelem left outer join pg_catalog.pg_attrdef df on df.adrelid = col.attrelid and df.adnum = col.attnum
  left outer join pg_catalog.pg_collation co on co.oid = col.attcollation left outer join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
  left outer join pg_catalog.pg_description de on de.objoid = col.attrelid and de.objsubid = col.attnum and de.classoid = 'pg_class'::regclass
 where col.attrelid = 'clinic.patients'::regclass and col.attnum > 0 and not col.attisdropped order by col.attnum;

--# pgadmin/view-data-first-100
--@ masked patients.*
select * from clinic.patients order by patient_id asc limit 100;

--# pgadmin/primary-key-of-table
select at.attname, at.attnum, ty.typname from pg_catalog.pg_attribute at left join pg_catalog.pg_type ty on (ty.oid = at.atttypid)
  join pg_catalog.pg_index ix on ix.indrelid = at.attrelid and at.attnum = any (ix.indkey) where at.attrelid = 'stock.items'::regclass and ix.indisprimary order by 2;

--# pgadmin/dashboard
select pid, datname, usename, application_name, state from pg_catalog.pg_stat_activity where datname = current_database() and pid = pg_backend_pid();

--# pgadmin/dashboard-counters
select 'session_stats' as chart_name, pg_catalog.row_to_json(t) is not null as chart_data from (select
   (select count(*) from pg_catalog.pg_stat_activity where datname = current_database()) as "Total",
   (select count(*) from pg_catalog.pg_stat_activity where state = 'active' and datname = current_database()) as "Active") t
union all
select 'tps_stats', pg_catalog.row_to_json(t) is not null from (select (select sum(xact_commit) + sum(xact_rollback) from pg_catalog.pg_stat_database where datname = current_database()) as "Transactions") t;

--# dbeaver/connect
set application_name = 'DBeaver 24 - Main';
set search_path = clinic, "$user", public;
select current_schema(), session_user;
select n.oid, n.*, d.description from pg_catalog.pg_namespace n left outer join pg_catalog.pg_description d on d.objoid = n.oid and d.objsubid = 0 and d.classoid = 'pg_namespace'::regclass order by nspname;

--# dbeaver/data-types
select t.oid, t.typname, t.typtype, t.typcategory, t.typlen, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
  from pg_catalog.pg_type t left outer join pg_catalog.pg_type et on et.oid = t.typelem left outer join pg_catalog.pg_class c on c.oid = t.typrelid left outer join pg_catalog.pg_description d on t.oid = d.objoid
 where t.typname is not null and (c.relkind is null or c.relkind = 'c') and (et.typcategory is null or et.typcategory <> 'C') order by t.oid;

--# dbeaver/tables
select c.oid, c.relname, c.relkind, c.relpersistence, c.relispartition, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
  from pg_catalog.pg_class c left outer join pg_catalog.pg_description d on d.objoid = c.oid and d.objsubid = 0 and d.classoid = 'pg_class'::regclass
 where c.relnamespace = 'stock'::regnamespace and c.relkind not in ('i', 'I', 'c') order by c.relname;

--# dbeaver/attributes
select c.relname, a.attname, a.attnum, a.atttypid, a.attnotnull, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid
  from pg_catalog.pg_attribute a join pg_catalog.pg_class c on (a.attrelid = c.oid) left outer join pg_catalog.pg_attrdef ad on (a.attrelid = ad.adrelid and a.attnum = ad.adnum)
  left outer join pg_catalog.pg_description dsc on (c.oid = dsc.objoid and a.attnum = dsc.objsubid)
  left outer join pg_depend dep on dep.refobjid = a.attrelid and dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
 where not a.attisdropped and c.relkind not in ('i', 'I', 'c') and c.oid = 'billing.claims'::regclass order by a.attnum;

--# dbeaver/constraints
select c.oid, c.conname, c.contype, c.conkey, t.relname as table_name, rt.relname as foreign_table, pg_catalog.pg_get_constraintdef(c.oid) as definition, d.description
  from pg_catalog.pg_constraint c join pg_catalog.pg_class t on t.oid = c.conrelid left outer join pg_catalog.pg_class rt on rt.oid = c.confrelid
  left outer join pg_catalog.pg_description d on d.objoid = c.oid and d.objsubid = 0 and d.classoid = 'pg_constraint'::regclass where c.conrelid = 'lab.results'::regclass order by c.oid;

--# dbeaver/indexes
select i.*, i.indkey as keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname as tabrelname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr, pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size
  from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_class tc on tc.oid = i.indrelid left outer join pg_catalog.pg_description dsc on i.indexrelid = dsc.objoid
 where i.indrelid = 'billing.claims'::regclass order by c.relname;

--# dbeaver/data-editor
--@ masked patients.*
select x.* from clinic.patients x limit 200;

--# dbeaver/row-count
select count(*) from (select * from stock.items) dbvrcnt;

--# drivers/pgjdbc-preamble
set extra_float_digits = 3;
set application_name = 'PostgreSQL JDBC Driver';
select pg_catalog.current_database(), current_schema(), current_user;

--# drivers/pgjdbc-tables
select null as catalog, ns.nspname as schema, rel.relname as label,
       case when ns.nspname = 'information_schema' or ns.nspname ~ '^pg_' then 'SYSTEM' when rel.relkind = 'r' then 'TABLE' when rel.relkind = 'p' then 'PARTITIONED' when rel.relkind = 'v' then 'VIEW' when rel.relkind = 'm' then 'MATERIALIZED' end as kind, de.description
  from pg_catalog.pg_namespace ns, pg_catalog.pg_class rel left join pg_catalog.pg_description de on de.objoid = rel.oid and de.objsubid = 0 and de.classoid = 'pg_class'::regclass
 where ns.oid = rel.relnamespace and ns.nspname like 'stock' and rel.relkind in ('r', 'p', 'v', 'm') order by kind, schema, label;

--# drivers/pgjdbc-field-metadata
select wanted.place, ns.nspname, rel.relname, col.attname, col.attnotnull or (ty.typtype = 'd' and ty.typnotnull) as required, col.attidentity <> '' or pg_catalog.pg_get_expr(df.adbin, df.adrelid) like '%nextval(%' as counted
  from (select 'stock.items'::regclass::oid as rel, 1 as num, 1 as place union all select 'stock.items'::regclass::oid, 2, 2) wanted join pg_catalog.pg_attribute col on col.attrelid = wanted.rel and col.attnum = wanted.num
  join pg_catalog.pg_class rel on rel.oid = col.attrelid join pg_catalog.pg_namespace ns on ns.oid = rel.relnamespace join pg_catalog.pg_type ty on ty.oid = col.atttypid
  left join pg_catalog.pg_attrdef df on df.adrelid = col.attrelid and df.adnum = col.attnum order by wanted.place;

--# drivers/pgjdbc-type-lookup
select n.nspname = any (current_schemas(true)), n.nspname, t.typname from pg_catalog.pg_type t join pg_catalog.pg_namespace n on t.typnamespace = n.oid where t.oid = 'billing.claim_status'::regtype;

--# drivers/pgjdbc-type-by-name
--@ args int4
select ty.oid, ty.typname, ty.typtype, ty.typinput = 'pg_catalog.array_in'::regproc as array_type, path.place
  from pg_catalog.pg_type ty left join (select ns.oid as home, names.place from pg_namespace ns
       join (select (current_schemas(false))[n] as label, n as place from generate_series(1, array_upper(current_schemas(false), 1)) n) names on names.label = ns.nspname) path on path.home = ty.typnamespace
 where ty.typname = $1 order by path.place, ty.oid desc;

--# drivers/npgsql-type-loading
with scalar as (
    select ty.oid as id, ty.typnamespace as home, ty.typname as label, ty.typnotnull as strict, cl.relkind as shape,
           case when rc.proname = 'array_recv' then 'a' else ty.typtype::text end as sort,
           case when rc.proname = 'array_recv' then ty.typelem when ty.typtype = 'r' then rg.rngsubtype when ty.typtype = 'd' then ty.typbasetype end as inner_id
      from pg_type ty left join pg_class cl on cl.oid = ty.typrelid left join pg_proc rc on rc.oid = ty.typreceive left join pg_range rg on rg.rngtypid = ty.oid)
select sp.nspname, s.id, s.label, s.sort, s.strict, s.inner_id, el.typname as inner_label
  from scalar s join pg_namespace sp on sp.oid = s.home left join pg_type el on el.oid = s.inner_id
 where s.sort in ('a', 'b', 'r', 'm', 'e', 'd') or (s.sort = 'c' and s.shape = 'c') or (s.sort = 'p' and s.label in ('void', 'record', 'unknown'))
 order by position(s.sort in 'bepcram'), s.id;

--# drivers/npgsql-enum-labels
select t.oid, enumlabel from pg_enum join pg_type t on t.oid = enumtypid order by t.oid, enumsortorder;

--# drivers/asyncpg-introspection
--@ args {16,23,25,1043,1009}
with recursive wanted (id, home, label, kind, inside, depth) as (
    select ty.oid, ns.nspname, ty.typname, ty.typtype, ty.typelem, 0 from pg_catalog.pg_type ty join pg_catalog.pg_namespace ns on ns.oid = ty.typnamespace where ty.oid = any ($1::oid[])
    union all
    select ty.oid, ns.nspname, ty.typname, ty.typtype, ty.typelem, w.depth + 1
      from wanted w join pg_catalog.pg_type ty on ty.oid = w.inside and w.inside <> 0 join pg_catalog.pg_namespace ns on ns.oid = ty.typnamespace)
select distinct w.id, w.home, w.label, w.kind, w.depth,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a join pg_type t on t.typrelid = a.attrelid where t.oid = w.id and a.attnum > 0) as fields
  from wanted w order by w.depth desc, w.id;

--# drivers/psycopg-type-info
--@ args claim_status
select t.typname as name, t.oid, t.typarray as array_oid, t.oid::regtype::text as regtype, t.typdelim as delimiter from pg_type t where t.typname = $1;

--# drivers/odbc-preamble
set datestyle = 'ISO';
set extra_float_digits = 2;
show transaction_isolation;
select oid, typbasetype from pg_type where typname = 'lo';
select pg_catalog.pg_get_userbyid(n.nspowner), n.nspname from pg_namespace n where n.nspname = 'stock';

--# drivers/rails-preamble
set client_min_messages to 'warning';
set standard_conforming_strings = on;
set session timezone to 'UTC';
select ty.oid, ty.typname, ty.typelem, ty.typdelim, ty.typinput, ty.typtype, ty.typbasetype, rg.rngsubtype from pg_type ty left join pg_range rg on rg.rngtypid = ty.oid where ty.typname = any (array['bool', 'int4', 'int8', 'numeric', 'oid', 'text', 'timestamp', 'int4range']) order by 1;
select col.attname, format_type(col.atttypid, col.atttypmod), pg_get_expr(df.adbin, df.adrelid), col.attnotnull, col_description(col.attrelid, col.attnum), co.collname
  from pg_attribute col left join pg_attrdef df on df.adrelid = col.attrelid and df.adnum = col.attnum left join pg_type ty on ty.oid = col.atttypid left join pg_collation co on co.oid = col.attcollation and col.attcollation <> ty.typcollation
 where col.attrelid = '"stock"."items"'::regclass and col.attnum > 0 and not col.attisdropped order by col.attnum;

--# drivers/hibernate-sequence
select * from information_schema.sequences order by sequence_schema, sequence_name;

--# drivers/pool-health-check
select 1;
;
select 'ping'::text;
/* ping */ select 1;

--# metabase/fingerprint
--@ masked encounters.*
select encounter_id, patient_id, admitted_at, substring(department, 1, 1234) as department, icd10, age_at_visit, charge from clinic.encounters limit 10000;

--# metabase/fingerprint-star
--@ masked results.*
select * from lab.results limit 10000;

--# metabase/field-values
select "stock"."items"."category" as "category" from "stock"."items" group by "stock"."items"."category" order by "stock"."items"."category" asc limit 1001;

--# metabase/question
select date_trunc('month', "stock"."movements"."moved_at") as "moved_at", sum("stock"."movements"."quantity") as "sum", count(*) as "count" from "stock"."movements"
 where "stock"."movements"."moved_at" >= timestamp '2023-03-01' group by date_trunc('month', "stock"."movements"."moved_at") order by 1 asc;

--# metabase/nested-question
select "source"."department" as "department", count(*) as "count" from (select "clinic"."encounters"."encounter_id" as "encounter_id", "clinic"."encounters"."department" as "department",
       "Patients"."state" as "Patients__state" from "clinic"."encounters" left join "clinic"."patients" as "Patients" on "clinic"."encounters"."patient_id" = "Patients"."patient_id") as "source"
 where "source"."Patients__state" = 'OH' group by "source"."department" order by 1;

--# tableau/temp-table-check
create local temporary table "#Tableau_1_CheckCreateTempTable" ("COL" integer) on commit preserve rows;
insert into "#Tableau_1_CheckCreateTempTable" ("COL") values (1);
select "COL" from "#Tableau_1_CheckCreateTempTable";
drop table "#Tableau_1_CheckCreateTempTable";

--# tableau/extract
select "t0"."department" as "department", sum("t0"."charge") as "sum:charge:ok" from "clinic"."encounters" "t0" inner join "clinic"."patients" "t1" on ("t0"."patient_id" = "t1"."patient_id") group by 1 order by 1;

--# tableau/probe-zero-rows
--@ masked patients.*
select * from "clinic"."patients" "patients" limit 0;

--# powerbi/preamble
select character_set_name from information_schema.character_sets;
select table_schema, table_name, table_type from information_schema.tables where table_schema not in ('information_schema', 'pg_catalog') order by table_schema, table_name;
select column_name, ordinal_position, is_nullable, data_type, case when (data_type like '%unsigned%') then data_type || ' unsigned' else data_type end as data_type from information_schema.columns where table_schema = 'stock' and table_name = 'items' order by ordinal_position;

--# powerbi/folded-query
select "_"."category" as "category", "_"."unit_cost" as "unit_cost" from "stock"."items" "_" where "_"."category" = 'fluid' and "_"."category" is not null order by 2 limit 1000;

--# powerbi/preview
--@ masked claims.*
select "$Table".* from "billing"."claims" "$Table" limit 1000;

--# grafana/time-series
select extract(epoch from date_trunc('day', moved_at)) as time, sum(quantity) as value, department as metric from stock.movements where moved_at between '2023-02-01' and '2023-04-01' group by 1, 3 order by 1, 3;

--# superset/preview
--@ masked notes.*
select * from clinic.notes limit 101 offset 0;

--# looker/explore
with base as (select e.department as "encounters.department", date_trunc('month', m.moved_at)::date as "movements.month", e.charge from clinic.encounters e left join stock.movements m on m.movement_id = e.encounter_id)
select "encounters.department", "movements.month", coalesce(sum(charge), 0) as total from base group by 1, 2 order by 1, 2 limit 500;

--# psql/completion-relations
select c.relname, null::text from pg_catalog.pg_class c where c.relkind in ('r', 'S', 'v', 'm', 'f', 'p') and substring(pg_catalog.quote_ident(c.relname), 1, 3) = 'lev' and pg_catalog.pg_table_is_visible(c.oid)
union all select null::text, n.nspname from pg_catalog.pg_namespace n where substring(n.nspname, 1, 3) = 'sto' order by 1, 2 limit 1000;

--# psql/completion-columns
select distinct a.attname, null::text from pg_catalog.pg_attribute a, pg_catalog.pg_class c, pg_catalog.pg_namespace n
 where c.oid = a.attrelid and n.oid = c.relnamespace and a.attnum > 0 and not a.attisdropped and a.attname like 'i%' and c.relname = 'items' and n.nspname = 'stock' order by 1 limit 1000;

--# psql/completion-settings
select pg_catalog.lower(name) from pg_catalog.pg_settings where pg_catalog.lower(name) like 'work%' order by 1;

--# psql/completion-functions
select p.proname, n.nspname from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.proname like 'reorder%' and pg_catalog.has_schema_privilege(n.oid, 'usage') order by 1;

--# django/introspection
select c.relname, case when c.relispartition then 'p' when c.relkind in ('m', 'v') then 'v' else 't' end, obj_description(c.oid, 'pg_class') from pg_catalog.pg_class c left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('f', 'm', 'p', 'r', 'v') and n.nspname not in ('pg_catalog', 'pg_toast') order by 1;

--# django/constraints
select k.conname, k.contype, rel.reloptions, array(select col.attname from unnest(k.conkey) with ordinality as part (num, place) join pg_attribute col on col.attrelid = k.conrelid and col.attnum = part.num order by part.place) as columns,
       (select target.relname || '.' || col.attname from pg_attribute col join pg_class target on target.oid = col.attrelid where col.attrelid = k.confrelid and col.attnum = k.confkey[1]) as points_to
  from pg_constraint k join pg_class rel on rel.oid = k.conrelid where rel.oid = 'billing.claims'::regclass order by 1;

--# sqlalchemy/columns
select rel.relname, col.attname, pg_catalog.format_type(col.atttypid, col.atttypmod) as type, col.attnotnull, col.attgenerated, de.description,
       (select pg_catalog.pg_get_expr(df.adbin, df.adrelid) from pg_catalog.pg_attrdef df where df.adrelid = col.attrelid and df.adnum = col.attnum and col.atthasdef) as default_value,
       (select pg_catalog.json_build_object('always', col.attidentity = 'a', 'from', sq.seqstart, 'step', sq.seqincrement) from pg_catalog.pg_sequence sq
         where col.attidentity <> '' and sq.seqrelid = cast(cast(pg_catalog.pg_get_serial_sequence(cast(cast(col.attrelid as regclass) as text), col.attname) as regclass) as oid)) as identity
  from pg_catalog.pg_class rel left join pg_catalog.pg_attribute col on col.attrelid = rel.oid and col.attnum > 0 and not col.attisdropped
  left join pg_catalog.pg_description de on de.objoid = col.attrelid and de.objsubid = col.attnum join pg_catalog.pg_namespace ns on ns.oid = rel.relnamespace
 where rel.relkind = any (array['r', 'p', 'f', 'v', 'm']) and ns.nspname = 'stock' order by rel.relname, col.attnum;

--# sqlalchemy/indexes
select pg_catalog.pg_index.indrelid, pg_class_index.relname as relname_index, pg_catalog.pg_index.indisunique, pg_catalog.pg_index.indoption, pg_am.amname, count(*) as elements
  from (select i.indexrelid, i.indrelid, unnest(i.indkey) as attnum, generate_subscripts(i.indkey, 1) as ord from pg_catalog.pg_index i where not i.indisprimary and i.indrelid in ('billing.claims'::regclass, 'stock.items'::regclass)) idx
  join pg_catalog.pg_index using (indexrelid) join pg_catalog.pg_class as pg_class_index on pg_class_index.oid = idx.indexrelid join pg_catalog.pg_am on pg_class_index.relam = pg_am.oid
 group by 1, 2, 3, 4, 5 order by 2;

--# dbt/list-relations
select 'clinic' as database, tablename as name, schemaname as schema, 'table' as type from pg_tables where schemaname ilike 'stock'
union all select 'clinic', viewname, schemaname, 'view' from pg_views where schemaname ilike 'stock' union all select 'clinic', matviewname, schemaname, 'materialized_view' from pg_matviews where schemaname ilike 'reporting' order by 2;

--# dbt/catalog
select pg_database.datname, pg_namespace.nspname, relation.relname, a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.pg_get_userbyid(relation.relowner)
  from pg_catalog.pg_namespace join pg_catalog.pg_class as relation on relation.relnamespace = pg_namespace.oid join pg_catalog.pg_attribute a on a.attrelid = relation.oid, pg_catalog.pg_database
 where pg_database.datname = current_database() and pg_namespace.nspname = 'stock' and relation.relpersistence in ('p', 'u') and relation.relkind in ('r', 'v', 'f', 'p', 'm') and a.attnum > 0 and not a.attisdropped order by 3, 5;

--# dbt/dependencies
with relation as (select pg_class.oid as id, relname, nspname from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname <> 'information_schema' and nspname not like 'pg\_%'),
     links as (select distinct pg_rewrite.ev_class as dependent, pg_depend.refobjid as referenced from pg_rewrite join pg_depend on pg_depend.objid = pg_rewrite.oid and pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.deptype = 'n')
select d.nspname, d.relname, r.nspname, r.relname from links join relation d on d.id = dependent join relation r on r.id = referenced where d.id <> r.id order by 1, 2, 3, 4;
