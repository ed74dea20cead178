"""The bytes of one answer: unpacked while they arrive, and never more of them than an answer may have."""

import zlib
from collections.abc import Iterator

import httpx
from anyio.lowlevel import checkpoint

LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
# What is asked for, and all that is read: others, and several over each other, unpack a piece to gigabytes.
ACCEPTED_ENCODINGS = "gzip, deflate"
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})
_PIECE_BYTES = 1024 * 1024


class AnswerOutOfBounds(httpx.TransportError):
    """An answer that is not read to its end is no answer: nobody knows what it says."""


async def read_body(response: httpx.Response) -> bytes:
    """Return the body, unpacked. Other work of the event loop goes on meanwhile.

    Raises AnswerOutOfBounds where it is larger than LARGEST_ANSWER_BYTES, packed otherwise than once with gzip or
    deflate, or damaged.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in {*_PLAIN, *_GZIP, "deflate"}:
        raise AnswerOutOfBounds("the answer is packed in a way that is not read")
    packing = None if encoding in _PLAIN else _Packing(gzip=encoding in _GZIP)
    body = bytearray()
    async for chunk in response.aiter_raw():
        for piece in packing.unpacked(chunk) if packing else (chunk,):
            body += piece
            if len(body) > LARGEST_ANSWER_BYTES:
                raise AnswerOutOfBounds(f"the answer is larger than {LARGEST_ANSWER_BYTES:,} bytes")
            await checkpoint()
    if packing and not packing.is_whole:
        raise AnswerOutOfBounds("the answer is packed, and not whole")
    return bytes(body)


class _Packing:
    """Unpacks what arrives, a small piece at a time: a few bytes can hold very much."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._unpacker: zlib._Decompress | None = None
        self._begun = b""

    @property
    def is_whole(self) -> bool:
        """Whether the packed bytes have come to their end; an empty body was never packed."""
        return self._unpacker.eof if self._unpacker else not self._begun

    def unpacked(self, chunk: bytes) -> Iterator[bytes]:
        if self._unpacker is None:
            chunk = self._begun = self._begun + chunk
            if len(chunk) < 2:
                return
            self._unpacker = zlib.decompressobj(self._window(chunk))
        try:
            # What follows the end is passed over, as browsers do.
            while chunk and not self._unpacker.eof:
                yield self._unpacker.decompress(chunk, _PIECE_BYTES)
                chunk = self._unpacker.unconsumed_tail
        except zlib.error as error:
            raise AnswerOutOfBounds("the answer is packed, and damaged") from error

    def _window(self, head: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # "deflate" is meant to be zlib's format; some servers leave its two bytes of header out.
        has_header = head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
