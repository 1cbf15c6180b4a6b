--# paging/limit-offset
select encounter_id, department from clinic.encounters order by encounter_id limit 10 offset 20;

--# paging/fetch-first
select item_id from stock.items order by unit_cost desc, item_id offset 5 rows fetch first 7 rows only;

--# paging/with-ties
select category, unit_cost from stock.items order by category fetch first 3 rows with ties;

--# paging/keyset
select encounter_id, department from clinic.encounters where encounter_id > 40 order by encounter_id limit 20;

--# paging/keyset-two-columns
select department, encounter_id from clinic.encounters where (department, encounter_id) > ('Cardiology', 50) order by department, encounter_id limit 20;

--# paging/count-over
select item_id, sku, count(*) over () as total from stock.items order by item_id limit 10;

--# paging/parameters
--@ args 10|20
select patient_id, state, sex from clinic.patients order by patient_id limit $1 offset $2;

--# paging/masked-page
--@ masked ssn=last4 first_name=null dob=year
select patient_id, ssn, first_name, dob, state from clinic.patients order by patient_id limit 25 offset 50;

--# paging/masked-keyset
--@ args 100|15
--@ masked patients.*
select * from clinic.patients where patient_id > $1 order by patient_id limit $2;

--# paging/masked-page-ordered-by-clear-join-column
--@ masked phone=lastx4
select p.patient_id, p.phone, e.charge from clinic.patients p join clinic.encounters e using (patient_id) order by e.charge desc, e.encounter_id limit 10;

--# paging/page-and-total-in-one
select (select count(*) from stock.movements), m.movement_id from stock.movements m order by 2 desc limit 5;
