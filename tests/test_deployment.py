"""The deployment of prefect.yaml, on a real server, run by a real process worker when it is due."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from campaign_support import PrefectApi, Workplace, charged_millionths, prefect_client, wait_until

from flows.service_keeper import answers, free_port

DUE_SECONDS = 15
ROOT = Path(__file__).parents[1]
PREFECT = str(Path(sys.executable).with_name("prefect"))


class Server:
    """A Prefect server of its own, scheduler included, and the command line pointed at it.

    It asks to be shown an auth string, as docs/deploying.md advises: the worker and its runs show it.
    """

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.api = PrefectApi(f"{self.url}/api", "admin:of-this-test")
        self.environment = {
            **{
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("PREFECT_", "CAMPAIGN_", "WAVESPEED_"))
            },
            "PREFECT_HOME": str(folder / "prefect"),
            **self.api.environment(),
            "PREFECT_SERVER_API_AUTH_STRING": "admin:of-this-test",
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.url,
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "CAMPAIGN_PROJECT": str(ROOT),
            "CAMPAIGN_HOME": str(folder / "home"),
            "CAMPAIGN_SIMULATOR_CLOCK": "0.002",
        }
        self._folder = folder

    def prefect(self, *arguments: str) -> str:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, *arguments: str) -> Iterator[None]:
        """A Prefect command that runs until the block ends; its log is beside the test's files."""
        with (self._folder / f"{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [PREFECT, "--no-prompt", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    # Prefect's worker may miss a signal that comes while it clears up after a run.
                    process.kill()
                    process.wait(60)

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        with prefect_client(self.api) as http:
            answer = http.request(method, path, **arguments).raise_for_status()
        return answer.json() if answer.content else None

    def flow_runs(self, deployment_id: str) -> list[dict[str, Any]]:
        body = {"flow_runs": {"deployment_id": {"any_": [deployment_id]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = self.ask("POST", "/flow_runs/filter", json=body)
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    port = server.url.rpartition(":")[2]
    with server.running("server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"):
        wait_until(lambda: answers(f"{server.url}/api/health"), 120)
        yield server


def test_a_worker_runs_the_deployment_when_it_is_due(server: Server, tmp_path: Path) -> None:
    place = Workplace(tmp_path / "campaigns")
    campaign = place.campaign([{"brief": "a", "edit_prompt": "warm", "edit_image": place.picture()}])
    server.prefect("block", "register", "--module", "blocks.prefect_blocks")
    kinds = {kind["slug"] for kind in server.ask("POST", "/block_types/filter", json={})}
    assert {"wavespeed-account", "campaign-workspace"} <= kinds
    server.ask("POST", "/work_pools/", json={"name": "campaigns", "type": "process"})

    server.prefect("deploy", "--name", "scheduled")
    as_written = server.ask("GET", "/deployments/name/campaign/scheduled")
    schedule = as_written["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 7 * * 1-5", "Europe/Berlin")
    assert as_written["schedules"][0]["active"]
    assert as_written["parameters"]["csv"] == "data/campaign.csv"

    # The same deployment, due in a moment, of a smaller campaign; on a busy machine two minutes later.
    due = datetime.now(UTC) + timedelta(seconds=DUE_SECONDS)
    server.ask(
        "PATCH",
        f"/deployments/{as_written['id']}",
        json={
            "schedules": [{"schedule": {"interval": 120, "anchor_date": due.isoformat()}, "active": True}],
            "parameters": as_written["parameters"]
            | {"csv": str(place.folder / campaign), "out": str(tmp_path / "out")},
        },
    )
    deployment = server.ask("GET", "/deployments/name/campaign/scheduled")
    # Where this worker's runs read and write; the project itself lies where it lay when the deployment was made.
    server.environment["CAMPAIGN_PROJECT"] = str(tmp_path)
    with server.running("worker", "start", "--pool", "campaigns", "--type", "process"):
        wait_until(
            lambda: any(
                run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}
                for run in server.flow_runs(deployment["id"])
            ),
            300,
        )

    ended = next(run for run in server.flow_runs(deployment["id"]) if run["start_time"])
    log = (tmp_path / "worker.log").read_text("utf-8")
    assert ended["state_name"] == "Completed", (ended["state"], log)
    assert ended["auto_scheduled"]
    cost = next((tmp_path / "out").glob("*/cost.csv"))
    assert charged_millionths(cost) == 28_000
    assert (cost.parent / "assets/a/edit-1.png").is_file()


def deployed(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """The flow as a deployment calls it, its deployment's id given the way Prefect gives it: how it ended, and why."""
    script = (
        "import asyncio, sys; from flows.prefect_server import prepare_environment; prepare_environment()\n"
        "from flows.campaign import campaign\n"
        "state = asyncio.run(campaign(csv=sys.argv[1], out=sys.argv[2], return_state=True))\n"
        "print(state.type.value, state.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env={**environment, "PREFECT__RUNTIME__DEPLOYMENT__ID": "some-deployment"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.stdout


@pytest.mark.parametrize("named", [True, False])
def test_a_deployed_run_reads_and_writes_only_below_its_workers_root(
    workplace: Workplace, named: bool
) -> None:
    """By name, by `..` and by links, whatever the flow run's parameters are; unnamed, it is the working directory."""
    outside = workplace.folder
    secret = workplace.picture("outside.png")
    inner = outside / "project"
    place = Workplace(inner / "spring")
    folder = outside if named else inner
    environment = workplace.environment | ({"CAMPAIGN_PROJECT": "project"} if named else {})
    (inner / "shared").mkdir()
    (inner / "link.png").symlink_to(outside / secret)
    (inner / "away").symlink_to(outside)
    place.picture("../shared/mug.png")
    place.campaign(
        [
            {"brief": "a", "edit_prompt": "warm", "edit_image": "../shared/mug.png"},
            {"brief": "b", "edit_prompt": "warm", "edit_image": "../../outside.png"},
            {"brief": "c", "edit_prompt": "warm", "edit_image": "../link.png"},
        ]
    )
    told = deployed(folder, environment, "spring/spring.csv", "runs")
    assert told.startswith("FAILED"), told
    assert ":2:" not in told  # next to the campaign's own folder, and below the root
    assert told.count("lies outside the folder") == 2

    (outside / "other.csv").write_bytes((place.folder / "spring.csv").read_bytes())
    for csv, out in (
        (str(outside / "other.csv"), str(outside / "elsewhere")),
        ("../other.csv", "../elsewhere"),
        ("away/other.csv", "away/elsewhere"),
    ):
        told = deployed(folder, environment, csv, out)
        assert told.startswith("FAILED"), told
        assert f"csv {csv}: lies outside {inner}" in told
        assert f"out {out}: lies outside {inner}" in told
    assert not (outside / "elsewhere").exists()
