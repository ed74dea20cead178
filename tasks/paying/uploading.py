"""How an input reaches the service: in a form its models take, once for all the work that uses it."""

import asyncio
import hashlib
import mimetypes
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks.assets import AssetGone
from blocks.errors import InvalidInput
from blocks.media import inspect_clip, inspect_picture
from blocks.media_preparation import picture_is_acceptable, prepare_picture
from tasks.briefs.inputs import named
from tasks.paying.workbench import Workbench
from tasks.work import StageWork, WorkInput

# Uploads live seven days; work sent on the last of them might be read too late.
KEEP = timedelta(days=6)


async def upload_inputs(bench: Workbench, work: StageWork) -> list[str]:
    """The URLs of the work's inputs, in their order.

    Raises InvalidInput where a file changed since the plan, AssetGone where a picture of the stage before is damaged or
    gone from the store, and the client's errors.
    """
    return list(await asyncio.gather(*(_upload(bench, item) for item in work.inputs)))


async def forget_uploads(bench: Workbench, work: StageWork) -> None:
    """After the service could not read an input: the next try uploads all of them again."""
    for item in work.inputs:
        await bench.ask(bench.ledger.forget_upload, _place(bench), item.sha256)


def upload_place(origin: str, account: str) -> str:
    """Where an upload is known: an account may not be able to read what another one has uploaded."""
    return f"{origin} {account}"


def _place(bench: Workbench) -> str:
    return upload_place(bench.origin, bench.account.account)


async def _upload(bench: Workbench, item: WorkInput) -> str:
    place = _place(bench)
    async with bench.lock(f"upload {item.sha256}"):
        known = await bench.ask(bench.ledger.find_upload, place, item.sha256, datetime.now(UTC))
        if known is not None:
            return known.url
        async with bench.uploads_at_once:
            bench.stop.check()
            if item.sha256 in bench.not_at_hand and item.sha256 not in bench.input_paths:
                raise InvalidInput(
                    f"{named(item.source)} {bench.not_at_hand[item.sha256]} Nothing was sent with it; give an address "
                    "that can be read, and run the command again."
                )
            if item.sha256 not in bench.input_paths and not await asyncio.to_thread(
                bench.store.is_whole, item.sha256
            ):
                raise AssetGone(
                    f"{item.source}, which this is made from, is damaged or gone from the asset store; run the "
                    "command again: it is collected again"
                )
            content, media_type = await asyncio.to_thread(as_sent, bench.path_of(item.sha256), item)
            bench.sent_as[item.sha256] = media_type
            # Named by its hash: a history that rewrites URLs still tells which input it was.
            name = f"{item.sha256}{mimetypes.guess_extension(media_type) or ''}"
            upload = await bench.client.upload(content, filename=name, media_type=media_type)
        expires = min(upload.expires_at, datetime.now(UTC) + KEEP)
        await bench.ask(bench.ledger.remember_upload, place, item.sha256, url=upload.url, expires_at=expires)
        return upload.url


def as_sent(path: Path, item: WorkInput) -> tuple[bytes | Path, str]:
    """The input in a form that its model takes, and its media type.

    Raises InvalidInput where the file is not the one that was planned with.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        found = None
    if found != item.sha256:
        raise InvalidInput(
            f"{item.source} changed while the campaign was running; nothing was sent with it. Run the command again."
        )
    if item.role == "video":
        return path, inspect_clip(path).media_type
    facts = inspect_picture(path)
    if picture_is_acceptable(path, facts):
        return path, facts.media_type
    prepared = prepare_picture(path)
    return prepared.content, prepared.media_type
