"""Waiting for one prediction, in virtual time: how soon an end is known, and what does not end the wait."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from virtual_service import EPOCH, FOREVER, Service, clock, now, wait, watch_of
from virtual_time import run

from blocks.errors import AccountRefused, NotFound, RateLimited, RequestRefused, Stopped, Unavailable
from blocks.limits import Kind
from blocks.wavespeed import Prediction
from tasks.paying.waiting import DeadlinePassed, PredictionWatch, Watched


async def one(
    service: Service, seconds: float, *, status: str = "completed", **options: Any
) -> tuple[Watched, float]:
    settings = {name: options.pop(name) for name in ("poll", "usual", "patience_seconds") if name in options}
    running = service.start(1, seconds, status=status)
    return await wait(watch_of(service, **settings), running, **options)


def test_one_image_is_looked_at_no_more_often_than_allowed() -> None:
    service = Service()
    watched, known = run(one(service, 45.0))
    moments = [moment for _, moment, _ in service.looks]
    assert moments[0] == 2
    assert all(later - earlier >= 2 - 1e-9 for earlier, later in pairwise(moments))
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
    assert all(later - earlier >= 5 - 1e-9 for earlier, later in pairwise(moments))


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
    gaps = [later - earlier for earlier, later in pairwise(moments)]
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


def without_outputs(item: Prediction) -> Prediction:
    return item.model_copy(update={"outputs": ()})


@pytest.mark.parametrize("late", [3, 60, 200])
def test_completed_without_outputs_is_asked_again_until_they_come(late: float) -> None:
    service = Service(result_item=lambda item: without_outputs(item) if clock() < 10 + late else item)
    watched, known = run(one(service, 10.0, deadline=300.0))
    assert watched.prediction.outputs
    assert known - (10 + late) < 31


@pytest.mark.parametrize(
    ("kind", "poll", "deadline", "seconds"),
    [
        ("image", 2.0, 3600.0, 240.0),
        ("video", 2.0, 3600.0, 600.0),
        ("image", 2.0, 60.0, 60.0),
        ("image", 0.1, 3600.0, 12.0),
    ],
)
def test_completed_without_outputs_for_good_ends_the_wait(
    kind: Kind, poll: float, deadline: float, seconds: float
) -> None:
    service = Service(result_item=without_outputs)
    watched, known = run(one(service, 10.0, kind=kind, poll=poll, deadline=deadline))
    assert watched.prediction.without_outputs
    assert 10 + seconds <= known <= 10 + seconds + 45
    assert 3 <= sum(moment >= 10 for _, moment, _ in service.looks) < 30


def test_one_without_outputs_is_not_asked_more_often_because_others_are_looked_at() -> None:
    empty = f"{1:032x}"

    def shown(item: Prediction) -> Prediction:
        return without_outputs(item) if item.id == empty else item

    service = Service(history_item=shown, result_item=shown)

    async def many() -> None:
        watch = watch_of(service)
        running = [service.start(1, 5.0), *(service.start(number, 200.0) for number in range(2, 12))]
        await asyncio.gather(*(wait(watch, one) for one in running))

    run(many())
    assert service.calls["history"] > 20
    assert sum(looked == empty for _, _, looked in service.looks) < 20


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


@pytest.mark.parametrize(("asked_for", "patience", "waited"), [(300, 900, 300), (3600, 100, 100)])
def test_a_look_comes_as_late_as_asked_within_the_patience(
    asked_for: float, patience: float, waited: float
) -> None:
    def trouble(_: str) -> None:
        if clock() < 20:
            raise RateLimited("slow down", retry_after=asked_for)

    service = Service(trouble=trouble)
    run(one(service, 5.0, patience_seconds=patience))
    moments = [moment for _, moment, _ in service.looks]
    assert moments[1] - moments[0] == pytest.approx(waited, abs=1)


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


@pytest.mark.parametrize("known", [True, False])
def test_a_passing_word_after_the_deadline_is_not_believed_either(known: bool) -> None:
    async def resumed() -> Watched:
        def trouble(_: str) -> None:
            if service.calls["result"] <= 3 or not known:
                raise NotFound("gone")

        service = Service(trouble=trouble)
        await asyncio.sleep(5000)
        running = service.start(1, -4000.0)
        running.created = 0.0
        return (await wait(watch_of(service), running, deadline=100.0))[0]

    if known:
        assert run(resumed()).prediction.outputs
    else:
        with pytest.raises(NotFound):
            run(resumed())


def outages(*spans: tuple[float, float], seconds: float, predictions: int = 1) -> list[str]:
    """What is said while the service does not answer within these spans of time."""
    said: list[str] = []

    async def watched() -> None:
        def trouble(_: str) -> None:
            if any(first <= clock() < last for first, last in spans):
                raise Unavailable("down")

        service = Service(trouble=trouble)
        watch = watch_of(service, note=lambda text: said.append(f"{clock():.0f} {text}"))
        await asyncio.gather(
            *(wait(watch, service.start(number, seconds), deadline=3600.0) for number in range(predictions))
        )

    run(watched())
    return said


@pytest.mark.parametrize("predictions", [1, 40])
def test_a_service_that_goes_away_is_told_of_once_and_once_that_it_is_back(predictions: int) -> None:
    first, last = outages((0, 900), seconds=45.0, predictions=predictions)
    moment, _, text = first.partition(" ")
    assert 30 <= float(moment) <= 34
    assert text == (
        "the service has not answered for 30 s; still waiting: Ctrl-C is safe, the next run goes on"
    )
    moment, _, text = last.partition(" ")
    assert 900 <= float(moment) <= 931
    assert text.startswith("the service answers again, after 1")
    # Each outage is one of its own; a short one is nobody's business.
    told = outages((20, 100), (200, 220), (300, 400), seconds=500.0, predictions=predictions)
    assert ["answers again" in line for line in told] == [False, True, False, True]
    assert outages((0, 15), seconds=45.0, predictions=predictions) == []


def test_an_answer_that_does_not_come_is_a_silence_while_a_refusal_is_none() -> None:
    said: list[str] = []

    class Hanging(Service):
        async def result(self, prediction_id: str) -> Prediction:
            if clock() < 10:
                await asyncio.sleep(100)
            return await super().result(prediction_id)

    async def waited(service: Service) -> None:
        await wait(watch_of(service, note=said.append), service.start(1, 45.0))

    run(waited(Hanging()))
    assert [text.partition(",")[0] for text in said] == [
        "the service has not answered for 30 s; still waiting: Ctrl-C is safe",
        "the service answers again",
    ]

    said.clear()

    def pause(_: str) -> None:
        if clock() < 200:
            raise RateLimited("slow down", retry_after=50)

    run(waited(Service(trouble=pause)))
    assert said == []


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
        await wait(watch, running)

    with pytest.raises(ZeroDivisionError):
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
