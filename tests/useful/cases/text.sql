--# text/functions
select title, upper(title), length(title), left(title, 3), right(title, 2), substring(title from 2 for 4), replace(title, 'type', 'kind'), position('t' in title) from stock.items order by item_id;

--# text/concat-format
select concat_ws(' - ', sku, category, null), format('%s (%s)', title, sku), sku || ': ' || unit_cost from stock.items order by item_id;

--# text/pad-trim
select lpad(item_id::text, 6, '0'), rpad(category, 12, '.'), trim(both 'S' from sku), initcap(category), reverse(sku) from stock.items order by item_id;

--# text/like-escape
select sku from stock.items where sku like 'SKU\_00%' or sku like 'SKU-001_' order by 1;

--# text/regex
select sku, regexp_replace(sku, '[^0-9]', '', 'g'), substring(title from '[0-9]+'), title ~* 'pad' from stock.items where sku ~ '5$' order by 1;

--# text/regexp-matches
select i.item_id, m from stock.items i cross join lateral regexp_matches(i.title, '([A-Z][a-z]+) ([a-z]+)') m order by 1 limit 20;

--# text/split-part
select split_part(icd10, '.', 1) as chapter, count(*) from clinic.encounters group by 1 order by 1;

--# text/string-to-table
select * from string_to_table('a;b;c', ';');

--# text/search
select item_id, title from stock.items where to_tsvector('english', title) @@ plainto_tsquery('english', 'saline bags') order by 1;

--# text/search-rank-and-headline
select item_id, ts_rank(to_tsvector('english', title), q) as rank, ts_headline('english', title, q) from stock.items, to_tsquery('english', 'glove | catheter') q
 where to_tsvector('english', title) @@ q order by 2 desc, 1 limit 20;

--# text/search-websearch
select count(*) from stock.items where to_tsvector('english', title) @@ websearch_to_tsquery('english', 'gauze -syringe');

--# text/encode-hash
select md5(sku), encode(convert_to(sku, 'UTF8'), 'hex'), encode(sha256(sku::bytea), 'base64') from stock.items where item_id < 6 order by 1;

--# text/number-formatting
select to_char(unit_cost, 'FM9,990.00'), to_number('1,234.5', '9,999.9'), round(unit_cost), ceil(unit_cost), floor(unit_cost), trunc(unit_cost, 1), abs(-unit_cost) from stock.items order by item_id;

--# text/collation-order
select title from stock.items order by title collate "C" desc, item_id limit 10;

--# text/unicode
select 'Grüße' as a, '日本語' as b, length('naïve') as c, U&'\+01F600' as d, lower('ÄÖ') as e;

--# text/quote-functions
select quote_ident('Some Name'), quote_literal('it''s'), quote_nullable(null);

--# text/uuid-bytea
select '6b1f2e54-0a4d-4a8a-9d55-2f4f1d2c9b7e'::uuid, '\xdeadbeef'::bytea, get_byte('\x0102'::bytea, 1), gen_random_uuid() is not null;

--# text/math
select sqrt(2), power(2, 10), ln(10), exp(1), pi(), mod(10, 3), sign(-3), gcd(12, 18), random() between 0 and 1, trunc(random()) from generate_series(1, 3);

--# text/network-types
select host('10.1.2.3/8'::inet), network('10.1.2.3/8'::inet), '10.0.0.1'::inet << '10.0.0.0/8'::cidr;
