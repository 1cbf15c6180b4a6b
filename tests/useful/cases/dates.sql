--# dates/trunc
select date_trunc('month', moved_at) as month, count(*), sum(quantity) from stock.movements group by 1 order by 1;

--# dates/extract
select extract(year from moved_at) as y, extract(dow from moved_at) as d, count(*) from stock.movements group by 1, 2 order by 1, 2;

--# dates/date-part
select date_part('quarter', booked_month) as q, sum(amount) from billing.payments group by 1 order by 1;

--# dates/date-bin
select date_bin('7 days', moved_at, timestamp '2023-01-02') as week, count(*) from stock.movements group by 1 order by 1;

--# dates/to-char
select to_char(moved_at, 'YYYY-"Q"Q') as quarter, count(*) from stock.movements group by 1 order by 1;

--# dates/interval-arithmetic
select item_id, counted_on, counted_on + interval '90 days' as due, date '2024-06-01' - counted_on as days from stock.levels order by 1, department;

--# dates/age
select age(timestamp '2024-06-01', hired_on::timestamp), person_id from org.people order by 2;

--# dates/between
select count(*) from stock.movements where moved_at >= '2023-06-01' and moved_at < '2023-07-01';

--# dates/overlaps
select count(*) from stock.movements where (moved_at, interval '1 day') overlaps (timestamp '2023-02-01', timestamp '2023-02-15');

--# dates/at-time-zone
select movement_id, moved_at at time zone 'UTC' at time zone 'Europe/Berlin' from stock.movements where movement_id < 20 order by 1;

--# dates/make
select make_date(2024, 2, 29), make_timestamp(2024, 1, 2, 3, 4, 5), make_interval(days => 3), to_timestamp(0) at time zone 'UTC', to_date('05/06/2024', 'DD/MM/YYYY');

--# dates/relative-to-now
select count(*) from stock.movements where moved_at < now() - interval '1 day' and moved_at < current_date;

--# dates/cumulative-by-day
select d, sum(count(*)) over (order by d) from (select moved_at::date d from stock.movements) q group by d order by d limit 50;

--# dates/weekday-pivot
select department, count(*) filter (where extract(isodow from moved_at) = 1) mon, count(*) filter (where extract(isodow from moved_at) > 5) weekend
  from stock.movements group by department order by 1;

--# dates/created-at-of-patients-is-clear
select date_trunc('year', created_at), count(*) from clinic.patients group by 1 order by 1;

--# dates/masked-dates-beside-clear-ones
--@ masked dob=year
select patient_id, dob, created_at from clinic.patients order by patient_id limit 40;

--# dates/masked-timestamps
--@ masked admitted_at=year collected_at=year
select e.encounter_id, e.admitted_at, r.collected_at, r.value from clinic.encounters e join lab.results r using (encounter_id) order by 1, r.result_id;
