"""Waiting for predictions, in virtual time: how soon an end is known, and how many requests that takes."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from virtual_time import run

from blocks.errors import AccountRefused, NotFound, RateLimited, RequestRefused, Stopped, Unavailable
from blocks.wavespeed import ClockSkew, Prediction
from tasks.waiting import DeadlinePassed, PredictionWatch, Watched

EPOCH = datetime(2026, 11, 6, 8, 0, tzinfo=UTC)
Kind = Literal["image", "video"]
FOREVER = 1e9


def now() -> datetime:
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def clock() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Running:
    id: str
    model: str
    created: float
    ends: float
    queued: float = 0.0
    status: str = "completed"


class Service:
    """A service in virtual time. ``trouble`` may raise instead of an answer, by the call's name."""

    def __init__(
        self,
        *,
        round_trip: float = 0.05,
        trouble: Callable[[str], None] = lambda _: None,
        history_item: Callable[[Prediction], Prediction | None] = lambda item: item,
        result_item: Callable[[Prediction], Prediction] = lambda item: item,
        skew: float = 0.0,
    ) -> None:
        self.running: dict[str, Running] = {}
        self.round_trip = round_trip
        self.trouble = trouble
        self.history_item = history_item
        self.result_item = result_item
        self.skew = skew
        self.calls: Counter[str] = Counter()
        self.looks: list[tuple[str, float, str]] = []

    @property
    def clock(self) -> ClockSkew:
        return ClockSkew(self.skew - 1, self.skew + 1, known=True)

    def start(self, number: int, seconds: float, model: str = "m/edit", **more: Any) -> Running:
        running = Running(f"{number:032x}", model, clock(), clock() + seconds, **more)
        self.running[running.id] = running
        return running

    def _shown(self, running: Running) -> Prediction:
        ended = clock() >= running.ends
        outputs = ("https://cdn.example/1.png",) if ended and running.status == "completed" else ()
        return Prediction(
            id=running.id,
            model=running.model,
            status=running.status if ended else "processing",
            outputs=outputs,
            has_nsfw_contents=(False,) * len(outputs),
            created_at=EPOCH + timedelta(seconds=running.created + self.skew),
            inference_seconds=running.ends - running.created - running.queued if ended else None,
            code=1403 if ended and running.status == "failed" else 0,
        )

    async def result(self, prediction_id: str) -> Prediction:
        self.calls["result"] += 1
        self.looks.append(("result", clock(), prediction_id))
        await asyncio.sleep(self.round_trip / 2)
        self.trouble("result")
        if prediction_id not in self.running:
            raise NotFound("no such prediction")
        shown = self.result_item(self._shown(self.running[prediction_id]))
        await asyncio.sleep(self.round_trip / 2)
        return shown

    async def history(
        self,
        *,
        page: int = 1,
        page_size: int = 100,
        model: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> list[Prediction]:
        self.calls["history"] += 1
        self.looks.append(("history", clock(), ""))
        await asyncio.sleep(self.round_trip / 2)
        self.trouble("history")
        found = [self._shown(item) for item in self.running.values() if model in (None, item.model)]
        found = [
            item
            for item in found
            if item.created_at is not None
            and (created_after is None or item.created_at >= created_after)
            and (created_before is None or item.created_at <= created_before)
        ]
        found.sort(key=lambda item: item.created_at or EPOCH, reverse=True)
        items = [self.history_item(item) for item in found[(page - 1) * page_size : page * page_size]]
        await asyncio.sleep(self.round_trip / 2)
        return [item for item in items if item is not None]


def watch_of(
    service: Service,
    *,
    poll: float = 2.0,
    usual: tuple[float, float] | None = None,
) -> PredictionWatch:
    return PredictionWatch(
        service, poll_seconds=poll, expected_seconds=lambda _: usual, clock=clock, sleep=asyncio.sleep, now=now
    )


async def wait(
    watch: PredictionWatch,
    running: Running,
    *,
    kind: Kind = "image",
    deadline: float = FOREVER,
    stop: asyncio.Event | None = None,
    created_known: bool = True,
    skew: float = 0.0,
) -> tuple[Watched, float]:
    """The end as watched, and when it was known."""
    watched = await watch.wait(
        running.id,
        running.model,
        kind=kind,
        submitted_at_monotonic=running.created,
        deadline_seconds=deadline,
        stop=stop,
        created_at=EPOCH + timedelta(seconds=running.created + skew) if created_known else None,
    )
    return watched, clock()


async def one(service: Service, seconds: float, *, status: str = "completed", **options: Any) -> tuple[Watched, float]:
    settings = {name: options.pop(name) for name in ("poll", "usual") if name in options}
    running = service.start(1, seconds, status=status)
    return await wait(watch_of(service, **settings), running, **options)


def test_one_image_is_looked_at_no_more_often_than_allowed() -> None:
    service = Service()
    watched, known = run(one(service, 45.0))
    moments = [moment for _, moment, _ in service.looks]
    assert moments[0] == 2
    assert all(later - earlier >= 2 - 1e-9 for earlier, later in zip(moments, moments[1:], strict=False))
    assert known - 45 < 5
    assert watched.polls == len(moments) == service.calls["result"]
    assert watched.prediction.completed
    assert watched.detect_seconds == pytest.approx(known - 45)
    assert watched.detected_at == EPOCH + timedelta(seconds=known)


def test_a_video_is_looked_at_less_often() -> None:
    service = Service()
    run(one(service, 200.0, kind="video"))
    moments = [moment for _, moment, _ in service.looks]
    assert moments[0] == 5
    assert all(later - earlier >= 5 - 1e-9 for earlier, later in zip(moments, moments[1:], strict=False))


def test_what_has_been_learnt_keeps_it_quiet_at_first() -> None:
    service = Service()
    watched, known = run(one(service, 44.0, usual=(30.0, 45.0)))
    moments = [moment for _, moment, _ in service.looks]
    assert moments[0] == 27
    assert known - 44 <= 2.1
    assert watched.polls <= 11


def test_long_past_its_usual_time_looks_grow_rare_but_never_stop() -> None:
    service = Service()
    _, known = run(one(service, 900.0, usual=(30.0, 45.0)))
    moments = [moment for _, moment, _ in service.looks]
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert gaps[0] == pytest.approx(2)
    assert max(gaps) <= 15 + 1e-9
    assert gaps[-1] == pytest.approx(15)
    assert known - 900 <= 15.1


def test_an_unknown_status_keeps_waiting() -> None:
    def odd(item: Prediction) -> Prediction:
        return item if item.ended else item.model_copy(update={"status": "postprocessing"})

    watched, known = run(one(Service(result_item=odd), 30.0))
    assert watched.prediction.completed
    assert known >= 30


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout", "deleted"])
def test_every_end_ends_the_wait(status: str) -> None:
    watched, known = run(one(Service(), 10.0, status=status))
    assert watched.prediction.status == status
    assert known < 15


def test_completed_without_outputs_is_asked_again_a_few_times() -> None:
    def empty(item: Prediction) -> Prediction:
        return item.model_copy(update={"outputs": ()}) if clock() < 13 else item

    watched, _ = run(one(Service(result_item=empty), 10.0))
    assert watched.prediction.outputs
    watched, known = run(one(Service(result_item=lambda item: item.model_copy(update={"outputs": ()})), 10.0))
    assert not watched.prediction.outputs
    assert known < 30


def test_passing_errors_never_end_the_wait() -> None:
    def trouble(_: str) -> None:
        if clock() < 300:
            raise Unavailable("down")

    service = Service(trouble=trouble)
    watched, known = run(one(service, 45.0))
    assert watched.prediction.completed
    assert 300 <= known < 331
    assert service.calls["result"] < 20, "trouble is met with patience"


def test_a_rate_limit_is_honoured() -> None:
    def trouble(_: str) -> None:
        if clock() < 20:
            raise RateLimited("slow down", retry_after=50)

    service = Service(trouble=trouble)
    run(one(service, 5.0))
    moments = [moment for _, moment, _ in service.looks]
    assert len(moments) == 2
    assert moments[1] - moments[0] >= 50


def test_a_refusing_account_ends_the_wait_at_once() -> None:
    def trouble(_: str) -> None:
        raise AccountRefused("no")

    service = Service(trouble=trouble)
    with pytest.raises(AccountRefused):
        run(one(service, 5.0))
    assert service.calls["result"] == 1


@pytest.mark.parametrize("error", [NotFound("gone"), RequestRefused("odd")])
def test_not_found_must_be_said_several_times(error: Exception) -> None:
    def at_first(_: str) -> None:
        if service.calls["result"] <= 3:
            raise error

    service = Service(trouble=at_first)
    watched, _ = run(one(service, 5.0))
    assert watched.prediction.completed

    def always(_: str) -> None:
        raise error

    service = Service(trouble=always)
    with pytest.raises(type(error)):
        run(one(service, 5.0))
    assert service.calls["result"] == 5


def test_a_deadline_keeps_the_id() -> None:
    service = Service()
    with pytest.raises(DeadlinePassed) as caught:
        run(one(service, FOREVER, deadline=100.0))
    assert caught.value.prediction_id == f"{1:032x}"
    assert f"{1:032x}" in str(caught.value)
    assert 100 <= service.looks[-1][1] < 101, "the last look is made at the deadline itself"


def test_a_deadline_that_has_passed_already_still_allows_one_look() -> None:
    async def resumed(ends: float) -> Watched:
        service = Service()
        await asyncio.sleep(5000)
        running = service.start(1, ends)
        running.created = 0.0
        return (await wait(watch_of(service), running, deadline=100.0))[0]

    watched = run(resumed(-4000.0))
    assert watched.polls == 1
    with pytest.raises(DeadlinePassed):
        run(resumed(10.0))


def test_a_deadline_holds_while_nothing_answers() -> None:
    def trouble(_: str) -> None:
        raise Unavailable("down")

    async def both() -> list[Any]:
        service = Service(trouble=trouble)
        watch = watch_of(service)
        waits = [wait(watch, service.start(number, FOREVER), deadline=200.0) for number in range(20)]
        return await asyncio.gather(*waits, return_exceptions=True)

    assert all(isinstance(ended, DeadlinePassed) for ended in run(both()))


def test_stopping_is_prompt_and_keeps_the_id() -> None:
    async def stopped() -> tuple[float, str, set[Any]]:
        service, stop = Service(), asyncio.Event()
        watch = watch_of(service)
        asyncio.get_running_loop().call_later(7.5, stop.set)
        with pytest.raises(Stopped) as caught:
            await wait(watch, service.start(1, FOREVER), stop=stop)
        with pytest.raises(Stopped):
            await wait(watch, service.start(2, 0.0), stop=stop)
        moment = clock()
        await asyncio.sleep(0.1)
        return moment, str(caught.value), asyncio.all_tasks() - {asyncio.current_task()}

    moment, text, left = run(stopped())
    assert moment == 7.5
    assert f"{1:032x}" in text
    assert not left, "nobody goes on looking"


def test_whoever_is_cancelled_leaves_the_others_waiting() -> None:
    async def cancelled() -> tuple[Watched, float]:
        service = Service()
        watch = watch_of(service)
        first = asyncio.create_task(wait(watch, service.start(1, FOREVER)))
        second = asyncio.create_task(wait(watch, service.start(2, 40.0)))
        await asyncio.sleep(10.02)  # in the middle of a look
        first.cancel()
        await asyncio.sleep(0)
        ended = await second
        assert first.cancelled()
        assert not [look for look in service.looks if look[2] == f"{1:032x}" and look[1] > 11]
        return ended

    watched, known = run(cancelled())
    assert watched.prediction.completed
    assert known < 45


def test_a_defect_reaches_whoever_waits() -> None:
    def trouble(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(one(Service(trouble=trouble), 5.0))

    async def broken_sleep() -> None:
        async def broken(_: float) -> None:
            raise ZeroDivisionError

        service = Service()
        watch = PredictionWatch(
            service, poll_seconds=2, expected_seconds=lambda _: None, clock=clock, sleep=broken, now=now
        )
        running = service.start(1, 5.0)
        await asyncio.wait_for(wait(watch, running), 60)

    # The sleep itself failing is as good as a wake-up: the wait goes on.
    run(broken_sleep())


def test_the_watch_serves_one_wait_after_another() -> None:
    async def twice() -> list[float]:
        service = Service()
        watch = watch_of(service)
        known = []
        for number in range(3):
            running = service.start(number, 10.0)
            _, moment = await wait(watch, running)
            known.append(moment - running.ends)
        return known

    assert all(lag < 3 for lag in run(twice()))


# Many at once.


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
    """Everything's end, and how long after it it was known. Starts are spread evenly over ``spread`` seconds."""
    watch = watch_of(service, poll=poll, usual=usual)

    async def single(number: int, duration: float) -> tuple[Watched, float]:
        await asyncio.sleep(spread * number / len(seconds))
        running = service.start(number, duration, model(number))
        watched, known = await wait(watch, running, kind=kind, created_known=created_known, skew=service.skew)
        return watched, known - running.ends

    return await asyncio.gather(*(single(number, duration) for number, duration in enumerate(seconds)))


def lognormal(count: int, median: float, sigma: float) -> list[float]:
    draw = random.Random(7)
    return [median * draw.lognormvariate(0, sigma) for _ in range(count)]


@pytest.mark.parametrize("created_known", [True, False])
@pytest.mark.parametrize("count", [6, 60, 300])
def test_many_are_seen_by_one_history_call(count: int, created_known: bool) -> None:
    service = Service()
    ended = run(many(service, lognormal(count, 45, 0.45), spread=20, usual=(25.0, 45.0), created_known=created_known))
    assert all(watched.prediction.completed for watched, _ in ended)
    moments = [moment for name, moment, _ in service.looks if name == "history"]
    requests = sum(service.calls.values())
    assert requests / count <= {6: 12, 60: 4, 300: 2.5}[count]
    assert max(lag for _, lag in ended) < 8
    # Several pages of one look may follow each other at once; looks themselves keep their distance.
    looks = [earlier for earlier, later in zip(moments, moments[1:], strict=False) if later - earlier > 0.3]
    assert all(later - earlier >= 1.9 for earlier, later in zip(looks, looks[1:], strict=False))


def test_no_single_image_is_looked_at_too_often_among_many() -> None:
    service = Service()
    run(many(service, lognormal(40, 45, 0.45), spread=30))
    by_id: dict[str, list[float]] = {}
    for name, moment, prediction_id in service.looks:
        if name == "result":
            by_id.setdefault(prediction_id, []).append(moment)
    for moments in by_id.values():
        assert all(later - earlier >= 2 - 1e-9 for earlier, later in zip(moments, moments[1:], strict=False))


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
    assert service.calls["result"] <= 60 + 30


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


@pytest.mark.parametrize("error", [Unavailable("down"), AccountRefused("not permitted"), NotFound("no such call")])
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
    ended = run(many(service, [70.0] * 30, model=lambda number: "m/video" if number % 2 else "m/edit"))
    assert all(watched.prediction.completed for watched, _ in ended)
    assert service.calls["result"] <= 12


# How long an end stayed unknown.


@pytest.mark.parametrize("skew", [0.0, 30.0])
@pytest.mark.parametrize("queued", [0.0, 20.0])
def test_detection_is_measured_from_the_end_itself(skew: float, queued: float) -> None:
    async def watched() -> tuple[Watched, float]:
        service = Service(skew=skew)
        running = service.start(1, 45.3, queued=queued)
        found, known = await wait(watch_of(service), running)
        return found, known - running.ends

    found, lag = run(watched())
    # Time in the service's queue is nobody's measurement: the last look that saw it running bounds the error.
    assert found.detect_seconds == pytest.approx(lag, abs=0.01 if not queued and not skew else 4.5)
    assert found.detect_seconds >= 0


def test_detection_without_a_measurement_lies_between_two_looks() -> None:
    service = Service(result_item=lambda item: item.model_copy(update={"inference_seconds": None}))
    watched, known = run(one(service, 45.0))
    looks = [moment for _, moment, _ in service.looks]
    assert watched.detect_seconds == pytest.approx((known - looks[-2]) / 2)


def test_an_end_found_when_resuming_was_unknown_all_the_while() -> None:
    async def resumed() -> Watched:
        service = Service()
        running = service.start(1, 40.0)
        await asyncio.sleep(1000)
        return (await wait(watch_of(service), running))[0]

    watched = run(resumed())
    assert watched.polls == 1
    assert watched.detect_seconds == pytest.approx(960, abs=1)


# Against looking every second, as the official client does.


async def every_second(service: Service, running: Running) -> float:
    while not (await service.result(running.id)).ended:
        await asyncio.sleep(1)
    return clock() - running.ends


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("kind", "durations", "usual", "most_requests", "most_lag"),
    [
        ("image", lognormal(200, 45, 0.45), (25.0, 45.0), 2.5, 2.5),
        ("video", lognormal(200, 210, 0.4), (125.0, 210.0), 4.0, 6.5),
    ],
)
def test_against_looking_every_second(
    kind: Kind, durations: list[float], usual: tuple[float, float], most_requests: float, most_lag: float
) -> None:
    service = Service()
    ended = run(many(service, durations, spread=30, usual=usual, kind=kind))
    requests, lag = sum(service.calls.values()) / len(durations), mean([lag for _, lag in ended])

    async def official() -> list[float]:
        return list(await asyncio.gather(*(every_second(other, other.start(n, s)) for n, s in enumerate(durations))))

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
    kind: Kind, durations: list[float], usual: tuple[float, float] | None, most_requests: float, most_lag: float
) -> None:
    async def alone(seconds: float) -> tuple[int, float]:
        service = Service()
        running = service.start(1, seconds)
        _, known = await wait(watch_of(service, usual=usual), running, kind=kind)
        return service.calls["result"], known - running.ends

    measured = [run(alone(seconds)) for seconds in durations]
    assert mean([float(requests) for requests, _ in measured]) <= most_requests
    assert mean([lag for _, lag in measured]) <= most_lag
