"""The calls of the API beside submit and result that official clients make, and the older names of some."""

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from simulator_support import KEY, Simulator, SimulatorProcess, clip, eventually, picture, simulator_thread

from blocks.errors import AccountRefused
from blocks.wavespeed import WaveSpeedClient
from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT, VIDEO_EDIT
from simulator.inline_media import inline_bytes, is_inline


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator_thread(tmp_path_factory.mktemp("simulator")) as running:
        yield running


def price(simulator: Simulator, model: str, **inputs: Any) -> float:
    asked = {"model_id": model, "inputs": inputs}
    quoted = simulator.data("POST", "/api/v3/model/price", json=asked)["price"]
    assert isinstance(quoted, float)
    return quoted


def test_a_price_is_asked_for_with_parts_of_a_request(simulator: Simulator) -> None:
    assert price(simulator, IMAGE_EDIT) == 0.028
    assert price(simulator, IMAGE_EDIT, num_images=3) == 0.084
    assert price(simulator, IMAGE_COMPOSITION, prompt="x", resolution="4k") == 0.056
    # A clip that is not shown costs what the shortest costs: such a quote is worth nothing.
    assert price(simulator, VIDEO_EDIT, prompt="x") == 1.08
    long_clip = simulator.upload(clip(120), "clip.mp4")
    assert price(simulator, VIDEO_EDIT, video=long_clip) == 1.8
    assert simulator.data("POST", "/api/v3/model/price", json={"model_id": IMAGE_EDIT})["price"] == 0.028


def test_the_legacy_call_for_a_price(simulator: Simulator) -> None:
    asked = {"model_id": IMAGE_EDIT, "inputs": {"num_images": 2}}
    assert simulator.data("POST", "/api/v3/model/pricing", json=asked) == {
        "model_id": IMAGE_EDIT,
        "unit_price": 0.056,
        "currency": "USD",
    }
    assert simulator.http.post("/api/v3/model/pricing", json={"model_id": "no/such"}).status_code == 404


def test_result_and_binary_upload_have_an_older_path_as_well(simulator: Simulator) -> None:
    file = {"file": ("a.png", picture(), "image/png")}
    url = simulator.data("POST", "/api/v2/media/upload/binary", files=file)["download_url"]
    submitted = simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": url})
    done = simulator.finished(submitted["id"])
    assert simulator.data("GET", f"/api/v2/predictions/{done['id']}/result") == done
    assert simulator.http.post(f"/api/v2/{IMAGE_EDIT}", json={}).status_code == 404


@pytest.mark.parametrize("form", ["data:image/png;base64,{}", "{}"])
def test_pictures_may_stand_in_the_request(simulator: Simulator, form: str) -> None:
    inline = form.format(base64.b64encode(picture()).decode())
    submitted = simulator.submit(IMAGE_COMPOSITION, {"prompt": "x", "images": [inline]})
    assert simulator.finished(submitted["id"])["status"] == "completed"
    row = simulator.books.prediction(submitted["id"])
    assert row is not None
    assert row.input["images"] == [inline]
    (output,) = simulator.books.outputs([submitted["id"]])
    assert output.size == len(picture())  # the quick renderer writes what it was given


def test_a_clip_may_stand_in_the_request_and_is_measured(simulator: Simulator) -> None:
    inline = f"data:video/mp4;base64,{base64.b64encode(clip(120)).decode()}"
    assert price(simulator, VIDEO_EDIT, video=inline) == 1.8


@pytest.mark.parametrize(
    ("value", "inline"),
    [
        ("data:image/png;base64,QUJD", True),
        ("DATA:image/svg+xml;BASE64,QUJD", True),
        ("data:image/png,QUJD", False),
        ("data:image/png;base64,QU JD", False),
        ("QUJD" * 16, True),
        ("QUJD" * 15, False),
        ("https://example.com/" + "QUJD" * 20, False),
    ],
)
def test_what_has_the_form_of_a_medium(value: str, inline: bool) -> None:
    assert is_inline(value) is inline


def test_damaged_base64_is_no_medium(simulator: Simulator) -> None:
    assert inline_bytes("data:image/png;base64,QUJD") == b"ABC"
    with pytest.raises(ValueError, match="damaged") as caught:
        inline_bytes("data:image/png;base64,QUJ")
    assert isinstance(caught.value.__cause__, binascii.Error)
    submitted = simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": "data:image/png;base64,QUJ"})
    assert simulator.finished(submitted["id"])["code"] == 1402
    refused = simulator.http.post(f"/api/v3/{IMAGE_EDIT}", json={"prompt": "x", "image": "a picture"})
    assert refused.status_code == 400
    assert "data URI" in refused.json()["message"]


def test_outputs_may_be_asked_for_in_the_answer(simulator: Simulator) -> None:
    inputs = {"prompt": "x", "image": simulator.upload(picture()), "enable_base64_output": True}
    submitted = simulator.submit(IMAGE_EDIT, {**inputs, "enable_sync_mode": True})
    (output,) = submitted["outputs"]
    assert output == f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    assert simulator.result(submitted["id"])["outputs"] == [output]
    before = len(simulator.books.predictions())
    refused = simulator.http.post(
        f"/api/v3/{IMAGE_EDIT}", json=inputs, params={"webhook": "https://example.com/hook"}
    )
    assert refused.status_code == 400
    assert "webhook" in refused.json()["message"]
    assert len(simulator.books.predictions()) == before


def usage(simulator: Simulator, **query: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {
        "start_time": (now - timedelta(hours=1)).isoformat(),
        "end_time": (now + timedelta(hours=1)).isoformat(),
    }
    found = simulator.data("POST", "/api/v3/user/usage_stats", json={**times, **query})
    assert isinstance(found, dict)
    return found


def test_usage_is_summed_up_by_model_and_by_day(tmp_path: Path) -> None:
    failing = {"on": "submit", "prompt_contains": "bad", "do": "fail_prediction"}
    with simulator_thread(tmp_path, faults={"rules": [failing]}) as simulator:
        url = simulator.upload(picture())
        for prompt in ("good", "bad"):
            simulator.finished(simulator.submit(IMAGE_EDIT, {"prompt": prompt, "image": url})["id"])
        video = {"prompt": "x", "video": simulator.upload(clip(120), "clip.mp4")}
        simulator.finished(simulator.submit(VIDEO_EDIT, video)["id"])
        eventually(lambda: [each for each in simulator.books.charges() if each.kind == "refund"])
        found = usage(simulator)
        assert found["summary"] == {"total_cost": 1.828, "total_requests": 3, "success_requests": 2}
        by_model = {each["model_uuid"]: each for each in found["per_model_usage"]}
        assert set(by_model) == {IMAGE_EDIT, VIDEO_EDIT}
        picture_usage = by_model[IMAGE_EDIT]
        assert (picture_usage["total_cost"], picture_usage["total_count"]) == (0.028, 2)
        assert (picture_usage["model_type"], picture_usage["unit_price"]) == ("image-to-image", 0.028)
        days = found["daily_usage"]
        assert sum(Decimal(str(day["amount"])) for day in days) == Decimal("1.828")
        assert sum(each["count"] for day in days for each in day["models"]) == 3
        assert {each["last_used_date"] for each in found["per_model_usage"]} <= {day["date"] for day in days}
        assert usage(simulator, model_uuid=VIDEO_EDIT)["summary"]["total_cost"] == 1.8
        long_ago = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-31T00:00:00Z"}
        assert usage(simulator, **long_ago)["summary"]["total_requests"] == 0


@pytest.mark.parametrize(
    ("start", "end"),
    [("2020-01-01T00:00:00Z", "2020-02-02T00:00:00Z"), ("2020-01-02T00:00:00Z", "2020-01-01")],
)
def test_usage_is_told_of_31_days_at_most(simulator: Simulator, start: str, end: str) -> None:
    refused = simulator.http.post("/api/v3/user/usage_stats", json={"start_time": start, "end_time": end})
    assert refused.status_code == 400
    assert "31 days" in refused.json()["message"]


def test_a_service_may_not_sum_up_usage(tmp_path: Path) -> None:
    with simulator_thread(tmp_path, faults={"switches": {"usage_stats": "missing"}}) as simulator:
        assert simulator.http.post("/api/v3/user/usage_stats", json={}).status_code == 404


def test_a_deduction_and_its_refund_may_share_their_uuid(tmp_path: Path) -> None:
    switches = {"billing_uuids": "shared", "refund_after_seconds": 0}
    failing = {"on": "submit", "do": "fail_prediction"}
    with simulator_thread(tmp_path, faults={"switches": switches, "rules": [failing]}) as simulator:
        submitted = simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": simulator.upload(picture())})

        def lines() -> list[dict[str, Any]] | None:
            found = simulator.data("POST", "/api/v3/billings/search", json={})["items"]
            return found if len(found) == 2 else None

        refund, deduction = eventually(lines)
        assert (refund["billing_type"], deduction["billing_type"]) == ("refund", "deduct")
        assert refund["uuid"] == deduction["uuid"] != submitted["id"]
        assert (refund["order"]["state"], deduction["order"]["state"]) == ("refunded", "paid")


def test_the_price_before_the_discount_stands_on_the_bill(tmp_path: Path) -> None:
    with simulator_thread(tmp_path, faults={"switches": {"discount_rate": "0.1"}}) as simulator:
        simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": simulator.upload(picture())})
        (line,) = simulator.data("POST", "/api/v3/billings/search", json={})["items"]
        assert (line["order"]["price"], line["order"]["origin_price"]) == (0.0252, 0.028)


async def test_a_prediction_of_the_newer_names_is_read_as_the_same(tmp_path: Path) -> None:
    switches = {"statuses": "newer", "nsfw_flags": "null"}
    with simulator_thread(tmp_path, faults={"switches": switches}) as simulator:
        url = simulator.upload(picture())
        submitted = simulator.submit(IMAGE_EDIT, {"prompt": "x", "image": url})
        assert (submitted["status"], submitted["has_nsfw_contents"]) == ("queued", None)
        done = eventually(lambda: ended(simulator, submitted["id"]))
        assert (done["status"], done["has_nsfw_contents"]) == ("succeeded", None)
        for status in ("succeeded", "completed"):
            query = {"status": status}
            items = simulator.data("POST", "/api/v3/predictions", json=query)["items"]
            assert [item["id"] for item in items] == [done["id"]]
        async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
            found = await client.result(done["id"])
        assert found.completed
        assert found.outputs == tuple(done["outputs"])
        assert found.has_nsfw_contents == ()


def ended(simulator: Simulator, prediction_id: str) -> dict[str, Any] | None:
    found = simulator.result(prediction_id)
    return found if found["outputs"] else None


@pytest.mark.parametrize(("reading", "status"), [("documented", "failed"), ("any", "completed")])
def test_pictures_of_other_formats_are_refused_or_taken(tmp_path: Path, reading: str, status: str) -> None:
    faults = {"switches": {"picture_inputs": reading}}
    with SimulatorProcess(tmp_path / "home", clock=0.0001, faults=faults) as process:
        simulator = Simulator(process.url, process.home, renderer=None)  # type: ignore[arg-type] # the real one
        try:
            url = simulator.upload(picture("WEBP"), "a.webp")
            submitted = simulator.submit(IMAGE_COMPOSITION, {"prompt": "x", "images": [url]})
            done = eventually(lambda: ended_at_all(simulator, submitted["id"]), seconds=60)
            assert done["status"] == status
        finally:
            simulator.close()


def ended_at_all(simulator: Simulator, prediction_id: str) -> dict[str, Any] | None:
    found = simulator.result(prediction_id)
    return found if found["status"] in {"completed", "failed"} else None


async def test_the_whole_bill_is_read_and_a_refusal_with_a_word_for_its_cause_is_one(tmp_path: Path) -> None:
    forbidden = {"on": "balance", "do": "http_status", "status": 403, "error_code": "NOT_ALLOWED"}
    switches = {"billing_uuids": "shared", "refund_after_seconds": 0}
    failing = {"on": "submit", "prompt_contains": "bad", "do": "fail_prediction"}
    faults = {"switches": switches, "rules": [forbidden, failing]}
    with simulator_thread(tmp_path, faults=faults) as simulator:
        url = simulator.upload(picture())
        made = [
            simulator.submit(IMAGE_EDIT, {"prompt": prompt, "image": url})["id"] for prompt in ("good", "bad")
        ]
        eventually(lambda: [each for each in simulator.books.charges() if each.kind == "refund"])
        async with WaveSpeedClient(SecretStr(KEY), simulator.url) as client:
            lines = await client.billings()
            with pytest.raises(AccountRefused, match="may not do this"):
                await client.balance()
        kinds = sorted((made.index(line.prediction_id), line.kind) for line in lines)
        assert kinds == [(0, "deduct"), (1, "deduct"), (1, "refund")]
