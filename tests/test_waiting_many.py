"""Waiting for many predictions at once, and what all of this costs beside looking every second."""

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from virtual_service import Running, Service, clock, wait, watch_of
from virtual_time import run

from blocks.errors import AccountRefused, NotFound, Unavailable
from blocks.limits import Kind
from blocks.wavespeed import Prediction
from tasks.paying.waiting import Watched
from tasks.paying.waiting_schedule import first_look


async def many(
    service: Service,
    seconds: list[float],
    *,
    spread: float = 0.0,
    poll: float = 2.0,
    usual: tuple[float, float] | None = None,
    kind: Kind = "image",
    created_known: bool = True,
    model: Callable[[int], str] = lambda _: "m/edit",
) -> list[tuple[Watched, float]]:
    """Everything's end, and how long it stayed unknown once looks had begun. Starts are spread evenly."""
    watch = watch_of(service, poll=poll, usual=usual)

    async def single(number: int, duration: float) -> tuple[Watched, float]:
        await asyncio.sleep(spread * number / len(seconds))
        running = service.start(number, duration, model(number))
        watched, known = await wait(watch, running, kind=kind, created_known=created_known, skew=service.skew)
        looks_begin = running.created + (first_look(poll, usual) if usual else 0.0)
        return watched, known - max(running.ends, looks_begin)

    return await asyncio.gather(*(single(number, duration) for number, duration in enumerate(seconds)))


def lognormal(count: int, median: float, sigma: float) -> list[float]:
    draw = random.Random(7)
    return [median * draw.lognormvariate(0, sigma) for _ in range(count)]


@pytest.mark.parametrize("created_known", [True, False])
@pytest.mark.parametrize("count", [6, 60, 300])
def test_many_are_seen_by_one_history_call(count: int, created_known: bool) -> None:
    service = Service()
    ended = run(
        many(service, lognormal(count, 45, 0.45), spread=20, usual=(25.0, 45.0), created_known=created_known)
    )
    assert all(watched.prediction.completed for watched, _ in ended)
    moments = [moment for name, moment, _ in service.looks if name == "history"]
    requests = sum(service.calls.values())
    assert requests / count <= {6: 12, 60: 4, 300: 2.5}[count]
    assert max(lag for _, lag in ended) < 8
    # Several pages of one look may follow each other at once; looks themselves keep their distance.
    looks = [earlier for earlier, later in pairwise(moments) if later - earlier > 0.3]
    assert all(later - earlier >= 1.9 for earlier, later in pairwise(looks))


def test_no_single_image_is_looked_at_too_often_among_many() -> None:
    service = Service()
    run(many(service, lognormal(40, 45, 0.45), spread=30))
    by_id: dict[str, list[float]] = {}
    for name, moment, prediction_id in service.looks:
        if name == "result":
            by_id.setdefault(prediction_id, []).append(moment)
    for moments in by_id.values():
        assert all(later - earlier >= 2 - 1e-9 for earlier, later in pairwise(moments))


def without(**lacking: Any) -> Callable[[Prediction], Prediction | None]:
    return lambda item: item.model_copy(update=lacking) if item.ended else item


@pytest.mark.parametrize(
    "thin", [without(outputs=()), without(has_nsfw_contents=()), without(inference_seconds=None)]
)
def test_where_the_history_shows_too_little_the_prediction_is_asked(
    thin: Callable[[Prediction], Prediction | None],
) -> None:
    service = Service(history_item=thin)
    ended = run(many(service, lognormal(60, 45, 0.45), usual=(25.0, 45.0)))
    for watched, lag in ended:
        assert watched.prediction.outputs
        assert watched.prediction.has_nsfw_contents == (False,)
        assert watched.prediction.inference_seconds is not None
        assert lag < 8
    # One question each, and the looks at the last five, which need no history.
    assert 60 <= service.calls["result"] <= 60 + 50


def test_stragglers_that_the_history_does_not_show() -> None:
    hidden = {f"{number:032x}" for number in range(0, 30, 3)}
    service = Service(history_item=lambda item: None if item.id in hidden else item)
    ended = run(many(service, lognormal(30, 45, 0.45), usual=(25.0, 45.0)))
    assert max(lag for _, lag in ended) < 8


def test_completed_ones_missing_from_the_history() -> None:
    service = Service(history_item=lambda item: None if item.ended else item)
    ended = run(many(service, lognormal(30, 45, 0.45), usual=(25.0, 45.0)))
    assert max(lag for _, lag in ended) < 8


def test_a_history_that_is_empty_is_given_up_for_a_while() -> None:
    service = Service(history_item=lambda _: None)
    ended = run(many(service, [100.0] * 30))
    assert max(lag for _, lag in ended) < 12
    assert service.calls["history"] <= 9


def test_a_history_that_shows_old_states_does_not_hide_an_end() -> None:
    stale = {"status": "processing", "outputs": ()}
    service = Service(history_item=lambda item: item.model_copy(update=stale))
    ended = run(many(service, [60.0] * 30))
    assert max(lag for _, lag in ended) < 60


@pytest.mark.parametrize(
    "error", [Unavailable("down"), AccountRefused("not permitted"), NotFound("no such call")]
)
def test_a_history_that_fails_costs_nobody_the_result(error: Exception) -> None:
    def trouble(name: str) -> None:
        if name == "history":
            raise error

    service = Service(trouble=trouble)
    ended = run(many(service, [60.0] * 30))
    assert all(watched.prediction.completed for watched, _ in ended)
    assert max(lag for _, lag in ended) < 15


def test_a_history_that_hangs_is_cut_off() -> None:
    class Hanging(Service):
        async def history(self, **_: Any) -> list[Prediction]:
            self.calls["history"] += 1
            await asyncio.sleep(10_000)
            return []

    ended = run(many(Hanging(), [60.0] * 30))
    assert max(lag for _, lag in ended) < 90


@pytest.mark.parametrize("skew", [0.0, 600.0, -600.0])
@pytest.mark.parametrize("created_known", [True, False])
def test_the_history_is_asked_by_the_services_clock(skew: float, created_known: bool) -> None:
    service = Service(skew=skew)
    ended = run(many(service, [50.0] * 40, spread=10, usual=(40.0, 50.0), created_known=created_known))
    assert service.calls["result"] <= 12
    assert max(lag for _, lag in ended) < 6


def test_images_and_videos_share_a_look() -> None:
    service = Service()
    ended = run(many(service, [50.0] * 30, model=lambda number: "m/video" if number % 2 else "m/edit"))
    assert all(watched.prediction.completed for watched, _ in ended)
    assert service.calls["result"] <= 12


async def every_second(service: Service, running: Running) -> float:
    while not (await service.result(running.id)).ended:  # noqa: ASYNC110 - the habit that is measured
        await asyncio.sleep(1)
    return clock() - running.ends


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("kind", "durations", "usual", "most_requests", "most_lag"),
    [
        ("image", lognormal(100, 45, 0.45), (25.0, 45.0), 2.5, 2.5),
        ("video", lognormal(60, 210, 0.4), (125.0, 210.0), 4.0, 6.5),
    ],
)
def test_against_looking_every_second(
    kind: Kind, durations: list[float], usual: tuple[float, float], most_requests: float, most_lag: float
) -> None:
    service = Service()
    ended = run(many(service, durations, spread=30, usual=usual, kind=kind))
    requests, lag = (
        sum(service.calls.values()) / len(durations),
        mean([watched.detect_seconds for watched, _ in ended]),
    )

    async def official() -> list[float]:
        return list(
            await asyncio.gather(*(every_second(other, other.start(n, s)) for n, s in enumerate(durations)))
        )

    other = Service()
    other_lag = mean(run(official()))
    other_requests = other.calls["result"] / len(durations)
    assert requests <= most_requests
    assert requests * 15 < other_requests
    assert lag <= most_lag
    assert lag - other_lag < 0.06 * mean(durations)


@pytest.mark.parametrize(
    ("kind", "durations", "usual", "most_requests", "most_lag"),
    [
        ("image", lognormal(60, 45, 0.45), (25.0, 45.0), 16, 3.5),
        ("image", lognormal(60, 45, 0.45), None, 16, 3.5),
        ("video", lognormal(60, 210, 0.4), (125.0, 210.0), 25, 6.5),
        ("video", lognormal(60, 210, 0.4), None, 30, 8.0),
    ],
)
def test_one_at_a_time_against_looking_every_second(
    kind: Kind,
    durations: list[float],
    usual: tuple[float, float] | None,
    most_requests: float,
    most_lag: float,
) -> None:
    async def alone(seconds: float) -> tuple[int, float]:
        service = Service()
        running = service.start(1, seconds)
        _, known = await wait(watch_of(service, usual=usual), running, kind=kind)
        return service.calls["result"], known - running.ends

    measured = [run(alone(seconds)) for seconds in durations]
    assert mean([float(requests) for requests, _ in measured]) <= most_requests
    assert mean([lag for _, lag in measured]) <= most_lag
