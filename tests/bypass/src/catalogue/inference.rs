//! G and H: values put together from answers, and values in disguise.

use crate::{
    infer::{Oracle, Signal},
    way::{Forms, Variant, Way, frames, many, one, oracle, way},
};
use tests::wire::query;

pub(super) fn ways() -> Vec<Way> {
    vec![
        way("G1", "choosing rows by the value", choosing()),
        way("G2", "grouping by parts of the value", grouping()),
        way("G3", "order, rank, distinct, limits", ordering()),
        way("G4", "presence of errors", errors()),
        way("G5", "time and size", timing()),
        way(
            "G6",
            "small groups and differences",
            vec![
                oracle(
                    "difference of two counts",
                    Oracle::new(
                        "select (select count(*) from {t}) - (select count(*) from {t} where not ({k} = {id} and {ge}))",
                        Signal::First,
                    ),
                ),
                oracle(
                    "sum over a group of one",
                    Oracle::new(
                        "select sum(case when {ge} then 1 else 0 end) from {t} where {k} = {id}",
                        Signal::First,
                    ),
                ),
                oracle(
                    "average over a group of one",
                    Oracle::new("select avg(({sub})::int) from {t} group by {k} having {k} = {id}", Signal::First),
                ),
                one(
                    "singled out by quasi-identifiers",
                    "select {k}, upper({c}) from {t} where {u} = 'OH' and sex = 'F'",
                ),
            ],
        ),
        way(
            "G7",
            "hashes that can be looked up",
            vec![
                one("md5", "select md5({c}) from {t}"),
                one("md5 of bytes", "select md5({c}::bytea) from {t}"),
                one("sha256", "select sha256({c}::bytea) from {t}"),
                one("digest", "select encode(digest({c}, 'sha256'), 'hex') from {t}"),
                one("digest in base64", "select encode(digest({c}, 'md5'), 'base64') from {t}"),
                oracle(
                    "hashtext compared",
                    Oracle::new(
                        "select 1 from {t} where {k} = {id} and hashtext(substr({c}, {i}, 1)) = any (select hashtext(chr(g)) from generate_series({code}, 126) g)",
                        Signal::Rows,
                    ),
                ),
                oracle(
                    "first letters alone",
                    Oracle::new(
                        "select left({c}, {i}) collate \"C\" >= '{px}' from {t} where {k} = {id}",
                        Signal::First,
                    ),
                ),
            ],
        ),
        way("H1", "encodings", encodings()),
        way("H2", "how text looks", looks()),
        way(
            "H3",
            "look-alikes and zero-width characters",
            vec![
                one("zero-width between", "select regexp_replace({c}, '(.)', E'\\\\1\\u200b', 'g') from {t}")
                    .only(Forms::Text),
                one("full-width digits", "select translate({c}, '0123456789', '０１２３４５６７８９') from {t}"),
                one("separators doubled", "select replace({c}, '-', '−') || '|' || {c} from {t}"),
                one(
                    "notes with full-width digits",
                    "select translate({ft}, '0123456789', '０１２３４５６７８９') || '' || {ft} from {f}",
                ),
            ],
        ),
    ]
}

fn choosing() -> Vec<Variant> {
    let rows = [
        ("compared", "select 1 from {t} where {k} = {id} and {ge}"),
        ("character compared", "select 1 from {t} where {k} = {id} and {sub}"),
        ("listed", "select 1 from {t} where {k} = {id} and {in}"),
        ("regular expression", "select 1 from {t} where {k} = {id} and {regex}"),
        ("LIKE", "select 1 from {t} where {k} = {id} and {like}"),
        ("LIKE as operator", "select 1 from {t} where {k} = {id} and {c} ~~ '{pl}%'"),
        ("ILIKE", "select 1 from {t} where {k} = {id} and {c} ilike '{pl}%'"),
        ("SIMILAR TO", "select 1 from {t} where {k} = {id} and {c} similar to '{pl}%'"),
        ("starts_with", "select 1 from {t} where {k} = {id} and starts_with({c}, '{pl}')"),
        ("starts with operator", "select 1 from {t} where {k} = {id} and {c} ^@ '{pl}'"),
        ("position", "select 1 from {t} where {k} = {id} and position('{pl}' in {c}) = 1"),
        ("strpos", "select 1 from {t} where {k} = {id} and strpos({c}, '{pl}') = 1"),
        ("left", "select 1 from {t} where {k} = {id} and left({c}, {i}) = '{pl}'"),
        ("BETWEEN", "select 1 from {t} where {k} = {id} and {c} collate \"C\" between '{px}' and '~'"),
        ("row comparison", "select 1 from {t} where ({k}, {c} collate \"C\") >= ({id}, '{px}') and {k} = {id}"),
        ("ANY of an array", "select 1 from {t} where {k} = {id} and left({c}, {i}) = any (array['{pl}'])"),
        ("ALL of an array", "select 1 from {t} where {k} = {id} and left({c}, {i}) = all (array['{pl}'])"),
        ("IS NOT DISTINCT FROM", "select 1 from {t} where {k} = {id} and left({c}, {i}) is not distinct from '{pl}'"),
        ("in a CASE", "select 1 from {t} where {k} = {id} and case when {ge} then true else false end"),
        ("in a subquery", "select 1 where exists (select 1 from {t} where {k} = {id} and {ge})"),
        ("IN a subquery", "select 1 where {id} in (select {k} from {t} where {ge})"),
        ("candidate IN a subquery", "select 1 where '{pl}' in (select left({c}, {i}) from {t} where {k} = {id})"),
        ("scalar subquery compared", "select 1 where (select {c} from {t} where {k} = {id}) collate \"C\" >= '{px}'"),
        ("join condition", "select 1 from {o} d join {t} p on p.{k} = {id} and p.{ge} limit 1"),
        (
            "left join that matches",
            "select 1 from (select 1) one left join {t} p on p.{k} = {id} and p.{ge} where p.{k} is not null",
        ),
        (
            "join with candidates",
            "select 1 from {t} p join (values ('{pl}')) v(x) on left(p.{c}, {i}) = v.x where p.{k} = {id}",
        ),
        (
            "join USING candidates",
            "select 1 from (select left({c}, {i}) x from {t} where {k} = {id}) p join (values ('{pl}')) v(x) using (x)",
        ),
        (
            "NATURAL JOIN of candidates",
            "select 1 from (select left({c}, {i}) x from {t} where {k} = {id}) p natural join (values ('{pl}')) v(x)",
        ),
        ("semi join by INTERSECT", "select left({c}, {i}) from {t} where {k} = {id} intersect select '{pl}'"),
        ("EXCEPT", "select '{pl}' except select left({c}, {i}) from {t} where {k} = {id}"),
        ("UNION counts", "select '{pl}' union select left({c}, {i}) from {t} where {k} = {id}"),
        ("HAVING", "select {k} from {t} where {k} = {id} group by {k} having min({c} collate \"C\") >= '{px}'"),
        ("bool_or in HAVING", "select 1 from {t} where {k} = {id} having bool_or({ge})"),
        ("LATERAL", "select 1 from {t} p, lateral (select 1 where p.{ge}) l where p.{k} = {id}"),
        ("through a view", "select 1 from {lab}.v where k = {id} and s collate \"C\" >= '{px}'"),
        ("through a view of an expression", "select 1 from {lab}.v_upper where k = {id} and s collate \"C\" >= '{px}'"),
        ("through a materialised view", "select 1 from {lab}.mv where k = {id} and s collate \"C\" >= '{px}'"),
        ("through a partition", "select 1 from {lab}.part_low where {k} = {id} and {ge}"),
        (
            "through a whole row",
            "select 1 from {t} p where {k} = {id} and split_part(p::text, ',', 3) collate \"C\" >= '{px}'",
        ),
        ("through JSON", "select 1 from {t} p where {k} = {id} and to_jsonb(p) ->> '{c}' >= '{px}'"),
        ("through JSON containment", "select 1 from {t} p where {k} = {id} and to_jsonb(left({c}, {i})) @> '\"{pl}\"'"),
        (
            "JSON path predicate",
            "select 1 from {t} p where {k} = {id} and jsonb_path_exists(to_jsonb(p), '$.{c} ? (@ starts with \"{pl}\")')",
        ),
        (
            "JSON path operator",
            "select 1 from {t} p where {k} = {id} and to_jsonb(p) @? '$.{c} ? (@ starts with \"{pl}\")'",
        ),
        (
            "text search",
            "select 1 from {t} where {k} = {id} and to_tsvector('simple', left({c}, {i}) || 'z') @@ to_tsquery('simple', replace('{pl}', '-', 'q') || 'z')",
        ),
        ("array overlap", "select 1 from {t} where {k} = {id} and array[left({c}, {i})] && array['{pl}']"),
        ("array containment", "select 1 from {t} where {k} = {id} and array[left({c}, {i})] <@ array['{pl}']"),
        (
            "range containment",
            "select 1 from {t} where {k} = {id} and ascii(substr({c}, {i}, 1)) <@ int4range({code}, 200)",
        ),
        (
            "overlaps of dates",
            "select 1 from {t} where {k} = {id} and (current_date, ascii(substr({c}, {i}, 1)) * interval '1 day') overlaps (current_date + {code} - 1, date '2100-01-01')",
        ),
        (
            "length of a cut",
            "select 1 from {t} where {k} = {id} and length(replace({c}, '{pl}', '')) < length({c}) and {like}",
        ),
        ("CTE", "with q as (select 1 from {t} where {k} = {id} and {ge}) select * from q"),
        ("FETCH FIRST", "select 1 from {t} where {k} = {id} and {ge} fetch first 1 rows only"),
        ("FOR UPDATE", "select 1 from {t} where {k} = {id} and {ge} for share"),
        (
            "recursive CTE",
            "with recursive r as (select 1 n union all select n + 1 from r where n < 2 and exists (select 1 from {t} where {k} = {id} and {ge})) select * from r",
        ),
        ("TABLESAMPLE and filter", "select 1 from {t} tablesample bernoulli (100) where {k} = {id} and {ge}"),
        (
            "EXISTS in the select list of an INSERT",
            "insert into {lab}.scratch select 1, 'x' where exists (select 1 from {t} where {k} = {id} and {ge}) returning 1",
        ),
        ("UPDATE RETURNING", "update {t} set {k} = {k} where {k} = {id} and {ge} returning 1"),
        (
            "DELETE RETURNING",
            "delete from {f} where {k} in (select {k} from {t} where {k} = {id} and {ge}) returning 1",
        ),
        (
            "MERGE into a table",
            "with q as (select 1 from {t} where {k} = {id} and {ge}) update {o} set {on} = {on} from q returning 1",
        ),
        ("ctid scan", "select 1 from {t} where ctid = (select ctid from {t} where {k} = {id} and {ge})"),
        ("similarity", "select 1 from {t} where {k} = {id} and left({c}, {i}) % '{pl}' and {like}"),
        ("levenshtein", "select 1 from {t} where {k} = {id} and levenshtein(left({c}, {i}), '{pl}') = 0"),
        ("soundex of parts", "select 1 from {t} where {k} = {id} and difference('a', 'a') = 4 and {ge}"),
        (
            "hstore contains",
            "select 1 from {t} where {k} = {id} and hstore('a', left({c}, {i})) @> hstore('a', '{pl}')",
        ),
        (
            "xpath_exists",
            "select 1 from {t} where {k} = {id} and xpath_exists('/a[starts-with(text(), \"{pl}\")]', xmlelement(name a, {c}))",
        ),
        ("date by its text", "select 1 from {t} where {k} = {id} and {d} is not null and {ge}"),
        (
            "anti join",
            "select 1 from {t} q where {k} = {id} and not exists (select 1 from {t} p where p.{k} = q.{k} and not (p.{ge}))",
        ),
        ("NOT IN", "select 1 where {id} not in (select {k} from {t} where not ({ge}))"),
        (
            "named window filter",
            "select count(*) filter (where {ge}) over w from {t} where {k} = {id} and {ge} window w as ()",
        ),
    ];
    let mut list: Vec<Variant> = rows
        .into_iter()
        .map(|(name, text)| {
            let variant = oracle(name, Oracle::new(text, Signal::Rows));
            let writes =
                ["insert", "update", "delete", "with q as (select 1 from {t} where {k} = {id} and {ge}) update"];
            if writes.iter().any(|word| text.starts_with(word)) || text.contains(" for share") {
                variant.wrapped()
            } else {
                variant
            }
        })
        .collect();
    let first = [
        ("count", "select count(*) from {t} where {k} = {id} and {ge}"),
        ("count with FILTER", "select count(*) filter (where {k} = {id} and {sub}) from {t}"),
        ("count of a CASE", "select count(case when {k} = {id} and {regex} then 1 end) from {t}"),
        ("count of NULLIF", "select count(nullif({k} = {id} and {ge}, false)) from {t}"),
        ("condition as a column", "select {ge} from {t} where {k} = {id}"),
        ("condition by bool_and", "select bool_and({ge}) from {t} where {k} = {id}"),
        ("every", "select every({sub}) from {t} where {k} = {id}"),
        ("condition in an array", "select array[{ge}] from {t} where {k} = {id}"),
        ("EXISTS as a column", "select exists (select 1 from {t} where {k} = {id} and {ge})"),
        ("IN as a column", "select '{pl}' in (select left({c}, {i}) from {t} where {k} = {id})"),
        ("comparison of a subquery", "select (select {c} from {t} where {k} = {id}) collate \"C\" >= '{px}'"),
        ("ALL of a subquery", "select '{px}' collate \"C\" <= all (select {c} from {t} where {k} = {id})"),
        ("sign of a difference", "select sign(ascii(substr({c}, {i}, 1)) - {code} + 0.5) from {t} where {k} = {id}"),
        ("width_bucket", "select width_bucket(ascii(substr({c}, {i}, 1)), array[{code}]) from {t} where {k} = {id}"),
        ("least and greatest", "select least(ascii(substr({c}, {i}, 1)), {code}) = {code} from {t} where {k} = {id}"),
        (
            "comparison function",
            "select bttextcmp(substr({c}, {i}, 1) collate \"C\", '{x}' collate \"C\") >= 0 from {t} where {k} = {id}",
        ),
        ("operator by function", "select text_ge(substr({c}, {i}, 1), '{x}') from {t} where {k} = {id}"),
        ("regexp_count", "select regexp_count({c}, '^{pl}') from {t} where {k} = {id}"),
        ("regexp_like", "select regexp_like({c}, '^{pl}') from {t} where {k} = {id}"),
        ("regexp_instr", "select regexp_instr({c}, '^{pl}') from {t} where {k} = {id}"),
        ("position as a column", "select position('{pl}' in {c}) = 1 from {t} where {k} = {id}"),
        ("row comparison as a column", "select row({c} collate \"C\", 1) >= row('{px}', 0) from {t} where {k} = {id}"),
        ("IS DISTINCT as a column", "select left({c}, {i}) is distinct from '{pl}' from {t} where {k} = {id}"),
    ];
    for (name, text) in first {
        list.push(oracle(name, Oracle::new(text, Signal::First)));
    }
    list.push(oracle(
        "any row, by prefix",
        Oracle::new("select count(*) > 0 from {t} where {c} like '{pl}%'", Signal::First),
    ));
    list.push(oracle(
        "any row, by a join",
        Oracle::new("select 1 from {t} p join (values ('{pl}')) v(x) on p.{c} like v.x || '%' limit 1", Signal::Rows),
    ));
    list.push(oracle(
        "parameters of a prepared statement",
        Oracle::new("execute guess('{pl}')", Signal::Rows)
            .after(&["prepare guess(text) as select 1 from {t} where {c} like $1 || '%' limit 1"]),
    ));
    list.push(
        oracle(
            "cursor moved",
            Oracle::new(
                "declare guess cursor for select 1 from {t} where {k} = {id} and {ge}; move all in guess",
                Signal::Tag,
            ),
        )
        .wrapped()
        .only(Forms::Simple),
    );
    list.push(
        one("join with generated candidates", "select g.v || '' from (select '7' || lpad((n / 10000 % 100)::text, 2, '0') || '-' || lpad((n / 100 % 100)::text, 2, '0') || '-' || lpad((1000 + n % 100)::text, 4, '0') v from generate_series(0, 700000) n) g join {t} p on p.{c} = g.v"),
    );
    list.push(one("candidates in a subquery", "select v from (select '7' || lpad((n / 10000 % 100)::text, 2, '0') || '-' || lpad((n / 100 % 100)::text, 2, '0') || '-' || lpad((1000 + n % 100)::text, 4, '0') v from generate_series(0, 700000) n) g where v in (select {c} from {t})"));
    list
}

fn grouping() -> Vec<Variant> {
    vec![
        one("groups named", "select upper({c}), count(*) from {t} group by upper({c})"),
        one("groups by position", "select left({c}, 40), count(*) from {t} group by 1"),
        one("groups by alias", "select trim({c}) as g, count(*) from {t} group by g"),
        oracle(
            "number of groups",
            Oracle::new(
                "select count(*) from {t} where {k} = {id} or {k} = -1 group by substr({c}, {i}, 1) collate \"C\" >= '{x}' having bool_and(substr({c}, {i}, 1) collate \"C\" >= '{x}')",
                Signal::Rows,
            ),
        ),
        oracle(
            "groups of a union",
            Oracle::new(
                "select 1 from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q group by g",
                Signal::Rows,
            ),
        ),
        oracle(
            "groups counted",
            Oracle::new(
                "select max(n) from (select count(*) n from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q group by g) r",
                Signal::First,
            ),
        ),
        oracle(
            "DISTINCT counted",
            Oracle::new(
                "select count(distinct g) from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q",
                Signal::First,
            ),
        ),
        oracle(
            "DISTINCT",
            Oracle::new(
                "select distinct on (g) 1 from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q",
                Signal::Rows,
            ),
        ),
        oracle(
            "grouping sets",
            Oracle::new(
                "select 1 from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q group by grouping sets ((g))",
                Signal::Rows,
            ),
        ),
        oracle(
            "partition sizes",
            Oracle::new(
                "select max(n) from (select count(*) over (partition by g) n from (select left({c}, {i}) g from {t} where {k} = {id} union all select '{pl}') q) r",
                Signal::First,
            ),
        ),
        oracle(
            "count of a group shown by its key",
            Oracle::new(
                "select count(*) from {t} group by ({k} = {id} and {ge}) having bool_or({k} = {id} and {ge})",
                Signal::Rows,
            ),
        ),
    ]
}

fn ordering() -> Vec<Variant> {
    let base = "(select {k} k, {c} c from {t} where {k} = {id} union all select -1, '{px}') q";
    let first = [
        ("ORDER BY", "select k from BASE order by c collate \"C\", k limit 1"),
        ("ORDER BY descending", "select k from BASE order by c collate \"C\" desc, k desc limit 1"),
        ("ORDER BY an expression", "select k from BASE order by convert_to(c, 'UTF8'), k limit 1"),
        ("ORDER BY USING", "select k from BASE order by c using <, k limit 1"),
        ("ORDER BY OFFSET", "select k from BASE order by c collate \"C\", k limit 1 offset 1"),
        ("FETCH FIRST", "select k from BASE order by c collate \"C\", k fetch first row only"),
        ("WITH TIES", "select k from BASE order by c collate \"C\" fetch first row with ties"),
        ("rank", "select rank() over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("row_number", "select row_number() over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("ntile", "select ntile(2) over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("percent_rank", "select percent_rank() over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("cume_dist", "select cume_dist() over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("lag of the key", "select lag(k) over (order by c collate \"C\", k) from BASE order by k limit 1"),
        ("first_value of the key", "select first_value(k) over (order by c collate \"C\", k) from BASE limit 1"),
        ("array_agg ordered", "select (array_agg(k order by c collate \"C\", k))[1] from BASE"),
        ("string_agg ordered", "select string_agg(k::text, ',' order by c collate \"C\", k) from BASE"),
        ("json_agg ordered", "select json_agg(k order by c collate \"C\", k) from BASE"),
        (
            "hypothetical rank",
            "select rank('{px}') within group (order by c collate \"C\") from (select {c} c from {t} where {k} = {id}) q",
        ),
        (
            "hypothetical dense_rank",
            "select dense_rank('{px}') within group (order by c collate \"C\") from (select {c} c from {t} where {k} = {id}) q",
        ),
        (
            "hypothetical cume_dist",
            "select cume_dist('{px}') within group (order by c collate \"C\") from (select {c} c from {t} where {k} = {id}) q",
        ),
        ("DISTINCT ON ordered", "select distinct on (one) k from (select 1 one, k, c from BASE) r order by one, c, k"),
        (
            "mode of the key",
            "select mode() within group (order by c collate \"C\" >= '{px}') from (select {c} c from {t} where {k} = {id}) q",
        ),
        ("min of the key", "select min(k) filter (where c collate \"C\" > '{px}') from BASE"),
        ("ordered in a subquery", "select k from (select k from BASE order by c collate \"C\", k) r limit 1"),
        ("ordered in a CTE", "with o as (select k from BASE order by c collate \"C\", k) select k from o limit 1"),
        (
            "greatest as the argument",
            "select greatest(c collate \"C\", '{px}') = '{px}' from (select {c} c from {t} where {k} = {id}) q",
        ),
        (
            "window frame by range",
            "select count(*) over (order by ascii(substr(c, {i}, 1)) range between unbounded preceding and 0 preceding) from (select {c} c from {t} where {k} = {id} union all select repeat(chr({code}), 20)) q order by (c = repeat(chr({code}), 20)) limit 1",
        ),
        (
            "window frame bound",
            "select count(*) over (rows (select case when {ge} then 1 else 0 end from {t} where {k} = {id}) preceding) from generate_series(1, 3) order by 1 desc limit 1",
        ),
    ];
    let mut list: Vec<Variant> = first
        .into_iter()
        .map(|(name, text)| oracle(name, Oracle::new(&text.replace("BASE", base), Signal::First)))
        .collect();
    for (name, text) in [
        (
            "LIMIT",
            "select 1 from generate_series(1, 3) limit (select case when {ge} then 1 else 2 end from {t} where {k} = {id})",
        ),
        (
            "OFFSET",
            "select 1 from generate_series(1, 3) offset (select case when {ge} then 1 else 2 end from {t} where {k} = {id})",
        ),
        (
            "LIMIT by the code",
            "select 1 from generate_series(1, 130) limit (select greatest(ascii(substr({c}, {i}, 1)) - {code} + 1, 0) > 0 from {t} where {k} = {id})::int",
        ),
        (
            "generate_series bound",
            "select generate_series(1, (select case when {ge} then 1 else 2 end from {t} where {k} = {id}))",
        ),
        (
            "repeat and split",
            "select string_to_table(repeat('x,', (select case when {ge} then 1 else 2 end from {t} where {k} = {id})), ',')",
        ),
        (
            "TABLESAMPLE",
            "select 1 from {o} tablesample bernoulli ((select case when {ge} then 100 else 0 end from {t} where {k} = {id}))",
        ),
        (
            "set-returning function per row",
            "select generate_series(1, case when {ge} then 2 else 1 end) from {t} where {k} = {id}",
        ),
        (
            "unnest of a chosen array",
            "select unnest(case when {ge} then array[1, 2] else array[1] end) from {t} where {k} = {id}",
        ),
    ] {
        list.push(oracle(name, Oracle::new(text, Signal::Rows)));
    }
    list
}

fn errors() -> Vec<Variant> {
    [
        ("division", "select 1 / (case when {ge} then 0 else 1 end) from {t} where {k} = {id}"),
        ("division by a sum", "select 1 / sum(({ge})::int) from {t} where {k} = {id}"),
        ("overflow", "select 2147483647 + ({ge})::int from {t} where {k} = {id}"),
        ("square root", "select sqrt(0.5 - ({sub})::int) from {t} where {k} = {id}"),
        ("logarithm", "select ln(1 - ({sub})::int) from {t} where {k} = {id}"),
        ("cast", "select (case when {ge} then 'x' else '1' end)::int from {t} where {k} = {id}"),
        ("cast of the value itself", "select (substr({c}, {i}, 1) || '0')::int from {t} where {k} = {id} and {ge}"),
        ("chr of nothing", "select chr(1 - ({ge})::int) from {t} where {k} = {id}"),
        ("array bounds", "select array_fill(1, array[case when {ge} then -1 else 1 end]) from {t} where {k} = {id}"),
        ("subquery with two rows", "select (select n from generate_series(1, 1 + ({ge})::int) n) from {t} where {k} = {id}"),
        ("subquery over two rows", "select (select 1 from {t} where {k} = {id} and {ge} union all select 2)"),
        ("json", "select (case when {ge} then '{' else '{}' end)::json from {t} where {k} = {id}"),
        ("regular expression", "select 'x' ~ (case when {ge} then '(' else 'x' end) from {t} where {k} = {id}"),
        ("date out of range", "select date '5874897-12-31' + ({ge})::int from {t} where {k} = {id}"),
        ("repeat too long", "select length(repeat('xxxxxxxx', case when {ge} then 2000000000 else 1 end)) from {t} where {k} = {id}"),
        ("factorial", "select factorial(case when {ge} then -1 else 1 end) from {t} where {k} = {id}"),
        ("encoding", "select convert_from(case when {ge} then '\\xff'::bytea else '\\x41'::bytea end, 'UTF8') from {t} where {k} = {id}"),
        ("current_setting", "select current_setting(case when {ge} then 'no.such' else 'timezone' end) from {t} where {k} = {id}"),
        ("in WHERE", "select 1 from {t} where {k} = {id} and 1 / (1 - ({ge})::int) > 0"),
        ("in ORDER BY", "select 1 from {t} where {k} = {id} order by 1 / (1 - ({ge})::int), {k}"),
        ("in a join", "select 1 from {t} p join {o} d on 1 / (1 - (p.{ge})::int) > 0 where p.{k} = {id}"),
        ("in LIMIT", "select 1 limit (select case when {ge} then -1 else 1 end from {t} where {k} = {id})"),
        ("in a window", "select ntile(1 - ({ge})::int) over () from {t} where {k} = {id}"),
        ("in an UPDATE", "update {o} set {on} = 1 / (select 1 - ({ge})::int from {t} where {k} = {id})"),
        ("not null", "insert into {t} ({k}) select case when {ge} then null else -1 end from {t} where {k} = {id}"),
        ("unique", "insert into {t} ({k}) select case when {ge} then {k} else -1 end from {t} where {k} = {id}"),
        ("check", "insert into {lab}.checked select 1, case when {ge} then 'long one' else '' end from {t} where {k} = {id}"),
        ("foreign key", "insert into {h} ({hk}, {k}) select -1, case when {ge} then -77 else {id} end from {t} where {k} = {id}"),
        ("ON CONFLICT twice", "insert into {lab}.bounds select 1, 'x' from {t}, generate_series(1, 2) n where {k} = {id} and (n = 1 or {ge}) on conflict (n) do update set v = 'y'"),
        ("function that fails", "select case when {ge} then {lab}.f_error('x') end from {t} where {k} = {id}"),
        ("JSON path strict", "select jsonb_path_query('{}', case when {ge} then 'strict $.a'::jsonpath else 'lax $.a'::jsonpath end) from {t} where {k} = {id}"),
        ("nothing to fetch strictly", "select (array[1, 2])[1 + ({ge})::int] / 0 * ({sub})::int from {t} where {k} = {id} and {ge}"),
        ("lock not available", "select pg_advisory_unlock(1), 1 / (1 - ({ge})::int) from {t} where {k} = {id}"),
    ]
    .into_iter()
    .map(|(name, text)| {
        let variant = oracle(name, Oracle::new(text, Signal::Error));
        let variant = if name == "cast of the value itself" { variant.silent("both answers are the same once the character is a digit") } else { variant };
        if text.starts_with("insert") || text.starts_with("update") { variant.wrapped() } else { variant }
    })
    .collect()
}

fn timing() -> Vec<Variant> {
    vec![
        oracle(
            "pg_sleep",
            Oracle::new("select case when {ge} then pg_sleep(0.1) end from {t} where {k} = {id}", Signal::Time),
        ),
        oracle(
            "pg_sleep_for in WHERE",
            Oracle::new("select 1 from {t} where {k} = {id} and {ge} and pg_sleep_for('100 ms') is null", Signal::Time),
        ),
        oracle(
            "pg_sleep_until",
            Oracle::new(
                "select pg_sleep_until(now() + ({ge})::int * interval '100 ms') from {t} where {k} = {id}",
                Signal::Time,
            ),
        ),
        oracle(
            "much work",
            Oracle::new(
                "select count(*) from generate_series(1, (select case when {ge} then 1500000 else 1 end from {t} where {k} = {id}))",
                Signal::Time,
            ),
        ),
        oracle(
            "much work by a join",
            Oracle::new(
                "select count(*) from {t} p, generate_series(1, 1500) a, generate_series(1, 1500) b where p.{k} = {id} and p.{ge} and a <> b",
                Signal::Time,
            ),
        ),
        oracle(
            "heavy hash",
            Oracle::new(
                "select case when {ge} then md5(repeat({u}, 40000000)) = 'x' end from {t} where {k} = {id}",
                Signal::Time,
            ),
        ),
        oracle(
            "size of the answer",
            Oracle::new(
                "select repeat('x', case when {ge} then 10 else 20 end) from {t} where {k} = {id}",
                Signal::Size,
            ),
        ),
        oracle("size of a count", Oracle::new("select 10 - ({ge})::int from {t} where {k} = {id}", Signal::Size)),
    ]
}

fn encodings() -> Vec<Variant> {
    let mut list: Vec<Variant> = [
        ("hexadecimal", "select encode({c}::bytea, 'hex') from {t}"),
        ("base64", "select encode({c}::bytea, 'base64') from {t}"),
        ("base64, shifted by one", "select encode(('x' || {c})::bytea, 'base64') from {t}"),
        ("base64, shifted by two", "select encode(('xx' || {c} || 'y')::bytea, 'base64') from {t}"),
        ("base64 of all", "select encode(string_agg({c}, ',')::bytea, 'base64') from {t}"),
        ("escape", "select encode({c}::bytea, 'escape') from {t}"),
        ("bytea", "select {c}::bytea from {t}"),
        ("reversed", "select reverse({c}) from {t}"),
        ("upper", "select upper({m}) from {t}"),
        ("digits alone", "select regexp_replace({c}, '\\D', '', 'g') from {t}"),
        ("as a number", "select replace({c}, '-', '')::bigint from {t}"),
        ("quoted", "select quote_literal({c}) from {t}"),
        ("JSON string", "select to_json({c}) from {t}"),
        ("XML element", "select xmlelement(name x, {c}) from {t}"),
        ("md5", "select md5({c}) from {t}"),
        (
            "decrypted again",
            "select convert_from(decrypt(encrypt({c}::bytea, 'k', 'aes'), 'k', 'aes'), 'UTF8') from {t}",
        ),
        ("pgp and back", "select pgp_sym_decrypt(pgp_sym_encrypt({c}, 'k'), 'k') from {t} where {k} < 20"),
        ("armor", "select armor({c}::bytea) from {t}"),
        ("compressed by concatenation", "select repeat({c}, 3) from {t}"),
        ("date in another style", "select to_char({d}, 'DD.MM.YYYY') from {t}"),
        ("date as a number", "select to_char({d}, 'YYYYMMDD')::int from {t}"),
        ("date as a Julian day", "select to_char({d}, 'J') from {t}"),
        ("date as seconds", "select extract(epoch from {d})::bigint from {t}"),
        ("UTF-16 by hand", "select regexp_replace({c}, '(.)', E'\\\\1\\\\000', 'g')::bytea from {t}"),
        ("URL", "select replace({m}, '@', '%40') from {t}"),
        (
            "numeric references",
            "select string_agg('&#' || ascii(x) || ';', '') from {t}, string_to_table({c}, null) x group by {k}",
        ),
        (
            "hexadecimal by to_hex",
            "select string_agg(to_hex(ascii(x)), '') from {t}, string_to_table({c}, null) x group by {k}",
        ),
    ]
    .into_iter()
    .map(|(name, text)| one(name, text))
    .collect();
    list.extend([
        one("codes in rows", "select ascii(x) from {t}, string_to_table({c}, null) with ordinality u(x, n) where {k} < 20 order by {k}, n").pieces(),
        one("characters in rows", "select x from {t}, string_to_table({c}, null) with ordinality u(x, n) where {k} < 20 order by {k}, n").pieces(),
        one("characters by generate_series", "select substr({c}, n, 1) from {t}, generate_series(1, 11) n where {k} < 20 order by {k}, n").pieces(),
        one("codes by generate_series", "select ascii(substr({c}, n, 1)) from {t}, generate_series(1, 11) n where {k} < 20 order by {k}, n").pieces(),
        one("bytes by get_byte", "select get_byte({c}::bytea, n) from {t}, generate_series(0, 10) n where {k} < 20 order by {k}, n").pieces(),
        one("an array of codes", "select array(select ascii(x) from string_to_table({c}, null) x) from {t}").pieces(),
        many("character by character in queries", &[
            "select substr({c}, 1, 1) from {t} where {k} = 3", "select substr({c}, 2, 1) from {t} where {k} = 3", "select substr({c}, 3, 1) from {t} where {k} = 3",
            "select substr({c}, 4, 1) from {t} where {k} = 3", "select substr({c}, 5, 1) from {t} where {k} = 3", "select substr({c}, 6, 1) from {t} where {k} = 3",
            "select substr({c}, 7, 1) from {t} where {k} = 3", "select substr({c}, 8, 1) from {t} where {k} = 3", "select substr({c}, 9, 1) from {t} where {k} = 3",
            "select substr({c}, 10, 1) from {t} where {k} = 3", "select substr({c}, 11, 1) from {t} where {k} = 3",
        ]).pieces(),
        many("halves in two queries", &["select left({c}, 5) from {t} where {k} = 3", "select substr({c}, 6) from {t} where {k} = 3"]).pieces(),
    ]);
    list
}

fn looks() -> Vec<Variant> {
    vec![
        many("client_encoding SJIS", &["set client_encoding = 'SJIS'", "select {c} || '' from {t}"]),
        many("client_encoding, plain column", &["set client_encoding = 'LATIN1'", "select {c}, {m} from {t}"]),
        many("SET NAMES", &["set names 'EUC_JP'", "select {c} || '' from {t}"]),
        many(
            "client_encoding by set_config",
            &["select set_config('client_encoding', 'SQL_ASCII', false)", "select {c} || '' from {t}"],
        ),
        many("DateStyle German", &["set datestyle = german", "select {d}, {d} + 0 from {t}"]),
        many("DateStyle SQL", &["set datestyle = 'sql, dmy'", "select {d}, {d} + 0 from {t}"]),
        many("DateStyle Postgres", &["set datestyle = 'postgres, mdy'", "select {d}, {d} + 0 from {t}"]),
        many("IntervalStyle", &["set intervalstyle = iso_8601", "select {d} - date '1800-01-01', upper({c}) from {t}"]),
        many("time zone", &["set timezone = 'Pacific/Apia'", "select {d}::timestamptz, {c} || '' from {t}"]),
        many("bytea_output", &["set bytea_output = escape", "select {c}::bytea from {t}"]),
        many("bytea_output hex", &["set bytea_output = hex", "select {c}::bytea from {t}"]),
        many("xmlbinary", &["set xmlbinary = hex", "select xmlelement(name a, {c}::bytea) from {t}"]),
        many("extra_float_digits", &["set extra_float_digits = 3", "select replace({c}, '-', '')::float8 from {t}"]),
        many(
            "lc_monetary",
            &["set lc_monetary = 'C'", "select replace({c}, '-', '')::bigint::money::numeric from {t}"],
        ),
        frames("client_encoding at startup", |talk| {
            let secret = talk.fill("select {c} || '' from {t}")?;
            match crate::client::Client::login_with(talk.login, &[("client_encoding", "SJIS"), ("DateStyle", "German")])
            {
                Ok(mut client) => {
                    let answer = client.ask(&query(&secret))?;
                    talk.heard.extend(answer);
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .only(Forms::Once),
    ]
}
