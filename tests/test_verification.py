"""A run's folder held against its manifest."""

import json
from pathlib import Path

import pytest
from record_samples import Assets, every_outcome

from tasks.run_folder import write_run_folder
from tasks.verification import verify_run_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assets = Assets()
    write_run_folder(every_outcome(tmp_path, assets), tmp_path / "r", place_asset=assets.place)
    return tmp_path / "r"


def test_an_untouched_folder_has_no_problem(folder: Path) -> None:
    assert verify_run_folder(folder) == []


def test_missing_changed_and_foreign_files_are_named(folder: Path) -> None:
    (folder / "assets" / "mug" / "edit-1.png").unlink()
    clip = folder / "assets" / "lamp" / "video-1.mp4"
    clip.write_bytes(clip.read_bytes().swapcase())
    (folder / "assets" / "mug" / "poster\u202e.jpg").write_bytes(b"x")
    (folder / "assets" / "link").symlink_to(folder / "cost.csv")
    found = verify_run_folder(folder)
    assert [problem.partition(":")[0] for problem in found] == [
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
    (problem,) = verify_run_folder(folder)
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
    (problem,) = verify_run_folder(folder)
    assert "manifest.json is damaged" in problem


def test_a_missing_manifest_is_named(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (problem,) = verify_run_folder(folder)
    assert "manifest.json is missing" in problem


def test_a_manifest_that_points_outside_is_not_followed(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["briefs"][0]["stages"][0]["assets"][0]["path"] = "assets/../../secret"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    outside, foreign = verify_run_folder(folder)
    assert outside.startswith("assets/../../secret: the manifest is damaged")
    assert foreign.startswith("assets/mug/edit-1.png: no stage")
