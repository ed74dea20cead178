"""Prefect's server dies or hangs: the run goes on, ends, and says so; the ledger decides, as ever."""

import asyncio
import http.server
import json
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import prefect
import psutil
import pytest
from campaign_support import DEADLINE_SECONDS, PrefectApi, Workplace, charged_millionths, wait_until
from simulator_support import KEY, Simulator, simulator_thread

from tasks import stages

BRIEFS = 4


def two_stages(workplace: Workplace) -> str:
    image = workplace.picture()
    return workplace.campaign(
        [
            {
                "brief": f"b{number}",
                "edit_prompt": f"b{number}",
                "edit_image": image,
                "compose_prompt": f"@Image1 on oak b{number}",
            }
            for number in range(BRIEFS)
        ]
    )


def everything_is_done_and_paid_once(workplace: Workplace, out: str, service: Simulator) -> None:
    summary = json.loads(out)
    assert summary["briefs"] == {"total": BRIEFS, "done": BRIEFS, "failed": 0, "held": 0}
    assert len(service.books.predictions()) == 2 * BRIEFS
    cost = Path(workplace.folder, summary["out"], "cost.csv")
    assert service.books.charged_total() == charged_millionths(cost)


@pytest.mark.parametrize(
    ("trouble", "of"),
    [(signal.SIGKILL, ("keeper", "server")), (signal.SIGSTOP, ("server",))],
    ids=["dies", "hangs"],
)
def test_the_run_goes_on_without_it(tmp_path: Path, trouble: signal.Signals, of: tuple[str, ...]) -> None:
    workplace = Workplace(tmp_path / "work")
    campaign = two_stages(workplace)
    state_file = workplace.home / "prefect/kling-campaigns/prefect.json"
    with simulator_thread(tmp_path / "service", clock=0.05) as service:
        workplace.use_service(service.url, KEY)
        command = workplace.start_cold("run", campaign, "--json")
        # The very first start of a server takes a while.
        wait_until(lambda: bool(service.books.predictions()), DEADLINE_SECONDS)
        state = json.loads(state_file.read_text("utf-8"))
        for name in of:
            psutil.Process(state[name]).send_signal(trouble)
        # It stays so: a server that hangs is never continued.
        out, said = command.communicate(timeout=DEADLINE_SECONDS)

        assert command.returncode == 0, said
        assert "Traceback" not in said
        assert said.count("Prefect's server does not answer any more") <= 1, said
        assert said.count("Prefect's record of this run is not complete") == 1, said
        assert "EventsWorker" not in said
        assert "Error logging to API" not in said
        assert len(said.splitlines()) < 40, "it was told of every event"
        everything_is_done_and_paid_once(workplace, out, service)
    if "keeper" not in of:
        wait_until(lambda: not state_file.exists() and not psutil.pid_exists(state["server"]))


async def test_what_is_cached_is_entered_as_far_as_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Client:
        async def create_task_run(self, _task: Any, _flow_run: Any, *, name: str, **_: Any) -> None:
            asked.append(name)
            if name != "a: edit":
                await asyncio.Event().wait()

    @asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        yield Client()

    class Bench(SimpleNamespace):
        def go_on_without_prefect(self) -> None:
            self.without_prefect = True

    notes: list[str] = []
    bench: Any = Bench(flow_run_id=str(uuid4()), without_prefect=False, note=notes.append)
    monkeypatch.setattr(stages, "get_client", client)
    monkeypatch.setattr(stages, "RECORD_SECONDS", 0.05)
    await stages.record_cached(bench, [("a", "edit"), ("a", "compose"), ("b", "edit")])
    assert asked == ["a: edit", "a: compose", "b: edit"]
    assert notes == ["Prefect's record lacks 2 cached stages: no answer within 0 s"]
    assert bench.without_prefect
    await stages.record_cached(bench, [("c", "edit")])
    assert len(asked) == 3, "nobody waits for it again"


class Hesitant(http.server.BaseHTTPRequestHandler):
    """A Prefect server that lets everybody in, and then fails or falls silent before a flow run is there."""

    protocol_version = "HTTP/1.1"
    server: "HesitantServer"

    def do_GET(self) -> None:
        if self.path.endswith("/health"):
            if self.server.silent.is_set():
                self.server.over.wait()
            self._answer(200, True)
        elif self.path.endswith("/admin/version"):
            self._answer(200, prefect.__version__)
        else:
            self._answer(
                422 if "csrf-token" in self.path else 404, {"detail": "CSRF protection is disabled."}
            )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/flows/filter"):
            self._answer(200, [])
        elif self.server.fails:
            self._answer(500, {"exception_message": "out of order"})
        else:
            self.server.silent.set()
            self.server.over.wait()

    def _answer(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


class HesitantServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *, fails: bool) -> None:
        super().__init__(("127.0.0.1", 0), Hesitant)
        self.fails = fails
        self.silent = threading.Event()
        self.over = threading.Event()


@contextmanager
def hesitant_server(*, fails: bool) -> Iterator[PrefectApi]:
    with HesitantServer(fails=fails) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "falls-silent"])
def test_a_run_begins_without_it_as_well(tmp_path: Path, *, fails: bool) -> None:
    with simulator_thread(tmp_path / "service", clock=0.05) as service, hesitant_server(fails=fails) as api:
        workplace = Workplace(tmp_path / "work", api)
        workplace.use_service(service.url, KEY)
        done = workplace.run("run", two_stages(workplace), "--json")
        assert done.status == 0, done
        (why,) = [
            line
            for line in done.stderr.splitlines()
            if line.startswith("note: Prefect's record of this run is not complete: ")
        ]
        assert ("500" if fails else "its server does not answer") in why
        everything_is_done_and_paid_once(workplace, done.stdout, service)


def test_what_the_run_refuses_is_told_without_it_as_well(tmp_path: Path) -> None:
    with simulator_thread(tmp_path / "service") as service, hesitant_server(fails=True) as api:
        workplace = Workplace(tmp_path / "work", api)
        workplace.use_service(service.url, "another-key")
        done = workplace.run("run", two_stages(workplace), "--json")
        assert done.status == 4, done
        assert not service.books.predictions()


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ({"PREFECT_API_AUTH_STRING": ""}, "PREFECT_API_AUTH_STRING is not set"),
        (
            {"PREFECT_API_AUTH_STRING": "campaign:another-canary"},
            "PREFECT_API_AUTH_STRING is not the right one",
        ),
        (
            {"PREFECT_API_AUTH_STRING": "", "PREFECT_API_KEY": "pnu-canary"},
            "PREFECT_API_AUTH_STRING is not set",
        ),
    ],
    ids=["nothing", "another", "a-key"],
)
def test_a_server_that_does_not_let_us_in_is_told_of_with_the_setting(
    tmp_path: Path, workplace: Workplace, shown: dict[str, str], wanted: str
) -> None:
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, KEY)
        done = workplace.run("run", two_stages(workplace), "--json", **shown)
        assert done.status == 2, done
        (sentence,) = [line for line in done.stderr.splitlines() if "PREFECT_API_URL" in line]
        assert wanted in sentence
        assert "set it to what PREFECT_SERVER_API_AUTH_STRING is on the server" in sentence
        assert "Nothing was spent" in sentence
        assert "canary" not in done.stderr
        assert not service.books.predictions()
