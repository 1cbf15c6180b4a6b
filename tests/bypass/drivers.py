"""Takes ways out with a driver and prints, as one line of JSON per way and manner, everything that reached the program:
values, names of columns, errors with all their fields, notices, notifications, parameters.

    drivers.py psycopg|asyncpg WAYS.json

A way is a list of statements for one session; a way that is wrapped runs in a transaction that is rolled back.
"""
import asyncio
import json
import sys

LIMIT = 4_000_000


def shown(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        return value.decode("latin-1") + " " + value.hex()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(part) for part in value) + "]"
    if isinstance(value, dict):
        return json.dumps(value, default=str)
    return str(value)


def tell(way, how, heard):
    text = "\n".join(heard)[:LIMIT]
    print(json.dumps({"id": way["id"], "name": way["name"], "how": how, "heard": text}), flush=True)


def failure(error):
    diag = getattr(error, "diag", None)
    fields = [str(error)]
    for name in ("message_primary", "message_detail", "message_hint", "context", "table_name", "column_name", "constraint_name"):
        fields.append(str(getattr(diag, name, "") or ""))
    for name in ("detail", "hint", "context", "message"):
        fields.append(str(getattr(error, name, "") or ""))
    return "\n".join(fields)


def with_psycopg(ways):
    import psycopg

    manners = [("simple", psycopg.ClientCursor, False), ("binary", psycopg.Cursor, True)]
    for way in ways:
        for how, kind, binary in manners:
            heard = []
            try:
                conn = psycopg.connect(autocommit=True, prepare_threshold=0 if binary else 5)
            except psycopg.Error as error:
                raise SystemExit(f"no session: {error}")
            conn.add_notice_handler(lambda d: heard.append(f"{d.message_primary} {d.message_detail} {d.message_hint}"))
            conn.add_notify_handler(lambda n: heard.append(f"{n.channel} {n.payload}"))
            try:
                steps = ["begin", *way["statements"], "rollback"] if way["wrapped"] else way["statements"]
                for step in steps:
                    try:
                        one(conn, kind, binary, step, heard)
                    except (psycopg.Error, ValueError, OverflowError, UnicodeError) as error:
                        heard.append(failure(error))
                for name in ("application_name", "DateStyle", "TimeZone", "client_encoding"):
                    value = conn.pgconn.parameter_status(name.encode())
                    heard.append((value or b"").decode("latin-1"))
            finally:
                conn.close()
            tell(way, how, heard)


def one(conn, kind, binary, step, heard):
    with kind(conn) as cur:
        first = step.lstrip().lower()
        if first.startswith("copy") and "to stdout" in first:
            with cur.copy(step) as copy:
                for block in copy:
                    heard.append(shown(block))
            return
        cur.execute(step, binary=binary)
        while True:
            if cur.description is not None:
                heard.append(" ".join(column.name for column in cur.description))
                for row in raw(cur):
                    heard.append(" ".join(shown(value) for value in row))
            if not cur.nextset():
                return


def raw(cur):
    """Values as the driver makes them, or as they came where it cannot."""
    try:
        return cur.fetchall()
    except Exception as error:
        result = cur.pgresult
        rows = [[result.get_value(r, c) or b"" for c in range(result.nfields)] for r in range(result.ntuples)]
        return [[failure(error)], *rows]


async def with_asyncpg(ways):
    import asyncpg

    for way in ways:
        heard = []
        try:
            conn = await asyncpg.connect(ssl=False)
        except (asyncpg.PostgresError, OSError) as error:
            raise SystemExit(f"no session: {error}")
        conn.add_log_listener(lambda _, message: heard.append(failure(message)))
        steps = ["begin", *way["statements"], "rollback"] if way["wrapped"] else way["statements"]
        try:
            for step in steps:
                try:
                    await asyncio.wait_for(each(conn, step, heard), 60)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError, OverflowError, TimeoutError, asyncio.TimeoutError) as error:
                    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
                        print(way['id'], way['name'], 'takes too long:', step[:80], file=sys.stderr)
                    heard.append(failure(error))
            heard.append(str(conn.get_settings()))
            for name in ("application_name", "DateStyle", "TimeZone"):
                heard.append(str(getattr(conn.get_settings(), name, "")))
        finally:
            # Nothing more is to be asked of a session in whatever state it is.
            conn.terminate()
        tell(way, "prepared", heard)


async def each(conn, step, heard):
    first = step.lstrip().lower()
    if first.startswith("copy") and "to stdout" in first:
        async def take(block):
            heard.append(shown(block))

        await conn._copy_out(step, take, 60)
        return
    statement = await conn.prepare(step)
    heard.append(" ".join(attribute.name for attribute in statement.get_attributes()))
    for row in await statement.fetch():
        heard.append(" ".join(shown(value) for value in row.values()))


def main():
    driver, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        ways = json.load(file)
    for way in ways:
        # Drivers wait for data to send.
        way["statements"] = [step for step in way["statements"] if not step.endswith("from stdin")]
    if driver == "psycopg":
        with_psycopg(ways)
    else:
        asyncio.run(with_asyncpg(ways))


main()
