"""A large campaign that is there already: its records are put into ledger and store at once, as by earlier runs."""

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from caching_support import made_from, write_campaign
from simulator_support import clip, picture

from blocks.assets import AssetStore
from blocks.ledger import Ledger
from blocks.ledger.tables import assets, generation_assets, generations
from blocks.settings import Settings
from tasks.briefs.brief import ComposePart, EditPart, VideoPart, references_of
from tasks.briefs.inputs import Inputs, read_and_check
from tasks.planning.chain import inputs_of, key_of
from tasks.work import WorkInput

_MADE = datetime(2026, 11, 20, 12, tzinfo=UTC)


def large_campaign(folder: Path, briefs: int, *, inputs: int | None = None) -> Path:
    """Three stages a brief; of so many different pictures (one a brief, if not given), and one clip."""
    folder.mkdir(parents=True)
    count = briefs if inputs is None else inputs
    for number in range(count):
        # Different bytes, equally quick to read.
        (folder / f"product-{number}.png").write_bytes(picture() + f"{number:08}".encode())
    (folder / "clip.mp4").write_bytes(clip())
    rows = [
        {
            "brief": f"brief-{number:04}",
            "edit_prompt": f"look {number}",
            "edit_image": f"product-{number % count}.png",
            "compose_prompt": "@Image1 on marble",
            "video_prompt": "bring it into the scene",
            "video": "clip.mp4",
        }
        for number in range(briefs)
    ]
    return write_campaign(folder / "large.csv", rows)


def put_there(settings: Settings, path: Path) -> int:
    """As if the whole campaign had been made before; returns how many stages that were."""
    campaign, inputs = asyncio.run(read_and_check(path))
    store = AssetStore(settings.assets)
    with Ledger.open(settings.ledger_address) as ledger:
        run = ledger.start_run(
            campaign=campaign.name,
            csv_path=str(path),
            csv_sha256=campaign.sha256,
            service=settings.service,
            provider="simulator",
            out="runs",
        )
        ledger.end_run(run.id, exit_status=0, record_json=None)
        rows: dict[Any, list[dict[str, Any]]] = {generations: [], assets: [], generation_assets: []}
        for brief in campaign.briefs:
            for table, row in _rows(brief, inputs, settings.service, store, run.id):
                rows[table].append(row)
        with ledger._database.write() as connection:
            for table, values in rows.items():
                connection.execute(sa.insert(table), values)
    return len(rows[generations])


def _rows(
    brief: Any, inputs: Inputs, service: str, store: AssetStore, run: str
) -> Iterator[tuple[Any, dict[str, Any]]]:
    carried: tuple[WorkInput, ...] = ()
    part: EditPart | ComposePart | VideoPart
    for part in brief.parts:
        stage = part.request.stage
        count = references_of(brief).stages[stage].carried
        sent = inputs_of(part, inputs, carried[:count])
        key = key_of(service, part.request, sent, brief.take)
        yield (
            generations,
            {
                "key": key,
                "service": service,
                "provider": "simulator",
                "model": part.request.model_id,
                "stage": stage.value,
                "request": part.request.parameters(),
                "inputs": [{"role": item.role, "sha256": item.sha256} for item in sent],
                "take": brief.take,
                "prompt": part.request.prompt,
                "state": "stored",
                "created_at": _MADE,
                "stored_at": _MADE,
                "stored_by_run": run,
            },
        )
        [content] = made_from(
            part.request.model_id, part.request.parameters(), [item.sha256 for item in sent]
        )
        sha = hashlib.sha256(content).hexdigest()
        kept = store.path(sha)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
        video = isinstance(part, VideoPart)
        yield (
            assets,
            {
                "sha256": sha,
                "media_type": "video/mp4" if video else "image/png",
                "bytes": len(content),
                "width": 720 if video else 300,
                "height": 720 if video else 300,
                "duration_seconds": Decimal(1) if video else None,
                "frames_per_second": Decimal(24) if video else None,
                "has_sound": False if video else None,
                "created_at": _MADE,
            },
        )
        yield (
            generation_assets,
            {"generation_key": key, "position": 1, "sha256": sha, "flagged_nsfw": False},
        )
        carried = (WorkInput(role="images", sha256=sha, source=f"{brief.brief}/{stage}-1"),)
