"""The three standard streams as a command needs them, also where one is closed, full or nobody reads it.

Talk that cannot be said is no reason to stop: what is paid for goes on. Data that cannot be written is one, once the
work is done. And a number that is free would be taken by the next file that is opened: by the ledger, say, which would
then hold what some library writes to its standard error.
"""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_INPUT, _OUTPUT, _ERRORS = 0, 1, 2


class OutputLost(Exception):
    """Standard output does not take what is written to it; ``quiet`` where its reader has simply gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"standard output cannot be written to ({error.strerror or error}), so what the command printed there is "
            "lost; nothing else is. Send it elsewhere and run the command again"
        )
        self.quiet = error.errno == errno.EPIPE


class _Output(io.FileIO):
    """By an error of its own: what fails here must not be taken for another file's trouble."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLost(error) from error


class _Errors(io.FileIO):
    """What cannot be said is not said."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def mend_standard_streams() -> None:
    """Before anything is opened or said."""
    for number in (_INPUT, _OUTPUT, _ERRORS):
        try:
            os.fstat(number)
        except OSError:
            # Output that is closed is opened for reading: what is written there fails, as it did before.
            opened = os.open(os.devnull, os.O_WRONLY if number == _ERRORS else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdout = _text(_Output(_OUTPUT, "wb", closefd=False), sys.stdout, line_buffering=False)
    sys.stderr = _text(_Errors(_ERRORS, "wb", closefd=False), sys.stderr, line_buffering=True)


def _text(raw: io.FileIO, before: TextIO | None, *, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else "utf-8",
        errors=(before.errors if before is not None else None) or "backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
    )


def give_up_output() -> None:
    """What is still buffered would fail once more when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _OUTPUT)
    os.close(nowhere)
