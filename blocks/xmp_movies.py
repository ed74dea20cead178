"""XMP in MP4 and QuickTime files. Everything in them is found by its distance from the file's start: nothing may move.

So the copy is the original with more behind it. What has to go is renamed to ``free``, which players pass over.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from blocks.errors import MediaError

_PIECE = 1 << 20
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_LARGEST = 0xFFFF_FFFF  # bytes that a box can tell in its first field
# The index of an hour's clip is far smaller.
_LARGEST_INDEX = 64 << 20


@dataclass(frozen=True)
class _Box:
    start: int
    kind: bytes
    head: int  # bytes before its body
    size: int  # bytes in all
    open_end: bool = False  # it goes on to the end of the file, whatever its size

    @property
    def end(self) -> int:
        return self.start + self.size


def write_mp4(original: BinaryIO, copy: BinaryIO, packet: bytes) -> None:
    """In a box of its own kind at the end, as the XMP specification has it. Raises MediaError."""
    boxes = _copied(original, copy)
    for box in boxes:
        if box.kind == b"uuid" and _read(original, box.start + box.head, 16) == _XMP_UUID:
            _rename(copy, box)
    copy.seek(0, os.SEEK_END)
    copy.write(_box(b"uuid", _XMP_UUID + packet))


def write_quicktime(original: BinaryIO, copy: BinaryIO, packet: bytes) -> None:
    """In the movie's user data, as the XMP specification has it: a new index at the end takes the old one's place."""
    index = [box for box in _copied(original, copy) if box.kind == b"moov"]
    if len(index) != 1 or index[0].size > _LARGEST_INDEX:
        raise MediaError("this clip has no index, or one that is too large")
    body = _read(original, index[0].start + index[0].head, index[0].size - index[0].head)
    _rename(copy, index[0])
    copy.seek(0, os.SEEK_END)
    copy.write(_box(b"moov", _with_user_data(body, _box(b"XMP_", packet))))


def _with_user_data(index: bytes, ours: bytes) -> bytes:
    pieces, known = [], False
    for box in _boxes(io.BytesIO(index), len(index)):
        whole = index[box.start : box.end]
        if box.kind == b"udta":
            inner = whole[box.head :]
            # A list of boxes, which may end with four bytes of zero.
            kept = [
                inner[one.start : one.end]
                for one in _boxes(io.BytesIO(inner), len(inner))
                if one.kind != b"XMP_"
            ]
            pieces.append(_box(b"udta", (b"" if known else ours) + b"".join(kept)))
            known = True
        else:
            pieces.append(whole)
    if not known:
        pieces.append(_box(b"udta", ours))
    return b"".join(pieces)


def _copied(original: BinaryIO, copy: BinaryIO) -> list[_Box]:
    """Copies all of it, with an end for a box that had none; returns the boxes of the outermost level."""
    size = original.seek(0, os.SEEK_END)
    boxes = list(_boxes(original, size))
    if not boxes or boxes[0].kind not in {b"ftyp", b"wide", b"mdat", b"moov"}:
        raise MediaError("this is no MP4 or QuickTime file")
    original.seek(0)
    while piece := original.read(_PIECE):
        copy.write(piece)
    last = boxes[-1]
    if last.open_end:
        if last.size > _LARGEST:
            raise MediaError("this clip's last part is too large to be given an end")
        copy.seek(last.start)
        copy.write(last.size.to_bytes(4))
    return boxes


def _boxes(file: BinaryIO, size: int) -> Iterator[_Box]:
    start = 0
    while start + 8 <= size:
        head = _read(file, start, 8)
        length, kind, head_size = int.from_bytes(head[:4]), head[4:], 8
        if length == 1:
            length, head_size = int.from_bytes(_read(file, start + 8, 8)), 16
        open_end = length == 0
        box = _Box(start, kind, head_size, size - start if open_end else length, open_end)
        if box.size < head_size or box.end > size:
            raise MediaError("this clip has a part that ends outside it")
        yield box
        start = box.end


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    found = file.read(count)
    if len(found) != count:
        raise MediaError("the clip ends too early")
    return found


def _rename(copy: BinaryIO, box: _Box) -> None:
    copy.seek(box.start + 4)
    copy.write(b"free")


def _box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4) + kind + body
