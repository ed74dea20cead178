"""The one call that costs money: what each way of going wrong means."""

import asyncio
import time
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr
from scripted_service import (
    KEY,
    PREDICTION_ID,
    Script,
    answering,
    envelope,
    gateway_page,
    http,
    prediction,
    raw_server,
    refusal,
)

from blocks.errors import (
    AcceptedWithoutId,
    AccountRefused,
    InputNotFetched,
    InvalidInput,
    Moderated,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    ServiceError,
    Unreachable,
)
from blocks.wavespeed import Prediction, WaveSpeedClient

CREDIT = "Insufficient credits. Please top up your account to continue."
MODERATION = "Content flagged as potentially sensitive. Please try different prompts or images."


async def test_what_is_sent_and_what_comes_back() -> None:
    script = Script(envelope(prediction(status="created", created_at="2026-11-06T08:49:37.123456789Z")))
    async with script.client() as client:
        found = await client.submit("kwaivgi/kling-image-v3/edit", {"prompt": "a", "num_images": 2})
    assert found.id == PREDICTION_ID
    assert not found.ended
    (request,) = script.requests
    assert request.method == "POST"
    assert str(request.url) == "https://api.example/api/v3/kwaivgi/kling-image-v3/edit"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.content == b'{"prompt":"a","num_images":2}'
    assert client.requests_sent == {"submit": 1}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(429, "2 predictions per 1 minute"), RateLimited),
        (refusal(429, "You have reached your concurrency limit"), RateLimited),
        (httpx.Response(429, text="<html>slow down</html>"), RateLimited),
        (envelope(None, code=429, message="slow down"), RateLimited),
        (refusal(401, "Unauthorized"), AccountRefused),
        (refusal(402, "Payment required"), AccountRefused),
        (refusal(403, "Forbidden"), AccountRefused),
        (refusal(400, CREDIT), AccountRefused),
        (refusal(400, "no", code=1407), AccountRefused),
        (envelope(None, code=1407, message="credits"), AccountRefused),
        (envelope(None, code=400, message=CREDIT), AccountRefused),
        (envelope(None, code=401, message="no key"), AccountRefused),
        (httpx.Response(400, json={"code": 400, "error": CREDIT}), AccountRefused),
        (refusal(400, "prompt is required"), RequestRefused),
        (refusal(404, "model not found"), RequestRefused),
        (refusal(405, "method not allowed"), RequestRefused),
        (refusal(413, "too large"), RequestRefused),
        (refusal(422, "bad"), RequestRefused),
        (refusal(400, "bad", code=1400), RequestRefused),
        (envelope(None, code=1401, message="bad value"), RequestRefused),
        (envelope(None, code=400, message="bad value"), RequestRefused),
        (httpx.Response(400, text="prompt is required"), RequestRefused),
        (refusal(400, MODERATION), Moderated),
        (envelope(None, code=1200, message="no"), Moderated),
        (refusal(400, "could not fetch", code=1402), InputNotFetched),
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.ConnectTimeout("slow"), Unreachable),
        (httpx.PoolTimeout("full"), Unreachable),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.WriteTimeout("slow"), OutcomeUnknown),
        (httpx.ReadError("reset"), OutcomeUnknown),
        (httpx.WriteError("reset"), OutcomeUnknown),
        (httpx.RemoteProtocolError("closed"), OutcomeUnknown),
        (refusal(500, "oops"), OutcomeUnknown),
        (refusal(503, CREDIT), OutcomeUnknown),
        (gateway_page(502), OutcomeUnknown),
        (gateway_page(504), OutcomeUnknown),
        (gateway_page(200), OutcomeUnknown),
        (refusal(408, "timeout"), OutcomeUnknown),
        (httpx.Response(200, text='{"code":200,"data":{"id"'), OutcomeUnknown),
        (httpx.Response(200, text=""), OutcomeUnknown),
        (httpx.Response(200, json=[1]), OutcomeUnknown),
        (envelope(None), AcceptedWithoutId),
        (envelope([]), AcceptedWithoutId),
        (envelope({}), AcceptedWithoutId),
        (envelope({"id": ""}), AcceptedWithoutId),
        (envelope({"id": True}), AcceptedWithoutId),
        (envelope({"id": ["a"]}), AcceptedWithoutId),
        (envelope({"id": ".."}), AcceptedWithoutId),
        (envelope({"id": "."}), AcceptedWithoutId),
        (envelope({"id": " "}), AcceptedWithoutId),
        (envelope({"id": "a\nb"}), AcceptedWithoutId),
        (envelope({"id": "a\u202eb"}), AcceptedWithoutId),
        (envelope({"id": "x" * 513}), AcceptedWithoutId),
        (envelope({"id": "..", "status": "created"}, code=500, message="odd"), AcceptedWithoutId),
        (envelope({"status": "failed", "error": "no"}), AcceptedWithoutId),
        (envelope({"status": "processing"}, code=500, status=500), AcceptedWithoutId),
        (envelope({"status": "queued"}, code=429, status=429), AcceptedWithoutId),
        (httpx.Response(200, json={"status": "created", "model": "m/edit"}), AcceptedWithoutId),
        (httpx.Response(201, json={"id": ".."}), AcceptedWithoutId),
        (httpx.Response(200, json={"status": "error", "message": "no"}), OutcomeUnknown),
        (httpx.Response(200, json={"status": "failed", "code": 1400, "message": "no"}), RequestRefused),
        (envelope({"status": "failed"}, code=1200, message="no"), Moderated),
        (httpx.Response(500, json={"id": "req-1", "error": "oops"}), OutcomeUnknown),
        (httpx.Response(429, json={"id": "req-1", "error": "slow down"}), RateLimited),
        (envelope(None, code=500, message="oops"), OutcomeUnknown),
        (envelope(None, code=5004, message="oops"), OutcomeUnknown),
        (httpx.Response(307, headers={"Location": "https://elsewhere.example/"}), OutcomeUnknown),
        (refusal(500, "prompt: HTTP 401 code 1407"), OutcomeUnknown),
    ],
)
async def test_every_refusal_and_every_doubt(
    reply: httpx.Response | Exception, error: type[ServiceError]
) -> None:
    script = Script(reply)
    async with script.client() as client:
        with pytest.raises(ServiceError) as caught:
            await client.submit("m/edit", {"prompt": "a"})
    assert type(caught.value) is error
    assert len(script.requests) == 1, "a submit is sent once, whatever comes back"
    assert not script.slept
    text = str(caught.value)
    assert "\n" not in text
    assert "<" not in text
    assert KEY not in text


async def test_retry_after_is_handed_on() -> None:
    async with Script(refusal(429, "slow", headers={"Retry-After": "17"})).client() as client:
        with pytest.raises(RateLimited) as caught:
            await client.submit("m/edit", {})
    assert caught.value.retry_after == 17


async def test_an_id_is_worth_more_than_the_rest_of_the_answer() -> None:
    async with Script(envelope(prediction(), code=500, message="odd")).client() as client:
        assert (await client.submit("m/edit", {})).id == PREDICTION_ID
    async with Script(httpx.Response(200, json=prediction(code=0))).client() as client:
        assert (await client.submit("m/edit", {})).id == PREDICTION_ID
    for status in (307, 429, 500):
        async with Script(envelope(prediction(), code=status, status=status)).client() as client:
            assert (await client.submit("m/edit", {})).id == PREDICTION_ID
    # An id beside an error, and nothing that says what of, may be that of the request.
    async with Script(envelope({"id": PREDICTION_ID}, code=500, status=500)).client() as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.submit("m/edit", {})
    assert type(caught.value) is OutcomeUnknown
    assert caught.value.prediction_id == PREDICTION_ID


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("pred:2026/11/21#7?a=b&c", "pred:2026/11/21#7?a=b&c"),
        (7, "7"),
        (7.5, "7.5"),
        (2**70, str(2**70)),
        ("x" * 160, "x" * 160),
        ("y" * 512, "y" * 512),
        ("../../v3/balance", "../../v3/balance"),
        ("%2e%2e", "%2e%2e"),
        ("...", "..."),
        ("-Ä=1+2 ü", "-Ä=1+2 ü"),
    ],
)
async def test_whatever_the_service_names_it_by_is_its_id(shown: object, read: str) -> None:
    script = Script(envelope({"id": shown, "status": "created"}))
    async with script.client() as client:
        assert (await client.submit("m/edit", {})).id == read
        assert (await client.result(read)).id == read
        assert [item.id for item in await _history_of(shown)] == [read]
    # However it is spelt, it is one place in the path of the question.
    path = script.requests[-1].url.raw_path.decode()
    assert path == f"/api/v3/predictions/{quote(read, safe='')}/result"
    assert path.count("/") == 5


async def _history_of(shown: object) -> list[Prediction]:
    async with Script(envelope({"items": [{"id": shown, "model": "m/edit"}]})).client() as client:
        return await client.newest("m/edit")


async def test_the_message_is_quoted_on_one_line_without_the_key() -> None:
    message = f"key {KEY}\n\x1b[31mis\u202e bad " + "x" * 2000
    async with Script(refusal(401, message)).client() as client:
        with pytest.raises(AccountRefused) as caught:
            await client.submit("m/edit", {})
    text = str(caught.value)
    assert "key [key] [31mis bad xxx" in text
    assert len(text) < 600
    assert text.isprintable()
    assert "WAVESPEED_API_KEY" in text


async def test_the_key_is_in_no_repr() -> None:
    async with Script(envelope(prediction())).client() as client:
        assert KEY not in repr(client)
        assert KEY not in repr(vars(client))
        assert KEY not in repr(vars(client._connection))


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example",
        "http://127.0.0.1.example",
        "http://10.0.0.1:8000",
        "http://[2001:db8::1]",
        "ftp://api.example",
        "api.example",
        "https://",
        "https://user:secret@api.example",
        "https://api.example?x=1",
        "http://localhost.example",
        "http://127.0.0.1:99999",
        "",
    ],
)
def test_the_key_goes_nowhere_unsafe(base_url: str) -> None:
    with pytest.raises(InvalidInput, match="WAVESPEED_BASE_URL") as caught:
        WaveSpeedClient(SecretStr(KEY), base_url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nend", "schlüssel"])
def test_a_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(InvalidInput, match="WAVESPEED_API_KEY") as caught:
        WaveSpeedClient(SecretStr(key), "https://api.example")
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1", "https://api.example"]
)
async def test_loopback_and_https_are_fine(base_url: str) -> None:
    async with Script(envelope(prediction())).client(base_url) as client:
        assert (await client.submit("m/edit", {})).id == PREDICTION_ID


async def test_a_redirect_does_not_take_the_key_along() -> None:
    script = Script(httpx.Response(307, headers={"Location": "https://elsewhere.example/"}))
    async with script.client() as client:
        with pytest.raises(OutcomeUnknown):
            await client.submit("m/edit", {})
        with pytest.raises(RequestRefused, match="WAVESPEED_BASE_URL"):
            await client.balance()
    assert {request.url.host for request in script.requests} == {"api.example"}


async def test_over_the_wire() -> None:
    whole = b'{"code":200,"message":"success","data":{"id":"' + PREDICTION_ID.encode() + b'"}}'
    cases = [
        (answering(b"", reset=True), OutcomeUnknown),
        (answering(b""), OutcomeUnknown),
        (answering(http(whole[:20], length=len(whole))), OutcomeUnknown),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), OutcomeUnknown),
        (answering(b"SSH-2.0-OpenSSH_9.6\r\n"), OutcomeUnknown),
        (answering(http(b"<html>", status="504 Gateway Timeout")), OutcomeUnknown),
    ]
    for connected, error in cases:
        async with raw_server(connected) as base_url, WaveSpeedClient(SecretStr(KEY), base_url) as client:
            with pytest.raises(error):
                await client.submit("m/edit", {"prompt": "a"})
            assert client.requests_sent["submit"] == 1
    async with (
        raw_server(answering(http(whole))) as base_url,
        WaveSpeedClient(SecretStr(KEY), base_url) as client,
    ):
        assert (await client.submit("m/edit", {"prompt": "a"})).id == PREDICTION_ID


async def test_nobody_listening_is_unreachable() -> None:
    async with raw_server(answering(b"")) as base_url:
        pass
    async with WaveSpeedClient(SecretStr(KEY), base_url, request_timeout=2) as client:
        with pytest.raises(Unreachable, match="nothing was sent"):
            await client.submit("m/edit", {})


async def test_the_whole_exchange_is_over_within_the_request_timeout() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with (
        raw_server(trickle) as base_url,
        WaveSpeedClient(SecretStr(KEY), base_url, request_timeout=1) as client,
    ):
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await client.submit("m/edit", {})
    assert time.monotonic() - began < 10
