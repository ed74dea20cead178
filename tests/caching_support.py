"""Campaigns run in this process against a service without a network, whose pictures depend on what they are made from.

All but the network and Prefect is the product's own: files are read, plans made, the ledger and the store written.
"""

import asyncio
import contextlib
import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
import sqlalchemy as sa
from fault_service import _signed_clip, _signed_picture
from simulator_support import clip, picture

from blocks.ledger import KEPT_BY_SERVICE, Ledger
from blocks.ledger.tables import attempts
from blocks.settings import Settings, load_settings
from blocks.wavespeed import BillingEntry, ClockSkew, Prediction, Quote, Upload
from flows import closing, set_up
from flows.campaign import make_all, show_plan
from flows.closing import ClosedRun, close_run
from flows.preparation import RunOptions, prepared, refuse_what_the_budget_does_not_cover
from tasks import production
from tasks.briefs.reading import COLUMNS
from tasks.paying import generation
from tasks.paying.workbench import Workbench, use
from tasks.planning.plan import Plan
from tasks.production import MadeBrief, Production
from tasks.watching.progress import SilentProgress
from tasks.work import StageResult, StageWork

SERVICE = "https://api.example.org"
PICTURE, PICTURE_4K, SECOND = 28_000, 56_000, 360_000


def meaning(prompt: str) -> str:
    """What the service makes of a prompt: nothing of what follows a ``~``, so that other words give the same bytes."""
    return prompt.partition("~")[0]


@dataclass(frozen=True)
class Sent:
    """One submitted request: its parameters as JSON, and the hashes of its inputs in their order."""

    model: str
    parameters: str
    inputs: tuple[str, ...]


@dataclass
class PlainService:
    """Stands in for client and remote files. ``calls`` counts everything that is asked of it."""

    calls: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    bill: dict[str, int] = field(default_factory=dict)
    clock: ClockSkew = field(default_factory=lambda: ClockSkew(low=-1, high=1, known=True))
    simulated: bool = False
    clip_seconds: Decimal = Decimal(3)
    _outputs: dict[str, bytes] = field(default_factory=dict)
    _predictions: dict[str, Prediction] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def submit(self, model_id: str, body: Mapping[str, Any], **_: object) -> Prediction:
        self.calls.append("submit")
        parameters = {name: value for name, value in body.items() if name not in {"image", "images", "video"}}
        urls = [body[name] for name in ("image", "video") if name in body] + list(body.get("images", []))
        inputs = tuple(url.rpartition("/")[2].partition(".")[0] for url in urls)
        self.sent.append(Sent(model_id, json.dumps(parameters, sort_keys=True), inputs))
        number = f"{len(self.bill) + 1:032x}"
        outputs = []
        for place, content in enumerate(made_from(model_id, parameters, inputs)):
            url = f"{SERVICE}/outputs/{number}-{place}"
            self._outputs[url] = content
            outputs.append(url)
        self.bill[number] = price_of(model_id, parameters, self.clip_seconds)
        self._predictions[number] = Prediction(
            id=number,
            model=model_id,
            status="completed",
            outputs=tuple(outputs),
            has_nsfw_contents=(False,) * len(outputs),
            created_at=datetime.now(UTC),
            inference_seconds=1.0,
        )
        return self._predictions[number]

    async def result(self, prediction_id: str) -> Prediction:
        self.calls.append("result")
        return self._predictions[prediction_id]

    async def history(self, **_: object) -> list[Prediction]:
        self.calls.append("history")
        return list(reversed(self._predictions.values()))

    async def newest(self, model: str) -> list[Prediction]:
        self.calls.append("newest")
        return [one for one in reversed(self._predictions.values()) if one.model == model]

    async def balance(self) -> int:
        self.calls.append("balance")
        return 10**9

    async def price(self, model_id: str, inputs: Mapping[str, Any]) -> Quote:
        self.calls.append("price")
        price = price_of(model_id, inputs, self.clip_seconds)
        return Quote(model_id, price, price)

    async def upload(self, _content: bytes | Path, *, filename: str, **_: object) -> Upload:
        self.calls.append("upload")
        return Upload(f"{SERVICE}/files/{filename}", datetime.now(UTC) + timedelta(days=7))

    async def billings(self, prediction_ids: Sequence[str] = (), **_: object) -> list[BillingEntry]:
        self.calls.append("billings")
        return [
            BillingEntry(number, "deduct", self.bill[number], None)
            for number in prediction_ids
            if number in self.bill
        ]

    async def fetch(self, url: str, into: Path, **_: object) -> SimpleNamespace:
        self.calls.append("download")
        await asyncio.to_thread(into.write_bytes, self._outputs[url])
        return SimpleNamespace(sha256=hashlib.sha256(self._outputs[url]).hexdigest())

    @property
    def charged(self) -> int:
        return sum(self.bill.values())


def made_from(model: str, parameters: Mapping[str, Any], inputs: Sequence[str]) -> list[bytes]:
    """The outputs' bytes: by what is asked for and by the inputs' bytes, and by nothing else."""
    understood = {**parameters, "prompt": meaning(parameters["prompt"])}
    video = "video" in model
    made = []
    for number in range(int(parameters.get("num_images", 1))):
        text = json.dumps([model, understood, list(inputs), number], sort_keys=True)
        signature = hashlib.sha256(text.encode()).hexdigest().encode()
        made.append(_signed_clip(clip(), signature) if video else _signed_picture(picture(), signature))
    return made


def price_of(model: str, parameters: Mapping[str, Any], clip_seconds: Decimal) -> int:
    if "video" in model:
        return int(SECOND * clip_seconds)
    return (PICTURE_4K if parameters["resolution"] == "4k" else PICTURE) * int(parameters["num_images"])


@contextlib.contextmanager
def without_network_and_prefect() -> Iterator[PlainService]:
    """From now on runs in this process work with the service that is yielded, and write no tables."""
    service = PlainService()

    async def run_stage(bench: Workbench, work: StageWork) -> StageResult:
        service.calls.append("task")
        return await generation.generate(bench, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_up, "WaveSpeedClient", lambda *_, **__: service)
        patch.setattr(set_up, "RemoteFiles", lambda *_, **__: service)
        patch.setattr(production, "run_stage", run_stage)
        patch.setattr(closing, "write_run_folder", lambda *_, **__: None)
        yield service


def settings_at(home: Path) -> Settings:
    flags = {"home": home, "api_key": "key", "base_url": SERVICE, "poll_seconds": 0.002, "quiet_seconds": 1.0}
    return load_settings(flags, env_file=None)


def write_campaign(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def forget_how_young(settings: Settings) -> None:
    """From now on every prediction is older than the service keeps outputs, as the ledger has it."""
    with Ledger.open(settings.ledger_address) as ledger, ledger._database.write() as connection:
        long_ago = datetime.now(UTC) - KEPT_BY_SERVICE - timedelta(minutes=1)
        connection.execute(sa.update(attempts).values(submitted_at=long_ago, service_created_at=long_ago))


async def plan_of(settings: Settings, path: Path) -> Plan:
    async with prepared(settings, path) as ready:
        return ready.plan


async def run(settings: Settings, path: Path, **wanted: Any) -> ClosedRun:
    """`campaign run`, from the files to the run's record in the ledger."""
    options = RunOptions(csv=path, out=settings.home / "runs", **wanted)
    async with AsyncExitStack() as stack:
        ready = await stack.enter_async_context(prepared(settings, path))
        refuse_what_the_budget_does_not_cover(ready.plan, options)
        bench = await stack.enter_async_context(set_up.set_up(ready, options, SilentProgress(), None))
        show_plan(bench, ready, options)
        stack.callback(use(bench))
        maker = Production(bench, ready.inputs, ready.plan, ready.prices)
        made = [MadeBrief(brief) for brief in ready.campaign.briefs]
        await maker.record_found()
        await make_all(maker, bench, made, partial=options.partial)
        return await close_run(bench, ready, options, made)


def run_now(settings: Settings, path: Path, **wanted: Any) -> ClosedRun:
    return asyncio.run(run(settings, path, **wanted))
