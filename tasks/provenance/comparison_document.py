"""The comparison of two runs as JSON: money as decimal strings, seconds as numbers."""

from typing import Any

from blocks.money import dollars_text
from tasks.provenance.comparison import (
    Amounts,
    AssetChange,
    BriefDifference,
    Comparison,
    InputChange,
    Pair,
    StageDifference,
)
from tasks.record import InputRecord, RunRecord


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """What ``campaign diff --json`` prints. A value that is the same in both runs is null or left out of its list."""
    return {
        "a": _run(comparison.a),
        "b": _run(comparison.b),
        "briefs": [_brief(brief) for brief in comparison.briefs],
        "totals": {
            "added": comparison.count("added"),
            "removed": comparison.count("removed"),
            "changed": comparison.count("changed"),
            "same": comparison.count("same"),
            "charged_usd": _amounts(comparison.total(lambda stage: stage.charged)),
            "estimated_usd": _amounts(comparison.total(lambda stage: stage.estimated)),
            "saved_usd": _amounts(comparison.total(lambda stage: stage.saved)),
            "seconds": _seconds(Pair(comparison.a.seconds, comparison.b.seconds)),
            "mean_total_s": {stage: _seconds(pair) for stage, pair in comparison.mean_total_s.items()},
        },
    }


def _run(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.run,
        "campaign": record.campaign,
        "provider": record.provider,
        "service": record.service,
        "started_at": record.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "exit_status": record.exit_status,
        "csv_sha256": record.csv_sha256,
        "price_list": {"name": record.price_list.name, "sha256": record.price_list.sha256},
    }


def _brief(brief: BriefDifference) -> dict[str, Any]:
    return {
        "brief": brief.brief,
        "change": brief.change,
        "status": _pair(brief.status),
        "take": _pair(brief.take),
        "charged_usd": _amounts(brief.charged),
        "estimated_usd": _amounts(brief.estimated),
        "stages": [_stage(stage) for stage in brief.stages],
    }


def _stage(stage: StageDifference) -> dict[str, Any]:
    a, b = stage.records.a, stage.records.b
    prompt = {
        "a": a.prompt if a else None,
        "b": b.prompt if b else None,
        "words": [{"change": piece.change, "text": piece.text} for piece in stage.prompt],
    }
    return {
        "stage": stage.stage,
        "changed": stage.changed,
        "prompt": prompt if stage.prompt else None,
        "parameters": {name: {"a": pair.a, "b": pair.b} for name, pair in stage.parameters.items()},
        "inputs": [_input_change(change) for change in stage.inputs],
        "assets": [_asset_change(change) for change in stage.assets],
        "outcome": _pair(stage.outcome),
        "error": _pair(stage.error),
        "charged_usd": _amounts(stage.charged),
        "estimated_usd": _amounts(stage.estimated),
        "total_s": _seconds(stage.total_s),
    }


def _pair(pair: Pair[str]) -> dict[str, str | None] | None:
    return {"a": pair.a, "b": pair.b} if pair.differ else None


def _input_change(change: InputChange) -> dict[str, Any]:
    return {
        "role": change.role,
        "position": change.position,
        "a": _input(change.inputs.a),
        "b": _input(change.inputs.b),
    }


def _input(item: InputRecord | None) -> dict[str, str] | None:
    return {"source": item.source, "sha256": item.sha256} if item else None


def _asset_change(change: AssetChange) -> dict[str, Any]:
    return {"place": change.place, "a": change.sha256.a, "b": change.sha256.b}


def _amounts(amounts: Amounts) -> dict[str, str]:
    return {
        "a": dollars_text(amounts.a),
        "b": dollars_text(amounts.b),
        "delta": dollars_text(amounts.delta),
    }


def _seconds(pair: Pair[float]) -> dict[str, float | None]:
    delta = None if pair.a is None or pair.b is None else round(pair.b - pair.a, 3)
    return {
        "a": None if pair.a is None else round(pair.a, 3),
        "b": None if pair.b is None else round(pair.b, 3),
        "delta": delta,
    }
