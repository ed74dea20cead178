"""Notifications of how a run ended: sent by all blocks, their trouble changes nothing, and their secrets stay."""

import http.server
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from campaign_support import PrefectApi, Workplace
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block, UnknownBlockType
from prefect.blocks.notifications import CustomWebhookNotificationBlock, MattermostWebhook
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from blocks.settings import Settings, load_settings
from flows import notifications
from flows.notifications import Message, notify

CANARY = "canary-3f9a"
ANY_END = Message("spring: 8 of 8 briefs done", "all is well\npage: /runs/r1/report.html", frozenset({"end"}))


class Listener(http.server.ThreadingHTTPServer):
    """Keeps what was posted, by path; ``/fail`` answers 500, and ``/slow`` when the test is over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.heard: list[tuple[str, Any]] = []
        self.over = threading.Event()

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def messages(self, path: str) -> list[Any]:
        return [body for heard, body in self.heard if heard.startswith(path)]


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append((self.path, json.loads(body)))
        if self.path.startswith("/slow"):
            self.server.over.wait(60)
        self.send_response(500 if self.path.startswith("/fail") else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def keep(block: Block, name: str) -> None:
    block.save(name, overwrite=True, _sync=True)  # type: ignore[call-arg] # Prefect takes it off: no loop runs here


def reached(api: PrefectApi) -> AbstractContextManager[object]:
    """The server to which Prefect speaks meanwhile."""
    return temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: api.auth_string})


@pytest.fixture(scope="module")
def blocks(prefect_api: PrefectApi, listener: Listener) -> PrefectApi:
    """On the shared server: blocks that work, that fail in all ways, and one that is no notification block."""

    def webhook(path: str) -> CustomWebhookNotificationBlock:
        return CustomWebhookNotificationBlock(
            name="hook",
            url=listener.address(f"{path}?key={{{{key}}}}"),
            json_data={"subject": "{{subject}}", "body": "{{body}}", "key": "{{key}}"},
            secrets={"key": CANARY},
        )

    with reached(prefect_api):
        for name in ("good", "fail", "slow"):
            keep(webhook(f"/{name}"), name)
        gone = webhook("/gone")
        gone.url = f"http://127.0.0.1:1/{CANARY}"
        keep(gone, "gone")
        host = {"hostname": "127.0.0.1", "port": listener.server_port, "secure": False}
        keep(MattermostWebhook(token=SecretStr(CANARY), **host), "good")
        keep(MattermostWebhook(token=SecretStr(CANARY), path="/fail", **host), "fail")
        keep(Secret(value="x"), "plain")
    return prefect_api


@pytest.fixture
def settings(
    blocks: PrefectApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> Iterator[Callable[..., Settings]]:
    """Settings in an empty folder, with the shared server behind them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    monkeypatch.setenv("CAMPAIGN_HOME", str(tmp_path / "home"))
    listener.heard.clear()

    def make(*names: str, on: str = "end") -> Settings:
        return load_settings({"notify": ",".join(names), "notify_on": on})

    with reached(blocks):
        yield make


# Sending.


async def test_it_is_sent_by_every_block_that_is_named(
    settings: Callable[..., Settings], listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    await notify(settings("custom-webhook/good", " mattermost-webhook/good"), ANY_END)
    assert listener.messages("/good") == [{"subject": ANY_END.subject, "body": ANY_END.body, "key": CANARY}]
    (apprise,) = listener.messages("/hooks/")
    assert ANY_END.subject in apprise["text"]
    assert "page: /runs/r1/report.html" in apprise["text"]
    assert capsys.readouterr().err == ""


async def test_what_nobody_wants_to_know_is_not_sent(
    settings: Callable[..., Settings], listener: Listener
) -> None:
    await notify(settings("custom-webhook/good", on="failure,hold"), ANY_END)
    await notify(settings(), ANY_END)
    assert listener.heard == []
    await notify(settings("custom-webhook/good", on="hold"), Message("s", "b", frozenset({"end", "hold"})))
    assert len(listener.heard) == 1


async def test_each_failure_is_one_line_without_a_secret(
    settings: Callable[..., Settings],
    listener: Listener,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = (
        "custom-webhook/fail",
        "custom-webhook/gone",
        "mattermost-webhook/fail",
        "custom-webhook/none",
        "secret/plain",
        "no-such-kind/x",
        "custom-webhook/good",
    )
    caplog.set_level(logging.DEBUG)
    for name in ("apprise", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    await notify(settings(*names), ANY_END)
    captured = capsys.readouterr()
    none = "Prefect has no block of that name; make it there, or change CAMPAIGN_NOTIFY"
    assert captured.err.splitlines() == [
        f"note: the notification by {name} was not sent: {why}"
        for name, why in (
            ("custom-webhook/fail", "it was answered with status 500"),
            ("custom-webhook/gone", "ConnectError"),
            ("mattermost-webhook/fail", "the service behind it did not take it"),
            ("custom-webhook/none", none),
            ("secret/plain", "it is no notification block"),
            ("no-such-kind/x", none),
        )
    ]
    assert len(listener.messages("/good")) == 1
    assert CANARY not in captured.out + captured.err + caplog.text
    assert not logging.getLogger("httpx").disabled


async def test_a_slow_one_is_given_up_and_holds_no_other_back(
    settings: Callable[..., Settings],
    listener: Listener,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifications, "LIMIT_SECONDS", 1.0)
    began = time.monotonic()
    await notify(settings("custom-webhook/slow", "custom-webhook/good"), ANY_END)
    assert time.monotonic() - began < 30, "the slow one answers after 60 s"
    assert len(listener.messages("/good")) == 1
    assert capsys.readouterr().err == (
        "note: the notification by custom-webhook/slow was given up: no answer within 1 s\n"
    )


async def test_a_block_whose_kind_is_not_installed_is_told(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lookup(key: str) -> type[Block]:
        raise UnknownBlockType(key)

    monkeypatch.setattr(Block, "get_block_class_from_key", staticmethod(lookup))
    await notify(settings("custom-webhook/good"), ANY_END)
    assert capsys.readouterr().err.endswith("not sent: blocks of its kind are not installed here\n")


class Waiting(NotificationBlock):
    """As some blocks are: its method is no coroutine, and waits until its service answers."""

    _answers: ClassVar[Callable[[], object]]
    _told: ClassVar[list[tuple[str, str | None, bool]]] = []

    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]  # as some are
        self._told.append((body, subject, threading.current_thread() is threading.main_thread()))
        type(self)._answers()


async def test_a_block_that_waits_by_itself_is_given_up_as_well(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def load(name: str) -> Waiting:
        return Waiting()

    def fail() -> None:
        raise OSError(CANARY)

    over = threading.Event()
    monkeypatch.setattr(notifications, "_load", load)
    monkeypatch.setattr(Waiting, "_answers", staticmethod(lambda: None), raising=False)
    await notify(settings("plain/x"), ANY_END)
    assert Waiting._told == [(ANY_END.body, ANY_END.subject, False)]
    monkeypatch.setattr(Waiting, "_answers", staticmethod(fail), raising=False)
    await notify(settings("plain/x"), ANY_END)
    monkeypatch.setattr(Waiting, "_answers", staticmethod(lambda: over.wait(60)), raising=False)
    monkeypatch.setattr(notifications, "LIMIT_SECONDS", 0.2)
    await notify(settings("plain/x"), ANY_END)
    assert capsys.readouterr().err.splitlines() == [
        "note: the notification by plain/x was not sent: OSError",
        "note: the notification by plain/x was given up: no answer within 0 s",
    ]
    over.set()


# From runs.


def test_a_deployed_run_tells_of_what_it_refuses(
    workplace: Workplace, listener: Listener, blocks: PrefectApi
) -> None:
    """The flow as a deployment calls it: nobody has read the campaign before."""
    listener.heard.clear()
    (workplace.folder / "spring.csv").write_text("brief,take\na,0\n", encoding="utf-8")
    script = (
        "import asyncio; from flows.prefect_server import prepare_environment; prepare_environment()\n"
        "from flows.campaign import campaign\n"
        "state = asyncio.run(campaign(csv='spring.csv', notify='custom-webhook/good', return_state=True))\n"
        "print(state.type.value)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "FAILED\n", done.stderr
    (message,) = listener.messages("/good")
    assert message["subject"] == "[simulated] spring: not run"
    assert "spring.csv:2: take: “0” is not a whole number of 1 or more" in message["body"]


def test_a_run_tells_how_it_ended_and_ends_so_whatever_comes_of_that(
    workplace: Workplace, listener: Listener, blocks: PrefectApi
) -> None:
    listener.heard.clear()
    rows = [
        {"brief": "mug", "edit_prompt": "{tone} light", "tone": "warm", "edit_image": workplace.picture()}
    ]
    rows[0]["edit_aspect_ratio"] = "1:1|9:16"
    done = workplace.run(
        "run",
        workplace.campaign(rows),
        "--json",
        "--notify",
        "custom-webhook/good,custom-webhook/fail",
        PREFECT_LOGGING_ROOT_LEVEL="DEBUG",
    )
    assert done.status == 0, done
    (message,) = listener.messages("/good")
    assert message["subject"] == "[simulated] spring: 2 of 2 briefs done"
    out = workplace.folder / done.document["out"]
    assert message["body"].splitlines()[0].startswith("simulated, nothing was really paid: 2 briefs: 2 done")
    assert message["body"].splitlines()[-1] == f"page: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    assert (
        "note: the notification by custom-webhook/fail was not sent: it was answered with status 500"
        in done.stderr
    )
    assert CANARY not in done.stdout + done.stderr

    # The same run's files, of a row with two variants.
    assert {path.name for path in (out / "assets").iterdir()} == {"mug@1x1", "mug@9x16"}
    assert "mug@9x16" in (out / "report.html").read_text("utf-8")
    again = workplace.run("plan", str(out / "results.csv"), "--json")
    assert again.status == 0, again
    assert {entry["action"] for entry in again.document["stages"]} == {"cached"}
