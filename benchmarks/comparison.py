"""The command of this project and the text-book pipeline under the same trouble, counted from the service's books.

Both are given the same briefs. A process is killed by SIGKILL when the service has accepted so many predictions, or a
request's answer is lost; then it is run again until it ends well.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from campaign_support import COMMAND, PrefectApi, Workplace
from fault_service import FaultyService
from paid_once import lost_replies
from simulator_support import KEY

from flows.prefect_server import prefect_service
from flows.shared_service import shared_service

BRIEFS = 4
PIECES = 2 * BRIEFS
_CLOCK = 0.02  # 45 s become 0.9 s: long enough for several pieces to be under way at any moment
_RUNS = 5
_RUN_SECONDS = 120
_TEXTBOOK = str(Path(__file__).with_name("textbook_pipeline.py"))
_LOSING = ("lose_reply", "lose_reply_as_html", "lose_reply_as_5xx")


@dataclass(frozen=True)
class Outcome:
    """``events``: kills, or replies that were lost; ``duplicates``: predictions paid for beyond one a piece."""

    schedules: int = 0
    events: int = 0
    duplicates: int = 0
    unfinished: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.schedules + other.schedules,
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.unfinished + other.unfinished,
        )

    @property
    def per_event(self) -> float:
        return self.duplicates / self.events if self.events else 0.0


@dataclass(frozen=True)
class Compared:
    """One kind of trouble, met by campaigns of so many pieces of work each."""

    trouble: str
    pieces: int
    ours: Outcome
    textbook: Outcome


class Start(Protocol):
    """Starts one of the two programs in a workplace."""

    __name__: str

    def __call__(self, workplace: Workplace) -> "subprocess.Popen[bytes]": ...


class Trouble(Protocol):
    """Carries out one campaign under some trouble."""

    __name__: str

    def __call__(self, start: Start, folder: Path, prefect_api: PrefectApi, seed: int) -> Outcome: ...


def compare(count: int, folder: Path, at_once: int) -> list[Compared]:
    """Carries out ``count`` campaigns of each kind with each of the two; they share a Prefect server."""
    home = folder / "prefect"
    with (
        shared_service(prefect_service(home), home / "kling-campaigns") as service,
        ThreadPoolExecutor(at_once) as pool,
    ):

        def total(trouble: Trouble, start: Start) -> Outcome:
            places = [folder / f"{trouble.__name__}-{start.__name__}-{seed}" for seed in range(count)]
            outcomes = pool.map(
                lambda place, seed: trouble(start, place, PrefectApi.of(service), seed), places, range(count)
            )
            return sum(outcomes, Outcome())

        return [
            Compared(name, PIECES, total(trouble, this_project), total(trouble, textbook))
            for name, trouble in (("kill -9", killed), ("lost reply", unanswered))
        ]


def killed(start: Start, folder: Path, prefect_api: PrefectApi, seed: int) -> Outcome:
    """Killed once, when the service has accepted some of the predictions and not all are done."""
    accepted = random.Random(f"kill {seed}").randrange(1, PIECES)
    with FaultyService(folder / "service", clock=_CLOCK) as service:
        workplace = _workplace(folder, prefect_api, service.start({}))
        process = start(workplace)
        while process.poll() is None and len(service.books.predictions()) < accepted:
            time.sleep(0.01)
        process.kill()
        kills = int(process.wait() == -signal.SIGKILL)
        return _finished(start, workplace, service, kills)


def unanswered(start: Start, folder: Path, prefect_api: PrefectApi, seed: int) -> Outcome:
    """One request is accepted and its answer lost."""
    draw = random.Random(f"lost reply {seed}")
    rule = {"on": "submit", "do": draw.choice(_LOSING), "nth": [draw.randrange(1, PIECES + 1)]}
    with FaultyService(folder / "service", clock=_CLOCK) as service:
        workplace = _workplace(folder, prefect_api, service.start({"rules": [rule]}))
        return _finished(start, workplace, service, None)


def _finished(start: Start, workplace: Workplace, service: FaultyService, kills: int | None) -> Outcome:
    """Runs it until it ends well, and counts; ``kills`` are the events, or else the replies lost."""
    status: int | None = None
    for _ in range(_RUNS):
        status = start(workplace).wait(_RUN_SECONDS)
        if status == 0:
            break
    made = Counter((p.model, p.prompt) for p in service.books.predictions() if p.status == "completed")
    return Outcome(
        schedules=1,
        events=lost_replies(service.books) if kills is None else kills,
        duplicates=sum(count - 1 for count in made.values()),
        unfinished=int(status != 0 or len(made) < PIECES),
    )


def _workplace(folder: Path, prefect_api: PrefectApi, service: FaultyService) -> Workplace:
    workplace = Workplace(folder / "work", prefect_api)
    workplace.use_service(service.url, KEY)
    workplace.environment["PREFECT_HOME"] = str(workplace.folder / "prefect")
    image = workplace.picture(size=(320, 320))
    briefs: list[dict[str, Any]] = [
        {
            "brief": f"b{n}",
            "edit_image": image,
            "edit_prompt": f"look {n}",
            "compose_prompt": f"@Image1 on oak {n}",
        }
        for n in range(BRIEFS)
    ]
    workplace.campaign(briefs)
    (workplace.folder / "briefs.json").write_text(
        json.dumps(
            [
                {
                    "brief": brief["brief"],
                    "image": image,
                    "edit": brief["edit_prompt"],
                    "compose": brief["compose_prompt"],
                }
                for brief in briefs
            ]
        ),
        encoding="utf-8",
    )
    return workplace


def this_project(workplace: Workplace) -> "subprocess.Popen[bytes]":
    return _start(workplace, [COMMAND, "run", "spring.csv"])


def textbook(workplace: Workplace) -> "subprocess.Popen[bytes]":
    return _start(workplace, [sys.executable, _TEXTBOOK, "briefs.json", "."])


def _start(workplace: Workplace, command: list[str]) -> "subprocess.Popen[bytes]":
    with (workplace.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=workplace.folder,
            env=os.environ | workplace.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
