--# write/insert-values
begin;
insert into stock.items (item_id, sku, title, category, unit_cost) values (900, 'SKU-0900', 'Mask', 'protection', 1.25), (901, 'SKU-0901', 'Gown', 'protection', 9.5);
select item_id, sku, attributes, labels from stock.items where item_id >= 900 order by 1;
rollback;

--# write/insert-returning
begin;
insert into stock.movements (item_id, department, moved_at, quantity, reason) overriding system value values (1, 'Cardiology', '2024-02-02', 5, 'use') returning item_id, quantity, reason;
rollback;

--# write/not-null-violation-is-reported
--@ error 23502
begin;
insert into stock.items (item_id, sku, title, category, unit_cost, attributes) values (902, 'SKU-0902', 'Tape', 'dressing', default, default) on conflict do nothing;
rollback;

--# write/insert-select-untagged
begin;
insert into workbench.targets (department, goal) select 'extra ' || department, sum(charge) from clinic.encounters group by department;
select count(*) from workbench.targets where department like 'extra%';
rollback;

--# write/upsert
begin;
insert into stock.levels as l values (3, 'Cardiology', 5, 20, '2024-04-01') on conflict (item_id, department) do update set on_hand = l.on_hand + excluded.on_hand, counted_on = excluded.counted_on returning on_hand > 0;
rollback;

--# write/update-where
begin;
update stock.levels set on_hand = on_hand + 1, counted_on = '2024-05-01' where item_id = 4;
select item_id, department, on_hand from stock.levels where item_id = 4 order by 2;
rollback;

--# write/update-from
begin;
update stock.levels l set reorder_at = 30 from stock.items i where i.item_id = l.item_id and i.category = 'fluid' and l.on_hand < 10 returning l.item_id, l.department, i.sku;
rollback;

--# write/update-with-subquery
begin;
update workbench.targets t set goal = (select sum(charge) from clinic.encounters e where e.department = t.department) where t.department like 'C%' returning department, goal;
rollback;

--# write/delete-where
begin;
delete from stock.movements where movement_id between 10 and 20 returning movement_id, quantity;
rollback;

--# write/delete-using
begin;
delete from stock.levels l using stock.items i where i.item_id = l.item_id and i.category = 'device' and l.on_hand = 0;
select count(*) from stock.levels;
rollback;

--# write/merge
begin;
merge into workbench.targets t using clinic.departments d on d.name = t.department
 when matched and d.beds > 20 then update set goal = d.beds when matched then delete when not matched then insert (department, goal) values (d.name, d.beds);
select department, goal from workbench.targets order by 1;
rollback;

--# write/parameters
--@ args 4|77
begin;
update stock.levels set on_hand = $2 where item_id = $1 returning department, on_hand;
rollback;

--# write/insert-null-and-array
begin;
insert into stock.items values (903, 'SKU-0903', 'Pump', 'device', 300, '{"volts": 12}', array['fragile', 'cold'], interval '2 years', '[1,4)') returning *;
rollback;

--# write/savepoint
begin;
savepoint a;
delete from stock.movements where movement_id = 5;
rollback to savepoint a;
release savepoint a;
select count(*) from stock.movements where movement_id = 5;
commit;

--# write/returning-expression
begin;
update stock.items set unit_cost = unit_cost * 2 where item_id = 8 returning sku, unit_cost, unit_cost / 2 as before;
rollback;

--# write/row-lock-and-update
begin;
select item_id, on_hand from stock.levels where item_id = 4 order by department for update skip locked;
update stock.levels set on_hand = 1 where item_id = 4;
rollback;

--# write/data-modifying-cte
begin;
with moved as (update stock.levels set on_hand = on_hand - 1 where on_hand > 80 returning item_id, department)
insert into stock.movements (movement_id, item_id, department, moved_at, quantity, reason)
select 5000 + row_number() over (order by item_id, department), item_id, department, '2024-03-03', -1, 'use' from moved returning item_id, department;
rollback;

--# write/lock-table
begin;
lock table stock.levels in share mode;
select count(*) from stock.levels;
rollback;

--# write/unique-violation-is-reported
--@ error 23505
begin;
insert into stock.items (item_id, sku, title, category, unit_cost) values (1, 'SKU-x', 'x', 'x', 1);
rollback;
