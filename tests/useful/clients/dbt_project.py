"""dbt over columns that are not protected: seed, run (table, view, incremental, ephemeral), test, snapshot, docs."""
import os
import pathlib
import subprocess
import sys
import tempfile

import psycopg

from checks import check

FILES = {
    "dbt_project.yml": """name: clinic
version: "1.0"
profile: clinic
model-paths: [models]
seed-paths: [seeds]
snapshot-paths: [snapshots]
flags: {send_anonymous_usage_stats: false, warn_error: false}
""",
    "profiles.yml": """clinic:
  target: here
  outputs:
    here: {type: postgres, host: %(PGHOST)s, port: %(PGPORT)s, user: %(PGUSER)s, password: "%(PGPASSWORD)s", dbname: %(PGDATABASE)s,
           schema: workbench, threads: 2, sslmode: disable}
""" % os.environ,
    "seeds/regions.csv": "state,region\nOH,Midwest\nNY,Northeast\nCA,West\n",
    "models/sources.yml": """sources:
  - name: clinic
    tables: [{name: encounters}, {name: patients}]
  - name: stock
    tables: [{name: movements}]
""",
    "models/visits.sql": "{{ config(materialized='view') }}\nselect encounter_id, patient_id, department, icd10, charge from {{ source('clinic', 'encounters') }}\n",
    "models/people.sql": "{{ config(materialized='ephemeral') }}\nselect patient_id, state, sex from {{ source('clinic', 'patients') }}\n",
    "models/by_department.sql": "{{ config(materialized='table', indexes=[{'columns': ['department']}]) }}\n"
                                "select department, count(*) as visits, sum(charge) as charge from {{ ref('visits') }} group by department\n",
    "models/by_region.sql": "{{ config(materialized='table') }}\nselect coalesce(r.region, 'other') as region, count(*) as visits from {{ ref('visits') }} v\n"
                            "join {{ ref('people') }} p using (patient_id) left join {{ ref('regions') }} r using (state) group by 1\n",
    "models/moves.sql": "{{ config(materialized='incremental', unique_key='movement_id') }}\nselect movement_id, item_id, quantity, moved_at from {{ source('stock', 'movements') }}\n"
                        "{% if is_incremental() %} where moved_at >= (select max(moved_at) from {{ this }}) {% endif %}\n",
    "models/tests.yml": """models:
  - name: by_department
    description: visits of each department
    columns:
      - name: department
        description: the ward
        data_tests: [unique, not_null]
  - name: moves
    columns:
      - name: movement_id
        data_tests: [unique, not_null]
""",
    "snapshots/targets.sql": "{% snapshot targets_history %}{{ config(target_schema='workbench', unique_key='department', strategy='check', check_cols=['goal']) }}\n"
                             "select department, goal from workbench.targets\n{% endsnapshot %}\n",
}


def clean(connection):
    """Takes away what an earlier run left."""
    for kind, name in [("view", "visits"), ("table", "by_department"), ("table", "by_region"), ("table", "moves"), ("table", "regions"), ("table", "targets_history")]:
        connection.execute(f"drop {kind} if exists workbench.{name} cascade")


connection = psycopg.connect(autocommit=True)
clean(connection)
with tempfile.TemporaryDirectory() as folder:
    for name, content in FILES.items():
        path = pathlib.Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    def dbt(*arguments):
        """Runs dbt; its output is the error if it fails."""
        environment = dict(os.environ, DO_NOT_TRACK="1", DBT_SEND_ANONYMOUS_USAGE_STATS="false", NO_COLOR="1")
        program = pathlib.Path(sys.executable).with_name("dbt")
        done = subprocess.run([program, "--quiet", "--no-use-colors", *arguments, "--profiles-dir", "."], cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(" ".join((done.stdout + done.stderr).split())[:1500])
        return "done"

    read = lambda sql: connection.execute(sql).fetchall()

    check("dbt/debug-connection")(lambda: dbt("debug", "--connection"))
    check("dbt/seed")(lambda: [dbt("seed"), read("select * from workbench.regions order by 1")])
    check("dbt/run")(lambda: [dbt("run"), read("select * from workbench.by_department order by 1"), read("select * from workbench.by_region order by 1"), read("select count(*) from workbench.moves")])
    check("dbt/run-again-incremental")(lambda: [dbt("run"), read("select count(*) from workbench.moves"), read("select count(*) from workbench.visits")])
    check("dbt/test")(lambda: dbt("test"))
    check("dbt/snapshot")(lambda: [dbt("snapshot"), read("select department, goal from workbench.targets_history order by 1")])
    check("dbt/docs-generate")(lambda: dbt("docs", "generate"))
clean(connection)
