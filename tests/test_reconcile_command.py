"""`campaign reconcile` as people use it: a person decides about lost replies, and the next run finishes."""

import json
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from campaign_support import Workplace, charged_millionths
from simulator_support import KEY, others_work, simulator_thread

from blocks.ledger import Ledger

ROOT = Path(__file__).parents[1]


def two_briefs(workplace: Workplace) -> str:
    image = workplace.picture()
    return workplace.campaign(
        [{"brief": name, "edit_prompt": f"{name} light", "edit_image": image} for name in ("warm", "cold")]
    )


def charged_in_all_runs(workplace: Workplace) -> int:
    return sum(charged_millionths(path) for path in workplace.folder.glob("runs/*/cost.csv"))


def listed_charge(workplace: Workplace) -> str:
    """What `campaign runs` says that the newest run has cost."""
    return str(json.loads(workplace.run("runs", "--json").stdout)[0]["charged_usd"])


# The fate of the cold brief's request: its reply is lost as well, or it never arrives.
@pytest.mark.parametrize("cold", ["lose_reply", "reset"])
def test_a_person_decides_about_lost_replies_beside_others_work_and_nothing_is_billed_twice(
    tmp_path: Path, workplace: Workplace, cold: str
) -> None:
    faults = {
        "switches": {"history_input": "none"},
        "rules": [
            {"on": "submit", "prompt_contains": "warm", "do": "lose_reply", "times": 1},
            {"on": "submit", "prompt_contains": "cold", "do": cold, "times": 1},
        ],
    }
    with simulator_thread(tmp_path / "service", faults=faults) as service:
        workplace.use_service(service.url, KEY)
        # Two: whichever request leaves first, more than one prediction may be its own, also where it never arrived.
        others = {others_work(service, prompt) for prompt in ("one of theirs", "another of theirs")}
        campaign = two_briefs(workplace)
        assert workplace.run("run", campaign).status == 5
        made = {prediction.prompt: prediction.id for prediction in service.books.predictions()}

        looked = workplace.run("reconcile", "latest", "--json")

        assert looked.status == 5, looked
        attempts = {line["brief"]: line for line in looked.document["attempts"]}
        assert {line["verdict"] for line in attempts.values()} == {"held"}
        assert {item["prediction_id"] for item in attempts["warm"]["possible"]} == set(made.values())
        warm, other = attempts["warm"]["attempt"], attempts["cold"]["attempt"]
        options = ["--adopt", f"{warm}={made['warm light']}"]
        options += (
            ["--release", str(other)] if cold == "reset" else ["--adopt", f"{other}={made['cold light']}"]
        )

        decided = workplace.run("reconcile", *options)

        assert decided.status == 0, decided
        assert re.search(rf"^ *{warm} +warm +edit +.*adopted *$", decided.stdout, re.MULTILINE), decided
        refused = workplace.run("reconcile", *options)
        assert refused.status == 2, refused
        assert "not held" in refused.stderr

        finished = workplace.run("run", campaign, "--json")

        assert finished.status == 0, finished
        assert len(service.books.predictions()) == 4
        assert charged_in_all_runs(workplace) == service.books.charged_total() - 2 * 28_000 == 2 * 28_000
        settled = workplace.run("reconcile", "--json")
        assert settled.status == 0, settled
        assert {line["verdict"] for line in settled.document["attempts"]} == {"matched"}
        assert settled.document["totals"]["net_usd"] == "0.056"
        assert {line["prediction_id"] for line in settled.document["foreign"]} == others


def test_an_account_that_refuses_ends_with_4(tmp_path: Path, workplace: Workplace) -> None:
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, KEY)
        assert workplace.run("reconcile").status == 2
        workplace.home.mkdir(exist_ok=True)
        Ledger.open(f"sqlite:///{workplace.home / 'ledger.sqlite'}").close()
        refused = workplace.run("reconcile", WAVESPEED_API_KEY="not-the-key-012345")
        assert refused.status == 4, refused
        assert "not-the-key" not in refused.stdout + refused.stderr
        assert workplace.run("reconcile", "latest").status == 2
        nothing = workplace.run("reconcile")
        assert (nothing.status, "0 attempts" in nothing.stdout) == (0, True), nothing


def test_two_runs_on_the_embedded_simulator_are_reconciled_and_compared(workplace: Workplace) -> None:
    image = workplace.picture()
    row = {"brief": "mug", "edit_prompt": "warm", "edit_image": image}
    runs = []
    for rows in ([row], [row | {"edit_prompt": "cold"}]):
        finished = workplace.run("run", workplace.campaign(rows), "--json")
        assert finished.status == 0, finished
        runs.append(finished.document["run"])

    reconciled = workplace.run("reconcile", "--json")

    assert reconciled.status == 0, reconciled
    document = reconciled.document
    assert (document["service"], document["provider"]) == ("simulator", "simulator")
    assert [(line["run"], line["brief"], line["verdict"]) for line in document["attempts"]] == [
        (run, "mug", "matched") for run in runs
    ]
    books = workplace.books()
    try:
        billed = [prediction.id for prediction in books.predictions()]
        assert [line["prediction_id"] for line in document["attempts"]] == billed
        assert document["totals"]["charged_usd"] == "0.056"
        assert books.charged_total() == 56_000
    finally:
        books.close()

    compared = workplace.run("diff", runs[0], "latest", "--json")

    assert compared.status == 0, compared
    assert [compared.document[side]["run"] for side in ("a", "b")] == runs
    (changed,) = compared.document["briefs"][0]["stages"]
    assert [piece["text"] for piece in changed["prompt"]["words"]] == ["warm", "cold"]
    assert len(changed["assets"]) == 1
    assert compared.document["totals"]["charged_usd"] == {"a": "0.028", "b": "0.028", "delta": "0"}


def test_a_refund_that_came_later_is_in_the_run_s_tables_and_on_its_page(
    tmp_path: Path, workplace: Workplace
) -> None:
    faults = {
        "switches": {"refund_after_seconds": 1e9},
        "rules": [{"on": "submit", "prompt_contains": "warm", "do": "fail_prediction", "code": 5003}],
    }
    with simulator_thread(tmp_path / "service", clock=1e-3, faults=faults) as service:
        workplace.use_service(service.url, KEY)
        finished = workplace.run("run", two_briefs(workplace), "--json")
        assert finished.status == 1, finished
        run = workplace.out(finished.document["run"])
        books = service.books
        assert charged_millionths(run / "cost.csv") == books.charged_total() > 28_000
        before = listed_charge(workplace)
        assert Decimal(before) * 1_000_000 == books.charged_total(), "its figures are kept by now"
        for prediction in books.predictions():
            if prediction.status == "failed":
                books.refund(prediction, at=time.time_ns())

        reconciled = workplace.run("reconcile", "latest", "--json")

        assert reconciled.status == 0, reconciled
        assert books.charged_total() == 28_000
        assert charged_millionths(run / "cost.csv") == 28_000
        assert json.loads((run / "reconciliation.json").read_bytes()) == reconciled.document
        assert 'id="reconciled"' in (run / "report.html").read_text("utf-8")
        assert workplace.run("verify", "latest").status == 0
        elsewhere = workplace.run("report", "latest", "--out", "again")
        assert elsewhere.status == 0, elsewhere
        assert charged_millionths(workplace.folder / "again" / run.name / "cost.csv") == 28_000
        assert listed_charge(workplace) == "0.028"
        index = (run.parent / "index.html").read_text("utf-8")
        assert "$0.028" in index
        assert f"${before}" not in index
        compared = workplace.run("diff", "latest", "latest", "--json").document
        assert compared["totals"]["charged_usd"]["a"] == "0.028"


def test_neither_command_needs_prefect_or_pandas() -> None:
    code = (
        "import sys, flows.commands.reconcile, flows.commands.diff\n"
        "print(sorted({'prefect', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
