"""The reference documents describe every column, setting, state, switch and rule, as the code has them."""

import asyncio
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from docs_support import ROOT, code_blocks, codes, described, plain, prose, table
from media_samples import scene
from pydantic import SecretStr

from blocks.errors import InvalidInput, in_full
from blocks.ledger import AttemptState
from blocks.ledger.attempts import ALLOWED
from blocks.media import (
    LONGEST_CLIP,
    LONGEST_CLIP_SIDE,
    MOST_ASPECT,
    MOST_SENT_CLIP_BYTES,
    SHORTEST_CLIP_SIDE,
    SHORTEST_PICTURE_SIDE,
)
from blocks.media_preparation import MOST_SENT_PICTURE_BYTES
from blocks.prefect_blocks import CampaignWorkspace, WaveSpeedAccount
from blocks.settings import Settings, load_settings
from simulator.faults import Faults, Matching, Rule
from simulator.settings import LEVELS
from simulator.switches import Switches
from tasks.accounting.tables import COST_SUMMARY_COLUMNS, COST_TYPES, LATENCY_SUMMARY_COLUMNS, LATENCY_TYPES
from tasks.briefs.brief_columns import COLUMNS
from tasks.briefs.campaign_file import RESULT_COLUMNS
from tasks.briefs.input_files import MOST_REMOTE_BYTES, REMOTE_SECONDS
from tasks.briefs.inputs import read_and_check
from tasks.briefs.reading import parse_campaign
from tasks.models import LONGEST_PROMPT, REQUESTS
from tasks.paying.retry_by_cause import MOST_TRIES
from tasks.reconciling.reconciliation import Verdict
from tasks.record import Outcome

DOCS = ROOT / "docs"
README = ROOT / "README.md"


# The campaign.


def test_every_column_of_a_campaign_is_described_with_its_default() -> None:
    defaults = described(DOCS / "campaign-csv.md", "column", "default")
    values = described(DOCS / "campaign-csv.md", "column", "values")
    assert tuple(defaults) == COLUMNS
    for stage, request in REQUESTS.items():
        for name, field in request.model_fields.items():
            if name == "prompt":
                continue
            column = f"{stage}_{name}"
            assert plain(defaults[column]) == str(field.default).lower(), column
            if choices := get_args(field.annotation):
                offered = [str(choice) for choice in choices if isinstance(choice, str)]
                assert not offered or codes(values[column]) == offered, column


def test_the_limits_of_a_campaign_are_described() -> None:
    text = prose(DOCS / "campaign-csv.md")
    references = described(DOCS / "campaign-csv.md", "stage", "references")
    models = described(DOCS / "campaign-csv.md", "stage", "model")
    for stage, request in REQUESTS.items():
        assert plain(models[stage]) == request.model_id
        assert re.findall(r"\d+", references[stage])[-1] == str(request.max_references)
    for limit in (
        f"{LONGEST_PROMPT:,} characters",
        f"each side {SHORTEST_PICTURE_SIDE} pixels or more, the longer side {MOST_ASPECT} times",
        f"{LONGEST_CLIP} s at most, each side {SHORTEST_CLIP_SIDE} to {LONGEST_CLIP_SIDE} pixels",
        f"24 to 60 frames a second, {MOST_SENT_CLIP_BYTES // 10**6} MB at most",
        f"files above {MOST_SENT_PICTURE_BYTES // 10**6} MB",
        f"read within {REMOTE_SECONDS:.0f} s, {MOST_REMOTE_BYTES // 10**6} MB at most",
    ):
        assert limit in text, limit


@pytest.mark.parametrize("document", [README, DOCS / "campaign-csv.md"], ids=lambda path: path.name)
def test_examples_of_campaigns_are_valid(document: Path, tmp_path: Path) -> None:
    examples = [block.text for block in code_blocks(document) if block.language == "csv"]
    assert examples
    for example in examples:
        (tmp_path / "example.csv").write_text(example, encoding="utf-8")
        assert not parse_campaign(tmp_path / "example.csv").problems


def test_the_example_of_mistakes_gives_the_messages_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = code_blocks(DOCS / "campaign-csv.md")
    wrong, answer = next(pair for pair in pairwise(blocks) if pair[0].language == "csv wrong")
    monkeypatch.chdir(tmp_path)
    Path("spring.csv").write_text(wrong.text, encoding="utf-8")
    scene().save("mug.jpg")
    with pytest.raises(InvalidInput) as refusal:
        asyncio.run(read_and_check(Path("spring.csv")))
    assert in_full(refusal.value) == answer.text.strip()


# Settings.


def test_every_setting_is_described_with_its_default() -> None:
    variables = {str(field.validation_alias): field.default for field in Settings.model_fields.values()}
    defaults = described(DOCS / "settings.md", "variable", "default")
    assert list(defaults) == list(variables)
    derived = described(DOCS / "settings.md", "variable", "with an account", number=1)
    for name, default in variables.items():
        if name in derived:
            assert (default, defaults[name]) == (None, "see below")
        else:
            assert plain(defaults[name]) == _as_text(default), name


def test_the_defaults_that_depend_are_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.chdir(tmp_path)
    for column, key in (("with an account", "some-key"), ("with the built-in simulator", None)):
        settings = load_settings({"api_key": SecretStr(key) if key else None})
        shown = described(DOCS / "settings.md", "variable", column, number=1)
        assert {name: plain(value) for name, value in shown.items()} == {
            "CAMPAIGN_POLL_SECONDS": str(settings.poll),
            "CAMPAIGN_REQUEST_SECONDS": str(settings.request_timeout),
            "CAMPAIGN_QUIET_SECONDS": str(settings.quiet),
        }


def test_the_example_of_an_env_file_has_every_setting_commented_out() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    settings = [match for line in lines if (match := re.fullmatch(r"# ([A-Z_]+)=(\S*)", line))]
    offered = {match[1]: match[2] for match in settings}
    assert len(offered) == len(settings)
    assert offered == {
        str(field.validation_alias): _as_text(field.default) for field in Settings.model_fields.values()
    }


def _as_text(default: object) -> str:
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def test_every_field_of_a_block_is_described() -> None:
    fields = described(DOCS / "settings.md", "block", "fields")
    for kind in (WaveSpeedAccount, CampaignWorkspace):
        own = [name for name in kind.model_fields if name in kind.__annotations__]
        assert codes(fields[str(kind._block_type_name)]) == own


# What a run leaves.


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("cost.csv", tuple(COST_TYPES)),
        ("cost_summary.csv", COST_SUMMARY_COLUMNS),
        ("latency.csv", tuple(LATENCY_TYPES)),
        ("latency_summary.csv", LATENCY_SUMMARY_COLUMNS),
        ("results.csv", RESULT_COLUMNS),
    ],
)
def test_every_column_of_a_table_is_described(file: str, columns: tuple[str, ...]) -> None:
    assert tuple(table(DOCS / "tables.md", f"column of {file}").names) == columns


def test_every_outcome_is_described() -> None:
    assert table(DOCS / "tables.md", "outcome").names == [outcome.value for outcome in Outcome]


# Paying once.


def test_every_state_of_an_attempt_and_its_ways_out_are_described() -> None:
    ways = described(DOCS / "paying-once.md", "state", "can become")
    assert {name: set(codes(cell)) for name, cell in ways.items()} == {
        state.value: {after.value for after in ALLOWED[state]} for state in AttemptState
    }
    diagram = code_blocks(DOCS / "paying-once.md")[0].text
    assert all(state.value in diagram for state in AttemptState)
    assert {1: "once", 2: "twice", 3: "up to three times"}[MOST_TRIES] in prose(DOCS / "paying-once.md")


def test_every_verdict_of_a_reconciliation_is_described() -> None:
    assert table(DOCS / "paying-once.md", "verdict").names == [verdict.value for verdict in Verdict]


# The simulator.


def test_every_switch_of_the_simulator_is_described() -> None:
    defaults, values = (
        {
            name: cell
            for number in (0, 1)
            for name, cell in described(DOCS / "simulator.md", "switch", column, number=number).items()
        }
        for column in ("default", "values")
    )
    assert {name: plain(cell) for name, cell in defaults.items()} == {
        name: default.lower() if default in {"True", "False"} else default
        for name, default in ((name, str(field.default)) for name, field in Switches.model_fields.items())
    }
    for name, field in Switches.model_fields.items():
        if choices := [str(choice) for choice in get_args(field.annotation)]:
            assert codes(values[name]) == choices, name


def test_every_rule_of_the_fault_file_is_described() -> None:
    simulator = DOCS / "simulator.md"
    common = described(simulator, "field of every rule", "meaning")
    assert list(common) == list(Matching.model_fields)
    assert codes(common["on"]) == list(get_args(Matching.model_fields["on"].annotation))
    calls, fields = described(simulator, "do", "on"), described(simulator, "do", "more fields")
    rules = {get_args(kind.model_fields["do"].annotation)[0]: kind for kind in get_args(get_args(Rule)[0])}
    assert list(calls) == list(rules)
    for name, kind in rules.items():
        wanted = "any" if kind.allowed == Matching.allowed else set(kind.allowed)
        assert (set(codes(calls[name])) or calls[name]) == wanted, name
        own = [field for field in kind.model_fields if field not in {*Matching.model_fields, "do"}]
        assert codes(fields[name]) == own, name


def test_the_example_of_a_fault_file_is_valid() -> None:
    examples = [block.text for block in code_blocks(DOCS / "simulator.md") if block.language == "json"]
    assert examples
    for example in examples:
        Faults.model_validate(json.loads(example))
    assert all(f"`{level}`" in prose(DOCS / "simulator.md") for level in LEVELS)
