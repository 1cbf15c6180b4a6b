--# cte/simple
with expensive as (select * from stock.items where unit_cost > 100) select category, count(*) from expensive group by category order by 1;

--# cte/chained
with visits as (select patient_id, count(*) n from clinic.encounters group by patient_id),
     busy as (select patient_id from visits where n > 1)
select p.state, count(*) from busy join clinic.patients p using (patient_id) group by p.state order by 1;

--# cte/column-names
with t (ward, dollars) as (select department, charge from clinic.encounters) select ward, sum(dollars) from t group by ward order by ward;

--# cte/materialized
with m as materialized (select department, charge from clinic.encounters), n as not materialized (select name, beds from clinic.departments)
select m.department, n.beds, count(*) from m join n on n.name = m.department group by 1, 2 order by 1;

--# cte/recursive-numbers
with recursive n (i) as (select 1 union all select i + 1 from n where i < 50) select i, i * i from n;

--# cte/recursive-tree
with recursive tree as (
    select unit_id, title, 0 as depth, title::text as path from org.units where parent_id is null
    union all
    select u.unit_id, u.title, tree.depth + 1, tree.path || ' / ' || u.title from org.units u join tree on tree.unit_id = u.parent_id)
select * from tree order by path;

--# cte/recursive-union-distinct
with recursive up (unit_id, parent_id) as (
    select unit_id, parent_id from org.units where unit_id in (8, 9)
    union
    select u.unit_id, u.parent_id from org.units u join up on u.unit_id = up.parent_id)
select unit_id from up order by unit_id;

--# cte/recursive-search-cycle
with recursive t (unit_id, parent_id) as (
    select unit_id, parent_id from org.units where unit_id = 1
    union all
    select u.unit_id, u.parent_id from org.units u join t on u.parent_id = t.unit_id)
search depth first by unit_id set ordering cycle unit_id set is_cycle using path
select unit_id, is_cycle from t order by ordering;

--# cte/nested
with outer_part as (with inner_part as (select department, charge from clinic.encounters) select department, avg(charge) a from inner_part group by 1)
select count(*), max(a) from outer_part;

--# cte/used-twice
with c as (select department, sum(charge) s from clinic.encounters group by department)
select a.department, b.department as next from c a join c b on b.s < a.s order by 1, 2;

--# cte/calendar
with months as (select generate_series(timestamp '2023-01-01', timestamp '2024-12-01', interval '1 month')::date as month)
select m.month, coalesce(sum(p.amount), 0) from months m left join billing.payments p on p.booked_month = m.month group by m.month order by m.month;

--# cte/star-of-protected-table-is-masked
--@ masked patients.*
with c as (select * from clinic.patients) select * from c where patient_id between 5 and 60 order by patient_id;

--# cte/masked-columns-beside-clear
--@ masked email=hidden zip=zip3
with c as (select patient_id, email, zip, state from clinic.patients) select * from c where state = 'OH' order by patient_id;

--# cte/masked-columns-renamed
--@ masked a=last4 b=lastx4
with c (id, a, b) as (select patient_id, ssn, phone from clinic.patients) select a, b, id from c order by id limit 30;

--# cte/unused-protected-column
with c as (select patient_id, ssn, state from clinic.patients) select state, count(*) from c group by state order by state;

--# cte/insert-select-untagged
begin;
with gone as (delete from stock.movements where movement_id < 10 returning item_id, quantity) select item_id, sum(quantity) from gone group by 1 order by 1;
rollback;
