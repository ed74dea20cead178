"""The run's record: what was made, what it cost by the ledger's books, and how long each step took."""

import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from blocks.ledger import AttemptRow
from blocks.money import dollars_text
from blocks.prices import PriceBook
from tasks.briefs.brief import Campaign, VideoPart, references_of
from tasks.briefs.inputs import Inputs
from tasks.paying.collecting import ENDINGS
from tasks.paying.workbench import Workbench
from tasks.planning.chain import inputs_of, seconds_of
from tasks.planning.plan import Plan
from tasks.production import MadeBrief, MadeStage
from tasks.reconciling.settled_since import attempt_record
from tasks.record import (
    AssetRecord,
    BriefRecord,
    InputRecord,
    Latency,
    Outcome,
    PriceListRecord,
    RunRecord,
    StageRecord,
)
from tasks.work import WorkInput

_LIBRARIES = (
    "kling-campaigns",
    "prefect",
    "httpx",
    "pandas",
    "pyarrow",
    "pydantic",
    "sqlalchemy",
    "pillow",
    "av",
)


_Row = tuple[str, str]  # brief and stage
_Rows = Mapping[_Row, Sequence[AttemptRow]]


def rows_of_attempts(
    made: Iterable[MadeBrief], settled: Sequence[AttemptRow]
) -> dict[_Row, list[AttemptRow]]:
    """The attempts charged in this run, each booked to one row: equal work of several briefs is paid for once.

    A row that found its work done is given what is left: what a run that was killed had settled of it.
    """
    by_key: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in settled:
        by_key[attempt.generation_key].append(attempt)
    stages = [(brief, stage) for brief in made for stage in brief.stages if stage.work is not None]
    # Those that did the work themselves come first.
    stages.sort(key=lambda row: row[1].outcome is Outcome.CACHED)
    return {
        (brief.brief.brief, stage.work.stage): by_key.pop(stage.work.key, [])
        for brief, stage in stages
        if stage.work is not None
    }


def record_briefs(
    campaign: Campaign,
    made: Mapping[str, MadeBrief],
    inputs: Inputs,
    plan: Plan,
    bench: Workbench,
    settled: Sequence[AttemptRow],
) -> tuple[BriefRecord, ...]:
    rows = rows_of_attempts(made.values(), settled)
    return tuple(_brief_record(made[brief.brief], inputs, plan, bench, rows) for brief in campaign.briefs)


def _brief_record(made: MadeBrief, inputs: Inputs, plan: Plan, bench: Workbench, rows: _Rows) -> BriefRecord:
    stages = tuple(_stage_record(made, stage, inputs, plan, bench, rows) for stage in made.stages)
    ended = made.problem.outcome if made.problem else None
    status = {None: "done", Outcome.FAILED: "failed"}.get(ended, "held")
    return BriefRecord.model_validate(
        {
            "brief": made.brief.brief,
            "line": made.brief.line,
            "row": dict(made.brief.row),
            "status": status,
            "error": made.problem.message if made.problem else None,
            "stages": stages,
            "notes": references_of(made.brief).notes,
        }
    )


def _stage_record(
    made: MadeBrief, stage: MadeStage, inputs: Inputs, plan: Plan, bench: Workbench, rows: _Rows
) -> StageRecord:
    part, outcome, result = stage.part, stage.outcome, stage.result
    name = part.request.stage
    planned = plan.find(made.brief.brief, name)
    key = stage.work.key if stage.work else None
    attempts = rows.get((made.brief.brief, name.value), [])
    if attempts and outcome is Outcome.CACHED:
        # A run that was killed had done it and left no table: it is accounted for here.
        outcome = Outcome.RESUMED
    refunded = sum(attempt.refunded for attempt in attempts)
    charged = sum(attempt.charged or 0 for attempt in attempts) - refunded
    sent = stage.work.inputs if stage.work else inputs_of(part, inputs)
    # Without a result, its watch tells how long it tried; where it was never begun, it has none.
    watch = bench.stopwatches.get((made.brief.brief, name.value))
    times = result or watch
    return StageRecord(
        brief=made.brief.brief,
        stage=name.value,
        model=part.request.model_id,
        outcome=outcome,
        quantity=planned.quantity,
        unit=part.request.unit,
        unit_price=planned.unit_price,
        estimated=0 if outcome is Outcome.CACHED else planned.list_cost,
        charged=charged,
        refunded=refunded,
        saved=planned.list_cost if outcome is Outcome.CACHED else 0,
        prediction_id=result.prediction_id if result else next((a.prediction_id for a in attempts), None),
        error=stage.ending.message if stage.ending else None,
        reason=planned.reason,
        prompt=part.request.prompt,
        request=part.request.parameters(),
        inputs=tuple(_input_record(item, inputs, made, bench) for item in sent),
        assets=_placed(made.brief.brief, name.value, result.assets if result else ()),
        latency=result.latency if result else watch.latency() if watch else Latency(),
        notes=_notes(stage, inputs),
        generation_key=key,
        started_at=times.started_at if times else None,
        ended_at=times.ended_at if times else None,
        attempts=tuple(map(attempt_record, attempts)),
    )


def _placed(brief: str, stage: str, assets: Sequence[AssetRecord]) -> tuple[AssetRecord, ...]:
    return tuple(
        asset.model_copy(update={"path": f"assets/{brief}/{stage}-{number}.{ENDINGS[asset.media_type]}"})
        for number, asset in enumerate(assets, start=1)
    )


def _input_record(item: WorkInput, inputs: Inputs, made: MadeBrief, bench: Workbench) -> InputRecord:
    if item.source in inputs:
        media_type = inputs[item.source].media_type
    else:
        media_type = next(
            asset.media_type
            for stage in made.stages
            for asset in (stage.result.assets if stage.result else ())
            if asset.sha256 == item.sha256
        )
    sent_as = bench.sent_as.get(item.sha256, media_type)
    return InputRecord(
        role=item.role,
        source=item.source,
        sha256=item.sha256,
        media_type=media_type,
        converted_to=sent_as if sent_as != media_type else None,
    )


def _notes(stage: MadeStage, inputs: Inputs) -> tuple[str, ...]:
    """Where what was made is not what was asked for: worth a word, never a reason to refuse what is paid for."""
    if stage.result is None:
        return ()
    notes = list(stage.result.notes)
    part = stage.part
    if isinstance(part, VideoPart):
        wanted = seconds_of(part, inputs)
        for clip in stage.result.assets:
            if (
                wanted is not None
                and clip.duration_seconds is not None
                and abs(clip.duration_seconds - wanted) > 1
            ):
                notes.append(f"the clip lasts {clip.duration_seconds:.2f} s, its original {wanted:.2f} s")
            if clip.has_sound is False and part.request.keep_original_sound:
                notes.append("the clip has no sound")
    elif len(stage.result.assets) != part.request.num_images:
        notes.append(f"{len(stage.result.assets)} of {part.request.num_images} pictures came")
    return tuple(notes)


def price_list_record(prices: PriceBook) -> PriceListRecord:
    return PriceListRecord(
        name=prices.name,
        dated=prices.dated,
        sha256=prices.sha256,
        prices=tuple(dict(row) for row in prices.rows),
    )


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def summary(record: RunRecord, out: str) -> dict[str, object]:
    """What ``campaign run --json`` prints."""
    stages = record.stages
    counted = ("generated", "cached", "resumed", "failed", "held")
    return {
        "run": record.run,
        "provider": record.provider,
        "briefs": {
            "total": len(record.briefs),
            **{s: sum(b.status == s for b in record.briefs) for s in ("done", "failed", "held")},
        },
        "stages": {name: sum(stage.outcome == name for stage in stages) for name in counted},
        "charged_usd": dollars_text(sum(stage.charged for stage in stages)),
        "saved_usd": dollars_text(sum(stage.saved for stage in stages)),
        "seconds": round(record.seconds, 3),
        "out": out,
    }
