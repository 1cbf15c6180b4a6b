"""Data frame loaders that read with COPY in binary or with server-side cursors: ConnectorX and ADBC."""
import os

import adbc_driver_postgresql.dbapi
import connectorx
import pyarrow

from checks import check

URI = "postgresql://%(PGUSER)s:%(password)s@%(PGHOST)s:%(PGPORT)s/%(PGDATABASE)s?sslmode=disable" % dict(os.environ, password=os.environ["PGPASSWORD"].replace(" ", "%20"))
CLEAR = "select encounter_id, department, icd10 from clinic.encounters order by encounter_id"
MASKED = "select patient_id, ssn, dob::date as dob, email, state from clinic.patients order by patient_id"


def loaded(sql, **options):
    """Rows by ConnectorX."""
    frame = connectorx.read_sql(URI, sql, **options)
    return [{k: str(v)[:10] if k == "dob" else str(v) for k, v in row.items()} for row in frame.to_dict("records")]


for protocol in ("binary", "csv", "cursor", "simple"):
    check(f"connectorx/{protocol}")(lambda: loaded(CLEAR, protocol=protocol))
    check(f"connectorx/{protocol}-masked", ssn="last4", dob="year", email="hidden")(lambda: loaded(MASKED, protocol=protocol))
check("connectorx/partitioned")(
    lambda: sorted(row["sku"] for row in loaded("select item_id, sku from stock.items", partition_on="item_id", partition_num=3)))

connect = adbc_driver_postgresql.dbapi.connect


def table(sql, **statement):
    """Rows by ADBC."""
    with connect(URI) as connection, connection.cursor(adbc_stmt_kwargs=statement) as cursor:
        cursor.execute(sql)
        return [{k: v if v is None else str(v) for k, v in row.items()} for row in cursor.fetch_arrow_table().to_pylist()]


check("adbc/copy-binary")(lambda: table(CLEAR))
check("adbc/copy-binary-masked", ssn="last4", dob="year", email="hidden")(lambda: table(MASKED))
check("adbc/without-copy", ssn="last4", dob="year", email="hidden")(lambda: table(MASKED, **{"adbc.postgresql.use_copy": "false"}))


@check("adbc/objects")
def _():
    with connect(URI) as connection:
        return connection.adbc_get_objects(depth="tables", db_schema_filter="stock").read_all().to_pylist()


@check("adbc/table-schema")
def _():
    with connect(URI) as connection:
        return str(connection.adbc_get_table_schema("items", db_schema_filter="stock"))


@check("adbc/ingest")
def _():
    with connect(URI) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("adbc_made", pyarrow.table({"a": [1, 2, 3], "b": ["x", "y", "z"]}), mode="create", db_schema_name="workbench")
        cursor.execute("select count(*), max(b) from workbench.adbc_made")
        value = cursor.fetchall()
        connection.rollback()
        return value
