-- What stands beside the made-up clinic for the useful set: billing, laboratory, stock room, staff, reports, and a
-- workbench where analysts may make tables of their own. Every row is a function of its number.
set client_min_messages = warning;
set timezone = 'UTC';
begin;

create schema org;
create table org.units (unit_id int primary key, parent_id int references org.units, title text not null);
insert into org.units values
    (1, null, 'Clinic'), (2, 1, 'Medicine'), (3, 1, 'Surgery'), (4, 2, 'Cardiology'), (5, 2, 'Oncology'),
    (6, 3, 'Orthopedics'), (7, 3, 'Emergency'), (8, 4, 'Catheter laboratory'), (9, 5, 'Day clinic');
create table org.people (
    person_id int primary key, unit_id int not null references org.units, full_name text, email text, phone text,
    grade int not null, hired_on date not null, badge text, born_on date, home_zip text);
insert into org.people
select n, 1 + n % 9, 'Xq' || md5('person' || n), 'xq' || n || md5('mail' || n) || '@example.net',
       '(555) 555-' || lpad((3000 + n)::text, 4, '0'), 1 + n % 5, date '2012-01-01' + n * 37,
       'XQB' || n * 7919, date '1960-02-03' + n * 101, '430' || lpad((n % 90 + 10)::text, 2, '0')
  from generate_series(1, 60) n;
comment on table org.people is 'Staff of the clinic';
comment on column org.people.grade is '1 junior to 5 head';

create schema billing;
create table billing.payers (payer_id int primary key, title text not null unique, kind text not null, active boolean not null,
    contact_email text, contact_phone text);
insert into billing.payers
select n, 'Payer ' || chr(64 + n), (array['public', 'private', 'self'])[1 + n % 3], n % 4 <> 0,
       'xqp' || n || '@example.com', '(555) 555-' || lpad((7000 + n)::text, 4, '0') from generate_series(1, 12) n;
create type billing.claim_status as enum ('open', 'paid', 'denied', 'appealed');
create table billing.claims (
    claim_id bigint primary key, encounter_id bigint not null references clinic.encounters, payer_id int references billing.payers,
    member_number text not null, status billing.claim_status not null, billed numeric(10,2) not null, paid numeric(10,2),
    filed_on date not null, lines jsonb not null, check (billed >= 0));
insert into billing.claims
select e.encounter_id, e.encounter_id, nullif(1 + e.encounter_id % 13, 13), 'XQM' || lpad((e.encounter_id * 7919 % 1000003)::text, 9, '4'),
       (enum_range(null::billing.claim_status))[1 + e.encounter_id % 4], e.charge,
       case when e.encounter_id % 4 = 1 then round(e.charge * 0.8, 2) end, (e.admitted_at at time zone 'UTC')::date + 3,
       jsonb_build_array(jsonb_build_object('code', e.icd10, 'units', 1 + e.encounter_id % 3, 'amount', e.charge),
                         jsonb_build_object('code', 'Z00.0', 'units', 1, 'amount', 25))
  from clinic.encounters e;
create index claims_encounter on billing.claims (encounter_id);
create index claims_open on billing.claims (payer_id) where status = 'open';
create table billing.payments (
    payment_id bigint primary key, claim_id bigint not null references billing.claims on delete cascade, amount numeric(10,2) not null,
    method text not null, iban text, booked_month date not null);
insert into billing.payments
select row_number() over (order by claim_id, part), claim_id, round(paid / 2, 2), (array['wire', 'check', 'card'])[1 + (claim_id % 3)::int],
       'DE89' || lpad((claim_id * 104729 % 999999937)::text, 18, '7'), date '2023-01-01' + ((claim_id + part) % 24)::int * interval '1 month'
  from billing.claims, generate_series(1, 2) part where paid is not null;

create schema lab;
create table lab.tests (code text primary key, title text not null, unit text, low numeric, high numeric, panels text[] not null);
insert into lab.tests values
    ('GLU', 'Glucose', 'mg/dL', 70, 99, '{metabolic,basic}'), ('NA', 'Sodium', 'mmol/L', 135, 145, '{metabolic,basic}'),
    ('K', 'Potassium', 'mmol/L', 3.5, 5.1, '{metabolic,basic}'), ('HGB', 'Hemoglobin', 'g/dL', 12, 17.5, '{blood}'),
    ('WBC', 'Leukocytes', '10^9/L', 4, 11, '{blood}'), ('CRP', 'C-reactive protein', 'mg/L', null, 5, '{}'),
    ('TSH', 'Thyrotropin', 'mU/L', 0.4, 4, '{thyroid}');
create table lab.results (
    result_id bigint primary key, encounter_id bigint not null references clinic.encounters, code text not null references lab.tests,
    value numeric(8,2), flag text, collected_at timestamptz not null, technician text, device_serial text, remark text,
    sample text);
insert into lab.results
select row_number() over (order by e.encounter_id, t.code), e.encounter_id, t.code,
       case when (e.encounter_id + ascii(t.code)) % 11 <> 0
            then round(coalesce(t.low, 1) + (coalesce(t.high, 9) - coalesce(t.low, 1)) * ((e.encounter_id * 31 + ascii(t.code)) % 150) / 100, 2) end,
       (array['', 'H', 'L', null])[1 + (e.encounter_id % 4)::int], e.admitted_at + interval '2 hours',
       'Xqt' || md5('tech' || e.encounter_id % 5), 'XQD-' || lpad((e.encounter_id % 17 * 99991)::text, 8, '6'),
       case when e.encounter_id % 6 = 0 then 'hemolysed, call (555) 555-' || lpad((6000 + e.encounter_id % 900)::text, 4, '0') end,
       'XQS' || e.encounter_id * 104729
  from clinic.encounters e join lab.tests t on (e.encounter_id + ascii(t.title)) % 3 = 0;
create index results_encounter on lab.results (encounter_id, code);

create schema stock;
create table stock.items (
    item_id int primary key, sku text not null unique, title text not null, category text not null, unit_cost numeric(8,2) not null,
    attributes jsonb not null default '{}', labels text[] not null default '{}', shelf_life interval, dimensions int4range);
insert into stock.items
select n, 'SKU-' || lpad(n::text, 4, '0'), (array['Gauze pad', 'Syringe', 'Nitrile glove', 'Saline bag', 'Catheter'])[1 + n % 5] || ' type ' || n % 7,
       (array['dressing', 'injection', 'protection', 'fluid', 'device'])[1 + n % 5], round((n * 37 % 1000) / 7.0, 2),
       jsonb_build_object('color', (array['blue', 'white', null])[1 + n % 3], 'size', jsonb_build_object('w', n % 9, 'h', n % 4), 'sterile', n % 2 = 0),
       case n % 4 when 0 then '{cold,fragile}'::text[] when 1 then '{bulk}'::text[] else '{}'::text[] end,
       case when n % 3 > 0 then n % 5 * interval '6 months' end, int4range(n, n + n % 10)
  from generate_series(1, 120) n;
create index items_words on stock.items using gin (to_tsvector('english', title));
create table stock.levels (
    item_id int references stock.items, department text, on_hand int not null check (on_hand >= 0), reorder_at int not null,
    counted_on date not null, primary key (item_id, department));
insert into stock.levels
select i.item_id, d.name, (i.item_id * 13 + ascii(d.name)) % 90, 20, date '2024-03-01' - (i.item_id % 60)
  from stock.items i join clinic.departments d on (i.item_id + ascii(d.name)) % 3 = 0;
create table stock.movements (
    movement_id bigint generated by default as identity, item_id int not null references stock.items, department text, moved_at timestamp not null,
    quantity int not null, reason text, primary key (movement_id, moved_at)) partition by range (moved_at);
create table stock.movements_2023 partition of stock.movements for values from ('2023-01-01') to ('2024-01-01');
create table stock.movements_2024 partition of stock.movements for values from ('2024-01-01') to ('2025-01-01');
insert into stock.movements (movement_id, item_id, department, moved_at, quantity, reason)
select n, 1 + n % 120, (select name from clinic.departments order by name offset n % 3 limit 1), timestamp '2023-01-01' + n * interval '17 hours',
       n % 21 - 10, (array['delivery', 'use', 'loss', null])[1 + n % 4]
  from generate_series(1, 800) n;
select setval(pg_get_serial_sequence('stock.movements', 'movement_id'), 1000);
create function stock.reorder_point(daily numeric, days int) returns numeric language sql immutable as 'select daily * days';
comment on function stock.reorder_point is 'Units to keep for so many days';

create schema reporting;
create view reporting.patients as
    select patient_id, mrn, ssn, first_name, last_name, dob, sex, state, zip from clinic.patients;
create view reporting.contacts as
    select p.patient_id, p.phone, p.email as mail, count(e.encounter_id) as visits
      from clinic.patients p left join clinic.encounters e using (patient_id) group by p.patient_id;
create view reporting.visits as
    select department, icd10, count(*) as visits, sum(charge) as charge from clinic.encounters group by department, icd10;
create view reporting.low_stock as
    select i.sku, i.title, l.department, l.on_hand from stock.levels l join stock.items i using (item_id) where l.on_hand < l.reorder_at;
create view reporting.open_claims as
    select c.claim_id, c.encounter_id, p.title as payer, c.member_number, c.billed from billing.claims c left join billing.payers p using (payer_id)
     where c.status = 'open';
create materialized view reporting.department_costs as
    select department, sum(charge) as charge, count(*) as visits from clinic.encounters group by department;
create unique index on reporting.department_costs (department);

-- Analysts may make, change and drop what is theirs here.
create schema workbench authorization gateway;
create table workbench.targets (department text primary key, goal numeric not null, note text);
insert into workbench.targets select name, 1000 * beds, null from clinic.departments;
alter table workbench.targets owner to gateway;

grant usage on schema org, billing, lab, stock, reporting to gateway;
grant select on all tables in schema org, billing, lab, reporting to gateway;
grant select, insert, update, delete on all tables in schema stock to gateway;
grant usage, select on all sequences in schema stock to gateway;
commit;
vacuum analyze;
