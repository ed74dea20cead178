"""Small copies of pictures and clips for the page: made once for all runs, by the hash of the original's bytes.

They are a convenience. Whatever cannot be drawn, or not be kept, is left out, and never keeps a run from ending.
"""

import contextlib
import io
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PIL import Image

from blocks.clips import still_of_clip
from blocks.errors import MediaError
from blocks.media_preparation import plain_picture
from blocks.pictures import open_picture
from blocks.private_files import make_folder_for_people, open_to_people

# Raised when a thumbnail would look different: those of another recipe are not used.
_RECIPE = 1
_QUALITY = 78
_EFFORT = 2  # of the encoder, 0 to 6: more takes ten times as long and saves a tenth of the bytes
# Many clips begin black. The same moment of a source and of what was made of it can be laid over each other.
_STILL_AT_SECONDS = 0.5
_SCALED_DIRECTLY = ("RGB", "RGBA", "L", "CMYK")


class Size(Enum):
    """The longer side in pixels: enough for a card, and enough to look at closely."""

    SMALL = 640
    LARGE = 1600


@dataclass(frozen=True)
class Original:
    """``path`` looks for the file and returns None where it is gone; it is asked only where a copy has to be made."""

    sha256: str
    is_clip: bool
    path: Callable[[], Path | None]


class Thumbnails:
    """Kept below ``root`` in CAMPAIGN_HOME; a run's folder gets copies."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(
        self, originals: Iterable[tuple[Original, Size]], folder: Path
    ) -> dict[tuple[str, Size], tuple[str, int, int]]:
        """Copy each into ``folder``, made first where need be; return file name, width and height of those there are.

        Raises OSError where ``folder`` cannot be written.
        """
        wanted = {(original.sha256, size): original for original, size in originals}
        if not wanted:
            return {}
        make_folder_for_people(folder)
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            kept = pool.map(lambda item: self._kept(item[1], item[0][1]), wanted.items())
            found = {}
            for (sha256, size), path in zip(wanted, kept, strict=True):
                if path is None or (sides := _sides(path)) is None:
                    continue
                name = thumbnail_name(sha256, size)
                _copy(path, folder / name)
                found[sha256, size] = (name, *sides)
        return found

    def remove(self, sha256: str) -> None:
        """Forget what was drawn of these bytes, of whichever size and recipe."""
        for path in (self._root / sha256[:2]).glob(f"{sha256}-*.webp"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _kept(self, original: Original, size: Size) -> Path | None:
        sha256 = original.sha256
        path = self._root / sha256[:2] / f"{sha256}-{size.value}-{_RECIPE}.webp"
        try:
            if path.is_file():
                return path
            source = original.path()
            if source is None:
                return None
            content = _clip_still(source, size) if original.is_clip else _smaller(source, size)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        except (OSError, MediaError):
            return None
        return path


def thumbnail_name(sha256: str, size: Size) -> str:
    """The file's name in a run's folder."""
    return f"{sha256[:20]}{'' if size is Size.SMALL else '-large'}.webp"


def _smaller(source: Path, size: Size) -> bytes:
    with open_picture(source) as picture:
        profile = picture.info.get("icc_profile") if picture.mode in {"RGB", "RGBA", "L"} else None
        if picture.mode in _SCALED_DIRECTLY:
            # A JPEG is decoded at a fraction of its size, which spares most of the work.
            picture.thumbnail((size.value, size.value), reducing_gap=2.0)
        return _encoded(plain_picture(picture), size, profile)


def _clip_still(source: Path, size: Size) -> bytes:
    return _encoded(still_of_clip(source, _STILL_AT_SECONDS), size, None)


def _encoded(picture: Image.Image, size: Size, profile: bytes | None) -> bytes:
    picture.thumbnail((size.value, size.value))
    content = io.BytesIO()
    # Nothing of the original's EXIF goes along: it may say where a photograph was taken.
    plain = picture.copy()
    plain.info = {}
    plain.save(content, "WEBP", quality=_QUALITY, method=_EFFORT, icc_profile=profile or b"")
    return content.getvalue()


def _sides(path: Path) -> tuple[int, int] | None:
    """None where the kept copy is damaged; it is removed, so that the next page has it again."""
    try:
        with Image.open(path, formats=("WEBP",)) as picture:
            return picture.size
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _copy(path: Path, destination: Path) -> None:
    if destination.is_file() and destination.stat().st_size == path.stat().st_size:
        return
    partial = destination.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        shutil.copyfile(path, partial)
        open_to_people(partial)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, but without waiting for the disk: what a power cut takes is made again."""
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
