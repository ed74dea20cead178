"""A helper server that commands on one machine share: the first one starts it, the last one to leave lets it end.

Every user holds a shared lock on ``NAME.users`` for as long as it lives; the kernel drops it even on ``kill -9``. The
keeper process (``flows.service_keeper``) waits for the exclusive lock on the same file and, once it has it, stops the
server. So no server outlives its users, no user is left without one, and two commands that start at the same moment
get the same server.

Any page of a browser and any user of the machine can speak to a port on loopback. So a server may want to be shown a
secret, which only the user who started it can read: it stands in the environment of the server, and in a file of mode
600 that the keeper writes.
"""

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import psutil
from pydantic import BaseModel, ValidationError

from blocks.errors import CampaignError

START_SECONDS = 120.0
# A server that says nothing for so long hangs, and is replaced: nobody could work with it.
HUNG_SECONDS = 30.0
# What only this program needs, the account's key before all, is not handed to its helpers.
_NOT_HANDED_ON = ("WAVESPEED_", "CAMPAIGN_")


@dataclass(frozen=True)
class ServiceKind:
    """How one kind of server is started. ``{port}`` in the command becomes a free port on loopback."""

    name: str
    command: Sequence[str]
    # Answers without the secret.
    health_path: str
    environment: Mapping[str, str]
    # The variable in which the server is told the secret that it is to be shown; without one, it asks for none.
    secret_variable: str = ""


@dataclass(frozen=True)
class Service:
    """A running server: its base URL, and the secret that it wants to be shown, if it is of such a kind."""

    url: str
    secret: str | None = field(default=None, repr=False)


class _State(BaseModel):
    """What the keeper has written down; the times are those at which the processes began, in seconds."""

    url: str
    secret: str | None = None
    keeper: int
    keeper_started: float
    server: int
    server_started: float


@contextmanager
def shared_service(
    kind: ServiceKind,
    folder: Path,
    *,
    start_seconds: float = START_SECONDS,
    hung_seconds: float = HUNG_SECONDS,
) -> Iterator[Service]:
    """A running server of this kind, started where nobody runs it yet.

    Raises CampaignError where it does not answer within ``start_seconds``. One that runs already, but says nothing for
    ``hung_seconds``, is ended and replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # somebody else's, and what is secret has a mode of its own
        folder.chmod(0o700)
    with _private_file(folder / f"{kind.name}.users") as users:
        with _private_file(folder / f"{kind.name}.start") as starting:
            _lock(starting, fcntl.LOCK_EX)
            # Waits only while a keeper, alone by now, is stopping its server.
            _lock(users, fcntl.LOCK_SH)
            service = _found(kind, folder, hung_seconds) or _start(kind, folder, start_seconds)
        yield service


def _private_file(path: Path) -> IO[str]:
    return open(path, "a", encoding="utf-8", opener=_for_its_owner)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _lock(handle: IO[str], how: int) -> None:
    fcntl.flock(handle.fileno(), how)


def _found(kind: ServiceKind, folder: Path, hung_seconds: float) -> Service | None:
    """The server that runs already, if it can be worked with; one that cannot is ended."""
    state = _state(kind, folder)
    if state is None or (server := _process(state.server, state.server_started)) is None:
        return None  # whatever answers at its address by now is somebody else's
    keeper = _process(state.keeper, state.keeper_started)
    # Where its keeper was killed, nobody would ever stop this server.
    if keeper is not None and _answers_within(state.url + kind.health_path, hung_seconds):
        return Service(state.url, state.secret)
    with contextlib.suppress(psutil.Error):
        server.kill()
    if keeper is not None:
        # It sees that its server has ended, and clears up behind it, before another one writes the same files.
        deadline = time.monotonic() + hung_seconds
        while _process(state.keeper, state.keeper_started) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.suppress(psutil.Error):
            keeper.kill()
    return None


def _state(kind: ServiceKind, folder: Path) -> _State | None:
    try:
        return _State.model_validate_json((folder / f"{kind.name}.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _process(number: int, started: float) -> psutil.Process | None:
    """The process, unless it has ended; its number may be another's by now."""
    try:
        process = psutil.Process(number)
        alive = process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return None
    return process if alive else None


def _answers_within(url: str, seconds: float) -> bool:
    """Whether it says anything good in that time; however busy it is, it is asked several times."""
    deadline = time.monotonic() + seconds
    # trust_env: a proxy set for the outside world must not be asked for loopback.
    with httpx.Client(trust_env=False, timeout=min(10.0, seconds)) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url).status_code < 500:
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)


def _start(kind: ServiceKind, folder: Path, start_seconds: float) -> Service:
    (folder / f"{kind.name}.json").unlink(missing_ok=True)
    log = folder / f"{kind.name}.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
    with _private_file(log) as output:
        keeper = subprocess.Popen(  # noqa: S603 - our own module with our own arguments
            [
                sys.executable,
                "-m",
                "flows.service_keeper",
                str(folder),
                kind.name,
                kind.health_path,
                kind.secret_variable,
                *kind.command,
            ],
            env={**inherited, **kind.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the command, which still needs its servers to stop cleanly.
            start_new_session=True,
        )
    deadline = time.monotonic() + start_seconds
    while time.monotonic() < deadline:
        # Its keeper writes that down when the server answers.
        if (state := _state(kind, folder)) is not None and state.keeper == keeper.pid:
            # The keeper outlives this command where others still use its server.
            keeper.returncode = 0
            return Service(state.url, state.secret)
        if keeper.poll() is not None:
            break
        time.sleep(0.1)
    else:
        keeper.terminate()
    said = log.read_text("utf-8", errors="replace").strip().splitlines()
    last = f" Its last words: {said[-1]}" if said else ""
    raise CampaignError(
        f"the {kind.name} server did not start within {start_seconds:.0f} s.{last} (all of them are in {log}). "
        "Nothing was spent; running the command again is safe"
    )


async def enter_shared_service(stack: contextlib.AsyncExitStack, kind: ServiceKind, folder: Path) -> Service:
    """The same from an event loop, which stays free while a server starts."""
    manager = shared_service(kind, folder)
    service = await asyncio.to_thread(manager.__enter__)
    stack.push(manager)
    return service
