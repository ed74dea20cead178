"""A run held against its manifest: whatever is changed is named, with what to do; nothing else is."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from record_samples import Assets, every_outcome, record, with_true_parents

from blocks.assets import AssetStore
from tasks.accounting.tables import cost_parquet, run_tables
from tasks.provenance.verification import verify_run_folder
from tasks.record import RunRecord
from tasks.run_files.run_folder import write_run_folder


@pytest.fixture
def assets() -> Assets:
    return Assets()


@pytest.fixture
def run(tmp_path: Path, assets: Assets) -> RunRecord:
    return with_true_parents(every_outcome(tmp_path / "campaign", assets))


@pytest.fixture
def folder(tmp_path: Path, run: RunRecord, assets: Assets) -> Path:
    write_run_folder(run, tmp_path / "r", place_asset=assets.place)
    return tmp_path / "r"


@pytest.fixture
def store(tmp_path: Path, folder: Path, assets: Assets) -> AssetStore:
    del folder  # written before
    kept = AssetStore(tmp_path / "store")
    for content in assets.kept.values():
        incoming = kept.incoming_path()
        incoming.write_bytes(content)
        kept.keep(incoming)
    return kept


def problems(folder: Path, run: RunRecord | None = None, store: AssetStore | None = None) -> list[str]:
    return verify_run_folder(folder, record=run, store=store).problems


def places(found: list[str]) -> list[str]:
    return [problem.partition(":")[0] for problem in found]


def test_an_untouched_run_has_no_problem(folder: Path, run: RunRecord, store: AssetStore) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = verify_run_folder(folder, record=run, store=store)
    assert found.problems == []
    assert found.assets == 7
    # Nothing of this record's campaign was ever on this disk.
    assert found.notes
    assert all(note.endswith("not there any more, or not to be read") for note in found.notes)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_missing_changed_and_foreign_files_are_named(folder: Path) -> None:
    (folder / "assets" / "mug" / "edit-1.png").unlink()
    clip = folder / "assets" / "lamp" / "video-1.mp4"
    clip.write_bytes(clip.read_bytes().swapcase())
    (folder / "assets" / "mug" / "poster\u202e.jpg").write_bytes(b"x")
    (folder / "assets" / "link").symlink_to(folder / "cost.csv")
    found = problems(folder)
    assert places(found) == [
        "assets/mug/edit-1.png",
        "assets/lamp/video-1.mp4",
        "assets/link",
        "assets/mug/poster[U+202E].jpg",
    ]
    assert "missing" in found[0]
    assert "changed" in found[1]
    assert all("no stage" in problem for problem in found[2:])


def test_a_folder_in_the_place_of_an_asset_is_named(folder: Path) -> None:
    (folder / "assets" / "mug" / "edit-1.png").unlink()
    (folder / "assets" / "mug" / "edit-1.png").mkdir()
    (problem,) = problems(folder)
    assert problem.startswith("assets/mug/edit-1.png: cannot be read")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"briefs": [{"stages": null}]}',
        b'{"briefs": [{"stages": [{"assets": [{"path": 1, "sha256": "x"}]}]}]}',
        b'{"briefs": ["x"]}',
        b"null",
        b"[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_named(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    (problem,) = problems(folder)
    assert "manifest.json is damaged" in problem


def test_a_missing_manifest_is_named(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (problem,) = problems(folder)
    assert "manifest.json is missing" in problem


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_manifest_of_another_layout_is_not_read(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(schema=2))
    (problem,) = problems(folder)
    assert "another layout than 1" in problem


def test_a_manifest_that_points_outside_is_not_followed(folder: Path) -> None:
    edit_manifest(
        folder,
        lambda manifest: manifest["briefs"][0]["stages"][0]["assets"][0].update(path="assets/../../secret"),
    )
    outside, foreign = problems(folder)
    assert outside.startswith("assets/../../secret: the manifest is damaged")
    assert foreign.startswith("assets/mug/edit-1.png: no stage")


def test_a_manifest_changed_together_with_its_asset_is_found_by_the_ledger(
    folder: Path, run: RunRecord
) -> None:
    other = (folder / "assets" / "mug" / "edit-1.png").read_bytes()
    (folder / "assets" / "lamp" / "edit-1.png").write_bytes(other)

    def change(manifest: dict[str, Any]) -> None:
        (asset,) = manifest["briefs"][1]["stages"][0]["assets"]
        asset["sha256"] = hashlib.sha256(other).hexdigest()

    edit_manifest(folder, change)
    assert problems(folder) == []
    (problem, marked) = problems(folder, run)
    assert problem.startswith("manifest.json: the ledger has another file as assets/lamp/edit-1.png")
    assert marked.startswith("export/lamp/edit-1.png: not the asset with its mark")


def test_another_runs_manifest_is_named(folder: Path, run: RunRecord) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(run="another\u202e"))
    (problem,) = problems(folder, run)
    assert problem.startswith("manifest.json: it is of run another[U+202E], not of")


def test_marked_copies_are_held_against_their_assets(folder: Path, run: RunRecord) -> None:
    changed, gone = folder / "export" / "mug" / "edit-1.png", folder / "export" / "mug" / "edit-2.png"
    changed.write_bytes((folder / "assets" / "mug" / "edit-1.png").read_bytes())
    gone.unlink()
    (folder / "export" / "mug" / "extra.png").write_bytes(b"x")
    found = problems(folder, run)
    assert places(found) == ["export/mug/edit-1.png", "export/mug/edit-2.png", "export/mug/extra.png"]
    assert ["not the asset" in found[0], "missing" in found[1], "no marked copy" in found[2]] == [True] * 3


def test_a_run_without_marked_copies_has_no_problem(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    write_run_folder(run, tmp_path / "plain", place_asset=assets.place, marked_copies=False)
    assert problems(tmp_path / "plain", run) == []


def rewrite(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (
            "cost.csv",
            lambda rows: rows[2].update(charged_usd="1.912321"),
            "mug, video: charged_usd is 1.912321",
        ),
        ("cost.csv", lambda rows: rows[0].update(outcome="cached"), "mug, edit: outcome is cached"),
        ("cost.csv", lambda rows: rows[0].update(prediction_id=""), "mug, edit: prediction_id is nothing"),
        ("cost.csv", lambda rows: rows.pop(), "no row of vase, video"),
        ("cost.csv", lambda rows: rows.append(rows[0] | {"brief": "x"}), "a row of x, edit"),
        ("cost.csv", lambda rows: rows[0].update(saved_usd="much"), "damaged"),
        ("latency.csv", lambda rows: rows[2].update(total_s="97.063"), "mug, video: total_s is 97.063"),
        ("latency.csv", lambda rows: rows.pop(0), "no row of mug, edit"),
        ("cost_summary.csv", lambda rows: rows[-1].update(saved_usd="0"), "the total of saved_usd is 0"),
        ("results.csv", lambda rows: rows[0].update(charged_usd="0.1"), "mug: charged_usd is 0.1"),
        ("results.csv", lambda rows: rows.pop(1), "no row of lamp"),
    ],
)
def test_tables_are_held_against_the_manifest(
    folder: Path, name: str, change: Callable[[list[dict[str, str]]], None], says: str
) -> None:
    rewrite(folder / name, change)
    (problem,) = problems(folder)
    assert problem.startswith(f"{name}: ")
    assert says in problem
    assert "`campaign report` writes it again" in problem


@pytest.mark.parametrize(
    "name", ["cost.csv", "latency.csv", "cost_summary.csv", "results.csv", "cost.parquet"]
)
def test_tables_that_are_missing_or_no_tables_are_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x00\xff not a table")
    (problem,) = problems(folder)
    assert problem.startswith(f"{name}: damaged")
    (folder / name).unlink()
    (problem,) = problems(folder)
    assert problem.startswith(f"{name}: missing")


def test_the_parquet_file_of_another_run_is_named(tmp_path: Path, folder: Path, run: RunRecord) -> None:
    other = record(tmp_path, run.briefs[:1])
    (folder / "cost.parquet").write_bytes(cost_parquet(other, run_tables(other).cost))
    found = problems(folder)
    assert places(found) == ["cost.parquet"] * 3


def test_damaged_originals_are_problems_and_missing_ones_are_notes(
    folder: Path, run: RunRecord, store: AssetStore
) -> None:
    damaged, gone = run.stages[0].assets
    store.path(damaged.sha256).write_bytes(b"damaged")
    store.path(gone.sha256).unlink()
    found = verify_run_folder(folder, record=run, store=store)
    (problem,) = found.problems
    assert problem.startswith("assets/mug/edit-1.png: its original")
    assert "1 of 7 originals are not in the asset store any more" in found.notes[0]


def test_a_picture_handed_on_is_one_that_the_stage_before_made(folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        (given,) = [
            given for given in manifest["briefs"][0]["stages"][1]["inputs"] if given["source"] == "mug/edit-2"
        ]
        given["sha256"] = "0" * 64

    edit_manifest(folder, change)
    assert any("mug, compose: was given another picture as mug/edit-2" in found for found in problems(folder))


def test_inputs_that_changed_since_are_notes(tmp_path: Path, assets: Assets) -> None:
    campaign = tmp_path / "campaign"
    (campaign / "media").mkdir(parents=True)
    (campaign / "media" / "mug.png").write_bytes(b"other bytes than those of the run")
    run = with_true_parents(every_outcome(campaign, assets))
    write_run_folder(run, tmp_path / "r", place_asset=assets.place)
    notes = verify_run_folder(tmp_path / "r", record=run).notes
    assert "media/mug.png: changed since the run, which read other bytes" in notes
    assert "media/logo.png: not there any more, or not to be read" in notes
    assert not any("mug/edit-1" in note for note in notes)
