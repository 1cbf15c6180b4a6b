--# protected/each-class
--@ masked patients.*
select patient_id, mrn, ssn, first_name, last_name, dob, sex, phone, email, street, city, state, zip, insurance_member_id, created_at from clinic.patients order by patient_id;

--# protected/star-patients
--@ masked patients.*
select * from clinic.patients;

--# protected/table-patients
--@ masked patients.*
table clinic.patients;

--# protected/star-encounters
--@ masked encounters.*
select * from clinic.encounters order by encounter_id;

--# protected/star-notes
--@ masked notes.*
select * from clinic.notes order by note_id;

--# protected/star-claims
--@ masked claims.*
select * from billing.claims order by claim_id;

--# protected/star-payments
--@ masked payments.*
select * from billing.payments order by payment_id;

--# protected/star-results
--@ masked results.*
select * from lab.results order by result_id;

--# protected/star-payers
--@ masked payers.*
select * from billing.payers order by payer_id;

--# protected/star-people
--@ masked people.*
select * from org.people order by person_id;

--# protected/star-after-extra-columns
--@ masked people.*
select 1 as one, p.*, p.grade * 2 as twice from org.people p order by p.person_id;

--# protected/qualified-star-of-two
--@ masked patients.* encounters.*
select p.*, e.* from clinic.patients p join clinic.encounters e on e.patient_id = p.patient_id order by e.encounter_id limit 30;

--# protected/alias
--@ masked harmless=last4 x=lastx4
select p.ssn as harmless, p.phone as x from clinic.patients as p order by p.patient_id;

--# protected/table-alias-with-column-names
--@ masked c=last4 b=token
select t.c, t.b, t.a from clinic.patients as t (a, b, c) order by t.a limit 20;

--# protected/twice-in-one-row
--@ masked ssn=last4 again=last4
select ssn, ssn as again, patient_id from clinic.patients order by 3 limit 10;

--# protected/one-patient-by-key
--@ masked ssn=last4 first_name=null last_name=null dob=year
select ssn, first_name, last_name, dob from clinic.patients where patient_id = 7;

--# protected/by-parameter
--@ args 7
--@ masked ssn=last4 zip=zip3 email=hidden
select ssn, zip, email, state from clinic.patients where patient_id = $1;

--# protected/filtered-by-clear-column
--@ masked mrn=token zip=zip3
select mrn, zip, sex from clinic.patients where state = 'OH' and sex = 'F' order by patient_id;

--# protected/is-ordered-by-clear-column
--@ masked email=hidden
select email, created_at from clinic.patients order by created_at, patient_id limit 40;

--# protected/scanned-text-with-key
--@ masked author=first1 note=scan
select n.note_id, n.author, n.note from clinic.notes n where n.encounter_id < 30 order by 1;

--# protected/scanned-remark
--@ masked remark=scan technician=first1 device_serial=null
select result_id, technician, device_serial, remark, value, flag from lab.results where encounter_id % 6 = 0 order by 1;

--# protected/null-stays-null
--@ masked remark=scan
select result_id, remark from lab.results where encounter_id < 9 order by 1;

--# protected/age-of-visit
--@ masked age_at_visit=age
select encounter_id, age_at_visit, icd10 from clinic.encounters order by 1;

--# protected/no-op-cast-of-clear-beside
--@ masked ssn=last4
select ssn, state::text, patient_id::text from clinic.patients order by patient_id limit 10;

--# protected/partition-of-clear-data
select movement_id, item_id, quantity from stock.movements_2023 where movement_id < 50 order by 1;

--# protected/partitioned-parent
select * from stock.movements where moved_at < '2023-01-10' order by movement_id;

--# protected/key-share-lock
--@ masked ssn=last4
select p.patient_id, p.ssn from clinic.patients p where p.patient_id = 9 for update;

--# protected/distinct-on-clear-key
--@ masked ssn=last4 dob=year
select distinct on (state, sex) state, sex, ssn, dob from clinic.patients order by state, sex, patient_id;

--# protected/limit-one
--@ masked patients.*
select * from clinic.patients order by created_at desc, patient_id limit 1;

--# protected/star-of-one-side-only
--@ masked encounters.*
select e.* from clinic.patients p join clinic.encounters e on e.patient_id = p.patient_id where p.sex = 'F' order by e.encounter_id limit 30;

--# protected/natural-join-on-key
--@ masked patients.* encounters.*
select * from clinic.patients natural join clinic.encounters order by encounter_id limit 20;

--# protected/join-through-three-tables
--@ masked ssn=last4 member_number=token technician=first1
select p.ssn, c.member_number, r.technician, r.code, r.value from clinic.patients p join clinic.encounters e using (patient_id)
  join billing.claims c using (encounter_id) join lab.results r using (encounter_id) order by r.result_id limit 40;

--# protected/union-all-branch-without-them
--@ masked phone=lastx4
select * from (select patient_id, phone from clinic.patients where patient_id < 10) q order by patient_id;

--# protected/system-columns
--@ masked ssn=last4
select ctid, tableoid::regclass, patient_id, ssn from clinic.patients where patient_id < 10 order by patient_id;

--# protected/row-number-over-page
--@ masked email=hidden
select row_number() over (order by p.patient_id) as n, p.patient_id, p.email, count(*) over () as total from clinic.patients p order by 1 limit 20;

--# protected/lateral-alias
--@ masked s=last4
select p.patient_id, x.s from clinic.patients p cross join lateral (select p.ssn as s) x order by 1 limit 20;

--# protected/values-join
--@ masked ssn=last4
select v.label, p.ssn from (values (1, 'one'), (2, 'two')) v (id, label) join clinic.patients p on p.patient_id = v.id order by v.id;

--# protected/scalar-subquery-by-key
--@ masked ssn=last4
select e.encounter_id, (select p.ssn from clinic.patients p where p.patient_id = e.patient_id) as ssn from clinic.encounters e order by 1 limit 20;

--# protected/where-not-null-on-clear
--@ masked dob=year
select patient_id, dob from clinic.patients where state is not null and sex <> 'X' order by 1 limit 10;

--# protected/count-column
select count(mrn), count(dob), count(*) from clinic.patients where sex = 'F';
