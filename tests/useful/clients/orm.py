"""SQLAlchemy (reflection, core, ORM) and pandas."""
import pandas
from sqlalchemy import (MetaData, Table, bindparam, case, cast, create_engine, delete, desc, distinct, exists, func, inspect, insert, literal,
                        select, text, tuple_, union_all, update, Numeric, String)
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session, joinedload, selectinload

from checks import check

SCHEMAS = ["clinic", "billing", "lab", "stock", "org", "reporting", "workbench"]
engine = create_engine("postgresql+psycopg://", pool_pre_ping=True)
metadata = MetaData()
rows = lambda result: [dict(row) for row in result.mappings()]


@check("sqlalchemy/reflect-every-schema")
def _():
    for schema in SCHEMAS:
        metadata.reflect(engine, schema=schema, views=True)
    return sorted([table.fullname, [(c.name, str(c.type), c.nullable, c.primary_key) for c in table.columns]] for table in metadata.tables.values())


@check("sqlalchemy/inspector")
def _():
    look = inspect(engine)
    seen = {"schemas": look.get_schema_names(), "default": look.default_schema_name}
    for schema in SCHEMAS:
        seen[schema] = [look.get_table_names(schema=schema), look.get_view_names(schema=schema), look.get_materialized_view_names(schema=schema)]
    return seen


@check("sqlalchemy/inspector-keys-and-indexes")
def _():
    look = inspect(engine)
    names = [("billing", "claims"), ("stock", "levels"), ("lab", "results"), ("clinic", "encounters")]
    return [[look.get_pk_constraint(t, schema=s), look.get_foreign_keys(t, schema=s), look.get_indexes(t, schema=s), look.get_unique_constraints(t, schema=s),
             look.get_check_constraints(t, schema=s), look.get_table_comment(t, schema=s)] for s, t in names]


@check("sqlalchemy/inspector-multi")
def _():
    look = inspect(engine)
    return {str(key): [c["name"] for c in value] for key, value in look.get_multi_columns(schema="stock").items()}


@check("sqlalchemy/inspector-enums-sequences-views")
def _():
    look = inspect(engine)
    return [look.get_enums(schema="billing"), look.get_sequence_names(schema="stock"), look.get_view_definition("low_stock", schema="reporting"),
            look.has_table("items", schema="stock"), look.has_table("nothing", schema="stock")]


table = lambda name: metadata.tables.get(name) if metadata.tables.get(name) is not None else Table(name.split(".")[1], metadata, schema=name.split(".")[0], autoload_with=engine)
encounters, patients, departments = table("clinic.encounters"), table("clinic.patients"), table("clinic.departments")
items, levels, movements, claims = table("stock.items"), table("stock.levels"), table("stock.movements"), table("billing.claims")
e, p, i, l = encounters.c, patients.c, items.c, levels.c


def ask(statement, parameters=None):
    with engine.connect() as connection:
        return rows(connection.execute(statement, parameters or {}))


@check("sqlalchemy/core-select-where-order")
def _():
    return ask(select(i.sku, i.unit_cost).where(i.category.in_(["fluid", "device"]), i.unit_cost > 20).order_by(desc(i.unit_cost), i.sku))


@check("sqlalchemy/core-join-group-having")
def _():
    n = func.count().label("n")
    return ask(select(e.department, departments.c.beds, n, func.sum(e.charge)).join_from(encounters, departments, departments.c.name == e.department)
               .group_by(e.department, departments.c.beds).having(func.count() > 3).order_by(n.desc(), e.department))


@check("sqlalchemy/core-cte-and-subquery")
def _():
    visits = select(e.patient_id, func.count().label("n")).group_by(e.patient_id).cte("visits")
    return ask(select(p.state, func.max(visits.c.n), func.count()).join(visits, visits.c.patient_id == p.patient_id).group_by(p.state).order_by(p.state))


@check("sqlalchemy/core-window")
def _():
    place = func.row_number().over(partition_by=i.category, order_by=(i.unit_cost.desc(), i.item_id)).label("place")
    q = select(i.category, i.sku, place).subquery()
    return ask(select(q.c.category, q.c.sku, q.c.place).where(q.c.place <= 2).order_by(q.c.category, q.c.place))


@check("sqlalchemy/core-union-exists-case")
def _():
    return ask(union_all(select(literal("low").label("kind"), func.count().label("n")).select_from(levels).where(l.on_hand < l.reorder_at),
                         select(literal("empty"), func.count()).where(exists().where(l.item_id == i.item_id, l.on_hand == 0)),
                         select(func.max(case((i.unit_cost > 50, "dear"), else_="cheap")), func.count()).where(i.unit_cost > 50)).order_by("kind"))


@check("sqlalchemy/core-tuple-in-and-expanding")
def _():
    wanted = [(3, "Cardiology"), (5, "Emergency"), (6, "Oncology")]
    return ask(select(l.item_id, l.department, l.on_hand).where(tuple_(l.item_id, l.department).in_(wanted)).order_by(l.item_id)) + \
        ask(select(i.sku).where(i.item_id.in_(bindparam("ids", expanding=True))).order_by(i.sku), {"ids": [1, 2, 3]})


@check("sqlalchemy/core-json-and-array")
def _():
    return ask(select(i.item_id, i.attributes["size"]["w"].as_integer().label("w"), func.array_length(i.labels, 1)).where(i.labels.any("cold")).order_by(i.item_id))


@check("sqlalchemy/core-cast-and-functions")
def _():
    return ask(select(cast(i.unit_cost, Numeric(10, 1)).label("c"), func.upper(i.title), func.coalesce(cast(i.shelf_life, String), "-")).order_by(i.item_id).limit(20))


@check("sqlalchemy/core-masked-select", ssn="last4", phone="lastx4", email="hidden", dob="year")
def _():
    return ask(select(p.patient_id, p.ssn, p.phone, p.email, p.dob, p.state).order_by(p.patient_id).limit(50))


@check("sqlalchemy/core-insert-returning-and-rollback")
def _():
    with engine.connect() as connection:
        made = connection.execute(insert(movements).returning(movements.c.quantity, movements.c.reason),
                                  [{"item_id": n, "moved_at": "2024-02-03", "quantity": n, "reason": "use"} for n in range(1, 40)])
        value = rows(made)
        changed = connection.execute(update(levels).where(l.item_id == 4).values(on_hand=l.on_hand + 1)).rowcount
        gone = connection.execute(delete(movements).where(movements.c.movement_id == 7)).rowcount
        connection.rollback()
    return [value, changed, gone]


@check("sqlalchemy/core-stream")
def _():
    with engine.connect().execution_options(yield_per=20) as connection:
        return [list(row) for row in connection.execute(select(e.encounter_id, e.department).order_by(e.encounter_id))]


@check("sqlalchemy/create-and-drop-own-table")
def _():
    own = MetaData(schema="workbench")
    from sqlalchemy import Column, Integer
    made = Table("orm_made", own, Column("id", Integer, primary_key=True), Column("title", String(50), nullable=False, index=True))
    own.drop_all(engine)
    own.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(made), [{"title": f"t{n}"} for n in range(5)])
        value = rows(connection.execute(select(made).order_by(made.c.id)))
    own.drop_all(engine)
    return value


Base = automap_base(metadata=metadata)


@check("sqlalchemy/automap")
def _():
    Base.prepare()
    return sorted(name for name in Base.classes.keys())


@check("sqlalchemy/orm-get-and-relationship")
def _():
    Item, Level = Base.classes["items"], Base.classes["levels"]
    with Session(engine) as session:
        item = session.get(Item, 3)
        return [item.sku, sorted((level.department, level.on_hand) for level in item.levels_collection)]


@check("sqlalchemy/orm-eager-loading")
def _():
    Item = Base.classes["items"]
    with Session(engine) as session:
        loaded = session.scalars(select(Item).where(Item.item_id < 12).order_by(Item.item_id).options(selectinload(Item.levels_collection))).all()
        joined = session.scalars(select(Item).where(Item.item_id < 6).order_by(Item.item_id).options(joinedload(Item.levels_collection))).unique().all()
        return [[(item.sku, len(item.levels_collection)) for item in found] for found in (loaded, joined)]


@check("sqlalchemy/orm-masked-entities", ssn="last4", first_name="null", dob="year")
def _():
    Patient = Base.classes["patients"]
    with Session(engine) as session:
        found = session.scalars(select(Patient).where(Patient.state == "OH").order_by(Patient.patient_id).limit(20)).all()
        return [{"id": one.patient_id, "ssn": one.ssn, "first_name": one.first_name, "dob": one.dob, "visits": len(one.encounters_collection)} for one in found]


@check("sqlalchemy/orm-pagination-and-count")
def _():
    Encounter = Base.classes["encounters"]
    with Session(engine) as session:
        total = session.scalar(select(func.count()).select_from(Encounter))
        page = session.scalars(select(Encounter).order_by(Encounter.encounter_id).offset(20).limit(10)).all()
        return [total, [(one.encounter_id, one.department, one.charge) for one in page], session.scalar(select(func.count(distinct(Encounter.department))))]


@check("sqlalchemy/orm-unit-of-work")
def _():
    Level = Base.classes["levels"]
    with Session(engine) as session:
        level = session.scalars(select(Level).order_by(Level.item_id, Level.department).limit(1)).one()
        level.reorder_at = level.reorder_at + 5
        session.add(Level(item_id=1, department="New", on_hand=1, reorder_at=2, counted_on="2024-01-01"))
        session.flush()
        value = session.scalar(select(func.count()).select_from(Level))
        session.rollback()
        return value


@check("pandas/read-sql")
def _():
    with engine.connect() as connection:
        frame = pandas.read_sql("select department, charge, icd10 from clinic.encounters order by encounter_id", connection)
    return [frame.shape, {k: str(v) for k, v in frame.dtypes.items()}, frame.groupby("department")["charge"].agg(["count", "sum"]).reset_index().to_dict("records")]


@check("pandas/read-sql-parameters")
def _():
    with engine.connect() as connection:
        frame = pandas.read_sql(text("select sku, unit_cost from stock.items where category = :c order by sku"), connection, params={"c": "fluid"})
    return frame.to_dict("records")


@check("pandas/read-sql-table")
def _():
    with engine.connect() as connection:
        return pandas.read_sql_table("levels", connection, schema="stock", columns=["item_id", "department", "on_hand"]).head(20).to_dict("records")


@check("pandas/read-sql-chunks")
def _():
    with engine.connect() as connection:
        return [len(chunk) for chunk in pandas.read_sql("select * from stock.movements order by movement_id", connection, chunksize=150)]


@check("pandas/masked-frame", ssn="last4", zip="zip3", email="hidden")
def _():
    with engine.connect() as connection:
        frame = pandas.read_sql("select patient_id, ssn, zip, email, state from clinic.patients order by patient_id limit 30", connection)
    return frame.to_dict("records")


@check("pandas/parse-dates-and-index")
def _():
    with engine.connect() as connection:
        frame = pandas.read_sql("select moved_at, quantity from stock.movements", connection, parse_dates=["moved_at"], index_col="moved_at")
    return {str(k): int(v) for k, v in frame["quantity"].resample("MS").sum().items()}


@check("pandas/to-sql-into-workbench")
def _():
    frame = pandas.DataFrame({"department": ["a", "b"], "goal": [1.5, 2.5]})
    with engine.begin() as connection:
        frame.to_sql("pandas_made", connection, schema="workbench", if_exists="replace", index=False)
        frame.to_sql("pandas_made", connection, schema="workbench", if_exists="append", index=False, method="multi")
        value = pandas.read_sql("select * from workbench.pandas_made order by 1", connection).to_dict("records")
        connection.execute(text("drop table workbench.pandas_made"))
    return value
