--# joins/surrogate-key
select p.patient_id, p.state, e.department, e.charge from clinic.patients p join clinic.encounters e on e.patient_id = p.patient_id order by e.encounter_id;

--# joins/using-key
select patient_id, state, department from clinic.patients join clinic.encounters using (patient_id) order by encounter_id;

--# joins/using-several-tables
select encounter_id, status, flag, count(*) from clinic.encounters join billing.claims using (encounter_id) join lab.results using (encounter_id)
 group by 1, 2, 3 order by 1, 2, 3;

--# joins/left
select p.patient_id, count(n.note_id) from clinic.patients p left join clinic.notes n on n.patient_id = p.patient_id group by p.patient_id order by 1;

--# joins/right
select d.name, count(e.encounter_id) from clinic.encounters e right join clinic.departments d on d.name = e.department group by d.name order by d.name;

--# joins/full
select coalesce(t.department, d.name) as ward, t.goal, d.beds from workbench.targets t full join clinic.departments d on d.name = t.department order by 1;

--# joins/cross
select a.title, b.kind from org.units a cross join billing.payers b where a.unit_id < 4 order by 1, 2;

--# joins/comma
select e.encounter_id, d.beds from clinic.encounters e, clinic.departments d where d.name = e.department and d.beds > 10 order by 1;

--# joins/natural
select item_id, department, on_hand, title from stock.levels natural join stock.items where item_id < 30 order by 1, 2;

--# joins/self
select child.title, parent.title as above from org.units child join org.units parent on parent.unit_id = child.parent_id order by child.unit_id;

--# joins/range-condition
select a.item_id, b.item_id as cheaper from stock.items a join stock.items b on b.unit_cost < a.unit_cost and b.category = a.category
 where a.item_id < 15 order by 1, 2;

--# joins/four-tables
select p.state, y.kind, sum(c.billed) as billed, sum(c.paid) as paid
  from clinic.patients p join clinic.encounters e using (patient_id) join billing.claims c using (encounter_id) left join billing.payers y using (payer_id)
 group by p.state, y.kind order by 1, 2;

--# joins/lateral-top-n
select d.name, top.icd10, top.charge from clinic.departments d
 cross join lateral (select icd10, charge from clinic.encounters e where e.department = d.name order by charge desc, encounter_id limit 2) top order by 1, 3 desc;

--# joins/lateral-function
select i.item_id, l.label from stock.items i cross join lateral unnest(i.labels) l (label) where i.item_id < 40 order by 1, 2;

--# joins/left-lateral-on-true
select p.patient_id, last.encounter_id from clinic.patients p
  left join lateral (select encounter_id from clinic.encounters e where e.patient_id = p.patient_id order by encounter_id desc limit 1) last on true order by 1;

--# joins/parenthesised
select a.unit_id, b.title from org.units a join (org.units b join org.units c on c.parent_id = b.unit_id) on b.parent_id = a.unit_id order by 1, 2;

--# joins/join-alias
select j.item_id, j.sku, j.on_hand from (stock.items join stock.levels using (item_id)) as j where j.on_hand = 0 order by 1, 2;

--# joins/on-subquery
select e.encounter_id, s.n from clinic.encounters e join (select encounter_id, count(*) n from lab.results group by encounter_id) s using (encounter_id) order by 1;

--# joins/anti-join
select i.item_id from stock.items i left join stock.levels l on l.item_id = i.item_id and l.department = 'Cardiology' where l.item_id is null order by 1;

--# joins/key-of-protected-table-with-masked-columns
--@ masked ssn=last4 phone=lastx4
select p.ssn, p.phone, e.department, e.charge from clinic.patients p join clinic.encounters e on e.patient_id = p.patient_id order by e.encounter_id;

--# joins/using-key-with-masked-star
--@ masked patients.* encounters.*
select * from clinic.patients join clinic.encounters using (patient_id) order by encounter_id limit 40;

--# joins/left-join-star-of-one
--@ masked patients.*
select p.* from clinic.patients p left join clinic.notes n on n.patient_id = p.patient_id where n.note_id < 20;
