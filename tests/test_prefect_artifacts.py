"""What Prefect shows of a run beside its states, read back from its API; and what a run does where that fails."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from campaign_support import Finished, PrefectApi, Workplace, prefect_client, rows_of
from markdown_support import shown_text, tokens
from PIL import Image
from record_samples import Assets, every_outcome, hostile, large
from simulator_support import KEY, simulator_thread

from flows import artifacts
from flows.artifacts import MOST_ROWS, artifact_key, artifacts_of, publish_run, shown_progress
from flows.closing import ClosedRun
from tasks.accounting.markdown_summary import MOST_BRIEFS, markdown_summary
from tasks.endings import ExitStatus
from tasks.record import Outcome, RunRecord
from tasks.watching.progress import SilentProgress

NAME = "spring | [x](javascript:alert(1)) *b*"


# One run of the real command, looked at from every side.


@dataclass
class Shown:
    """What Prefect has of a finished run."""

    finished: Finished
    out: Path
    flow_run: dict[str, Any]
    task_runs: list[dict[str, Any]]
    artifacts: dict[str, dict[str, Any]]  # by what they are called after the campaign


@pytest.fixture(scope="module")
def shown(prefect_api: PrefectApi, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("artifacts")
    place = Workplace(folder / "work", prefect_api)
    image = place.picture()
    rows = [
        {"brief": "a", "edit_prompt": "warm", "edit_image": image, "compose_prompt": "@Image1"},
        {"brief": "b", "edit_prompt": "cold", "edit_image": image},
    ]
    rule = {"on": "submit", "prompt_contains": "cold", "do": "fail_prediction", "code": 1200}
    with simulator_thread(folder / "service", faults={"rules": [rule]}) as service:
        place.use_service(service.url, KEY)
        finished = place.run("run", place.campaign(rows, f"{NAME}.csv"), "--quiet", "--json")
    assert finished.status == 1, finished
    out = place.out(finished.document["run"])
    flow_run_id = json.loads((out / "manifest.json").read_text("utf-8"))["flow_run_id"]
    with prefect_client(prefect_api) as http:
        flow_run = http.get(f"/flow_runs/{flow_run_id}").raise_for_status().json()
        of_run = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
        task_runs = http.post("/task_runs/filter", json=of_run).raise_for_status().json()
        found = http.post("/artifacts/filter", json=of_run).raise_for_status().json()
    by_name = {artifact["key"].rpartition("-")[2]: artifact for artifact in found}
    assert len(by_name) == len(found), "one of each"
    return Shown(finished, out, flow_run, task_runs, by_name)


def test_runs_are_named_and_tagged(shown: Shown) -> None:
    assert shown.flow_run["name"] == shown.finished.document["run"]
    assert "spring" in shown.flow_run["name"]
    assert set(shown.flow_run["tags"]) == {NAME, "simulator"}
    assert {run["name"] for run in shown.task_runs} == {"a: edit", "a: compose", "b: edit"}
    # For each tag of a task, Prefect would ask its server before the task begins.
    assert not any(run["tags"] for run in shown.task_runs)


def test_a_run_has_a_handful_of_artifacts(shown: Shown) -> None:
    assert {name: artifact["type"] for name, artifact in shown.artifacts.items()} == {
        "progress": "progress",
        "summary": "markdown",
        "cost": "table",
        "latency": "table",
        "pictures": "image",
    }
    keys = {artifact["key"].rpartition("-")[0] for artifact in shown.artifacts.values()}
    assert keys == {"spring-x-javascript-alert-1-b"}
    assert shown.artifacts["progress"]["data"] == 100
    assert all(artifact["task_run_id"] is None for artifact in shown.artifacts.values())


def test_the_tables_are_the_runs_own(shown: Shown) -> None:
    for name in ("cost", "latency"):
        rows = rows_of(shown.out / f"{name}.csv")
        expected = [{column: text for column, text in row.items() if column != "run"} for row in rows]
        assert json.loads(shown.artifacts[name]["data"]) == expected
    assert "0.028" in shown_text(shown.artifacts["cost"]["description"])
    assert "p95_s" in shown_text(shown.artifacts["latency"]["description"])


def test_the_summary_says_what_became_of_the_run(shown: Shown) -> None:
    text = shown_text(shown.artifacts["summary"]["data"])
    for said in (
        NAME, shown.finished.document["run"], "SIMULATED", "$0.056", "2 briefs: 1 done, 1 failed", "Not done (1)",
        "Done (1)", "assets/a/compose-1.png", str(shown.out / "report.html"),
    ):  # fmt: skip
        assert said in text, said
    kinds = {token.type for token in tokens(shown.artifacts["summary"]["data"])}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "code_inline"}


def test_the_picture_shows_what_is_finished(shown: Shown) -> None:
    head, _, data = shown.artifacts["pictures"]["data"].partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (256, 218))
    assert "1 of 1 finished brief;" in shown_text(shown.artifacts["pictures"]["description"])


def test_a_simulated_run_says_so_in_each_of_them(shown: Shown) -> None:
    assert all("simulated" in artifact["description"].lower() for artifact in shown.artifacts.values())


def test_no_key_is_in_any_of_them(shown: Shown) -> None:
    assert KEY not in json.dumps([shown.artifacts, shown.flow_run, shown.task_runs])


def test_quiet_says_how_it_ended_and_what_went_wrong(shown: Shown) -> None:
    said = shown.finished.stderr.splitlines()
    assert said[0].startswith(
        "simulated, nothing was really paid: 2 briefs: 1 done, 1 failed; $0.056 charged"
    )
    assert [line.partition(":")[0] for line in said[1:]] == ["b"]


# Without a server.


def closed(record: RunRecord, folder: Path) -> ClosedRun:
    return ClosedRun(record, folder, ExitStatus(record.exit_status), "how it ended")


def test_a_summary_has_an_end(tmp_path: Path) -> None:
    record = large(tmp_path, Assets(), 300)
    text = markdown_summary(record, tmp_path, "how it ended")
    assert len(text) < 20_000
    assert f"and {300 - MOST_BRIEFS} more" in text
    found = artifacts_of(closed(record, tmp_path))
    tables = [artifact for artifact in found if artifact.type == "table"]
    assert [len(getattr(artifact, "table")) for artifact in tables] == [MOST_ROWS, MOST_ROWS]  # noqa: B009 - by its kind
    assert all(f"The first {MOST_ROWS} of 900 rows" in shown_text(str(a.description)) for a in tables)


def test_hostile_runs_have_artifacts_too(tmp_path: Path) -> None:
    found = artifacts_of(closed(hostile(tmp_path, Assets()), tmp_path))
    for artifact in found:
        kinds = {token.type for token in tokens(str(artifact.description))}
        assert not kinds & {"link_open", "image", "html_inline", "html_block"}
        assert asyncio.run(artifact.aformat())
    assert [artifact.type for artifact in found] == ["markdown", "table", "table"], "nothing is finished"


@pytest.mark.parametrize(
    ("campaign", "key"),
    [
        ("Spring_2026 Launch", "spring-2026-launch-cost"),
        ("../../x", "x-cost"),
        ("漢字", "campaign-cost"),
        ("y" * 90, "y" * 60 + "-cost"),
    ],
)
def test_keys_are_what_prefect_takes(campaign: str, key: str) -> None:
    assert artifact_key(campaign, "cost") == key


@dataclass
class PrefectServer:
    """Stands in for Prefect's client: keeps what it is told, or fails."""

    failing: Any = None
    told: list[Any] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def client(self) -> AsyncIterator["PrefectServer"]:
        yield self

    async def _take(self, what: Any) -> Any:
        self.asked.set()
        if self.failing is not None:
            await self.failing()
        self.told.append(what)
        return SimpleNamespace(id=uuid4())

    async def update_flow_run(self, _: Any, **changes: Any) -> None:
        await self._take(changes)

    async def create_artifact(self, artifact: Any) -> Any:
        return await self._take(artifact)

    async def update_artifact(self, _: Any, artifact: Any) -> None:
        await self._take(artifact)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> PrefectServer:
    server = PrefectServer()
    monkeypatch.setattr(artifacts, "get_client", server.client)
    context = SimpleNamespace(flow_run=SimpleNamespace(id=uuid4(), tags=["nightly"]))
    monkeypatch.setattr(artifacts, "FlowRunContext", SimpleNamespace(get=lambda: context))
    monkeypatch.setattr("prefect.artifacts.get_run_context", lambda: context)
    monkeypatch.setattr(artifacts, "UPDATE_SECONDS", 0.001)
    return server


def bench() -> Any:
    progress = SilentProgress()
    progress.start({"edit": 4}, 0, None, campaign="spring")
    notes: list[str] = []
    progress.line = notes.append  # type: ignore[method-assign,assignment] # what a view would show
    return SimpleNamespace(
        progress=progress,
        run_id="r",
        provider="wavespeed",
        note=notes.append,
        notes=notes,
        without_prefect=False,
    )


async def test_the_progress_moves_while_the_run_does(server: PrefectServer) -> None:
    run = bench()
    async with shown_progress(run):
        for number in range(3):
            server.asked.clear()
            run.progress.stage_ended(f"b{number}", "edit", Outcome.GENERATED, 0)
            await server.asked.wait()
        run.progress.stage_ended("b3", "edit", Outcome.GENERATED, 0)
    named, made, *moved = server.told
    assert named == {"name": "r", "tags": ["nightly", "spring", "wavespeed"]}
    assert made.data == 0
    assert [update.data for update in moved][:3] == [25, 50, 75]
    assert [update.data for update in moved][-1] == 100
    assert len(moved) <= 5, "it is told when something moved, and at the end"
    assert "edit 4/4" in shown_text(moved[-1].description)


async def refuse() -> None:
    raise httpx.ConnectError("http://user:secret@prefect.example refused")


async def never() -> None:
    await asyncio.sleep(600)


@pytest.mark.parametrize("failing", [refuse, never])
async def test_a_failing_server_never_stops_a_run(
    server: PrefectServer, failing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "LIMIT_SECONDS", 0.05)
    server.failing = failing
    run, reached = bench(), False
    async with shown_progress(run):
        reached = True
    await publish_run(run, closed(every_outcome(tmp_path, Assets()), tmp_path))
    assert reached
    assert len(run.notes) == 2
    assert "secret" not in "".join(run.notes)


async def test_one_that_fails_later_does_not_either(server: PrefectServer) -> None:
    run = bench()
    async with shown_progress(run):
        server.failing = refuse
        server.asked.clear()
        run.progress.stage_ended("b", "edit", Outcome.GENERATED, 0)
        await server.asked.wait()
    assert len(server.told) == 2


async def test_outside_a_flow_nothing_is_told(tmp_path: Path) -> None:
    run = bench()
    async with shown_progress(run):
        pass
    await publish_run(run, closed(every_outcome(tmp_path, Assets()), tmp_path))
    assert run.notes == []
