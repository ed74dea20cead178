"""The pictures and clips that a campaign names: found, read, hashed and checked, each once."""

import asyncio
import re
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from blocks.errors import FetchRefused, Problem, ServiceError
from blocks.media import ClipFacts, PictureFacts, clip_notes
from tasks.briefs.brief import Campaign, ComposePart, EditPart
from tasks.briefs.brief_row import Kind, NamedSource
from tasks.briefs.campaign_file import shown_value
from tasks.briefs.input_files import Examined, Fetcher, Finder, RemoteFiles, examine
from tasks.briefs.reading import invalid_campaign, parse_campaign

_DECODED_AT_ONCE = 4
_FETCHED_AT_ONCE = 8
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://|(data):", re.IGNORECASE)
_Result = TypeVar("_Result")


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
    remote: RemoteFiles | None = None,
    fetched_folder: Path | None = None,
    confine_to: Path | None = None,
    allow_plain_http: bool = False,
) -> tuple[Campaign, Inputs]:
    """The campaign of a CSV file with all of its inputs; the arguments are those of ``load_inputs``.

    Raises InvalidInput with every problem of the file and of the files that it names, faulty rows included.
    """
    parsed = await asyncio.to_thread(parse_campaign, path)
    fetcher = _fetcher(remote, fetched_folder, allow_plain_http=allow_plain_http)
    loader = _Loader(Finder(path.parent, confine_to), fetcher)
    inputs, faults = await loader.load(parsed.sources)
    problems = [*parsed.problems, *_as_problems(parsed.shown, faults)]
    if problems:
        raise invalid_campaign(parsed.shown, parsed.campaign.columns, problems)
    return parsed.campaign, inputs


async def load_inputs(
    campaign: Campaign,
    *,
    remote: RemoteFiles | None = None,
    fetched_folder: Path | None = None,
    confine_to: Path | None = None,
    allow_plain_http: bool = False,
) -> Inputs:
    """Read and check every input. Raises InvalidInput with all problems at once.

    ``remote`` fetches https URLs, each once, into ``fetched_folder``; without them a URL is a
    problem. ``allow_plain_http`` leaves it to ``remote`` whether it follows an http URL. With ``confine_to``
    a path that leads out of that folder is a problem, symbolic links followed.
    """
    fetcher = _fetcher(remote, fetched_folder, allow_plain_http=allow_plain_http)
    loader = _Loader(Finder(campaign.path.parent, confine_to), fetcher)
    inputs, faults = await loader.load(_named_by(campaign))
    if faults:
        shown = str(campaign.path)
        raise invalid_campaign(shown, campaign.columns, _as_problems(shown, faults))
    return inputs


_Fault = tuple[NamedSource, str]


class _Loader:
    """Finds, fetches and examines; what is wrong with a file is told for every cell that names it."""

    def __init__(self, finder: Finder, fetcher: Fetcher | None) -> None:
        self._finder = finder
        self._fetcher = fetcher
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
        name = (scheme[1] or scheme[2]).lower()
        if name != "https" and not (name == "http" and self._fetcher and self._fetcher.allow_plain_http):
            return "is not followed; give an https URL, or a path relative to the CSV"
        if self._fetcher is None:
            return "cannot be fetched here; give a path relative to the CSV"
        try:
            async with self._fetching:
                return await self._fetcher.fetch(source)
        except (FetchRefused, ServiceError) as error:
            return f"cannot be fetched: {' '.join(str(error).split())}"

    async def _examine(self, place: Path | str, kind: Kind) -> Examined:
        if isinstance(place, str):
            return Examined(faults=(place,))
        async with self._decoding:
            return await asyncio.to_thread(examine, place, kind)


def _fetcher(remote: RemoteFiles | None, folder: Path | None, *, allow_plain_http: bool) -> Fetcher | None:
    return None if remote is None or folder is None else Fetcher(remote, folder, allow_plain_http)


async def _all(coroutines: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """All results in order; an error is raised once all have ended, so that none runs on behind it."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    values: list[_Result] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values


def _named_by(campaign: Campaign) -> list[NamedSource]:
    named: list[NamedSource] = []
    for brief in campaign.briefs:
        for part in brief.parts:
            if isinstance(part, EditPart):
                named.append(NamedSource(brief.line, "edit_image", part.image, "picture"))
                continue
            column = "compose_images" if isinstance(part, ComposePart) else "video_images"
            if not isinstance(part, ComposePart):
                named.append(NamedSource(brief.line, "video", part.clip, "clip"))
            named += [NamedSource(brief.line, column, source, "picture") for source in part.images]
    return named


def _as_problems(shown: str, faults: Sequence[_Fault]) -> list[Problem]:
    return [Problem(shown, item.line, item.column, message) for item, message in faults]
