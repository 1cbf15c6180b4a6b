--# functions/system-information
select pg_typeof(1.5), current_schemas(true), pg_my_temp_schema() >= 0, current_query() is not null, pg_postmaster_start_time() is not null, pg_is_in_recovery(), row_security_active('stock.items');

--# functions/sizes
select pg_column_size(sku) > 0, pg_size_pretty(123456::bigint), pg_size_bytes('1 MB'), pg_database_size(current_database()) > 0, pg_relation_size('stock.items') > 0 from stock.items where item_id = 1;

--# functions/privileges
select has_column_privilege('stock.items', 'sku', 'select'), has_any_column_privilege('stock.items', 'update'), has_sequence_privilege('stock.movements_movement_id_seq', 'usage'), pg_has_role(current_user, 'member');

--# functions/strings
select overlay('abcdef' placing 'XX' from 2 for 3), btrim('  x '), starts_with('alpha', 'al'), to_hex(255), translate('abc', 'ab', 'xy'), ascii('A'), chr(66), repeat('ab', 3), strpos('hello', 'l'), octet_length('é'), char_length('é'), bit_length('a');

--# functions/strings-of-columns
select overlay(sku placing '#' from 1 for 1), translate(title, 'aeiou', '*****'), substr(sku, 5), repeat(left(category, 1), 3), concat(sku, '/', category), starts_with(sku, 'SKU') from stock.items order by item_id limit 10;

--# functions/regular-expressions
select regexp_split_to_array('a1b2c', '[0-9]'), regexp_count('banana', 'an'), regexp_like('abc', '^a'), regexp_substr('x123y', '[0-9]+'), regexp_instr('abc', 'c');

--# functions/numeric
select div(17, 5), cbrt(27), degrees(pi()), radians(180), log(100), log(2, 64), factorial(5), trim_scale(1.500), scale(1.25), min_scale(1.50), lcm(4, 6), atan2(1, 1), sinh(0), ceiling(1.2), numeric_inc(1);

--# functions/dates
select isfinite(date '2024-01-01'), justify_days(interval '40 days'), justify_hours(interval '30 hours'), justify_interval(interval '40 days 30 hours'), date_trunc('week', timestamp '2024-05-15'), timezone('UTC', timestamptz '2024-05-15 00:00+02'), localtimestamp is not null, clock_timestamp() > now() - interval '1 minute', statement_timestamp() is not null;

--# functions/generate-series-with-time-zone
select generate_series(timestamptz '2024-03-30 00:00+00', timestamptz '2024-04-01 00:00+00', interval '12 hours');

--# functions/intervals-and-epochs
select extract(epoch from interval '1 day 2 hours'), make_interval(hours => 5), interval '1 year' / 12, interval '90 minutes' > interval '1 hour', to_timestamp(1700000000) at time zone 'UTC', date_part('isoyear', date '2024-12-30');

--# functions/geometry-and-bits
select point(1, 2) <-> point(4, 6), box '((0,0),(2,2))' @> point '(1,1)', area(circle '((0,0),2)'), b'1010' & b'0110', 5 # 3, 1 << 4, ~7, bit_count(b'1011');

--# functions/xml
select xmlelement(name item, xmlattributes(item_id as id), sku)::text from stock.items where item_id < 4 order by item_id;

--# functions/money-and-casts
select 12.5::money, '7'::int, 3.7::int, true::int, '{1,2}'::int[], '1 day'::interval, '(1,2)'::point, 'abc'::char(2), 1::bit(4), 'x'::"char";

--# functions/multiranges
select '{[1,3),[5,8)}'::int4multirange @> 6, range_merge('[1,2)'::int4range, '[5,6)'), unnest('{[1,3),[5,8)}'::int4multirange), tstzrange(null, null) @> now();

--# functions/conditionals
select coalesce(null, null, 3), nullif(1, 1), greatest(1, null, 3), least('b', 'a'), case 2 when 1 then 'a' when 2 then 'b' end, num_nulls(1, null, 2), num_nonnulls(1, null), 1 is distinct from null;

--# functions/json-builders
select json_build_array(1, 'a', null), to_json(array[1, 2]), row_to_json(row(1, 'x')), json_object('{a,1,b,2}'), jsonb_build_object('k', array['v']), json_typeof('[]'), jsonb_array_length('[1,2]'), jsonb_typeof('1'), '{"a":1}'::jsonb || '{"b":2}', '{"a":1,"b":2}'::jsonb - 'a', '{"a":{"b":1}}'::jsonb #- '{a,b}';

--# functions/record-from-json
select * from jsonb_to_record('{"a": 1, "b": "x"}') as t (a int, b text);
select * from json_populate_record(null::clinic.departments, '{"name": "Z", "beds": 4}');

--# functions/text-search
select to_tsvector('english', 'The quick foxes'), 'fat & rat'::tsquery, phraseto_tsquery('english', 'quick fox'), numnode('a & b'::tsquery), setweight(to_tsvector('a'), 'A'), ts_lexize('english_stem', 'running'), strip(to_tsvector('english', 'a fox'));

--# functions/hash-and-encode
select md5('a'), sha256('a'), encode('abc', 'base64'), decode('616263', 'hex'), convert_from('\x616263', 'UTF8'), hashtext('a'), crc is null from (select null as crc) c;

--# functions/arrays
select array_fill(0, array[3]), array_dims(array[[1, 2], [3, 4]]), array_ndims(array[[1]]), array_prepend(0, array[1]), array_cat(array[1], array[2]), array_replace(array[1, 2], 2, 5), array_positions(array[1, 2, 1], 1), trim_array(array[1, 2, 3], 1), array_lower(array[1], 1), generate_subscripts(array[7, 8], 1);

--# functions/subscripts-and-slices-of-columns
select labels[1:1], labels[array_upper(labels, 1)], (attributes -> 'size')['w'], attributes['size']['h'] from stock.items where item_id < 12 order by item_id;

--# functions/aggregates-over-expressions
select sum(unit_cost * 2) filter (where category <> 'fluid'), array_agg(distinct left(sku, 5)), max(length(title)), jsonb_agg(labels) filter (where cardinality(labels) > 1), json_object_agg(sku, unit_cost order by sku) from stock.items where item_id < 10;

--# functions/any-value-and-hypothetical
select department, (array_agg(icd10 order by charge desc, encounter_id))[1] as dearest, dense_rank(1000) within group (order by charge) from clinic.encounters group by department order by 1;

--# functions/sequences-read
select last_value >= 1000, is_called from stock.movements_movement_id_seq;

--# functions/show-all
--@ shape
show all;

--# functions/random-and-setseed
select setseed(0.5);
select random() < 1, gen_random_uuid() <> gen_random_uuid();

--# functions/large-in-list
select count(*) from stock.items where item_id in (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80);

--# functions/nested-comments-and-continuation
select /* a /* nested */ comment */ 'two '
'parts' as text, 1 -- end
;
