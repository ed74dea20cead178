"""Answers without measure: packed twice, endless, deep, with numbers and moments of no range. None of them is more
than an answer that was not understood, and none of them holds the event loop.
"""

import asyncio
import contextlib
import gzip
import json
import resource
import sys
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from scripted_service import KEY, PREDICTION_ID, Arriving, Script, answering, http, prediction, raw_server

from blocks.errors import CampaignError, OutcomeUnknown, RequestRefused, Unavailable
from blocks.wavespeed import Prediction, WaveSpeedClient
from blocks.wavespeed.body import LARGEST_ANSWER_BYTES, read_body
from blocks.wavespeed.bounded_json import DEEPEST, MOST_VALUES, JsonOutOfBounds, NotJson, read_json
from blocks.wavespeed.values import moment_of, seconds_of, whole_number

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
GOOD = json.dumps({"code": 200, "message": "success", "data": prediction()}).encode()
REFUSAL = b'{"code": 400, "message": "bad prompt"'


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _packed(content: bytes) -> bytes:
    """Without the moment at which it was packed: processes that run tests side by side name them by their bytes."""
    return gzip.compress(content, mtime=0)


def _double_gzip(size: int) -> bytes:
    return _packed(_packed(b" " * size))


async def _asked(raw: bytes, call: Callable[[WaveSpeedClient], Awaitable[Any]]) -> Any:
    async with (
        raw_server(answering(raw)) as url,
        WaveSpeedClient(SecretStr(KEY), url, max_tries=1, request_timeout=60) as client,
    ):
        return await call(client)


async def _submit(client: WaveSpeedClient) -> Any:
    return await client.submit("m/edit", {"prompt": "a"})


async def _result(client: WaveSpeedClient) -> Any:
    return await client.result(PREDICTION_ID)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("Content-Encoding: identity", bytes),
        ("Content-Encoding: gzip", gzip.compress),
        ("Content-Encoding: X-GZip", gzip.compress),
        ("Content-Encoding: deflate", zlib.compress),
        ("Content-Encoding: deflate", _raw_deflate),
        ("Content-Encoding: gzip", lambda content: _packed(content) + b"what follows"),
    ],
)
async def test_one_simple_packing_is_read(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    raw = http(pack(GOOD), headers=f"{encoding}\r\n" if encoding else "")
    assert (await _asked(raw, _submit)).id == PREDICTION_ID


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "429 Too Many Requests", "500 No"])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip, gzip", _double_gzip(4_000_000)),
        ("gzip,gzip", _packed(_packed(GOOD))),
        ("deflate, gzip", _packed(zlib.compress(GOOD))),
        ("br", GOOD),
        ("zstd", GOOD),
        ("identity, gzip", _packed(GOOD)),
        ("gzip", _packed(b" " * (LARGEST_ANSWER_BYTES + 1))),
        ("gzip", _packed(GOOD)[:-9]),
        ("gzip", b"\x1f"),
        ("gzip", GOOD),
        ("deflate", b"\xff\xff\xff\xff"),
    ],
)
async def test_another_packing_leaves_a_request_in_doubt(encoding: str, body: bytes, status: str) -> None:
    raw = http(body, status=status, headers=f"Content-Encoding: {encoding}\r\n")
    with pytest.raises(OutcomeUnknown):
        await _asked(raw, _submit)
    with pytest.raises(Unavailable):
        await _asked(raw, _result)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def test_a_small_answer_never_fills_the_memory() -> None:
    """Some kilobytes that unpack to 4.8 GB where both packings are taken off, and 256 MB packed once."""
    twice = gzip.compress(gzip.compress(b" " * 2**26) * 72)
    once = gzip.compress(b" " * 2**28)
    assert len(twice) < 12_000
    before = _peak_bytes()
    for encoding, body in (("gzip, gzip", twice), ("gzip", once)):
        raw = http(body, headers=f"Content-Encoding: {encoding}\r\n")
        with pytest.raises(OutcomeUnknown):
            await _asked(raw, _submit)
    assert _peak_bytes() - before < 4 * LARGEST_ANSWER_BYTES


async def test_other_work_goes_on_while_an_answer_is_unpacked() -> None:
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    working = asyncio.create_task(other_work())
    packed = Arriving(gzip.compress(b" " * LARGEST_ANSWER_BYTES))  # arrives in one piece
    body = await read_body(httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=packed))
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert len(body) == LARGEST_ANSWER_BYTES
    assert turns >= LARGEST_ANSWER_BYTES // 2**20 - 1


async def test_an_answer_without_end_is_given_up() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 2**20)
            await writer.drain()

    async with raw_server(handle) as url, WaveSpeedClient(SecretStr(KEY), url, max_tries=1) as client:
        with pytest.raises(Unavailable, match="larger than"):
            await client.balance()


HUGE_NUMBERS = [
    b"1e99999999",
    b"-1e99999999",
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"1" * 40,
    b"1e400",
    b"NaN",
    b"-Infinity",
]


@pytest.mark.parametrize("number", HUGE_NUMBERS)
async def test_a_number_of_no_range_is_no_refusal(number: bytes) -> None:
    for status in (200, 400, 401, 429):
        raw = http(b'{"code": %b, "message": "bad prompt"}' % number, status=f"{status} Some")
        with pytest.raises(OutcomeUnknown):
            await _asked(raw, _submit)
    beside = http(REFUSAL + b', "took": %b}' % number, status="400 Bad")
    with pytest.raises(OutcomeUnknown):
        await _asked(beside, _submit)
    with pytest.raises(RequestRefused):  # asking again costs nothing, so that is still believed
        await _asked(beside, _result)


@pytest.mark.parametrize("number", HUGE_NUMBERS)
async def test_a_number_of_no_range_does_not_hide_an_id(number: bytes) -> None:
    body = b'{"code": 200, "data": {"id": "abc", "status": "created", "executionTime": %b, "code": %b}}'
    found = await _asked(http(body % (number, number)), _submit)
    assert (found.id, found.execution_time, found.code) == ("abc", None, 0)


@pytest.mark.parametrize("number", HUGE_NUMBERS)
async def test_a_number_of_no_range_is_no_amount(number: bytes) -> None:
    quote = http(b'{"code": 200, "data": {"price": %b, "balance": %b}}' % (number, number))
    for call in (lambda client: client.balance(), lambda client: client.price("m", {})):
        with pytest.raises(Unavailable):
            await _asked(quote, call)
        text = http(b'{"code": 200, "data": {"price": "%b", "balance": "%b"}}' % (number, number))
        if number != b"1" * 40:
            with pytest.raises(Unavailable):
                await _asked(text, call)


def _deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("levels", [DEEPEST + 1, 900, 5_000, 400_000])
async def test_depth_is_bounded(levels: int) -> None:
    with pytest.raises(JsonOutOfBounds):
        read_json(_deep(levels))
    for status in ("200 OK", "400 Bad"):
        raw = http(REFUSAL + b', "data": %b}' % _deep(levels), status=status)
        with pytest.raises(OutcomeUnknown):
            await _asked(raw, _submit)


def test_what_is_within_the_bounds_is_read_as_it_stands() -> None:
    assert read_json(_deep(DEEPEST)).document is not None
    side_by_side = b"[" + b",".join([b"[]"] * 1000) + b"]"
    assert len(read_json(side_by_side).document) == 1000
    with pytest.raises(JsonOutOfBounds):
        read_json(b"[" + b"[]," * MOST_VALUES + b"[]]")
    with pytest.raises(NotJson):
        read_json(b"{")
    with pytest.raises(NotJson):
        read_json(b"\xff\xfe\xfd")
    good = read_json(
        b"[12, -12, 0.1, 123456789012345678, 1e-9, 0e999999999, 1E-999999999, 0.30000000000000004441]"
    )
    assert good.document == [
        *(
            12,
            -12,
            Decimal("0.1"),
            123456789012345678,
            Decimal("1e-9"),
            0,
            0,
            Decimal("0.30000000000000004441"),
        )
    ]
    assert not good.out_of_range


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1970-01-01",
        "2026" * 1000,
    ],
)
def test_moments_of_no_range_are_none(text: str) -> None:
    assert moment_of(text) is None


@pytest.mark.parametrize("value", ["9" * 5000, "٣" * 5000, "--5", Decimal("1e999999"), Decimal("1e-999999")])
def test_numbers_of_no_range_are_none(value: object) -> None:
    assert whole_number(value) is None
    assert seconds_of("1e308") is None


def test_what_the_history_shows_is_kept_small() -> None:
    long = Prediction.model_validate(
        {
            "id": "a",
            "model": "m" * 5000,
            "status": "s" * 5000,
            "input": {"prompt": "p" * 10**6, "images": ["a"]},
        }
    )
    assert (long.model, long.status) == ("", "created")
    assert long.input == {"prompt": "p" * 20_000, "images": ["a"]}
    many = Prediction.model_validate(
        {"id": "a", "input": {"images": ["a"] * 10_000}, "outputs": ["u"] * 10_000}
    )
    assert many.input is None
    assert len(many.outputs) == 100


# --- any answer at all ---------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.sampled_from(
        ["1e99999999", "-1e99999999", "1e-99999999", "9" * 400, "NaN", "Infinity", "0", "-0.0", "1e30"]
    ),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
MOMENTS = st.sampled_from(
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "2026-11-21T10:00:00Z",
        "24:00",
        "2026-02-30T00:00:00Z",
    ]
)
WORDS = ["deduct", "refund", PREDICTION_ID, "https://[", "\ud800", "a\r\nb"]
TEXTS = st.one_of(
    st.text(max_size=12),
    MOMENTS,
    NUMBERS,
    st.sampled_from(WORDS),
).map(json.dumps)
KEYS = st.sampled_from(
    [
        *(
            "id",
            "uuid",
            "data",
            "code",
            "message",
            "error",
            "status",
            "model",
            "outputs",
            "created_at",
            "input",
        ),
        *(
            "items",
            "price",
            "discounted_price",
            "discount_rate",
            "currency",
            "balance",
            "billing_type",
            "prediction",
        ),
        *("timings", "inference", "executionTime", "has_nsfw_contents", "upload", "url", "headers", "method"),
        *("download_url", "deleted_count", "models", "prompt", "images"),
    ]
)


def _list(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def _object(items: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in items.items()) + "}"


VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.sampled_from(["null", "true", "false", "{}", "[]", "[" * 70 + "]" * 70])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(_list), st.dictionaries(KEYS, inner, max_size=6).map(_object)
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    VALUES,
    VALUES.map(lambda data: f'{{"code":200,"data":{data}}}'),
    VALUES.map(lambda item: f'{{"code":200,"data":{{"items":[{item}]}}}}'),
)
CALLS: dict[str, Callable[[WaveSpeedClient], Awaitable[Any]]] = {
    "submit": _submit,
    "result": _result,
    "history": lambda client: client.read_history(SINCE),
    "newest": lambda client: client.newest("m/edit"),
    "billings": lambda client: client.billings([PREDICTION_ID], expected={PREDICTION_ID: 28_000}),
    "all billings": lambda client: client.billings(),
    "price": lambda client: client.price("m/edit", {}),
    "balance": lambda client: client.balance(),
    "delete": lambda client: client.delete(["a"]),
    "models": lambda client: client.models(),
    "upload": lambda client: client.upload(b"bytes", filename="a.png", media_type="image/png"),
}
HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "retry-after-ms"]),
    st.sampled_from(
        ["1e999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +1200", "-1", ""]
    ),
)


@pytest.mark.parametrize("call", CALLS)
@settings(deadline=None, max_examples=60)
@given(
    body=BODIES, headers=HEADERS, status=st.sampled_from([200, 200, 200, 201, 302, 400, 401, 404, 429, 500])
)
def test_no_answer_raises_anything_but_our_own_errors(
    call: str, body: str, headers: dict[str, str], status: int
) -> None:
    async def asked() -> None:
        script = Script(
            httpx.Response(status, content=body.encode("utf-8", "surrogatepass"), headers=headers)
        )
        async with script.client(max_tries=1) as client:
            with contextlib.suppress(CampaignError):
                await CALLS[call](client)
            # What was learnt of the service's clock can still be reckoned with.
            assert SINCE + timedelta(seconds=client.clock.low) < SINCE + timedelta(seconds=client.clock.high)

    asyncio.run(asked())
