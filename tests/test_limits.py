import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.errors import InvalidInput
from blocks.limits import AccountLimits


class FakeTime:
    """A clock that moves only when everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), wake))
        await wake

    async def run(self, *work: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(item) for item in work]
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers and not all(task.done() for task in tasks):
                moment, _, wake = heapq.heappop(self._sleepers)
                self.now = max(self.now, moment)
                if not wake.done():
                    wake.set_result(None)
        for task in tasks:
            task.result()


def limits_in(time: FakeTime, *, concurrent: int = 1000, images: int = 5, videos: int = 5) -> AccountLimits:
    return AccountLimits(concurrent, images, videos, clock=time.clock, sleep=time.sleep)


def starts_in(
    time: FakeTime, limits: AccountLimits, arrivals: list[float], kind: str = "image"
) -> list[tuple[int, float]]:
    started: list[tuple[int, float]] = []

    async def one(number: int, arrival: float) -> None:
        await time.sleep(arrival)
        await limits.turn("video" if kind == "video" else "image")
        started.append((number, time.now))

    asyncio.run(time.run(*(one(number, arrival) for number, arrival in enumerate(arrivals))))
    return started


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(st.floats(0, 200), min_size=1, max_size=40),
    most=st.integers(1, 9),
)
def test_no_minute_holds_more_starts_than_allowed(arrivals: list[float], most: int) -> None:
    time = FakeTime()
    started = starts_in(time, limits_in(time, images=most), arrivals)
    moments = [moment for _, moment in started]
    assert len(moments) == len(arrivals)
    for first, later in zip(moments, moments[most:], strict=False):
        assert later - first >= 60


@settings(max_examples=40, deadline=None)
@given(arrivals=st.lists(st.integers(0, 100), min_size=1, max_size=30, unique=True), most=st.integers(1, 5))
def test_first_come_first_served(arrivals: list[int], most: int) -> None:
    time = FakeTime()
    started = starts_in(time, limits_in(time, images=most), [float(arrival) for arrival in arrivals])
    assert [arrivals[number] for number, _ in started] == sorted(arrivals)


def test_nobody_waits_who_need_not() -> None:
    time = FakeTime()
    started = starts_in(time, limits_in(time, images=4), [0, 0, 0, 0, 0, 0])
    assert [round(moment) for _, moment in started] == [0, 0, 0, 0, 60, 60]
    assert all(moment < 61 for _, moment in started)


def test_images_and_videos_have_their_own_minutes() -> None:
    time = FakeTime()
    limits = limits_in(time, images=1, videos=1)

    async def both() -> None:
        await limits.turn("image")
        await limits.turn("video")

    asyncio.run(time.run(both()))
    assert time.now == 0


def test_a_pause_holds_back_one_kind_even_those_who_wait_already() -> None:
    time = FakeTime()
    limits = limits_in(time, images=1, videos=5)
    started: dict[str, float] = {}

    async def turn(name: str) -> None:
        await limits.turn("image")
        started[name] = time.now

    async def pause_later() -> None:
        await time.sleep(50)
        limits.pause("image", 30)
        limits.pause("image", 1)  # a shorter one does not shorten it
        await limits.turn("video")
        started["video"] = time.now

    asyncio.run(time.run(turn("first"), turn("second"), pause_later()))
    assert started == {"first": 0, "video": 50, "second": 80}


@settings(max_examples=30, deadline=None)
@given(
    durations=st.lists(st.floats(0.1, 50), min_size=1, max_size=30),
    most=st.integers(1, 8),
)
def test_places_are_bounded_and_all_used(durations: list[float], most: int) -> None:
    time = FakeTime()
    limits = limits_in(time, concurrent=most)
    highest = 0

    async def work(duration: float) -> None:
        nonlocal highest
        async with limits.place():
            highest = max(highest, limits.in_flight)
            await time.sleep(duration)

    asyncio.run(time.run(*(work(duration) for duration in durations)))
    assert highest == min(most, len(durations))
    assert limits.in_flight == 0


async def test_a_place_is_given_back_by_whoever_fails() -> None:
    limits = AccountLimits(1, 1, 1)
    with pytest.raises(RuntimeError):
        async with limits.place():
            raise RuntimeError
    async with limits.place():
        assert limits.in_flight == 1


async def test_whoever_gives_up_its_turn_does_not_block_the_others() -> None:
    limits = AccountLimits(1, 1, 1)
    await limits.turn("image")
    waiting = asyncio.create_task(limits.turn("image"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    blocked = asyncio.create_task(limits.turn("image"))
    await asyncio.sleep(0)
    assert not blocked.done()
    blocked.cancel()
    await asyncio.wait_for(limits.turn("video"), 1)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AccountLimits(0, 1, 1), "CAMPAIGN_MAX_CONCURRENT"),
        (lambda: AccountLimits(1, 0, 1), "CAMPAIGN_IMAGES_PER_MINUTE"),
        (lambda: AccountLimits(1, 1, -1), "CAMPAIGN_VIDEOS_PER_MINUTE"),
    ],
)
def test_limits_below_one_are_refused(make: Callable[[], AccountLimits], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        make()
