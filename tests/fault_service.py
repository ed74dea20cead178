"""A service for tests of faults: it can be restarted with other faults, and no two of its outputs are alike."""

import hashlib
import json
import struct
import threading
import zlib
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self

from simulator_support import KEY, QuickRenderer

from simulator.books import Books
from simulator.faults import load_faults
from simulator.server import SimulatorServer, opened
from simulator.worker import Made, Order

_START_SECONDS = 60
_MEDIA_KEYS = {"image", "images", "video"}


class SigningRenderer(QuickRenderer):
    """Writes the first input again, signed: the bytes depend on prompt, parameters, the inputs' bytes and the number.

    Whoever is given another prediction's output than its own has other bytes than it should.
    """

    async def render(self, order: Order) -> list[Made]:
        self.orders.append(order)
        order.folder.mkdir(parents=True, exist_ok=True)
        data = (order.clip or order.pictures[0]).read_bytes()
        kind, ending, sign = (
            ("video/mp4", "mp4", _signed_clip) if order.clip else ("image/png", "png", _signed_picture)
        )
        made = []
        for number in range(1, order.count + 1):
            signed = sign(data, _signature(order, number))
            name = f"{number}.{ending}"
            (order.folder / name).write_bytes(signed)
            made.append(Made(number, name, kind, len(signed), hashlib.sha256(signed).hexdigest()))
        return made


def _signature(order: Order, number: int) -> bytes:
    parameters = {name: value for name, value in order.parameters.items() if name not in _MEDIA_KEYS}
    inputs = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*order.pictures, order.clip) if path]
    text = json.dumps([order.model, parameters, inputs, number], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _signed_picture(png: bytes, signature: bytes) -> bytes:
    """With one more chunk of text before the last one, which is always 12 bytes long."""
    chunk = b"tEXtSignature\0" + signature
    return (
        png[:-12]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + png[-12:]
    )


def _signed_clip(mp4: bytes, signature: bytes) -> bytes:
    """With one more box at the end, of a kind that players skip."""
    return mp4 + struct.pack(">I", len(signature) + 8) + b"free" + signature


class FaultyService:
    """A simulator in a thread of this process, behind a real socket, whose folder and port outlive each start."""

    def __init__(
        self, home: Path, *, clock: float = 0.0, level: str = "silver", key: str | None = KEY, port: int = 0
    ) -> None:
        self.home = home
        self.url = ""
        self._clock = clock
        self._level = level
        self._key = key
        self._port = port
        self._running = ExitStack()
        self.books = Books.open(home)

    def start(self, faults: dict[str, Any] | None = None) -> Self:
        ready: Queue[str] = Queue()
        settings, listener = self._running.enter_context(
            opened(
                home=self.home,
                port=self._port,
                clock=self._clock,
                key=self._key,
                faults=load_faults(faults),
                level=self._level,
            )
        )
        server = SimulatorServer(settings, listener, on_ready=ready.put, renderer=SigningRenderer())
        thread = threading.Thread(target=server.run_until_stopped, daemon=True)
        thread.start()
        self._running.callback(thread.join, _START_SECONDS)
        self._running.callback(server.stop)
        self.url = ready.get(timeout=_START_SECONDS)
        self._port = int(self.url.rpartition(":")[2])
        return self

    def stop(self) -> None:
        """Answers that are under way are cut off after a short grace."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.books.close()
