"""The folder of a run as a whole: everything in it, nothing beside it, the same bytes every time."""

import hashlib
import os
from pathlib import Path

import pytest
from record_samples import Assets, brief, every_outcome, record, stage

from blocks.assets import AssetGone
from blocks.errors import StoreUnusable
from tasks.record import Outcome, RunRecord
from tasks.run_files.run_folder import write_run_folder

FILES = {
    "cost.csv",
    "cost.parquet",
    "latency.csv",
    "latency.parquet",
    "cost_summary.csv",
    "latency_summary.csv",
    "results.csv",
    "tables.xlsx",
    "focus.csv",
    "manifest.json",
    "report.html",
}


@pytest.fixture
def assets() -> Assets:
    return Assets()


@pytest.fixture
def run(tmp_path: Path, assets: Assets) -> RunRecord:
    return every_outcome(tmp_path / "campaign", assets)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_holds_what_the_contract_names_and_nothing_else(
    tmp_path: Path, run: RunRecord, assets: Assets
) -> None:
    folder = tmp_path / "runs" / run.run
    write_run_folder(run, folder, place_asset=assets.place)
    expected = {asset.path for stage in run.stages for asset in stage.assets}
    # The clips of this record are no clips, and can carry no mark.
    marked = {path.replace("assets/", "export/") for path in expected if path.endswith(".png")}
    assert set(contents(folder)) == FILES | expected | marked
    assert {path.name for path in folder.iterdir()} == {*FILES, "assets", "export"}
    for stage_record in run.stages:
        for asset in stage_record.assets:
            assert hashlib.sha256((folder / asset.path).read_bytes()).hexdigest() == asset.sha256


def test_writing_again_gives_the_same_bytes_and_places_nothing_twice(
    tmp_path: Path, run: RunRecord, assets: Assets
) -> None:
    folder = tmp_path / "runs" / run.run
    write_run_folder(run, folder, place_asset=assets.place)
    before, placed = contents(folder), len(assets.placed)
    kept = RunRecord.model_validate_json(run.model_dump_json())
    write_run_folder(kept, folder, place_asset=assets.place)
    assert contents(folder) == before
    assert len(assets.placed) == placed == 7


def test_a_damaged_or_missing_asset_is_put_back(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    write_run_folder(run, tmp_path / "r", place_asset=assets.place)
    before = contents(tmp_path / "r")
    changed = tmp_path / "r" / "assets" / "mug" / "edit-1.png"
    changed.write_bytes(bytes(reversed(changed.read_bytes())))  # as long as before
    (tmp_path / "r" / "assets" / "mug" / "video-1.mp4").unlink()
    placed = len(assets.placed)
    write_run_folder(run, tmp_path / "r", place_asset=assets.place)
    assert contents(tmp_path / "r") == before
    assert len(assets.placed) == placed + 2


def test_assets_may_be_linked_into_place(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for sha256, content in assets.kept.items():
        (store / sha256).write_bytes(content)
    folder = tmp_path / "r"
    write_run_folder(run, folder, place_asset=lambda sha256, place: os.link(store / sha256, place))
    first = run.stages[0].assets[0]
    assert (folder / first.path).stat().st_ino == (store / first.sha256).stat().st_ino
    assert {path.name for path in folder.iterdir()} == {*FILES, "assets", "export"}


def test_marked_copies_may_be_left_out(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    write_run_folder(run, tmp_path / "r", place_asset=assets.place, marked_copies=False)
    assert {path.name for path in (tmp_path / "r").iterdir()} == {*FILES, "assets"}


def test_a_past_run_is_written_without_what_is_gone(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    lost = run.stages[0].assets[0]

    def place(sha256: str, destination: Path) -> None:
        if sha256 == lost.sha256:
            raise AssetGone("not there any more")
        assets.place(sha256, destination)

    with pytest.raises(AssetGone):
        write_run_folder(run, tmp_path / "strict", place_asset=place)
    gone: list[str] = []
    write_run_folder(run, tmp_path / "r", place_asset=place, gone=gone)
    assert gone == [lost.path]
    written = contents(tmp_path / "r")
    assert set(FILES) <= set(written)
    assert not {lost.path, lost.path.replace("assets/", "export/")} & set(written)
    assert not list((tmp_path / "r").glob(".partial*"))


def test_other_bytes_than_the_services_are_refused(tmp_path: Path, run: RunRecord) -> None:
    def wrong(_: str, destination: Path) -> None:
        destination.write_bytes(b"<html>not found</html>")

    with pytest.raises(StoreUnusable, match=r"assets/mug/edit-1\.png"):
        write_run_folder(run, tmp_path / "r", place_asset=wrong)
    assert contents(tmp_path / "r") == {}
    assert not [path for path in (tmp_path / "r").iterdir() if path.name != "assets"]


def test_no_asset_is_placed_outside(tmp_path: Path, assets: Assets) -> None:
    picture = assets.picture("assets/../../stolen.png", 1)
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED, assets=(picture,)),)),))
    with pytest.raises(ValueError, match="no place below assets"):
        write_run_folder(run, tmp_path / "runs" / "r", place_asset=assets.place)
    assert not list(tmp_path.rglob("stolen.png"))


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path, run: RunRecord, assets: Assets) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnusable, match=r"cannot be written .* `campaign report 20261121-093000-a1b2"):
        write_run_folder(run, tmp_path / "file" / "r", place_asset=assets.place)
