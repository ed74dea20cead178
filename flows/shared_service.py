"""A helper server that commands on one machine share: the first one starts it, the last one to leave lets it end.

Every user holds a shared lock on ``NAME.users`` for as long as it lives; the kernel drops it even on ``kill -9``. The
keeper process (``flows.service_keeper``) waits for the exclusive lock on the same file and, once it has it, stops the
server. So no server outlives its users, no user is left without one, and two commands that start at the same moment
get the same server.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil
from pydantic import BaseModel, ValidationError

from blocks.errors import CampaignError

START_SECONDS = 120.0


@dataclass(frozen=True)
class ServiceKind:
    """How one kind of server is started. ``{port}`` in the command becomes a free port on loopback."""

    name: str
    command: Sequence[str]
    health_path: str
    environment: Mapping[str, str]


class _State(BaseModel):
    """What the keeper has written down; the times are those at which the processes began, in seconds."""

    url: str
    keeper: int
    keeper_started: float
    server: int
    server_started: float


@contextmanager
def shared_service(kind: ServiceKind, folder: Path, *, start_seconds: float = START_SECONDS) -> Iterator[str]:
    """The base URL of a running server of this kind, started where nobody runs it yet.

    Raises CampaignError where it does not answer within ``start_seconds``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{kind.name}.users").open("a") as users:
        with (folder / f"{kind.name}.start").open("a") as starting:
            _lock(starting, fcntl.LOCK_EX)
            # Waits only while a keeper, alone by now, is stopping its server.
            _lock(users, fcntl.LOCK_SH)
            url = _answering(kind, folder) or _start(kind, folder, start_seconds)
        yield url


def _lock(handle: IO[str], how: int) -> None:
    fcntl.flock(handle.fileno(), how)


def _answering(kind: ServiceKind, folder: Path) -> str | None:
    try:
        state = _State.model_validate_json((folder / f"{kind.name}.json").read_bytes())
    except (OSError, ValidationError):
        return None
    server = _process(state.server, state.server_started)
    if server is None:
        return None  # whatever answers at its address by now is somebody else's
    if _process(state.keeper, state.keeper_started) is None:
        # Its keeper was killed: nobody would ever stop this server, so it is replaced.
        with contextlib.suppress(psutil.Error):
            server.kill()
        return None
    return state.url if _healthy(state.url + kind.health_path) else None


def _process(number: int, started: float) -> psutil.Process | None:
    """The process, unless it has ended; its number may be another's by now."""
    try:
        process = psutil.Process(number)
        alive = process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return None
    return process if alive else None


def _healthy(url: str) -> bool:
    try:
        # trust_env: a proxy set for the outside world must not be asked for loopback.
        with httpx.Client(trust_env=False, timeout=10) as client:
            return client.get(url).status_code < 500
    except httpx.HTTPError:
        return False


def _start(kind: ServiceKind, folder: Path, start_seconds: float) -> str:
    state_file = folder / f"{kind.name}.json"
    state_file.unlink(missing_ok=True)
    log = folder / f"{kind.name}.log"
    with log.open("ab") as output:
        keeper = subprocess.Popen(  # noqa: S603 - our own module with our own arguments
            [
                sys.executable,
                "-m",
                "flows.service_keeper",
                str(folder),
                kind.name,
                kind.health_path,
                *kind.command,
            ],
            env={**os.environ, **kind.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the command, which still needs its servers to stop cleanly.
            start_new_session=True,
        )
    deadline = time.monotonic() + start_seconds
    while time.monotonic() < deadline:
        if (url := _answering(kind, folder)) is not None:
            # The keeper outlives this command where others still use its server.
            keeper.returncode = 0
            return url
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


async def enter_shared_service(stack: contextlib.AsyncExitStack, kind: ServiceKind, folder: Path) -> str:
    """The same from an event loop, which stays free while a server starts."""
    manager = shared_service(kind, folder)
    url = await asyncio.to_thread(manager.__enter__)
    stack.push(manager)
    return url
