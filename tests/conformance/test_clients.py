"""Every official client does its work with the simulator, and the simulator's books say what that was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simulator_support import KEY, Simulator, clip, picture, simulator_thread

from conformance.clients import ALL, ClientRefused, OfficialClient
from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT, VIDEO_EDIT
from simulator.media import OUTPUTS_PATH, UPLOADS_PATH
from simulator.records import Call, Prediction
from simulator.routes_media import PUT_PATH
from simulator.tables import charges

# The first test of a client installs it.
pytestmark = pytest.mark.timeout(1_200)

SECONDS = 4
# Of the requests that `inputs_for` makes, in millionths of a dollar.
PRICES = {IMAGE_EDIT: 28_000 * 2, IMAGE_COMPOSITION: 56_000, VIDEO_EDIT: 360_000 * SECONDS}


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A simulator of this test's own; ``faults`` as a mark gives it a fault file."""
    mark = request.node.get_closest_marker("faults")
    with simulator_thread(tmp_path / "simulator", faults=mark and mark.args[0]) as running:
        yield running


@pytest.fixture
def client(request: pytest.FixtureRequest, service: Simulator, tmp_path: Path) -> OfficialClient:
    return made(request.param, service, tmp_path / "home")


def made(kind: type[OfficialClient], service: Simulator, home: Path, *, key: str = KEY) -> OfficialClient:
    home.mkdir()
    return kind(service.url, key, home)


def those_that_offer(*calls: str) -> pytest.MarkDecorator:
    """Runs the test with each client that has all of these calls."""
    offering = [kind for kind in ALL if all(kind.offers(call) for call in calls)]
    return pytest.mark.parametrize("client", offering, ids=lambda kind: kind.folder, indirect=True)


def those_that_take(*inputs: str) -> pytest.MarkDecorator:
    """Runs the test with each client that lets its user give these inputs."""
    taking = [kind for kind in ALL if kind.inputs is None or kind.inputs.issuperset(inputs)]
    return pytest.mark.parametrize("client", taking, ids=lambda kind: kind.folder, indirect=True)


everyone = those_that_offer("run")


def inputs_for(model: str, service: Simulator) -> dict[str, Any]:
    """A valid request with every parameter that the model has."""
    if model == VIDEO_EDIT:
        video, image = service.upload(clip(24 * SECONDS), "turn.mp4"), service.upload(picture())
        return {"prompt": "Snow falls", "video": video, "images": [image], "keep_original_sound": False}
    sizes = {"aspect_ratio": "3:2", "num_images": 2, "output_format": "jpeg"}
    if model == IMAGE_EDIT:
        image = service.upload(picture())
        return {"prompt": "In a meadow", "image": image, "resolution": "2k", **sizes}
    images = [service.upload(picture()), service.upload(picture(width=400))]
    one = {**sizes, "num_images": 1}
    # A text that begins with @ would be a file's name to one of the clients.
    return {"prompt": "The mug of @Image1 before @Image2", "images": images, "resolution": "4k", **one}


def submits(service: Simulator) -> list[Call]:
    return service.books.calls("/api/v3/kwaivgi/")


def the_one_prediction(service: Simulator) -> Prediction:
    """What the books hold after one request: one call with the key, one prediction, one charge for it."""
    (call,) = submits(service)
    (prediction,) = service.books.predictions()
    (charge,) = service.books.charges(charges.c.kind == "deduct")
    assert (call.authorized, call.status, call.prediction_id) == (True, 200, prediction.id)
    assert (charge.amount, charge.prediction_id) == (prediction.price, prediction.id)
    return prediction


def assert_nothing_accepted(service: Simulator) -> None:
    assert service.books.predictions() == []
    assert service.books.charged_total() == 0


def assert_key_stays(service: Simulator) -> None:
    """The key went with every call of the API, and never to where files lie."""
    for call in service.books.calls():
        files = call.path.startswith((PUT_PATH, UPLOADS_PATH, OUTPUTS_PATH))
        assert call.authorized is not files, call


# The three models.


@pytest.mark.parametrize("model", [IMAGE_EDIT, IMAGE_COMPOSITION, VIDEO_EDIT])
@those_that_take("prompt", "image", "images", "video", "resolution", "num_images", "keep_original_sound")
def test_a_model_runs_and_is_billed_once(client: OfficialClient, service: Simulator, model: str) -> None:
    inputs = inputs_for(model, service)
    outputs = client.run(model, inputs)
    prediction = the_one_prediction(service)
    assert (prediction.model, prediction.status, prediction.input) == (model, "completed", inputs)
    assert prediction.price == PRICES[model]
    assert len(outputs) == inputs.get("num_images", 1)
    source = inputs["video"] if model == VIDEO_EDIT else inputs.get("image") or inputs["images"][0]
    made_from = httpx.get(source, trust_env=False).content
    assert [httpx.get(url, trust_env=False).content for url in outputs] == [made_from] * len(outputs)
    assert_key_stays(service)


@pytest.mark.parametrize("model", [IMAGE_EDIT, IMAGE_COMPOSITION])
@those_that_take("prompt", "image", "images")
def test_prompt_and_pictures_alone_make_one_picture(
    client: OfficialClient, service: Simulator, model: str
) -> None:
    every = inputs_for(model, service)
    inputs = {name: value for name, value in every.items() if name in {"prompt", "image", "images"}}
    (output,) = client.run(model, inputs)
    prediction = the_one_prediction(service)
    # A client may add inputs that the model does not know; they cost nothing and change nothing.
    assert (prediction.model, prediction.input) == (model, prediction.input | inputs)
    assert (prediction.price, prediction.parameters["resolution"]) == (28_000, "1k")
    assert httpx.get(output, trust_env=False).status_code == 200
    assert_key_stays(service)


@those_that_offer("run_in_one_request")
def test_sync_mode_needs_one_request(client: OfficialClient, service: Simulator) -> None:
    outputs = client.run_in_one_request(IMAGE_EDIT, inputs_for(IMAGE_EDIT, service))
    prediction = the_one_prediction(service)
    assert len(outputs) == 2
    assert service.books.calls(f"/api/v3/predictions/{prediction.id}") == []


@pytest.mark.parametrize(("model", "name"), [(IMAGE_EDIT, "image"), (IMAGE_COMPOSITION, "images")])
@those_that_offer("run_with_file")
def test_a_file_can_be_the_input(
    client: OfficialClient, service: Simulator, tmp_path: Path, model: str, name: str
) -> None:
    file = tmp_path / "mug.png"
    file.write_bytes(picture())
    (output,) = client.run_with_file(model, {"prompt": "In a meadow"}, name, file)
    assert the_one_prediction(service).model == model
    assert httpx.get(output, trust_env=False).content == file.read_bytes()


# What belongs to it.


@those_that_offer("upload")
def test_an_upload_holds_the_bytes(client: OfficialClient, service: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "a mug.png"
    file.write_bytes(picture())
    url = client.upload(file)
    (upload,) = service.books.uploads()
    assert (upload.filename, upload.content_type) == (file.name, client.picture_type)
    assert upload.size == file.stat().st_size
    assert httpx.get(url, trust_env=False).content == file.read_bytes()
    assert_key_stays(service)


@those_that_offer("look_up")
def test_a_prediction_can_be_looked_up(client: OfficialClient, service: Simulator) -> None:
    sent = service.finished(service.submit(IMAGE_EDIT, inputs_for(IMAGE_EDIT, service))["id"])
    shown = client.look_up(sent["id"])
    assert {name: shown[name] for name in ("id", "model", "status", "outputs", "created_at")} == {
        name: sent[name] for name in ("id", "model", "status", "outputs", "created_at")
    }


@those_that_offer("history", "delete")
def test_the_history_shows_what_was_sent_until_it_is_deleted(
    client: OfficialClient, service: Simulator
) -> None:
    inputs = inputs_for(IMAGE_EDIT, service)
    older, newer = (service.submit(IMAGE_EDIT, {**inputs, "take": take})["id"] for take in (1, 2))
    service.finished(older)
    service.finished(newer)
    shown = client.history(IMAGE_EDIT)
    assert [item["id"] for item in shown] == [newer, older]
    assert [(item.get("input") or item["inputs"])["prompt"] for item in shown] == [inputs["prompt"]] * 2
    assert client.history(IMAGE_COMPOSITION) == []
    client.delete(older)
    assert [item["id"] for item in client.history(IMAGE_EDIT)] == [newer]


@pytest.mark.parametrize("model", [IMAGE_EDIT, IMAGE_COMPOSITION, VIDEO_EDIT])
@those_that_offer("price")
def test_a_quote_is_what_will_be_billed_and_costs_nothing(
    client: OfficialClient, service: Simulator, model: str
) -> None:
    inputs = inputs_for(model, service)
    quoted = client.price(model, inputs)
    assert_nothing_accepted(service)
    service.submit(model, inputs)
    assert quoted * 1_000_000 == service.books.charged_total() == PRICES[model]


@those_that_offer("price")
def test_a_quote_without_the_clip_is_the_floor(client: OfficialClient, service: Simulator) -> None:
    assert client.price(VIDEO_EDIT, {"prompt": "Snow falls"}) * 1_000_000 == 360_000 * 3
    assert_nothing_accepted(service)


@those_that_offer("balance")
def test_the_balance_is_that_of_the_books(client: OfficialClient, service: Simulator) -> None:
    service.submit(IMAGE_EDIT, inputs_for(IMAGE_EDIT, service))
    assert client.balance() * 1_000_000 == service.books.balance() == 1_000_000_000 - PRICES[IMAGE_EDIT]


@those_that_offer("models", "parameters")
def test_the_catalogue_tells_what_the_models_take(client: OfficialClient, service: Simulator) -> None:
    assert set(client.models()) == {IMAGE_EDIT, IMAGE_COMPOSITION, VIDEO_EDIT}
    for model in (IMAGE_EDIT, IMAGE_COMPOSITION, VIDEO_EDIT):
        assert set(client.parameters(model)) == set(inputs_for(model, service))


# Errors.


@those_that_offer("run")
def test_a_wrong_key_is_refused_and_buys_nothing(
    client: OfficialClient, service: Simulator, tmp_path: Path
) -> None:
    stranger = made(type(client), service, tmp_path / "stranger", key="another-key")
    inputs = client.takes({"prompt": "In a meadow", "image": service.upload(picture())})
    with pytest.raises(ClientRefused, match=r"(?i)401|unauthorized"):
        stranger.run(IMAGE_EDIT, inputs)
    assert [(call.authorized, call.status) for call in submits(service)] == [(True, 401)]
    assert_nothing_accepted(service)


@those_that_offer("upload")
def test_a_wrong_key_uploads_nothing(client: OfficialClient, service: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "mug.png"
    file.write_bytes(picture())
    with pytest.raises(ClientRefused, match=r"(?i)401|unauthorized"):
        made(type(client), service, tmp_path / "stranger", key="another-key").upload(file)
    assert service.books.uploads() == []


@those_that_offer("run")
def test_a_missing_input_is_named_and_buys_nothing(client: OfficialClient, service: Simulator) -> None:
    inputs = {"prompt": "Snow falls", "image": service.upload(picture())}
    with pytest.raises(ClientRefused, match=r"(?s)video.*required"):
        client.run(VIDEO_EDIT, inputs)
    assert [call.status for call in submits(service)] == [400]
    assert_nothing_accepted(service)


@those_that_take("aspect_ratio")
def test_a_bad_value_is_named_and_buys_nothing(client: OfficialClient, service: Simulator) -> None:
    with pytest.raises(ClientRefused, match="aspect_ratio"):
        client.run(IMAGE_EDIT, {**inputs_for(IMAGE_EDIT, service), "aspect_ratio": "7:5"})
    assert [call.status for call in submits(service)] == [400]
    assert_nothing_accepted(service)


@pytest.mark.faults({"switches": {"starting_credit_usd": "0.01"}})
@those_that_offer("run")
def test_lacking_credit_is_said_and_buys_nothing(client: OfficialClient, service: Simulator) -> None:
    with pytest.raises(ClientRefused, match="Insufficient credits"):
        client.run(IMAGE_EDIT, client.takes(inputs_for(IMAGE_EDIT, service)))
    assert [call.status for call in submits(service)] == [400]
    assert_nothing_accepted(service)


@pytest.mark.faults({"rules": [{"on": "submit", "do": "fail_prediction", "code": 1200}]})
@those_that_offer("run")
def test_a_failed_prediction_is_told_with_its_reason(client: OfficialClient, service: Simulator) -> None:
    with pytest.raises(ClientRefused, match="Content flagged as potentially sensitive"):
        client.run(IMAGE_EDIT, client.takes(inputs_for(IMAGE_EDIT, service)))
    assert the_one_prediction(service).status == "failed"


@pytest.mark.faults({"rules": [{"on": "submit", "do": "lose_reply", "times": 1}]})
@those_that_offer("run")
def test_whether_a_client_sends_again_after_a_lost_answer_is_known(
    client: OfficialClient, service: Simulator
) -> None:
    inputs = client.takes(inputs_for(IMAGE_EDIT, service))
    if client.sends_again:
        client.run(IMAGE_EDIT, inputs)
    else:
        with pytest.raises(ClientRefused):
            client.run(IMAGE_EDIT, inputs)
    predictions = service.books.predictions()
    assert len(submits(service)) == len(predictions) == (2 if client.sends_again else 1)
    assert service.books.charged_total() == sum(prediction.price for prediction in predictions)
