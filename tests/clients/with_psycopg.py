"""psycopg 3: text and binary results, prepared statements, server-side cursors, pipeline mode, COPY, notices, cancel."""
import sys
import threading
import time

import psycopg
from psycopg import sql

out = sys.stdout


def show(label, value):
    print(f"{label}: {value!r}", file=out)


def attempt(label, act):
    try:
        show(label, act())
    except psycopg.Error as error:
        diag = error.diag
        show(label, (type(error).__name__, error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint))


def cancel_when_it_runs(conn, text):
    """A request that comes before its statement cancels nothing, and one that overtakes it is asked for again."""
    active = "select count(*) from pg_stat_activity where query = %s and state = 'active'"
    running = lambda other: other.execute(active, (text,)).fetchone()[0] > 0
    with psycopg.connect(autocommit=True) as other:
        while not running(other):
            time.sleep(0.05)
        while running(other):
            conn.cancel()
            time.sleep(0.5)


with psycopg.connect(autocommit=True) as conn:
    conn.add_notice_handler(lambda d: show("notice", (d.severity, d.sqlstate, d.message_primary)))
    show("parameters", sorted((k, conn.info.parameter_status(k)) for k in (
        "server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
        "standard_conforming_strings", "session_authorization", "is_superuser", "application_name")))
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            cur.execute("select * from kinds order by i4 limit 60")
            show("description", [(d.name, d.type_code, d.internal_size, d.precision, d.scale) for d in cur.description])
            for row in cur:
                show("row", row)
            show("status", (cur.statusmessage, cur.rowcount))
            raw = conn.execute("select i4, n, ts, by, jb, ia, comp::text from kinds where i4 = %s", (3,), binary=binary)
            show("raw", [raw.pgresult.get_value(0, c) for c in range(raw.pgresult.nfields)])
            show("formats", [raw.pgresult.fformat(c) for c in range(raw.pgresult.nfields)])
    for number in range(12):  # past the threshold after which the driver prepares by name
        show("prepared", conn.execute("select %s::int + 1, %s::text", (number, "x" * number)).fetchone())
    show("parameters of every type", conn.execute(
        "select %s::int8, %s::numeric, %s::bytea, %s::jsonb, %s::text[], %b::float8",
        (2**40, "1.50", b"\x00\xff", '{"a": [1]}', ["a", None, 'q"'], 1.25)).fetchone())
    attempt("division", lambda: conn.execute("select 1/%s", (0,)))
    attempt("syntax", lambda: conn.execute("selec 1"))
    attempt("unique", lambda: conn.execute("insert into parents values (1, 'again')"))
    attempt("after errors", lambda: conn.execute("select 'alive'").fetchone())
    conn.execute("do $$ begin raise notice 'hello'; end $$")
    show("several", [r.fetchall() for r in conn.execute("select 1; select 2; select 3").results()]
         if hasattr(psycopg.Cursor, "results") else "")
    with conn.transaction():
        with conn.cursor(name="server_side") as cur:
            cur.itersize = 7
            cur.execute("select i4, t from kinds order by i4")
            show("server side", cur.fetchmany(5))
            show("rest", len(cur.fetchall()))
        try:
            with conn.transaction():
                conn.execute("insert into parents values (1, 'dup')")
        except psycopg.errors.UniqueViolation:
            show("savepoint", conn.info.transaction_status.name)
    with conn.pipeline() as pipe:
        cursors = [conn.execute("select %s::int, repeat('p', %s)", (n, n)) for n in range(50)]
        pipe.sync()
        show("pipelined", [c.fetchone() for c in cursors])
    try:
        with conn.pipeline() as pipe:
            good = conn.execute("select 1")
            bad = conn.execute("select 1/0")
            after = conn.execute("select 2")
            pipe.sync()
    except psycopg.Error as error:
        show("pipeline error", (type(error).__name__, error.sqlstate))
    show("after pipeline", conn.execute("select 'alive'").fetchone())
    conn.execute("create temp table copied (a int, b text, c timestamptz)")
    with conn.cursor() as cur:
        with cur.copy("copy copied (a, b, c) from stdin") as copy:
            for n in range(500):
                copy.write_row((n, f"row {n}\t\\", "2024-01-01 00:00:00+00"))
        show("copied", cur.rowcount)
        with cur.copy("copy copied (a, b) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(100):
                copy.write_row((n, "b" * n))
        with cur.copy("copy (select * from copied order by a, b limit 300) to stdout") as copy:
            show("copy out", b"".join(bytes(block) for block in copy))
        with cur.copy("copy (select a, b from copied order by a, b limit 50) to stdout (format binary)") as copy:
            show("copy binary", b"".join(bytes(block) for block in copy))
        try:
            with cur.copy("copy copied (a) from stdin") as copy:
                copy.write("zebra\n")
        except psycopg.Error as error:
            show("copy error", (error.sqlstate, error.diag.message_primary, error.diag.context))
        try:
            with cur.copy("copy copied (a) from stdin") as copy:
                copy.write("1\n")
                raise KeyError("given up")
        except (KeyError, psycopg.Error) as error:
            show("copy given up", type(error).__name__)
    show("in order", conn.execute("select count(*), sum(a) from copied").fetchone())
    canceller = threading.Thread(target=cancel_when_it_runs, args=(conn, "select pg_sleep(600), 'psycopg'"))
    canceller.start()
    attempt("cancelled", lambda: conn.execute("select pg_sleep(600), 'psycopg'"))
    canceller.join()
    # Of one statement alone: the next one could take as long on a machine that stands still.
    with conn.transaction():
        conn.execute("set local statement_timeout = '100ms'")
        attempt("timed out", lambda: conn.execute("select pg_sleep(600)"))
    conn.execute("listen news")
    conn.execute("select pg_notify('news', 'payload')")
    show("notified", [(n.channel, n.payload) for n in conn.notifies(timeout=60, stop_after=1)])
    show("composed", conn.execute(sql.SQL("select {} from kinds limit 1").format(sql.Identifier("i4"))).fetchone())
