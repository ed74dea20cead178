"""The asset store: whole or not at all, under the hash of its bytes, with errors that say what to do."""

import errno
import hashlib
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_support import python

from blocks.assets import AssetGone, AssetStore
from blocks.errors import MediaError, StoreUnusable

NOBODY = 65534
CONTENT = b"picture " * 300_000  # more than a chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> AssetStore:
    return AssetStore(tmp_path / "home" / "assets")


def download(store: AssetStore, content: bytes = CONTENT) -> Path:
    path = store.incoming_path()
    path.write_bytes(content)
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_looking_makes_nothing(store: AssetStore, tmp_path: Path) -> None:
    assert not store.has(SHA256)
    assert not store.verify(SHA256)
    assert store.sweep_incoming(timedelta(0)) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_asset_is_kept_under_its_hash(store: AssetStore) -> None:
    temporary = download(store)
    temporary.chmod(0o644)
    assert store.keep(temporary, expected_sha256=SHA256) == (SHA256, len(CONTENT))
    path = store.path(SHA256)
    assert path == store.root / "objects" / SHA256[:2] / SHA256
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files_below(store.root) == [f"objects/{SHA256[:2]}/{SHA256}"]
    assert store.has(SHA256)
    assert store.has(SHA256, len(CONTENT))
    assert not store.has(SHA256, len(CONTENT) + 1)
    assert store.verify(SHA256)


def test_an_empty_file_has_a_hash_too(store: AssetStore) -> None:
    assert store.keep(download(store, b"")) == (hashlib.sha256(b"").hexdigest(), 0)


def test_keeping_again_is_fine_and_mends(store: AssetStore) -> None:
    store.keep(download(store))
    store.path(SHA256).write_bytes(b"damaged")
    assert store.has(SHA256)
    assert not store.has(SHA256, len(CONTENT))
    assert not store.verify(SHA256)
    store.keep(download(store))
    assert store.verify(SHA256)
    assert files_below(store.root) == [f"objects/{SHA256[:2]}/{SHA256}"]


def test_other_bytes_than_expected_are_thrown_away(store: AssetStore) -> None:
    with pytest.raises(MediaError, match="was expected"):
        store.keep(download(store, b"truncated"), expected_sha256=SHA256)
    assert files_below(store.root) == []


def test_only_what_lies_on_the_same_disk_is_moved(store: AssetStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONTENT)
    with pytest.raises(ValueError, match="atomic"):
        store.keep(elsewhere)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n", "/" * 64])
def test_what_is_no_hash_is_no_path(store: AssetStore, name: str) -> None:
    for method in (store.path, store.has, store.verify, store.quarantine):
        with pytest.raises(ValueError, match="sha256"):
            method(name)


def test_incoming_names_differ(store: AssetStore) -> None:
    paths = {store.incoming_path() for _ in range(100)}
    assert len(paths) == 100
    assert not any(path.exists() for path in paths)


def test_a_placed_asset_is_a_copy_of_its_own(store: AssetStore, tmp_path: Path) -> None:
    store.keep(download(store))
    destination = tmp_path / "runs" / "mug" / "edit-1.png"
    store.place(SHA256, destination)
    assert destination.read_bytes() == CONTENT
    assert stat.S_IMODE(destination.stat().st_mode) == 0o644
    assert destination.stat().st_nlink == 1
    destination.write_bytes(b"edited by hand")
    assert store.verify(SHA256)
    store.place(SHA256, destination)
    assert destination.read_bytes() == CONTENT
    assert files_below(tmp_path / "runs") == ["mug/edit-1.png"]


def test_a_missing_asset_is_not_placed(store: AssetStore, tmp_path: Path) -> None:
    with pytest.raises(AssetGone, match="not in the store"):
        store.place(SHA256, tmp_path / "edit-1.png")
    assert files_below(tmp_path) == []


def test_a_damaged_asset_is_set_aside_and_not_placed(store: AssetStore, tmp_path: Path) -> None:
    store.keep(download(store))
    damaged = bytearray(CONTENT)
    damaged[len(damaged) // 2] ^= 1
    store.path(SHA256).write_bytes(damaged)
    assert store.has(SHA256, len(CONTENT))
    with pytest.raises(AssetGone, match="damaged"):
        store.place(SHA256, tmp_path / "runs" / "edit-1.png")
    assert files_below(tmp_path / "runs") == []
    assert not store.has(SHA256)
    (aside,) = files_below(store.root)
    assert aside.startswith(f"quarantine/{SHA256}-")
    assert (store.root / aside).read_bytes() == damaged
    assert store.quarantine(SHA256) is None


def test_old_downloads_are_swept_and_young_ones_stay(store: AssetStore) -> None:
    store.keep(download(store, b"kept"))
    old, young = download(store), download(store)
    os.utime(old, (young.stat().st_mtime - 7_200,) * 2)
    assert store.sweep_incoming(timedelta(hours=1)) == 1
    assert not old.exists()
    assert young.exists()
    assert store.has(hashlib.sha256(b"kept").hexdigest())


def test_room_is_looked_for_before_anything_is_paid(store: AssetStore) -> None:
    store.ensure_room(1_000)
    assert files_below(store.root) == []
    with pytest.raises(StoreUnusable, match=r"MB free.*free some space"):
        store.ensure_room(1 << 60)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "disk is full; free some space"),
        (errno.EDQUOT, "share of the disk is full"),
        (errno.EROFS, "disk is read-only"),
        (errno.EIO, "check it"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_a_disk_that_refuses(
    store: AssetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    store.keep(download(store))
    temporary = download(store, b"new")

    def refuse(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreUnusable, match=advice):
        store.keep(temporary)
    with pytest.raises(StoreUnusable, match=advice):
        store.place(SHA256, tmp_path / "runs" / "edit-1.png")
    assert files_below(tmp_path / "runs") == []
    assert not store.has(hashlib.sha256(b"new").hexdigest())


@pytest.fixture
def read_only() -> Iterator[AssetStore]:
    """Give a store that the process may not write, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        store = AssetStore(Path(name))
        sha256, _ = store.keep(download(store))
        store.path(sha256).chmod(0o444)
        folders = [Path(name), *(path for path in Path(name).rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        if root:
            os.seteuid(NOBODY)
        try:
            yield store
        finally:
            if root:
                os.seteuid(0)
            for folder in folders:
                folder.chmod(0o755)


def test_a_store_that_may_not_be_written(read_only: AssetStore) -> None:
    assert read_only.verify(SHA256)
    writes: list[Callable[[], object]] = [
        lambda: read_only.ensure_room(1),
        lambda: download(read_only).touch(),
        lambda: read_only.quarantine(SHA256),
        lambda: AssetStore(read_only.root / "new").incoming_path(),
        lambda: read_only.place(SHA256, read_only.root / "edit-1.png"),
    ]
    for number, write in enumerate(writes):
        with pytest.raises((StoreUnusable, PermissionError)) as refused:
            write()
        # The caller writes to an incoming path by itself; all else is explained.
        assert number == 1 or "make the folder writable" in str(refused.value)


DIE = """
import os, signal
from pathlib import Path
from blocks.assets import AssetStore
store = AssetStore(Path(sys.argv[1]))
temporary = store.incoming_path()
temporary.write_bytes(b"picture")
calls = {"fsync": os.fsync, "replace": Path.replace, "never": None}
at = sys.argv[2]
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
def do_and_die(*arguments):
    calls["replace"](*arguments)
    die()
if at == "fsync":
    os.fsync = die
elif at == "before the move":
    Path.replace = die
else:
    Path.replace = do_and_die
store.keep(temporary)
"""


@pytest.mark.parametrize(
    ("at", "kept"), [("fsync", False), ("before the move", False), ("after the move", True)]
)
def test_killed_while_keeping(store: AssetStore, at: str, kept: bool) -> None:
    process = python(DIE, str(store.root), at)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    sha256 = hashlib.sha256(b"picture").hexdigest()
    assert store.has(sha256) is kept
    assert store.verify(sha256) is kept
    # What is left lying is swept, and the same bytes can be kept.
    assert store.sweep_incoming(timedelta(seconds=-5)) == (0 if kept else 1)
    assert store.keep(download(store, b"picture"))[0] == sha256
    assert files_below(store.root) == [f"objects/{sha256[:2]}/{sha256}"]
