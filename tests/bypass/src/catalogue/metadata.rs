//! F: statistics, plans, pages, and what is there at all.

use crate::{
    infer::{Oracle, Signal},
    way::{Forms, Way, many, one, oracle, way},
};

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("F1", "statistics hold values", vec![
            one("pg_stats", "select most_common_vals::text, histogram_bounds::text from pg_stats where schemaname = '{s}'"),
            one("pg_stats star", "select * from pg_stats where tablename = '{n}'"),
            one("pg_stats qualified", "select histogram_bounds from pg_catalog.pg_stats"),
            one("pg_stats by whole row", "select s::text from pg_stats s where tablename = '{n}'"),
            one("pg_stats as JSON", "select row_to_json(s) from pg_stats s where tablename = '{n}'"),
            one("pg_stats through a CTE", "with q as (select * from pg_stats) select histogram_bounds::text from q where tablename = '{n}'"),
            one("pg_stats by query_to_xml", "select query_to_xml('select histogram_bounds::text from pg_stats', true, false, '')"),
            one("pg_stats of the often ones", "select most_common_vals from pg_stats where tablename = 'claims'"),
            one("pg_stats of a materialised view", "select histogram_bounds::text from pg_stats where tablename = 'mv'"),
            one("pg_statistic", "select stavalues1::text, stavalues2::text from pg_statistic").privileged(),
            one("pg_statistic whole", "select s::text from pg_statistic s").privileged(),
            one("pg_stats_ext", "select most_common_vals from pg_stats_ext").privileged(),
            one("pg_statistic_ext_data", "select pg_mcv_list_items(stxdmcv) from pg_statistic_ext_data").privileged(),
            one("pg_stats_ext_exprs", "select * from pg_stats_ext_exprs").silent("there are no statistics on expressions here"),
            many("pg_stats of a copy", &["create temp table st as select {c} as v from {t}", "analyze st", "select histogram_bounds::text from pg_stats where tablename = 'st'"]).wrapped(),
            many("VACUUM VERBOSE", &["vacuum (verbose, analyze) {t}"]).silent("it tells of pages, not of values"),
            one("psql's description of statistics", "select pg_get_statisticsobjdef(oid) from pg_statistic_ext").silent("definitions hold no values"),
        ]),
        way("F2", "EXPLAIN", vec![
            one("constants folded by functions", "explain (verbose) select {lab}.f_variadic('a', 'b'), {lab}.f_sql(3) from {t}").silent("a stable function is not folded"),
            one("ANALYZE runs it", "explain (analyze) select {lab}.f_warning({c}) from {t}"),
            one("ANALYZE of a cast", "explain (analyze) select {c}::int from {t}"),
            one("ANALYZE of an UPDATE", "explain (analyze) update {lab}.checked set v = (select {c} from {t} where {k} = 3)").wrapped().silent("there is no row to update"),
            one("ANALYZE of an INSERT", "explain (analyze) insert into {lab}.checked select 1, {c} from {t}").wrapped(),
            many("ANALYZE of CREATE TABLE AS", &["explain (analyze) create temp table ea as select {c} as v from {t}", "select v from ea"]).wrapped(),
            oracle("rows of a common value", Oracle::new("explain select * from {lab}.claims where {c} like '{pl}%'", Signal::Estimate(30))),
            oracle("rows of a common value as JSON", Oracle::new("explain (format text, costs on) select 1 from {lab}.claims where {like}", Signal::Estimate(30))),
            oracle("ANALYZE counts rows", Oracle::new("explain (analyze, costs off, timing off, summary off) select 1 from {t} where {k} = {id} and {ge}", Signal::Estimate(0))),
            oracle("ANALYZE of a join", Oracle::new("explain (analyze, costs off, timing off, summary off) select 1 from {t} p join {o} d on p.{k} = {id} and {sub}", Signal::Estimate(0))),
        ]),
        way("F3", "pages and files", vec![
            one("heap page", "select encode(get_raw_page('{t}', 0), 'escape')").privileged(),
            one("heap page in hex", "select get_raw_page('{t}', 'main', 1)").privileged(),
            one("heap items", "select t_data from heap_page_items(get_raw_page('{t}', 0))").privileged(),
            one("tuple split", "select tuple_data_split('{t}'::regclass, t_data, t_infomask, t_infomask2, t_bits) from heap_page_items(get_raw_page('{t}', 0))").privileged(),
            one("heap attributes", "select t_attrs from heap_page_item_attrs(get_raw_page('{t}', 0), '{t}')").privileged(),
            one("index page", "select replace(data, ' ', '') from bt_page_items('{s}.{n}_{c}_idx', 1)").privileged(),
            many("binary file", &["checkpoint", "select pg_read_binary_file(pg_relation_filepath('{t}'))"]).privileged(),
            many("binary file by name", &["checkpoint", "select encode(pg_read_binary_file('base/' || d.oid || '/' || pg_relation_filenode('{t}')), 'base64') from pg_database d where datname = current_database()"]).privileged(),
        ]),
        way("F4", "what is there at all", vec![
            one("count of a table", "select count(*) from {t}").silent("a count is allowed; it shows no value"),
            one("zero columns", "select from {t}").silent("rows without columns show their number alone"),
            one("names of columns", "select column_name from information_schema.columns where table_name = '{n}'").silent("names are no values"),
            one("catalogs with definitions", "select pg_get_viewdef(oid), pg_get_functiondef(oid) from pg_class c full join pg_proc p using (oid) limit 0").silent("definitions hold no values"),
            one("comments and defaults", "select description from pg_description").silent("comments hold no values here"),
            oracle("physical order by a write", Oracle::new("select ctid from {t} where {k} = {id} and {ge}", Signal::Rows)),
            oracle("size of a row", Oracle::new("select pg_column_size(case when {ge} then 'a' else 'bbbbbbbbbbbbbbbb' end) from {t} where {k} = {id}", Signal::First)),
            one("order by CLUSTER", "select ctid from {t}").only(Forms::Text).silent("addresses show no value unless rows are moved in order"),
        ]),
    ]
}
