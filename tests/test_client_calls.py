"""Calls that are safe to repeat: what they read, when they try again, when they give up."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from scripted_service import KEY, PREDICTION_ID, Account, Script, envelope, gateway_page, prediction, refusal

from blocks.errors import (
    AccountRefused,
    NotFound,
    RateLimited,
    RequestRefused,
    ServiceError,
    Unavailable,
    Unreachable,
)
from blocks.wavespeed import ClockSkew, Prediction
from blocks.wavespeed.clock_skew import SkewObserver
from blocks.wavespeed.connection import backoff_seconds

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "trouble",
    [
        gateway_page(502),
        refusal(500),
        refusal(503, "down"),
        refusal(429, "slow"),
        refusal(408, "timeout"),
        httpx.Response(200, text="{"),
        envelope(None, code=500),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("closed"),
    ],
)
async def test_passing_trouble_is_waited_out(trouble: httpx.Response | Exception) -> None:
    script = Script(trouble, trouble, envelope(prediction(status="completed", outputs="https://a/1.png")))
    async with script.client() as client:
        found = await client.result(PREDICTION_ID)
    assert found.outputs == ("https://a/1.png",)
    assert client.requests_sent == {"result": 3}
    assert len(script.slept) == 2
    assert str(script.requests[0].url).endswith(f"/api/v3/predictions/{PREDICTION_ID}/result")


@pytest.mark.parametrize(
    ("trouble", "error", "requests"),
    [
        (gateway_page(504), Unavailable, 3),
        (refusal(429), RateLimited, 3),
        (httpx.ConnectTimeout("slow"), Unreachable, 3),
        (envelope(None), Unavailable, 1),
        (refusal(404, "no such prediction"), NotFound, 1),
        (envelope(None, code=404), NotFound, 1),
        (refusal(401), AccountRefused, 1),
        (refusal(400, "bad id"), RequestRefused, 1),
    ],
)
async def test_lasting_trouble_is_told(
    trouble: httpx.Response | Exception, error: type[ServiceError], requests: int
) -> None:
    script = Script(trouble)
    async with script.client(max_tries=3) as client:
        with pytest.raises(ServiceError) as caught:
            await client.result(PREDICTION_ID)
    assert type(caught.value) is error
    assert len(script.requests) == requests
    assert KEY not in str(caught.value)


async def test_the_service_says_how_long_to_wait() -> None:
    script = Script(
        refusal(429, headers={"Retry-After": "7"}),
        refusal(503, headers={"Retry-After": "600"}),
        envelope({"balance": "1"}),
    )
    async with script.client() as client:
        await client.balance()
    assert 7 <= script.slept[0] <= 8
    assert 600 <= script.slept[1] <= 601


async def test_a_wait_beyond_the_patience_is_not_begun() -> None:
    later = refusal(503, headers={"Retry-After": "30"})
    for patience, slept in ((29, 0), (30, 1), (59, 1), (60, 2)):
        script = Script(later, later, envelope({"balance": "1"}))
        async with script.client(patience_seconds=patience) as client:
            if patience < 60:
                with pytest.raises(Unavailable):
                    await client.balance()
            else:
                await client.balance()
        assert len(script.slept) == slept


def test_back_off_has_full_jitter_and_a_cap() -> None:
    assert [backoff_seconds(tries, draw=lambda: 1.0) for tries in range(1, 9)] == [
        0.5,
        1,
        2,
        4,
        8,
        16,
        20,
        20,
    ]
    assert backoff_seconds(3, draw=lambda: 0.0) == 0
    assert all(0 <= backoff_seconds(4) < 4 for _ in range(50))


async def test_a_failed_prediction_is_a_result_however_it_is_wrapped() -> None:
    failed = prediction(status="failed", code=1200, error="flagged")
    for reply in (envelope(failed), envelope(failed, code=1200), envelope(failed, code=400, status=400)):
        async with Script(reply).client() as client:
            assert (await client.result(PREDICTION_ID)).code == 1200


async def test_somebody_elses_prediction_is_no_result() -> None:
    async with Script(envelope({**prediction(), "id": "f" * 32})).client() as client:
        with pytest.raises(Unavailable):
            await client.result(PREDICTION_ID)


async def test_the_key_is_taken_out_of_a_predictions_error() -> None:
    async with Script(envelope(prediction(status="failed", error=f"bad\nkey {KEY}"))).client() as client:
        assert (await client.result(PREDICTION_ID)).error == "bad key [key]"


async def test_ids_cannot_leave_their_place_in_the_path() -> None:
    script = Script(refusal(404))
    async with script.client() as client:
        with pytest.raises(NotFound):
            await client.result("../../v3/balance?x")
        assert script.requests[0].url.raw_path == b"/api/v3/predictions/..%2F..%2Fv3%2Fbalance%3Fx/result"
        for walking in (".", "..", "", " ", "a\r\nHost: elsewhere.example"):
            with pytest.raises(NotFound):
                await client.result(walking)
    assert len(script.requests) == 1


def history_items(count: int) -> list[dict[str, Any]]:
    """Make twice as many, a minute apart, newest first; the one numbered ``count`` is of ``SINCE``."""
    newest = SINCE + timedelta(minutes=count)
    return [
        {
            "id": f"{number:032x}",
            "model": "m/edit" if number % 2 else "m/video",
            "status": "completed",
            "created_at": (newest - timedelta(minutes=number)).isoformat().replace("+00:00", ".000Z"),
        }
        for number in range(count * 2)
    ]


@pytest.mark.parametrize("largest_page", [100, 30])
async def test_the_history_is_read_to_the_moment_and_the_service_filters_nothing(largest_page: int) -> None:
    account = Account(history_items(150), largest_page=largest_page)
    async with Script(account).client() as client:
        found = await client.read_history(SINCE)
    ids = [item.id for item in found.predictions]
    assert ids[:151] == [f"{number:032x}" for number in range(151)]
    # The page on which the moment lies is taken whole, and one more shows that all is older there.
    assert len(ids) <= 151 + 2 * largest_page
    assert all(set(asked) == {"page", "page_size", "include_inputs"} for asked in account.asked)


async def test_a_history_that_moves_while_it_is_read_shows_each_once() -> None:
    account = Account(history_items(120))

    def growing(request: httpx.Request) -> httpx.Response:
        answer = account(request)
        account.items.insert(0, {**account.items[0], "id": f"{len(account.asked):032d}"})
        return answer

    async with Script(growing).client() as client:
        ids = [item.id for item in (await client.read_history(SINCE)).predictions]
    assert len(ids) == len(set(ids))
    assert {f"{number:032x}" for number in range(121)} <= set(ids)


async def test_a_history_without_end_does_not_pass_for_whole() -> None:
    account = Account(history_items(10), filters=False)

    def endless(request: httpx.Request) -> httpx.Response:
        account.items = [
            {**account.items[0], "id": f"{len(account.asked) * 100 + n:032d}"} for n in range(100)
        ]
        answer = account(request)
        return answer if account.asked[-1]["page"] == 1 else envelope({"items": account.items})

    async with Script(endless).client() as client:
        with pytest.raises(Unavailable, match="not read whole"):
            await client.read_history(SINCE)


async def test_one_page_with_its_filters() -> None:
    script = Script(envelope({"page": 2, "items": [prediction(), {"no": "id"}, None]}))
    async with script.client() as client:
        found = await client.history(
            page=2,
            page_size=10,
            model="m/edit",
            status="completed",
            created_after=SINCE,
            created_before=SINCE,
        )
    assert found == [Prediction.model_validate(prediction())]
    assert script.requests[0].method == "POST"
    assert script.requests[0].url.path == "/api/v3/predictions"
    assert script.requests[0].content == (
        b'{"page":2,"page_size":10,"model":"m/edit","status":"completed",'
        b'"created_after":"2026-11-01T00:00:00.000Z","created_before":"2026-11-01T00:00:00.000Z",'
        b'"include_inputs":true}'
    )
    async with Script(envelope({"page": 1, "items": None})).client() as client:
        assert await client.history() == []
    async with Script(envelope("no history")).client() as client:
        with pytest.raises(Unavailable):
            await client.history()


@pytest.mark.parametrize(("status", "code"), [(400, 400), (422, 422), (200, 1400), (400, 1401)])
async def test_a_service_that_refuses_to_be_asked_for_inputs_is_asked_without(status: int, code: int) -> None:
    refusal = httpx.Response(status, json={"code": code, "message": "unknown parameter include_inputs"})
    script = Script(refusal, envelope({"items": [prediction()]}), envelope({"items": []}))
    async with script.client() as client:
        assert [found.id for found in await client.history()] == [prediction()["id"]]
        assert await client.history() == []
    asked = [b"include_inputs" in request.content for request in script.requests]
    assert asked == [True, False, False]


async def test_what_is_refused_either_way_is_not_blamed_on_the_question_for_inputs() -> None:
    refusal = httpx.Response(400, json={"code": 400, "message": "no such model"})
    script = Script(refusal, refusal, envelope({"items": []}))
    async with script.client() as client:
        with pytest.raises(RequestRefused, match="no such model"):
            await client.history(model="m/none")
        await client.history()
    assert b"include_inputs" in script.requests[2].content


async def test_another_refusal_is_no_refusal_of_the_question_for_inputs() -> None:
    script = Script(httpx.Response(409, json={"code": 409, "message": "not now"}))
    async with script.client() as client:
        with pytest.raises(RequestRefused):
            await client.history()
    assert len(script.requests) == 1


async def test_delete_and_models() -> None:
    script = Script(envelope({"deleted_count": 2}), envelope([{"model_id": "m/edit"}, "odd"]), envelope(None))
    async with script.client() as client:
        assert await client.delete(["a", "b"]) == 2
        assert await client.models() == [{"model_id": "m/edit"}]
        with pytest.raises(Unavailable):
            await client.models()
    assert script.requests[0].content == b'{"ids":["a","b"]}'


async def test_a_simulated_answer_marks_the_client() -> None:
    plain, marked = (
        envelope({"balance": 1}),
        envelope({"balance": 1}, headers={"X-Simulated": "kling-campaigns"}),
    )
    async with Script(plain, marked, plain).client() as client:
        await client.balance()
        assert not client.simulated
        await client.balance()
        await client.balance()
        assert client.simulated


async def test_no_cookie_is_kept() -> None:
    script = Script(envelope({"balance": 1}, headers={"Set-Cookie": "session=1; Path=/"}))
    async with script.client() as client:
        await client.balance()
        await client.balance()
    assert "cookie" not in script.requests[1].headers


@pytest.mark.parametrize("ahead", [0, 3600, -90])
async def test_the_clock_is_learnt_from_the_date_header(ahead: int) -> None:
    def dated(_: httpx.Request) -> httpx.Response:
        date = datetime.now(UTC) + timedelta(seconds=ahead)
        return envelope({"balance": 1}, headers={"Date": format_datetime(date, usegmt=True)})

    async with Script(dated).client() as client:
        assert client.clock == ClockSkew()
        await client.balance()
        assert client.clock.known
        assert client.clock.low <= ahead <= client.clock.high
        assert client.clock.high - client.clock.low < 4
        assert abs(client.clock.likely - ahead) <= 2


def test_skew_intervals_narrow_down_and_contradictions_widen() -> None:
    observer = SkewObserver()
    sent = datetime(2026, 11, 6, 8, 0, 0, 500_000, tzinfo=UTC)
    observer.learn(
        datetime(2026, 11, 6, 8, 0, 10, tzinfo=UTC), sent=sent, received=sent + timedelta(seconds=4)
    )
    assert (observer.interval().low, observer.interval().high) == (4.5, 11.5)
    observer.learn(datetime(2026, 11, 6, 8, 0, 10, tzinfo=UTC), sent=sent, received=sent)
    assert (observer.interval().low, observer.interval().high) == (8.5, 11.5)
    observer.learn(datetime(2026, 11, 6, 8, 0, 0, tzinfo=UTC), sent=sent, received=sent)
    assert (observer.interval().low, observer.interval().high) == (-1.5, 11.5)
    # An exchange during which our own clock was set back says nothing.
    observer.learn(datetime(2030, 1, 1, tzinfo=UTC), sent=sent, received=sent - timedelta(seconds=1))
    assert observer.interval().high == 11.5
