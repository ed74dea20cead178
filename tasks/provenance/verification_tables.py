"""Holds the tables of a run's folder against its manifest, to the millionth."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

from pyarrow import ArrowException, parquet

from tasks.exports import original_cell, visible
from tasks.provenance.manifest_document import Manifest, StagePart

_Row = dict[str, str]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_AMOUNTS = ("estimated_usd", "charged_usd", "saved_usd")
_AGAIN = "`campaign report` writes it again"


def table_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for each table that is missing, damaged, or says something else than the manifest."""
    checks: dict[str, Callable[[Path, Manifest], Iterator[str]]] = {
        "cost.csv": _cost,
        "latency.csv": _latency,
        "cost_summary.csv": _cost_summary,
        "results.csv": _results,
        "cost.parquet": _parquet,
    }
    for name, check in checks.items():
        try:
            yield from (f"{name}: {problem}; {_AGAIN}" for problem in check(folder / name, manifest))
        except FileNotFoundError:
            yield f"{name}: missing; {_AGAIN}"
        except OSError as error:
            yield f"{name}: cannot be read: {error.strerror or error}"
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, csv.Error):
            yield f"{name}: damaged: it is not the table that a run leaves; {_AGAIN}"


def _stages(manifest: Manifest) -> dict[tuple[str, str], StagePart]:
    return {(brief.brief, stage.stage): stage for brief in manifest.briefs for stage in brief.stages}


def _cost(path: Path, manifest: Manifest) -> Iterator[str]:
    rows, stages = _by_stage(path), _stages(manifest)
    yield from _missing_and_foreign(rows, stages)
    for place in sorted(rows.keys() & stages.keys()):
        row, stage = rows[place], stages[place]
        told: dict[str, object] = {"outcome": row["outcome"], "prediction_id": row["prediction_id"]}
        right: dict[str, object] = {
            "outcome": stage.outcome.value,
            "prediction_id": stage.prediction_id or "",
        }
        for name in _AMOUNTS:
            told[name], right[name] = Decimal(row[name]), Decimal(getattr(stage, name))
        for name, value in right.items():
            if told[name] != value:
                yield _differs(f"{_shown(place)}: {name}", row[name], value)


def _latency(path: Path, manifest: Manifest) -> Iterator[str]:
    rows, stages = _by_stage(path), _stages(manifest)
    yield from _missing_and_foreign(rows, stages)
    for place in sorted(rows.keys() & stages.keys()):
        total = stages[place].latency.total_s
        right = "" if total is None else f"{total:.3f}"
        if rows[place]["total_s"] != right:
            yield _differs(f"{_shown(place)}: total_s", rows[place]["total_s"], right or "nothing")


def _cost_summary(path: Path, manifest: Manifest) -> Iterator[str]:
    total = _rows(path)[-1]
    for name in _AMOUNTS:
        right = sum((Decimal(getattr(stage, name)) for stage in _stages(manifest).values()), Decimal(0))
        if total["stage"] != "total" or Decimal(total[name]) != right:
            yield _differs(f"the total of {name}", total[name], right)


def _results(path: Path, manifest: Manifest) -> Iterator[str]:
    charged: dict[str, Decimal] = defaultdict(Decimal)
    for brief in manifest.briefs:
        charged[brief.row.get("brief", brief.brief).strip()] += Decimal(brief.charged_usd)
    rows = {row["brief"].strip(): row for row in _rows(path)}
    yield from _missing_and_foreign(rows, charged)
    for name in sorted(rows.keys() & charged.keys()):
        if Decimal(rows[name]["charged_usd"]) != charged[name]:
            yield _differs(f"{visible(name)}: charged_usd", rows[name]["charged_usd"], charged[name])


def _parquet(path: Path, manifest: Manifest) -> Iterator[str]:
    try:
        table = parquet.read_table(path, columns=list(_AMOUNTS)).to_pydict()
    except ArrowException as error:
        raise ValueError("not a Parquet file") from error
    stages = _stages(manifest).values()
    for name, values in table.items():
        told = sum(values, Decimal(0))
        right = sum((Decimal(getattr(stage, name)) for stage in stages), Decimal(0))
        if len(values) != len(stages) or told != right:
            yield _differs(f"the sum of {name}", told, right)


def _rows(path: Path) -> list[_Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: original_cell(cell) for name, cell in row.items()}
            for row in csv.DictReader(file, strict=True)
        ]


def _by_stage(path: Path) -> dict[tuple[str, str], _Row]:
    return {(row["brief"], row["stage"]): row for row in _rows(path)}


def _missing_and_foreign(rows: dict[_Key, _Row], known: dict[_Key, _Value]) -> Iterator[str]:
    for place in sorted(known.keys() - rows.keys(), key=str):
        yield f"it has no row of {_shown(place)}"
    for place in sorted(rows.keys() - known.keys(), key=str):
        yield f"it has a row of {_shown(place)}, which the manifest does not know"


def _differs(what: str, told: object, right: object) -> str:
    return f"{what} is {visible(str(told)) or 'nothing'}, and {visible(str(right))} in the manifest"


def _shown(place: object) -> str:
    return visible(", ".join(place) if isinstance(place, tuple) else str(place))
