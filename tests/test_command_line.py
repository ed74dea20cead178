"""The command as strangers meet it: what it says, where it says it, and with which exit status it ends."""

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from campaign_support import Workplace, rows_of
from simulator_support import KEY, simulator_thread

PREFECT = str(Path(sys.executable).with_name("prefect"))


def test_ten_mistakes_print_ten_lines_and_send_nothing(tmp_path: Path, workplace: Workplace) -> None:
    workplace.picture("small.png", size=(200, 200))
    good = workplace.picture()
    (workplace.folder / "page.png").write_text("<html>not a picture</html>")
    rows = [
        {"brief": "a", "edit_prompt": "x", "edit_image": "gone.png"},
        {"brief": "b", "edit_prompt": "x", "edit_image": "small.png"},
        {"brief": "c", "edit_prompt": "x", "edit_image": "page.png"},
        {"brief": "d", "edit_prompt": "x", "edit_image": good, "edit_resolution": "8k"},
        {"brief": "e", "edit_prompt": "x", "edit_image": good, "edit_num_images": "12"},
        {"brief": "f", "compose_prompt": "@Image3 on sand", "compose_images": good},
        {"brief": "CON", "edit_prompt": "x", "edit_image": good},
        {"brief": "A", "edit_prompt": "x", "edit_image": good},
        {"brief": "h", "edit_image": good},
        {"brief": "i", "video_prompt": "x", "video": good},
    ]
    campaign = workplace.campaign(rows)
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, KEY)

        finished = workplace.run("run", campaign)

        assert finished.status == 2, finished
        assert finished.stdout == ""
        lines = finished.stderr.strip().splitlines()
        assert len(lines) == 10, finished
        for number, line in enumerate(lines, start=2):
            assert re.match(rf"spring\.csv:{number}: [a-z_]+: .", line), line
        assert service.books.calls() == []
    assert not (workplace.folder / "runs").exists()


def test_an_unknown_column_is_answered_with_a_suggestion(workplace: Workplace) -> None:
    campaign = workplace.campaign(
        [{"brief": "a", "edit_promt": "x", "edit_prompt": "x", "edit_image": workplace.picture()}]
    )
    finished = workplace.run("plan", campaign)
    assert finished.status == 2
    assert finished.stderr.startswith("spring.csv:1: edit_promt: ")
    assert "edit_prompt" in finished.stderr


def test_results_are_read_as_a_campaign_again_and_cost_nothing(workplace: Workplace) -> None:
    campaign = workplace.campaign(
        [
            {
                "brief": "a",
                "edit_prompt": '=HYPERLINK("x")',
                "edit_image": workplace.picture(),
                "edit_aspect_ratio": "1:1",
            }
        ]
    )
    first = workplace.run("run", campaign, "--json")
    assert first.status == 0, first
    results = workplace.out(first.document["run"]) / "results.csv"
    assert rows_of(results)[0]["edit_prompt"].startswith("'=")

    plan = workplace.run("plan", str(results), "--json")

    assert plan.status == 0, plan
    assert [stage["action"] for stage in plan.document["stages"]] == ["cached"]


def test_past_runs_are_listed_written_again_and_verified(workplace: Workplace) -> None:
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    assert json.loads(workplace.run("runs", "--json").stdout) == []
    assert workplace.run("report", "latest").status == 2
    runs = [workplace.run("run", campaign, "--json").document["run"] for _ in range(2)]
    assert runs[0] != runs[1]

    listed = json.loads(workplace.run("runs", "--json").stdout)
    assert [run["run"] for run in listed] == runs[::-1]
    out = workplace.out(runs[1])
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert workplace.run("verify", "latest").status == 0
    (out / "assets/a/edit-1.png").write_bytes(b"damaged")
    (out / "report.html").unlink()
    spoilt = workplace.run("verify", runs[1])
    assert spoilt.status == 1
    assert "assets/a/edit-1.png" in spoilt.stderr

    assert workplace.run("report", "latest").status == 0

    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert workplace.run("verify", "latest").status == 0


def test_simulate_prints_its_address_and_serves_the_same_campaign(workplace: Workplace) -> None:
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    # It starts processes of its own, from nothing as it does.
    simulator = workplace.start_cold("simulate", "--clock", "0.002", "--key", "some-key")
    try:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        workplace.use_service(url, "some-key")
        finished = workplace.run("run", campaign, "--json")
    finally:
        simulator.terminate()
        simulator.communicate(timeout=30)
    assert finished.status == 0, finished
    assert finished.document["provider"] == "simulator"
    manifest = json.loads((workplace.out(finished.document["run"]) / "manifest.json").read_text("utf-8"))
    assert manifest["service"] == url
    assert "Simulated" in (workplace.out(finished.document["run"]) / "report.html").read_text("utf-8")


def test_what_one_service_made_never_serves_for_another(tmp_path: Path, workplace: Workplace) -> None:
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    assert workplace.run("run", campaign).status == 0
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, KEY)
        plan = workplace.run("plan", campaign, "--json").document
    assert [stage["action"] for stage in plan["stages"]] == ["generate"]


@contextmanager
def files_served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A plain web server on loopback, and the paths that it was asked for."""
    asked: list[str] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *_: object) -> None:  # noqa: A002, ARG002 - the base class names it
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_remote_inputs_are_fetched_once_and_private_addresses_only_where_allowed(
    workplace: Workplace,
) -> None:
    workplace.picture("mug.png")
    with files_served(workplace.folder) as (url, asked):
        campaign = workplace.campaign(
            [{"brief": name, "edit_prompt": name, "edit_image": f"{url}/mug.png"} for name in ("a", "b")]
        )
        refused = workplace.run("run", campaign)
        assert refused.status == 2, refused
        assert asked == []
        assert "spring.csv:2: edit_image: " in refused.stderr

        allowed = workplace.run("run", campaign, "--json", CAMPAIGN_ALLOW_PRIVATE_INPUTS="true")

        assert allowed.status == 0, allowed
        assert asked == ["/mug.png"]


def test_settings_come_from_a_named_block_and_never_name_two_accounts(
    tmp_path: Path, workplace: Workplace
) -> None:
    register = [PREFECT, "block", "register", "--module", "blocks.prefect_blocks"]
    registered = subprocess.run(
        register, env=workplace.environment, cwd=Path(__file__).parents[1], capture_output=True, check=False
    )
    assert registered.returncode == 0, registered.stderr
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    with simulator_thread(tmp_path / "service") as service:
        name = tmp_path.name.replace("_", "-").lower()
        save = (
            "import sys; from blocks.prefect_blocks import WaveSpeedAccount as A\n"
            "A(api_key=sys.argv[2], base_url=sys.argv[3], poll_seconds=0.1).save(sys.argv[1])"
        )
        saved = subprocess.run(
            [sys.executable, "-c", save, name, KEY, service.url],
            env=workplace.environment,
            capture_output=True,
            check=False,
        )
        assert saved.returncode == 0, saved.stderr

        finished = workplace.run("run", campaign, "--account", name, "--json")
        assert finished.status == 0, finished
        assert len(service.books.predictions()) == 1
        other = workplace.campaign([{"brief": "b", "edit_prompt": "y", "edit_image": "mug.png"}], "other.csv")
        for command in ("run", "plan", "reconcile"):
            arguments = [other] if command != "reconcile" else []
            refused = workplace.run(command, *arguments, "--account", name, WAVESPEED_API_KEY="wrong-key")
            assert refused.status == 2, refused
            assert f"the environment gives another key than the block {name}" in refused.stderr
            assert "wrong-key" not in refused.stderr
        (workplace.folder / ".env").write_text("WAVESPEED_BASE_URL=https://elsewhere.example\n")
        refused = workplace.run("run", other, "--account", name)
        assert refused.status == 2, refused
        assert f".env gives another address than the block {name}" in refused.stderr
        (workplace.folder / ".env").unlink()
        assert len(service.books.predictions()) == 1
        missing = workplace.run("run", campaign, "--account", "nobody")
        assert missing.status == 2
        assert "nobody" in missing.stderr
        # Other commands find it as well.
        quoted = workplace.run("plan", other, "--quote", "--account", name, "--json")
        assert quoted.status == 0, quoted
        assert [price["service_usd"] for price in quoted.document["quotes"]["prices"]] == ["0.028"]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"WAVESPEED_API_KEY": "k ey"}, "WAVESPEED_API_KEY holds characters that no key has"),
        (
            {"WAVESPEED_API_KEY": "key", "WAVESPEED_BASE_URL": "http://10.255.255.1"},
            "plain http on 10.255.255.1, where others could read the API key",
        ),
        ({"CAMPAIGN_HOME": "mug.png"}, "mug.png"),
        ({"PREFECT_HOME": "/dev/null"}, "PREFECT_HOME /dev/null cannot be used"),
        ({"CAMPAIGN_BUDGET_PER_DAYS": "0.01"}, "did you mean CAMPAIGN_BUDGET_PER_DAY?"),
    ],
)
def test_what_a_run_would_refuse_is_refused_before_anything_is_started(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    workplace = Workplace(tmp_path / "work")
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    for arguments in (("plan", campaign), ("run", campaign)):
        if arguments[0] == "plan" and "PREFECT_HOME" in environment:
            continue  # it needs none
        finished = workplace.run(*arguments, **environment)
        assert finished.status in {1, 2}, finished
        assert told in finished.stderr
        assert "connecting" not in finished.stderr
    assert not (workplace.home / "simulator").exists()


def test_blocks_are_looked_for_where_a_run_looks_and_nowhere_else(tmp_path: Path) -> None:
    """No server is named: the one of CAMPAIGN_HOME has them, and the user's own Prefect is left alone."""
    workplace = Workplace(tmp_path / "work")
    campaign = workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    (tmp_path / "user").mkdir()
    finished = workplace.run_cold("plan", campaign, "--workspace", "nobody", HOME=str(tmp_path / "user"))
    assert finished.status == 2, finished
    assert finished.stderr.startswith("--workspace nobody: there is no campaign-workspace block of that name")
    assert "telemetry" not in finished.stderr
    assert list((tmp_path / "user").iterdir()) == []
    assert (workplace.home / "prefect").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "gone.csv"],
        ["run", "spring.csv", "--budget", "much"],
        ["nonsense"],
        ["report", "no-such-run"],
    ],
)
def test_bad_usage_exits_2_without_a_traceback(workplace: Workplace, arguments: list[str]) -> None:
    workplace.campaign([{"brief": "a", "edit_prompt": "x", "edit_image": workplace.picture()}])
    finished = workplace.run(*arguments)
    assert finished.status == 2, finished
    assert finished.stdout == ""
    assert finished.stderr.strip()
