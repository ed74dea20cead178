"""The four tables of a run: cost and latency by brief and stage, and what they come to.

All figures are taken from the run's record. Money is exact; seconds are exact in Parquet and rounded to the
millisecond in CSV. Percentiles interpolate linearly between the two nearest values (the 50th of 1 s and 2 s
is 1.5 s) and count every value that the latency table holds for that stage and measure, of stages whose work was
finished in the run: the moment that it takes to look up a picture, or to be refused one, would hide how long it takes
to make one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from blocks.money import to_dollars
from tasks.exports import Cell, cell_text, csv_bytes
from tasks.record import Outcome, RunRecord, StageRecord

STAGES = ("edit", "compose", "video")

_TEXT, _SECONDS, _COUNT = pa.string(), pa.float64(), pa.int64()
_MONEY = pa.decimal128(18, 6)
# A quotient of two decimals has 28 digits; nothing that is billed has more.
_QUANTITY_PLACES = 28
_QUANTITY = pa.decimal128(38, _QUANTITY_PLACES)

COST_TYPES = {
    "run": _TEXT,
    "brief": _TEXT,
    "stage": _TEXT,
    "model": _TEXT,
    "outcome": _TEXT,
    "quantity": _QUANTITY,
    "unit": _TEXT,
    "unit_price_usd": _MONEY,
    "estimated_usd": _MONEY,
    "charged_usd": _MONEY,
    "saved_usd": _MONEY,
    "prediction_id": _TEXT,
    "error": _TEXT,
}
MEASURES = ("queue_s", "upload_s", "submit_s", "inference_s", "detect_s", "download_s", "total_s")
LATENCY_TYPES = {
    "run": _TEXT,
    "brief": _TEXT,
    "stage": _TEXT,
    "model": _TEXT,
    "outcome": _TEXT,
    **dict.fromkeys(MEASURES, _SECONDS),
    "polls": _COUNT,
    "attempts": _COUNT,
}
COST_SUMMARY_COLUMNS = ("stage", "generated", "cached", "failed", "estimated_usd", "charged_usd", "saved_usd")
LATENCY_SUMMARY_COLUMNS = ("stage", "measure", "count", "mean_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s")
_QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99}


@dataclass(frozen=True)
class Table:
    """Rows of exact values, by column; ``csv`` and ``texts`` are what people and pages are shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def texts(self) -> list[list[str]]:
        return [[cell_text(value) for value in row] for row in self.rows]

    def csv(self) -> bytes:
        return csv_bytes(self.columns, self.rows)


@dataclass(frozen=True)
class RunTables:
    cost: Table
    latency: Table
    cost_summary: Table
    latency_summary: Table


def run_tables(record: RunRecord) -> RunTables:
    return RunTables(
        cost=_table(COST_TYPES, (_cost_row(record.run, stage) for stage in record.stages)),
        latency=_table(LATENCY_TYPES, (_latency_row(record.run, stage) for stage in record.stages)),
        cost_summary=_table(COST_SUMMARY_COLUMNS, _cost_summary_rows(record.stages)),
        latency_summary=_table(LATENCY_SUMMARY_COLUMNS, _latency_summary_rows(record)),
    )


def cost_parquet(record: RunRecord, table: Table) -> bytes:
    """Money as decimal128(18, 6), quantities as decimal128(38, 28)."""
    return _parquet(record, table, COST_TYPES)


def latency_parquet(record: RunRecord, table: Table) -> bytes:
    """Seconds as float64, steps that did not happen as null."""
    return _parquet(record, table, LATENCY_TYPES)


def _table(columns: Iterable[str], rows: Iterable[Sequence[Cell]]) -> Table:
    return Table(tuple(columns), tuple(tuple(row) for row in rows))


def _cost_row(run: str, stage: StageRecord) -> tuple[Cell, ...]:
    return (
        run,
        stage.brief,
        stage.stage,
        stage.model,
        str(stage.outcome),
        plain_quantity(stage.quantity),
        stage.unit,
        to_dollars(stage.unit_price),
        to_dollars(stage.estimated),
        to_dollars(stage.charged),
        to_dollars(stage.saved),
        stage.prediction_id,
        stage.error,
    )


def _latency_row(run: str, stage: StageRecord) -> tuple[Cell, ...]:
    steps = stage.latency
    seconds = tuple(getattr(steps, measure) for measure in MEASURES)
    return (
        run,
        stage.brief,
        stage.stage,
        stage.model,
        str(stage.outcome),
        *seconds,
        steps.polls,
        steps.attempts,
    )


def plain_quantity(quantity: Decimal) -> Decimal:
    """Drop trailing zeros; exact up to 28 places."""
    with localcontext(prec=38):
        rounded = round(quantity, _QUANTITY_PLACES).normalize()
        return rounded if rounded != rounded.to_integral_value() else rounded.quantize(Decimal(1))


def _cost_summary_rows(stages: Sequence[StageRecord]) -> Iterable[tuple[Cell, ...]]:
    for name, members in _by_stage(stages, "total"):
        yield (
            name,
            *(
                sum(stage.outcome is outcome for stage in members)
                for outcome in (Outcome.GENERATED, Outcome.CACHED, Outcome.FAILED)
            ),
            to_dollars(sum(stage.estimated for stage in members)),
            to_dollars(sum(stage.charged for stage in members)),
            to_dollars(sum(stage.saved for stage in members)),
        )


def _latency_summary_rows(record: RunRecord) -> Iterable[tuple[Cell, ...]]:
    for name, members in _by_stage(record.stages, "all"):
        finished = [stage for stage in members if stage.finished]
        for measure in MEASURES:
            values = [getattr(stage.latency, measure) for stage in finished]
            seen = pd.Series([value for value in values if value is not None], dtype="float64")
            if seen.empty:
                yield (name, measure, 0, *(None,) * (len(LATENCY_SUMMARY_COLUMNS) - 3))
                continue
            quantiles = seen.quantile(list(_QUANTILES.values())).tolist()
            yield (name, measure, len(seen), float(seen.mean()), *quantiles, float(seen.max()))


def _by_stage(stages: Sequence[StageRecord], name_of_all: str) -> Iterable[tuple[str, Sequence[StageRecord]]]:
    for name in STAGES:
        members = [stage for stage in stages if stage.stage == name]
        if members:
            yield name, members
    yield name_of_all, stages


def _parquet(record: RunRecord, table: Table, types: dict[str, pa.DataType]) -> bytes:
    # The provider stands in the file itself: a simulated table stays recognisable wherever it is copied.
    schema = pa.schema(list(types.items()), metadata={"provider": record.provider, "run": record.run})
    columns = [list(column) for column in zip(*table.rows, strict=True)] or [[] for _ in types]
    arrays = [pa.array(values, type=kind) for values, kind in zip(columns, types.values(), strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())
