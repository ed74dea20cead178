"""Every fault of the fault file, seen by a client, and what the books say about it."""

import io
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from PIL import Image
from simulator_support import Simulator, eventually, picture, simulator_thread

from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT
from simulator.faults import Rule

SUBMIT = f"/api/v3/{IMAGE_EDIT}"


def on_submit(word: str, **action: Any) -> dict[str, Any]:
    return {"on": "submit", "prompt_contains": f"[{word}]", **action}


def on_result(word: str, **action: Any) -> dict[str, Any]:
    return {"on": "result", "prompt_contains": f"[{word}]", **action}


def on_download(word: str, **action: Any) -> dict[str, Any]:
    return {"on": "download", "prompt_contains": f"[{word}]", **action}


RULES: list[dict[str, Any]] = [
    on_submit("503", do="http_status", status=503, message="busy"),
    on_submit("429 seconds", do="http_status", status=429, retry_after=1.5),
    on_submit("429 ms", do="http_status", status=429, retry_after=1.5, retry_after_form="milliseconds"),
    on_submit("429 date", do="http_status", status=429, retry_after=90, retry_after_form="http_date"),
    on_submit("502", do="html_gateway"),
    on_submit("504", do="html_gateway", status=504),
    on_submit("reset", do="reset"),
    on_submit("lost", do="lose_reply"),
    on_submit("lost as html", do="lose_reply_as_html", status=504),
    on_submit("lost as 500", do="lose_reply_as_5xx"),
    on_submit("lost as 429", do="lose_reply_as_4xx", retry_after=1.5),
    on_submit("lost as 403", do="lose_reply_as_4xx", status=403, message="no", error_code="NOT_ALLOWED"),
    on_submit("403", do="http_status", status=403, message="no", error_code="NOT_ALLOWED"),
    on_submit("no id", do="no_id"),
    on_submit("no outputs", do="outputs_later"),
    on_submit("later outputs", do="outputs_later", seconds=0.3),
    on_submit("late", do="delay", seconds=0.2),
    on_submit("odd code", do="envelope_code", code=1500, message="odd"),
    on_submit("stuck", do="stuck"),
    on_submit("reviewed", do="unknown_status", status="reviewing", looks=2),
    on_submit("fewer", do="fewer_outputs", outputs=1),
    on_submit("none", do="fewer_outputs", outputs=0),
    on_submit("all nsfw", do="nsfw"),
    on_submit("second nsfw", do="nsfw", flagged=[2]),
    on_submit("only composed", do="http_status", status=418, model=IMAGE_COMPOSITION),
    on_submit("both", do="fewer_outputs", outputs=2),
    on_submit("both", do="nsfw", flagged=[1]),
    on_submit("both", do="lose_reply"),
    on_submit("both", do="http_status", status=418),
    on_result("odd looks", nth=[1, 3], do="unknown_status", status="odd"),
    on_result("result 500", times=2, do="http_status", status=500),
    on_download("truncated", do="truncated", fraction=0.25),
    on_download("slow", do="slow", bytes_per_second=4_000),
    on_download("endless", do="endless"),
    on_download("html", do="wrong_type"),
    on_download("gif", do="wrong_bytes"),
    on_download("moved", do="redirect", url="http://10.0.0.1/picture.png"),
    on_download("gone", do="http_status", status=404, times=1),
]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    home = tmp_path_factory.mktemp("simulator") / "home"
    with simulator_thread(home, faults={"rules": RULES}) as running:
        yield running


@pytest.fixture(scope="module")
def picture_url(simulator: Simulator) -> str:
    return simulator.upload(picture())


def attempt(simulator: Simulator, url: str, word: str, **inputs: Any) -> httpx.Response:
    return simulator.http.post(SUBMIT, json={"prompt": f"a car [{word}]", "image": url, **inputs})


def accepted(simulator: Simulator, word: str) -> list[str]:
    """Ids of the predictions that the books have for a word, each billed once."""
    found = [each for each in simulator.books.predictions() if f"[{word}]" in each.prompt]
    billed = [charge.prediction_id for charge in simulator.books.charges() if charge.kind == "deduct"]
    assert all(billed.count(each.id) == 1 for each in found)
    return [each.id for each in found]


def output(simulator: Simulator, url: str, word: str) -> str:
    prediction_id = attempt(simulator, url, word).json()["data"]["id"]
    result = eventually(lambda: simulator.finished(prediction_id))
    return str(result["outputs"][0])


@pytest.mark.parametrize(
    ("word", "status", "message"), [("503", 503, "busy"), ("429 seconds", 429, "HTTP 429")]
)
def test_an_error_status_performs_nothing(
    simulator: Simulator, picture_url: str, word: str, status: int, message: str
) -> None:
    response = attempt(simulator, picture_url, word)
    assert response.status_code == status
    assert response.json() == {"code": status, "message": message}
    assert response.headers["x-simulated"] == "kling-campaigns"
    assert accepted(simulator, word) == []


def test_retry_after_in_its_forms(simulator: Simulator, picture_url: str) -> None:
    assert attempt(simulator, picture_url, "429 seconds").headers["retry-after"] == "2"
    assert attempt(simulator, picture_url, "429 ms").headers["retry-after-ms"] == "1500"
    dated = attempt(simulator, picture_url, "429 date").headers
    wait = parsedate_to_datetime(dated["retry-after"]) - parsedate_to_datetime(dated["date"])
    assert 89 <= wait.total_seconds() <= 91
    assert "retry-after" not in attempt(simulator, picture_url, "503").headers


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_page(simulator: Simulator, picture_url: str, status: int) -> None:
    response = attempt(simulator, picture_url, str(status))
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert "<html>" in response.text
    assert accepted(simulator, str(status)) == []


def test_a_reset_drops_the_connection_and_performs_nothing(simulator: Simulator, picture_url: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        attempt(simulator, picture_url, "reset")
    assert accepted(simulator, "reset") == []
    call = simulator.books.calls(SUBMIT)[-1]
    assert (call.status, call.fault, call.prediction_id) == (None, "reset", None)


def test_a_lost_reply_was_accepted_and_billed(simulator: Simulator, picture_url: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        attempt(simulator, picture_url, "lost")
    (prediction_id,) = accepted(simulator, "lost")
    assert simulator.finished(prediction_id)["status"] == "completed"
    (call,) = [each for each in simulator.books.calls(SUBMIT) if each.prediction_id == prediction_id]
    assert (call.status, call.fault) == (None, "lose_reply")


@pytest.mark.parametrize(
    ("word", "status", "kind"), [("lost as html", 504, "html"), ("lost as 500", 500, "json")]
)
def test_an_error_may_hide_an_accepted_prediction(
    simulator: Simulator, picture_url: str, word: str, status: int, kind: str
) -> None:
    response = attempt(simulator, picture_url, word)
    assert response.status_code == status
    assert kind in response.headers["content-type"]
    (prediction_id,) = accepted(simulator, word)
    assert prediction_id not in response.text
    assert simulator.finished(prediction_id)["status"] == "completed"


def test_an_answer_without_an_id(simulator: Simulator, picture_url: str) -> None:
    response = attempt(simulator, picture_url, "no id")
    (prediction_id,) = accepted(simulator, "no id")
    assert response.status_code == 200
    assert response.json()["data"]["model"] == IMAGE_EDIT
    assert prediction_id not in response.text


def test_a_delay_delays(simulator: Simulator, picture_url: str) -> None:
    before = time.monotonic()
    assert attempt(simulator, picture_url, "late").status_code == 200
    assert time.monotonic() - before >= 0.2
    assert len(accepted(simulator, "late")) == 1


def test_another_code_in_the_envelope(simulator: Simulator, picture_url: str) -> None:
    response = attempt(simulator, picture_url, "odd code")
    assert (response.status_code, response.json()) == (200, {"code": 1500, "message": "odd"})
    assert accepted(simulator, "odd code") == []


CODES = (1200, 1400, 1401, 1402, 1403, 1405, 1407, 5000, 5003, 5004)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    rules = [on_submit(f"code {code}", do="fail_prediction", code=code) for code in CODES]
    rules += [
        on_submit(status, do="fail_prediction", status=status, message="so it is")
        for status in ("cancelled", "timeout")
    ]
    with simulator_thread(tmp_path_factory.mktemp("failing"), faults={"rules": rules}) as running:
        yield running


@pytest.mark.parametrize("code", CODES)
def test_predictions_fail_with_every_code(failing: Simulator, code: int) -> None:
    url = failing.upload(picture())
    result = failing.finished(attempt(failing, url, f"code {code}").json()["data"]["id"])
    assert (result["status"], result["code"], result["outputs"]) == ("failed", code, [])
    assert result["error"]
    assert len(accepted(failing, f"code {code}")) == 1


@pytest.mark.parametrize("status", ["cancelled", "timeout"])
def test_predictions_end_in_every_status_and_are_refunded(failing: Simulator, status: str) -> None:
    url = failing.upload(picture())
    result = failing.finished(attempt(failing, url, status).json()["data"]["id"])
    assert (result["status"], result["code"], result["error"]) == (status, 5000, "so it is")
    eventually(
        lambda: [
            each
            for each in failing.books.charges()
            if (each.kind, each.prediction_id, each.amount) == ("refund", result["id"], 28_000)
        ]
    )


def test_a_stuck_prediction_never_ends(simulator: Simulator, picture_url: str) -> None:
    stuck = attempt(simulator, picture_url, "stuck").json()["data"]["id"]
    later = attempt(simulator, picture_url, "no fault").json()["data"]["id"]
    assert simulator.finished(later)["status"] == "completed"
    assert simulator.result(stuck)["status"] == "processing"


def test_an_unknown_status_for_a_number_of_looks(simulator: Simulator, picture_url: str) -> None:
    prediction_id = attempt(simulator, picture_url, "reviewed").json()["data"]["id"]
    assert [simulator.result(prediction_id)["status"] for _ in range(2)] == ["reviewing"] * 2
    assert simulator.finished(prediction_id)["status"] == "completed"


def test_an_unknown_status_in_chosen_answers(simulator: Simulator, picture_url: str) -> None:
    prediction_id = attempt(simulator, picture_url, "odd looks").json()["data"]["id"]
    statuses = [simulator.result(prediction_id)["status"] for _ in range(4)]
    assert [status == "odd" for status in statuses] == [True, False, True, False]


def test_a_rule_ends_after_so_many_times(simulator: Simulator, picture_url: str) -> None:
    prediction_id = attempt(simulator, picture_url, "result 500").json()["data"]["id"]
    looks = [simulator.http.get(f"/api/v3/predictions/{prediction_id}/result") for _ in range(3)]
    assert [look.status_code for look in looks] == [500, 500, 200]
    failed = [call for call in simulator.books.calls("/api/v3/predictions/") if call.status == 500]
    assert {call.prediction_id for call in failed} == {prediction_id}


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("lost as 429", 429, {"code": 429, "message": "HTTP 429"}),
        ("lost as 403", 403, {"code": 403, "message": "no", "error_code": "NOT_ALLOWED"}),
    ],
)
def test_a_refusal_may_hide_that_the_request_was_accepted(
    simulator: Simulator, picture_url: str, word: str, status: int, said: dict[str, Any]
) -> None:
    response = attempt(simulator, picture_url, word)
    assert (response.status_code, response.json()) == (status, said)
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)
    (prediction_id,) = accepted(simulator, word)
    assert simulator.finished(prediction_id)["status"] == "completed"


def test_an_error_may_have_a_word_for_its_cause(simulator: Simulator, picture_url: str) -> None:
    response = attempt(simulator, picture_url, "403")
    assert response.json() == {"code": 403, "message": "no", "error_code": "NOT_ALLOWED"}
    assert accepted(simulator, "403") == []


def test_outputs_that_never_come(simulator: Simulator, picture_url: str) -> None:
    prediction_id = attempt(simulator, picture_url, "no outputs").json()["data"]["id"]
    done = simulator.finished(prediction_id)
    assert (done["status"], done["outputs"], done["code"]) == ("completed", [], 0)
    # They were made, and only are not shown.
    assert len(simulator.books.outputs([prediction_id])) == 1
    assert simulator.result(prediction_id) == done


def test_outputs_that_come_later_than_the_end(simulator: Simulator, picture_url: str) -> None:
    prediction_id = attempt(simulator, picture_url, "later outputs").json()["data"]["id"]
    eventually(lambda: simulator.result(prediction_id)["outputs"])
    row = simulator.books.prediction(prediction_id)
    assert row is not None
    assert row.ended_at is not None
    assert time.time_ns() - row.ended_at >= 300_000_000
    assert simulator.result(prediction_id)["has_nsfw_contents"] == [False]


@pytest.mark.parametrize(("word", "count"), [("fewer", 1), ("none", 0)])
def test_fewer_outputs_than_were_paid_for(
    simulator: Simulator, picture_url: str, word: str, count: int
) -> None:
    submitted = attempt(simulator, picture_url, word, num_images=3).json()["data"]
    result = simulator.finished(submitted["id"])
    assert (result["status"], len(result["outputs"])) == ("completed", count)
    row = simulator.books.prediction(submitted["id"])
    assert row is not None
    assert row.price == 84_000


@pytest.mark.parametrize(("word", "flags"), [("all nsfw", [True, True]), ("second nsfw", [False, True])])
def test_flagged_outputs(simulator: Simulator, picture_url: str, word: str, flags: list[bool]) -> None:
    submitted = attempt(simulator, picture_url, word, num_images=2).json()["data"]
    assert simulator.finished(submitted["id"])["has_nsfw_contents"] == flags


def test_a_rule_for_one_model(simulator: Simulator, picture_url: str) -> None:
    assert attempt(simulator, picture_url, "only composed").status_code == 200
    composed = {"prompt": "[only composed]", "images": [picture_url]}
    assert simulator.http.post(f"/api/v3/{IMAGE_COMPOSITION}", json=composed).status_code == 418


def test_fates_add_up_and_the_first_answer_wins(simulator: Simulator, picture_url: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        attempt(simulator, picture_url, "both", num_images=3)
    (prediction_id,) = accepted(simulator, "both")
    assert simulator.finished(prediction_id)["has_nsfw_contents"] == [True, False]
    (call,) = [each for each in simulator.books.calls(SUBMIT) if each.prediction_id == prediction_id]
    assert call.fault == "fewer_outputs,nsfw,lose_reply"


def test_a_truncated_download(simulator: Simulator, picture_url: str) -> None:
    url = output(simulator, picture_url, "truncated")
    received = b""
    with httpx.stream("GET", url, trust_env=False) as response:
        assert int(response.headers["content-length"]) == len(picture())
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - the error comes between two pieces
            for piece in response.iter_raw():
                received += piece
    assert received == picture()[: len(picture()) // 4]


def test_a_slow_download_arrives(simulator: Simulator, picture_url: str) -> None:
    url = output(simulator, picture_url, "slow")
    before = time.monotonic()
    assert httpx.get(url, trust_env=False).content == picture()
    assert time.monotonic() - before >= 0.9 * len(picture()) / 4_000


def test_an_endless_download_goes_on_until_one_hangs_up(simulator: Simulator, picture_url: str) -> None:
    url = output(simulator, picture_url, "endless")
    received = 0
    with httpx.stream("GET", url, trust_env=False) as response:
        assert "content-length" not in response.headers
        for piece in response.iter_raw():
            received += len(piece)
            if received > 50 * len(picture()) + 1_000_000:
                break
    assert received > 1_000_000
    assert simulator.data("GET", "/api/v3/balance")["balance"] > 0


def test_a_page_instead_of_a_picture(simulator: Simulator, picture_url: str) -> None:
    response = httpx.get(output(simulator, picture_url, "html"), trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.text.startswith("<!doctype html>")


def test_another_medium_than_announced(simulator: Simulator, picture_url: str) -> None:
    response = httpx.get(output(simulator, picture_url, "gif"), trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(response.content)) as found:
        assert (found.format, found.size) == ("GIF", (1, 1))


def test_a_redirected_download(simulator: Simulator, picture_url: str) -> None:
    response = httpx.get(output(simulator, picture_url, "moved"), trust_env=False)
    assert (response.status_code, response.headers["location"]) == (302, "http://10.0.0.1/picture.png")


def test_a_download_that_comes_at_the_second_time(simulator: Simulator, picture_url: str) -> None:
    url = output(simulator, picture_url, "gone")
    assert [httpx.get(url, trust_env=False).status_code for _ in range(2)] == [404, 200]


def test_every_action_is_tested_here() -> None:
    actions = [get_args(each.model_fields["do"].annotation)[0] for each in get_args(get_args(Rule)[0])]
    text = Path(__file__).read_text()
    assert len(actions) == 22
    assert [name for name in actions if f'do="{name}"' not in text and f'"{name}"' not in text] == []
