"""The small pictures that the page shows: of what was made, of what went in, and of an earlier run's to compare."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tasks.exports import asset_place
from tasks.page.changes import pictures_to_compare
from tasks.page.thumbnails import Original, Size, Thumbnails
from tasks.provenance.comparison import Comparison
from tasks.provenance.verification import file_sha256
from tasks.record import RunRecord

FOLDER = "page"


def _nothing(_: str) -> Path | None:
    return None


@dataclass(frozen=True)
class PageContext:
    """What the page shows beside the run's own record.

    ``find_file`` knows where bytes with a sha256 are kept, of inputs and of earlier runs' assets. ``earlier`` is the
    run to compare with, ``reconciliation`` the document of ``campaign reconcile``, where there is one.
    """

    thumbnails: Thumbnails | None = None
    find_file: Callable[[str], Path | None] = _nothing
    earlier: RunRecord | None = None
    reconciliation: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Picture:
    """Places relative to the run's folder; sides in pixels are those of ``small``."""

    small: str
    width: int
    height: int
    large: str | None


PageMedia = Mapping[str, Picture]


@dataclass(frozen=True)
class Beside:
    """What lies beside the page when it is written: nothing else is linked. ``absent`` are places of assets."""

    absent: frozenset[str] = frozenset()
    marked_copies: bool = False
    all_runs: bool = False


def beside(record: RunRecord, folder: Path) -> Beside:
    places = (asset.path for stage in record.stages for asset in stage.assets)
    return Beside(
        frozenset(place for place in places if not asset_place(folder, place).is_file()),
        (folder / "export").is_dir(),
        (folder.parent / "index.html").is_file(),
    )


def page_media(
    record: RunRecord, folder: Path, context: PageContext, comparison: Comparison | None
) -> PageMedia:
    """Put the pictures of the page beside it, by the sha256 of what they show; what cannot be drawn is left out.

    Raises OSError where the folder cannot be written.
    """
    if context.thumbnails is None:
        return {}
    put = context.thumbnails.put(_wanted(record, folder, context, comparison), folder / FOLDER)
    media = {}
    for (sha256, size), (name, width, height) in put.items():
        if size is Size.SMALL:
            large = put.get((sha256, Size.LARGE))
            media[sha256] = Picture(
                f"{FOLDER}/{name}", width, height, f"{FOLDER}/{large[0]}" if large else None
            )
    return media


def flagged_files(*records: RunRecord | None) -> frozenset[str]:
    """The sha256 of what the service flagged: shown only to who asks for it."""
    return frozenset(
        asset.sha256
        for record in records
        if record is not None
        for stage in record.stages
        for asset in stage.assets
        if asset.flagged_nsfw
    )


def _wanted(
    record: RunRecord, folder: Path, context: PageContext, comparison: Comparison | None
) -> Iterator[tuple[Original, Size]]:
    made = {asset.sha256: asset for stage in record.stages for asset in stage.assets}
    for asset in made.values():
        clip = asset.media_type.startswith("video/")
        original = Original(asset.sha256, clip, _at(asset_place(folder, asset.path)))
        yield original, Size.SMALL
        if clip:
            # A picture is looked at closely as it is; a clip needs a still.
            yield original, Size.LARGE
    given = {item.sha256: item for stage in record.stages for item in stage.inputs}
    for item in given.values():
        if item.sha256 not in made:
            find = _finder(record, item.source, item.sha256, context)
            original = Original(item.sha256, item.role == "video", find)
            yield original, Size.SMALL
            yield original, Size.LARGE
    for sha256, is_clip in pictures_to_compare(comparison) if comparison else ():
        if sha256 not in made:
            yield Original(sha256, is_clip, partial(context.find_file, sha256)), Size.SMALL


def _at(path: Path) -> Callable[[], Path | None]:
    return lambda: path if path.is_file() else None


def _finder(record: RunRecord, source: str, sha256: str, context: PageContext) -> Callable[[], Path | None]:
    def find() -> Path | None:
        known = context.find_file(sha256)
        if known is not None and known.is_file():
            return known
        named = Path(record.csv_path).parent / source
        # The file may have been changed since; another picture would be a lie.
        return named if named.is_file() and file_sha256(named) == sha256 else None

    return find
