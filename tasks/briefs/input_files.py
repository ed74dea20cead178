"""One input at a time: where its file is, fetching it, and what its bytes are."""

import asyncio
import difflib
import hashlib
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blocks.errors import MediaError, StoreUnusable, TooLargeToDecode
from blocks.media import (
    ClipFacts,
    PictureFacts,
    clip_limit_problems,
    decode_picture_fully,
    inspect_clip,
    picture_limit_problems,
)
from tasks.briefs.brief_row import Kind
from tasks.briefs.campaign_file import shown_value

MOST_REMOTE_BYTES = 200_000_000  # the most that a clip may have
REMOTE_SECONDS = 120.0

_MOST_SUGGESTIONS = 20
# Stricter than difflib's 0.6: short names with the same ending would all be close (cups.jpg for mug.jpg).
_CLOSE = 0.75
_SAVE_AS = {"picture": "save it as jpeg or png", "clip": "export it as mp4"}


class RemoteFiles(Protocol):
    """What reads URLs, by its own rules about hosts; ``blocks.remote.RemoteFiles`` is one."""

    async def fetch(self, url: str, into: Path, *, max_bytes: int, max_seconds: float) -> object: ...


@dataclass(frozen=True)
class Examined:
    """What one file is, or everything that is wrong with it."""

    sha256: str = ""
    facts: PictureFacts | ClipFacts | None = None
    faults: tuple[str, ...] = ()


class Finder:
    """Finds the files that cells name, and says what is wrong where there is none."""

    def __init__(self, base: Path, confine_to: Path | None) -> None:
        self._base = base
        self._confine_to = confine_to.resolve() if confine_to is not None else None
        self._suggestions_left = _MOST_SUGGESTIONS

    def find(self, source: str) -> Path | str:
        """The file, symbolic links followed, or what is wrong."""
        try:
            path = (self._base / source).resolve()
            # Before anything is said about what is there: nothing outside is even looked at.
            if self._confine_to is not None and not path.is_relative_to(self._confine_to):
                return "lies outside the folder below which files are read here; move it there"
            mode = path.stat().st_mode
        except FileNotFoundError:
            return f"is not there{self._suggestion(path)}; paths are relative to the CSV"
        except (OSError, RuntimeError, ValueError) as error:
            return f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if stat.S_ISDIR(mode):
            return "is a folder; name a file in it"
        return path if stat.S_ISREG(mode) else "is a device or pipe; name a file"

    def _suggestion(self, path: Path) -> str:
        # Comparing names is slow where both they and the mistakes are many.
        if self._suggestions_left <= 0:
            return ""
        self._suggestions_left -= 1
        try:
            names = {file.name.lower(): file.name for file in path.parent.iterdir()}
        except OSError:
            return ""
        close = difflib.get_close_matches(path.name.lower(), names, n=1, cutoff=_CLOSE)
        return f" (did you mean {shown_value(names[close[0]])}?)" if close else ""


@dataclass(frozen=True)
class Fetcher:
    """Fetches into ``folder``, and makes it for the first. A second reading of a URL may find something else at it."""

    remote: RemoteFiles
    folder: Path
    allow_plain_http: bool

    async def fetch(self, url: str) -> Path:
        """The file that has what the URL holds now, named by its hash: what was read before stays.

        Raises StoreUnusable where nothing can be written to the folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(
                f"{self.folder} cannot be made ({error.strerror or error}); the remote inputs are kept there. "
                "Choose another CAMPAIGN_HOME, or correct the folder"
            ) from error
        arriving = self.folder / f"{secrets.token_hex(8)}.part"
        await self.remote.fetch(url, arriving, max_bytes=MOST_REMOTE_BYTES, max_seconds=REMOTE_SECONDS)
        return await asyncio.to_thread(lambda: arriving.replace(self.folder / _sha256_of(arriving)))


def examine(path: Path, kind: Kind) -> Examined:
    """Decode the file as far as its kind needs, hold it against the models' limits, and hash it."""
    facts: PictureFacts | ClipFacts
    try:
        if kind == "picture":
            facts = decode_picture_fully(path)
            faults = picture_limit_problems(facts)
        else:
            facts = inspect_clip(path)
            faults = clip_limit_problems(facts)
        return Examined(_sha256_of(path), facts, tuple(f"has {fault}" for fault in faults))
    except MediaError as error:
        advice = "make it smaller" if isinstance(error, TooLargeToDecode) else _SAVE_AS[kind]
        return Examined(faults=(f"is {error}; {advice}",))
    except OSError as error:
        return Examined(faults=(f"cannot be read: {error.strerror or error}",))


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
