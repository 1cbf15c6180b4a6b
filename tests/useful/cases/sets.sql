--# sets/union
select department from clinic.encounters union select department from stock.levels order by 1;

--# sets/union-all
select 'item' as kind, count(*) from stock.items union all select 'level', count(*) from stock.levels union all select 'patient', count(*) from clinic.patients;

--# sets/intersect
select department from clinic.encounters intersect select name from clinic.departments order by 1;

--# sets/except
select item_id from stock.items except select item_id from stock.levels where on_hand > 40 order by 1;

--# sets/except-all
select item_id from stock.movements except all select item_id from stock.items order by 1;

--# sets/nested-with-parentheses
(select item_id from stock.items where item_id < 5 union select item_id from stock.items where item_id > 118) except select 3 order by 1;

--# sets/union-with-null-column
select patient_id, state, null::text as department from clinic.patients where patient_id < 4
union all select patient_id, null, department from clinic.encounters where encounter_id < 4 order by 1, 2, 3;

--# sets/in-subquery
select count(*) from (select patient_id from clinic.encounters union select patient_id from clinic.notes) k;

--# sets/order-by-alias-and-limit
(select sku as name, unit_cost as amount from stock.items) union all (select icd10, charge from clinic.encounters) order by amount desc, name limit 25;

--# sets/values-union
values ('a', 1) union all select category, count(*) from stock.items group by category order by 1;

--# sets/union-of-clear-columns-of-protected-tables
select state from clinic.patients where patient_id < 100 union select sex from clinic.patients order by 1;
