"""psycopg 3, psycopg2 and asyncpg as their users use them."""
import asyncio
import io

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
from psycopg.rows import dict_row
from psycopg.types.enum import EnumInfo
from psycopg.types.range import Range

from checks import check

CLEAR = "select encounter_id, department, icd10, charge from clinic.encounters order by encounter_id"
MASKED = "select patient_id, ssn, dob, state from clinic.patients order by patient_id"

three = psycopg.connect(autocommit=True, row_factory=dict_row)


@check("psycopg/text")
def _():
    return three.execute(CLEAR).fetchall()


@check("psycopg/binary")
def _():
    return three.execute(CLEAR, binary=True).fetchall()


@check("psycopg/parameters")
def _():
    sql = "select item_id, sku, attributes, labels, shelf_life from stock.items where category = %s and unit_cost > %s order by 1"
    return three.execute(sql, ("fluid", 10)).fetchall()


@check("psycopg/prepared-many-times")
def _():
    sql = "select count(*) as n from clinic.encounters where patient_id = %s"
    return [three.execute(sql, (n,), prepare=True).fetchone() for n in range(1, 40)]


@check("psycopg/masked-prepared-binary", ssn="last4", dob="year")
def _():
    sql = "select patient_id, ssn, dob from clinic.patients where patient_id = %s"
    return [three.execute(sql, (n,), prepare=True, binary=True).fetchone() for n in range(1, 20)]


@check("psycopg/masked-text", ssn="last4", dob="year")
def _():
    return three.execute(MASKED).fetchall()


@check("psycopg/server-side-cursor", ssn="last4", dob="year")
def _():
    with psycopg.connect(row_factory=dict_row) as connection, connection.cursor(name="pages") as cursor:
        cursor.itersize = 17
        cursor.execute(MASKED)
        return list(cursor)


@check("psycopg/scrollable-cursor")
def _():
    with psycopg.connect() as connection, connection.cursor(name="scroll", scrollable=True) as cursor:
        cursor.execute(CLEAR)
        cursor.scroll(10)
        first = cursor.fetchmany(3)
        cursor.scroll(-5)
        return [first, cursor.fetchone()]


@check("psycopg/pipeline")
def _():
    with three.pipeline():
        cursors = [three.execute("select sku from stock.items where item_id = %s", (n,)) for n in range(1, 30)]
        return [cursor.fetchone() for cursor in cursors]


@check("psycopg/executemany-returning")
def _():
    with psycopg.connect() as connection, connection.cursor() as cursor:
        rows = [(f"extra {n}", n) for n in range(20)]
        cursor.executemany("insert into workbench.targets (department, goal) values (%s, %s) returning goal", rows, returning=True)
        seen = []
        while True:
            seen.append(cursor.fetchone())
            if not cursor.nextset():
                break
        connection.rollback()
        return seen


@check("psycopg/copy-in-and-out")
def _():
    with psycopg.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create temp table incoming (id int, name text, at date)")
        with cursor.copy("copy incoming from stdin") as copy:
            for n in range(50):
                copy.write_row((n, f"name {n}", "2024-01-01"))
        with cursor.copy("copy incoming to stdout") as copy:
            return list(copy.rows())


@check("psycopg/copy-binary-in")
def _():
    with psycopg.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create temp table incoming (id int, name text)")
        with cursor.copy("copy incoming (id, name) from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(50):
                copy.write_row((n, f"name {n}"))
        return cursor.execute("select count(*), max(name) from incoming").fetchone()


@check("psycopg/enum-adaptation")
def _():
    info = EnumInfo.fetch(three, "billing.claim_status")
    return [info.name, info.labels]


@check("psycopg/ranges-and-arrays")
def _():
    sql = "select item_id from stock.items where dimensions && %s and labels && %s order by 1"
    return three.execute(sql, (Range(3, 40), ["cold"])).fetchall()


@check("psycopg/transaction-blocks")
def _():
    with psycopg.connect() as connection:
        with connection.transaction():
            connection.execute("update stock.levels set on_hand = on_hand + 1 where item_id = 3")
            try:
                with connection.transaction():
                    connection.execute("select 1 / 0")
            except psycopg.errors.DivisionByZero as error:
                state = error.sqlstate
            left = connection.execute("select count(*) from stock.items").fetchone()
            raise_rollback = psycopg.Rollback()
            raise raise_rollback
    return [state, left]


@check("psycopg/two-results-of-one-string")
def _():
    cursor = psycopg.ClientCursor(three)
    cursor.execute("select 1 as one; select sku from stock.items order by 1 limit 2")
    first = cursor.fetchall()
    cursor.nextset()
    return [first, cursor.fetchall()]


@check("psycopg/description")
def _():
    cursor = three.execute("select p.*, 1.5::numeric(6,2) as x from clinic.patients p limit 0")
    return [[column.name, column.type_display, column.internal_size] for column in cursor.description]


@check("psycopg/error-fields")
def _():
    try:
        three.execute("select nothing from stock.items")
    except psycopg.Error as error:
        return [type(error).__name__, error.sqlstate, error.diag.statement_position]


two = psycopg2.connect("")
two.autocommit = True


@check("psycopg2/dict-rows")
def _():
    cursor = two.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.execute(CLEAR)
    return cursor.fetchall()


@check("psycopg2/masked", ssn="last4", dob="year")
def _():
    cursor = two.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.execute(MASKED)
    return cursor.fetchall()


@check("psycopg2/named-cursor")
def _():
    with psycopg2.connect("") as connection, connection.cursor("pages") as cursor:
        cursor.itersize = 13
        cursor.execute(CLEAR)
        return list(cursor)


@check("psycopg2/execute-values")
def _():
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        rows = psycopg2.extras.execute_values(
            cursor, "insert into workbench.targets (department, goal) values %s returning department", [(f"v{n}", n) for n in range(30)], fetch=True)
        connection.rollback()
        return rows


@check("psycopg2/copy-expert")
def _():
    out = io.StringIO()
    two.cursor().copy_expert("copy (select item_id, sku from stock.items order by 1) to stdout with csv header", out)
    return out.getvalue()


@check("psycopg2/register-enum-and-array-parameters")
def _():
    cursor = two.cursor()
    cursor.execute("select oid::int > 0, typname from pg_type where typname = 'claim_status'")
    known = cursor.fetchall()
    cursor.execute("select claim_id from billing.claims where status::text = any (%s) order by 1 limit 10", (["open", "paid"],))
    return [known, cursor.fetchall()]


async def asynchronous():
    connection = await asyncpg.connect(ssl=False)

    async def run(name, work, **masked):
        try:
            value = await work()
            check(name, **masked)(lambda: value)
        except Exception as error:
            failure = error

            def fail():
                raise failure

            check(name)(fail)

    rows = lambda records: [dict(record) for record in records]

    async def fetch():
        return rows(await connection.fetch(CLEAR))

    async def masked():
        return rows(await connection.fetch(MASKED))

    async def parameters():
        sql = "select item_id, attributes::text as a, labels, dimensions, shelf_life from stock.items where item_id = any ($1::int[]) order by 1"
        return rows(await connection.fetch(sql, [1, 5, 9]))

    async def enum():
        sql = "select claim_id, status, lines from billing.claims where status = $1 order by 1 limit 5"
        return rows(await connection.fetch(sql, "open"))

    async def enum_array():
        return rows(await connection.fetch("select array_agg(distinct status) as statuses from billing.claims"))

    async def record():
        return await connection.fetchval("select (1, 'two'::text, 3.5)")

    async def codec():
        import json
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        return await connection.fetchval("select attributes from stock.items where item_id = 6")

    async def cursor():
        async with connection.transaction():
            return [dict(row) async for row in connection.cursor(CLEAR, prefetch=11)]

    async def many():
        transaction = connection.transaction()
        await transaction.start()
        await connection.executemany("insert into workbench.targets (department, goal) values ($1, $2)", [(f"a{n}", n) for n in range(25)])
        count = await connection.fetchval("select count(*) from workbench.targets")
        await transaction.rollback()
        return count

    async def copied():
        out = io.BytesIO()
        await connection.copy_from_query("select item_id, sku from stock.items order by 1", output=out, format="csv")
        return out.getvalue().decode()

    async def loaded():
        await connection.execute("create temp table loaded (a int, b text)")
        await connection.copy_records_to_table("loaded", records=[(n, str(n)) for n in range(40)])
        return await connection.fetchval("select count(*) from loaded where b = a::text")

    async def attributes():
        statement = await connection.prepare("select item_id, status from stock.items, billing.claims where item_id = $1 limit 1")
        return [[a.name, a.type.name] for a in statement.get_attributes()] + [[p.name] for p in statement.get_parameters()]

    def survives(reset):
        async def prepared():
            statement = await connection.prepare("select count(*) from stock.items where item_id > $1")
            before = await statement.fetchval(3)
            await connection.execute(reset)
            return [before, await statement.fetchval(4)]

        return prepared

    async def pool():
        async with asyncpg.create_pool(ssl=False, min_size=1, max_size=2) as pool:
            for _ in range(4):
                async with pool.acquire() as one:
                    value = await one.fetchval("select count(*) from stock.items")
        return value

    await run("asyncpg/fetch", fetch)
    await run("asyncpg/masked-binary", masked, ssn="last4", dob="year")
    await run("asyncpg/parameters-and-types", parameters)
    await run("asyncpg/enum-introspection", enum)
    await run("asyncpg/enum-array-introspection", enum_array)
    await run("asyncpg/record", record)
    await run("asyncpg/json-codec", codec)
    await run("asyncpg/cursor", cursor)
    await run("asyncpg/executemany", many)
    await run("asyncpg/copy-out", copied)
    await run("asyncpg/copy-in", loaded)
    await run("asyncpg/statement-attributes", attributes)
    for reset in ("select pg_advisory_unlock_all()", "close all", "unlisten *", "reset all", "select 1; close all"):
        await run(f"asyncpg/prepared-survives-{reset.replace(' ', '-')}", survives(reset))
    await run("asyncpg/pool-with-reset", pool)
    await connection.close()


asyncio.run(asynchronous())
