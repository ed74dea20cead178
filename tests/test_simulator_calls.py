"""The simulated service call by call, over HTTP: answers, checks, prices, books."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from simulator_support import KEY, Simulator, clip, picture, simulator_thread

from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT, VIDEO_EDIT


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulator_thread(tmp_path_factory.mktemp("simulator") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def picture_url(simulator: Simulator) -> str:
    return simulator.upload(picture())


@pytest.fixture(scope="module")
def clip_url(simulator: Simulator) -> str:
    return simulator.upload(clip(), "clip.mp4")


def edit(url: str, **inputs: Any) -> dict[str, Any]:
    return {"prompt": "a red car", "image": url, **inputs}


def refusal(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    envelope = response.json()
    assert envelope["code"] == status
    return str(envelope["message"])


def test_a_prediction_from_submit_to_download(simulator: Simulator, picture_url: str) -> None:
    submitted = simulator.submit(IMAGE_EDIT, edit(picture_url, num_images=2))
    assert len(submitted["id"]) == 32
    assert int(submitted["id"], 16) > 0
    assert submitted["model"] == IMAGE_EDIT
    assert (submitted["status"], submitted["outputs"]) == ("created", [])
    assert submitted["urls"]["get"] == f"{simulator.url}/api/v3/predictions/{submitted['id']}/result"

    result = simulator.finished(submitted["id"])
    assert result["status"] == "completed"
    assert (result["code"], result["error"]) == (0, "")
    assert result["has_nsfw_contents"] == [False, False]
    assert result["created_at"] == submitted["created_at"]
    row = simulator.books.prediction(submitted["id"])
    assert row is not None
    assert row.started_at is not None
    assert row.ended_at is not None
    assert result["timings"]["inference"] == (row.ended_at - row.started_at) // 1_000_000
    assert result == simulator.data("GET", f"/api/v3/predictions/{submitted['id']}")

    assert len(result["outputs"]) == 2
    download = httpx.get(result["outputs"][1], trust_env=False)
    assert download.content == picture()
    assert download.headers["content-type"] == "image/png"
    outputs = simulator.books.outputs([submitted["id"]])
    assert [output.number for output in outputs] == [1, 2]
    assert outputs[0].sha256 == hashlib.sha256(picture()).hexdigest()


def test_every_answer_is_marked_and_dated(simulator: Simulator, picture_url: str) -> None:
    done = simulator.finished(simulator.submit(IMAGE_EDIT, edit(picture_url))["id"])
    answers = [
        simulator.http.get("/api/v3/balance"),
        simulator.http.get("/api/v3/balance", headers={"Authorization": ""}),
        simulator.http.get("/nowhere"),
        simulator.http.post("/api/v3/no/such/model", json={}),
        httpx.get(done["outputs"][0], trust_env=False),
        httpx.put(f"{simulator.url}/files/incoming/unknown", content=b"x", trust_env=False),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 404, 200, 404]
    for answer in answers:
        assert answer.headers.get_list("x-simulated") == ["kling-campaigns"]
        assert len(answer.headers.get_list("date")) == 1
        assert abs(parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong-key", f"Basic {KEY}"])
def test_another_key_is_refused(simulator: Simulator, header: str) -> None:
    response = httpx.get(
        f"{simulator.url}/api/v3/balance", headers={"Authorization": header}, trust_env=False
    )
    assert "Unauthorized" in refusal(response, 401)


@pytest.mark.parametrize(
    ("model", "inputs", "named"),
    [
        (IMAGE_EDIT, {"image": "URL"}, "prompt"),
        (IMAGE_EDIT, {"prompt": " ", "image": "URL"}, "prompt"),
        (IMAGE_EDIT, {"prompt": "x" * 2_501, "image": "URL"}, "prompt"),
        (IMAGE_EDIT, {"prompt": "x"}, "image"),
        (IMAGE_EDIT, {"prompt": "x", "image": "picture.png"}, "image"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "aspect_ratio": "auto"}, "aspect_ratio"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "resolution": "4k"}, "resolution"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "num_images": 0}, "num_images"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "num_images": 10}, "num_images"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "num_images": "2"}, "num_images"),
        (IMAGE_EDIT, {"prompt": "x", "image": "URL", "output_format": "jpg"}, "output_format"),
        (IMAGE_COMPOSITION, {"prompt": "x", "images": []}, "images"),
        (IMAGE_COMPOSITION, {"prompt": "x", "images": ["URL"] * 11}, "images"),
        (IMAGE_COMPOSITION, {"prompt": "x", "images": ["URL"], "aspect_ratio": "5:4"}, "aspect_ratio"),
        (VIDEO_EDIT, {"prompt": "x"}, "video"),
        (VIDEO_EDIT, {"prompt": "x", "video": "URL", "images": ["URL"] * 5}, "images"),
        (VIDEO_EDIT, {"prompt": "x", "video": "URL", "keep_original_sound": "yes"}, "keep_original_sound"),
    ],
)
def test_bad_parameters_are_refused_and_cost_nothing(
    simulator: Simulator, picture_url: str, model: str, inputs: dict[str, Any], named: str
) -> None:
    before = simulator.books.charged_total()
    sent = json.loads(json.dumps(inputs).replace('"URL"', json.dumps(picture_url)))
    assert f"{named}" in refusal(simulator.http.post(f"/api/v3/{model}", json=sent), 400)
    assert simulator.books.charged_total() == before


def test_what_is_no_json_object_is_refused(simulator: Simulator) -> None:
    path = f"/api/v3/{IMAGE_EDIT}"
    assert "JSON" in refusal(simulator.http.post(path, content=b"{"), 400)
    assert "object" in refusal(simulator.http.post(path, json=[1]), 400)


def test_an_unknown_key_is_dropped_silently_and_billed(simulator: Simulator, picture_url: str) -> None:
    submitted = simulator.submit(IMAGE_EDIT, edit(picture_url, num_image=9, strength=0.4))
    row = simulator.books.prediction(submitted["id"])
    assert row is not None
    assert row.input == edit(picture_url, num_image=9, strength=0.4)
    assert "num_image" not in row.parameters
    assert (row.parameters["num_images"], row.price) == (1, 28_000)


@pytest.mark.parametrize(
    ("model", "inputs", "millionths"),
    [
        (IMAGE_EDIT, {}, 28_000),
        (IMAGE_EDIT, {"num_images": 9, "resolution": "2k"}, 252_000),
        (IMAGE_COMPOSITION, {"num_images": 3}, 84_000),
        (IMAGE_COMPOSITION, {"num_images": 2, "resolution": "4k"}, 112_000),
    ],
)
def test_price_and_charge_of_pictures(
    simulator: Simulator, picture_url: str, model: str, inputs: dict[str, Any], millionths: int
) -> None:
    media = {"image": picture_url} if model == IMAGE_EDIT else {"images": [picture_url]}
    sent = {"prompt": "x", **media, **inputs}
    quote = simulator.data("POST", "/api/v3/model/price", json={"model_id": model, "inputs": sent})
    assert quote["model_id"] == model
    assert quote["price"] == quote["discounted_price"] == millionths / 1_000_000
    before = simulator.books.charged_total(model)
    balance = simulator.data("GET", "/api/v3/balance")["balance"]
    simulator.submit(model, sent)
    assert simulator.books.charged_total(model) - before == millionths
    after = simulator.data("GET", "/api/v3/balance")["balance"]
    assert round((balance - after) * 1_000_000) == millionths


@pytest.mark.parametrize(
    ("frames", "millionths"),
    [
        (24, 1_080_000),  # a second is billed as three
        (100, 1_500_000),  # 4.1666… s exactly
        (241, 3_600_000),  # ten seconds and a frame are ten
    ],
)
def test_a_clip_is_billed_by_its_exact_length(simulator: Simulator, frames: int, millionths: int) -> None:
    url = simulator.upload(clip(frames), "clip.mp4")
    inputs = {"prompt": "x", "video": url}
    quote = simulator.data("POST", "/api/v3/model/price", json={"model_id": VIDEO_EDIT, "inputs": inputs})
    assert quote["price"] == millionths / 1_000_000
    submitted = simulator.submit(VIDEO_EDIT, inputs)
    (charge,) = [each for each in simulator.books.charges() if each.prediction_id == submitted["id"]]
    assert (charge.kind, charge.amount) == ("deduct", millionths)


def test_asking_for_a_price_is_free_and_checks_what_it_is_asked(simulator: Simulator) -> None:
    before = simulator.books.charged_total()
    path = "/api/v3/model/price"
    assert "model" in refusal(simulator.http.post(path, json={"model_id": "no/such", "inputs": {}}), 404)
    wrong = {"model_id": IMAGE_EDIT, "inputs": {"prompt": "x", "num_images": 10}}
    assert "num_images" in refusal(simulator.http.post(path, json=wrong), 400)
    unreadable = {"prompt": "x", "video": f"{simulator.url}/files/uploads/{'0' * 32}/clip.mp4"}
    refusal(simulator.http.post(path, json={"model_id": VIDEO_EDIT, "inputs": unreadable}), 400)
    assert simulator.books.charged_total() == before


def test_history_is_newest_first_in_pages_and_filtered(
    simulator: Simulator, picture_url: str, clip_url: str
) -> None:
    pictures = [simulator.submit(IMAGE_EDIT, edit(picture_url, num_images=n))["id"] for n in (1, 2, 3)]
    video = simulator.submit(VIDEO_EDIT, {"prompt": "x", "video": clip_url})["id"]
    for prediction_id in (*pictures, video):
        simulator.finished(prediction_id)

    def history(**query: Any) -> list[str]:
        data = simulator.data("POST", "/api/v3/predictions", json=query)
        return [item["id"] for item in data["items"]]

    newest = [video, *reversed(pictures)]
    assert history(page_size=4) == newest
    assert history(page=2, page_size=2) == newest[2:4]
    assert history(model=VIDEO_EDIT, page_size=1) == [video]
    assert history(model=IMAGE_EDIT, page_size=3) == newest[1:]
    assert history(status="completed", page_size=4) == newest
    assert history(status="processing") == []
    second = simulator.result(pictures[1])["created_at"]
    assert set(history(created_after=second)) >= {pictures[1], pictures[2], video}
    assert (
        pictures[0] not in history(created_after=second)
        or second == (simulator.result(pictures[0])["created_at"])
    )
    assert history(created_before="2020-01-01T00:00:00Z") == []
    assert history(sort="created_at ASC")[-4:] == list(reversed(newest))
    assert history(sort="created_at desc", page_size=1) == [video]
    wanted = {"page_size": 1, "include_inputs": True}
    item = simulator.data("POST", "/api/v3/predictions", json=wanted)["items"][0]
    assert item["input"] == {"prompt": "x", "video": clip_url}
    assert {key: item[key] for key in simulator.result(video)} == simulator.result(video)


@pytest.mark.parametrize(
    "query", [{"page": 0}, {"page_size": 0}, {"page_size": 101}, {"created_after": "x"}, {"sort": "price"}]
)
def test_history_checks_its_query(simulator: Simulator, query: dict[str, Any]) -> None:
    assert next(iter(query)) in refusal(simulator.http.post("/api/v3/predictions", json=query), 400)


def test_deleted_predictions_leave_the_history_and_their_outputs(
    simulator: Simulator, picture_url: str
) -> None:
    done = simulator.finished(simulator.submit(IMAGE_EDIT, edit(picture_url))["id"])
    ids = {"ids": [done["id"], "0" * 32]}
    assert simulator.data("POST", "/api/v3/predictions/delete", json=ids) == {"deleted_count": 1}
    assert simulator.data("POST", "/api/v3/predictions/delete", json=ids) == {"deleted_count": 0}
    shown = simulator.result(done["id"])
    assert (shown["status"], shown["outputs"]) == ("deleted", [])
    items = simulator.data("POST", "/api/v3/predictions", json={"page_size": 100})["items"]
    assert done["id"] not in [item["id"] for item in items]
    gone = simulator.data("POST", "/api/v3/predictions", json={"status": "deleted"})["items"]
    assert done["id"] in [item["id"] for item in gone]
    assert httpx.get(done["outputs"][0], trust_env=False).status_code == 404
    assert simulator.books.charged_total(IMAGE_EDIT) > 0


def test_an_unknown_prediction_is_not_found(simulator: Simulator) -> None:
    assert "not found" in refusal(simulator.http.get(f"/api/v3/predictions/{'0' * 32}/result"), 404)


def test_billings_are_searched_by_kind_prediction_time_and_page(
    simulator: Simulator, picture_url: str
) -> None:
    before = datetime.now(UTC).isoformat()
    ids = [simulator.submit(IMAGE_EDIT, edit(picture_url))["id"] for _ in range(3)]

    def search(**query: Any) -> list[str]:
        data = simulator.data("POST", "/api/v3/billings/search", json=query)
        return [item["prediction"]["uuid"] for item in data["items"]]

    assert search(start_time=before, billing_type="deduct") == list(reversed(ids))
    assert search(start_time=before, billing_type="deduct", page=2, page_size=2) == ids[:1]
    assert search(start_time=before, sort="created_at ASC") == ids
    assert search(prediction_uuids=ids[:1]) == ids[:1]
    assert search(end_time="2020-01-01T00:00:00Z") == []
    assert "billing_type" in refusal(
        simulator.http.post("/api/v3/billings/search", json={"billing_type": "gift"}), 400
    )
    line = simulator.data("POST", "/api/v3/billings/search", json={"prediction_uuids": ids[:1]})["items"][0]
    assert (line["billing_type"], line["price"]) == ("deduct", 0.028)
    assert line["prediction"]["model_uuid"] == IMAGE_EDIT
    assert line["order"] == {"uuid": line["uuid"], "state": "paid", "price": 0.028, "origin_price": 0.028}
    page = simulator.data("POST", "/api/v3/billings/search", json={"start_time": before, "page_size": 2})
    assert (page["total"], page["has_more"]) == (3, True)
    page = simulator.data(
        "POST", "/api/v3/billings/search", json={"start_time": before, "page_size": 2, "page": 2}
    )
    assert (page["total"], page["has_more"]) == (3, False)
    assert search(start_time=before, model_uuid=VIDEO_EDIT) == []
    assert search(start_time=before, model_uuid=IMAGE_EDIT) == list(reversed(ids))


def test_the_catalogue_has_the_schemas_of_the_three_models(simulator: Simulator) -> None:
    models = {model["model_id"]: model for model in simulator.data("GET", "/api/v3/models")}
    assert set(models) == {IMAGE_EDIT, IMAGE_COMPOSITION, VIDEO_EDIT}
    schema = models[VIDEO_EDIT]["api_schema"]["api_schemas"][0]
    assert schema["api_path"] == f"/api/v3/{VIDEO_EDIT}"
    assert schema["request_schema"]["required"] == ["prompt", "video"]
    assert models[VIDEO_EDIT]["base_price"] == 1.8
    assert "duration" in models[VIDEO_EDIT]["formula"]
    ratio = models[IMAGE_COMPOSITION]["api_schema"]["api_schemas"][0]["request_schema"]
    assert ratio["x-order-properties"][:3] == ["prompt", "images", "aspect_ratio"]
    assert ratio["properties"]["aspect_ratio"]["type"] == "string"
    assert ratio["properties"]["aspect_ratio"]["enum"][-2:] == ["21:9", "auto"]
    assert "anyOf" not in str(ratio)


def test_sync_mode_answers_with_the_end_and_is_no_input(simulator: Simulator, picture_url: str) -> None:
    done = simulator.submit(IMAGE_EDIT, edit(picture_url, enable_sync_mode=True))
    assert done["status"] == "completed"
    assert len(done["outputs"]) == 1
    row = simulator.books.prediction(done["id"])
    assert row is not None
    assert row.input == edit(picture_url)


def test_the_journal_counts_every_call(simulator: Simulator, picture_url: str) -> None:
    path = f"/api/v3/{IMAGE_EDIT}"
    before = len(simulator.books.calls(path))
    submitted = simulator.submit(IMAGE_EDIT, edit(picture_url))
    refusal(simulator.http.post(path, json={}), 400)
    good, bad = simulator.books.calls(path)[before:]
    assert (good.method, good.path, good.status, good.prediction_id) == ("POST", path, 200, submitted["id"])
    assert (bad.status, bad.prediction_id) == (400, None)
    assert good.at < bad.at
    assert simulator.books.calls("/api/v3/%") == []
