"""The pictures and clips that a campaign names: found, read, hashed and checked, each once."""

import asyncio
import difflib
import hashlib
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from blocks.errors import CampaignError, MediaError, Problem
from blocks.media import (
    ClipFacts,
    PictureFacts,
    clip_limit_problems,
    clip_notes,
    decode_picture_fully,
    inspect_clip,
    picture_limit_problems,
)
from tasks.brief import Campaign, ComposePart, EditPart
from tasks.briefs import NamedSource, ParsedCampaign, invalid_campaign, parse_campaign
from tasks.campaign_file import shown_value

MOST_REMOTE_BYTES = 200_000_000
REMOTE_SECONDS = 120.0

_DECODED_AT_ONCE = 4
_FETCHED_AT_ONCE = 8
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://|(data):", re.IGNORECASE)
_Kind = Literal["picture", "clip"]


class RemoteFetcher(Protocol):
    """What reads https URLs; ``blocks.remote.RemoteFiles`` is one."""

    async def fetch(self, url: str, into: Path, *, max_bytes: int, max_seconds: float) -> object: ...


@dataclass(frozen=True)
class LoadedInput:
    """One input. ``source`` is what the CSV says; ``path`` is where its bytes are on this machine."""

    source: str
    path: Path
    sha256: str
    facts: PictureFacts | ClipFacts

    @property
    def media_type(self) -> str:
        return self.facts.media_type


class Inputs(Mapping[str, LoadedInput]):
    """Every input of a campaign by its source. ``notes`` are sentences for the plan."""

    def __init__(self, loaded: Iterable[LoadedInput]) -> None:
        self._by_source = {item.source: item for item in loaded}

    def __getitem__(self, source: str) -> LoadedInput:
        return self._by_source[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_source)

    def __len__(self) -> int:
        return len(self._by_source)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{item.source}: {note}"
            for item in self.values()
            if isinstance(item.facts, ClipFacts)
            for note in clip_notes(item.facts)
        )


async def read_and_check(
    path: Path,
    *,
    remote: RemoteFetcher | None = None,
    fetched_folder: Path | None = None,
    confine_to: Path | None = None,
    allow_plain_http: bool = False,
) -> tuple[Campaign, Inputs]:
    """The campaign of a CSV file with all of its inputs; the arguments are those of ``load_inputs``.

    Raises InvalidInput with every problem of the file and of the files that it names, faulty rows included.
    """
    parsed = await asyncio.to_thread(parse_campaign, path)
    loader = _Loader(path.parent, remote, fetched_folder, confine_to, allow_plain_http=allow_plain_http)
    inputs, faults = await loader.load(parsed.sources)
    problems = [*parsed.problems, *_as_problems(parsed.shown, faults)]
    if problems:
        raise invalid_campaign(parsed.shown, parsed.campaign.columns, problems)
    return parsed.campaign, inputs


async def load_inputs(
    campaign: Campaign,
    *,
    remote: RemoteFetcher | None = None,
    fetched_folder: Path | None = None,
    confine_to: Path | None = None,
    allow_plain_http: bool = False,
) -> Inputs:
    """Read and check every input. Raises InvalidInput with all problems at once.

    ``remote`` fetches URLs, each once, and ``fetched_folder`` keeps what it fetched; without them a URL is a
    problem. With ``confine_to`` a path that leads out of that folder is one, symbolic links followed.
    ``allow_plain_http`` hands http URLs to ``remote`` too.
    """
    loader = _Loader(
        campaign.path.parent, remote, fetched_folder, confine_to, allow_plain_http=allow_plain_http
    )
    inputs, faults = await loader.load(_named_by(campaign))
    if faults:
        shown = str(campaign.path)
        raise invalid_campaign(shown, campaign.columns, _as_problems(shown, faults))
    return inputs


_Fault = tuple[NamedSource, str]


@dataclass(frozen=True)
class _Examined:
    """What one file is, or everything that is wrong with it."""

    sha256: str = ""
    facts: PictureFacts | ClipFacts | None = None
    faults: tuple[str, ...] = ()


class _Loader:
    """Finds files, fetches URLs and examines both; what is wrong with one is told for every cell that names it."""

    def __init__(
        self,
        base: Path,
        remote: RemoteFetcher | None,
        fetched_folder: Path | None,
        confine_to: Path | None,
        *,
        allow_plain_http: bool,
    ) -> None:
        self._finder = _Finder(base, confine_to)
        self._remote = remote
        self._fetched_folder = fetched_folder
        self._schemes = ("https", "http") if allow_plain_http else ("https",)
        self._decoding = asyncio.Semaphore(_DECODED_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FETCHED_AT_ONCE)

    async def load(self, named: Sequence[NamedSource]) -> tuple[Inputs, list[_Fault]]:
        sources = list(dict.fromkeys(item.source for item in named))
        found = dict(zip(sources, await _all(self._locate(source) for source in sources), strict=True))
        wanted = list(dict.fromkeys((found[item.source], item.kind) for item in named))
        examined = dict(zip(wanted, await _all(self._examine(*pair) for pair in wanted), strict=True))
        loaded: list[LoadedInput] = []
        faults: list[_Fault] = []
        for item in named:
            place = found[item.source]
            result = examined[place, item.kind]
            faults += [(item, f"{shown_value(item.source)} {fault}") for fault in result.faults]
            if isinstance(place, Path) and result.facts is not None:
                loaded.append(LoadedInput(item.source, place, result.sha256, result.facts))
        return Inputs(loaded), faults

    async def _locate(self, source: str) -> Path | str:
        """Where the bytes are, or what is wrong."""
        scheme = _SCHEME.match(source)
        if scheme is None:
            return await asyncio.to_thread(self._finder.find, source)
        if (scheme[1] or scheme[2]).lower() not in self._schemes:
            return "is not read; give a path relative to the CSV, or an https URL"
        if self._remote is None or self._fetched_folder is None:
            return "cannot be fetched here; give a path relative to the CSV"
        try:
            async with self._fetching:
                return await _fetch(self._remote, source, self._fetched_folder)
        except (FetchRefused, ServiceError) as error:
            return f"cannot be fetched: {' '.join(str(error).split())}"

    async def _examine(self, place: Path | str, kind: _Kind) -> _Examined:
        if isinstance(place, str):
            return _Examined(faults=(place,))
        async with self._decoding:
            return await asyncio.to_thread(_examined, place, kind)


class _Finder:
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
                return "lies outside the campaign's folder, and only files below it are read here; move it there"
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
        if self._suggestions_left == 0 or not path.parent.is_dir():
            return ""
        self._suggestions_left -= 1
        names = {file.name.lower(): file.name for file in path.parent.iterdir()}
        close = difflib.get_close_matches(path.name.lower(), names, n=1)
        return f"; did you mean {shown_value(names[close[0]])}?" if close else ""
