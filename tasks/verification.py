"""Holds a run's folder against its manifest: every asset is hashed again."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tasks.exports import asset_place, visible


def file_sha256(path: Path) -> str:
    """Hash a file's bytes, as hexadecimal text. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_run_folder(folder: Path) -> list[str]:
    """Say what is wrong with the assets of a run, a sentence each; an empty list says that nothing is.

    Found are assets that are missing or changed, files below ``assets/`` that no stage made, and a manifest
    that is missing or damaged.
    """
    path = folder / "manifest.json"
    try:
        listed = dict(_listed_assets(json.loads(path.read_bytes())))
    except FileNotFoundError:
        return [f"{path} is missing: without it nothing can be verified; `campaign report` writes it again"]
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror or error}"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [f"{path} is damaged: it is not a manifest; `campaign report` writes it again"]

    problems: list[str] = []
    places = set()
    for name, sha256 in listed.items():
        try:
            place = asset_place(folder, name)
        except ValueError:
            problems.append(f"{visible(name)}: the manifest is damaged, this is no place below assets/")
            continue
        places.add(place)
        problem = _problem(place, sha256)
        if problem:
            problems.append(f"{visible(name)}: {problem}")
    for found in sorted(_files_below(folder / "assets")):
        if found not in places:
            problems.append(
                f"{visible(found.relative_to(folder).as_posix())}: no stage of this run made this file"
            )
    return problems


def _listed_assets(manifest: object) -> Iterator[tuple[str, str]]:
    if not isinstance(manifest, dict):
        raise TypeError("a manifest is an object")
    for brief in manifest["briefs"]:
        for stage in brief["stages"]:
            for asset in stage["assets"]:
                path, sha256 = asset["path"], asset["sha256"]
                if not isinstance(path, str) or not isinstance(sha256, str):
                    raise TypeError("a path and a hash are text")
                yield path, sha256


def _problem(place: Path, sha256: str) -> str | None:
    try:
        if file_sha256(place) == sha256:
            return None
    except FileNotFoundError:
        return "missing; `campaign report` puts it back from the asset store"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "changed: its bytes are not those that the service delivered; `campaign report` puts them back"


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path
