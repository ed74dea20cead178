"""Seeded schedules of trouble: a seed says what goes wrong, in the service and in the commands, and when.

A schedule has a disturbed phase, in which commands are killed, doubled and interrupted while the service misbehaves and
is restarted, and a quiet one, in which the command is run again until it is done. Then the service's books decide.
``make faults`` carries out a thousand of them, ``make faults SEED=123`` one, and shows it.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from campaign_support import PrefectApi, Workplace
from crash_points import CRASH_POINTS, RESUMING_POINTS
from direct_campaign import Command
from fault_rules import rules, switches
from fault_service import FaultyService
from paid_once import Campaign, Result, Tally
from real_campaign import RealCommand, Started
from simulator_support import KEY

from blocks.ledger import AttemptState, Ledger

CLOCK = 0.0005  # 45 s become 22 ms
_RUN_SECONDS = 90
_LAST_RUNS = 3
# What a campaign costs at most, in millionths: the budget of schedules that have one.
_BUDGETS = {"pictures": 4 * 28_000, "equal work": 5 * 28_000, "clip": 28_000 + 4 * 360_000}

Shape = Literal["pictures", "equal work", "clip"]


# Switches that are about the history, and leave it telling.
_HARMLESS = {
    "history_input",
    "history_urls",
    "history_page",
    "history_id",
    "history_largest_page",
    "history_empty_page",
}


@dataclass(frozen=True)
class Run:
    """One command; ``crash`` names a point and the count at which it dies, the others are in seconds."""

    crash: tuple[str, int] | None = None
    killed_after: float | None = None
    interrupted_after: float | None = None


@dataclass(frozen=True)
class Step:
    """Commands that are started at the same moment; the service may be restarted while they run."""

    runs: tuple[Run, ...]
    service_restarted_after: float | None = None


@dataclass(frozen=True)
class Schedule:
    seed: int
    shape: Shape
    switches: Mapping[str, Any]
    rules: tuple[Mapping[str, Any], ...]
    steps: tuple[Step, ...]
    budget: int | None

    @property
    def history_tells(self) -> bool:
        """Whether a lost reply can always be told from the others."""
        distorted = any(name.startswith("history_") and name not in _HARMLESS for name in self.switches)
        return bool(self.switches["history_input"] != "none") and not distorted

    def __str__(self) -> str:
        return json.dumps(asdict(self), indent=1)


def schedule_of(seed: int) -> Schedule:
    """The same seed gives the same schedule, whatever was drawn before."""
    draw = random.Random(f"faults {seed}")
    shape: Shape = draw.choices(("pictures", "equal work", "clip"), (6, 5, 1))[0]
    return Schedule(
        seed=seed,
        shape=shape,
        switches=switches(draw),
        rules=tuple(rules(draw)),
        steps=tuple(_step(draw) for _ in range(draw.choice((1, 1, 1, 2, 2, 3)))),
        budget=_BUDGETS[shape] if draw.random() < 0.3 else None,
    )


def _step(draw: random.Random) -> Step:
    restarted = draw.uniform(0.05, 0.6) if draw.random() < 0.15 else None
    return Step(tuple(_run(draw) for _ in range(draw.choice((1, 1, 1, 2)))), restarted)


def _run(draw: random.Random) -> Run:
    kind = draw.random()
    if kind < 0.6:
        point = draw.choice((*CRASH_POINTS, *RESUMING_POINTS))
        return Run(crash=(point.name, draw.choice((1, 1, 2, 3, 4))))
    if kind < 0.75:
        return Run(killed_after=draw.uniform(0.05, 0.8))
    if kind < 0.85:
        return Run(interrupted_after=draw.uniform(0.1, 0.8))
    return Run()


class ScheduleFailed(AssertionError):
    """An invariant did not hold; ``tally`` is what had been counted until then."""

    def __init__(self, message: str, tally: Tally) -> None:
        super().__init__(message)
        self.tally = tally


class Stage:
    """Where a schedule is carried out: a folder with a campaign, a service, and what the commands said.

    With ``prefect_api`` the real command is run; without, forked runs that do without Prefect.
    """

    def __init__(self, folder: Path, schedule: Schedule, prefect_api: PrefectApi | None = None) -> None:
        self.schedule = schedule
        self.workplace = Workplace(folder / "work", prefect_api)
        self.service = FaultyService(folder / "service", clock=CLOCK)
        self.log = folder / "log.txt"
        self.csv = _campaign(self.workplace, schedule.shape)
        self._through_prefect = prefect_api is not None
        self.tally = Tally()

    def carry_out(self, undisturbed: Callable[[str], Result]) -> None:
        """Raises AssertionError where an invariant does not hold."""
        with self.service:
            self._start_service(self.schedule.rules)
            for step in self.schedule.steps:
                self._step(step)
            self.service.stop()
            self._free_what_is_stuck()
            self._start_service(())
            status = self._until_done()
            self._wait_for_refunds()
            campaign = Campaign(self.workplace.folder, self.service.books)
            self.tally += campaign.tally(undisturbed(self.schedule.shape), asked=status == 5)
            self._check(campaign, status, undisturbed(self.schedule.shape))

    def quiet_result(self) -> Result:
        """What a run without any trouble comes to."""
        with self.service:
            self._start_service(())
            assert self._until_done() == 0, self.said
            campaign = Campaign(self.workplace.folder, self.service.books)
            return campaign.result()

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def _start_service(self, active: tuple[Mapping[str, Any], ...]) -> None:
        self.service.start({"switches": dict(self.schedule.switches), "rules": list(active)})
        self.workplace.use_service(self.service.url, KEY)

    def _start(self, run: Run) -> Started:
        environment = {
            name: value
            for name, value in self.workplace.environment.items()
            if self._through_prefect or name.startswith(("WAVESPEED_", "CAMPAIGN_"))
        }
        environment |= {
            "CAMPAIGN_POLL_SECONDS": "0.05",
            # Longer than a busy machine lets an answer wait: only what the schedule says is lost.
            "CAMPAIGN_REQUEST_SECONDS": "2",
            "CAMPAIGN_QUIET_SECONDS": "0.3",
            "CAMPAIGN_DEADLINE_SECONDS": "4",
            "CAMPAIGN_PATIENCE_SECONDS": "3",
            "CAMPAIGN_CHARGED_AT": "acceptance",
        }
        with self.log.open("a") as log:
            log.write(f"--- {run}\n")
        command = (RealCommand if self._through_prefect else Command)(
            self.workplace.folder,
            environment,
            self.csv,
            self.log,
            budget=self.schedule.budget,
            crash=run.crash,
        )
        return command.start()

    def _step(self, step: Step) -> None:
        started = time.monotonic()
        under_way = [(run, self._start(run)) for run in step.runs]
        events: list[tuple[float, Callable[[], None]]] = []
        for run, process in under_way:
            if run.killed_after is not None:
                events.append((run.killed_after, process.kill))
            if run.interrupted_after is not None:
                events.append((run.interrupted_after, lambda process=process: _interrupt(process)))  # type: ignore[misc] # bound now
        if step.service_restarted_after is not None:
            events.append((step.service_restarted_after, self._restart))
        for moment, happens in sorted(events, key=lambda event: event[0]):
            time.sleep(max(0.0, started + moment - time.monotonic()))
            happens()
        for run, process in under_way:
            killed = _wait(process) == -signal.SIGKILL
            self.tally += Tally(kills=int(killed), interrupts=int(run.interrupted_after is not None))

    def _restart(self) -> None:
        self.tally += Tally(restarts=1)
        self.service.stop()
        self._start_service(self.schedule.rules)

    def _free_what_is_stuck(self) -> None:
        """A prediction that hung comes to its end when the service has been mended."""
        for prediction in self.service.books.predictions():
            if prediction.fate.get("stuck"):
                self.service.books.change(prediction.id, fate={})

    def _until_done(self) -> int | None:
        status: int | None = None
        for _ in range(_LAST_RUNS):
            status = _wait(self._start(Run()))
            if status == 0:
                return status
            with Ledger.open(f"sqlite:///{self.workplace.home / 'ledger.sqlite'}") as ledger:
                # What lacks a witness is looked at again by the next run; all else waits for a person.
                if status == 5 and any(row.state is AttemptState.HELD for row in ledger.attempts()):
                    return status
        return status

    def _wait_for_refunds(self) -> None:
        deadline = time.monotonic() + 5
        books = self.service.books
        while time.monotonic() < deadline:
            failed = {p.id for p in books.predictions() if p.status in {"failed", "cancelled", "timeout"}}
            refunded = {charge.prediction_id for charge in books.charges() if charge.kind == "refund"}
            if failed <= refunded:
                return
            time.sleep(0.01)
        raise AssertionError("the service did not refund what failed")

    def _check(self, campaign: Campaign, status: int | None, undisturbed: Result) -> None:
        campaign.check_budgets()
        if status == 5 and (not self.schedule.history_tells or not campaign.questions["other"]):
            campaign.check_nothing_twice(undisturbed)
            campaign.check_held()
            return
        assert status == 0, f"the last run ended with {status}"
        campaign.check_done(undisturbed)


def carry_out(
    seed: int, folder: Path, undisturbed: Callable[[str], Result], prefect_api: PrefectApi | None = None
) -> Tally:
    """Carries out one schedule; what fails says which, and how to see it again."""
    schedule = schedule_of(seed)
    stage = Stage(folder, schedule, prefect_api)
    try:
        stage.carry_out(undisturbed)
    except Exception as error:
        raise ScheduleFailed(
            f"seed {seed}: {error}\nto see it again: make faults SEED={seed}\n{schedule}\n{stage.said}",
            stage.tally,
        ) from error
    return stage.tally


def undisturbed_results(folder_of: Callable[[str], Path]) -> Callable[[str], Result]:
    """The result of each shape of campaign where nothing goes wrong, found out once."""
    results: dict[str, Result] = {}

    def result_of(shape: str) -> Result:
        if shape not in results:
            quiet = Schedule(-1, shape, {"history_input": "input"}, (), (), None)  # type: ignore[arg-type] # one of the shapes
            results[shape] = Stage(folder_of(shape), quiet).quiet_result()
        return results[shape]

    return result_of


def _interrupt(process: Started) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGTERM)


def _wait(process: Started) -> int | None:
    process.join(_RUN_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"a command did not end within {_RUN_SECONDS} s")
    return process.exitcode


def _campaign(workplace: Workplace, shape: Shape) -> str:
    image = workplace.picture(size=(320, 320))
    if shape == "clip":
        clip = workplace.clip(seconds=3.1, sound=False)
        row = {"edit_prompt": "warm", "edit_image": image, "video_prompt": "snow", "video": clip}
        return workplace.campaign([{"brief": "film"} | row])
    other = workplace.picture("other.png", size=(320, 320), seed=5)
    warm = {"edit_prompt": "warm", "edit_image": image}
    if shape == "equal work":
        return workplace.campaign(
            [
                {"brief": "a"} | warm | {"compose_prompt": "@Image1 on oak", "edit_num_images": "2"},
                {"brief": "b"} | warm | {"compose_prompt": "@Image1 on slate", "edit_num_images": "2"},
                {"brief": "c", "edit_prompt": "cold", "edit_image": other},
            ]
        )
    return workplace.campaign(
        [
            {"brief": "a"} | warm | {"compose_prompt": "@Image1 on oak"},
            # The same words for another picture.
            {"brief": "b", "edit_prompt": "warm", "edit_image": other, "compose_prompt": "@Image1 on oak"},
        ]
    )
