--# copy/table-text
copy stock.levels to stdout;

--# copy/query-csv-header
copy (select department, count(*) as n, sum(charge) from clinic.encounters group by department order by 1) to stdout with (format csv, header);

--# copy/query-binary
copy (select item_id, sku, unit_cost, labels from stock.items order by item_id) to stdout (format binary);

--# copy/columns
copy stock.items (item_id, sku, title) to stdout with (format csv, delimiter ';', quote '''', force_quote *);

--# copy/clear-columns-of-protected-table
copy clinic.patients (patient_id, sex, state) to stdout;

--# copy/query-over-clear-columns-of-protected-table
copy (select patient_id, state from clinic.patients order by 1) to stdout with csv;

--# copy/view
copy (select * from reporting.visits order by 1, 2) to stdout;

--# copy/protected-query-comes-masked
--@ masked ssn=last4 dob=year
--@ columns patient_id ssn dob state
copy (select patient_id, ssn, dob, state from clinic.patients order by patient_id) to stdout;

--# copy/protected-table-comes-masked
--@ masked people.*
--@ columns person_id unit_id full_name email phone grade hired_on badge born_on home_zip
copy org.people to stdout;
