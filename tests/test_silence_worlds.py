"""Whatever an account shows around a lost answer, and whatever it hides: no piece of work is accepted twice.

The program's own looks and decisions, with a real ledger, against generated accounts in virtual time; judged by what
the account has really made.
"""

import asyncio
import dataclasses
import itertools
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from account_world import COMPOSE, EDIT, START, Made, Search, Ways, World, attempt_at, body_of, known
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_support import HandClock, Worker

from blocks.ledger import AttemptState, Ledger
from tasks.paying import recovery

PROMPT = "Set the “blue & white” mug in a spring meadow at sunrise, with soft light from the left"
UNTIL = 1500.0
_SERVICES = itertools.count()

WAYS = st.builds(
    Ways,
    shape=st.sampled_from(("items", "list", "records", "list itself", "something new")),
    id_key=st.sampled_from(("id", "uuid")),
    order=st.sampled_from(("newest first", "oldest first", "any")),
    page_size=st.sampled_from((1, 2, 5, 100)),
    lag=st.sampled_from((0.0, 0.0, 20.0, 90.0, 300.0, 1e9)),
    spelling=st.sampled_from(
        (
            "as sent",
            "as sent",
            "not at all",
            "cut",
            "masked",
            "escaped",
            "requoted",
            "rewritten",
            "sizes",
            "fewer inputs",
            "moved inputs",
        )
    ),
    dates=st.sampled_from(("right", "right", "right", "no zone", "zero", "far off")),
    date_offset=st.sampled_from((0.0, 0.0, -7 * 3600.0, 9 * 3600.0, 45.0, -400.0)),
    skew=st.sampled_from((0.0, 0.0, -250.0, 3600.0)),
    another_account=st.sampled_from((False, False, True)),
    only_ended=st.sampled_from((False, False, True)),
    gaps=st.sampled_from((0.0, 0.0, 0.3, 0.7)),
    broken_entries=st.sampled_from((False, False, False, True)),
    models=st.sampled_from(("as sent", "as sent", "spelt otherwise")),
    bill=st.sampled_from(("at acceptance", "at the end", "none")),
    empty=st.sampled_from(("[]", "null", "no list")),
)


@dataclasses.dataclass(frozen=True)
class Story:
    """When what was sent. The lost request leaves at 0; ``accepted`` is when it was, None where it never was."""

    ways: Ways
    accepted: float | None
    seconds: float
    before: tuple[float, ...]
    after: tuple[float, ...]
    others: tuple[float, ...]
    others_words: str
    second_lost: bool
    seed: int


STORIES = st.builds(
    Story,
    ways=WAYS,
    accepted=st.none() | st.floats(0.1, 55),
    seconds=st.floats(20, 200),
    before=st.lists(st.floats(-600, -5), max_size=3, unique=True).map(tuple),
    after=st.lists(st.floats(1, 700), max_size=4, unique=True).map(tuple),
    others=st.lists(st.floats(-100, 900), max_size=3, unique=True).map(tuple),
    others_words=st.sampled_from((PROMPT, "a red bicycle", PROMPT[:20])),
    second_lost=st.booleans(),
    seed=st.integers(0, 10_000),
)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, HandClock]]:
    clock = HandClock()
    path: Path = tmp_path_factory.mktemp("worlds") / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}", clock=clock) as ledger:
        yield ledger, clock


@dataclasses.dataclass
class Outcome:
    accepted: int = 0
    sent: int = 1
    adopted: str | None = None
    state: AttemptState | None = None


async def live(story: Story, ledger: Ledger, clock: HandClock) -> Outcome:
    """Live through the story to its end; what came of it by the account's books."""
    service = f"https://{next(_SERVICES)}.example.org"
    world = World(story.ways, chance=random.Random(story.seed))
    clock.moment = START - timedelta(hours=1)
    worker = Worker.of(ledger)
    search = Search(world, ledger, clock, service)
    ids = itertools.count(1)

    def make(at: float, prompt: str, model: str, **who: bool) -> Made:
        one = Made(f"{next(ids):032x}", model, body_of(prompt, pictures=2), at, story.seconds, **who)
        world.made.append(one)
        return one

    for at in sorted(story.others):
        make(at, story.others_words, EDIT)

    def send_own(at: float) -> None:
        prompt = f"{PROMPT}, number {at}"
        model = COMPOSE if int(at) % 3 == 0 else EDIT
        row = attempt_at(worker, world, clock, service, f"own {at}", body_of(prompt, pictures=2), at, model)
        known(worker, row, make(at + 0.2, prompt, model, own=True), clock)

    for at in sorted(story.before):
        send_own(at)
    outcome = Outcome()
    lost = attempt_at(worker, world, clock, service, "lost", body_of(PROMPT, pictures=2), 0.0, EDIT)
    if story.accepted is not None:
        make(story.accepted, PROMPT, EDIT, lost=True)
        outcome.accepted += 1
    given_up = False
    coming = sorted(story.after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "time", SimpleNamespace(monotonic=lambda: world.now))
        patch.setattr(recovery, "datetime", SimpleNamespace(now=lambda _: clock.moment))
        while world.now < UNTIL:
            world.now += 10.0 if world.now < 200 else 40.0
            while coming and coming[0] <= world.now:
                send_own(coming.pop(0))
            clock.moment = START + timedelta(seconds=world.now)
            if not given_up:
                if world.now < 60:
                    continue
                given_up = True
                ledger.unknown(lost.id, "no answer in time")
            lost = await search.look(lost)
            if lost.state is AttemptState.RESERVED:
                assert outcome.accepted == 0, "it was accepted, and would be paid for again"
                outcome.sent += 1
                if not story.second_lost or outcome.sent > 6:
                    break
                lost = ledger.intend(
                    lost.id,
                    body=lost.body or {},
                    input_sha256s=[],
                    request_timeout_s=60.0,
                    balance_before=lost.balance_before,
                    balance_at=lost.balance_at,
                    skew_low=lost.skew_low,
                    skew_high=lost.skew_high,
                )
                if story.seed % 2:
                    make(world.now + 1, PROMPT, EDIT, lost=True)
                    outcome.accepted += 1
                ledger.unknown(lost.id, "no answer in time")
            elif lost.state is not AttemptState.UNKNOWN:
                break
    outcome.adopted, outcome.state = lost.prediction_id, lost.state
    return outcome


@given(STORIES)
@settings(max_examples=120)
def test_nothing_is_accepted_twice_and_nothing_is_sent_for_ever(
    books: tuple[Ledger, HandClock], story: Story
) -> None:
    outcome = asyncio.run(live(story, *books))
    assert outcome.accepted <= 1
    assert outcome.sent <= 4


def plain(**changes: Any) -> Story:
    usual = Story(
        ways=Ways(),
        accepted=None,
        seconds=45.0,
        before=(-60.0,),
        after=(70.0, 130.0),
        others=(),
        others_words="a red bicycle",
        second_lost=False,
        seed=0,
    )
    return dataclasses.replace(usual, **changes)


def told(story: Story, books: tuple[Ledger, HandClock]) -> Outcome:
    return asyncio.run(live(story, *books))


# Where the history can be believed, nobody is asked anything.
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ways": Ways(page_size=2)},
        {"ways": Ways(lag=20.0)},
        {"ways": Ways(skew=3600.0)},
        {"ways": Ways(date_offset=-7 * 3600.0)},
        {"ways": Ways(gaps=0.3)},
        {"ways": Ways(bill="none")},
        {"ways": Ways(shape="list", id_key="uuid", order="oldest first", empty="null")},
        {"others": (5.0, 30.0)},
        {"after": (), "before": ()},
        {"after": (), "before": (), "ways": Ways(bill="at the end")},
    ],
    ids=str,
)
def test_what_was_never_accepted_is_sent_again(
    books: tuple[Ledger, HandClock], changes: dict[str, Any]
) -> None:
    assert told(plain(**changes), books).sent == 2


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ways": Ways(lag=90.0)},
        {"ways": Ways(spelling="escaped")},
        {"ways": Ways(spelling="not at all")},
        {"ways": Ways(date_offset=9 * 3600.0)},
        {"ways": Ways(models="spelt otherwise")},
        {"ways": Ways(gaps=0.7)},
        {"others": (5.0, 30.0)},
    ],
    ids=str,
)
def test_what_was_accepted_is_found(books: tuple[Ledger, HandClock], changes: dict[str, Any]) -> None:
    outcome = told(plain(accepted=3.0, **changes), books)
    assert outcome.sent == 1
    assert outcome.adopted is not None


def test_a_request_that_is_lost_again_and_again_is_not_sent_for_ever(books: tuple[Ledger, HandClock]) -> None:
    outcome = told(plain(second_lost=True, after=tuple(float(at) for at in range(70, 1400, 20))), books)
    assert (outcome.sent, outcome.state) == (4, AttemptState.HELD)
    silent = plain(
        second_lost=True,
        ways=Ways(spelling="not at all"),
        after=tuple(float(at) for at in range(70, 1400, 20)),
    )
    outcome = told(silent, books)
    assert (outcome.sent, outcome.state) == (2, AttemptState.HELD)
