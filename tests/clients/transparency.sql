-- Everything psql shows here must be the same through the gateway as directly, to the byte.
\set VERBOSITY verbose
\pset null '<null>'
select 1 as one, 'two' as two, null::int as three;
select * from kinds order by i4 limit 20;
\x on
select * from kinds where i4 = 7;
\x off
select 'first' as a; select 'second' as b; select 'third' as c;
select 'in one message' as a\; select 2 as b\; select 3 as c\; select 4 as d;
select 1\; select 1/0\; select 'never';
;
select;
select from kinds limit 2;
-- errors of many kinds
select * from nowhere;
select nothing from kinds;
selec 1;
select 'é' || repeat('ü', 10) as "ключ", E'tab\there' as "a ""quoted"" name";
select 1/0;
select 'x'::int;
insert into parents values (1, 'again');
insert into children values (1, 99);
select * from kinds where t = 'unterminated;
';
do $$ begin raise exception 'own' using errcode = 'P0042', detail = 'a detail', hint = 'a hint', column = 'c', table = 't'; end $$;
-- notices
do $$ begin raise notice 'noticed %', 42; raise warning 'warned'; raise info 'informed'; raise log 'logged'; end $$;
drop table if exists not_there;
-- transactions
begin;
create temp table scratch (a int primary key, b text) on commit drop;
insert into scratch select g, repeat(chr(64 + g), g) from generate_series(1, 26) g;
savepoint one;
insert into scratch values (1, 'dup');
select 'refused in a failed transaction';
rollback to one;
select count(*), sum(length(b)) from scratch;
commit;
rollback;
begin isolation level serializable read only;
show transaction_isolation;
end;
-- cursors
begin;
declare c scroll cursor for select i4, t from kinds order by i4;
fetch 3 from c;
fetch backward 2 from c;
move absolute 40 in c;
fetch all from c;
close c;
fetch 1 from c;
rollback;
declare outside cursor for select 1;
-- prepared by name
prepare p (int, text) as select $1 * 2 as twice, upper($2) as loud;
execute p(21, 'quiet');
execute p('x', 'y');
deallocate p;
execute p(1, 'gone');
-- COPY both ways
create temp table loaded (a int, b text, c numeric);
copy loaded from stdin;
1	one	1.1
2	two\twith tab	\N
3	\\.	3.3
\.
copy loaded from stdin with (format csv, header);
a,b,c
4,"four, quoted",4.4
5,"five ""double""",
\.
copy loaded from stdin;
not a number	x	1
\.
copy loaded to stdout;
copy loaded to stdout with (format csv, header, force_quote *);
copy (select g, repeat('x', g) from generate_series(1, 5) g) to stdout;
copy (select 1/0) to stdout;
copy nowhere to stdout;
\copy (select i4, t from kinds order by i4 limit 5) to stdout with csv
select * from loaded order by a;
-- settings
set datestyle = 'SQL, DMY';
select date '2024-02-29', timestamp '2024-02-29 12:34:56.789';
set intervalstyle = 'iso_8601';
select interval '1 year 2 months 3 days 4 hours';
reset datestyle;
set timezone = 'Asia/Kolkata';
select timestamptz '2024-01-01 00:00:00+00';
show timezone;
set client_encoding = 'UTF8';
select 'caf' || chr(233) as encoded;
set bytea_output = 'escape';
select '\x00ff41'::bytea;
set standard_conforming_strings = on;
set application_name = 'changed';
show application_name;
set nonsense = 1;
discard all;
-- explain, listen, locks, maintenance
explain (costs off) select * from kinds where i4 = 1;
listen tidings;
notify tidings;
unlisten *;
lock table parents;
vacuum parents;
analyze parents;
begin; lock table parents in share mode; select count(*) from parents; commit;
-- wide and long
select * from wide;
select repeat('long ', 200000) as long \g /dev/null
select length(repeat('long ', 200000));
select g, repeat('y', 3000) as pad from generate_series(1, 40) g;
-- statements with results that are not rows
create table made (id serial primary key, v text unique);
insert into made (v) values ('a'), ('b'), ('c') returning id, v;
insert into made (v) values ('a') on conflict (v) do update set v = excluded.v returning *;
update made set v = v || v where id > 1 returning v;
delete from made where id = 1;
merge into made using (values (2, 'zz')) as s(i, v) on made.id = s.i when matched then update set v = s.v;
create index concurrently made_v on made (v);
truncate made;
create view made_view as select * from made;
\d made
\d+ made_view
drop view made_view;
drop table made;
-- what psql asks the catalog
\dt
\d kinds
\d+ parents
\dn
\df add_one
\dT+ mood
\l plain
\du app
\dp parents
\sf add_one
\z kinds
\dconfig work_mem
\encoding
\gset
select 5 as five \gset got_
\echo :got_five
select format('select %s as n', g) from generate_series(1, 3) g \gexec
select i4, b, t from kinds where i4 < 4 \crosstabview
select $1::int + 1 as bound \bind 41 \g
select 'described' as a, 1.5 as b \gdesc
\watch
