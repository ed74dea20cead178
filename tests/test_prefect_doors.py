"""Who may speak to the Prefect server that a run starts: its own user's commands, and nobody else."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from campaign_support import DEADLINE_SECONDS, PrefectApi, Workplace, prefect_client, wait_until
from simulator_support import KEY, simulator_thread
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from flows.prefect_server import spare_loopback

_MARK = "MARK_OF_THIS_TEST"
# A proxy at which nothing answers: whatever asks it for this machine fails.
_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")


class Servers:
    """Looks again and again which Prefect servers the marked command, or what it has started, runs."""

    def __init__(self, mark: str) -> None:
        self.seen: set[int] = set()
        self._mark = mark
        self._over = threading.Event()

    def now(self) -> set[int]:
        return {process.pid for process in marked(self._mark) if _is_server(process)}

    @contextmanager
    def watched(self) -> Iterator[None]:
        watching = threading.Thread(target=self._look)
        watching.start()
        try:
            yield
        finally:
            self._over.set()
            watching.join()

    def _look(self) -> None:
        while not self._over.is_set():
            self.seen |= self.now()
            self._over.wait(0.1)


def marked(mark: str) -> list[psutil.Process]:
    """The processes that have the mark in their environment: a command, and whatever came of it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _is_server(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "uvicorn" in " ".join(words[:3]) and any("prefect" in word for word in words)


def test_one_server_whose_door_is_shut_and_none_afterwards(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "work")
    image = workplace.picture()
    campaign = workplace.campaign(
        [{"brief": f"b{number}", "edit_prompt": f"look {number}", "edit_image": image} for number in range(3)]
    )
    servers = Servers(str(tmp_path))
    with simulator_thread(tmp_path / "service", clock=0.3) as service, servers.watched():
        workplace.use_service(service.url, KEY)
        command = workplace.start_cold("run", campaign, "--json", **{_MARK: str(tmp_path)}, **_PROXY)
        try:
            # The very first start of a server takes a while.
            wait_until(lambda: bool(service.books.predictions()), DEADLINE_SECONDS)
            look_at_the_door(workplace, servers)
        finally:
            out, said = command.communicate(timeout=DEADLINE_SECONDS)
        assert command.returncode == 0, said
        assert "note: Prefect" not in said
        assert json.loads(out)["briefs"]["done"] == 3
        assert len(service.books.predictions()) == 3
        wait_until(lambda: not marked(str(tmp_path)))
    assert len(servers.seen) == 1, "a second server was started on the way"
    assert not (workplace.home / "prefect/kling-campaigns/prefect.json").exists()


def look_at_the_door(workplace: Workplace, servers: Servers) -> None:
    folder = workplace.home / "prefect" / "kling-campaigns"
    state = json.loads((folder / "prefect.json").read_text("utf-8"))
    assert servers.now() == {state["server"]}
    url, secret = state["url"], state["secret"]
    secrets_asked_for: dict[str, Any] = {"json": {"include_secrets": True}}

    with httpx.Client(base_url=f"{url}/api", trust_env=False, timeout=30) as stranger:
        assert stranger.post("/block_documents/filter", **secrets_asked_for).status_code == 401
        for user, password in (("campaign", "campaign"), ("", "")):
            answer = stranger.post("/block_documents/filter", auth=(user, password), **secrets_asked_for)
            assert answer.status_code == 401
        for origin in ("https://evil.example", "null"):
            read = stranger.get("/health", headers={"Origin": origin})
            assert read.status_code == 200
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = stranger.options("/block_documents/filter", headers=asked)
            assert preflight.status_code == 400
            assert not {
                name for answer in (read, preflight) for name in answer.headers if "allow-origin" in name
            }
        rebound = stranger.get("/health", headers={"Host": f"evil.example:{url.rpartition(':')[2]}"})
        assert rebound.status_code == 400
    refuse_the_stranger_s_sockets(url.replace("http:", "ws:"))

    with prefect_client(PrefectApi(f"{url}/api", secret)) as ours:
        assert ours.post("/block_documents/filter", **secrets_asked_for).status_code == 200
        assert len(ours.post("/flow_runs/filter", json={}).json()) == 1

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    databases = list((workplace.home / "prefect").glob("prefect.db*"))
    assert databases
    assert {path.stat().st_mode & 0o777 for path in databases} == {0o600}
    for number in (state["keeper"], state["server"]):
        process = psutil.Process(number)
        assert KEY not in str(process.environ())
        assert secret not in " ".join(process.cmdline())


def refuse_the_stranger_s_sockets(url: str) -> None:
    """A page may open them without asking, so they have to ask for the secret themselves."""
    for path in ("events/in", "events/out", "logs/out"):
        with (
            pytest.raises((InvalidStatus, ConnectionClosed)),
            connect(f"{url}/api/{path}", origin=None, proxy=None) as socket,
        ):
            socket.recv(30)
        guess = json.dumps({"type": "auth", "token": "campaign:guessed"})
        with connect(f"{url}/api/{path}", subprotocols=[Subprotocol("prefect")], proxy=None) as socket:
            socket.send(guess)
            with pytest.raises(ConnectionClosed):
                socket.recv(30)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"NO_PROXY": "127.0.0.1,localhost,::1"}),
        ({"NO_PROXY": "db.example, localhost"}, {"NO_PROXY": "db.example,localhost,127.0.0.1,::1"}),
        ({"no_proxy": "", "NO_PROXY": "x"}, {"no_proxy": "127.0.0.1,localhost,::1", "NO_PROXY": "x"}),
        ({"NO_PROXY": "*"}, {"NO_PROXY": "*"}),
    ],
)
def test_no_proxy_is_asked_for_this_machine(before: dict[str, str], after: dict[str, str]) -> None:
    environment = dict(before)
    spare_loopback(environment)
    assert environment == after
