"""Input media: the service's own uploads and outputs from its folder, others over HTTP, within limits."""

import asyncio
import re
import shutil
from pathlib import Path
from urllib.parse import quote, unquote, urljoin

import httpx

from simulator.books import Books
from simulator.inline_media import inline_bytes, is_inline
from simulator.outside import NotPublic, is_loopback, split, target_of
from simulator.records import Output, Upload
from simulator.service_time import NANOSECONDS, now

UPLOADS_PATH = "/files/uploads"
REWRITTEN_PATH = "/files/inputs"
OUTPUTS_PATH = "/files/outputs"

LARGEST_UPLOAD_BYTES = 200 * 1024 * 1024
_FETCH_SECONDS = 20.0
_MOST_REDIRECTS = 3
_OWN_UPLOAD = re.compile(rf"(?:{UPLOADS_PATH}|{REWRITTEN_PATH})/([0-9a-f]{{32}})/[^/]+")
_OWN_OUTPUT = re.compile(rf"{OUTPUTS_PATH}/([0-9a-f]{{32}})/([^/]+)")


class MediaUnreadable(Exception):
    """The URL does not lead to bytes that the service may read."""


def upload_url(base_url: str, upload: Upload) -> str:
    return f"{base_url}{UPLOADS_PATH}/{upload.id}/{quote(upload.filename, safe='')}"


def output_url(base_url: str, output: Output) -> str:
    return f"{base_url}{OUTPUTS_PATH}/{output.prediction_id}/{output.filename}"


def rewritten(url: str) -> str:
    """The address under which a service that copies its inputs echoes an upload; others stay as they are."""
    parts = split(url)
    if not _OWN_UPLOAD.fullmatch(parts.path):
        return url
    return parts._replace(path=parts.path.replace(UPLOADS_PATH, REWRITTEN_PATH, 1)).geturl()


class MediaStore:
    """The folders beside the books: uploads, outputs, and inputs fetched for predictions in work.

    ``private_addresses``: inputs are fetched from this machine as well, as no service on the internet could.
    """

    def __init__(self, books: Books, *, expiry_seconds: float, private_addresses: bool) -> None:
        self._books = books
        self._private_addresses = private_addresses
        self._expiry = round(expiry_seconds * NANOSECONDS)
        self._uploads = books.home / "uploads"
        self._outputs = books.home / "outputs"
        self._inputs = books.home / "inputs"
        self._uploads.mkdir(exist_ok=True)
        self._client = httpx.AsyncClient(timeout=_FETCH_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    def upload_path(self, upload_id: str) -> Path:
        return self._uploads / upload_id

    def outputs_folder(self, prediction_id: str) -> Path:
        return self._outputs / prediction_id

    def output_path(self, output: Output) -> Path:
        return self.outputs_folder(output.prediction_id) / output.filename

    def stored_upload(self, upload_id: str) -> Upload | None:
        """An upload whose bytes are here and still live."""
        upload = self._books.upload(upload_id)
        if upload is None or upload.stored_at is None or self.expired(upload.stored_at):
            return None
        return upload

    def live_output(self, prediction_id: str, filename: str) -> Output | None:
        """An output that exists, is not deleted and still lives."""
        prediction = self._books.prediction(prediction_id)
        if prediction is None or prediction.deleted:
            return None
        for output in self._books.outputs([prediction_id]):
            if output.filename == filename and not self.expired(output.at):
                return output
        return None

    def expired(self, moment: int) -> bool:
        return now() - moment > self._expiry

    def remove_outputs(self, prediction_id: str) -> None:
        shutil.rmtree(self.outputs_folder(prediction_id), ignore_errors=True)

    def remove_inputs(self, prediction_id: str) -> None:
        """Drops what was fetched for a prediction that has ended."""
        shutil.rmtree(self._inputs / prediction_id, ignore_errors=True)

    async def collect(self, url: str, prediction_id: str, name: str) -> Path:
        """The file behind an input's URL, fetched once where it is foreign. Raises MediaUnreadable."""
        if is_inline(url):
            return self._keep_inline(url, prediction_id, name)
        own = self._own(url)
        if own is not None:
            return own
        kept = self._inputs / prediction_id / name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_name(f"{name}.part")
            try:
                async with asyncio.timeout(_FETCH_SECONDS):
                    await self._fetch(url, unfinished)
            except NotPublic as error:
                raise MediaUnreadable(f"{name}: {error}") from error
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
                raise MediaUnreadable(f"{name}: the URL could not be fetched") from error
            unfinished.replace(kept)
        return kept

    def _keep_inline(self, value: str, prediction_id: str, name: str) -> Path:
        kept = self._inputs / prediction_id / name
        try:
            content = inline_bytes(value)
        except ValueError as error:
            raise MediaUnreadable(f"{name}: {error}") from error
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
        return kept

    def _own(self, url: str) -> Path | None:
        """The file of an own URL, None for a foreign one. Raises MediaUnreadable for an expired one."""
        # The port may have changed since the URL was given out; the ids in it are unique.
        parts = split(url)
        if parts.scheme not in {"http", "https"} or not is_loopback(parts.hostname or ""):
            return None
        path = parts.path
        if upload := _OWN_UPLOAD.fullmatch(path):
            if self.stored_upload(upload[1]) is None:
                raise MediaUnreadable("the upload does not exist or has expired")
            return self.upload_path(upload[1])
        if output := _OWN_OUTPUT.fullmatch(path):
            if self.live_output(output[1], unquote(output[2])) is None:
                raise MediaUnreadable("the output does not exist or has expired")
            return self.outputs_folder(output[1]) / unquote(output[2])
        return None

    async def _fetch(self, url: str, target: Path) -> None:
        for _ in range(_MOST_REDIRECTS + 1):
            to = await target_of(url, loopback=self._private_addresses)
            async with self._client.stream(
                "GET", to.url, headers=to.headers, extensions=to.extensions
            ) as response:
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    continue
                response.raise_for_status()
                size = 0
                with target.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        size += len(chunk)
                        if size > LARGEST_UPLOAD_BYTES:
                            raise MediaUnreadable("the file behind the URL is larger than 200 MB")
                        file.write(chunk)
                return
        raise MediaUnreadable("the URL redirects too often")
