"""Where the time went, by stage and step, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.accounting.tables import STAGES, Table
from tasks.page.charts import Part, histogram, share_bar
from tasks.page.texts import brief_seconds, count
from tasks.record import RunRecord, StageRecord

STEPS = ("queue_s", "upload_s", "submit_s", "inference_s", "detect_s", "download_s")
STEP_NAMES = {
    "queue_s": "queue",
    "upload_s": "upload",
    "submit_s": "submit",
    "inference_s": "inference",
    "detect_s": "detection",
    "download_s": "download",
    "total_s": "total",
}


@dataclass(frozen=True)
class StageLatency:
    """``rows`` are those of the summary table: measure, count, mean and percentiles as it spells them."""

    stage: str
    rows: Sequence[Sequence[str]]
    steps: Markup | None
    distribution: Markup | None


def latency_of_stages(record: RunRecord, summary: Table) -> list[StageLatency]:
    """One for each stage that the run has, and one for all of them."""
    longest = max((s.working_seconds or 0.0 for s in record.stages), default=0.0)
    means = _means(summary)
    scale = max((sum(of_stage.values()) for of_stage in means.values()), default=0.0)
    found = []
    for name in [*STAGES, "all"]:
        rows = [texts[1:] for texts in summary.texts if texts[0] == name]
        if not rows or not any(row[1] != "0" for row in rows):
            continue
        members = [stage for stage in record.stages if name in {stage.stage, "all"}]
        steps = [Part(f"step-{step[:-2]}", STEP_NAMES[step], means[name].get(step, 0.0)) for step in STEPS]
        found.append(
            StageLatency(
                name,
                rows,
                share_bar(steps, scale) if scale else None,
                _distribution(name, members, summary, longest) if name != "all" else None,
            )
        )
    return found


def _means(summary: Table) -> dict[str, dict[str, float]]:
    means: dict[str, dict[str, float]] = {}
    for stage, measure, _, mean, *_ in summary.rows:
        of_stage = means.setdefault(str(stage), {})
        if measure in STEPS and isinstance(mean, float):
            of_stage[str(measure)] = mean
    return means


def _distribution(name: str, members: Sequence[StageRecord], summary: Table, longest: float) -> Markup | None:
    values = [taken for stage in members if (taken := stage.working_seconds) is not None]
    if not values or longest <= 0:
        return None
    row = next(row for row in summary.rows if row[0] == name and row[1] == "total_s")
    percentiles = dict(zip(summary.columns, row, strict=True))
    marks = [
        (column[:-2], value)
        for column in ("p50_s", "p90_s", "p99_s")
        if isinstance(value := percentiles[column], float)
    ]
    spelled = ", ".join(f"{mark} {brief_seconds(value)}" for mark, value in marks)
    label = f"Distribution of the total time of {count(len(values), f'{name} stage')}: {spelled}"
    return histogram(values, marks, kind=f"is-{name}", label=label, top=longest * 1.02)
