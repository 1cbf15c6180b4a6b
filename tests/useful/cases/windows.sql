--# windows/row-number
select encounter_id, row_number() over (partition by department order by charge, encounter_id) from clinic.encounters order by 1;

--# windows/rank-dense-rank
select sku, rank() over w, dense_rank() over w, percent_rank() over w from stock.items window w as (partition by category order by unit_cost) order by 1;

--# windows/lag-lead
select movement_id, quantity, lag(quantity) over w, lead(quantity, 2, 0) over w from stock.movements window w as (partition by item_id order by moved_at) order by 1;

--# windows/running-sum
select movement_id, item_id, sum(quantity) over (partition by item_id order by moved_at rows unbounded preceding) as stock from stock.movements order by 1;

--# windows/moving-average
select encounter_id, avg(charge) over (order by encounter_id rows between 3 preceding and current row) from clinic.encounters order by 1;

--# windows/range-frame
select booked_month, sum(amount) over (order by booked_month range between interval '3 months' preceding and current row) from billing.payments order by payment_id;

--# windows/groups-exclude
select item_id, sum(on_hand) over (order by reorder_at, item_id groups between 1 preceding and 1 following exclude current row) from stock.levels order by department, item_id;

--# windows/first-last-nth
select sku, first_value(sku) over w, last_value(sku) over w, nth_value(sku, 2) over w from stock.items
window w as (partition by category order by unit_cost, sku rows between unbounded preceding and unbounded following) order by 1;

--# windows/ntile
select ntile(4) over (order by charge, encounter_id) as quarter, encounter_id from clinic.encounters order by 2;

--# windows/share-of-total
select department, charge, round(charge / sum(charge) over (partition by department), 6) from clinic.encounters order by encounter_id;

--# windows/filtered-aggregate
select department, count(*) filter (where charge > 5000) over (partition by department) from clinic.encounters order by encounter_id;

--# windows/over-aggregate
select department, sum(charge), rank() over (order by sum(charge) desc) from clinic.encounters group by department order by 3;

--# windows/top-per-group
select * from (select department, icd10, charge, row_number() over (partition by department order by charge desc, encounter_id) as n from clinic.encounters) q where n <= 3 order by 1, n;

--# windows/gaps-and-islands
select min(item_id), max(item_id), count(*) from (select item_id, item_id - row_number() over (order by item_id) as island from stock.items where item_id % 7 <> 0) q group by island order by 1;

--# windows/masked-columns-beside-a-window-over-clear-ones
--@ masked ssn=last4
select p.ssn, e.charge, rank() over (partition by e.department order by e.charge) from clinic.patients p join clinic.encounters e using (patient_id) order by e.encounter_id;
