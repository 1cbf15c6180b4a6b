--# select/literals
select 1, 'text', true, null, 1.5, 2::bigint;

--# select/expressions-without-from
select 1 + 1 as two, 'a' || 'b' as ab, upper('abc') as u, coalesce(null, 3) as c, case when true then 'x' end as k;

--# select/clear-columns
select encounter_id, department, icd10, charge from clinic.encounters;

--# select/column-alias
select department as ward, charge as dollars from clinic.encounters;

--# select/quoted-alias
select department as "Ward Name", charge as "Dollars ($)" from clinic.encounters where encounter_id < 20;

--# select/table-alias-with-column-names
select d.ward, d.capacity from clinic.departments as d (ward, capacity) order by ward;

--# select/star-clear-table
select * from clinic.departments;

--# select/table-command
table stock.levels;

--# select/only
select item_id, sku from only stock.items where item_id < 10;

--# select/where-operators
select sku, unit_cost from stock.items where unit_cost between 10 and 60 and category in ('fluid', 'device') and title ilike '%type 3%';

--# select/where-null-tests
select item_id, shelf_life from stock.items where shelf_life is not null and shelf_life > interval '1 year';

--# select/is-distinct-from
select count(*) from stock.movements where reason is distinct from 'loss';

--# select/row-comparison
select item_id, department from stock.levels where (item_id, department) > (100, 'E') order by item_id, department;

--# select/case-buckets
select encounter_id, case when charge < 1000 then 'low' when charge < 10000 then 'middle' else 'high' end as band
  from clinic.encounters order by encounter_id;

--# select/coalesce-nullif
select item_id, coalesce(shelf_life, interval '1 month') as life, nullif(category, 'fluid') as c from stock.items order by 1;

--# select/casts
select item_id::text, unit_cost::int, unit_cost::text as cost, '2024-02-29'::date as leap from stock.items order by item_id limit 12;

--# select/arithmetic-of-clear-columns
select encounter_id, charge * 1.19 as gross, round(charge / 3, 2) as third, -charge as negative, charge % 7 as rest from clinic.encounters;

--# select/greatest-least
select item_id, greatest(on_hand, reorder_at) as g, least(on_hand, reorder_at) as l from stock.levels where department like 'C%' order by 1;

--# select/distinct-clear
select distinct department from clinic.encounters;

--# select/distinct-two-columns
select distinct sex, state from clinic.patients;

--# select/distinct-on-clear
select distinct on (department) department, icd10, charge from clinic.encounters order by department, charge desc, encounter_id;

--# select/order-by-position
select department, icd10, charge from clinic.encounters order by 1, 3 desc, 2;

--# select/order-by-alias
select encounter_id, charge * 2 as twice from clinic.encounters order by twice desc, encounter_id limit 20;

--# select/order-by-expression
select sku from stock.items order by lower(title), unit_cost * -1, sku;

--# select/order-by-nulls-last
select item_id, shelf_life from stock.items order by shelf_life desc nulls last, item_id;

--# select/order-by-star-position
select * from stock.levels order by 3 desc, 1, 2 limit 30;

--# select/in-list-of-keys
select patient_id, state, sex from clinic.patients where patient_id in (3, 5, 8, 13, 21);

--# select/any-array-of-keys
select patient_id, state from clinic.patients where patient_id = any (array[2, 4, 6]::bigint[]);

--# select/tablesample-repeatable
select count(*) between 0 and 120 from stock.items tablesample bernoulli (50) repeatable (7);

--# select/for-share
select item_id, title from stock.items where item_id = 3 for share;

--# select/now-and-user
select now() is not null, current_user, current_schema, current_database(), session_user, version() like 'PostgreSQL%';

--# select/values-list
values (1, 'one'), (2, 'two'), (3, null) order by 1 desc;

--# select/values-joined
select v.name, count(e.encounter_id) from (values ('Cardiology'), ('Oncology'), ('Nothing')) v (name)
  left join clinic.encounters e on e.department = v.name group by v.name order by v.name;

--# select/generate-series
select g, g * g as square from generate_series(1, 20) g;

--# select/generate-dates
select d::date from generate_series(date '2024-01-01', date '2024-03-01', interval '1 week') d;

--# select/with-ordinality
select word, position from unnest(array['a', 'b', 'c']) with ordinality as t (word, position);

--# select/empty-result
select encounter_id from clinic.encounters where false;

--# select/no-columns
select from stock.items where item_id < 4;

--# select/limit-expression
select item_id from stock.items order by item_id limit 2 + 3 offset 10 / 2;

--# select/comments-and-case
SELECT /* the ward */ department -- clear
  , CHARGE FROM clinic.Encounters WHERE Encounter_ID = 4;

--# select/quoted-identifiers
select "encounter_id", "e"."department" from "clinic"."encounters" as "e" where "e"."encounter_id" = 5;

--# select/dollar-quoted-text
select $$it's here$$ as a, $tag$ and $$ there $tag$ as b, E'tab\there' as c, U&'\0041' as d;

--# select/parameters
--@ args 12|OH
select encounter_id, department from clinic.encounters e join clinic.patients p using (patient_id) where e.encounter_id > $1 and p.state = $2 order by 1;

--# select/parameter-array
--@ args {1,3,5}
select item_id, sku from stock.items where item_id = any ($1::int[]) order by item_id;

--# select/parameter-types
--@ args 5|2024-01-15|text|t|1.5
select $1::int + 1, $2::date + 1, $3::text || '!', not $4::bool, $5::numeric * 2;

--# select/empty-statement
;

--# select/trusted-function
select item_id, stock.reorder_point(on_hand, 3) from stock.levels where item_id < 9 order by 1, 2;
