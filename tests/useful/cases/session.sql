--# session/transaction
begin;
select count(*) from stock.items;
commit;

--# session/read-only-repeatable-read
begin transaction isolation level repeatable read read only;
select count(*) from clinic.encounters;
end;

--# session/start-transaction-deferrable
start transaction isolation level serializable, read only, deferrable;
select 1;
commit and chain;
rollback;

--# session/set-transaction
begin;
set transaction isolation level serializable;
show transaction_isolation;
commit;

--# session/set-local
begin;
set local statement_timeout = '20s';
set local work_mem = '8MB';
show statement_timeout;
commit;
show statement_timeout;

--# session/set-application-name
set application_name = 'weekly report';
show application_name;

--# session/set-time-zone
set time zone 'Europe/Berlin';
select timestamptz '2024-07-01 12:00+00';
reset timezone;
show timezone;

--# session/set-search-path
set search_path = clinic, stock, public;
select count(*) from departments;
select item_id, sku from items where item_id < 4 order by 1;
show search_path;

--# session/search-path-masks-too
--@ masked patients.*
set search_path to clinic;
select * from patients where patient_id < 9 order by patient_id;

--# session/set-date-style
set datestyle = 'ISO, YMD';
select date '2024-01-02';

--# session/set-extra-float-digits
set extra_float_digits = 3;
select 0.1::float8 + 0.2::float8;

--# session/set-session-characteristics
set session characteristics as transaction read only;
show default_transaction_read_only;

--# session/set-lock-and-idle-timeouts
set lock_timeout = '2s';
set idle_in_transaction_session_timeout = '1min';
set statement_timeout = 30000;
select current_setting('lock_timeout');

--# session/set-client-encoding-utf8
set client_encoding = 'UTF8';
show client_encoding;
set names 'utf8';

--# session/set-standard-conforming-strings-on
set standard_conforming_strings = on;
show standard_conforming_strings;

--# session/set-client-min-messages
set client_min_messages = warning;
show client_min_messages;

--# session/set-bytea-output
set bytea_output = 'hex';
select '\x00ff'::bytea;

--# session/set-planner
set enable_seqscan = off;
set random_page_cost = 1.1;
set jit = off;
select count(*) from stock.items where item_id < 10;
reset enable_seqscan;

--# session/show-list
show server_version;
show server_encoding;
show integer_datetimes;
show max_connections;
show lc_collate;

--# session/current-setting
select current_setting('server_version_num')::int > 90000, current_setting('search_path'), current_setting('nothing.here', true);

--# session/prepare-execute
prepare by_ward (text, int) as select encounter_id, charge from clinic.encounters where department = $1 and encounter_id < $2 order by 1;
execute by_ward ('Cardiology', 80);
execute by_ward ('Oncology', 90);
deallocate by_ward;

--# session/prepare-masked
--@ masked ssn=last4 dob=year
prepare one (bigint) as select patient_id, ssn, dob from clinic.patients where patient_id = $1;
execute one (4);
execute one (5);
deallocate all;

--# session/cursor
begin;
declare c no scroll cursor for select item_id, sku from stock.items order by item_id;
fetch 10 from c;
fetch forward 5 from c;
move 3 in c;
fetch all from c;
close c;
commit;

--# session/cursor-scroll
begin;
declare c scroll cursor for select encounter_id, charge from clinic.encounters order by encounter_id;
fetch last from c;
fetch backward 2 from c;
fetch absolute 3 from c;
fetch relative -1 from c;
rollback;

--# session/cursor-with-hold
declare h cursor with hold for select name, beds from clinic.departments order by name;
fetch 2 from h;
close h;

--# session/cursor-masked
--@ masked ssn=last4 phone=lastx4
begin;
declare c cursor for select patient_id, ssn, phone from clinic.patients order by patient_id;
fetch 10 from c;
fetch all from c;
commit;

--# session/discard
discard temp;
discard plans;
discard sequences;

--# session/discard-all
set application_name = 'before';
discard all;
select 1;

--# session/reset-all
set work_mem = '16MB';
reset all;
show work_mem;

--# session/listen-open-channel
listen refresh;
unlisten refresh;
unlisten *;

--# session/failed-transaction-then-rollback
--@ error 22012
begin;
select 1 / 0;
rollback;

--# session/error-in-autocommit-then-work
--@ error 42P01
select * from clinic.no_such_table;
select 1;

--# session/undefined-column-error
--@ error 42703
select no_such_column from stock.items;

--# session/syntax-error
--@ error 42601
selec 1;

--# session/advisory-lock-free-status
select pg_backend_pid() > 0, pg_is_in_recovery(), txid_current_if_assigned() is null, pg_conf_load_time() is not null, inet_server_port() is not null;

--# session/cursor-scroll-masked
--@ masked ssn=last4
begin;
declare c scroll cursor for select patient_id, ssn from clinic.patients order by patient_id;
fetch last from c;
fetch backward 3 from c;
fetch first from c;
fetch absolute 7 from c;
close c;
commit;

--# session/cursor-with-hold-masked
--@ masked dob=year
declare h cursor with hold for select patient_id, dob from clinic.patients order by patient_id;
fetch 5 from h;
fetch 5 from h;
close h;

--# session/prepare-insert
begin;
prepare add (text, numeric) as insert into workbench.targets (department, goal) values ($1, $2) returning goal;
execute add ('one', 1);
execute add ('two', 2);
deallocate add;
rollback;

--# session/prepare-with-explain
prepare q (int) as select sku from stock.items where item_id = $1;
explain (costs off) execute q (3);
execute q (3);
deallocate prepare q;

--# session/prepared-star-masked
--@ masked people.*
prepare p as select * from org.people order by hired_on, person_id limit 10;
execute p;
execute p;
deallocate p;

--# session/savepoints-with-an-error
--@ error 23505
begin;
savepoint one;
insert into workbench.targets select department, 1 from workbench.targets limit 1;
rollback to one;
select count(*) from workbench.targets;
commit;

--# session/set-config-of-harmless-parameters
select set_config('statement_timeout', '20s', false), set_config('application_name', 'x', true);
show statement_timeout;

--# session/set-search-path-with-public
set search_path to "$user", public, clinic;
select name from departments order by 1 limit 2;

--# session/begin-work-variants
begin work;
commit work;
begin isolation level read committed;
end work;
start transaction;
abort;

--# session/set-constraints-and-transaction-snapshot-free
begin;
set constraints all deferred;
commit;

--# session/show-transaction-status
begin;
show transaction_read_only;
show transaction isolation level;
rollback;
