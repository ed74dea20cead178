"""Running the service: on loopback, one server to a folder, until it is told to stop."""

import asyncio
import contextlib
import functools
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulator.app import create_app
from simulator.errors import HomeInUse, SimulatorError
from simulator.faults import Faults, load_faults
from simulator.mischief import TRANSPORT
from simulator.settings import LEVELS, Settings
from simulator.studio import Renderer

HOST = "127.0.0.1"
_LOCK_FILE = "simulator.lock"
_URL_FILE = "simulator.url"
_LOCK_WAIT_SECONDS = 1.0
# Clients keep connections for a minute; one closed under a POST would leave its outcome unknown.
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 2


class SimulatorServer(uvicorn.Server):
    """One server, to be run by ``run_until_stopped`` in any thread; ``stop`` may be called from another."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        on_ready: Callable[[str], None],
        renderer: Renderer | None = None,
    ) -> None:
        config = uvicorn.Config(
            create_app(settings, renderer=renderer),
            http=_DroppableProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)
        self.url = settings.base_url
        self._listener = listener
        self._on_ready = on_ready
        self._announcement: asyncio.Task[None] | None = None

    def run_until_stopped(self) -> None:
        """Blocks. Raises what ``on_ready`` raised, and SimulatorError where the service could not start."""
        try:
            asyncio.run(self.serve(sockets=[self._listener]))
        except SystemExit as error:
            raise SimulatorError("the simulator could not start; its log says why") from error
        if self._announcement and not self._announcement.cancelled():
            self._announcement.result()

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # In a thread: whoever is told may well call the service before returning.
        self._announcement = asyncio.create_task(asyncio.to_thread(self._on_ready, self.url))
        self._announcement.add_done_callback(self._announced)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # A connection whose answer its client never reads outlasts the grace, and nobody else would close it.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on SIGINT and SIGTERM; unlike uvicorn's own, does not raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _announced(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or task.exception():
            self.stop()


def serve(
    *,
    home: Path,
    port: int = 0,
    clock: float = 0.02,
    key: str | None = None,
    faults: Path | None = None,
    level: str = "silver",
    on_ready: Callable[[str], None],
) -> None:
    """Serves on 127.0.0.1 until SIGINT or SIGTERM, and returns.

    ``home`` is the folder of the books; a service that finds earlier books there goes on with them. ``port``
    0 takes a free one. ``clock`` multiplies every latency. ``key`` is the API key to accept, None accepts
    any. ``faults`` is a fault file (see ``simulator.faults``), ``level`` the account's: bronze, silver, gold
    or ultra. ``on_ready`` gets the base URL, in a thread of its own, once the service answers.

    Raises SimulatorError: FaultsInvalid, HomeInUse, BooksUnusable, or a port or level that cannot be had.
    """
    with opened(home=home, port=port, clock=clock, key=key, faults=load_faults(faults), level=level) as (
        settings,
        listener,
    ):
        SimulatorServer(settings, listener, on_ready=on_ready).run_until_stopped()


@contextlib.contextmanager
def opened(
    *, home: Path, port: int, clock: float, key: str | None, faults: Faults, level: str
) -> Iterator[tuple[Settings, socket.socket]]:
    """Takes the folder and the port for one server, and gives both back at the end. Raises SimulatorError."""
    if level not in LEVELS:
        raise SimulatorError(f"{level} is no account level; there are {', '.join(LEVELS)}")
    if not 0 <= clock < float("inf"):
        raise SimulatorError(f"the clock must be a factor such as 0.02, not {clock}")
    try:
        home.mkdir(parents=True, exist_ok=True)
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise SimulatorError(f"the simulator cannot use {home} and port {port}: {error.strerror}") from error
    url_file = home / _URL_FILE
    with listener:
        try:
            lock = FileLock(home / _LOCK_FILE).acquire(timeout=_LOCK_WAIT_SECONDS)
        except Timeout as error:
            known = url_file.read_text() if url_file.exists() else None
            raise HomeInUse(home, known) from error
        with lock:
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            url_file.write_text(url)
            try:
                yield (
                    Settings(home=home, base_url=url, clock=clock, key=key, level=level, faults=faults),
                    listener,
                )
            finally:
                url_file.unlink(missing_ok=True)


class _DroppableProtocol(H11Protocol):
    """Sends at once, and hands the transport to the application, for faults that drop connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        super().connection_made(transport)
        # asyncio does this only for sockets it opened itself; without it every answer waits 40 ms for an ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app = functools.partial(_with_transport, self.app, transport)


async def _with_transport(
    app: ASGIApp, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send
) -> None:
    scope.setdefault("extensions", {})[TRANSPORT] = transport
    await app(scope, receive, send)
