//! Rules about an object, and statements that reach it without naming it: by foreign keys, by CASCADE, by what it inherits.

use tests::gateway::Setup;
use tests::rules::Bundle;
use tests::server::Postgres;
use tests::wire::{Wire, error};

const RULES: &str = "\
version: 1
targets:
  plain: {protocol: postgres, address: '127.0.0.1:5432', tls: disable, database: plain, account: app, audit: strict}
roles:
  everyone: {groups: [everyone], targets: [plain], default: clear, redact: clear, trusted-functions: ['*.*']}
block:
  - {name: no-delete, effects: [delete], objects: [public.guarded]}
  - {name: no-update, effects: [update], objects: [public.guarded]}
  - {name: no-truncate, effects: [truncate], objects: [public.guarded]}
  - {name: no-drop, effects: [drop], objects: [public.guarded]}
  - {name: no-alter, effects: [alter], objects: [public.guarded]}
";

const TABLES: &str = "
    create schema s authorization app;
    create schema kinds authorization app;
    grant all on database plain to app;
    alter role app superuser;
    set role app;
    create extension citext;
    create type kinds.mood as enum ('good', 'bad');
    create domain s.code as text;
    create type s.pair as (mood kinds.mood, n int);
    create function s.f(int) returns int language sql immutable as 'select 1';
    create sequence s.numbers;
    create table grandparent (id int primary key, note text);
    create table parent (id int primary key, code text unique, note text,
      above int references grandparent on delete cascade on update cascade);
    create table softer (id int primary key, note text);
    create table strict (id int primary key, note text);
    create table family (id int, note text);
    create table guarded (id int primary key default nextval('s.numbers'), pair s.pair[], code s.code, name public.citext,
      up int references parent on delete cascade, up_code text references parent (code) on update cascade,
      soft int references softer on delete set null, hard int references strict, f int check (s.f(f) = 1)
    ) inherits (family);
    create table below (id int primary key, up int references guarded on delete cascade);
    create table unrelated (id int primary key, up int references parent on delete cascade);
    create view of_parent as select * from parent;
    create view of_guarded as select id from guarded;
    create view of_softer as select * from softer;
    insert into grandparent values (1, 'a'), (2, 'b');
    insert into parent values (1, 'a', 'x', 1), (2, 'b', 'y', 2);
    insert into softer values (1, 'x'); insert into strict values (1, 'x'), (2, 'y');
    insert into guarded (up, up_code, soft, hard) values (1, 'a', 1, 1);
    insert into below values (1, 1); insert into unrelated values (1, 1);";

/// Statements, and the rule that refuses each; an empty one for those that leave the table as it is.
const CASES: &[(&str, &str)] = &[
    ("DELETE FROM guarded", "no-delete"),
    ("DELETE FROM parent WHERE id = 1", "no-delete"),
    ("DELETE FROM grandparent WHERE id = 1", "no-delete"),
    ("DELETE FROM of_parent WHERE id = 1", "no-delete"),
    ("WITH d AS (DELETE FROM parent RETURNING id) SELECT count(*) FROM d", "no-delete"),
    ("MERGE INTO parent p USING softer s ON s.id = p.id WHEN MATCHED THEN DELETE", "no-delete"),
    ("MERGE INTO guarded p USING softer s ON s.id = p.id WHEN MATCHED THEN DELETE", "no-delete"),
    ("PREPARE d AS DELETE FROM parent", "no-delete"),
    ("EXPLAIN ANALYZE DELETE FROM parent", "no-delete"),
    ("DELETE FROM family", "no-delete"),
    ("DELETE FROM softer", "no-update"),
    ("DELETE FROM of_softer WHERE id = 1", "no-update"),
    ("UPDATE parent SET code = code || 'x'", "no-update"),
    ("UPDATE of_parent SET note = 'seen'", "no-update"),
    ("UPDATE parent SET note = 'seen', id = id", ""),
    ("UPDATE grandparent SET id = id + 10", ""),
    ("UPDATE family SET note = 'x'", "no-update"),
    ("INSERT INTO parent VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET code = 'z'", "no-update"),
    ("INSERT INTO parent VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET note = 'z'", ""),
    ("MERGE INTO parent p USING softer s ON s.id = p.id WHEN MATCHED THEN UPDATE SET code = 'q'", "no-update"),
    ("MERGE INTO parent p USING softer s ON s.id = p.id WHEN MATCHED THEN UPDATE SET note = 'q'", ""),
    ("MERGE INTO parent p USING strict s ON s.id + 7 = p.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id + 7)", ""),
    ("DELETE FROM below", ""),
    ("DELETE FROM unrelated", ""),
    ("DELETE FROM strict WHERE id = 2", ""),
    ("UPDATE strict SET id = 3 WHERE id = 2", ""),
    ("INSERT INTO parent VALUES (3, 'c')", ""),
    ("TRUNCATE parent CASCADE", "no-truncate"),
    ("TRUNCATE strict CASCADE", "no-truncate"),
    ("TRUNCATE grandparent CASCADE", "no-truncate"),
    ("TRUNCATE family", "no-truncate"),
    ("TRUNCATE below", ""),
    ("TRUNCATE below, unrelated CASCADE", ""),
    ("DROP TABLE parent CASCADE", "no-alter"),
    ("DROP TABLE grandparent CASCADE", ""),
    ("DROP TABLE family CASCADE", "no-drop"),
    ("DROP TABLE unrelated", ""),
    ("DROP TABLE unrelated CASCADE", ""),
    ("DROP VIEW of_guarded CASCADE", ""),
    ("DROP VIEW of_parent", ""),
    ("DROP TYPE kinds.mood CASCADE", "no-alter"),
    ("DROP TYPE s.pair CASCADE", "no-alter"),
    ("DROP DOMAIN s.code CASCADE", "no-alter"),
    ("DROP FUNCTION s.f(int) CASCADE", "no-alter"),
    ("DROP FUNCTION s.f CASCADE", "no-alter"),
    ("DROP ROUTINE s.f CASCADE", "no-alter"),
    ("DROP SEQUENCE s.numbers CASCADE", "no-alter"),
    ("DROP SCHEMA s CASCADE", "no-alter"),
    ("DROP SCHEMA kinds CASCADE", "no-alter"),
    ("DROP SCHEMA s, kinds CASCADE", "no-alter"),
    ("DROP EXTENSION citext CASCADE", "no-alter"),
    ("DROP OWNED BY app CASCADE", "no-drop"),
    ("DROP INDEX parent_pkey CASCADE", "no-alter"),
    ("ALTER TABLE parent DROP COLUMN code CASCADE", "no-alter"),
    ("ALTER TABLE parent DROP CONSTRAINT parent_pkey CASCADE", "no-alter"),
    ("ALTER TABLE parent DROP COLUMN note CASCADE", "no-alter"),
    ("ALTER TABLE family ADD COLUMN more int", "no-alter"),
    ("ALTER TABLE parent ADD COLUMN more int", ""),
    ("ALTER TYPE s.pair DROP ATTRIBUTE n CASCADE", "no-alter"),
    ("ALTER TYPE s.pair RENAME ATTRIBUTE n TO m CASCADE", "no-alter"),
    ("CREATE TABLE another (id int)", ""),
];

/// All there is to know of the protected table.
const STATE: &str = "SELECT (SELECT string_agg(concat(g.ctid, g.xmin, g::text), ',') FROM guarded g), \
    (SELECT string_agg(concat(attname, atttypid, attisdropped, atthasdef), ',') FROM pg_attribute \
      WHERE attrelid = 'guarded'::regclass), \
    (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'guarded'::regclass)";

#[test]
fn rules_about_an_object_hold_where_it_is_reached_by_others() {
    let server = Postgres::start("");
    server.sql("plain", TABLES);
    let bundle = Bundle::compile(&[RULES], "plain", &server);
    let gateway = Setup::new(&bundle, &server).start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    let state = |wire: &mut Wire| {
        let frames = wire.query(STATE);
        assert_eq!(error(&frames).map(|e| e.field(b'M').unwrap_or_default()), None);
        frames.iter().find(|f| f.tag == b'D').map(|f| f.body.clone()).unwrap()
    };
    let before = state(&mut wire);
    let mut wrong = Vec::new();
    for (text, rule) in CASES {
        wire.query("BEGIN");
        let frames = wire.query(text);
        let said = error(&frames).map(|e| e.field(b'M').unwrap_or_default());
        let expected = (!rule.is_empty()).then(|| format!("blocked by the rule {rule} [TG1001]"));
        if said != expected {
            wrong.push(format!("{text}: {said:?}, not {expected:?}"));
        }
        if said.is_none() && state(&mut wire) != before {
            wrong.push(format!("{text}: changed the table"));
        }
        wire.query("ROLLBACK");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
