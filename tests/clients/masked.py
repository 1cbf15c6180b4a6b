"""Reads the clinic through psycopg (text, binary, server-side, pipeline) and asyncpg and prints every value it gets."""
import asyncio

import asyncpg
import psycopg

QUERY = "select * from clinic.patients order by patient_id"

with psycopg.connect() as conn:
    for binary in (False, True):
        rows = conn.execute(QUERY, binary=binary).fetchall()
        print("rows:", len(rows), rows)
    with conn.cursor(name="paged") as cur:
        cur.itersize = 17
        cur.execute(QUERY)
        print("paged:", cur.fetchall())
    for number in range(1, 12):
        print(conn.execute("select ssn, email, dob from clinic.patients where patient_id = %s", (number,)).fetchone())
    with conn.pipeline():
        cursors = [conn.execute("select * from clinic.notes where patient_id = %s", (n,)) for n in range(1, 30)]
        print("pipelined:", [c.fetchall() for c in cursors])


async def main():
    conn = await asyncpg.connect(ssl=False)
    rows = await conn.fetch(QUERY)
    print("rows:", len(rows), [tuple(r) for r in rows])
    async with conn.transaction():
        async for row in conn.cursor("select * from clinic.encounters", prefetch=11):
            print(tuple(row))
    print([tuple(r) for r in await conn.fetch("select * from clinic.notes")])
    await conn.close()


asyncio.run(main())
