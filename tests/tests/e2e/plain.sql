-- The database of the transparency tests: one table with every kind of value, some with NULLs, and a few small ones.
create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a int, b text);
create table kinds (
    i2 smallint, i4 int primary key, i8 bigint, f4 real, f8 double precision, n numeric(20,6), b boolean, t text, vc varchar(20),
    c char(6), by bytea, d date, tm time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb,
    ia int[], ta text[], ip inet, cd cidr, mac macaddr, pt point, r int4range, bits varbit(16), m money, comp pair, mood mood,
    o oid, nm name, tsv tsvector);
insert into kinds
select case when g % 7 = 0 then null else g % 30000 end, g, g * 10000000000, g / 3.0, g / 7.0,
       case when g % 5 = 0 then null else g * 1.000001 end, g % 2 = 0,
       case when g % 11 = 0 then null else 'text ' || g || ' zażółć ' || chr(128512) end, 'vc' || g, 'c' || g,
       decode(lpad(to_hex(g), 8, '0'), 'hex'), date '2000-01-01' + g, time '00:00' + g * interval '1 minute',
       timetz '12:00+02', timestamp '2001-02-03 04:05:06.789' + g * interval '1 hour', timestamptz '2001-02-03 04:05:06+00' + g * interval '1 day',
       g * interval '1 day 2 hours', ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid,
       json_build_object('n', g), jsonb_build_object('n', g, 'list', array[1, 2, g]),
       case when g % 3 = 0 then null else array[g, null, g + 1] end, array['a', 'q"uote', null, g::text],
       ('10.0.' || g % 250 || '.1')::inet, '192.168.0.0/16', '08:00:2b:01:02:03', point(g, -g), int4range(g, g + 5),
       (g % 256)::bit(8)::varbit, (g * 1.25)::numeric::money, row(g, 'p' || g)::pair, (array['sad', 'ok', 'happy'])[1 + g % 3]::mood,
       g, 'name' || g, to_tsvector('simple', 'word' || g || ' other')
from generate_series(0, 199) g;
create table parents (id int primary key, v text not null);
insert into parents values (1, 'one'), (2, 'two');
create table children (id int primary key, parent int references parents);
create function add_one(int) returns int language sql immutable as 'select $1 + 1';
do $$ begin
    execute (select 'create table wide (' || string_agg('c' || g || ' int default ' || g, ', ') || ')' from generate_series(1, 1200) g);
end $$;
insert into wide default values;
