"""Reading predictions in every form that the service gives them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_service import PREDICTION_ID, prediction

from blocks.errors import (
    AccountRefused,
    InputNotFetched,
    Moderated,
    PredictionFailed,
    RequestRefused,
    ServerSideFailure,
    ServiceError,
)
from blocks.wavespeed import Prediction
from blocks.wavespeed.envelope import read_answer

CREATED = datetime(2026, 11, 6, 8, 49, 37, tzinfo=UTC)


def read(**fields: Any) -> Prediction:
    return Prediction.model_validate(prediction(**fields))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-06T08:49:37Z", CREATED),
        ("2026-11-06T08:49:37.123Z", CREATED + timedelta(milliseconds=123)),
        ("2026-11-06T08:49:37.123456Z", CREATED + timedelta(microseconds=123456)),
        ("2026-11-06T08:49:37.123456789Z", CREATED + timedelta(microseconds=123456)),
        ("2026-11-06T10:49:37.1234567+02:00", CREATED + timedelta(microseconds=123456)),
        ("2026-11-06T08:49:37", None),  # of which zone?
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-06t08:49:37z", CREATED),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1793954977, None),
    ],
)
def test_created_at(text: object, moment: datetime | None) -> None:
    assert read(created_at=text).created_at == moment


@pytest.mark.parametrize(
    ("outputs", "read_as"),
    [
        (["https://a/1.png", "https://a/2.png"], ("https://a/1.png", "https://a/2.png")),
        ("https://a/1.png", ("https://a/1.png",)),
        (None, ()),
        ([], ()),
        ("", ()),
        ([None, "https://a/1.png", 3], ("https://a/1.png",)),
        ({"no": "list"}, ()),
    ],
)
def test_outputs(outputs: object, read_as: tuple[str, ...]) -> None:
    assert read(outputs=outputs).outputs == read_as


@pytest.mark.parametrize(
    ("flags", "read_as"),
    [([True, False], (True, False)), (None, ()), (False, (False,)), ([None, "x"], (True, True))],
)
def test_flags(flags: object, read_as: tuple[bool, ...]) -> None:
    assert read(has_nsfw_contents=flags).has_nsfw_contents == read_as


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "timeout", "deleted", "COMPLETED"])
def test_statuses_that_end(status: str) -> None:
    assert read(status=status).ended


@pytest.mark.parametrize("status", ["created", "processing", "queued", "a new one", "", None, 7])
def test_any_other_status_waits(status: object) -> None:
    found = read(status=status)
    assert not found.ended
    found.raise_for_outcome()


def test_odd_fields() -> None:
    found = read(
        code="1403",
        error={"message": "broken", "trace": [1]},
        executionTime="812",
        timings={"inference": 45210, "queue": 3},
        inputs={"prompt": "a"},
        something="new",
    )
    assert found.code == 1403
    assert found.error == "broken"
    assert found.execution_time == 812
    assert found.inference_seconds == 45.21
    assert found.input == {"prompt": "a"}
    plain = read(input={"prompt": "b"}, timings=None, error=None, executionTime=None, code=None)
    assert plain.input == {"prompt": "b"}
    assert plain.inference_seconds is None
    assert plain.error == ""
    assert plain.code == 0
    assert read(timings={"inference": -1}).inference_seconds is None
    assert read(timings={"inference": "NaN"}).inference_seconds is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*Prediction.model_fields, "executionTime", "timings", "inputs", "urls"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_an_id_is_never_lost_to_odd_fields(fields: dict[str, Any]) -> None:
    text = json.dumps({**fields, "id": PREDICTION_ID})
    answer = read_answer(200, httpx.Headers(), b'{"code":200,"data":' + text.encode() + b"}")
    assert Prediction.model_validate(answer.data).id == PREDICTION_ID


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_answer_is_too_odd_to_be_read(body: bytes) -> None:
    answer = read_answer(200, httpx.Headers(), body)
    assert answer.described().isprintable()


@pytest.mark.parametrize(
    ("status", "code", "error", "raised"),
    [
        ("failed", 1200, "no", Moderated),
        (
            "failed",
            0,
            "Content flagged as potentially sensitive. Please try different prompts or images.",
            Moderated,
        ),
        ("failed", 1400, "bad", RequestRefused),
        ("failed", 1401, "bad", RequestRefused),
        ("failed", 1402, "cannot fetch", InputNotFetched),
        ("failed", 1403, "broke", PredictionFailed),
        ("failed", 1405, "broke", PredictionFailed),
        ("failed", 1407, "credits", AccountRefused),
        ("failed", 5000, "", ServerSideFailure),
        ("failed", 5003, "", ServerSideFailure),
        ("failed", 5004, "", ServerSideFailure),
        ("failed", 0, "upstream said HTTP 503", ServerSideFailure),
        ("failed", 0, "", PredictionFailed),
        ("failed", 9999, "new", PredictionFailed),
        ("cancelled", 0, "", PredictionFailed),
        ("timeout", 5004, "", PredictionFailed),
        ("deleted", 0, "", PredictionFailed),
    ],
)
def test_how_a_prediction_ends_badly(status: str, code: int, error: str, raised: type[ServiceError]) -> None:
    with pytest.raises(ServiceError) as caught:
        read(status=status, code=code, error=error).raise_for_outcome()
    assert type(caught.value) is raised
    assert caught.value.prediction_id == PREDICTION_ID
    assert PREDICTION_ID in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_paid_for_is_kept_whatever_else_is_said() -> None:
    read(status="completed", outputs=["https://a/1.png"], code=1403, error="late trouble").raise_for_outcome()


@pytest.mark.parametrize("code", [0, 1403])
def test_what_completed_without_outputs_has_not_failed(code: int) -> None:
    empty = read(status="completed", code=code)
    empty.raise_for_outcome()
    assert (empty.ended, empty.completed, empty.without_outputs) == (True, True, True)
    assert not read(status="completed", outputs=["https://a/1.png"]).without_outputs
    assert not read(status="failed").without_outputs


def test_succeeded_is_completed_where_its_outputs_are_there() -> None:
    done = read(status="Succeeded", outputs=["https://a/1.png"])
    assert (done.ended, done.completed, done.without_outputs) == (True, True, False)
    done.raise_for_outcome()
    waiting = read(status="succeeded")
    assert (waiting.ended, waiting.completed, waiting.without_outputs) == (False, False, False)
