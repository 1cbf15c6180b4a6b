--# subqueries/from
select q.department, q.n from (select department, count(*) n from clinic.encounters group by department) q where q.n > 2 order by 1;

--# subqueries/scalar
select name, (select count(*) from clinic.encounters e where e.department = d.name) as visits from clinic.departments d order by name;

--# subqueries/scalar-in-where
select encounter_id from clinic.encounters where charge > (select avg(charge) from clinic.encounters) order by 1;

--# subqueries/exists
select p.patient_id, p.state from clinic.patients p where exists (select 1 from clinic.encounters e where e.patient_id = p.patient_id and e.charge > 20000) order by 1;

--# subqueries/not-exists
select i.item_id from stock.items i where not exists (select from stock.movements m where m.item_id = i.item_id and m.reason = 'loss') order by 1;

--# subqueries/exists-star
select d.name from clinic.departments d where exists (select * from clinic.encounters e where e.department = d.name) order by 1;

--# subqueries/exists-star-of-protected-table
select e.encounter_id from clinic.encounters e where exists (select * from clinic.patients p where p.patient_id = e.patient_id and p.state = 'OH') order by 1;

--# subqueries/in-keys
select encounter_id, department from clinic.encounters where patient_id in (select patient_id from clinic.patients where state = 'OH' and sex = 'F') order by 1;

--# subqueries/not-in-keys
select count(*) from clinic.encounters where patient_id not in (select patient_id from clinic.notes where note_id < 50);

--# subqueries/any-all
select sku from stock.items where unit_cost >= all (select unit_cost from stock.items where category = 'fluid') or item_id = any (select item_id from stock.levels where on_hand = 0) order by 1;

--# subqueries/row-in
select item_id, department, quantity from stock.movements where (item_id, department) in (select item_id, department from stock.levels where on_hand < 10) order by movement_id;

--# subqueries/correlated-aggregate
select e.encounter_id, e.charge - (select avg(x.charge) from clinic.encounters x where x.department = e.department) as difference from clinic.encounters e order by 1;

--# subqueries/array-constructor
select d.name, array(select icd10 from clinic.encounters e where e.department = d.name order by encounter_id limit 3) from clinic.departments d order by 1;

--# subqueries/select-exists
select exists (select 1 from clinic.patients where patient_id = 3), not exists (select 1 from clinic.patients where patient_id = -1);

--# subqueries/deep
select a from (select b as a from (select c as b from (select item_id as c from stock.items) x) y) z where a < 9 order by a;

--# subqueries/values-in-from
select v.a + v.b from (values (1, 2), (3, 4)) as v (a, b);

--# subqueries/protected-renamed-twice
--@ masked s=last4
select q.s, q.state from (select r.ssn as s, r.state from (select ssn, state, patient_id from clinic.patients) r where r.patient_id < 20) q;

--# subqueries/star-of-protected-table
--@ masked patients.*
select * from (select * from clinic.patients) q where q.patient_id < 20;

--# subqueries/lateral-of-notes
--@ masked note=scan
select p.patient_id, l.note from clinic.patients p, lateral (select note from clinic.notes n where n.patient_id = p.patient_id order by note_id limit 1) l order by 1;

--# subqueries/scalar-key-of-protected-table
select e.encounter_id, (select p.state from clinic.patients p where p.patient_id = e.patient_id) as state from clinic.encounters e order by 1;
