"""Django: connection, introspection, inspectdb, and the ORM over unmanaged models."""
import contextlib
import io
import os

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
                           "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                           "OPTIONS": {"options": "-c search_path=clinic,stock,workbench", "sslmode": "disable"}}},
    INSTALLED_APPS=["django.contrib.contenttypes"], USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()

from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Sum, Window
from django.db.models.functions import Rank, TruncMonth

from checks import check


class Patient(models.Model):
    patient_id = models.BigIntegerField(primary_key=True)
    ssn = models.TextField()
    dob = models.DateField()
    state = models.TextField()
    sex = models.TextField()

    class Meta:
        managed, db_table, app_label = False, "patients", "clinic"


class Encounter(models.Model):
    encounter_id = models.BigIntegerField(primary_key=True)
    patient = models.ForeignKey(Patient, models.DO_NOTHING, db_column="patient_id")
    department = models.TextField()
    icd10 = models.TextField()
    charge = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        managed, db_table, app_label = False, "encounters", "clinic"


class Target(models.Model):
    department = models.TextField(primary_key=True)
    goal = models.DecimalField(max_digits=10, decimal_places=2)
    note = models.TextField(null=True)

    class Meta:
        managed, db_table, app_label = False, "targets", "clinic"


class Item(models.Model):
    item_id = models.IntegerField(primary_key=True)
    sku = models.TextField()
    category = models.TextField()
    unit_cost = models.DecimalField(max_digits=8, decimal_places=2)
    attributes = models.JSONField()

    class Meta:
        managed, db_table, app_label = False, "items", "clinic"


class Movement(models.Model):
    movement_id = models.BigIntegerField(primary_key=True)
    item = models.ForeignKey(Item, models.DO_NOTHING)
    moved_at = models.DateTimeField()
    quantity = models.IntegerField()

    class Meta:
        managed, db_table, app_label = False, "movements", "clinic"


@check("django/table-list")
def _():
    with connection.cursor() as cursor:
        return sorted((t.name, t.type) for t in connection.introspection.get_table_list(cursor))


@check("django/table-description")
def _():
    with connection.cursor() as cursor:
        return [[c.name, c.null_ok, str(c.default)] for name in ("patients", "items") for c in connection.introspection.get_table_description(cursor, name)]


@check("django/constraints-and-sequences")
def _():
    with connection.cursor() as cursor:
        look = connection.introspection
        return [look.get_constraints(cursor, "items"), look.get_relations(cursor, "encounters"), look.get_sequences(cursor, "movements")]


@check("django/inspectdb")
def _():
    out = io.StringIO()
    call_command("inspectdb", "patients", "encounters", "items", "levels", stdout=out)
    return out.getvalue()


@check("django/filter-order-slice")
def _():
    return list(Encounter.objects.filter(charge__gt=1000).exclude(department="Oncology").order_by("-charge", "encounter_id").values("encounter_id", "charge")[5:15])


@check("django/annotate-and-aggregate")
def _():
    grouped = Encounter.objects.values("department").annotate(n=Count("pk"), money=Sum("charge"), dear=Count("pk", filter=Q(charge__gt=20000))).order_by("department")
    return [list(grouped), Encounter.objects.aggregate(Avg("charge"), Count("department", distinct=True))]


@check("django/join-exists-window")
def _():
    busy = Encounter.objects.filter(patient=OuterRef("pk"), charge__gt=30000)
    people = Patient.objects.filter(Exists(busy)).values("patient_id", "state").order_by("pk")
    ranked = Encounter.objects.annotate(place=Window(Rank(), partition_by=F("department"), order_by=F("charge").desc())).order_by("encounter_id").values_list("encounter_id", "place")
    return [list(people), list(ranked), list(Encounter.objects.filter(patient__state="OH").values_list("pk", "patient__sex").order_by("pk")[:20])]


@check("django/masked-objects", ssn="last4", dob="year")
def _():
    return [{"id": one.pk, "ssn": one.ssn, "dob": one.dob, "state": one.state} for one in Patient.objects.order_by("pk")[:20]]


@check("django/select-related-masked", ssn="last4", dob="year")
def _():
    return [{"id": one.pk, "ssn": one.patient.ssn, "dob": one.patient.dob} for one in Encounter.objects.select_related("patient").order_by("pk")[:20]]


@check("django/get-in-bulk-count-exists")
def _():
    return [Patient.objects.count(), Patient.objects.filter(pk=3).exists(), Item.objects.get(sku="SKU-0007").pk, sorted(Item.objects.in_bulk([1, 2, 3]))]


@check("django/json-lookups-and-dates")
def _():
    coloured = Item.objects.filter(attributes__color="blue", attributes__size__w__gt=3).order_by("pk").values_list("pk", flat=True)
    months = Movement.objects.annotate(month=TruncMonth("moved_at")).values("month").annotate(total=Sum("quantity")).order_by("month")
    return [list(coloured), list(months)]


@check("django/create-update-delete-in-atomic")
def _():
    with transaction.atomic():
        made, fresh = Target.objects.update_or_create(department="Django", defaults={"goal": 5})
        Target.objects.bulk_create([Target(department=f"bulk {n}", goal=n) for n in range(10)])
        changed = Target.objects.filter(department="Django").update(goal=F("goal") * 2)
        count = Target.objects.count()
        gone = Target.objects.filter(department__startswith="bulk").delete()
        transaction.set_rollback(True)
    return [fresh, changed, count, gone[0]]


@check("django/server-side-iterator")
def _():
    return [one.pk for one in Movement.objects.order_by("pk").only("movement_id").iterator(chunk_size=50)][:200]
