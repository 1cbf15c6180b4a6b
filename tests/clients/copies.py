"""Copies the patients out through psycopg (text rows, binary rows) and asyncpg (CSV) and compares with their SELECT."""
import asyncio
import csv
import io

import asyncpg
import psycopg

COLUMNS = "patient_id, ssn, mrn, dob, phone, email, zip, state"
QUERY = f"select {COLUMNS} from clinic.patients order by patient_id"
TYPES = ["int8", "text", "text", "date", "text", "text", "text", "text"]

with psycopg.connect() as conn:
    wanted = conn.execute(QUERY).fetchall()
    types = [conn.adapters.types.get(d.type_code).name for d in conn.execute(QUERY).description]
    for options in ("", "(format binary)"):
        with conn.cursor().copy(f"copy ({QUERY}) to stdout {options}") as copy:
            copy.set_types(types)
            rows = list(copy.rows())
        assert rows == wanted, (options, rows[:2], wanted[:2])
    print(wanted[:3])


async def main():
    conn = await asyncpg.connect(ssl=False)
    buffer = io.BytesIO()
    await conn.copy_from_query(QUERY, output=buffer, format="csv", header=True)
    lines = list(csv.reader(io.StringIO(buffer.getvalue().decode())))
    selected = [["" if v is None else str(v) for v in row] for row in await conn.fetch(QUERY)]
    assert lines[0] == COLUMNS.split(", "), lines[0]
    assert lines[1:] == selected, (lines[1], selected[0])
    for form in ("text", "binary"):
        buffer = io.BytesIO()
        await conn.copy_from_table("patients", schema_name="clinic", columns=["ssn", "dob"], output=buffer, format=form)
        print(form, buffer.getvalue()[:80])
    await conn.close()
    print("same:", len(selected), "rows")


asyncio.run(main())
