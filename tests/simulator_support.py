"""Simulators for tests: as a process of its own, which can be killed, and in a thread, which is quick."""

import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self, TypeVar

import av
import httpx
import numpy as np
from PIL import Image

from simulator.books import Books
from simulator.faults import load_faults
from simulator.server import SimulatorServer, opened
from simulator.worker import Made, Order

KEY = "test-key"
_START_SECONDS = 60
_PICTURE_SIDE = 300
_CLIP_SIDE = 720
_Found = TypeVar("_Found")


class SimulatorProcess:
    """``python -m simulator`` on a folder; ``kill`` is SIGKILL, and ``start`` after it takes the same port
    again.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: float = 0.002,
        key: str | None = KEY,
        faults: dict[str, Any] | None = None,
        level: str = "silver",
    ) -> None:
        self.home = home
        self.url = ""
        self._options = ["--home", str(home), "--clock", str(clock), "--level", level]
        if key is not None:
            self._options += ["--key", key]
        if faults is not None:
            file = home.with_name(f"{home.name}-faults.json")
            file.write_text(json.dumps(faults))
            self._options += ["--faults", str(file)]
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        command = [sys.executable, "-m", "simulator", *self._options, "--port", str(self._port)]
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        stdout = self._process.stdout
        assert stdout is not None
        self.url = stdout.readline().strip()
        assert self.url, f"the simulator ended with {self._process.wait()}"
        self._port = int(self.url.rpartition(":")[2])
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self.ended()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self.ended()

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ended(self) -> int:
        """Waits for the end and returns the exit status."""
        assert self._process is not None
        status = self._process.wait(_START_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self.stop()
        elif self._process.stdout is not None:
            self._process.stdout.close()


class QuickRenderer:
    """Writes the first input again instead of rendering: for tests of the service, not of its pictures."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    async def render(self, order: Order) -> list[Made]:
        self.orders.append(order)
        order.folder.mkdir(parents=True, exist_ok=True)
        made = []
        for number in range(1, order.count + 1):
            kind, ending = ("video/mp4", "mp4") if order.clip else ("image/png", "png")
            data = (order.clip or order.pictures[0]).read_bytes()
            (order.folder / f"{number}.{ending}").write_bytes(data)
            made.append(Made(number, f"{number}.{ending}", kind, len(data), hashlib.sha256(data).hexdigest()))
        return made

    def close(self) -> None:
        pass


class Simulator:
    """One running service seen from outside: its URL, its books, and a client with the key."""

    def __init__(self, url: str, home: Path, renderer: QuickRenderer) -> None:
        self.url = url
        self.home = home
        self.renderer = renderer
        self.books = Books.open(home)
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=20
        )

    def close(self) -> None:
        self.http.close()
        self.books.close()

    def data(self, method: str, path: str, **arguments: Any) -> Any:
        """Calls, expects success, and returns what is in the envelope."""
        response = self.http.request(method, path, **arguments)
        assert response.status_code == 200, response.text
        envelope = response.json()
        assert (envelope["code"], envelope["message"]) == (200, "success")
        return envelope["data"]

    def upload(self, data: bytes, filename: str = "picture.png") -> str:
        ticket = self.data("POST", "/api/v3/media/uploads", json={"filename": filename, "size": len(data)})
        put = httpx.put(
            ticket["upload"]["url"], content=data, headers=ticket["upload"]["headers"], trust_env=False
        )
        assert put.status_code == 200, put.text
        return str(ticket["download_url"])

    def submit(self, model: str, inputs: dict[str, Any], **parameters: str) -> dict[str, Any]:
        submitted = self.data("POST", f"/api/v3/{model}", json=inputs, params=parameters)
        assert isinstance(submitted, dict)
        return submitted

    def result(self, prediction_id: str) -> dict[str, Any]:
        found = self.data("GET", f"/api/v3/predictions/{prediction_id}/result")
        assert isinstance(found, dict)
        return found

    def finished(self, prediction_id: str) -> dict[str, Any]:
        """Looks until the prediction has ended."""
        return eventually(lambda: self._ended(prediction_id))

    def _ended(self, prediction_id: str) -> dict[str, Any] | None:
        found = self.result(prediction_id)
        return found if found["status"] in {"completed", "failed", "cancelled", "timeout"} else None


@contextmanager
def simulator_thread(
    home: Path,
    *,
    clock: float = 0.0,
    key: str | None = KEY,
    faults: dict[str, Any] | None = None,
    level: str = "silver",
) -> Iterator[Simulator]:
    """A service in a thread of this process, behind a real socket; its renderer is a quick one."""
    renderer = QuickRenderer()
    ready: Queue[str] = Queue()
    with opened(home=home, port=0, clock=clock, key=key, faults=load_faults(faults), level=level) as (
        settings,
        listener,
    ):
        server = SimulatorServer(settings, listener, on_ready=ready.put, renderer=renderer)
        thread = threading.Thread(target=server.run_until_stopped)
        thread.start()
        try:
            simulator = Simulator(ready.get(timeout=_START_SECONDS), home, renderer)
            try:
                yield simulator
            finally:
                simulator.close()
        finally:
            server.stop()
            thread.join(_START_SECONDS)


def others_work(service: Simulator, prompt: str = "somebody else's") -> str:
    """A prediction that somebody else makes with the same account."""
    inputs = {"image": service.upload(picture()), "prompt": prompt}
    return str(service.submit("kwaivgi/kling-image-v3/edit", inputs)["id"])


def eventually(look: Callable[[], _Found | None], *, seconds: float = 20) -> _Found:
    """What ``look`` finds as soon as it finds something; fails after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.005)
    raise AssertionError(f"nothing came within {seconds} s")


@cache
def picture(kind: str = "PNG", *, width: int = _PICTURE_SIDE, height: int = _PICTURE_SIDE) -> bytes:
    """A small picture with something to see in it."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=-1)
    target = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(target, kind)
    return target.getvalue()


@cache
def clip(frames: int = 24, *, rate: int = 24, side: int = _CLIP_SIDE) -> bytes:
    """A small mp4 without sound; a square runs through it."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for number in range(frames):
            pixels = np.full((side, side, 3), 60, dtype=np.uint8)
            left = number * 4 % (side - 80)
            pixels[left : left + 80, left : left + 80] = (200, 120, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return target.getvalue()
