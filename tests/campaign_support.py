"""Runs the command `campaign` as its users do: in a process of its own, in a folder of its own."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Self

import av
import httpx
import numpy as np
from PIL import Image
from warm_commands import WarmCommand

from flows.shared_service import Service
from simulator.books import Books

COMMAND = str(Path(sys.executable).with_name("campaign"))
MEDIA = Path(__file__).parents[2] / "shared" / "media"
DEADLINE_SECONDS = 120


@dataclass(frozen=True)
class PrefectApi:
    """Where a Prefect server answers, and what it wants to be shown."""

    url: str
    auth_string: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, service: Service) -> Self:
        return cls(f"{service.url}/api", service.secret)

    def environment(self) -> dict[str, str]:
        shown = {} if self.auth_string is None else {"PREFECT_API_AUTH_STRING": self.auth_string}
        return {"PREFECT_API_URL": self.url} | shown


class Workplace:
    """A folder with media and campaigns, and the environment that commands run in."""

    def __init__(self, folder: Path, prefect_api: PrefectApi | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.home = folder / ".campaign"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WAVESPEED_", "CAMPAIGN_", "PREFECT_"))
        }
        # The embedded simulator's pace is for people who watch.
        self.environment["CAMPAIGN_SIMULATOR_CLOCK"] = "0.002"
        if prefect_api is not None:
            self.environment |= prefect_api.environment()

    def use_service(self, url: str, key: str) -> None:
        """From now on commands work with this service instead of the embedded one."""
        self.environment |= {
            "WAVESPEED_BASE_URL": url,
            "WAVESPEED_API_KEY": key,
            "CAMPAIGN_POLL_SECONDS": "0.1",
            "CAMPAIGN_REQUEST_SECONDS": "5",
            "CAMPAIGN_QUIET_SECONDS": "1",
        }

    def campaign(self, rows: Sequence[Mapping[str, str]], name: str = "spring.csv") -> str:
        """Writes a campaign; its columns are those that the rows have."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return name

    def picture(self, name: str = "mug.png", *, size: tuple[int, int] = (640, 480), seed: int = 1) -> str:
        """A picture with something to see in it, different for each seed."""
        kind = Image.registered_extensions()[Path(name).suffix.lower()]
        (self.folder / name).write_bytes(_picture(kind, size, seed))
        return name

    def clip(self, name: str = "clip.mp4", *, seconds: float = 3.2, sound: bool = True) -> str:
        """A 24 fps clip of 720 by 720 with motion, and a tone where asked."""
        write_clip(self.folder / name, seconds=seconds, sound=sound)
        return name

    def start(self, *arguments: str, **more_environment: str) -> WarmCommand:
        return WarmCommand([COMMAND, *arguments], self.folder, self.environment | more_environment)

    def start_cold(self, *arguments: str, **more_environment: str) -> "subprocess.Popen[str]":
        """The installed command in a process from nothing; for what happens before `main`, or to the whole process."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | more_environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **more_environment: str) -> "Finished":
        return _finished(self.start(*arguments, **more_environment))

    def run_cold(self, *arguments: str, **more_environment: str) -> "Finished":
        return _finished(self.start_cold(*arguments, **more_environment))

    def books(self) -> Books:
        """The embedded simulator's books."""
        return Books.open(self.home / "simulator")

    def out(self, run_id: str) -> Path:
        return self.folder / "runs" / run_id


class Finished:
    """A command that has ended."""

    def __init__(self, status: int, stdout: str, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        # Whatever happened: nobody is shown a traceback.
        assert "Traceback" not in stderr, stderr

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    def __repr__(self) -> str:
        return f"exit {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def _finished(command: "WarmCommand | subprocess.Popen[str]") -> Finished:
    stdout, stderr = command.communicate(timeout=DEADLINE_SECONDS)
    assert command.returncode is not None
    return Finished(command.returncode, stdout, stderr)


@cache
def _picture(kind: str, size: tuple[int, int], seed: int) -> bytes:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    base = np.stack([rows * seed % 251, columns * (seed + 1) % 241, (rows + columns) % 256], axis=-1)
    target = io.BytesIO()
    Image.fromarray(base.astype(np.uint8)).save(target, kind)
    return target.getvalue()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def charged_millionths(cost_csv: Path) -> int:
    return sum(int(Decimal(row["charged_usd"]) * 1_000_000) for row in rows_of(cost_csv))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Looks until it holds; fails where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


class _Patient(httpx.HTTPTransport):
    """Asks again where Prefect's server is too busy with its database to answer, as Prefect's own client does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + 60
        while True:
            answer = super().handle_request(request)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer
            answer.close()
            time.sleep(0.2)


def prefect_client(api: PrefectApi) -> httpx.Client:
    """For what a server has; its addresses begin with the API's."""
    user, _, password = (api.auth_string or "").partition(":")
    return httpx.Client(
        base_url=api.url,
        auth=(user, password) if user else None,
        transport=_Patient(),
        trust_env=False,
        timeout=30,
    )


def write_clip(path: Path, *, seconds: float, sound: bool, side: int = 720, rate: int = 24) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        video.width = video.height = side
        video.pix_fmt = "yuv420p"
        tone = container.add_stream("aac", rate=44_100, layout="mono") if sound else None
        background = np.linspace(40, 200, side, dtype=np.uint8)
        for number in range(round(seconds * rate)):
            picture = np.repeat(background[None, :, None], side, axis=0).repeat(3, axis=2)
            at = number * 6 % (side - 120)
            picture[200:320, at : at + 120] = (250, 90, 30)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if tone is not None:
            _write_tone(container, tone, seconds)


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    samples = np.sin(np.arange(int(44_100 * seconds)) * (2 * np.pi * 440 / 44_100)) * 0.3
    for start in range(0, len(samples), 1024):
        part = samples[start : start + 1024].astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
