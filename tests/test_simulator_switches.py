"""Each open point of the API is a switch of the simulated service, and each reading of it can be had."""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from simulator_support import Simulator, clip, eventually, picture, simulator_thread

from simulator.catalogue import IMAGE_EDIT, VIDEO_EDIT
from simulator.errors import FaultsInvalid
from simulator.faults import load_faults
from simulator.switches import Switches

SUBMIT = f"/api/v3/{IMAGE_EDIT}"


def switched(
    home: Path, *, rules: list[dict[str, Any]] | None = None, level: str = "silver", **switches: Any
) -> AbstractContextManager[Simulator]:
    return simulator_thread(home, faults={"switches": switches, "rules": rules or []}, level=level)


def edit(simulator: Simulator, **inputs: Any) -> dict[str, Any]:
    return {"prompt": "x", "image": simulator.upload(picture()), **inputs}


def history_item(simulator: Simulator, **query: Any) -> dict[str, Any]:
    (item,) = simulator.data("POST", "/api/v3/predictions", json=query)["items"]
    assert isinstance(item, dict)
    return item


@pytest.mark.parametrize("key", ["input", "inputs"])
def test_history_echoes_what_was_sent_under_either_key(tmp_path: Path, key: str) -> None:
    with switched(tmp_path, history_input=key) as simulator:
        inputs = edit(simulator)
        simulator.submit(IMAGE_EDIT, inputs)
        item = history_item(simulator)
        assert item[key] == inputs
        assert {"input", "inputs"} & set(item) == {key}


def test_history_shows_what_was_sent_where_it_is_asked_to(tmp_path: Path) -> None:
    with switched(tmp_path) as simulator:
        assert Switches().history_input == "on_request"
        inputs = edit(simulator)
        submitted = simulator.submit(IMAGE_EDIT, inputs)
        assert set(history_item(simulator)) == set(submitted)
        assert set(history_item(simulator, include_inputs=False)) == set(submitted)
        assert history_item(simulator, include_inputs=True)["input"] == inputs


def test_a_service_may_refuse_to_be_asked_for_what_was_sent(tmp_path: Path) -> None:
    with switched(tmp_path, include_inputs="refused") as simulator:
        submitted = simulator.submit(IMAGE_EDIT, edit(simulator))
        refused = simulator.http.post("/api/v3/predictions", json={"include_inputs": True})
        assert refused.status_code == refused.json()["code"] == 400
        assert "include_inputs" in refused.json()["message"]
        assert set(history_item(simulator)) == set(submitted)


def test_history_without_what_was_sent(tmp_path: Path) -> None:
    with switched(tmp_path, history_input="none") as simulator:
        submitted = simulator.submit(IMAGE_EDIT, edit(simulator))
        assert set(history_item(simulator, include_inputs=True)) == set(submitted)


def test_history_may_rewrite_the_urls_of_uploads(tmp_path: Path) -> None:
    with switched(tmp_path, history_urls="rewritten") as simulator:
        inputs = edit(simulator, foreign="https://example.com/a.png", none="http://[bad/a.png")
        simulator.submit(IMAGE_EDIT, inputs)
        echoed = history_item(simulator, include_inputs=True)["input"]
        assert echoed["image"] != inputs["image"]
        assert {**echoed, "image": None} == {**inputs, "image": None}
        assert httpx.get(echoed["image"], trust_env=False).content == picture()


def test_a_single_output_may_be_a_string(tmp_path: Path) -> None:
    with switched(tmp_path, outputs="string") as simulator:
        inputs = edit(simulator)
        one = simulator.submit(IMAGE_EDIT, inputs)
        assert one["outputs"] == ""
        url = simulator.finished(one["id"])["outputs"]
        assert httpx.get(url, trust_env=False).status_code == 200
        two = simulator.submit(IMAGE_EDIT, {**inputs, "num_images": 2})
        assert len(simulator.finished(two["id"])["outputs"]) == 2


@pytest.mark.parametrize("form", ["none", "seconds", "milliseconds", "http_date"])
def test_over_the_rate_is_429_with_each_form_of_retry_after(tmp_path: Path, form: str) -> None:
    with switched(tmp_path, level="bronze", retry_after=form) as simulator:
        inputs = edit(simulator)
        for _ in range(2):
            simulator.submit(IMAGE_EDIT, inputs)
        refused = simulator.http.post(SUBMIT, json=inputs)
        assert refused.status_code == 429
        assert refused.json() == {"code": 429, "message": "2 predictions per 1 minute"}
        assert len(simulator.books.predictions()) == 2
        # Videos are counted apart.
        simulator.submit(VIDEO_EDIT, {"prompt": "x", "video": simulator.upload(clip(), "clip.mp4")})
        header = refused.headers.get("retry-after")
        match form:
            case "none":
                assert header is None
                assert "retry-after-ms" not in refused.headers
            case "seconds":
                assert 50 <= int(header) <= 60
            case "milliseconds":
                assert 50_000 <= int(refused.headers["retry-after-ms"]) <= 60_000
            case "http_date":
                wait = parsedate_to_datetime(header) - parsedate_to_datetime(refused.headers["date"])
                assert timedelta(seconds=50) <= wait <= timedelta(seconds=61)


def test_a_minute_passes(tmp_path: Path) -> None:
    with switched(tmp_path, level="bronze", minute_seconds=0.2) as simulator:
        inputs = edit(simulator)
        for _ in range(2):
            simulator.submit(IMAGE_EDIT, inputs)
        eventually(lambda: simulator.http.post(SUBMIT, json=inputs).status_code == 200)
        first, _, third = simulator.books.predictions()
        assert third.created_at - first.created_at >= 200_000_000


STUCK = [{"on": "submit", "prompt_contains": "stuck", "do": "stuck"}]


def test_above_the_concurrency_predictions_queue(tmp_path: Path) -> None:
    with switched(tmp_path, level="bronze", minute_seconds=0.001, rules=STUCK) as simulator:
        inputs = edit(simulator)
        stuck = [simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "stuck"})["id"] for _ in range(2)]
        eventually(lambda: simulator.result(stuck[1])["status"] == "processing")
        queued = simulator.submit(IMAGE_EDIT, inputs)["id"]
        # Looks take their turn in the service's one event loop, in which a free place would be taken at once.
        assert [simulator.result(queued)["status"] for _ in range(20)] == ["created"] * 20


def test_above_the_concurrency_may_be_429(tmp_path: Path) -> None:
    with switched(
        tmp_path, level="bronze", minute_seconds=0.001, rules=STUCK, over_concurrency="429"
    ) as simulator:
        inputs = edit(simulator)
        for _ in range(2):
            simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "stuck"})
        refused = simulator.http.post(SUBMIT, json=inputs)
        assert refused.status_code == 429
        assert refused.json()["message"] == "You have reached your concurrency limit"
        assert len(simulator.books.charges()) == 2


@pytest.mark.parametrize(("reading", "millionths"), [("exact", 1_500_000), ("rounded_up", 1_800_000)])
def test_fractional_seconds_are_billed_exactly_or_rounded_up(
    tmp_path: Path, reading: str, millionths: int
) -> None:
    with switched(tmp_path, fractional_seconds=reading) as simulator:
        url = simulator.upload(clip(100), "clip.mp4")
        simulator.submit(VIDEO_EDIT, {"prompt": "x", "video": url})
        assert simulator.books.charged_total() == millionths


def test_the_video_price_may_be_another(tmp_path: Path) -> None:
    with switched(tmp_path, video_usd_per_second="0.168") as simulator:
        url = simulator.upload(clip(100), "clip.mp4")
        inputs = {"prompt": "x", "video": url}
        quote = simulator.data("POST", "/api/v3/model/price", json={"model_id": VIDEO_EDIT, "inputs": inputs})
        assert quote["price"] == 0.7
        simulator.submit(VIDEO_EDIT, inputs)
        assert simulator.books.charged_total() == 700_000


def test_a_discount_is_what_one_pays(tmp_path: Path) -> None:
    with switched(tmp_path, discount_rate="0.1") as simulator:
        inputs = edit(simulator)
        quote = simulator.data("POST", "/api/v3/model/price", json={"model_id": IMAGE_EDIT, "inputs": inputs})
        assert (quote["price"], quote["discounted_price"], quote["discount_rate"]) == (0.028, 0.0252, 0.1)
        simulator.submit(IMAGE_EDIT, inputs)
        assert simulator.books.charged_total() == 25_200


def test_prices_and_bills_may_be_dearer_than_the_list_and_the_quote(tmp_path: Path) -> None:
    with switched(tmp_path, price_factor="1.5", bill_factor="2", currency="EUR") as simulator:
        inputs = edit(simulator)
        quote = simulator.data("POST", "/api/v3/model/price", json={"model_id": IMAGE_EDIT, "inputs": inputs})
        assert (quote["price"], quote["discounted_price"], quote["currency"]) == (0.042, 0.042, "EUR")
        simulator.submit(IMAGE_EDIT, inputs)
        assert simulator.books.charged_total() == 84_000


def test_a_price_may_name_no_currency(tmp_path: Path) -> None:
    with switched(tmp_path, currency="") as simulator:
        asked = {"model_id": IMAGE_EDIT, "inputs": edit(simulator)}
        assert "currency" not in simulator.data("POST", "/api/v3/model/price", json=asked)


def test_a_charge_may_come_late_into_the_billing_record(tmp_path: Path) -> None:
    with switched(tmp_path, billing_lag_seconds=3_600) as simulator:
        simulator.submit(IMAGE_EDIT, edit(simulator))
        assert simulator.books.charged_total() == 28_000
        assert simulator.data("POST", "/api/v3/billings/search", json={})["items"] == []


@pytest.mark.parametrize(("uuids", "different"), [("own", 2), ("shared", 1)])
def test_a_refund_may_have_its_deduction_s_uuid(tmp_path: Path, uuids: str, different: int) -> None:
    with switched(tmp_path, rules=FAILING, billing_uuids=uuids, refund_after_seconds=0) as simulator:
        simulator.submit(IMAGE_EDIT, edit(simulator) | {"prompt": "other"})

        def both() -> list[dict[str, Any]]:
            found = simulator.data("POST", "/api/v3/billings/search", json={})["items"]
            return list(found) if len(found) == 2 else []

        lines = eventually(both)
        assert {line["billing_type"] for line in lines} == {"deduct", "refund"}
        assert len({line["uuid"] for line in lines}) == different


@pytest.mark.parametrize(
    ("reading", "status", "code"),
    [("http_400", 400, 400), ("http_402", 402, 402), ("envelope_1407", 200, 1407)],
)
def test_credit_runs_out_and_is_topped_up(tmp_path: Path, reading: str, status: int, code: int) -> None:
    with switched(tmp_path, starting_credit_usd="0.05", insufficient_credit=reading) as simulator:
        inputs = edit(simulator)
        simulator.submit(IMAGE_EDIT, inputs)
        refused = simulator.http.post(SUBMIT, json=inputs)
        assert refused.status_code == status
        assert refused.json() == {
            "code": code,
            "message": "Insufficient credits. Please top up your account to continue.",
        }
        assert len(simulator.books.predictions()) == 1
        simulator.books.top_up(6_000)
        assert simulator.data("GET", "/api/v3/balance") == {"balance": 0.028}
        simulator.submit(IMAGE_EDIT, inputs)
        assert simulator.books.balance() == 0
        assert simulator.books.charged_total() == 56_000


def test_credit_may_run_out_as_a_failed_prediction(tmp_path: Path) -> None:
    with switched(tmp_path, starting_credit_usd="0", insufficient_credit="prediction_1407") as simulator:
        result = simulator.finished(simulator.submit(IMAGE_EDIT, edit(simulator))["id"])
        assert (result["status"], result["code"]) == ("failed", 1407)
        assert "Insufficient credits" in result["error"]
        assert simulator.books.charges() == []


@pytest.mark.parametrize("charged_at", ["acceptance", "end"])
def test_a_prediction_is_charged_when_it_is_accepted_or_when_it_completes(
    tmp_path: Path, charged_at: str
) -> None:
    with switched(tmp_path, rules=STUCK, charged_at=charged_at, starting_credit_usd="0.06") as simulator:
        inputs = edit(simulator)
        stuck = simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "stuck"})["id"]
        at_once = charged_at == "acceptance"
        assert simulator.data("GET", "/api/v3/balance") == {"balance": 0.032 if at_once else 0.06}
        assert simulator.books.charged_total() == (28_000 if at_once else 0)
        query = {"prediction_uuids": [stuck]}
        items = simulator.data("POST", "/api/v3/billings/search", json=query)["items"]
        assert [item["prediction"]["uuid"] for item in items] == ([stuck] if at_once else [])
        done = simulator.submit(IMAGE_EDIT, inputs)["id"]
        simulator.finished(done)
        assert [each.prediction_id for each in simulator.books.charges()] == (
            [stuck, done] if at_once else [done]
        )
        # What is in work has been promised its money, whenever that is taken.
        assert simulator.http.post(SUBMIT, json=inputs).status_code == 400
        simulator.books.change(stuck, fate={})
    # A service that charges at another time from now on charges nobody twice, and nobody not at all.
    with switched(tmp_path, charged_at="end" if at_once else "acceptance") as simulator:
        simulator.finished(stuck)
        assert [each.prediction_id for each in simulator.books.charges()].count(stuck) == 1
        assert simulator.data("GET", "/api/v3/balance") == {"balance": 0.004}


def test_what_fails_before_it_is_charged_is_not_refunded(tmp_path: Path) -> None:
    with switched(tmp_path, rules=FAILING, charged_at="end", refund_after_seconds=0) as simulator:
        inputs = edit(simulator)
        failed = simulator.finished(simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "other"})["id"])
        done = simulator.finished(simulator.submit(IMAGE_EDIT, inputs)["id"])
        assert (failed["status"], done["status"]) == ("failed", "completed")
        assert [(each.kind, each.prediction_id) for each in simulator.books.charges()] == [
            ("deduct", done["id"])
        ]
        assert simulator.books.to_carry_on() == []


@pytest.mark.parametrize("form", ["hex", "colon", "slash", "number", "long"])
def test_ids_have_one_form_in_every_answer(tmp_path: Path, form: str) -> None:
    with switched(tmp_path, id_form=form) as simulator:
        submitted = simulator.submit(IMAGE_EDIT, edit(simulator))
        shown = submitted["id"]
        (row,) = simulator.books.predictions()
        assert (
            shown
            == {
                "hex": row.id,
                "colon": f"prediction:{row.id}",
                "slash": f"prediction/{row.id}",
                "number": int(row.id, 16),
                "long": row.id * 5,
            }[form]
        )
        done = eventually(lambda: shown_as_done(simulator.http.get(submitted["urls"]["get"])))
        assert done["id"] == shown
        assert simulator.finished(quote(str(shown), safe=""))["id"] == shown
        assert simulator.result(f"{quote(str(shown), safe='')}")["id"] == shown
        assert history_item(simulator)["id"] == shown
        query = {"prediction_uuids": [shown]}
        (line,) = simulator.data("POST", "/api/v3/billings/search", json=query)["items"]
        assert line["prediction"]["uuid"] == shown
        assert simulator.http.get(f"/api/v3/predictions/{'0' * 31}x/result").status_code == 404
        if form != "hex":
            assert simulator.http.get(f"/api/v3/predictions/{row.id}/result").status_code == 404
        deleted = simulator.data("POST", "/api/v3/predictions/delete", json={"ids": [shown]})
        assert deleted == {"deleted_count": 1}
        assert {call.prediction_id for call in simulator.books.calls(SUBMIT)} == {row.id}


def shown_as_done(response: httpx.Response) -> dict[str, Any] | None:
    data = response.json()["data"]
    assert isinstance(data, dict)
    return data if data["status"] == "completed" else None


FAILING = [
    {"on": "submit", "prompt_contains": "bad", "do": "fail_prediction", "code": 1200},
    {"on": "submit", "prompt_contains": "other", "do": "fail_prediction", "code": 5000},
]


@pytest.mark.parametrize("refunded", [True, False])
def test_a_moderated_prediction_is_refunded_or_not(tmp_path: Path, refunded: bool) -> None:
    with switched(tmp_path, rules=FAILING, moderation_refunded=refunded) as simulator:
        inputs = edit(simulator)
        moderated = simulator.finished(simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "bad"})["id"])
        assert moderated["code"] == 1200
        assert moderated["error"].startswith("Content flagged as potentially sensitive.")
        other = simulator.finished(simulator.submit(IMAGE_EDIT, {**inputs, "prompt": "other"})["id"])

        def refunds() -> list[str | None] | None:
            paid = [each.prediction_id for each in simulator.books.charges() if each.kind == "refund"]
            return paid if other["id"] in paid else None

        assert (moderated["id"] in eventually(refunds)) is refunded


def test_refunds_come_later(tmp_path: Path) -> None:
    faults = {"switches": {"refund_after_seconds": 3_600}, "rules": FAILING}
    with simulator_thread(tmp_path, clock=1e-4, faults=faults) as simulator:
        result = simulator.finished(simulator.submit(IMAGE_EDIT, edit(simulator, prompt="other"))["id"])
        refund = eventually(lambda: [each for each in simulator.books.charges() if each.kind == "refund"])[0]
        row = simulator.books.prediction(result["id"])
        assert row is not None
        assert row.ended_at is not None
        assert refund.at - row.ended_at >= 360_000_000
        assert (refund.amount, refund.model) == (28_000, IMAGE_EDIT)
        assert simulator.books.charged_total() == 0
        assert simulator.data("GET", "/api/v3/balance") == {"balance": 1_000.0}


def test_the_ticket_upload_may_be_missing(tmp_path: Path) -> None:
    with switched(tmp_path, ticket_upload=False) as simulator:
        sent = {"filename": "a.png", "size": 3}
        assert simulator.http.post("/api/v3/media/uploads", json=sent).status_code == 404
        data = simulator.data("POST", "/api/v3/media/upload/binary", files={"file": ("a.png", b"abc")})
        assert httpx.get(data["download_url"], trust_env=False).content == b"abc"


def test_errors_may_stand_under_another_name(tmp_path: Path) -> None:
    with switched(tmp_path, error_field="error") as simulator:
        refused = simulator.http.post(SUBMIT, json={})
        assert set(refused.json()) == {"code", "error"}


@pytest.mark.parametrize(("reading", "price"), [("dollars", 0.028), ("millionths", 28_000)])
def test_billings_are_in_dollars_or_millionths(tmp_path: Path, reading: str, price: float) -> None:
    with switched(tmp_path, billing_amounts=reading) as simulator:
        simulator.submit(IMAGE_EDIT, edit(simulator))
        (line,) = simulator.data("POST", "/api/v3/billings/search", json={})["items"]
        assert line["price"] == line["order"]["price"] == line["order"]["origin_price"] == price


@pytest.mark.parametrize("digits", [3, 6, 9])
def test_timestamps_have_three_to_nine_digits(tmp_path: Path, digits: int) -> None:
    with switched(tmp_path, timestamp_digits=digits) as simulator:
        created = simulator.submit(IMAGE_EDIT, edit(simulator))["created_at"]
        whole, _, fraction = created.partition(".")
        assert len(fraction) == digits + 1
        assert fraction.endswith("Z")
        assert abs(datetime.fromisoformat(f"{whole}Z") - datetime.now(UTC)) < timedelta(seconds=10)


def test_the_service_may_have_another_time(tmp_path: Path) -> None:
    with switched(tmp_path, clock_skew_seconds=-3_600) as simulator:
        before = datetime.now(UTC) - timedelta(hours=1, seconds=1)
        response = simulator.http.post(SUBMIT, json=edit(simulator))
        created = datetime.fromisoformat(response.json()["data"]["created_at"])
        assert timedelta(0) <= created - before < timedelta(seconds=10)
        shown = parsedate_to_datetime(response.headers["date"])
        assert abs(shown - created) < timedelta(seconds=3)
        items = simulator.data(
            "POST", "/api/v3/predictions", json={"created_before": (created + timedelta(1)).isoformat()}
        )
        assert len(items["items"]) == 1
        now = datetime.now(UTC).isoformat()
        assert simulator.data("POST", "/api/v3/predictions", json={"created_after": now})["items"] == []


def test_uploads_outputs_and_history_expire(tmp_path: Path) -> None:
    with switched(tmp_path) as simulator:
        inputs = edit(simulator)
        done = simulator.finished(simulator.submit(IMAGE_EDIT, inputs)["id"])
    with switched(tmp_path, expiry_seconds=0.001) as simulator:
        old_address = done["outputs"][0].partition("/files")
        path = f"/files{old_address[2]}"
        assert simulator.http.get(path).status_code == 404
        assert simulator.http.get(f"/files{inputs['image'].partition('/files')[2]}").status_code == 404
        assert simulator.data("POST", "/api/v3/predictions", json={})["items"] == []
        again = simulator.finished(simulator.submit(IMAGE_EDIT, inputs)["id"])
        assert (again["status"], again["code"]) == ("failed", 1402)


def test_a_slow_prediction_ends_the_patience_of_sync_mode(tmp_path: Path) -> None:
    with switched(tmp_path, rules=STUCK, sync_mode_seconds=0.01) as simulator:
        inputs = edit(simulator, prompt="stuck", enable_sync_mode=True)
        answer = simulator.submit(IMAGE_EDIT, inputs)
        assert (answer["status"], answer["code"]) == ("processing", 5004)
        assert answer["error"].startswith("Sync mode timed out")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"switch": {}}, "faults: switch: Extra inputs are not permitted"),
        ({"switches": {"histroy_input": "none"}}, "switches.histroy_input"),
        ({"switches": {"history_input": "maybe"}}, "'on_request', 'input', 'inputs' or 'none'"),
        ({"rules": [{"on": "submit", "do": "explode"}]}, "rules.0"),
        ({"rules": [{"on": "submit", "do": "delay", "second": 1}]}, "rules.0.delay.second"),
        ({"rules": [{"on": "submit", "do": "truncated"}]}, "works on download, not on submit"),
        ({"rules": [{"on": "balance", "do": "reset", "model": "x"}]}, "model and prompt_contains match on"),
        ({"rules": [{"on": "submit", "do": "reset", "nth": [1], "every": 2}]}, "one of nth, every and"),
    ],
)
def test_a_wrong_fault_file_is_explained(document: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultsInvalid, match=r"faults: ") as caught:
        load_faults(document)
    assert said in str(caught.value)


def test_every_problem_of_a_fault_file_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"switches": {"a": 1, "b": 2}, "rules": [{"on": "submit"}]}))
    with pytest.raises(FaultsInvalid) as caught:
        load_faults(file)
    assert str(caught.value).count(str(file)) == 3
    file.write_text("{")
    with pytest.raises(FaultsInvalid, match="no JSON document"):
        load_faults(file)
    with pytest.raises(FaultsInvalid, match="cannot be read"):
        load_faults(tmp_path / "none.json")


def test_every_switch_is_tested() -> None:
    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_simulator_*.py"))
    assert [
        name for name in Switches.model_fields if f"{name}=" not in text and f'"{name}"' not in text
    ] == []
