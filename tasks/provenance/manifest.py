"""``manifest.json``: what made what. Exact: nothing in it is neutralised, shortened or rounded."""

import json
from datetime import datetime
from decimal import Decimal

from blocks.money import dollars_text
from tasks.accounting.tables import plain_quantity
from tasks.exports import utf8
from tasks.provenance.manifest_document import SCHEMA
from tasks.record import AssetRecord, AttemptRecord, BriefRecord, InputRecord, RunRecord, StageRecord


def manifest_json(record: RunRecord) -> bytes:
    """Amounts are decimal strings in US dollars, moments ISO 8601 in UTC, durations seconds."""
    return utf8(
        json.dumps(manifest(record), indent=1, sort_keys=True, ensure_ascii=False, default=_plain) + "\n"
    )


def manifest(record: RunRecord) -> dict[str, object]:
    """The document that ``tasks.provenance.manifest_document`` lays out, its amounts and moments not yet as text.

    Built by hand: the models would refuse half a surrogate pair, and a run must always leave its manifest.
    """
    return {
        "schema": SCHEMA,
        "run": record.run,
        "provider": record.provider,
        "service": record.service,
        "campaign": {
            "name": record.campaign,
            "path": record.csv_path,
            "sha256": record.csv_sha256,
            "columns": record.csv_columns,
        },
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "seconds": record.seconds,
        "exit_status": record.exit_status,
        "budget_usd": None if record.budget is None else dollars_text(record.budget),
        "flow_run_id": record.flow_run_id,
        "versions": record.versions,
        "price_list": record.price_list.model_dump(),
        "limits": record.limits.model_dump() if record.limits else None,
        "notes": record.notes,
        "briefs": [_brief(brief) for brief in record.briefs],
    }


def _brief(brief: BriefRecord) -> dict[str, object]:
    return {
        "brief": brief.brief,
        "line": brief.line,
        "row": brief.row,
        "take": _take(brief),
        "status": brief.status,
        "error": brief.error,
        "notes": brief.notes,
        "charged_usd": dollars_text(brief.charged),
        "stages": [_stage(stage) for stage in brief.stages],
    }


def _stage(stage: StageRecord) -> dict[str, object]:
    return {
        "stage": stage.stage,
        "model": stage.model,
        "outcome": stage.outcome,
        "reason": stage.reason,
        "error": stage.error,
        "notes": stage.notes,
        "prompt": stage.prompt,
        "request": stage.request,
        "inputs": [_input(given) for given in stage.inputs],
        "prediction_id": stage.prediction_id,
        "generation_key": stage.generation_key,
        "quantity": plain_quantity(stage.quantity),
        "unit": stage.unit,
        "unit_price_usd": dollars_text(stage.unit_price),
        "estimated_usd": dollars_text(stage.estimated),
        "charged_usd": dollars_text(stage.charged),
        "refunded_usd": dollars_text(stage.refunded),
        "saved_usd": dollars_text(stage.saved),
        "started_at": stage.started_at,
        "ended_at": stage.ended_at,
        "latency": stage.latency.model_dump(),
        "attempts": [_attempt(attempt) for attempt in stage.attempts],
        "assets": [_asset(asset, stage.inputs) for asset in stage.assets],
    }


def _take(brief: BriefRecord) -> int:
    take = brief.row.get("take", "").strip()
    return int(take) if take.isdecimal() else 1


def _attempt(attempt: AttemptRecord) -> dict[str, object]:
    told = attempt.model_dump(exclude={"charged", "refunded"})
    return {
        **told,
        "charged_usd": dollars_text(attempt.charged),
        "refunded_usd": dollars_text(attempt.refunded),
    }


def _input(given: InputRecord) -> dict[str, object]:
    return given.model_dump()


def _asset(asset: AssetRecord, inputs: tuple[InputRecord, ...]) -> dict[str, object]:
    return {**asset.model_dump(), "parents": [given.sha256 for given in inputs]}


def _plain(value: object) -> str:
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a manifest")
