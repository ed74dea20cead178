"""`campaign new`."""

import os
import secrets
import shlex
from importlib import resources
from pathlib import Path

from blocks.errors import InvalidInput
from blocks.private_files import open_to_people
from flows.talk import say
from tasks.briefs.starter import MEDIA, starter_csv
from tasks.exports import write_atomically

MEDIA_FOLDER = "sample-media"


async def new_campaign(file: Path) -> int:
    """Writes the starter and the media that its rows name, and never over a file that is there.

    Raises InvalidInput where that cannot be done.
    """
    name = shlex.quote(str(file))
    try:
        _write(file, name)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror or error}") from error
    say(
        f"{file} has four rows to begin with; their pictures and their clip are in {file.parent / MEDIA_FOLDER}."
    )
    say(f"Next: campaign plan {name}")
    return 0


def _write(file: Path, name: str) -> None:
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder; name the CSV file to write, such as {file / 'spring.csv'}")
    if os.path.lexists(file):
        raise _taken(file)
    wanted = {file.parent / MEDIA_FOLDER / name: _sample(name) for name in MEDIA}
    for path, content in wanted.items():
        if os.path.lexists(path) and not (path.is_file() and path.read_bytes() == content):
            raise _taken(path)
    for path, content in wanted.items():
        if not path.exists():
            write_atomically(path, content)
    # Last, so that where the campaign is there, all of it is.
    _create(file, starter_csv(name, MEDIA_FOLDER))


def _sample(name: str) -> bytes:
    return resources.files("data").joinpath("media", name).read_bytes()


def _taken(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is already there and stays as it is; name another file, or move it away first"
    )


def _create(path: Path, content: bytes) -> None:
    """The file whole or not at all, and not where another has come in between."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    write_atomically(partial, content)
    try:
        # Unlike a rename, a link never takes the place of a file.
        os.link(partial, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError:
        # A disk without links: not whole at once there, but still over no other file.
        with path.open("xb") as file:
            file.write(content)
        open_to_people(path)
    finally:
        partial.unlink(missing_ok=True)
