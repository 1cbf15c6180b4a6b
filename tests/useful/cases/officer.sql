--# officer/star
--@ role priya
select * from clinic.patients order by patient_id;

--# officer/expressions
--@ role priya
select upper(first_name) || ' ' || last_name, substring(ssn from 8), extract(year from dob), coalesce(phone, email) from clinic.patients order by patient_id;

--# officer/filter
--@ role priya
select patient_id from clinic.patients where ssn like '9%' or dob < '1930-01-01' or email ilike '%@example%' order by 1;

--# officer/aggregates
--@ role priya
select zip, count(distinct ssn), min(dob), max(dob), string_agg(last_name, ',' order by last_name) from clinic.patients group by zip order by zip;

--# officer/join-on-protected
--@ role priya
select count(*) from clinic.patients a join clinic.patients b on a.dob = b.dob and a.patient_id < b.patient_id;

--# officer/whole-row
--@ role priya
select to_jsonb(p) from clinic.patients p where patient_id < 4 order by patient_id;

--# officer/copy
--@ role priya
copy clinic.patients to stdout with csv header;

--# officer/set-operation
--@ role priya
select email from clinic.patients union select email from org.people order by 1;

--# officer/temp-copy
--@ role priya
create temp table copied as select * from clinic.patients where patient_id < 10;
select * from copied order by patient_id;

--# officer/notes
--@ role priya
select note_id, author, written_at, note from clinic.notes where note ~* 'pressure|BP' order by note_id;

--# officer/update-returning
--@ role priya
begin;
update clinic.patients set phone = '(555) 555-0000' where patient_id = 3 returning patient_id, phone, ssn;
rollback;

--# officer/delete-by-protected
--@ role priya
begin;
delete from clinic.notes where author = 'nobody' or written_at < '1900-01-01' returning note_id;
rollback;

--# officer/view
--@ role priya
begin;
create view workbench.everything as select * from clinic.patients;
select count(ssn) from workbench.everything;
rollback;
