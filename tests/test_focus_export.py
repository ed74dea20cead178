"""``focus.csv`` against the rules of FOCUS 1.3, written down here a second time from the specification's text."""

import csv
import io
import json
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from docs_support import ROOT, code_blocks, table
from record_samples import IMAGE_PRICE, STARTED, Assets, brief, every_outcome, record, stage

from blocks.money import to_dollars
from tasks.accounting.focus_export import COLUMNS, SIMULATOR, focus_csv
from tasks.accounting.tables import run_tables
from tasks.record import AttemptRecord, Outcome, RunRecord
from tasks.run_files.run_folder import write_run_folder

# Presence: what FOCUS makes mandatory in 1.2, 1.3 and 1.4, all of which the file is to serve.
MANDATORY = {
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
}
MANDATORY_UNTIL_1_3 = {"ProviderName", "PublisherName"}
MANDATORY_SINCE_1_3 = {"ServiceProviderName", "HostProviderName"}
NOT_NULL = (
    MANDATORY | MANDATORY_UNTIL_1_3 | MANDATORY_SINCE_1_3 | {"ChargeFrequency", "ServiceSubcategory"}
) - {
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "PricingQuantity",
    "PricingUnit",
}
COSTS = {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}
DECIMALS = COSTS | {"ListUnitPrice", "PricingQuantity", "ConsumedQuantity"}
MOMENTS = {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}
OBJECTS = {"Tags", "SkuPriceDetails"}
ALLOWED = {
    "BillingCurrency": {"USD"},
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {
        "AI Platforms",
        "Bots",
        "Generative AI",
        "Machine Learning",
        "Natural Language Processing",
    },
}
TIMES = {"Year", "Month", "Day", "Hour", "Minute", "Second"}
Row = dict[str, str]


def charges(run: RunRecord) -> list[Row]:
    return list(csv.DictReader(io.StringIO(focus_csv(run).decode(), newline="")))


def attempt(number: int, charged: int, refunded: int = 0, **changes: Any) -> AttemptRecord:
    fields: dict[str, Any] = {
        "number": number,
        "state": "failed" if refunded else "stored",
        "prediction_id": f"p{number}",
        "charged": charged,
        "refunded": refunded,
        "submitted_at": STARTED + timedelta(seconds=number),
        "ended_at": STARTED + timedelta(seconds=50 + number, milliseconds=300),
        "settled_at": STARTED + timedelta(seconds=60),
    }
    return AttemptRecord(**{**fields, **changes})


def paid_in_many_ways(folder: Path, **changes: Any) -> RunRecord:
    """Refunds in full, in part and a month later; a stage that was paid for twice; a clip of an odd length."""
    month = datetime(2026, 12, 1, 3, tzinfo=UTC)
    stages = {
        "full": (0, IMAGE_PRICE, (attempt(1, IMAGE_PRICE, IMAGE_PRICE),)),
        "part": (IMAGE_PRICE - 9_000, 9_000, (attempt(2, IMAGE_PRICE, 9_000),)),
        "late": (0, IMAGE_PRICE, (attempt(3, IMAGE_PRICE, IMAGE_PRICE, settled_at=month),)),
        "twice": (IMAGE_PRICE, IMAGE_PRICE, (attempt(4, IMAGE_PRICE, IMAGE_PRICE), attempt(5, IMAGE_PRICE))),
        "cheaper": (20_000, 0, (attempt(6, 20_000),)),
        "unbilled": (0, 0, (attempt(7, 0),)),
    }
    briefs = [
        brief(
            name, (stage(name, "edit", Outcome.GENERATED, charged=charged, refunded=back, attempts=attempts),)
        )
        for name, (charged, back, attempts) in stages.items()
    ]
    seconds = Decimal(16) / 3
    clip = stage(
        "clip", "video", Outcome.GENERATED, quantity=seconds, estimated=1_920_000, charged=1_920_000,
        attempts=(attempt(8, 1_920_000),), request={"prompt": "x"},
    )  # fmt: skip
    return record(folder, (*briefs, brief("clip", (clip,))), **changes)


@pytest.fixture(params=["every outcome", "many ways", "simulated"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunRecord:
    if request.param == "every outcome":
        return every_outcome(tmp_path, Assets())  # as a record of before attempts were told apart
    changes = {"provider": "simulator", "run": "simulated-1", "service": "simulator"}
    return paid_in_many_ways(tmp_path, **(changes if request.param == "simulated" else {}))


# The specification.


def test_columns_are_present_and_named_as_it_asks(run: RunRecord) -> None:
    header = focus_csv(run).decode().splitlines()[0].split(",")
    assert set(header) >= MANDATORY | MANDATORY_UNTIL_1_3 | MANDATORY_SINCE_1_3
    assert len(set(header)) == len(header)
    own = [name for name in header if name.startswith("x_")]
    assert header == [*sorted(set(header) - set(own)), *own], "its columns come first, in order"
    assert all(re.fullmatch(r"(x_)?([A-Z][a-z]+)+", name) and len(name) <= 50 for name in header)


def test_values_have_the_types_it_asks(run: RunRecord) -> None:
    for row in charges(run):
        for name in NOT_NULL:
            assert row[name].strip(), f"{name} may not be null"
        for name in DECIMALS & {name for name, value in row.items() if value}:
            assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", row[name]), name
        for name in MOMENTS:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[name]), name
        for name in OBJECTS & {name for name, value in row.items() if value}:
            found = json.loads(row[name])
            assert isinstance(found, dict)
            assert all(isinstance(value, str | int | bool) or value is None for value in found.values())
        for name, allowed in ALLOWED.items():
            assert row[name] in allowed, name
        assert not {*row.values()} & {"N/A", "None", "null", "NULL", "nan", "Not Applicable", "Unknown"}
        for name in ("PricingUnit", "ConsumedUnit"):
            # Times are named as it names them; other nouns are plural and begin with a capital.
            assert (
                not row[name]
                or row[name].removesuffix("s") in TIMES
                or re.fullmatch("[A-Z][a-z]+s", row[name])
            )
        if row["SkuPriceDetails"]:
            assert all(key.startswith("x_") for key in json.loads(row["SkuPriceDetails"]))


def test_nulls_are_where_it_asks_for_them(run: RunRecord) -> None:
    for row in charges(run):
        itemized = row["ChargeCategory"] == "Usage" and not row["ChargeClass"]
        for name in ("PricingQuantity", "ListUnitPrice", "SkuId", "SkuPriceId", "ConsumedQuantity"):
            assert not itemized or row[name], name
        assert bool(row["PricingQuantity"]) == bool(row["PricingUnit"])
        assert bool(row["ConsumedQuantity"]) == bool(row["ConsumedUnit"])
        if row["ChargeCategory"] != "Usage":
            assert not row["ConsumedQuantity"]
        if not row["SkuPriceId"]:
            assert row["SkuPriceDetails"] == row["PricingQuantity"] == ""
        assert bool(row["ResourceId"]) == bool(row["ResourceType"])
        assert not row["ChargeClass"] or row["BillingPeriodStart"] > row["ChargePeriodStart"]


def test_costs_agree_with_each_other(run: RunRecord) -> None:
    for row in charges(run):
        if row["ListUnitPrice"]:
            assert Decimal(row["ListUnitPrice"]) >= 0
            product = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
            assert abs(product - Decimal(row["ListCost"])) <= Decimal("0.0000005"), "to the millionth"
        if row["ChargeCategory"] == "Credit":
            assert len({Decimal(row[name]) for name in COSTS}) == 1
        assert Decimal(row["EffectiveCost"]) == Decimal(row["ContractedCost"]) == Decimal(row["BilledCost"])
        assert (Decimal(row["BilledCost"]) < 0) == row["ChargeDescription"].partition("paid. ")[
            -1
        ].startswith("Refund") or row["ChargeDescription"].startswith("Refund")


def test_periods_are_bounds_and_months(run: RunRecord) -> None:
    for row in charges(run):
        start, end = (datetime.fromisoformat(row[f"BillingPeriod{bound}"]) for bound in ("Start", "End"))
        assert (start.day, start.hour, start.minute, start.second) == (1, 0, 0, 0)
        assert end == (start + timedelta(days=31)).replace(day=1)
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        if not row["ChargeClass"]:
            assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"]


# What it says of a run.


def test_it_adds_up_to_the_cost_table(run: RunRecord) -> None:
    billed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in charges(run):
        tags = json.loads(row["Tags"])
        assert (tags["campaign"], tags["run"]) == (run.campaign, run.run)
        billed[tags["brief"], tags["stage"]] += Decimal(row["BilledCost"])
    cost = run_tables(run).cost
    charged = cost.columns.index("charged_usd")
    expected = {(str(row[1]), str(row[2])): row[charged] for row in cost.rows}
    assert {place: amount for place, amount in expected.items() if amount or place in billed} == dict(billed)
    assert sum(billed.values()) == to_dollars(sum(one.charged for one in run.stages)) > 0


def test_each_charge_and_each_refund_has_a_row(tmp_path: Path) -> None:
    rows = charges(paid_in_many_ways(tmp_path))
    assert [
        (
            row["ResourceId"],
            row["BilledCost"],
            row["ChargeCategory"],
            row["ChargeClass"],
            row["PricingQuantity"],
        )
        for row in rows
    ] == [
        ("p1", "0.028", "Usage", "", "1"),
        ("p1", "-0.028", "Usage", "", "-1"),
        ("p2", "0.028", "Usage", "", "1"),
        ("p2", "-0.009", "Credit", "", ""),
        ("p3", "0.028", "Usage", "", "1"),
        ("p3", "-0.028", "Usage", "Correction", "-1"),
        ("p4", "0.028", "Usage", "", "1"),
        ("p4", "-0.028", "Usage", "", "-1"),
        ("p5", "0.028", "Usage", "", "1"),
        ("p6", "0.02", "Usage", "", "1"),
        ("p8", "1.92", "Usage", "", "5.333333333333333333333333333"),
    ]
    late = rows[5]
    assert (late["ChargePeriodStart"], late["BillingPeriodStart"]) == (
        "2026-11-21T09:30:03Z",
        "2026-12-01T00:00:00Z",
    )
    assert (rows[0]["ChargePeriodStart"], rows[0]["ChargePeriodEnd"]) == (
        "2026-11-21T09:30:01Z",
        "2026-11-21T09:30:52Z",
    )
    assert (rows[9]["ListCost"], rows[9]["BilledCost"]) == ("0.028", "0.02")
    assert (rows[0]["SkuPriceId"], rows[-1]["SkuPriceId"]) == (
        "kwaivgi/kling-image-v3/edit:1k",
        "kwaivgi/kling-video-o3-pro/video-edit",
    )


def test_nothing_of_a_simulated_run_is_booked_as_spent(tmp_path: Path) -> None:
    simulated = charges(paid_in_many_ways(tmp_path, provider="simulator", service="http://127.0.0.1:9"))
    real = charges(paid_in_many_ways(tmp_path))
    for row in simulated:
        assert {
            value for name, value in row.items() if re.search("Provider|Issuer|Publisher|ServiceName", name)
        } == {SIMULATOR}
        assert row["ChargeDescription"].startswith("SIMULATED, nothing was paid. ")
        assert row["x_Simulated"] == "true"
        assert json.loads(row["Tags"])["simulated"] is True
    assert {row["x_Simulated"] for row in real} == {"false"}
    assert "imulat" not in focus_csv(paid_in_many_ways(tmp_path)).decode().partition("\n")[2]


def test_what_people_and_services_write_stays_inert(tmp_path: Path) -> None:
    hostile = paid_in_many_ways(tmp_path, campaign='=1+1","x', run="r\u202e")
    one = hostile.briefs[0].stages[0]
    prediction = one.model_copy(
        update={"attempts": (attempt(1, IMAGE_PRICE, prediction_id="=cmd|' /C calc'!A0"),)}
    )
    hostile = hostile.model_copy(update={"briefs": (brief("full", (prediction,)),)})
    (row,) = charges(hostile)
    assert json.loads(row["Tags"])["campaign"] == '=1+1","x'
    assert row["ResourceId"] == "'=cmd|' /C calc'!A0"
    assert not any(value[:1] in {"=", "+", "@", "\t"} for value in row.values())


def test_a_run_that_cost_nothing_has_a_header_only(tmp_path: Path) -> None:
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.CACHED),)),))
    assert focus_csv(run).decode() == ",".join(COLUMNS) + "\n"


# The documents.


def test_every_column_is_described() -> None:
    assert tuple(table(ROOT / "docs" / "tables.md", "column of focus.csv").names) == COLUMNS


def test_the_documented_queries_read_all_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one-liner, over three run folders as runs leave them, one of them simulated."""
    assets = Assets()
    for number, run in enumerate(
        (
            every_outcome(tmp_path, assets),
            paid_in_many_ways(tmp_path, run="20261122-093000-b2c3"),
            every_outcome(tmp_path, assets, provider="simulator", run="simulated-20261121-093000-c3d4"),
        )
    ):
        write_run_folder(run, tmp_path / "runs" / run.run, place_asset=assets.place)
        assert number < 3
    monkeypatch.chdir(tmp_path)
    queries = [
        found[1]
        for block in code_blocks(ROOT / "docs" / "tables.md")
        if (found := re.fullmatch(r'duckdb -c "([^"]+)"\n', block.text))
    ]
    by_run, by_stage, by_month = (duckdb.execute(query).fetchall() for query in queries)
    assert by_run == [
        ("20261121-093000-a1b2", Decimal("2.024320"), Decimal("1.940320")),
        ("20261122-093000-b2c3", Decimal("1.987000"), Decimal("0.000000")),
    ]
    assert by_stage[0] == ("compose", 2, 49.7, 49.7)
    assert [row[0] for row in by_stage] == ["compose", "edit", "video"]
    assert sum(row[2] for row in by_month) == Decimal("4.011320")
    assert {row[0] for row in by_month} == {"2026-11", "2026-12"}
