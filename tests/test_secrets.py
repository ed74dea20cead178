"""The key is in nothing that a command says, writes, or tells Prefect, whatever happens on the way."""

import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from campaign_support import PrefectApi, Workplace, prefect_client
from simulator_support import simulator_thread

CANARY = "canary-key-5f1c9e"
TROUBLE = {
    "switches": {"history_input": "input"},
    "rules": [
        {"on": "submit", "prompt_contains": "odd", "do": "http_status", "status": 400},
        {"on": "submit", "prompt_contains": "lost", "do": "lose_reply_as_html", "times": 1},
        {"on": "submit", "prompt_contains": "moderated", "do": "fail_prediction", "code": 1200},
        {"on": "download", "prompt_contains": "broken", "do": "wrong_type"},
    ],
}
# Everything that Prefect and the libraries below it have to say, every header's name among it.
TALKATIVE = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
}


def unpacked(path: Path) -> bytes:
    """What is in the file, also where it is packed: the workbook is a zip, Parquet compresses its columns."""
    content = path.read_bytes()
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            return b"".join(book.read(name) for name in book.namelist())
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_json().encode()
    return content


def told_to_prefect(api: PrefectApi) -> str:
    """All that the server has of runs, their logs, artifacts and blocks."""
    kinds = ("flow_runs", "task_runs", "logs", "artifacts", "block_documents", "task_run_states", "variables")
    texts = []
    with prefect_client(api) as http:
        for kind in kinds:
            for page in range(20):
                answer = http.post(f"/{kind}/filter", json={"offset": page * 200, "limit": 200})
                if answer.status_code == 404:
                    break
                answer.raise_for_status()
                texts.append(answer.text)
                if len(answer.json()) < 200:
                    break
    return "\n".join(texts)


@pytest.mark.parametrize("level", ["usual", "debug"])
def test_no_file_no_message_and_no_record_shows_the_key(
    workplace: Workplace, tmp_path: Path, prefect_api: PrefectApi, level: str
) -> None:
    more = TALKATIVE if level == "debug" else {}
    names = ("odd", "lost", "moderated", "broken", "fine")
    with simulator_thread(tmp_path / "service", key=CANARY, faults=TROUBLE) as service:
        workplace.use_service(service.url, CANARY)
        image = workplace.picture()
        rows = [{"brief": name, "edit_prompt": name, "edit_image": image} for name in names]
        campaign = workplace.campaign(rows)
        said = [
            workplace.run("plan", campaign, "--quote", "--save", "plan.json", **more),
            workplace.run("run", campaign, "--json", **more),
            workplace.run("run", campaign, **more),
            workplace.run("reconcile", "--json", **more),
            workplace.run("reconcile", "latest", **more),
            workplace.run("runs", "--page", "runs", **more),
            workplace.run("report", "latest", **more),
            workplace.run("verify", "latest", **more),
            workplace.run("forget", "--brief", "fine", "--json", **more),
        ]
        runs = sorted(path.name for path in workplace.folder.glob("runs/*/"))
        said.append(workplace.run("diff", *runs[:2], "--json", **more))

    assert [finished.status for finished in said[:3]] == [0, 1, 1], said
    assert len(service.books.predictions()) >= 3, "lost, moderated, broken and fine were accepted"
    for finished in said:
        assert CANARY not in finished.stdout + finished.stderr
    if level == "debug":
        assert any("httpcore" in finished.stderr for finished in said), "nobody was talkative"
    written = [path for path in workplace.folder.rglob("*") if path.is_file()]
    assert {".xlsx", ".parquet", ".sqlite", ".html", ".json", ".csv"} <= {path.suffix for path in written}
    assert [path for path in written if CANARY.encode() in unpacked(path)] == []
    record = told_to_prefect(prefect_api)
    assert json.dumps(runs[0])[1:-1] in record, "Prefect has nothing of the run"
    assert CANARY not in record


def test_a_wrong_key_is_not_repeated(workplace: Workplace, tmp_path: Path) -> None:
    with simulator_thread(tmp_path / "service") as service:
        workplace.use_service(service.url, CANARY)
        row = {"brief": "a", "edit_prompt": "warm", "edit_image": workplace.picture()}
        campaign = workplace.campaign([row])
        for arguments in (("run", campaign), ("plan", campaign, "--quote"), ("reconcile",)):
            finished = workplace.run(*arguments, **TALKATIVE)
            assert finished.status == 4, finished
            assert CANARY not in finished.stdout + finished.stderr
    written = [path for path in workplace.folder.rglob("*") if path.is_file()]
    assert [path for path in written if CANARY.encode() in unpacked(path)] == []
