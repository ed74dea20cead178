"""Where a disk or a ledger cannot keep what would be paid for, nothing is paid; what is paid for is collected later."""

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from quiet_scene import QuietScene

from blocks import assets
from blocks.ledger import Ledger


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path_factory.mktemp("disk"))
    scene.briefs("a")
    try:
        yield scene
    finally:
        scene.close()


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """A read-only disk where the tests may mount one, else a folder without the permission to write."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(folder)]
    mounted = (
        os.geteuid() == 0
        and subprocess.run(["mount", *options], check=False, capture_output=True).returncode == 0
    )
    if not mounted:
        if os.geteuid() == 0:
            # Root may write anywhere but below a file.
            folder.rmdir()
            folder.write_bytes(b"")
        else:
            folder.chmod(0o555)
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
        elif folder.is_dir():
            folder.chmod(0o755)


def leave_four_megabytes() -> None:
    shutil.disk_usage = lambda _: SimpleNamespace(free=4 << 20)  # type: ignore[assignment,return-value] # the disk is full


def be_impatient_with_locks() -> None:
    Ledger.open.__func__.__kwdefaults__["busy_seconds"] = 0.1  # type: ignore[attr-defined] # a method of the class


def fill_the_disk_with_the_first_download() -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assets._hash = full  # type: ignore[assignment] # it never returns


def test_a_home_that_cannot_be_written(scene: QuietScene, read_only_folder: Path) -> None:
    before = scene.billed
    assert scene.run(CAMPAIGN_HOME=str(read_only_folder)) == 1
    assert "CAMPAIGN_HOME: " in scene.said
    assert "Nothing was spent" in scene.said
    assert scene.billed == before


def test_a_file_in_the_place_of_the_home(scene: QuietScene, tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    before = scene.billed
    assert scene.run(CAMPAIGN_HOME=str(tmp_path / "home")) == 2
    assert "is a file; name a folder that you may write to. Nothing was spent" in scene.said
    assert scene.billed == before


def test_a_full_disk(scene: QuietScene, tmp_path: Path) -> None:
    home, before = tmp_path / "home", scene.billed
    assert scene.run(first="test_full_disk:leave_four_megabytes", CAMPAIGN_HOME=str(home)) == 1
    assert "has 4 MB free, and 64 MB are needed" in scene.said
    assert "put CAMPAIGN_HOME on another disk" in scene.said
    assert scene.billed == before
    assert list(home.iterdir()) == [], "looking for room left something behind"


@pytest.mark.parametrize("damage", ["random", "truncated"])
def test_a_damaged_ledger(scene: QuietScene, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    content = path.read_bytes()
    path.write_bytes(os.urandom(len(content)) if damage == "random" else content[: len(content) // 2])
    before = scene.billed
    assert scene.run(CAMPAIGN_HOME=str(tmp_path)) == 1
    assert "damaged" in scene.said
    assert "backup" in scene.said
    assert scene.billed == before


def test_a_ledger_of_a_newer_version(scene: QuietScene, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE ledger_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = scene.billed
    assert scene.run(CAMPAIGN_HOME=str(tmp_path)) == 1
    assert "newer version" in scene.said
    assert scene.billed == before


def test_a_ledger_that_another_process_locks(scene: QuietScene, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = scene.billed
    try:
        assert scene.run(first="test_full_disk:be_impatient_with_locks", CAMPAIGN_HOME=str(tmp_path)) == 1
    finally:
        other.close()
    assert "is locked" in scene.said
    assert scene.billed == before


def test_a_disk_that_fills_up_while_downloads_come(scene: QuietScene) -> None:
    scene.briefs("x", "y")
    before = scene.billed
    assert scene.run(first="test_full_disk:fill_the_disk_with_the_first_download") == 1
    assert "the disk is full; free some space and run the command again" in scene.said
    paid = scene.billed
    assert set(paid) - set(before) == {"x", "y"}
    assert scene.run() == 0, scene.said
    assert scene.billed == paid, "what was paid for was paid for again"
    assert len(scene.assets()) == 2


@pytest.mark.parametrize("obstacle", ["file", "read-only"])
def test_a_place_for_the_runs_that_cannot_be_written(
    scene: QuietScene, tmp_path: Path, read_only_folder: Path, obstacle: str
) -> None:
    out = read_only_folder
    if obstacle == "file":
        out = tmp_path / "out"
        out.write_bytes(b"")
    before = scene.billed
    refused = scene.workplace.run("run", scene.csv, "--out", str(out))
    assert refused.status == 2, refused
    assert f"--out {out} " in refused.stderr
    assert "name a folder that you may write to. Nothing was spent" in refused.stderr
    assert scene.billed == before
