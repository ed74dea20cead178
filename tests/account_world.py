"""A whole account in virtual time: what was really made, and what its history, bill and credit show of that.

Requests around one whose answer is lost; a history of any shape, order, lag, spelling, clock and page size, which may
be another account's; gaps that never hide the lost one alone. Looks at it are the program's own.
"""

import contextlib
import html
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from ledger_support import HandClock, Worker, work_named

from blocks.errors import NotFound, Unavailable
from blocks.ledger import AttemptRow, AttemptState, GenerationWork, Ledger
from blocks.wavespeed import BillingEntry, ClockSkew, HistoryReading, Prediction
from blocks.wavespeed.history import read_page, read_whole
from tasks.paying import recovery
from tasks.paying.lookout import Lookout

EDIT, COMPOSE = "kwaivgi/kling-image-v3/edit", "kwaivgi/kling-image-o3/edit"
PRICE = 28_000
START = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUIET, TIMEOUT = 30.0, 60.0


@dataclass(frozen=True)
class Ways:
    """How the account shows what it has; times in seconds."""

    shape: str = "items"
    id_key: str = "id"
    order: str = "newest first"
    page_size: int = 100
    lag: float = 0.0
    spelling: str = "as sent"
    dates: str = "right"
    date_offset: float = 0.0
    skew: float = 0.0
    another_account: bool = False
    only_ended: bool = False
    gaps: float = 0.0
    broken_entries: bool = False
    models: str = "as sent"  # or "spelt otherwise"
    bill: str = "at acceptance"  # or "at the end", "none"
    empty: str = "[]"


@dataclass(frozen=True)
class Made:
    """``own``: an attempt knows it. ``lost``: it is the one whose answer was lost."""

    id: str
    model: str
    body: Mapping[str, Any]
    at: float
    seconds: float
    own: bool = False
    lost: bool = False


def body_of(prompt: str, *, pictures: int = 1) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "aspect_ratio": "16:9",
        "resolution": "1k",
        "num_images": 1,
        "output_format": "png",
        "images": [f"https://media.example.org/uploads/{n:064x}.png" for n in range(pictures)],
    }


@dataclass
class World:
    """``now`` counts seconds from START."""

    ways: Ways
    made: list[Made] = field(default_factory=list)
    now: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    # ---- what the client is asked

    @property
    def clock(self) -> ClockSkew:
        return ClockSkew(self.ways.skew - 1, self.ways.skew + 1, known=True)

    async def read_history(self, since: datetime) -> HistoryReading:
        shown = self._shown()

        async def page_of(number: int) -> Any:
            size = self.ways.page_size
            return read_page(self._page(shown[(number - 1) * size : number * size], number), _prediction)

        return await read_whole(page_of, since, most_pages=50)

    async def balance(self) -> int:
        if self.ways.bill == "none":
            raise NotFound("no such call")
        return 1_000_000_000 - PRICE * len(self._charged())

    async def billings(
        self,
        prediction_ids: Sequence[str] = (),
        start: datetime | None = None,
        *,
        expected: Mapping[str, int] | None = None,
    ) -> list[BillingEntry]:
        del expected
        if self.ways.bill == "none":
            raise NotFound("no such call")
        entries = [
            BillingEntry(
                one.id, "deduct", PRICE, self._moment(self.booked_at(one)), f"bill {one.id}", one.model
            )
            for one in self._charged()
        ]
        return [
            one
            for one in entries
            if (not prediction_ids or one.prediction_id in prediction_ids)
            and (start is None or one.created_at is None or one.created_at >= start)
        ]

    async def result(self, prediction_id: str) -> Prediction:
        for one in self.made:
            if one.id == prediction_id and not (self.ways.another_account and (one.own or one.lost)):
                return Prediction(id=one.id, model=one.model, created_at=self._moment(one.at))
        raise NotFound("no such prediction")

    # ---- what it has

    def booked_at(self, one: Made) -> float:
        return one.at if self.ways.bill == "at acceptance" else one.at + one.seconds

    def _charged(self) -> list[Made]:
        return [one for one in self.made if self.booked_at(one) <= self.now]

    def _moment(self, at: float) -> datetime:
        return START + timedelta(seconds=at + self.ways.skew)

    def _shown(self) -> list[dict[str, Any] | str | None]:
        found = [one for one in self.made if one.at <= self.now - self.ways.lag]
        if self.ways.only_ended:
            found = [one for one in found if one.at + one.seconds <= self.now]
        if self.ways.another_account:
            found = [one for one in found if not one.own and not one.lost]
        hidden = {one.id for one in found if self.chance.random() < self.ways.gaps}
        if any(one.lost and one.id in hidden for one in found):
            # A gap never hides the lost one alone: one of ours from right before or after it is missing as well.
            [lost] = [one for one in found if one.lost]
            near = min(
                (one for one in found if one.own and abs(one.at - lost.at) < 300),
                key=lambda one: abs(one.at - lost.at),
                default=None,
            )
            hidden = hidden | {near.id} if near is not None else hidden - {lost.id}
        found = [one for one in found if one.id not in hidden]
        found.sort(key=lambda one: one.at, reverse=self.ways.order != "oldest first")
        if self.ways.order == "any":
            self.chance.shuffle(found)
        return [self._item(one) for one in found]

    def _item(self, one: Made) -> dict[str, Any] | str | None:
        if self.ways.broken_entries and one.lost:
            return self.chance.choice(
                [None, "an entry", {"model": one.model}, {"id": "", "created_at": self._date(one.at)}]
            )
        ended = one.at + one.seconds <= self.now
        item: dict[str, Any] = {
            self.ways.id_key: one.id,
            "model": one.model if self.ways.models == "as sent" else one.model.replace("/", "-"),
            "status": "completed" if ended else "processing",
            "outputs": [f"https://cdn.example.org/{one.id}.png"] if ended else [],
            "created_at": self._date(one.at),
        }
        spelt = self._spelt(one.body)
        return item if spelt is None else item | {"input": spelt}

    def _date(self, at: float) -> str:
        moment = self._moment(at + self.ways.date_offset)
        return {
            "right": moment.isoformat(),
            "no zone": moment.replace(tzinfo=None).isoformat(),
            "zero": "0001-01-01T00:00:00Z",
            "far off": moment.replace(year=2099).isoformat(),
        }[self.ways.dates]

    def _spelt(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        prompt = str(body["prompt"])
        match self.ways.spelling:
            case "not at all":
                return None
            case "cut":
                return {**body, "prompt": prompt[:20]}
            case "masked":
                return {**body, "prompt": "***"}
            case "escaped":
                return {**body, "prompt": html.escape(html.escape(prompt))}
            case "requoted":
                return {
                    **body,
                    "prompt": f"\N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}",
                }
            case "rewritten":
                return {**body, "prompt": f"A cinematic picture: {prompt}, highly detailed"}
            case "sizes":
                return {**body, "aspect_ratio": "1360x768"}
            case "fewer inputs":
                return {**body, "images": body["images"][:1]}
            case "moved inputs":
                return {
                    **body,
                    "images": [f"https://copies.example.net/{n}.png" for n in range(len(body["images"]))],
                }
        return dict(body)

    def _page(self, items: list[Any], number: int) -> Any:
        if not items and self.ways.empty == "null":
            return None
        if self.ways.shape == "list itself":
            return items
        if not items and self.ways.empty == "no list" and number == 1:
            return {"total": 0}
        return {"page": number, self.ways.shape: items}


def _prediction(item: object) -> Prediction | None:
    if not isinstance(item, dict):
        return None
    try:
        return Prediction.model_validate(item)
    except ValueError:
        return None


@dataclass
class Search:
    """One process that looks for a lost request of ``world``, look by look."""

    world: World
    ledger: Ledger
    clock: HandClock
    service: str
    quiet: float = QUIET

    def __post_init__(self) -> None:
        async def ask(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
            return function(*arguments, **keywords)

        async def ours(_: object) -> frozenset[str | None]:
            return frozenset({None})

        silence = SimpleNamespace(asked=lambda _: None, answered=lambda _: None)
        self.bench: Any = SimpleNamespace(
            ask=ask,
            ledger=self.ledger,
            account=SimpleNamespace(ours=ours),
            client=self.world,
            settings=SimpleNamespace(quiet=self.quiet, deadline_seconds=3600.0, charges_at=None),
            lookout=Lookout(),
            watch=SimpleNamespace(history_shows_unended=False),
            history_silence=silence,
        )

    async def look(self, attempt: AttemptRow) -> AttemptRow:
        """One look, by the world's time; the attempt as it then stands."""
        waiting = self.ledger.attempts_without_id(self.service, attempt.model)
        if waiting:
            with contextlib.suppress(Unavailable):
                await recovery.Look(self.bench, self.service, attempt.model, {None}).decide(waiting)
        return self.ledger.attempt(attempt.id)


def attempt_at(
    worker: Worker,
    world: World,
    clock: HandClock,
    service: str,
    name: str,
    body: Mapping[str, Any],
    at: float,
    model: str,
) -> AttemptRow:
    """An attempt whose intent was written ``at`` seconds from START; its answer has not come."""
    clock.moment = START + timedelta(seconds=at)
    work: GenerationWork = work_named(f"{service} {name}", service=service, model=model)
    worker.claim(work)
    attempt = worker.reserve(work)
    before = sum(1 for one in world.made if world.booked_at(one) <= at)
    return worker.ledger.intend(
        attempt.id,
        body=body,
        input_sha256s=[],
        request_timeout_s=TIMEOUT,
        balance_before=None if world.ways.bill == "none" else 1_000_000_000 - PRICE * before,
        balance_at=None if world.ways.bill == "none" else clock.moment,
        skew_low=world.ways.skew - 1,
        skew_high=world.ways.skew + 1,
    )


def known(worker: Worker, attempt: AttemptRow, made: Made, clock: HandClock) -> None:
    clock.moment = START + timedelta(seconds=made.at + 0.5)
    worker.ledger.submitted(attempt.id, made.id)
    assert worker.ledger.attempt(attempt.id).state is AttemptState.SUBMITTED
