"""What Prefect's own record shows of a run, asked of its API."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from campaign_support import PrefectApi, Workplace, prefect_client, wait_until
from simulator_support import KEY, simulator_thread

from flows.prefect_server import prefect_service
from flows.shared_service import shared_service


class Record:
    """A Prefect API, asked over HTTP."""

    def __init__(self, api: PrefectApi) -> None:
        self._api = api

    def flow_run_of(self, workplace: Workplace, run_id: str) -> str:
        manifest = json.loads((workplace.out(run_id) / "manifest.json").read_text("utf-8"))
        return str(manifest["flow_run_id"])

    def flow_run(self, flow_run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("GET", f"/flow_runs/{flow_run_id}")
        return found

    def task_runs(self, flow_run_id: str) -> list[dict[str, Any]]:
        body = {"flow_runs": {"id": {"any_": [flow_run_id]}}, "limit": 200}
        found: list[dict[str, Any]] = self._ask("POST", "/task_runs/filter", json=body)
        return found

    def states_of(self, task_run_id: str) -> list[str]:
        states = self._ask("GET", "/task_run_states/", params={"task_run_id": task_run_id})
        return [state["name"] for state in states]

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        with prefect_client(self._api) as http:
            return http.request(method, path, **arguments).raise_for_status().json()


def two_briefs(workplace: Workplace) -> str:
    image = workplace.picture()
    return workplace.campaign(
        [
            {"brief": "a", "edit_prompt": "warm", "edit_image": image, "compose_prompt": "@Image1"},
            {"brief": "b", "edit_prompt": "cold", "edit_image": image},
        ]
    )


def test_a_transient_failure_shows_awaiting_retry_and_a_repeat_cached(
    tmp_path: Path, workplace: Workplace, prefect_api: PrefectApi
) -> None:
    rule = {"on": "submit", "prompt_contains": "cold", "do": "fail_prediction", "code": 5000, "times": 1}
    with simulator_thread(tmp_path / "service", faults={"rules": [rule]}) as service:
        workplace.use_service(service.url, KEY)
        campaign = two_briefs(workplace)
        first = workplace.run("run", campaign, "--json")
        calls_of_first = len(service.books.journal.calls())
        second = workplace.run("run", campaign, "--json")
        calls_of_second = len(service.books.journal.calls()) - calls_of_first
    assert (first.status, second.status) == (0, 0), (first, second)

    record = Record(prefect_api)
    flow_run_id = record.flow_run_of(workplace, first.document["run"])
    assert record.flow_run(flow_run_id)["state"]["name"] == "Completed"
    runs = {run["name"]: run for run in record.task_runs(flow_run_id)}
    assert set(runs) == {"a: edit", "a: compose", "b: edit"}
    assert {run["state_name"] for run in runs.values()} == {"Completed"}
    assert "AwaitingRetry" in record.states_of(runs["b: edit"]["id"])
    assert "AwaitingRetry" not in record.states_of(runs["a: edit"]["id"])

    repeated = record.task_runs(record.flow_run_of(workplace, second.document["run"]))
    assert Counter(run["state_name"] for run in repeated) == {"Cached": 3}
    assert {run["name"] for run in repeated} == set(runs)
    # Entered in the record, and never started.
    assert {tuple(record.states_of(run["id"])) for run in repeated} == {("Cached",)}
    assert calls_of_second == 0, "a wholly cached campaign asks the service nothing"


def test_a_failed_run_is_failed_in_the_record_too(
    tmp_path: Path, workplace: Workplace, prefect_api: PrefectApi
) -> None:
    rule = {"on": "submit", "prompt_contains": "cold", "do": "fail_prediction", "code": 1200}
    with simulator_thread(tmp_path / "service", faults={"rules": [rule]}) as service:
        workplace.use_service(service.url, KEY)
        finished = workplace.run("run", two_briefs(workplace), "--json")
    assert finished.status == 1, finished

    record = Record(prefect_api)
    flow_run = record.flow_run(record.flow_run_of(workplace, finished.document["run"]))
    assert flow_run["state"]["type"] == "FAILED"
    assert "1 failed" in flow_run["state"]["message"]
    states = Counter(run["state_name"] for run in record.task_runs(flow_run["id"]))
    assert states == {"Completed": 2, "Failed": 1}


def test_an_interrupted_run_is_cancelled_in_the_record(
    tmp_path: Path, workplace: Workplace, prefect_api: PrefectApi
) -> None:
    with simulator_thread(tmp_path / "service", clock=0.5) as service:
        workplace.use_service(service.url, KEY)
        command = workplace.start("run", two_briefs(workplace), "--json")
        wait_until(lambda: len(service.books.predictions()) == 2)
        command.terminate()
        stdout, stderr = command.communicate(timeout=60)
    assert command.returncode == 130, stderr

    record = Record(prefect_api)
    flow_run = record.flow_run(record.flow_run_of(workplace, json.loads(stdout)["run"]))
    assert flow_run["state"]["type"] == "CANCELLED"
    assert all(run["state_type"] in {"FAILED", "CANCELLED"} for run in record.task_runs(flow_run["id"]))


def test_without_a_server_the_record_is_whole_all_the_same(tmp_path: Path) -> None:
    """A server started later on the same PREFECT_HOME shows every task run in its final state; two first commands."""
    places = [Workplace(tmp_path / name) for name in ("one", "two")]
    prefect_home = tmp_path / "shared prefect home"
    commands = []
    for place in places:
        image = place.picture()
        campaign = place.campaign(
            [{"brief": f"b{n}", "edit_prompt": f"look {n}", "edit_image": image} for n in range(12)]
        )
        place.environment["PREFECT_HOME"] = str(prefect_home)
        # From nothing: what a process does when it first finds Prefect is what is tested.
        commands.append(place.start_cold("run", campaign, "--json"))
    ended = [command.communicate(timeout=240) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], ended
    wait_until(lambda: not (prefect_home / "kling-campaigns" / "prefect.json").exists())

    with shared_service(prefect_service(prefect_home), tmp_path / "later") as service:
        record = Record(PrefectApi.of(service))
        for place, (stdout, _) in zip(places, ended, strict=True):
            flow_run_id = record.flow_run_of(place, json.loads(stdout)["run"])
            assert record.flow_run(flow_run_id)["state"]["name"] == "Completed"
            assert Counter(run["state_name"] for run in record.task_runs(flow_run_id)) == {"Completed": 12}
        # Where the user set PREFECT_HOME, nothing of Prefect's is anywhere else.
        assert not (places[0].home / "prefect").exists()


def test_the_shared_server_ends_with_its_last_user_even_after_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    script = (
        "import sys, time; from pathlib import Path; from flows.shared_service import ServiceKind, shared_service\n"
        "kind = ServiceKind('web', (sys.executable, '-m', 'http.server', '{port}', '--bind', '127.0.0.1'), '/', {})\n"
        "with shared_service(kind, Path(sys.argv[1])) as service:\n"
        "    print(service.url, flush=True); time.sleep(600)\n"
    )
    users = [
        subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    urls = set()
    for user in users:
        assert user.stdout is not None
        urls.add(user.stdout.readline().strip())
    assert len(urls) == 1, "all of them use the same server"
    state = json.loads((folder / "web.json").read_text("utf-8"))
    for user in users[:2]:
        user.kill()
        user.communicate()
    assert httpx.get(urls.pop(), trust_env=False).status_code == 200
    users[2].kill()
    users[2].communicate()
    wait_until(lambda: not (folder / "web.json").exists())
    wait_until(lambda: not _alive(state["server"]))


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "spring.csv", "--json"]])
def test_plan_and_help_import_neither_prefect_nor_pandas(workplace: Workplace, arguments: list[str]) -> None:
    two_briefs(workplace)
    script = (
        "import sys; from flows.command_line import main; sys.argv = ['campaign', *sys.argv[1:]]\n"
        "try:\n    main()\nfinally:\n"
        "    heavy = {'prefect', 'pandas', 'pyarrow'} & set(sys.modules); assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert not workplace.home.exists(), "planning makes nothing"
