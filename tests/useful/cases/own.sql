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

--# own/update-from-a-protected-table-by-key
begin;
create table workbench.cohort as select patient_id, sex from clinic.patients where patient_id < 30;
alter table workbench.cohort add column state text;
update workbench.cohort c set state = p.state from clinic.patients p where p.patient_id = c.patient_id and p.sex = 'F';
delete from workbench.cohort c where not exists (select 1 from clinic.encounters e where e.patient_id = c.patient_id);
select * from workbench.cohort order by patient_id;
rollback;

--# own/copy-of-a-clear-table
begin;
create table workbench.items as select * from stock.items;
create table workbench.levels as table stock.levels;
select count(*) from workbench.items join workbench.levels using (item_id);
rollback;

--# own/insert-select-with-join-to-a-protected-table
begin;
insert into workbench.targets (department, goal, note) select p.state || e.department, sum(e.charge), min(e.icd10) from clinic.patients p join clinic.encounters e using (patient_id) group by 1;
select count(*), sum(goal) from workbench.targets;
rollback;

--# own/alter-constraints-and-types
begin;
create table workbench.made (a int, b text);
alter table workbench.made add constraint made_key primary key (a), add constraint made_check check (a > 0), alter column b type int using b::int, alter column b set default 3, alter column b set not null;
alter table workbench.made drop constraint made_check;
alter table workbench.made rename to renamed;
alter table workbench.renamed drop column b;
insert into workbench.renamed values (5) returning *;
drop table workbench.renamed cascade;
rollback;

--# own/vacuum-analyze-reindex
vacuum analyze workbench.targets;
reindex table workbench.targets;
analyze workbench.targets (goal);

--# own/create-index-concurrently
create index concurrently if not exists targets_goal on workbench.targets (goal);
drop index concurrently if exists workbench.targets_goal;

--# own/partitioned-table
begin;
create table workbench.log (at date not null, what text) partition by range (at);
create table workbench.log_2024 partition of workbench.log for values from ('2024-01-01') to ('2025-01-01');
insert into workbench.log values ('2024-05-05', 'x');
select tableoid::regclass::text, what from workbench.log;
rollback;

--# own/generated-column-and-trigger-free-defaults
begin;
create table workbench.money (net numeric, gross numeric generated always as (net * 1.19) stored, made timestamptz default now());
insert into workbench.money (net) values (10), (20) returning net, gross, made is not null;
rollback;

--# own/foreign-key-to-own-table
begin;
create table workbench.a (id int primary key);
create table workbench.b (id int primary key, a_id int references workbench.a on delete cascade);
insert into workbench.a values (1);
insert into workbench.b values (1, 1);
delete from workbench.a where id = 1;
select count(*) from workbench.b;
rollback;

--# own/unlogged-and-comment
begin;
create unlogged table workbench.quick (x int);
comment on table workbench.quick is 'for a moment';
select obj_description('workbench.quick'::regclass);
rollback;

--# own/temp-table-filled-in-a-loop-of-inserts
create temp table t (k int primary key, v text);
insert into t select g, 'v' || g from generate_series(1, 50) g;
insert into t values (1, 'again') on conflict (k) do update set v = excluded.v;
update t set v = upper(v) where k < 10;
delete from t where k > 40;
select count(*), min(v), max(v) from t;
truncate t;
select count(*) from t;

--# own/cte-over-own-and-clear-tables
create temp table chosen as select item_id from stock.items where category = 'fluid';
with c as (select * from chosen), l as (select item_id, sum(on_hand) n from stock.levels group by item_id) select c.item_id, l.n from c left join l using (item_id) order by 1;

--# own/notify-open-channel
notify refresh, 'done';

--# own/cursor-over-temp-table
begin;
create temp table t on commit drop as select g from generate_series(1, 30) g;
declare c cursor for select g from t order by g;
fetch 10 from c;
commit;
