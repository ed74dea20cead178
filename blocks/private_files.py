"""Who may read what this program makes: its own files the user alone, a run's folder whoever the user's umask lets.

The process makes everything private; what is made for people is opened afterwards. So a place that nobody thought of,
a library's among them, errs on the safe side.
"""

import contextlib
import os
import stat
from pathlib import Path

_OTHERS = 0o077
_OWN_FOLDER = 0o700
_OWN_FILE = 0o600
# What lies in CAMPAIGN_HOME, by the beginnings of names; whatever else is there is the user's.
_OURS = (
    "ledger.sqlite",
    "assets",
    "simulator",
    "quotes.json",
    "thumbnails",
    "summaries",
    "inputs",
    "prefect",
    "unexpected-error",
)

_users_umask: int | None = None


def keep_private() -> None:
    """From now on, what this process and those that it starts make is for this user alone: 0700 and 0600."""
    global _users_umask  # noqa: PLW0603 - the umask is the process's, and so is what it was before
    before = os.umask(_OTHERS)
    if _users_umask is None:
        _users_umask = before


def open_to_people(path: Path) -> None:
    """Give what this process has made the mode that it would have had by the user's umask. Raises OSError."""
    if _users_umask is not None:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~_users_umask)


def make_folder_for_people(folder: Path) -> None:
    """Make the folder and those above it, by the user's umask; what is there stays as it is. Raises OSError."""
    missing = []
    for above in (folder, *folder.parents):
        if above.exists():
            break
        missing.append(above)
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        open_to_people(made)


def tighten_home(home: Path, *, whole: bool) -> None:
    """Take from others what earlier versions, which left it to the umask, have let them read.

    A folder that is private already is not looked into: nobody else can enter it. The home itself is only touched
    where it is ``whole`` ours, and not a folder that the user has made. What belongs to another user stays.
    """
    with contextlib.suppress(OSError):
        for path in home.iterdir():
            if path.name.startswith(_OURS) and not path.is_symlink():
                _tighten(path)
        if whole and home.is_dir() and not home.is_symlink():
            _chmod(home, _OWN_FOLDER)


def _tighten(path: Path) -> None:
    if not path.is_dir():
        _chmod(path, _OWN_FILE)
    elif stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        for folder, _, files in os.walk(path):
            for name in files:
                _chmod(Path(folder, name), _OWN_FILE)
            if Path(folder) != path:
                _chmod(Path(folder), _OWN_FOLDER)
        # Last: where this is cut short, the next command begins again.
        _chmod(path, _OWN_FOLDER)


def _chmod(path: Path, mode: int) -> None:
    """Links stay what they are, and so does what is gone meanwhile."""
    with contextlib.suppress(OSError):
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            path.chmod(mode)
