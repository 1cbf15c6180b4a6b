"""Command line programs that come with PostgreSQL: psql as scripts use it, pg_dump, pgbench, vacuumdb, pg_isready."""
import os
import pathlib
import subprocess
import tempfile

from checks import check


def command(*words, text=None):
    """Runs a program; its output without what differs from run to run."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"{done.returncode}: {done.stderr.strip()}")
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict", "-- Started", "-- Completed"))]


folder = pathlib.Path(tempfile.mkdtemp())

check("commands/psql-list")(lambda: command("psql", "-X", "-l", os.environ["PGDATABASE"]))
check("commands/psql-csv")(lambda: command("psql", "-X", "--csv", "-c", "select department, count(*) from clinic.encounters group by 1 order by 1"))
check("commands/psql-html")(lambda: command("psql", "-X", "-H", "-c", "select sku, title from stock.items order by 1 limit 5"))
check("commands/psql-several-commands")(lambda: command("psql", "-X", "-At", "-c", "select 1", "-c", "set work_mem = '8MB'", "-c", "show work_mem"))
check("commands/psql-single-transaction-and-variables")(
    lambda: command("psql", "-X", "-At", "-1", "-v", "ON_ERROR_STOP=1", "-v", "kind=fluid", text="select count(*) from stock.items where category = :'kind';\n\\if :{?kind}\n\\echo given\n\\endif\n"))
check("commands/psql-copy-to-file")(
    lambda: command("psql", "-X", "-c", f"\\copy (select item_id, sku from stock.items order by 1) to '{folder}/items.csv' csv header") + (folder / "items.csv").read_text().splitlines())
check("commands/psql-copy-from-file")(
    lambda: command("psql", "-X", "-At", text=f"create temp table loaded (id int, sku text);\n\\copy loaded from '{folder}/items.csv' csv header\nselect count(*), max(sku) from loaded;\n"))
check("commands/psql-gexec")(
    lambda: command("psql", "-X", "-At", text="select format('select count(*) from stock.%I', t) from unnest(array['items', 'levels']) t \\gexec\n"))
check("commands/psql-lo-and-errors")(lambda: command("psql", "-X", "-At", "-v", "ON_ERROR_STOP=0", text="select 1/0;\nselect 2;\n"))
check("commands/pg-isready")(lambda: [line.split(" - ")[1] for line in command("pg_isready")])
check("commands/pg-dump-schema")(lambda: command("pg_dump", "--schema-only", "--no-owner", "-n", "workbench"))
check("commands/pg-dump-table")(lambda: command("pg_dump", "-t", "workbench.targets", "--no-owner"))
check("commands/pg-dump-inserts")(lambda: command("pg_dump", "--data-only", "--inserts", "-t", "stock.levels"))
check("commands/vacuumdb")(lambda: command("vacuumdb", "--quiet", "--analyze", "-t", "workbench.targets"))
check("commands/reindexdb")(lambda: command("reindexdb", "--quiet", "-t", "workbench.targets"))


def bench(mode):
    """Ordinary reads under pgbench."""
    script = folder / "reads.sql"
    script.write_text("\\set id random(1, 100)\nselect sku from stock.items where item_id = :id;\nbegin;\nselect count(*) from clinic.encounters where patient_id = :id;\nend;\n")
    lines = command("pgbench", "-n", "-f", str(script), "-M", mode, "-c", "3", "-t", "50")
    return [line for line in lines if "actually processed" in line or "failed" in line]


for mode in ("simple", "extended", "prepared"):
    check(f"commands/pgbench-{mode}")(lambda: bench(mode))
