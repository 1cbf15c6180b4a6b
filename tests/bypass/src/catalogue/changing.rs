//! More variants of the rows: what a name or a shape stands for changes between decision and run, or between the statements of
//! one query.

use crate::way::{Forms, Variant, Way, frames, many};
use tests::wire::{bind, close, execute, parse, parse_typed, query, sync};

/// Adds them to their rows.
pub(super) fn extend(ways: &mut [Way]) {
    ways.iter_mut().filter(|way| way.id == "B4").for_each(|way| way.variants.extend(in_one_query()));
    ways.iter_mut().filter(|way| way.id == "I8").for_each(|way| way.variants.extend(shapes()));
}

/// What has a shape when it is decided and another when it runs.
fn shapes() -> Vec<Variant> {
    vec![
        many(
            "star of a table that grows",
            &[
                "create temp table grows (a text)",
                "prepare g as select * from grows",
                "execute g",
                "alter table grows add b text",
                "execute g",
            ],
        )
        .silent("nothing protected is in it; the shape alone is at stake"),
        many(
            "composite's fields changed",
            &[
                "create type pg_temp.pt as (a text)",
                "create temp table ct (v pg_temp.pt)",
                "alter type pg_temp.pt add attribute b text",
                "select v from ct",
            ],
        )
        .wrapped()
        .silent("nothing protected is in it"),
        many(
            "view over a table that is swapped",
            &[
                "create temp table one (v text)",
                "create temp view sees as select v from one",
                "alter table one rename to two",
                "create temp table one as select {c} as v from {t}",
                "select v from sees",
                "select v from one",
            ],
        )
        .wrapped(),
        many(
            "columns swapped by name in a temporary table",
            &[
                "create temp table sw (a text, {c} text)",
                "insert into sw (a) select {u} from {t}",
                "alter table sw rename {c} to z",
                "alter table sw rename a to {c}",
                "update sw set z = (select string_agg({c}, ',') from {t})",
                "select z from sw",
            ],
        )
        .wrapped(),
        many(
            "table made from a prepared star",
            &["prepare st as select * from {t}", "create temp table made as execute st", "select {c} || '' from made"],
        )
        .wrapped(),
        many(
            "table made, filled by a prepared copy, renamed",
            &[
                "create temp table a1 (v text)",
                "prepare f as insert into a1 select {c} from {t}",
                "execute f",
                "alter table a1 rename to a2",
                "alter table a2 rename v to w",
                "select w from a2",
            ],
        )
        .wrapped(),
        frames("copy by portals", |talk| {
            let (make, fill) = ("create temp table cp (v text)", talk.fill("insert into cp select {c} from {t}")?);
            talk.ask(&[query("begin"), query(make)])?;
            talk.ask_for(&[], 1)?;
            talk.ask(&[
                parse("f", &fill),
                bind("", "f", &[], 0),
                execute("", 0),
                parse("r", "select v from cp"),
                bind("", "r", &[], talk.format),
                execute("", 0),
                sync(),
            ])
        }),
        frames("parameters carry nothing back", |talk| {
            let make = "create temp table pr (v text)";
            talk.ask(&[query("begin")])?;
            talk.ask(&[query(make)])?;
            let secret = talk.fill("insert into pr select $1::text || {c} from {t}")?;
            talk.ask(&[
                parse_typed("", &secret, &[25]),
                bind("", "", &[Some("")], talk.format),
                execute("", 0),
                sync(),
            ])?;
            talk.ask(&[query("select v from pr")])
        }),
        frames("two statements of one name in a pipeline", |talk| {
            let (harmless, secret) = (talk.fill("select 'x'::text as x")?, talk.fill("select {c} as x from {t}")?);
            talk.ask(&[
                parse("", &harmless),
                bind("p", "", &[], talk.format),
                parse("", &secret),
                bind("q", "", &[], talk.format),
                execute("p", 0),
                execute("q", 0),
                close(b'P', "p"),
                close(b'P', "q"),
                sync(),
            ])
        }),
        frames("portal closed and bound before its rows came", |talk| {
            let (harmless, secret) =
                (talk.fill("select 'x'::text as x")?, talk.fill("select '' || {c} as x from {t}")?);
            talk.ask(&[
                parse("h", &harmless),
                parse("s", &secret),
                bind("p", "s", &[], talk.format),
                execute("p", 2),
                close(b'P', "p"),
                bind("p", "h", &[], talk.format),
                execute("p", 2),
                sync(),
            ])
        }),
        frames("plain portal closed and bound before its rows came", |talk| {
            let (harmless, secret) = (talk.fill("select 'x'::text as x")?, talk.fill("select {c} as x from {t}")?);
            talk.ask(&[
                parse("h", &harmless),
                parse("s", &secret),
                bind("p", "s", &[], talk.format),
                execute("p", 2),
                close(b'P', "p"),
                bind("p", "h", &[], talk.format),
                execute("p", 2),
                sync(),
            ])
        }),
        frames("partly read, the rest after another Bind elsewhere", |talk| {
            let (harmless, secret) = (talk.fill("select 'x'::text as x")?, talk.fill("select {c} as x from {t}")?);
            talk.ask(&[query("begin")])?;
            talk.ask(&[
                parse("h", &harmless),
                parse("s", &secret),
                bind("p", "s", &[], talk.format),
                execute("p", 2),
                sync(),
            ])?;
            talk.ask(&[
                close(b'S', "s"),
                parse("s", &harmless),
                bind("", "s", &[], talk.format),
                execute("", 0),
                execute("p", 3),
                sync(),
            ])?;
            talk.ask(&[query("fetch 4 from p")])
        }),
        frames("read in SQL after the statement is gone", |talk| {
            let secret = talk.fill("select {c} as x from {t}")?;
            talk.ask(&[query("begin")])?;
            talk.ask(&[parse("s", &secret), bind("p", "s", &[], talk.format), close(b'S', "s"), sync()])?;
            talk.ask(&[query("deallocate all")])?;
            talk.ask(&[query("fetch 4 from p")])?;
            talk.ask(&[query("move 1 in p; fetch 2 from p")])?;
            talk.ask(&[execute("p", 0), sync()])
        }),
    ]
}

/// What a name stands for changes between the statements of one query.
fn in_one_query() -> Vec<Variant> {
    let list: &[(&'static str, &[&str])] = &[
        ("prepared and run", &["prepare w as select {c} || '' from {t}; execute w"]),
        ("prepared plainly and run", &["prepare w as select {c} as x from {t}; execute w"]),
        (
            "prepared, copied, read",
            &[
                "prepare w as select {c} as x from {t}; create temp table tt as execute w; select x from tt; drop table tt",
            ],
        ),
        (
            "prepared again and run",
            &["prepare w as select 'x'::text as x; deallocate w; prepare w as select {c} as x from {t}; execute w"],
        ),
        (
            "name known before, prepared again and run",
            &["prepare w as select 'x'::text as x", "deallocate w; prepare w as select {c} as x from {t}; execute w"],
        ),
        (
            "all names forgotten, prepared again and run",
            &["prepare w as select 'x'::text as x", "deallocate all; prepare w as select {c} as x from {t}; execute w"],
        ),
        ("declared and fetched", &["begin; declare c cursor for select {c} || '' from {t}; fetch all from c; commit"]),
        (
            "declared plainly and fetched",
            &["begin; declare c cursor for select {c} as x from {t}; fetch all from c; commit"],
        ),
        (
            "cursor known before, declared again and fetched",
            &[
                "begin; declare c cursor for select 'x'::text as x",
                "close c; declare c cursor for select {c} as x from {t}; fetch all from c; rollback",
            ],
        ),
        (
            "all cursors closed, declared again and fetched",
            &[
                "begin; declare c cursor for select 'x'::text as x",
                "close all; declare c cursor for select {c} as x from {t}; fetch all from c; rollback",
            ],
        ),
        (
            "cursor rolled back, declared again and fetched",
            &[
                "begin; declare c cursor for select 'x'::text as x",
                "rollback; begin; declare c cursor for select {c} as x from {t}; fetch all from c; rollback",
            ],
        ),
        ("path set and used", &["set search_path = {s}; select {c} || '' from {n}"]),
        ("path set and used plainly", &["set search_path = {s}; select {c} as x from {n}"]),
        (
            "table dropped behind which another stands",
            &[
                "set search_path = {s}; create temp table {n} ({c} text); drop table pg_temp.{n}; select {c} || '' from {n}",
            ],
        ),
        (
            "table dropped behind which another stands, plainly",
            &[
                "set search_path = {s}; create temp table {n} ({c} text); drop table pg_temp.{n}; select {c} as x from {n}",
            ],
        ),
        (
            "table known before, dropped, and the one behind it",
            &[
                "set search_path = {s}; create temp table {n} ({c} text)",
                "drop table pg_temp.{n}; select {c} as x from {n}",
            ],
        ),
        (
            "table known before, rolled back, and the one behind it",
            &["set search_path = {s}", "begin; create temp table {n} ({c} text)", "rollback; select {c} as x from {n}"],
        ),
        (
            "path known before, rolled back, and the table behind it",
            &["set search_path = {s}", "begin; set search_path = pg_temp", "rollback; select {c} as x from {n}"],
        ),
        (
            "path reset by DISCARD",
            &["set search_path = {s}", "create temp table {n} ({c} text)", "discard temp; select {c} as x from {n}"],
        ),
    ];
    list.iter().map(|(name, steps)| many(name, steps).only(Forms::Simple)).collect()
}
