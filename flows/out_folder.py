"""The folder of the runs, tried before anything is spent: what is paid for needs a place to be shown in."""

import tempfile
from pathlib import Path

from blocks.errors import InvalidInput


def refuse_an_unusable_out(out: Path) -> None:
    """Make the folder where it is missing. Raises InvalidInput where no file can be written to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        if out.exists() and not out.is_dir():
            wrong = "is a file, and a folder is needed"
        else:
            wrong = f"cannot be written to ({error.strerror or error})"
        raise InvalidInput(
            f"--out {out} {wrong}; name a folder that you may write to. Nothing was spent"
        ) from error
