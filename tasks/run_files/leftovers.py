"""What a process that was killed left half-written in run folders, removed by a later run.

The folder in which files are put together before they are moved into place bears its process in its name, so that
nobody sweeps what a living one is writing.
"""

import contextlib
import hashlib
import re
import secrets
import shutil
import time
from pathlib import Path

from blocks.ledger.owners import Process

_PREFIX = ".partial-"
_NAMED = re.compile(r"\.partial-([0-9a-f]{12})-(\d+)-([0-9A-Za-z.]+)-[0-9a-f]{16}")
# A process that has just died may have left its last file to a system that is still writing it.
YOUNG_SECONDS = 60.0
# Of a process on another machine nobody can tell whether it lives; none takes so long over a run's folder.
ABANDONED_SECONDS = 86_400.0


def partial_folder(folder: Path) -> Path:
    """Name a folder within ``folder`` that nobody else has, for what is being put together there."""
    process = Process.current()
    name = f"{_PREFIX}{_digest(process.host)}-{process.pid}-{process.start}-{secrets.token_hex(8)}"
    return folder / name


def sweep_leftovers(out: Path) -> int:
    """Remove what dead processes left in the run folders below ``out``; return how many. Never fails."""
    removed = 0
    with contextlib.suppress(OSError):
        for path in out.glob(f"*/{_PREFIX}*"):
            with contextlib.suppress(OSError):
                if _is_abandoned(path):
                    shutil.rmtree(path)
                    removed += 1
    return removed


def _is_abandoned(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False  # none of ours
    age = time.time() - max(entry.stat().st_mtime for entry in (path, *path.iterdir()))
    named = _NAMED.fullmatch(path.name)
    here = Process.current().host
    if named is None or named[1] != _digest(here):
        return age > ABANDONED_SECONDS
    return age > YOUNG_SECONDS and Process(here, int(named[2]), named[3]).is_dead()


def _digest(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:12]
