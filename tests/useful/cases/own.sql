--# own/temp-table
create temp table scratch (id int, name text);
insert into scratch values (1, 'one'), (2, 'two');
select * from scratch order by id;
drop table scratch;

--# own/temp-table-as-select-of-clear-columns
create temp table wards as select department, count(*) as n, sum(charge) as charge from clinic.encounters group by department;
select * from wards order by department;

--# own/temp-table-on-commit-drop
begin;
create temporary table t on commit drop as select encounter_id, charge from clinic.encounters where charge > 10000;
select count(*) from t;
commit;

--# own/temp-table-joined-with-real-one
create temp table chosen (patient_id bigint primary key);
insert into chosen select patient_id from clinic.patients where state = 'OH';
select p.patient_id, p.sex, count(e.encounter_id) from chosen c join clinic.patients p using (patient_id) left join clinic.encounters e using (patient_id) group by 1, 2 order by 1;

--# own/temp-table-of-keys-beside-masked-columns
--@ masked ssn=last4 phone=lastx4
create temp table chosen (patient_id bigint);
insert into chosen values (3), (5), (8);
select p.patient_id, p.ssn, p.phone from clinic.patients p join chosen using (patient_id) order by 1;

--# own/temp-table-index-and-analyze
create temp table big as select g as id, g % 7 as k from generate_series(1, 500) g;
create index on big (k);
analyze big;
select k, count(*) from big group by k order by k;

--# own/temp-view
create temp view busy as select department, count(*) n from clinic.encounters group by department;
select * from busy order by 1;

--# own/select-into-temp
select item_id, sku, unit_cost into temp costly from stock.items where unit_cost > 100;
select count(*), min(sku) from costly;

--# own/temp-sequence
create temp sequence s start 10;
select nextval('s'), currval('s');

--# own/create-table-in-workbench
begin;
create table workbench.plan (id int generated always as identity primary key, title text not null, due date default '2024-01-01', tags text[]);
insert into workbench.plan (title) values ('first'), ('second') returning id, title, due;
select * from workbench.plan;
rollback;

--# own/create-table-as-in-workbench
begin;
create table workbench.wards as select department, sum(charge) as charge from clinic.encounters group by department;
select * from workbench.wards order by 1;
rollback;

--# own/create-table-like
begin;
create table workbench.items (like stock.items including all);
insert into workbench.items select * from stock.items where item_id < 5;
select item_id, sku from workbench.items order by 1;
rollback;

--# own/committed-table-lives-in-the-next-transaction
drop table if exists workbench.kept;
create table workbench.kept as select name, beds from clinic.departments;
alter table workbench.kept add column doubled int;
update workbench.kept set doubled = beds * 2 where beds is not null;
select * from workbench.kept order by name;
drop table workbench.kept;

--# own/create-view-of-clear-columns
begin;
create view workbench.by_state as select p.state, count(*) n from clinic.patients p group by p.state;
select * from workbench.by_state order by 1;
drop view workbench.by_state;
rollback;

--# own/create-materialised-view-and-refresh
begin;
create materialized view workbench.costs as select category, avg(unit_cost) a from stock.items group by category;
refresh materialized view workbench.costs;
select * from workbench.costs order by 1;
rollback;

--# own/alter-own-table
begin;
alter table workbench.targets add column owner text default 'me';
alter table workbench.targets rename column note to remark;
comment on column workbench.targets.remark is 'why';
select * from workbench.targets order by 1;
rollback;

--# own/truncate-own-table
begin;
truncate workbench.targets;
select count(*) from workbench.targets;
rollback;

--# own/create-index-on-own-table
begin;
create index targets_goal on workbench.targets (goal desc);
drop index workbench.targets_goal;
rollback;

--# own/create-enum-and-use
begin;
create type workbench.mood as enum ('good', 'bad');
create table workbench.days (d date, m workbench.mood);
insert into workbench.days values ('2024-01-01', 'good') returning d, m;
rollback;

--# own/ctas-if-not-exists-with-no-data
begin;
create table if not exists workbench.shape as select item_id, title from stock.items with no data;
select count(*) from workbench.shape;
rollback;

--# own/ctas-of-keys-from-a-protected-table
begin;
create table workbench.cohort as select patient_id, sex, state from clinic.patients where state = 'OH';
select c.patient_id, count(e.encounter_id) from workbench.cohort c left join clinic.encounters e using (patient_id) group by 1 order by 1;
rollback;

--# own/ctas-through-cte-and-view
begin;
create table workbench.report as with v as (select department, sum(visits) n from reporting.visits group by department) select v.*, d.beds from v join clinic.departments d on d.name = v.department;
select * from workbench.report order by 1;
rollback;
