--# aggregates/count-star
select count(*) from clinic.patients;

--# aggregates/count-protected
select count(ssn), count(phone), count(email) from clinic.patients;

--# aggregates/count-distinct-clear
select count(distinct department), count(distinct icd10) from clinic.encounters;

--# aggregates/group-by
select department, count(*), sum(charge), avg(charge), min(charge), max(charge) from clinic.encounters group by department order by 2 desc, 1;

--# aggregates/group-by-position
select sex, state, count(*) from clinic.patients group by 1, 2 order by 3 desc, 1, 2;

--# aggregates/group-by-alias
select upper(department) as ward, count(*) from clinic.encounters group by ward order by ward;

--# aggregates/group-by-expression
select item_id % 10 as bucket, avg(unit_cost) from stock.items group by item_id % 10 order by 1;

--# aggregates/group-by-primary-key
select i.item_id, i.title, sum(l.on_hand) from stock.items i join stock.levels l using (item_id) group by i.item_id order by 1;

--# aggregates/having
select icd10, count(*) from clinic.encounters group by icd10 having count(*) > 5 and avg(charge) > 100 order by 1;

--# aggregates/filter
select department, count(*) filter (where charge > 10000) as expensive, sum(charge) filter (where icd10 like 'I%') as heart from clinic.encounters group by department order by 1;

--# aggregates/grouping-sets
select department, icd10, grouping(department, icd10) as g, sum(charge) from clinic.encounters group by grouping sets ((department, icd10), (department), ()) order by 1, 2, 3;

--# aggregates/rollup
select category, sku, sum(unit_cost) from stock.items where item_id < 30 group by rollup (category, sku) order by 1, 2;

--# aggregates/cube
select sex, state, count(*) from clinic.patients group by cube (sex, state) order by 1, 2;

--# aggregates/statistics
select department, stddev(charge), variance(charge), corr(charge, encounter_id), regr_slope(charge, encounter_id) from clinic.encounters group by department order by 1;

--# aggregates/percentile
select category, percentile_cont(0.5) within group (order by unit_cost) as median, percentile_disc(array[0.25, 0.75]) within group (order by unit_cost) from stock.items group by category order by 1;

--# aggregates/mode
select mode() within group (order by department) from clinic.encounters;

--# aggregates/string-agg
select category, string_agg(sku, ', ' order by sku desc) from stock.items where item_id < 40 group by category order by 1;

--# aggregates/array-agg
select department, array_agg(distinct icd10 order by icd10) from clinic.encounters group by department order by 1;

--# aggregates/json-agg
select category, json_agg(json_build_object('sku', sku, 'cost', unit_cost) order by sku) from stock.items where item_id < 25 group by category order by 1;

--# aggregates/bool
select bool_and(active), bool_or(active), every(kind <> '') from billing.payers;

--# aggregates/bit
select bit_and(item_id), bit_or(item_id), bit_xor(item_id) from stock.items;

--# aggregates/without-group
select min(unit_cost), max(unit_cost), avg(unit_cost)::numeric(8,3), sum(unit_cost) from stock.items;

--# aggregates/ordered-set-rank
select rank(50) within group (order by unit_cost), cume_dist(50) within group (order by unit_cost) from stock.items;

--# aggregates/nested-in-subquery
select avg(n) from (select count(*) as n from clinic.encounters group by patient_id) q;

--# aggregates/distinct-after-group
select distinct count(*) from clinic.encounters group by department, icd10 order by 1;

--# aggregates/ratio
select department, round(100.0 * count(*) / sum(count(*)) over (), 2) as percent from clinic.encounters group by department order by 1;

--# aggregates/width-bucket
select width_bucket(charge, 0, 50000, 10) as bucket, count(*) from clinic.encounters group by 1 order by 1;

--# aggregates/count-of-join-with-protected-table
select p.state, count(*) as visits, count(distinct p.patient_id) as people from clinic.patients p join clinic.encounters e using (patient_id) group by p.state order by 1;

--# aggregates/enum-group
select status, count(*), sum(billed) from billing.claims group by status order by status;

--# aggregates/conditional-sum
select sum(case when status = 'paid' then paid else 0 end) as paid, sum(case when status = 'open' then billed else 0 end) as open from billing.claims;
