"""What changed between two runs, told from their records."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_support import SERVICE, Worker, start_run, work_named
from record_samples import HOSTILE_TEXTS, brief, image_input, record, stage

from blocks.errors import InvalidInput
from blocks.ledger import AttemptState, Ledger
from flows.commands.diff import show_difference
from tasks.provenance.comparison import compare
from tasks.provenance.comparison_document import comparison_document
from tasks.provenance.earlier_run import earlier_run
from tasks.provenance.word_difference import word_difference
from tasks.reconciling.settled_since import attempt_record
from tasks.record import AssetRecord, Latency, Outcome, RunRecord


def asset(path: str, sha256: str) -> AssetRecord:
    return AssetRecord(path=path, sha256=sha256 * 64, media_type="image/png", bytes=1, width=1, height=1)


def run_of(*briefs: Any, run: str = "r", **changes: Any) -> RunRecord:
    return record(Path("spring.csv"), tuple(briefs), **{"run": run, **changes})


def edited(name: str = "mug", **changes: Any) -> Any:
    fields = {"assets": (asset(f"assets/{name}/edit-1.png", "a"),), **changes}
    return brief(name, (stage(name, "edit", fields.pop("outcome", Outcome.GENERATED), **fields),))


def only_stage(a: RunRecord, b: RunRecord) -> dict[str, Any]:
    (found,) = comparison_document(compare(a, b))["briefs"]
    (found_stage,) = found["stages"]
    return dict(found_stage)


def test_equal_runs_differ_in_nothing() -> None:
    document = comparison_document(compare(run_of(edited()), run_of(edited(), run="s")))
    assert [found["change"] for found in document["briefs"]] == ["same"]
    assert {name: document["totals"][name] for name in ("added", "removed", "changed", "same")} == {
        "added": 0,
        "removed": 0,
        "changed": 0,
        "same": 1,
    }
    assert document["totals"]["charged_usd"]["delta"] == "0"


def test_briefs_that_came_and_went() -> None:
    a, b = run_of(edited("old"), edited("kept")), run_of(edited("kept"), edited("new"))
    document = comparison_document(compare(a, b))
    assert [(found["brief"], found["change"]) for found in document["briefs"]] == [
        ("kept", "same"),
        ("new", "added"),
        ("old", "removed"),
    ]
    assert [found["charged_usd"]["delta"] for found in document["briefs"]] == ["0", "0.028", "-0.028"]


def test_prompts_are_compared_word_by_word() -> None:
    found = only_stage(
        run_of(edited(prompt="a warm light, soft")), run_of(edited(prompt="a cold light, soft and low"))
    )
    assert found["changed"]
    assert [(piece["change"], piece["text"]) for piece in found["prompt"]["words"]] == [
        ("same", "a "),
        ("removed", "warm"),
        ("added", "cold"),
        ("same", " light, soft"),
        ("added", " and low"),
    ]
    # The request repeats the prompt; that is no second change.
    assert found["parameters"] == {}


@given(st.text(), st.text())
def test_the_pieces_spell_both_texts(a: str, b: str) -> None:
    pieces = word_difference(a, b)
    assert "".join(piece.text for piece in pieces if piece.change != "added") == a
    assert "".join(piece.text for piece in pieces if piece.change != "removed") == b


def test_parameters_and_takes() -> None:
    a = run_of(edited(request={"prompt": "p", "resolution": "1k", "num_images": 1}))
    later = edited(request={"prompt": "p", "resolution": "2k", "num_images": 1})
    b = run_of(later.model_copy(update={"row": later.row | {"take": "2"}}))
    assert only_stage(a, b)["parameters"] == {"resolution": {"a": "1k", "b": "2k"}}
    assert comparison_document(compare(a, b))["briefs"][0]["take"] == {"a": "1", "b": "2"}


def test_inputs_are_compared_by_their_bytes_and_role() -> None:
    same = image_input("a.png", "image")
    a = run_of(edited(inputs=(same, image_input("b.png"), image_input("c.png"))))
    renamed = same.model_copy(update={"source": "renamed.png"})
    b = run_of(edited(inputs=(renamed, image_input("d.png"))))
    found = only_stage(a, b)["inputs"]
    assert [(item["role"], item["position"]) for item in found] == [("images", 1), ("images", 2)]
    assert (found[0]["a"]["source"], found[0]["b"]["source"]) == ("b.png", "d.png")
    assert found[1]["b"] is None


def test_assets_are_compared_by_place() -> None:
    a = run_of(edited(assets=(asset("assets/mug/edit-1.png", "a"), asset("assets/mug/edit-2.png", "b"))))
    b = run_of(edited(assets=(asset("assets/mug/edit-1.webp", "c"), asset("assets/mug/edit-3.webp", "d"))))
    assert only_stage(a, b)["assets"] == [
        {"place": "assets/mug/edit-1.webp", "a": "a" * 64, "b": "c" * 64},
        {"place": "assets/mug/edit-2.png", "a": "b" * 64, "b": None},
        {"place": "assets/mug/edit-3.webp", "a": None, "b": "d" * 64},
    ]


def test_outcomes_costs_and_seconds() -> None:
    a = run_of(edited(latency=Latency(total_s=40.0)))
    failed = stage("mug", "edit", Outcome.FAILED, error="refused", latency=Latency(total_s=42.5))
    b = run_of(brief("mug", (failed,), "failed", error="refused"))
    found = only_stage(a, b)
    assert found["outcome"] == {"a": "generated", "b": "failed"}
    assert found["error"] == {"a": None, "b": "refused"}
    assert found["charged_usd"] == {"a": "0.028", "b": "0", "delta": "-0.028"}
    assert found["total_s"] == {"a": 40.0, "b": None, "delta": None}
    document = comparison_document(compare(a, b))
    assert document["briefs"][0]["status"] == {"a": "done", "b": "failed"}
    assert document["totals"]["mean_total_s"] == {"edit": {"a": 40.0, "b": None, "delta": None}}
    slower = comparison_document(compare(a, run_of(edited(latency=Latency(total_s=42.5)), run="s")))
    assert slower["totals"]["mean_total_s"] == {"edit": {"a": 40.0, "b": 42.5, "delta": 2.5}}


def test_a_stage_that_a_brief_did_not_have_before() -> None:
    a = run_of(edited())
    b = run_of(brief("mug", (*edited().stages, stage("mug", "video", Outcome.GENERATED))))
    (found,) = comparison_document(compare(a, b))["briefs"]
    assert found["change"] == "changed"
    assert [(s["stage"], s["changed"], s["outcome"]) for s in found["stages"]] == [
        ("edit", False, None),
        ("video", True, {"a": None, "b": "generated"}),
    ]
    assert Decimal(found["charged_usd"]["delta"]) == Decimal("5.312") * Decimal("0.36")


def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CAMPAIGN_HOME, where the settings look for it."""
    monkeypatch.chdir(tmp_path)
    for name in ("CAMPAIGN_LEDGER_URL", "CAMPAIGN_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / ".campaign"
    home.mkdir()
    return home


async def shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *records: RunRecord,
    as_json: bool,
) -> str:
    home = at_home(tmp_path, monkeypatch)
    ids = []
    with Ledger.open(f"sqlite:///{home}/ledger.sqlite") as ledger:
        for each in records:
            ids.append(new_run(ledger))
            ledger.end_run(ids[-1], exit_status=0, record_json=each.model_dump_json())
    assert await show_difference(ids[0], ids[1], as_json=as_json, workspace=None) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
async def test_hostile_texts_stay_inert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    harmless = run_of(*(edited(f"h{number}", prompt="plain") for number in range(len(HOSTILE_TEXTS))))
    hostile = run_of(
        *(
            edited(
                f"h{number}",
                prompt=f"[bold]{text}",
                request={"prompt": text, text: text},
                inputs=(image_input(text, "image"),),
                outcome=Outcome.FAILED,
                error=text,
            )
            for number, text in enumerate(HOSTILE_TEXTS)
        )
    )
    out = await shown(tmp_path, monkeypatch, capsys, harmless, hostile, as_json=as_json)
    if as_json:
        briefs = json.loads(out)["briefs"]
        assert [found["stages"][0]["error"]["b"] for found in briefs] == list(HOSTILE_TEXTS)
        return
    assert "[bold]" in out
    assert not {"\x1b", "\x07", "\r", "\u202e", "\u200b"} & set(out)
    # Nothing of a prompt begins a line of its own.
    assert "\nlines, a comma" not in out


async def test_the_text_says_what_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a = run_of(edited(prompt="warm light"), edited("gone"))
    b = run_of(edited(prompt="cold light", charged=56_000))
    out = await shown(tmp_path, monkeypatch, capsys, a, b, as_json=False)
    assert "prompt: [-warm-]{+cold+} light" in out
    assert "charged: $0.028 → $0.056 (+$0.028)" in out
    assert "- gone: $0.028 → $0 (-$0.028) charged" in out
    assert "briefs: 1 removed, 1 changed" in out


async def test_what_was_settled_since_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = at_home(tmp_path, monkeypatch)
    with Ledger.open(f"sqlite:///{home}/ledger.sqlite") as ledger:
        worker = Worker.of(ledger)
        attempt = worker.bring(work_named("mug"), AttemptState.STORED)
        ledger.settle(attempt.id, charged=28_000, run_id=worker.run_id)
        kept = edited(
            generation_key=attempt.generation_key, attempts=(attempt_record(ledger.attempt(attempt.id)),)
        )
        first = run_of(kept, run=worker.run_id, service=SERVICE)
        ledger.end_run(worker.run_id, exit_status=0, record_json=first.model_dump_json())
        second = start_run(ledger)
        later = run_of(kept, run=second, service=SERVICE, started_at=ledger.now())
        ledger.end_run(second, exit_status=0, record_json=later.model_dump_json())
        ledger.settle(attempt.id, charged=28_000, refunded=20_000, run_id=worker.run_id)
        found = earlier_run(ledger, later)
        assert found is not None
        assert (found.run, found.briefs[0].charged) == (worker.run_id, 8_000), "so the page compares with"
    assert await show_difference(worker.run_id, second, as_json=True, workspace=None) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["charged_usd"] == {"a": "0.008", "b": "0.028", "delta": "0.02"}


def new_run(ledger: Ledger) -> str:
    return ledger.start_run(
        campaign="spring",
        csv_path="spring.csv",
        csv_sha256="0" * 64,
        service="simulator",
        provider="simulator",
        out="runs",
    ).id


@pytest.mark.parametrize(("second", "message"), [("nope", "no run nope"), ("latest", "left no record")])
async def test_what_cannot_be_compared_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str, message: str
) -> None:
    home = at_home(tmp_path, monkeypatch)
    with pytest.raises(InvalidInput, match="no run"):
        await show_difference("latest", "latest", as_json=False, workspace=None)
    with Ledger.open(f"sqlite:///{home}/ledger.sqlite") as ledger:
        first = new_run(ledger)
        ledger.end_run(first, exit_status=0, record_json=run_of(edited()).model_dump_json())
        if second == "latest":  # one that was killed
            second = new_run(ledger)
    with pytest.raises(InvalidInput, match=message):
        await show_difference(first, second, as_json=False, workspace=None)


async def test_another_price_list_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dearer = run_of(edited()).price_list.model_copy(update={"name": "dearer.csv", "sha256": "7" * 64})
    a, b = run_of(edited()), run_of(edited(), price_list=dearer, csv_sha256="8" * 64)
    document = comparison_document(compare(a, b))
    assert document["b"]["price_list"] == {"name": "dearer.csv", "sha256": "7" * 64}
    assert (document["a"]["csv_sha256"], document["b"]["csv_sha256"]) == ("5" * 64, "8" * 64)
    out = await shown(tmp_path, monkeypatch, capsys, a, b, as_json=False)
    assert "price list: wavespeed-2026-11.csv (666666666666) → dearer.csv (777777777777)" in out
    again = tmp_path / "again"
    again.mkdir()
    assert "price list" not in await shown(again, monkeypatch, capsys, a, a, as_json=False)
