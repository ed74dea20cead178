"""The pictures and clips that a campaign names: found, read, hashed and checked, each once."""

import asyncio
import re
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from blocks.errors import FetchRefused, Problem, ServiceError
from blocks.media import ClipFacts, PictureFacts, clip_notes
from blocks.remote_addresses import shown
from tasks.briefs.brief import Brief, Campaign, ComposePart, EditPart, VideoPart
from tasks.briefs.brief_row import Kind, NamedSource
from tasks.briefs.campaign_file import shown_value
from tasks.briefs.input_files import Examined, Fetcher, Finder, RemoteFiles, examine
from tasks.briefs.reading import invalid_campaign, parse_campaign
from tasks.briefs.remembered import Recall, recalled
from tasks.models import Stage

_DECODED_AT_ONCE = 4
_FETCHED_AT_ONCE = 8
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://|(data):", re.IGNORECASE)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class LoadedInput:
    """One input. ``source`` is what the CSV says; ``path`` is where its bytes are on this machine.

    ``missing`` says why the bytes are not there: its address has expired, and what was there an earlier run has told.
    """

    source: str
    path: Path
    sha256: str
    facts: PictureFacts | ClipFacts
    missing: str = ""

    @property
    def name(self) -> str:
        """The source as messages name it."""
        return named(self.source)

    @property
    def media_type(self) -> str:
        return self.facts.media_type


def named(source: str) -> str:
    """A source for a message: an address without its query, which may let anybody read what is there."""
    return shown(source) if _SCHEME.match(source) else source


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
    def missing(self) -> tuple[LoadedInput, ...]:
        """Those whose bytes are not at hand."""
        return tuple(item for item in self.values() if item.missing)

    @property
    def fetched(self) -> tuple[LoadedInput, ...]:
        """Those that were read at a remote address just now."""
        return tuple(item for item in self.values() if _SCHEME.match(item.source) and not item.missing)

    @property
    def notes(self) -> tuple[str, ...]:
        clips = tuple(
            f"{item.name}: {note}"
            for item in self.values()
            if isinstance(item.facts, ClipFacts)
            for note in clip_notes(item.facts)
        )
        gone = tuple(
            f"{shown_value(item.name)} cannot be fetched any more; what an earlier run read there is used where it "
            "is paid for already"
            for item in self.missing
        )
        return clips + gone


async def read_and_check(
    path: Path,
    *,
    remote: RemoteFiles | None = None,
    fetched_folder: Path | None = None,
    confine_to: Path | None = None,
    allow_plain_http: bool = False,
    recall: Recall | None = None,
) -> tuple[Campaign, Inputs]:
    """The campaign of a CSV file with all of its inputs; the arguments are those of ``load_inputs``.

    ``recall`` knows what an earlier run read at an address that cannot be fetched any more.

    Raises InvalidInput with every problem of the file and of the files that it names, faulty rows included.
    """
    parsed = await asyncio.to_thread(parse_campaign, path)
    fetcher = _fetcher(remote, fetched_folder, allow_plain_http=allow_plain_http)
    loader = _Loader(Finder(path.parent, confine_to), fetcher, recall)
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


class _Unfetched(str):
    """What is wrong with an address that is one: it may be known what was there."""

    __slots__ = ()


class _Loader:
    """Finds, fetches and examines; what is wrong with a file is told for every cell that names it."""

    def __init__(self, finder: Finder, fetcher: Fetcher | None, recall: Recall | None = None) -> None:
        self._finder = finder
        self._fetcher = fetcher
        self._recall = recall
        self._decoding = asyncio.Semaphore(_DECODED_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FETCHED_AT_ONCE)

    async def load(self, wanted: Sequence[NamedSource]) -> tuple[Inputs, list[_Fault]]:
        sources = list(dict.fromkeys(item.source for item in wanted))
        found = dict(zip(sources, await _all(self._locate(source) for source in sources), strict=True))
        pairs = list(dict.fromkeys((found[item.source], item.kind) for item in wanted))
        examined = dict(zip(pairs, await _all(self._examine(*pair) for pair in pairs), strict=True))
        loaded: list[LoadedInput] = []
        faults: list[_Fault] = []
        for item in wanted:
            place = found[item.source]
            result = examined[place, item.kind]
            if isinstance(place, _Unfetched) and (known := await self._remembered(place, item)) is not None:
                loaded.append(known)
                continue
            faults += [(item, f"{shown_value(named(item.source))} {fault}") for fault in result.faults]
            if isinstance(place, Path) and result.facts is not None:
                loaded.append(LoadedInput(item.source, place, result.sha256, result.facts))
        return Inputs(loaded), faults

    async def _remembered(self, place: "_Unfetched", item: NamedSource) -> LoadedInput | None:
        if self._recall is None or self._fetcher is None:
            return None
        known = await asyncio.to_thread(recalled, self._recall, item.source, item.kind)
        if known is None:
            return None
        return LoadedInput(
            item.source, self._fetcher.folder / known.sha256, known.sha256, known.facts, missing=place
        )

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
            return _Unfetched(f"cannot be fetched: {' '.join(str(error).split())}")

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
    return [source for brief in campaign.briefs for part in brief.parts for source in _named_in(brief, part)]


def _named_in(brief: Brief, part: EditPart | ComposePart | VideoPart) -> Iterator[NamedSource]:
    if isinstance(part, EditPart):
        yield NamedSource(brief.line, "edit_image", part.image, "picture")
        return
    if isinstance(part, VideoPart):
        yield NamedSource(brief.line, "video", part.clip, "clip")
    column = "compose_images" if isinstance(part, ComposePart) else "video_images"
    for source in part.images:
        yield NamedSource(brief.line, column, source, "picture")


def refuse_without_bytes(campaign: Campaign, inputs: Inputs, to_make: Collection[tuple[str, Stage]]) -> None:
    """Raise InvalidInput where a stage is to be made of an input whose bytes are not at hand.

    ``to_make`` are those, by brief and stage, that are neither kept nor under way at the service.
    """
    at_hand = {item.sha256 for item in inputs.values() if not item.missing}
    faults = [
        (item, f"{shown_value(named(item.source))} {inputs[item.source].missing}")
        for brief in campaign.briefs
        for part in brief.parts
        if (brief.brief, part.request.stage) in to_make
        for item in _named_in(brief, part)
        if inputs[item.source].missing and inputs[item.source].sha256 not in at_hand
    ]
    if faults:
        shown = str(campaign.path)
        raise invalid_campaign(shown, campaign.columns, _as_problems(shown, faults))


def _as_problems(shown: str, faults: Sequence[_Fault]) -> list[Problem]:
    return [Problem(shown, item.line, item.column, message) for item, message in faults]
