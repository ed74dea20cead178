"""The simulator as a process of its own: the official client, real pictures, death and return."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import av
import httpx
import psutil
import pytest
from PIL import Image
from simulator_support import KEY, SimulatorProcess, clip, eventually, picture, simulator_thread
from wavespeed import Client

from simulator.books import Books
from simulator.catalogue import IMAGE_COMPOSITION, IMAGE_EDIT, VIDEO_EDIT
from simulator.errors import HomeInUse, SimulatorError
from simulator.server import serve
from simulator.settings import LEVELS

MEDIA = Path(__file__).parents[2] / "shared" / "media"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("process") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def books(process: SimulatorProcess) -> Iterator[Books]:
    with contextlib.closing(Books.open(process.home)) as opened:
        yield opened


def own_or_made(name: str, made: bytes, folder: Path) -> str:
    """A real photograph or clip where there is one, else one made here."""
    if (MEDIA / name).exists():
        return str(MEDIA / name)
    (folder / name).write_bytes(made)
    return str(folder / name)


def test_the_official_client_runs_all_three_models(
    process: SimulatorProcess, books: Books, tmp_path: Path
) -> None:
    client = Client(api_key=KEY, base_url=process.url, connection_timeout=20)
    edited = client.run(
        IMAGE_EDIT,
        {
            "prompt": "Turn the cup blue",
            "image": client.upload(own_or_made("coffee.png", picture(width=600), tmp_path)),
            "aspect_ratio": "1:1",
        },
        poll_interval=0.02,
    )["outputs"]
    composed = client.run(
        IMAGE_COMPOSITION,
        {
            "prompt": "Put @Image1 beside @Image2",
            "images": [*edited, client.upload(own_or_made("flower.jpg", picture("JPEG"), tmp_path))],
            "aspect_ratio": "4:3",
            "output_format": "jpeg",
            "num_images": 2,
        },
        poll_interval=0.02,
    )["outputs"]
    (tmp_path / "clip.mp4").write_bytes(clip())
    film = client.run(
        VIDEO_EDIT,
        {
            "prompt": "Make it rain",
            "video": client.upload(str(tmp_path / "clip.mp4")),
            "images": composed[:1],
            "keep_original_sound": False,
        },
        poll_interval=0.02,
    )["outputs"]

    (first,) = edited
    with Image.open(io.BytesIO(httpx.get(first, trust_env=False).content)) as made:
        assert (made.format, made.size) == ("PNG", (1024, 1024))
    assert len(composed) == 2
    for url in composed:
        with Image.open(io.BytesIO(httpx.get(url, trust_env=False).content)) as made:
            assert (made.format, made.size) == ("JPEG", (1168, 880))
    (last,) = film
    with av.open(io.BytesIO(httpx.get(last, trust_env=False).content), mode="r") as made_clip:
        assert made_clip.duration is not None
        assert abs(Fraction(made_clip.duration, av.time_base) - 1) < Fraction(1, 10)
    assert books.charged_total() == 28_000 + 56_000 + 1_080_000
    posts = [call for call in books.calls("/api/v3/kwaivgi/") if call.method == "POST"]
    assert [call.status for call in posts] == [200, 200, 200]
    assert not any(call.authorized for call in books.calls("/files/"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (picture("WEBP"), "jpg and png"),
        (picture(width=299), "at least 300"),
        (picture(width=800), "2.5:1"),
        (b"<html></html>", "no picture"),
        (picture()[:200], "decoded"),
    ],
)
def test_pictures_outside_the_limits_fail(process: SimulatorProcess, data: bytes, reason: str) -> None:
    result = run(process, IMAGE_EDIT, {"prompt": "x", "image": upload(process, data)})
    assert (result["status"], result["code"]) == ("failed", 1401)
    assert reason in result["error"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (clip(242), "10 s is the limit"),
        (clip(24, side=640), "720 and 2160"),
        (clip(24, rate=12), "24 to 60"),
    ],
)
def test_clips_outside_the_limits_fail(process: SimulatorProcess, data: bytes, reason: str) -> None:
    result = run(process, VIDEO_EDIT, {"prompt": "x", "video": upload(process, data, "clip.mp4")})
    assert (result["status"], result["code"]) == ("failed", 1401)
    assert reason in result["error"]


def test_a_killed_simulator_goes_on_and_bills_once(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path / "home", clock=0.02)
    with process, contextlib.closing(Books.open(process.home)) as books:
        media = upload(process, picture())
        done = run(process, IMAGE_EDIT, {"prompt": "before", "image": media})
        in_work = submit(process, IMAGE_EDIT, {"prompt": "in work", "image": media, "num_images": 2})
        (started,) = eventually(lambda: [each for each in books.predictions() if each.status == "processing"])
        workers = psutil.Process(process.process_id).children(recursive=True)
        earlier_url = process.url
        process.kill()
        assert psutil.wait_procs(workers, timeout=10)[1] == []

        process.start()
        assert process.url == earlier_url
        ended = finished(process, in_work)
        assert ended["status"] == "completed"
        assert ended["created_at"] == look(process, in_work)["created_at"]
        row = books.prediction(in_work)
        assert row is not None
        assert row.ended_at is not None
        assert started.due_at is not None
        assert (row.started_at, row.due_at) == (started.started_at, started.due_at)
        assert row.ended_at >= started.due_at
        deducted = sorted((each.prediction_id, each.amount) for each in books.charges())
        assert deducted == sorted([(done["id"], 28_000), (in_work, 56_000)])
        for url in (*done["outputs"], *ended["outputs"]):
            with Image.open(io.BytesIO(httpx.get(url, trust_env=False).content)) as made:
                assert made.size == (1360, 768)
        assert process.stop() == 0


def test_a_worker_that_dies_is_replaced(process: SimulatorProcess) -> None:
    media = upload(process, picture())
    run(process, IMAGE_EDIT, {"prompt": "warm", "image": media})
    for worker in psutil.Process(process.process_id).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    assert run(process, IMAGE_EDIT, {"prompt": "again", "image": media})["status"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_the_middle_of_work_without_a_word(
    tmp_path: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    with SimulatorProcess(tmp_path / "home") as process:
        inputs = {"prompt": "x", "image": upload(process, picture()), "num_images": 9, "resolution": "2k"}
        in_work = submit(process, IMAGE_EDIT, inputs)
        eventually(lambda: look(process, in_work)["status"] == "processing")
        os.kill(process.process_id, number)
        assert process.ended() == 0
        assert not (process.home / "simulator.url").exists()
    with contextlib.closing(Books.open(process.home)) as books:
        assert [each.status for each in books.predictions()] == ["processing"]
    assert capfd.readouterr().err == ""


def test_a_client_that_dies_while_sending_makes_no_noise(
    process: SimulatorProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    port = int(process.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = (
            f"POST /api/v3/{IMAGE_EDIT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        )
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    with contextlib.closing(Books.open(process.home)) as books:
        before = len(books.predictions())
        eventually(lambda: books.calls(f"/api/v3/{IMAGE_EDIT}")[-1].status == 400)
        assert len(books.predictions()) == before
    assert capfd.readouterr().err == ""


def test_refunds_and_webhooks_left_undone_are_done_after_a_restart(tmp_path: Path) -> None:
    received: Queue[bytes] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    rules = [{"on": "submit", "do": "fail_prediction", "code": 5003}]
    hook = HTTPServer(("127.0.0.1", 0), Hook)
    url = f"http://127.0.0.1:{hook.server_port}/hook"
    # Until its thread runs, the hook accepts connections but answers none.
    late = {"refund_after_seconds": 1_000}
    with simulator_thread(tmp_path, clock=1e-3, faults={"rules": rules, "switches": late}) as simulator:
        inputs = {"prompt": "x", "image": simulator.upload(picture())}
        failed = simulator.finished(simulator.submit(IMAGE_EDIT, inputs, webhook=url)["id"])
        balance = simulator.books.balance()
    hooks = threading.Thread(target=hook.serve_forever, args=(0.01,))
    hooks.start()
    try:
        soon = {"refund_after_seconds": 0}
        with simulator_thread(tmp_path, clock=1e-3, faults={"switches": soon}) as simulator:
            eventually(lambda: simulator.books.balance() == balance + 28_000)
            eventually(lambda: simulator.books.predictions()[0].webhook_ended)
            told = json.loads(received.get(timeout=10))
            assert (told["id"], told["code"]) == (failed["id"], 5003)
            assert len(simulator.books.predictions()) == 1
        with simulator_thread(tmp_path, clock=1e-3, faults={"switches": soon}) as simulator:
            simulator.submit(IMAGE_EDIT, inputs)
            assert [each.kind for each in simulator.books.charges()] == ["deduct", "refund", "deduct"]
    finally:
        hook.shutdown()
        hook.server_close()
        hooks.join()


def test_a_folder_has_one_simulator(process: SimulatorProcess) -> None:
    with pytest.raises(HomeInUse) as caught:
        serve(home=process.home, on_ready=lambda url: pytest.fail(f"{url} answers"))
    assert caught.value.url == process.url
    assert process.url in str(caught.value)


def test_a_taken_port_and_odd_options_are_explained(process: SimulatorProcess, tmp_path: Path) -> None:
    port = int(process.url.rpartition(":")[2])
    with pytest.raises(SimulatorError, match=f"port {port}"):
        serve(home=tmp_path, port=port, on_ready=print)
    with pytest.raises(SimulatorError, match="bronze, silver, gold, ultra"):
        serve(home=tmp_path, level="tin", on_ready=print)
    with pytest.raises(SimulatorError, match="factor"):
        serve(home=tmp_path, clock=-1, on_ready=print)
    assert set(LEVELS) == {"bronze", "silver", "gold", "ultra"}


def test_a_wrong_fault_file_is_told_on_stderr(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('{"switches": {"output": "string"}}')
    command = [sys.executable, "-m", "simulator", "--home", str(tmp_path / "home"), "--faults", str(file)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == f"{file}: switches.output: Extra inputs are not permitted"


def test_on_ready_may_call_the_service(tmp_path: Path) -> None:
    seen: Queue[int] = Queue()

    def ready(url: str) -> None:
        seen.put(httpx.get(f"{url}/api/v3/balance", trust_env=False).status_code)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        serve(home=tmp_path, on_ready=ready)
    assert seen.get() == 401


def client(process: SimulatorProcess) -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=process.url, headers=headers, trust_env=False, timeout=20)


def upload(process: SimulatorProcess, data: bytes, filename: str = "picture.png") -> str:
    with client(process) as http:
        answer = http.post("/api/v3/media/upload/binary", files={"file": (filename, data)})
        return str(answer.json()["data"]["download_url"])


def submit(process: SimulatorProcess, model: str, inputs: dict[str, Any]) -> str:
    with client(process) as http:
        return str(http.post(f"/api/v3/{model}", json=inputs).json()["data"]["id"])


def look(process: SimulatorProcess, prediction_id: str) -> dict[str, Any]:
    with client(process) as http:
        found = http.get(f"/api/v3/predictions/{prediction_id}/result").json()["data"]
        assert isinstance(found, dict)
        return found


def finished(process: SimulatorProcess, prediction_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found = look(process, prediction_id)
        return found if found["status"] in {"completed", "failed"} else None

    return eventually(ended, seconds=60)


def run(process: SimulatorProcess, model: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return finished(process, submit(process, model, inputs))
