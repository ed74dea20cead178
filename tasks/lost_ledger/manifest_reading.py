"""A run's record, read back from its manifest: for a ledger that has lost it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from blocks.money import to_millionths
from tasks.record import (
    AssetRecord,
    AttemptRecord,
    BriefRecord,
    InputRecord,
    LimitsRecord,
    PriceListRecord,
    RunRecord,
    StageRecord,
)

MANIFEST = "manifest.json"
# A campaign of 10,000 briefs leaves some 50 MB; more is no manifest of ours.
_LARGEST_BYTES = 500_000_000


class UnreadableManifest(ValueError):
    """No manifest of this program, or a damaged one."""


def read_manifest(path: Path) -> RunRecord:
    """Read a manifest as the record that it was written from. Raises UnreadableManifest, OSError."""
    if path.stat().st_size > _LARGEST_BYTES:
        raise UnreadableManifest(f"{path} is too large for a manifest")
    try:
        return _record(json.loads(path.read_bytes()))
    except (ValueError, ValidationError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableManifest(f"{path} cannot be read as a run's manifest") from error


def _record(document: Mapping[str, Any]) -> RunRecord:
    campaign = document["campaign"]
    return RunRecord.model_validate(
        _known(RunRecord, document)
        | {
            "campaign": campaign["name"],
            "csv_path": campaign["path"],
            "csv_sha256": campaign["sha256"],
            "csv_columns": campaign["columns"],
            "budget": _amount(document["budget_usd"]),
            "price_list": PriceListRecord.model_validate(_known(PriceListRecord, document["price_list"])),
            "limits": document["limits"]
            and LimitsRecord.model_validate(_known(LimitsRecord, document["limits"])),
            "briefs": [
                _known(BriefRecord, brief)
                | {"stages": [_stage(brief["brief"], stage) for stage in brief["stages"]]}
                for brief in document["briefs"]
            ],
        }
    )


def _stage(brief: str, stage: Mapping[str, Any]) -> dict[str, Any]:
    amounts = ("unit_price", "estimated", "charged", "refunded", "saved")
    return (
        _known(StageRecord, stage)
        | {name: _amount(stage[f"{name}_usd"]) for name in amounts}
        | {
            "brief": brief,
            "inputs": [_known(InputRecord, given) for given in stage["inputs"]],
            "assets": [_known(AssetRecord, asset) for asset in stage["assets"]],
            "attempts": [
                _known(AttemptRecord, attempt)
                | {name: _amount(attempt[f"{name}_usd"]) for name in ("charged", "refunded")}
                for attempt in stage["attempts"]
            ],
        }
    )


def _known(model: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in model.model_fields if name in document}


def _amount(dollars: str | None) -> int | None:
    return None if dollars is None else to_millionths(dollars)
