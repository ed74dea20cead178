"""Servers that commands share: one for all, ended by the last, replaced when nobody keeps it any more."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from campaign_support import wait_until
from ledger_support import python

from blocks.errors import CampaignError
from flows.shared_service import ServiceKind, enter_shared_service, shared_service

# Answers with its process id, so that tests can tell servers apart.
_SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def kind(code: str = _SERVER, *arguments: str, status: int = 200, **environment: str) -> ServiceKind:
    command = (sys.executable, "-c", code, "{port}", str(status), *arguments)
    return ServiceKind("echo", command, "/health", environment)


def said(url: str) -> str:
    return httpx.get(url, trust_env=False).text


def state_of(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "echo.json").read_text("utf-8"))
    return state


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the server's files are; whatever a test left running is ended."""
    yield tmp_path / "service"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        state = state_of(tmp_path / "service")
        for pid in (state["keeper"], state["server"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_one_server_serves_all_and_ends_with_the_last(folder: Path) -> None:
    with shared_service(kind(), folder) as first:
        with shared_service(kind(), folder) as second:
            assert first == second
            server = int(said(first))
        assert int(said(first)) == server
        assert state_of(folder)["server"] == server
        keeper = state_of(folder)["keeper"]
    wait_until(lambda: gone(server) and gone(keeper))
    assert not (folder / "echo.json").exists()


def test_who_comes_when_the_last_one_leaves_has_a_server_that_stays(folder: Path) -> None:
    """Either the old one goes on, or it has ended and a new one is started; never one that is about to end."""
    for _ in range(5):
        with shared_service(kind(), folder) as url:
            server = said(url)
            assert server == str(state_of(folder)["server"])
        with shared_service(kind(), folder) as url:
            server = said(url)
            assert not gone(int(server))
            assert said(url) == server == str(state_of(folder)["server"])


def test_those_who_start_at_the_same_moment_get_the_same_one(folder: Path) -> None:
    servers: list[str] = []
    all_there = threading.Barrier(4)

    def use() -> None:
        with shared_service(kind(), folder) as url:
            servers.append(said(url))
            all_there.wait(60)

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    assert len(servers) == 4
    assert len(set(servers)) == 1


def test_a_server_that_ends_at_once_is_told_with_its_last_words(folder: Path) -> None:
    broken = kind("import sys; print('starting'); sys.exit('no room for a database')")
    began = time.monotonic()
    with pytest.raises(CampaignError) as caught, shared_service(broken, folder, start_seconds=60):
        pytest.fail("there is no server to use")
    assert time.monotonic() - began < 30
    message = str(caught.value)
    assert "the echo server did not start" in message
    assert "Nothing was spent; running the command again is safe" in message
    assert str(folder / "echo.log") in message
    assert "no room for a database" in (folder / "echo.log").read_text("utf-8")


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", _SERVER], ids=["silent", "failing"])
def test_a_server_that_never_answers_well_is_given_up(folder: Path, code: str) -> None:
    mark = f"mark-{folder.parent.name}"
    try:
        process = python(
            "from pathlib import Path\n"
            "from test_shared_service import kind, shared_service\n"
            "broken = kind(sys.argv[1], sys.argv[2], status=500)\n"
            "shared_service(broken, Path(sys.argv[3]), start_seconds=1).__enter__()",
            code,
            mark,
            str(folder),
        )
        _, errors = process.communicate(timeout=60)
        assert "CampaignError: the echo server did not start within 1 s." in errors
        assert not (folder / "echo.json").exists()
    finally:
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if mark in each.cmdline():
                    each.kill()


def test_a_server_whose_start_failed_can_be_started_afterwards(folder: Path) -> None:
    with pytest.raises(CampaignError), shared_service(kind("raise SystemExit"), folder):
        pytest.fail("there is no server to use")
    with shared_service(kind(), folder) as url:
        assert said(url).isdigit()


def test_a_server_whose_keeper_was_killed_is_replaced(folder: Path) -> None:
    with shared_service(kind(), folder) as url:
        state = state_of(folder)
        os.kill(state["keeper"], signal.SIGKILL)
        os.waitpid(state["keeper"], 0)
        assert said(url) == str(state["server"])  # it would run for ever
        with shared_service(kind(), folder) as other:
            assert said(other) != str(state["server"])
            assert state_of(folder)["keeper"] != state["keeper"]
            wait_until(lambda: gone(state["server"]))


def test_a_server_that_was_killed_is_replaced(folder: Path) -> None:
    with shared_service(kind(), folder):
        state = state_of(folder)
        os.kill(state["server"], signal.SIGKILL)
        wait_until(lambda: gone(state["keeper"]))
        with shared_service(kind(), folder) as url:
            assert said(url) != str(state["server"])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"url": "http://127.0.0.1:1"', b"{}", b"[]"])
def test_a_damaged_state_file_is_no_server(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "echo.json").write_bytes(content)
    with shared_service(kind(), folder) as url:
        assert said(url) == str(state_of(folder)["server"])


def test_the_server_s_environment_and_no_terminal_of_ours(folder: Path) -> None:
    code = _SERVER.replace("str(os.getpid())", "f\"{os.environ['CALLED']} {os.getsid(0)}\"")
    with shared_service(kind(code, CALLED="echo"), folder) as url:
        name, session = said(url).split()
        assert name == "echo"
        assert int(session) == state_of(folder)["keeper"] != os.getsid(0)


async def test_the_event_loop_stays_free_while_a_server_starts(folder: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with contextlib.AsyncExitStack() as stack:
        url = await enter_shared_service(stack, kind(), folder)
        assert ticks > 3
        ticking.cancel()
        server = int(await asyncio.to_thread(said, url))
    await asyncio.to_thread(wait_until, lambda: gone(server))
