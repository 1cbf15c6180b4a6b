"""Reads every table named on the command line in both formats through psycopg and asyncpg; decoding must not fail."""
import asyncio
import sys

import asyncpg
import psycopg
from psycopg import sql

TABLES = sys.argv[1:]
with psycopg.connect() as conn:
    for table in TABLES:
        # Years before 1 are in rows 1 and 2; Python's own dates begin later.
        query = sql.SQL("select * from {} where id not in (1, 2) order by id").format(sql.Identifier(table))
        for binary in (False, True):
            print("psycopg", table, binary, conn.execute(query, binary=binary).fetchall())


async def main():
    conn = await asyncpg.connect(ssl=False)
    for table in TABLES:
        print("asyncpg", table, [tuple(r) for r in await conn.fetch(f"select * from {table} where id not in (1, 2) order by id")])
    await conn.close()


asyncio.run(main())
print("decoded", len(TABLES), "tables")
