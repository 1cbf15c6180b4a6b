//! More variants of the rows: what a name stands for after an error, a rollback, a refusal or a change of path. Whoever keeps
//! track of names on the way must change its mind only when the server has.

use crate::way::{Forms, Variant, Way, frames, many, one};
use tests::wire::{bind, close, describe, execute, parse, parse_typed, query, sync};

/// Adds them to their rows.
pub(super) fn extend(ways: &mut [Way]) {
    let mut add = |id: &str, variants: Vec<Variant>| {
        if let Some(way) = ways.iter_mut().find(|way| way.id == id) {
            way.variants.extend(variants);
        }
    };
    add(
        "B2",
        vec![
            frames("query after a refused Parse, before its Sync", |talk| {
                let (refused, secret) =
                    (talk.fill("select upper({c}) from {t}")?, talk.fill("select {c} || '' from {t}")?);
                talk.ask(&[
                    parse("", &refused),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    query(&secret),
                    sync(),
                ])?;
                talk.ask(&[query("select 1")])
            }),
            frames("name taken already", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[parse("s", "select 'x'::text as x"), sync()])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            }),
            frames("name taken already, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                let first = [parse("s", &secret), sync()].concat();
                let second = [parse("s", "select 'x'::text as x"), sync()].concat();
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                talk.ask_for(&[first, second, run], 3)
            }),
            frames("portal taken already", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask_for(&[query("begin"), query("savepoint a")], 2)?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal taken already, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask_for(&[query("begin"), query("savepoint a")], 2)?;
                let bound = [
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ]
                .concat();
                let again = [bind("p", "h", &[], talk.format), sync()].concat();
                let run = [execute("p", 0), sync()].concat();
                talk.ask_for(&[bound, query("savepoint b"), again, query("rollback to b"), run], 5)
            }),
            frames("unnamed portal bound again with too many parameters", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    parse("s2", &secret),
                    bind("", "s2", &[], talk.format),
                    bind("", "h", &[Some("1")], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("", 0), sync()])
            })
            .silent("the portal does not outlive the statements of the savepoint"),
            frames("portal bound again with too many parameters", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[Some("1")], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound again in a part that is skipped", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    execute("nowhere", 0),
                    close(b'P', "p"),
                    bind("p", "h", &[], talk.format),
                    describe(b'P', "p"),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound again after an error of the server", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[
                    parse("s", &secret),
                    parse("h", "select 'x'::text as x"),
                    bind("p", "s", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'P', "p"),
                    bind("p", "h", &[], talk.format),
                    sync(),
                ])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("statement parsed again after an error of the server", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            }),
            frames("statement parsed again after an error, in one write", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                let first = [parse("s", &secret), sync()].concat();
                let broken = [
                    parse("", "select 1/0"),
                    bind("", "", &[], 0),
                    execute("", 0),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ]
                .concat();
                let run = [bind("", "s", &[], talk.format), execute("", 0), sync()].concat();
                talk.ask_for(&[first, broken, run], 3)
            }),
            frames("statement parsed again after a refusal", |talk| {
                let (secret, refused) =
                    (talk.fill("select {c} as x from {t}")?, talk.fill("select upper({c}) from {t}")?);
                talk.ask(&[parse("s", &secret), sync()])?;
                talk.ask(&[
                    parse("", &refused),
                    close(b'S', "s"),
                    parse("s", "select 'x'::text as x"),
                    describe(b'S', "s"),
                    sync(),
                ])?;
                talk.ask(&[bind("", "s", &[], talk.format), execute("", 0), sync()])
            })
            .silent("nothing is refused there, and so the statement is another"),
            frames("portal and cursor of one name", |talk| {
                let declare = talk.fill("declare p cursor for select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[query(&declare)])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[parse("h", "select 'x'::text as x"), sync()])?;
                talk.ask(&[bind("p", "h", &[], talk.format), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[query("fetch 5 from p")])?;
                talk.ask(&[execute("p", 0), sync()])
            }),
            frames("portal bound in a savepoint, gone, bound again", |talk| {
                let secret = talk.fill("select {c} as x from {t}")?;
                talk.ask(&[query("begin")])?;
                talk.ask(&[parse("s", &secret), parse("h", "select 'x'::text as x"), sync()])?;
                talk.ask(&[query("savepoint b")])?;
                talk.ask(&[bind("p", "h", &[], talk.format), describe(b'P', "p"), sync()])?;
                talk.ask(&[query("rollback to b")])?;
                talk.ask(&[bind("p", "s", &[], talk.format), execute("p", 0), sync()])
            }),
            frames("path set and used in one pipeline", |talk| {
                let (path, secret) = (talk.fill("set search_path = {s}")?, talk.fill("select {c} || '' from {n}")?);
                talk.ask(&[
                    parse("", &path),
                    bind("", "", &[], 0),
                    execute("", 0),
                    parse("", &secret),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
            frames("path set and used plainly in one pipeline", |talk| {
                let (path, secret) = (talk.fill("set search_path = {s}")?, talk.fill("select {c} as x from {n}")?);
                talk.ask(&[
                    parse("", &path),
                    bind("", "", &[], 0),
                    execute("", 0),
                    parse("", &secret),
                    bind("", "", &[], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
            frames("parameter's type chooses a function", |talk| {
                talk.ask(&[
                    parse_typed("", "select initcap($1)", &[1043]),
                    bind("", "", &[Some("3")], talk.format),
                    execute("", 0),
                    sync(),
                ])
            }),
        ],
    );
    add(
        "B3",
        vec![
            many(
                "PREPARE of a copy",
                &[
                    "create temp table pc (v text)",
                    "prepare w as insert into pc select {c} from {t}",
                    "execute w",
                    "select v from pc",
                ],
            )
            .wrapped(),
            many(
                "PREPARE of an UPDATE that moves the value",
                &[
                    "create temp table pu (v text)",
                    "insert into pu values ('')",
                    "prepare w as update pu set v = (select string_agg({c}, ',') from {t})",
                    "execute w",
                    "select v from pu",
                ],
            )
            .wrapped(),
            many(
                "EXECUTE into a table, unlogged",
                &[
                    "prepare w as select {c} as x from {t}",
                    "create unlogged table {lab}.tt as execute w",
                    "select x from {lab}.tt",
                ],
            )
            .wrapped(),
            many(
                "EXECUTE into a table with names",
                &[
                    "prepare w(bigint) as select {c} from {t} where {k} > $1",
                    "create temp table tt(y) as execute w(0)",
                    "select y || '' from tt",
                ],
            )
            .wrapped(),
            many(
                "EXPLAIN ANALYZE of EXECUTE into a table",
                &[
                    "prepare w as select {c} as x from {t}",
                    "explain analyze create temp table tt as execute w",
                    "select x from tt",
                ],
            )
            .wrapped(),
            many(
                "failed in front of a new one",
                &[
                    "prepare w as select {c} as x from {t}",
                    "select 1/0; deallocate w; prepare w as select 'x'::text as x",
                    "execute w",
                ],
            )
            .only(Forms::Simple),
            many(
                "cut off by an error in a block",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin; select 1/0; deallocate w; prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            )
            .only(Forms::Simple),
            many(
                "name taken already",
                &["prepare w as select {c} as x from {t}", "prepare w as select 'x'::text as x", "execute w"],
            ),
            many(
                "name taken, into a table",
                &[
                    "prepare w as select {c} as x from {t}",
                    "prepare w as select 'x'::text as x",
                    "create temp table tt as execute w",
                    "select x from tt",
                ],
            ),
            many(
                "prepared in a failed transaction",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin",
                    "select 1/0",
                    "deallocate w",
                    "prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            ),
            many(
                "deallocated in a transaction that is rolled back",
                &[
                    "prepare w as select {c} as x from {t}",
                    "begin",
                    "deallocate w",
                    "prepare w as select 'x'::text as x",
                    "rollback",
                    "execute w",
                ],
            )
            .silent("names of prepared statements do not roll back"),
            many(
                "folded and quoted names",
                &["prepare \"W\" as select 'x'::text", "prepare W as select {c} as x from {t}", "execute w"],
            ),
            many(
                "long names",
                &[
                    &format!("prepare {0}a as select {{c}} as x from {{t}}", "w".repeat(63)),
                    &format!("prepare {0}b as select 'x'::text", "w".repeat(63)),
                    &format!("execute {0}c", "w".repeat(63)),
                ],
            ),
            one(
                "failed in front, in one query",
                "prepare w as select {c} as x from {t}; select 1/0; deallocate w; prepare w as select 'x'::text",
            )
            .only(Forms::Simple)
            .silent("nothing is run"),
        ],
    );
    add(
        "B5",
        vec![
            many(
                "name taken already",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "closed and declared after an error",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "select 1/0; close c; declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped()
            .only(Forms::Simple),
            many(
                "declared anew in a failed block",
                &[
                    "declare c cursor for select {c} as x from {t}",
                    "savepoint b",
                    "select 1/0",
                    "close c",
                    "declare c cursor for select 'x'::text as x",
                    "rollback to b",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "held over the transaction, name taken",
                &[
                    "begin",
                    "declare c cursor with hold for select {c} as x from {t}",
                    "commit",
                    "begin",
                    "declare c cursor for select 'x'::text as x",
                    "rollback",
                    "fetch all from c",
                ],
            ),
            many(
                "folded names",
                &[
                    "declare \"C\" cursor for select 'x'::text as x",
                    "declare C cursor for select {c} as x from {t}",
                    "fetch all from c",
                ],
            )
            .wrapped(),
            many(
                "long names",
                &[
                    &format!("declare {0}a cursor for select {{c}} as x from {{t}}", "c".repeat(63)),
                    &format!("fetch all from {0}b", "c".repeat(63)),
                ],
            )
            .wrapped(),
        ],
    );
    let hidden = [
        (
            "temporary table rolled back",
            "temporary table rolled back, plain column",
            vec!["begin", "create temp table {n} ({c} text)", "rollback"],
        ),
        (
            "temporary table of a savepoint",
            "temporary table of a savepoint, plain column",
            vec!["begin", "savepoint a", "create temp table {n} ({c} text)", "rollback to a", "commit"],
        ),
        (
            "temporary table gone at commit",
            "temporary table gone at commit, plain column",
            vec!["create temp table {n} ({c} text) on commit drop"],
        ),
        (
            "temporary table gone at commit of a block",
            "temporary table gone at commit of a block, plain column",
            vec!["begin", "create temp table {n} ({c} text) on commit drop", "commit"],
        ),
        (
            "temporary table that cannot be made",
            "temporary table that cannot be made, plain column",
            vec!["create temp table {n} ({c} no_such_type)"],
        ),
        (
            "temporary table in a failed transaction",
            "temporary table in a failed transaction, plain column",
            vec!["begin", "select 1/0", "create temp table {n} ({c} text)", "rollback"],
        ),
        (
            "temporary table dropped",
            "temporary table dropped, plain column",
            vec!["create temp table {n} ({c} text)", "drop table pg_temp.{n}"],
        ),
        (
            "temporary table renamed",
            "temporary table renamed, plain column",
            vec!["create temp table {n} ({c} text)", "alter table pg_temp.{n} rename to other"],
        ),
        (
            "temporary table discarded",
            "temporary table discarded, plain column",
            vec!["create temp table {n} ({c} text)", "discard temp"],
        ),
        (
            "temporary table, all discarded",
            "temporary table, all discarded, plain column",
            vec!["create temp table {n} ({c} text)", "discard all", "set search_path = {s}"],
        ),
        (
            "temporary view rolled back",
            "temporary view rolled back, plain column",
            vec!["begin", "create temp view {n} as select 'x'::text as {c}", "rollback"],
        ),
        (
            "temporary view dropped",
            "temporary view dropped, plain column",
            vec!["create temp view {n} as select 'x'::text as {c}", "drop view pg_temp.{n}"],
        ),
        (
            "path changed and rolled back",
            "path changed and rolled back, plain column",
            vec!["begin", "set search_path = pg_temp", "rollback"],
        ),
        (
            "path changed for a transaction",
            "path changed for a transaction, plain column",
            vec!["begin", "set local search_path = pg_temp", "commit"],
        ),
        (
            "path changed in a failed transaction",
            "path changed in a failed transaction, plain column",
            vec!["begin", "select 1/0", "set search_path = pg_temp", "rollback"],
        ),
        (
            "path that cannot be set",
            "path that cannot be set, plain column",
            vec!["select set_config('search_path', 'pg_temp,,x', false)"],
        ),
        (
            "path for a transaction, outside of one",
            "path for a transaction, outside of one, plain column",
            vec!["set local search_path = pg_temp"],
        ),
        (
            "path changed after a savepoint",
            "path changed after a savepoint, plain column",
            vec!["begin", "savepoint a", "set search_path = pg_temp", "rollback to a", "commit"],
        ),
        (
            "path reset and set again",
            "path reset and set again, plain column",
            vec!["reset search_path", "set search_path = nowhere, {s}"],
        ),
    ];
    let mut list = Vec::new();
    for (name, also, steps) in hidden {
        for (plain, read) in [(false, "select {c} || '' from {n}"), (true, "select {c} as x from {n}")] {
            let statements: Vec<&str> =
                ["set search_path = {s}"].into_iter().chain(steps.iter().copied()).chain([read]).collect();
            let variant = many(name, &statements);
            list.push(if plain { Variant { name: also, ..variant } } else { variant });
        }
    }
    add("E2", list);
}
