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
from flows.shared_service import Service, ServiceKind, enter_shared_service, shared_service

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


def kind(
    code: str = _SERVER, *arguments: str, status: int = 200, secret_variable: str = "", **environment: str
) -> ServiceKind:
    command = (sys.executable, "-c", code, "{port}", str(status), *arguments)
    return ServiceKind("echo", command, "/health", environment, secret_variable)


def said(service: Service) -> str:
    return httpx.get(service.url, trust_env=False).text


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
        with shared_service(kind(), folder) as service:
            server = said(service)
            assert server == str(state_of(folder)["server"])
        with shared_service(kind(), folder) as service:
            server = said(service)
            assert not gone(int(server))
            assert said(service) == server == str(state_of(folder)["server"])


def test_those_who_start_at_the_same_moment_get_the_same_one(folder: Path) -> None:
    servers: list[str] = []
    all_there = threading.Barrier(4)

    def use() -> None:
        with shared_service(kind(), folder) as service:
            servers.append(said(service))
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
    with shared_service(kind(), folder) as service:
        assert said(service).isdigit()


def test_a_server_whose_keeper_was_killed_is_replaced(folder: Path) -> None:
    with shared_service(kind(), folder) as service:
        state = state_of(folder)
        os.kill(state["keeper"], signal.SIGKILL)
        os.waitpid(state["keeper"], 0)
        assert said(service) == str(state["server"])  # it would run for ever
        with shared_service(kind(), folder) as other:
            assert said(other) != str(state["server"])
            assert state_of(folder)["keeper"] != state["keeper"]
            wait_until(lambda: gone(state["server"]))


def test_a_server_that_was_killed_is_replaced(folder: Path) -> None:
    with shared_service(kind(), folder):
        state = state_of(folder)
        os.kill(state["server"], signal.SIGKILL)
        wait_until(lambda: gone(state["keeper"]))
        with shared_service(kind(), folder) as service:
            assert said(service) != str(state["server"])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"url": "http://127.0.0.1:1"', b"{}", b"[]"])
def test_a_damaged_state_file_is_no_server(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "echo.json").write_bytes(content)
    with shared_service(kind(), folder) as service:
        assert said(service) == str(state_of(folder)["server"])


def test_the_server_s_environment_and_no_terminal_of_ours(folder: Path) -> None:
    code = _SERVER.replace("str(os.getpid())", "f\"{os.environ['CALLED']} {os.getsid(0)}\"")
    with shared_service(kind(code, CALLED="echo"), folder) as service:
        name, session = said(service).split()
        assert name == "echo"
        assert int(session) == state_of(folder)["keeper"] != os.getsid(0)


def test_a_server_that_hangs_is_replaced(folder: Path) -> None:
    with shared_service(kind(), folder):
        hung = state_of(folder)
        os.kill(hung["server"], signal.SIGSTOP)
        with shared_service(kind(), folder, hung_seconds=0.5) as service:
            assert int(said(service)) == state_of(folder)["server"] != hung["server"]
            assert gone(hung["server"])
            assert gone(hung["keeper"])
            replaced = state_of(folder)
        assert said(service) == str(replaced["server"]), "its keeper waits for the first user as well"
    wait_until(lambda: gone(replaced["server"]) and gone(replaced["keeper"]))


_ENVIRONMENT = _SERVER.replace("str(os.getpid())", "repr(dict(os.environ))")


def test_the_secret_is_new_each_time_and_only_its_owner_can_read_it(folder: Path) -> None:
    secrets = set()
    old_mask = os.umask(0)  # whatever the user's shell allows
    try:
        for _ in range(2):
            with shared_service(kind(_ENVIRONMENT, secret_variable="DOOR"), folder) as service:
                assert service.secret is not None
                assert f"'DOOR': '{service.secret}'" in said(service)
                assert service.secret not in repr(service)
                assert len(service.secret) > 40
                secrets.add(service.secret)
                with shared_service(kind(_ENVIRONMENT, secret_variable="DOOR"), folder) as same:
                    assert same.secret == service.secret
                state = state_of(folder)
                for process in (psutil.Process(state["keeper"]), psutil.Process(state["server"])):
                    assert service.secret not in " ".join(process.cmdline()), "anybody can read that"
                assert folder.stat().st_mode & 0o777 == 0o700
                modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
                assert modes == dict.fromkeys(("echo.json", "echo.log", "echo.start", "echo.users"), 0o600)
            wait_until(lambda: not (folder / "echo.json").exists())
    finally:
        os.umask(old_mask)
    assert len(secrets) == 2


def test_a_server_s_own_files_are_its_owner_s_too(folder: Path) -> None:
    code = "import os; os.close(os.open(os.environ['MADE'], os.O_CREAT, 0o666))\n" + _SERVER
    made = folder.parent / "database"
    with shared_service(kind(code, MADE=str(made)), folder):
        assert made.stat().st_mode & 0o777 == 0o600


def test_a_server_is_not_handed_what_only_this_program_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAVESPEED_API_KEY", "wavespeed-canary")
    monkeypatch.setenv("CAMPAIGN_LEDGER_URL", "postgresql://u:ledger-canary@db/x")
    monkeypatch.setenv("OF_THE_USER", "handed on")
    with shared_service(kind(_ENVIRONMENT), folder) as service:
        environment = said(service)
    assert "canary" not in environment
    assert "handed on" in environment


async def test_the_event_loop_stays_free_while_a_server_starts(folder: Path) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with contextlib.AsyncExitStack() as stack:
        service = await enter_shared_service(stack, kind(), folder)
        assert ticks > 3
        ticking.cancel()
        server = int(await asyncio.to_thread(said, service))
    await asyncio.to_thread(wait_until, lambda: gone(server))
