--# views/of-clear-aggregates
select * from reporting.visits order by 1, 2;

--# views/aggregate-over-view
select department, sum(visits) from reporting.visits group by department order by 1;

--# views/join-view-and-table
select v.department, d.beds, sum(v.charge) from reporting.visits v join clinic.departments d on d.name = v.department group by 1, 2 order by 1;

--# views/low-stock
select * from reporting.low_stock order by sku, department;

--# views/materialised
select department, charge, visits from reporting.department_costs order by charge desc;

--# views/materialised-star
select * from reporting.department_costs order by 1;

--# views/of-protected-columns-is-masked
--@ masked mrn=token ssn=last4 first_name=null last_name=null dob=year zip=zip3
select * from reporting.patients order by patient_id;

--# views/some-columns-of-protected-view
--@ masked ssn=last4
select patient_id, ssn, state from reporting.patients where patient_id < 30 order by 1;

--# views/clear-columns-of-protected-view
select state, sex, count(*) from reporting.patients group by state, sex order by 1, 2;

--# views/renamed-protected-column
--@ masked mail=hidden phone=lastx4
select patient_id, mail, phone, visits from reporting.contacts order by patient_id;

--# views/clear-columns-beside-renamed
select patient_id, visits from reporting.contacts where visits > 1 order by 1;

--# views/with-outer-join
--@ masked member_number=token
select * from reporting.open_claims order by claim_id;

--# views/count
select count(*) from reporting.patients;

--# views/join-on-key-of-protected-view
--@ masked ssn=last4
select v.ssn, e.department from reporting.patients v join clinic.encounters e on e.patient_id = v.patient_id order by e.encounter_id limit 20;

--# views/definition
select pg_get_viewdef('reporting.visits'::regclass, true);
