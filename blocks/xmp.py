"""Writes an XMP packet into a copy of a picture or clip. Nothing is encoded again; every pixel stays.

A packet that is there already is left out of the copy. Files are read and written in pieces, since clips are large.
"""

import contextlib
import secrets
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from blocks.errors import MediaError
from blocks.private_files import make_folder_for_people, open_to_people
from blocks.xmp_movies import write_mp4, write_quicktime

_PIECE = 1 << 20
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_JPEG_MOST = 65_533  # bytes in one segment
_WEBP_ALPHA, _WEBP_XMP = 0x10, 0x04


def write_with_xmp(source: Path, destination: Path, media_type: str, packet: bytes) -> None:
    """Copy ``source`` with ``packet`` in it; the copy appears whole or not at all, and is the same every time.

    Raises MediaError where the file is not of that type or too odd to be taken apart, OSError where the copy cannot be
    written.
    """
    writer = _WRITERS.get(media_type)
    if writer is None:
        raise MediaError(f"there is no place for XMP in {media_type}")
    make_folder_for_people(destination.parent)
    partial = destination.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with source.open("rb") as original, partial.open("xb") as copy:
            writer(original, copy, packet)
        open_to_people(partial)
        # Not synchronised: what a power cut takes can be written again at any time.
        partial.replace(destination)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _write_png(original: BinaryIO, copy: BinaryIO, packet: bytes) -> None:
    if original.read(8) != _PNG_SIGNATURE:
        raise MediaError("this is no PNG")
    copy.write(_PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        head = _exactly(original, 8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        # The keyword is looked at first: any other chunk may be too large to hold.
        start = _exactly(original, min(length, len(_PNG_KEYWORD))) if kind == b"iTXt" else b""
        if start == _PNG_KEYWORD:
            original.seek(length - len(start) + 4, 1)
            continue
        copy.write(head + start)
        _copy(original, copy, length - len(start) + 4)
        if kind == b"IHDR":
            copy.write(_png_chunk(b"iTXt", _PNG_KEYWORD + b"\0\0\0\0" + packet))
    _copy_rest(original, copy)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def _write_jpeg(original: BinaryIO, copy: BinaryIO, packet: bytes) -> None:
    if original.read(2) != b"\xff\xd8":
        raise MediaError("this is no JPEG")
    if len(_JPEG_XMP) + len(packet) > _JPEG_MOST:
        raise MediaError("the XMP packet is too large for a JPEG")
    ours = b"\xff\xe1" + (2 + len(_JPEG_XMP) + len(packet)).to_bytes(2) + _JPEG_XMP + packet
    copy.write(b"\xff\xd8")
    written = False
    for marker, body in _jpeg_segments(original):
        if marker == 0xE1 and body.startswith((_JPEG_XMP, _JPEG_MORE_XMP)):
            continue
        # JFIF and EXIF want to be first.
        if not written and not (marker == 0xE0 or (marker == 0xE1 and body.startswith(b"Exif\0"))):
            copy.write(ours)
            written = True
        copy.write(bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body)
    _copy_rest(original, copy)


def _jpeg_segments(original: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Up to the start of the picture itself, which is the last one given."""
    marker = 0
    while marker != 0xDA:
        if _exactly(original, 1) != b"\xff":
            raise MediaError("this JPEG has no marker where one belongs")
        marker = 0xFF
        while marker == 0xFF:  # markers may be padded
            marker = _exactly(original, 1)[0]
        length = int.from_bytes(_exactly(original, 2))
        if length < 2:
            raise MediaError("this JPEG has a segment shorter than its own length")
        yield marker, _exactly(original, length - 2)


def _write_webp(original: BinaryIO, copy: BinaryIO, packet: bytes) -> None:
    head = _exactly(original, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        raise MediaError("this is no WebP")
    end = 8 + int.from_bytes(head[4:8], "little")
    copy.write(head)
    kind, length = _riff_head(original)
    if kind == b"VP8X":
        body = bytearray(_exactly(original, length + length % 2))
        body[0] |= _WEBP_XMP
        copy.write(_riff_chunk(b"VP8X", bytes(body[:length])))
    else:
        # The simple form has no place for XMP: the extended one says how large the picture is first.
        start = _exactly(original, min(length, 10))
        copy.write(_riff_chunk(b"VP8X", _extended(kind, start)))
        copy.write(kind + length.to_bytes(4, "little") + start)
        _copy(original, copy, length + length % 2 - len(start))
    while original.tell() + 8 <= end:
        kind, length = _riff_head(original)
        if kind == b"XMP ":
            original.seek(length + length % 2, 1)
            continue
        copy.write(kind + length.to_bytes(4, "little"))
        _copy(original, copy, length + length % 2)
    copy.write(_riff_chunk(b"XMP ", packet))
    size = copy.tell() - 8
    copy.seek(4)
    copy.write(size.to_bytes(4, "little"))


def _riff_head(original: BinaryIO) -> tuple[bytes, int]:
    head = _exactly(original, 8)
    return head[:4], int.from_bytes(head[4:], "little")


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def _extended(kind: bytes, start: bytes) -> bytes:
    """The body of a VP8X chunk for a simple WebP, whose picture begins with ``start``."""
    flags = _WEBP_XMP
    if kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a":
        width = int.from_bytes(start[6:8], "little") & 0x3FFF
        height = int.from_bytes(start[8:10], "little") & 0x3FFF
    elif kind == b"VP8L" and start[:1] == b"\x2f":
        bits = int.from_bytes(start[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags |= _WEBP_ALPHA if bits >> 28 & 1 else 0
    else:
        raise MediaError("this WebP begins with no picture")
    return bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise MediaError("the file ends too early")
    return found


def _copy(original: BinaryIO, copy: BinaryIO, count: int) -> None:
    while count > 0:
        piece = _exactly(original, min(count, _PIECE))
        copy.write(piece)
        count -= len(piece)


def _copy_rest(original: BinaryIO, copy: BinaryIO) -> None:
    while piece := original.read(_PIECE):
        copy.write(piece)


_WRITERS: dict[str, Callable[[BinaryIO, BinaryIO, bytes], None]] = {
    "image/png": _write_png,
    "image/jpeg": _write_jpeg,
    "image/webp": _write_webp,
    "video/mp4": write_mp4,
    "video/quicktime": write_quicktime,
}
