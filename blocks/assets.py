"""The asset store: pictures and clips under the sha256 of their bytes.

```
objects/ab/abcdef…     kept: named by its hash, complete from the moment it appears, never changed
incoming/              on its way: downloads that are not verified yet, on the same disk
quarantine/            damaged, set aside for people to look at
ledgers.json           which store this is, and how far its ledgers came: see ``blocks.store_marker``
```
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from blocks.errors import MediaError, StoreUnusable
from blocks.private_files import make_folder_for_people, open_to_people

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Left free for what else lives on the disk, the ledger above all: it must still be able to write an end.
_SPARE_BYTES = 64 << 20


class AssetGone(MediaError):
    """A kept asset is missing or damaged. It can be collected again from the service while that has it."""


class AssetStore:
    """Keeps assets below ``root``, which is made when the first one comes.

    Methods that write raise StoreUnusable where the disk is full, read-only or refuses, and say what to do.
    Hashes are 64 lower-case hexadecimal digits; anything else raises ValueError.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Name the file of an asset, whether it is kept or not."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a sha256")
        return self.root / "objects" / sha256[:2] / sha256

    def has(self, sha256: str, size: int | None = None) -> bool:
        """Look whether the asset is kept, of ``size`` bytes where given. Does not read it: see ``verify``."""
        path = self.path(sha256)
        try:
            return path.is_file() and (size is None or path.stat().st_size == size)
        except OSError:
            return False

    def holds_anything(self) -> bool:
        """Look whether any asset is kept."""
        try:
            return any(True for _ in (self.root / "objects").glob("*/*"))
        except OSError:
            return False

    def verify(self, sha256: str) -> bool:
        """Read the asset and compare its hash; False also where it is missing or cannot be read."""
        try:
            return _hash_of(self.path(sha256))[0] == sha256
        except OSError:
            return False

    def is_whole(self, sha256: str) -> bool:
        """Read the asset: to be asked before it is used. A damaged one is set aside, so that it counts as missing."""
        try:
            if _hash_of(self.path(sha256))[0] == sha256:
                return True
        except OSError:
            return False  # where it is there but cannot be read, keeping it again mends it
        self.quarantine(sha256)
        return False

    def incoming_path(self) -> Path:
        """Find a name for a download that nobody else has; write the file there, then call ``keep``."""
        folder = self.root / "incoming"
        with _usable(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def keep(self, temporary: Path, *, expected_sha256: str | None = None) -> tuple[str, int]:
        """Move a finished download in; return its sha256 and its size in bytes.

        On return it is on the disk, name and all. Keeping the same bytes again mends a damaged copy.
        Raises MediaError, and removes the download, where the bytes are not ``expected_sha256``.
        """
        if temporary.parent != self.root / "incoming":
            raise ValueError(
                "only files at an incoming_path() can be kept: a move from elsewhere is not atomic"
            )
        with _usable(self.root):
            with temporary.open("rb+") as file:
                sha256, size = _hash(file)
                os.fsync(file.fileno())
            if expected_sha256 is not None and sha256 != expected_sha256:
                temporary.unlink()
                raise MediaError(
                    f"the bytes on disk have sha256 {sha256}, and {expected_sha256} was expected"
                )
            temporary.chmod(0o600)
            final = self.path(sha256)
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(final)
            for folder in (final.parent, final.parent.parent, self.root):
                _sync_folder(folder)
        return sha256, size

    def place(self, sha256: str, destination: Path) -> None:
        """Put a copy of the asset at ``destination``; it appears whole and verified, or not at all.

        A copy and no link: people edit what they find in a run's folder. A damaged asset is quarantined.
        Raises AssetGone where it is missing or damaged.
        """
        source = self.path(sha256)
        partial = destination.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            with _usable(destination.parent):
                make_folder_for_people(destination.parent)
                try:
                    shutil.copyfile(source, partial)
                except FileNotFoundError as error:
                    if source.is_file():
                        raise
                    raise AssetGone(f"the asset {sha256} is not in the store any more") from error
                with partial.open("rb+") as file:
                    found, _ = _hash(file)
                    os.fsync(file.fileno())
                if found != sha256:
                    self.quarantine(sha256)
                    raise AssetGone(f"the asset {sha256} was damaged on the disk and is set aside")
                open_to_people(partial)
                partial.replace(destination)
                _sync_folder(destination.parent)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def quarantine(self, sha256: str) -> Path | None:
        """Set a damaged asset aside, so that it counts as missing; None where there is none."""
        target = self.root / "quarantine" / f"{sha256}-{uuid.uuid4().hex[:8]}"
        source = self.path(sha256)
        with _usable(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(target)
            except FileNotFoundError:
                return None
            _sync_folder(source.parent)
        return target

    def remove(self, sha256: str) -> int:
        """Delete an asset that nothing needs any more; return how many bytes that freed, 0 where it is gone already."""
        path = self.path(sha256)
        with _usable(self.root):
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
            _sync_folder(path.parent)
        return size

    def sweep_incoming(self, older_than: timedelta) -> int:
        """Remove downloads that nobody has written to for so long: their process died. Return how many."""
        limit = (datetime.now(UTC) - older_than).timestamp()
        removed = 0
        with _usable(self.root):
            for path in (self.root / "incoming").glob("*"):
                # Another process may sweep as well, or keep it at this moment.
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        removed += 1
        return removed

    def ensure_room(self, size: int) -> None:
        """Raise StoreUnusable unless ``size`` more bytes can be kept: to be asked before paying for them."""
        probe = self.incoming_path()
        with _usable(self.root):
            probe.touch(exist_ok=False)
            probe.unlink()
            free = shutil.disk_usage(self.root).free
        if free < size + _SPARE_BYTES:
            raise StoreUnusable(
                f"the disk of {self.root} has {free >> 20} MB free, and {(size + _SPARE_BYTES) >> 20} MB are "
                "needed for what would be paid for; free some space, or put CAMPAIGN_HOME on another disk"
            )


def _hash_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return _hash(file)


def _hash(file: BinaryIO) -> tuple[str, int]:
    """Hash an open file from its start; return the sha256 and the number of bytes."""
    digest = hashlib.sha256()
    size = 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    """Make a new name in the folder outlive a power cut. Windows knows no such thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "this user's share of the disk is full; free some space and run the command again",
    errno.EROFS: "the disk is read-only; make it writable, or choose another folder",
    errno.EACCES: "this user may not write there; make the folder writable, or choose another one",
    errno.EPERM: "this user may not write there; make the folder writable, or choose another one",
    errno.EIO: "the disk reports an error; check it before running the command again",
}


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(
            error.errno or 0,
            f"{error.strerror or error}; make sure that the folder exists and can be written",
        )
        raise StoreUnusable(f"{folder} cannot keep pictures and clips: {reason}") from error
