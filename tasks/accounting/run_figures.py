"""A run in a few figures: for the list of runs, and for the page over all of them.

A record is as large as its campaign, so its summary is worked out once and kept in CAMPAIGN_HOME, beside what the
ledger had settled in the run by then. What is kept there is a convenience: where it is lost, damaged or of another
version, or where the account has said something else since, it is worked out again.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.ledger import Ledger, RunRow, SettledSums
from tasks.exports import write_atomically
from tasks.reconciling.settled_since import settled_record
from tasks.record import Outcome, RunRecord, StageRecord

_VERSION = 2  # raised when a summary would come out differently
_MADE = (Outcome.GENERATED, Outcome.RESUMED, Outcome.CACHED)


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunFigures(_Figures):
    """What only a run's record tells. Amounts in millionths of a dollar, times in seconds."""

    seconds: float
    briefs: dict[str, int]  # by status: done, failed, held
    stages: dict[str, int]  # by outcome
    estimated: int
    charged: int
    refunded: int
    saved: int
    median_s: dict[str, float]  # by stage, from its start to its end, of what was generated in the run
    failures: dict[str, int]  # by cause; stages that failed or are held

    @property
    def cached_share(self) -> float | None:
        """How much of what there is was there already, 0 to 1; None where the run has nothing."""
        made = sum(self.stages.get(outcome, 0) for outcome in _MADE)
        return self.stages.get(Outcome.CACHED, 0) / made if made else None

    @property
    def troubled(self) -> int:
        """Briefs that are not done."""
        return sum(count for status, count in self.briefs.items() if status != "done")


class _KeptFigures(_Figures):
    """As they stand in CAMPAIGN_HOME."""

    version: int
    settled: SettledSums
    figures: RunFigures


class RunSummary(_Figures):
    """``figures`` is None where the run has not come to its end, or left no record that can be read."""

    run: str
    campaign: str
    provider: str
    service: str
    started_at: datetime
    exit_status: int | None
    out: str
    figures: RunFigures | None

    @property
    def simulated(self) -> bool:
        return self.provider == "simulator"

    @property
    def report(self) -> Path:
        return Path(self.out) / self.run / "report.html"


def summaries(
    ledger: Ledger, folder: Path, *, cause_of: Callable[[str | None, str | None], str]
) -> list[RunSummary]:
    """All runs, the newest first. ``folder`` is where their figures are kept.

    ``cause_of`` names why a stage came to nothing, by the service's code and the message.
    """
    # Read before any record: what is settled meanwhile is found by whoever looks next.
    settled = ledger.settled_sums()
    return [
        _summary(ledger, row, settled.get(row.id, SettledSums()), folder, cause_of) for row in ledger.runs()
    ]


def figures_of(record: RunRecord, cause_of: Callable[[str | None, str | None], str]) -> RunFigures:
    stages = record.stages
    return RunFigures(
        seconds=record.seconds,
        briefs=dict(Counter(brief.status for brief in record.briefs)),
        stages=dict(Counter(stage.outcome.value for stage in stages)),
        estimated=sum(stage.estimated for stage in stages),
        charged=sum(stage.charged for stage in stages),
        refunded=sum(stage.refunded for stage in stages),
        saved=sum(stage.saved for stage in stages),
        median_s=dict(_medians(stages)),
        failures=dict(
            Counter(
                cause_of(_code(stage), stage.error)
                for stage in stages
                if stage.outcome in {Outcome.FAILED, Outcome.HELD}
            )
        ),
    )


def _summary(
    ledger: Ledger,
    row: RunRow,
    settled: SettledSums,
    folder: Path,
    cause_of: Callable[[str | None, str | None], str],
) -> RunSummary:
    return RunSummary(
        run=row.id,
        campaign=row.campaign,
        provider=row.provider,
        service=row.service,
        started_at=row.started_at,
        exit_status=row.exit_status,
        out=row.out,
        figures=_figures(ledger, row, settled, folder / f"{row.id}.json", cause_of) if row.ended_at else None,
    )


def _figures(
    ledger: Ledger,
    row: RunRow,
    settled: SettledSums,
    kept: Path,
    cause_of: Callable[[str | None, str | None], str],
) -> RunFigures | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(kept.read_bytes())
        if isinstance(found, dict) and found.get("version") == _VERSION:
            known = _KeptFigures.model_validate(found)
            if known.settled == settled:
                return known.figures
    try:
        record = settled_record(ledger, row.id)
    except ValidationError:
        return None  # of another version
    if record is None:
        return None
    figures = figures_of(record, cause_of)
    with contextlib.suppress(OSError):
        known = _KeptFigures(version=_VERSION, settled=settled, figures=figures)
        write_atomically(kept, known.model_dump_json().encode(), private=True)
    return figures


def _medians(stages: Iterable[StageRecord]) -> Iterable[tuple[str, float]]:
    for name in ("edit", "compose", "video"):
        seconds = [
            stage.latency.total_s
            for stage in stages
            if stage.stage == name
            and stage.outcome is Outcome.GENERATED
            and stage.latency.total_s is not None
        ]
        if seconds:
            yield name, median(seconds)


def _code(stage: StageRecord) -> str | None:
    """The service's own, of the attempt that the stage ended with; it may have failed otherwise since."""
    last = stage.attempts[-1] if stage.attempts else None
    return last.error_code if last and last.error == stage.error else None
