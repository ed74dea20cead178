"""How much of an attempt's request a prediction in the history shows."""

import re
from enum import IntEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from blocks.wavespeed import Prediction
from tasks.paying.spelling import MEDIA_KEYS, Spelling, Whole, Words, listed, plain

# Uploads are named by the hash of their bytes; shorter names, such as image.png, are anybody's.
_SHORTEST_TELLING_NAME = 33
_HASH = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


class Likeness(IntEnum):
    """From what is certainly another's request to what is certainly the attempt's or its twin's."""

    OTHER = 0  # other words or settings
    DOUBTFUL = 1  # most likely another's: other files, or other words in a history whose words are not proven
    SILENT = 2  # the history does not say what was sent
    WORDS = 3  # the same words and settings; the history rewrites addresses beyond recognition, or leaves them out
    FILES = 4  # and files of the same names, at other addresses
    EXACT = 5


def likeness(
    body: dict[str, Any] | None, shown: dict[str, Any] | None, spelling: Spelling | None = None
) -> Likeness:
    """Compares what was sent with what the history shows of a prediction's inputs, if anything.

    A difference rules out as far as ``spelling`` says that the history shows such things as they were sent; without
    one, it is believed to.
    """
    spelling = Whole() if spelling is None else spelling
    if not body or not shown or "prompt" not in body or "prompt" not in shown:
        return Likeness.SILENT
    lowest = Likeness.EXACT
    # What differs where nothing is proven speaks against it, and rules nothing out.
    unproven = Likeness.SILENT if spelling.known else Likeness.DOUBTFUL
    match spelling.words(str(body["prompt"]), shown["prompt"]):
        case Words.OTHER:
            return Likeness.OTHER
        case Words.UNPROVEN:
            lowest = unproven
        case Words.UNCLEAR:
            lowest = Likeness.SILENT
        case Words.SAME:
            pass
    for name, value in body.items():
        if name in MEDIA_KEYS or name == "prompt" or _same_setting(name, value, shown):
            continue
        if spelling.tells_setting(name):
            return Likeness.OTHER
        lowest = min(lowest, unproven)
    for name in MEDIA_KEYS:
        sent = listed(body.get(name))
        seen = listed(shown.get(name))
        if name not in shown:
            lowest = min(lowest, Likeness.WORDS) if sent else lowest
        elif len(sent) == len(seen):
            lowest = min(lowest, _media_likeness(sent, seen))
        elif spelling.tells_number(name, len(sent), len(seen)):
            return Likeness.OTHER
        else:
            lowest = min(lowest, unproven)
    return lowest


def outputs_fit(body: dict[str, Any] | None, candidate: Prediction) -> bool:
    """Whether the outputs are such as the request asks for, in count and format; nothing is known before the end."""
    if not candidate.completed:
        return True
    body = body or {}
    if "video" in body:
        return len(candidate.outputs) == 1 and _ending(candidate.outputs[0]) in {"mp4", "mov", ""}
    wanted = str(body.get("output_format", ""))
    endings = {"", wanted, *(["jpg"] if wanted == "jpeg" else [])}
    return len(candidate.outputs) <= int(body.get("num_images", 1)) and all(
        _ending(url) in endings for url in candidate.outputs
    )


def _same_setting(name: str, sent: Any, shown: dict[str, Any]) -> bool:
    """A setting that is not shown speaks against nothing, nor does what the service made of "auto"."""
    if name not in shown or sent == "auto" or sent == shown[name]:
        return True
    return plain(sent) == plain(shown[name])


def _media_likeness(sent: list[str], shown: list[str]) -> Likeness:
    if sent == shown:
        return Likeness.EXACT
    if all(map(_same_file, sent, shown)):
        return Likeness.FILES
    pairs = [pair for pair in zip(sent, shown, strict=True) if not _same_file(*pair)]
    return Likeness.DOUBTFUL if any(_looks_other(*pair) for pair in pairs) else Likeness.WORDS


def _looks_other(sent: str, shown: str) -> bool:
    """Addresses on the host that was sent to are most likely shown as they were sent, and names of a hash kept."""
    return _host(sent) == _host(shown) or _HASH.search(_name(shown)) is not None


def _same_file(one: str, other: str) -> bool:
    name = _name(one)
    return one == other or (name == _name(other) and len(name) >= _SHORTEST_TELLING_NAME)


def _name(url: str) -> str:
    return _host_and_name(url)[1]


def _host(url: str) -> str:
    return _host_and_name(url)[0]


def _ending(url: str) -> str:
    name = _name(url)
    return name.rpartition(".")[2].lower() if "." in name else ""


@lru_cache(maxsize=4096)  # each address is compared with many
def _host_and_name(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # an address that is none, such as http://[
        return "", ""
    return parts.netloc.lower(), parts.path.rpartition("/")[2]
