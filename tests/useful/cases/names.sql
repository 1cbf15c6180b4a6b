--# names/clear-column-called-like-a-protected-one
select state as ssn, sex as phone from clinic.patients order by patient_id limit 20;

--# names/clear-subquery-column-called-like-a-protected-one
select q.ssn, q.dob from (select department as ssn, charge as dob from clinic.encounters order by encounter_id limit 10) q where q.dob > 0 order by q.ssn, q.dob;

--# names/group-by-clear-column-called-like-a-protected-one
select q.email, count(*) from (select category as email from stock.items) q group by q.email order by q.email;

--# names/cte-called-like-a-protected-table
with patients as (select item_id, sku as ssn, category from stock.items) select * from patients where ssn like 'SKU-00%' order by item_id;

--# names/cte-called-like-a-protected-table-with-its-columns
with encounters (encounter_id, admitted_at, age_at_visit) as (select item_id, category, unit_cost from stock.items)
select admitted_at, sum(age_at_visit) from encounters group by admitted_at order by 1;

--# names/table-alias-called-like-a-protected-table
select patients.sku, patients.title from stock.items patients where patients.item_id < 5 order by patients.sku;

--# names/temp-table-called-like-a-protected-table
create temp table patients (patient_id int, ssn text, note text);
insert into patients values (1, 'mine', 'x');
select ssn, upper(note) from pg_temp.patients where ssn = 'mine';

--# names/column-and-table-of-one-name
select department.department from (select department from clinic.encounters group by department) department order by 1;

--# names/inner-alias-hides-outer
select p.patient_id from clinic.patients p where exists (select 1 from stock.items p where p.item_id = 3 and p.sku like 'SKU%') and p.patient_id < 4 order by 1;

--# names/order-by-output-name-before-input-name
select department as icd10, charge from clinic.encounters order by icd10, charge, encounter_id limit 20;

--# names/function-and-column-of-one-name
select lower(title) as lower, length(sku) as length from stock.items order by lower, length, item_id limit 10;

--# names/mixed-case-quoted-aliases
select x."Ward", x."Total Charge" from (select department as "Ward", sum(charge) as "Total Charge" from clinic.encounters group by department) x order by x."Ward";

--# names/join-using-alias
select k.item_id, i.sku, l.on_hand from stock.items i join stock.levels l using (item_id) as k where k.item_id < 6 order by 1, 3;

--# names/database-qualified
select clinic.clinic.departments.name from clinic.clinic.departments order by 1;

--# names/long-identifier-is-truncated
select 1 as abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz;

--# names/unicode-identifier
select department as "Stürme", U&"\0061bc".charge from clinic.encounters as U&"\0061bc" where encounter_id = 3;

--# names/rows-from
select t.a, t.b from rows from (generate_series(1, 3), unnest(array['x', 'y', 'z'])) as t (a, b);

--# names/field-of-a-row-of-a-clear-table
select (i).sku, (i).unit_cost from stock.items i where (i).item_id < 5 order by 1;

--# names/whole-row-of-a-clear-table
select d from clinic.departments d order by d.name;

--# names/star-expansion-in-row-constructor
select row(d.*) from clinic.departments d order by d.name;
