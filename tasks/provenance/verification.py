"""Holds a run against its manifest: everything is read and hashed again."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from blocks.assets import AssetStore
from tasks.exports import asset_place, visible
from tasks.provenance.manifest_document import SCHEMA, AssetPart, Manifest
from tasks.provenance.marked_copies import FOLDER as MARKED
from tasks.provenance.marked_copies import export_path, write_marked_copy
from tasks.provenance.verification_tables import table_problems
from tasks.record import RunRecord

_REPORT = "`campaign report` writes it again"


def file_sha256(path: Path) -> str:
    """Hash a file's bytes, as hexadecimal text. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Verification:
    """A sentence each. ``problems`` are what is wrong; ``notes`` are worth knowing and wrong with nothing."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    assets: int = 0  # how many were looked at


def verify_run_folder(
    folder: Path, *, record: RunRecord | None = None, store: AssetStore | None = None
) -> Verification:
    """Read a run's folder again: assets, marked copies, tables. Nothing is changed.

    With a ``record``, also what the ledger knows of the run; with a ``store``, also the originals there. The manifest
    says what the rest is held against, so where it is missing or damaged there is nothing more to say.
    """
    found = Verification()
    manifest = _read_manifest(folder / "manifest.json", found)
    if manifest is None:
        return found
    listed = [asset for brief in manifest.briefs for stage in brief.stages for asset in stage.assets]
    found.assets = len(listed)
    found.problems += _asset_problems(folder, listed)
    found.problems += table_problems(folder, manifest)
    if record is not None:
        found.problems += _record_problems(manifest, listed, record)
        found.problems += _marked_problems(folder, record)
    if store is not None:
        found.problems += _damaged_originals(listed, store)
        found.notes += _missing_originals(listed, store)
    found.problems += _parent_problems(manifest)
    found.notes += _input_notes(manifest)
    return found


def _read_manifest(path: Path, found: Verification) -> Manifest | None:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        found.problems.append(f"{path} is missing: without it nothing can be verified; {_REPORT}")
    except OSError as error:
        found.problems.append(f"{path} cannot be read: {error.strerror or error}")
    except ValidationError as error:
        if any(
            problem["loc"] == ("schema",) and problem["type"] == "literal_error" for problem in error.errors()
        ):
            found.problems.append(
                f"{path} is of another layout than {SCHEMA}, which this version reads; use the version that wrote it, "
                "or write it again with `campaign report`"
            )
        else:
            found.problems.append(f"{path} is damaged: it is not a manifest; {_REPORT}")
    return None


def _asset_problems(folder: Path, listed: list[AssetPart]) -> Iterator[str]:
    places = set()
    for asset in listed:
        try:
            place = asset_place(folder, asset.path)
        except ValueError:
            yield f"{visible(asset.path)}: the manifest is damaged, this is no place below assets/"
            continue
        places.add(place)
        problem = _file_problem(place, asset.sha256)
        if problem:
            yield f"{visible(asset.path)}: {problem}"
    for path in sorted(_files_below(folder / "assets")):
        if path not in places:
            yield f"{_named(folder, path)}: no stage of this run made this file; move it elsewhere"


def _file_problem(place: Path, sha256: str) -> str | None:
    try:
        if file_sha256(place) == sha256:
            return None
    except FileNotFoundError:
        return "missing; `campaign report` puts it back, if the asset store has it"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "changed: its bytes are not the service's; `campaign report` puts them back, if the asset store has them"


def _record_problems(manifest: Manifest, listed: list[AssetPart], record: RunRecord) -> Iterator[str]:
    """The manifest could have been changed together with an asset; the ledger's record was not."""
    if manifest.run != record.run:
        yield f"manifest.json: it is of run {visible(manifest.run)}, not of {record.run}; {_REPORT}"
        return
    known = {asset.path: asset.sha256 for stage in record.stages for asset in stage.assets}
    told = {asset.path: asset.sha256 for asset in listed}
    for path in sorted(known.keys() | told.keys()):
        if known.get(path) != told.get(path):
            yield f"manifest.json: the ledger has another file as {visible(path)}; {_REPORT}"


def _marked_problems(folder: Path, record: RunRecord) -> Iterator[str]:
    if not (folder / MARKED).is_dir():
        return
    places = set()
    # Written once more beside the folder's files, to be compared and removed.
    again = folder / f".partial-{secrets.token_hex(8)}"
    try:
        for stage in record.stages:
            for asset in stage.assets:
                place = folder / export_path(asset.path)
                places.add(place)
                if not write_marked_copy(record, stage, asset, folder, again):
                    continue  # the asset itself is missing, which is said already, or can carry no mark
                if not place.is_file():
                    yield f"{_named(folder, place)}: missing; {_REPORT}"
                elif file_sha256(again) != file_sha256(place):
                    yield f"{_named(folder, place)}: not the asset with its mark, or another version's; {_REPORT}"
    except OSError as error:
        yield f"{MARKED}/ cannot be verified: {error.strerror or error}"
    finally:
        again.unlink(missing_ok=True)
    for path in sorted(_files_below(folder / MARKED)):
        if path not in places:
            yield f"{_named(folder, path)}: no marked copy of this run's; move it elsewhere"


def _damaged_originals(listed: list[AssetPart], store: AssetStore) -> Iterator[str]:
    for sha256, path in {asset.sha256: asset.path for asset in listed}.items():
        if store.has(sha256) and not store.verify(sha256):
            yield (
                f"{visible(path)}: its original {sha256} in the asset store is damaged; the next run sets it aside and "
                "collects it again, free of charge while the service has it"
            )


def _missing_originals(listed: list[AssetPart], store: AssetStore) -> Iterator[str]:
    wanted = {asset.sha256 for asset in listed}
    gone = sum(not store.has(sha256) for sha256 in wanted)
    if gone:
        yield (
            f"{gone} of {len(wanted)} originals are not in the asset store any more (forgotten, or lost): the files of "
            "this folder are the only ones here"
        )


def _parent_problems(manifest: Manifest) -> Iterator[str]:
    """A picture handed on from a stage must be one that this stage made."""
    for brief in manifest.briefs:
        made: dict[str, str] = {}
        for stage in brief.stages:
            for given in stage.inputs:
                known = made.get(given.source)
                if known is not None and known != given.sha256:
                    yield (
                        f"manifest.json: {visible(brief.brief)}, {stage.stage}: was given another picture as "
                        f"{visible(given.source)} than that stage made; {_REPORT}"
                    )
            made |= {f"{brief.brief}/{Path(asset.path).stem}": asset.sha256 for asset in stage.assets}


def _input_notes(manifest: Manifest) -> Iterator[str]:
    """Campaigns and their inputs may change after a run. Remote ones are not asked for."""
    csv = Path(manifest.campaign.path)
    note = _since(csv, manifest.campaign.sha256)
    if note:
        yield f"{visible(str(csv))}: {note}"
    seen: set[tuple[str, str]] = set()
    for brief in manifest.briefs:
        for stage in brief.stages:
            for given in stage.inputs:
                if "://" in given.source or (given.source, given.sha256) in seen:
                    continue
                seen.add((given.source, given.sha256))
                if _is_carried(brief.brief, given.source):
                    continue
                note = _since(csv.parent / given.source, given.sha256)
                if note:
                    yield f"{visible(given.source)}: {note}"


def _is_carried(brief: str, source: str) -> bool:
    return source.startswith((f"{brief}/edit-", f"{brief}/compose-")) and source[-1:].isdigit()


def _since(path: Path, sha256: str) -> str | None:
    try:
        return None if file_sha256(path) == sha256 else "changed since the run, which read other bytes"
    except (OSError, ValueError):
        return "not there any more, or not to be read"


def _named(folder: Path, path: Path) -> str:
    return visible(path.relative_to(folder).as_posix())


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path
