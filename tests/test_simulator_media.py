"""What goes into the simulated service and comes out of it by URL: uploads, inputs, webhooks."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest
from simulator_support import KEY, Simulator, eventually, picture, simulator_thread

from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT, VIDEO_EDIT


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    # Servers of this test stand on this machine.
    faults = {"switches": {"private_addresses": "allowed"}}
    with simulator_thread(tmp_path_factory.mktemp("simulator") / "home", faults=faults) as running:
        yield running


@pytest.fixture(scope="module")
def picture_url(simulator: Simulator) -> str:
    return simulator.upload(picture())


def edit(url: str, **inputs: Any) -> dict[str, Any]:
    return {"prompt": "a red car", "image": url, **inputs}


def refusal(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    envelope = response.json()
    assert envelope["code"] == status
    return str(envelope["message"])


def test_an_upload_by_ticket(simulator: Simulator) -> None:
    ticket = simulator.data(
        "POST",
        "/api/v3/media/uploads",
        json={"filename": "C:\\a folder/ä b.png", "size": 3, "content_type": "image/png"},
    )
    upload = ticket["upload"]
    assert (upload["method"], upload["headers"]) == ("PUT", {"Content-Type": "image/png"})
    assert httpx.get(ticket["download_url"], trust_env=False).status_code == 404
    for wrong in (b"ab", b"abcd"):
        assert "3 bytes" in refusal(httpx.put(upload["url"], content=wrong, trust_env=False), 400)
    assert httpx.put(upload["url"], content=b"abc", trust_env=False).status_code == 200
    stored = httpx.get(ticket["download_url"], trust_env=False)
    assert (stored.content, stored.headers["content-type"]) == (b"abc", "image/png")
    assert simulator.books.uploads()[-1].filename == "ä b.png"


def test_a_key_sent_to_the_upload_target_shows(simulator: Simulator) -> None:
    ticket = simulator.data("POST", "/api/v3/media/uploads", json={"filename": "a.png", "size": 3})
    url = ticket["upload"]["url"]
    leaking = {"Authorization": f"Bearer {KEY}"}
    assert "Authorization" in refusal(httpx.put(url, content=b"abc", headers=leaking, trust_env=False), 400)
    assert httpx.put(url, content=b"abc", trust_env=False).status_code == 200
    path = url.removeprefix(simulator.url)
    calls = [(call.authorized, call.status) for call in simulator.books.calls(path)]
    assert calls == [(True, 400), (False, 200)]


@pytest.mark.parametrize("name", ["..", "a/", "a?b#c%2f.png", "."])
def test_odd_file_names_make_usable_urls(simulator: Simulator, name: str) -> None:
    url = simulator.upload(b"abc", name)
    assert httpx.get(url, trust_env=False).content == b"abc"


@pytest.mark.parametrize("size", [0, 200 * 1024 * 1024 + 1])
def test_a_ticket_has_limits(simulator: Simulator, size: int) -> None:
    sent = {"filename": "a.png", "size": size}
    assert "size" in refusal(simulator.http.post("/api/v3/media/uploads", json=sent), 400)


def test_the_older_upload(simulator: Simulator) -> None:
    data = simulator.data(
        "POST", "/api/v3/media/upload/binary", files={"file": ("a.png", picture(), "image/png")}
    )
    assert (data["type"], data["filename"], data["size"]) == ("image", "a.png", len(picture()))
    assert httpx.get(data["download_url"], trust_env=False).content == picture()
    assert "file" in refusal(simulator.http.post("/api/v3/media/upload/binary", files={"other": b"x"}), 400)


def test_media_that_cannot_be_fetched_fail_with_1402_and_are_refunded(simulator: Simulator) -> None:
    unknown = f"{simulator.url}/files/uploads/{'0' * 32}/a.png"
    for inputs in (
        {"prompt": "x", "image": unknown},
        {"prompt": "x", "image": "http://192.0.2.1/a.png"},
        {"prompt": "x", "image": "http://[bad/a.png"},
        {"prompt": "x", "image": f"{simulator.url}/nowhere/a.png"},
    ):
        result = simulator.finished(simulator.submit(IMAGE_EDIT, inputs)["id"])
        assert (result["status"], result["code"], result["outputs"]) == ("failed", 1402, [])
        assert "could not be fetched" in result["error"]
    video = simulator.submit(VIDEO_EDIT, {"prompt": "x", "video": unknown})["id"]
    assert simulator.finished(video)["code"] == 1402

    def bill() -> list[tuple[str, int]] | None:
        lines = simulator.data("POST", "/api/v3/billings/search", json={"prediction_uuids": [video]})["items"]
        found = [(line["billing_type"], round(line["price"] * 1_000_000)) for line in lines]
        return found if len(found) == 2 else None

    assert eventually(bill) == [("refund", 1_080_000), ("deduct", 1_080_000)]


def test_what_is_no_clip_fails_with_1401(simulator: Simulator, picture_url: str) -> None:
    text_url = simulator.upload(b"no clip at all", "clip.mp4")
    result = simulator.finished(simulator.submit(VIDEO_EDIT, {"prompt": "x", "video": text_url})["id"])
    assert (result["status"], result["code"]) == ("failed", 1401)


def test_inputs_may_be_outputs_and_foreign_urls_on_this_machine(
    simulator: Simulator, picture_url: str
) -> None:
    class Pictures(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/moved.png" else 200)
            self.send_header("Location", "/there.png")
            self.end_headers()
            self.wfile.write(picture("JPEG"))

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        foreign = f"http://127.0.0.1:{server.server_port}/moved.png"
        edited = simulator.finished(simulator.submit(IMAGE_EDIT, edit(picture_url))["id"])
        inputs = {"prompt": "x", "images": [*edited["outputs"], foreign]}
        composed = simulator.finished(simulator.submit(IMAGE_COMPOSITION, inputs)["id"])
    finally:
        server.shutdown()
        server.server_close()
    assert composed["status"] == "completed"
    (order,) = [each for each in simulator.renderer.orders if len(each.pictures) == 2]
    assert order.pictures[0] == simulator.home / "outputs" / edited["id"] / "1.png"
    assert order.pictures[1].name == "image-2"


def test_a_webhook_is_signed_and_carries_the_input(simulator: Simulator, picture_url: str) -> None:
    received: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(500 if received.qsize() == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        hook = f"http://127.0.0.1:{server.server_port}/hook"
        submitted = simulator.submit(IMAGE_EDIT, edit(picture_url), webhook=hook)
        first, _ = received.get(timeout=10)
        headers, body = received.get(timeout=10)  # the first was answered with 500, so it comes again
    finally:
        server.shutdown()
        server.server_close()
    secret = simulator.data("GET", "/api/v3/webhook/secret")["secret"]
    assert secret.startswith("whsec_")
    # The id is of the delivery: both tries of it have the same, and the prediction has another.
    assert headers["webhook-id"] == first["webhook-id"] != submitted["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(secret.removeprefix("whsec_").encode(), signed, hashlib.sha256).hexdigest()
    assert headers["webhook-signature"] == f"v3,{digest}"
    told = json.loads(body)
    assert told.pop("input") == edit(picture_url)
    assert told == simulator.result(submitted["id"])


@pytest.mark.parametrize("webhook", ["http://example.com/hook", "ftp://127.0.0.1/hook", "nonsense"])
def test_a_webhook_goes_to_https_or_this_machine_only(
    simulator: Simulator, picture_url: str, webhook: str
) -> None:
    response = simulator.http.post(
        f"/api/v3/{IMAGE_EDIT}", json=edit(picture_url), params={"webhook": webhook}
    )
    assert "webhook" in refusal(response, 400)
