"""What a file seems to be, for messages about files that are not what they should be."""

from pathlib import Path

import puremagic

_HEAD_BYTES = 4096
_STARTS = (
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
)


def kind_of_file(path: Path) -> str:
    """A few words such as “an empty file” or “a file of the kind WebM video”: a guess."""
    with path.open("rb") as file:
        return kind_of_bytes(file.read(_HEAD_BYTES))


def kind_of_bytes(head: bytes) -> str:
    """The same, of the first bytes of a file."""
    if not head:
        return "an empty file"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, kind in _STARTS:
        if start.startswith(beginning):
            return kind
    try:
        name = puremagic.magic_string(head)[0].name
    except (puremagic.PureError, ValueError, IndexError):
        # Bytes that no other kind has claimed: text has no NUL.
        return "a file of an unknown kind" if b"\0" in head else "a text file"
    return f"a file of the kind {name}" if name else "a file of an unknown kind"
