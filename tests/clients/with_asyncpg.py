"""asyncpg: binary by default, prepared statements, cursors, COPY, types it learns from the catalog, cancel, transactions."""
import asyncio
import io
import os

import asyncpg


def show(label, value):
    print(f"{label}: {value!r}")


async def attempt(label, awaitable):
    try:
        show(label, await awaitable)
    except (asyncpg.PostgresError, asyncio.TimeoutError) as error:
        show(label, (type(error).__name__, getattr(error, "sqlstate", None), str(error)))


async def main():
    conn = await asyncpg.connect(ssl=False)
    conn.add_log_listener(lambda _, m: show("notice", (m.severity, m.sqlstate, m.message)))
    show("version", conn.get_server_version()[:2])
    rows = await conn.fetch("select * from kinds order by i4 limit 60")
    for row in rows:
        show("row", dict(row))
    statement = await conn.prepare("select i4, t, n from kinds where i4 between $1 and $2 order by i4")
    show("attributes", [(a.name, a.type.name) for a in statement.get_attributes()])
    show("parameters", [p.name for p in statement.get_parameters()])
    for low in range(0, 30, 10):
        show("prepared", [tuple(r) for r in await statement.fetch(low, low + 3)])
    show("value", await statement.fetchval(5, 5, column=1))
    async with conn.transaction():
        numbers = []
        async for row in conn.cursor("select i4 from kinds order by i4", prefetch=9):
            numbers.append(row[0])
        show("cursor", numbers)
        cursor = await conn.cursor("select i4, t from kinds order by i4")
        show("fetched", await cursor.fetch(4))
        await cursor.forward(10)
        show("forward", await cursor.fetchrow())
    try:
        async with conn.transaction():
            await conn.execute("insert into parents values (50, 'rolled back')")
            raise KeyError
    except KeyError:
        show("rolled back", await conn.fetchval("select count(*) from parents where id = 50"))
    show("many", await conn.executemany("select $1::int", [(n,) for n in range(200)]))
    show("script", await conn.execute("create temp table a1 (x int, y text); insert into a1 values (1, 'z'); select 1"))
    show("copy in", await conn.copy_records_to_table("a1", records=[(n, "é" * (n % 5)) for n in range(1000)]))
    out = io.BytesIO()
    show("copy out", await conn.copy_from_query("select * from a1 order by x, y limit 200", output=out, format="csv"))
    show("copied", out.getvalue())
    show("binary", await conn.fetch("select '{1,2,null}'::int[] a, row(1,'x')::pair b, 'happy'::mood c, '[1,5)'::int4range d"))
    await attempt("division", conn.fetch("select 1/$1::int", 0))
    await attempt("syntax", conn.fetch("selec 1"))
    await attempt("type", conn.fetch("select 'x'::int"))
    await attempt("timeout", conn.fetch("select pg_sleep(20)", timeout=0.4))
    show("alive", await conn.fetchval("select 'alive'"))
    got = asyncio.get_running_loop().create_future()
    await conn.add_listener("asyncnews", lambda c, pid, channel, payload: got.set_result((channel, payload)))
    await conn.execute("notify asyncnews, 'payload'")
    show("notified", await asyncio.wait_for(got, 60))
    await conn.remove_listener("asyncnews", lambda *_: None)
    await conn.reset()
    await conn.close()


os.environ.pop("PGGSSENCMODE", None)
asyncio.run(main())
