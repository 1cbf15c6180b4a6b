--# json/arrow
select item_id, attributes -> 'size' ->> 'w' as width, attributes ->> 'color' as color from stock.items order by 1;

--# json/path-operators
select item_id, attributes #>> '{size,h}', attributes #> '{size}' from stock.items order by 1;

--# json/containment
select item_id from stock.items where attributes @> '{"sterile": true}' and attributes ? 'color' order by 1;

--# json/group-by-path
select attributes ->> 'color' as color, count(*), avg((attributes -> 'size' ->> 'w')::int) from stock.items group by 1 order by 1;

--# json/each
select i.item_id, a.key, a.value from stock.items i cross join lateral jsonb_each_text(i.attributes) a where i.item_id < 9 order by 1, 2;

--# json/array-elements
select c.claim_id, l ->> 'code' as code, (l ->> 'amount')::numeric as amount from billing.claims c cross join lateral jsonb_array_elements(c.lines) l order by 1, 2, 3;

--# json/to-recordset
select c.claim_id, r.code, r.units from billing.claims c cross join lateral jsonb_to_recordset(c.lines) as r (code text, units int, amount numeric) order by 1, 2;

--# json/build
select jsonb_build_object('ward', department, 'n', count(*)) from clinic.encounters group by department order by department;

--# json/row-of-clear-table
select row_to_json(d) from clinic.departments d order by d.name;

--# json/to-jsonb-of-clear-row
select to_jsonb(l) - 'counted_on' from stock.levels l where item_id < 6 order by item_id, department;

--# json/jsonpath
select item_id, jsonb_path_query_first(attributes, '$.size.w ? (@ > 4)') from stock.items order by 1;

--# json/jsonpath-predicate
select count(*) from billing.claims where lines @? '$[*] ? (@.units > 2)';

--# json/set-and-strip
select item_id, jsonb_strip_nulls(jsonb_set(attributes, '{size,w}', '0')) from stock.items where item_id < 12 order by 1;

--# json/keys
select distinct jsonb_object_keys(attributes) from stock.items order by 1;

--# json/object-agg
select jsonb_object_agg(name, beds order by name) from clinic.departments;

--# json/pretty
select jsonb_pretty(attributes) from stock.items where item_id = 7;

--# arrays/any-label
select item_id, labels from stock.items where 'cold' = any (labels) order by 1;

--# arrays/overlap-contains
select code from lab.tests where panels && array['blood', 'thyroid'] or panels @> array['basic'] order by 1;

--# arrays/functions
select item_id, array_length(labels, 1), cardinality(labels), array_to_string(labels, '+'), labels[1], array_append(labels, 'x') from stock.items order by 1;

--# arrays/unnest-group
select label, count(*) from stock.items, unnest(labels) label group by label order by label;

--# arrays/slice-and-concat
select (array[1, 2, 3, 4])[2:3], array[1, 2] || 3, array_remove(array[1, 2, 1], 1), array_position(array['a', 'b'], 'b'), string_to_array('a,b,c', ',');

--# arrays/multi-unnest
select * from unnest(array[1, 2, 3], array['a', 'b']) as t (n, c);

--# ranges/operators
select item_id, dimensions, lower(dimensions), upper(dimensions), isempty(dimensions) from stock.items where dimensions @> 12 order by 1;

--# ranges/constructors
select daterange('2024-01-01', '2024-02-01') * daterange('2024-01-15', '2024-03-01'), int4range(1, 5) && int4range(4, 9), range_agg(dimensions) from stock.items where item_id < 5;

--# json/masked-columns-beside-json
--@ masked member_number=token filed_on=year
select claim_id, member_number, filed_on, lines -> 0 ->> 'code' as first_code from billing.claims order by claim_id limit 30;
