--# explain/plain
explain select department, count(*) from clinic.encounters group by department;

--# explain/costs-off
explain (costs off) select e.encounter_id from clinic.encounters e join clinic.patients p using (patient_id) where p.state = 'OH';

--# explain/json
explain (format json) select * from stock.items where item_id = 3;

--# explain/verbose
explain (verbose, costs off) select sku from stock.items order by unit_cost limit 3;

--# explain/analyze
--@ shape
explain analyze select count(*) from stock.movements;

--# explain/analyze-buffers-yaml
--@ shape
explain (analyze, buffers, format yaml) select count(*) from stock.movements where quantity > 0;

--# explain/of-masked-select
explain (costs off) select ssn, phone from clinic.patients where patient_id = 5;

--# explain/insert
explain (costs off) insert into stock.levels select item_id, 'x', 0, 0, '2024-01-01' from stock.items;
