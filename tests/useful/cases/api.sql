--# postgrest/read
with source as (select stock.items.item_id, stock.items.sku, stock.items.unit_cost from stock.items where stock.items.category = 'fluid' order by stock.items.item_id limit 10 offset 0)
select null::bigint as total, pg_catalog.count(t) as page, coalesce(json_agg(t), '[]')::text as body, nullif(current_setting('response.headers', true), '') as headers from (select * from source) t;

--# postgrest/embedded
select e.department, coalesce(json_agg(v order by v.encounter_id), '[]') from clinic.departments d join lateral (select x.encounter_id, x.icd10, x.charge, x.department from clinic.encounters x where x.department = d.name) v on true
  join clinic.encounters e on e.encounter_id = v.encounter_id group by e.department order by 1;

--# hasura/object
select coalesce(json_agg("root"), '[]') as "root" from (select row_to_json((select "_e" from (select "_base"."item_id" as "item_id", "_base"."sku" as "sku") as "_e")) as "root" from (select * from "stock"."items" where "item_id" < 6 order by "item_id") as "_base") as "_root";

--# postgraphile/page
with __local_0__ as (select to_json(json_build_object('itemId', i.item_id, 'sku', i.sku)) as "@nodes" from (select i.* from stock.items i where true order by i.item_id limit 5) i),
     __local_1__ as (select json_agg(to_json(__local_0__)) as data from __local_0__)
select coalesce((select __local_1__.data from __local_1__), '[]'::json) as data, exists (select 1 from stock.items offset 5) as "hasNextPage", (select json_build_object('totalCount', count(1)) from stock.items) as aggregates;

--# superset/virtual-dataset
select department as department, sum(charge) as "SUM(charge)" from (select e.department, e.charge, p.state from clinic.encounters e join clinic.patients p using (patient_id)) as virtual_table where state in ('OH') group by department order by "SUM(charge)" desc limit 1000;

--# superset/virtual-dataset-masked
--@ masked patients.*
select * from (select * from clinic.patients) as virtual_table order by patient_id limit 1001;

--# tableau/custom-sql
--@ masked ssn=last4 dob=year
select * from (select patient_id, ssn, dob, state from clinic.patients) "Custom SQL Query" limit 1;

--# tableau/number-of-records
select sum(1) as "sum:Number of Records:ok", "t0"."state" as "state" from "clinic"."patients" "t0" group by 2 order by 2;

--# metabase/binned
select floor("source"."charge" / 5000.0) * 5000.0 as "charge", count(*) as "count" from (select "clinic"."encounters"."charge" as "charge" from "clinic"."encounters") as "source" group by 1 order by 1;

--# metabase/row-count-and-first-rows
--@ masked patients.*
select count(*) as "count" from "clinic"."patients";
select "clinic"."patients"."patient_id" as "patient_id", "clinic"."patients"."ssn" as "ssn", "clinic"."patients"."phone" as "phone", "clinic"."patients"."state" as "state" from "clinic"."patients" order by 1 limit 2000;

--# redash/schema
select s.nspname as table_schema, c.relname as table_name, a.attname as column_name, null as column_type from pg_class c join pg_namespace s on c.relnamespace = s.oid and s.nspname not in ('pg_catalog', 'information_schema') join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relkind in ('m', 'f', 'p') order by 1, 2, 3;

--# powerbi/nested-join
select "$Outer"."department", "$Outer"."charge", "$Inner"."beds" from (select "_"."encounter_id", "_"."department", "_"."charge" from "clinic"."encounters" "_") "$Outer" left outer join (select "_"."name" as "n", "_"."beds" from "clinic"."departments" "_") "$Inner" on ("$Outer"."department" = "$Inner"."n") order by "$Outer"."encounter_id" limit 1000;

--# grafana/variables-and-table
select distinct category as __text, category as __value from stock.items order by 1;
select to_timestamp(floor(extract(epoch from moved_at) / 604800) * 604800) at time zone 'UTC' as time, count(*) from stock.movements group by 1 order by 1;

--# airflow/sensor
select case when count(*) > 0 then 1 else 0 end from stock.movements where moved_at >= date '2024-01-01';

--# great-expectations/column-map
select sum(case when (sku is null) then 1 else 0 end) as unexpected, count(*) as n, sum(case when not (unit_cost between 0 and 1000) then 1 else 0 end) as outside from stock.items;

--# odata/top-and-count
select count(*) from (select i.item_id from stock.items i where (lower(i.title) like '%saline%')) as c;

--# pgbouncer-style/reset
select pg_advisory_unlock_all();
close all;
unlisten *;
reset all;

--# pgbouncer-style/discard-all
discard all;

--# pool/reset-in-one-text
set work_mem = '5MB';
select pg_advisory_unlock_all();
close all;
unlisten *;
reset all;
show work_mem;

--# orm/advisory-transaction-lock
begin;
select pg_advisory_xact_lock(4711);
select pg_try_advisory_xact_lock(4712);
commit;

--# flyway/schema-history-probe
select exists (select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'workbench' and c.relname = 'flyway_schema_history' and c.relkind in ('r', 'p'));

--# prisma/introspection
select cols.table_schema, cols.table_name, cols.column_name, cols.data_type, cols.is_nullable, cols.is_identity, format_type(att.atttypid, att.atttypmod) as full_type, pg_get_expr(df.adbin, df.adrelid) as default_value, de.description
  from information_schema.columns cols join (select rel.oid, rel.relname, ns.nspname from pg_class rel join pg_namespace ns on ns.oid = rel.relnamespace and ns.nspname = any (array['stock', 'billing'])) known on known.relname = cols.table_name and known.nspname = cols.table_schema
  join pg_attribute att on att.attrelid = known.oid and att.attname = cols.column_name left join pg_attrdef df on df.adrelid = att.attrelid and df.adnum = att.attnum
  left join pg_description de on de.objoid = att.attrelid and de.objsubid = cols.ordinal_position order by 1, 2, cols.ordinal_position;

--# typeorm/tables
select "table_schema", "table_name", obj_description(('"' || "table_schema" || '"."' || "table_name" || '"')::regclass, 'pg_class') as table_comment from "information_schema"."tables" where ("table_schema" = 'org' and "table_name" = 'people') or ("table_schema" = 'stock' and "table_name" = 'items') order by 1, 2;

--# sequelize/indexes
select ix.relname as label, x.indisunique, x.indisprimary, x.indkey, array_agg(col.attname order by col.attnum) as columns, pg_get_indexdef(x.indexrelid) as definition
  from pg_index x, pg_class ix, pg_class rel, pg_attribute col, pg_namespace ns where rel.oid = x.indrelid and ix.oid = x.indexrelid and col.attrelid = rel.oid and rel.relkind = 'r' and ns.oid = rel.relnamespace and ns.nspname = 'stock' and rel.relname = 'levels'
 group by ix.relname, x.indexrelid, x.indisunique, x.indisprimary, x.indkey order by 1;

--# gorm/has-table-and-column
select count(*) from information_schema.tables where table_schema = current_schema() and table_name = 'items' and table_type = 'BASE TABLE';
select count(*) from information_schema.columns where table_schema = 'stock' and table_name = 'items' and column_name = 'sku';
